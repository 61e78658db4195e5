"""The version and where it is documented, in a module that imports nothing: every room may read it."""

__version__ = "0.1.0"

#: Where the pages of docs/ are published.
DOCUMENTATION = "https://airflow-provider-kedro-vertex.readthedocs.io/en/stable"
