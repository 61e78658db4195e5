"""The run of a Vertex AI experiment in which the containers of a DAG run log."""
