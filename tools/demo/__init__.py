"""A local stack to run the example DAGs on: a storage emulator, a Vertex AI emulator and a real Airflow.

`python -m tools.demo` is what `make demo` runs; the tests use `tools.demo.stack.Stack`. The launcher needs the standard
library alone, so that it answers at once; what it starts needs the whole environment.
"""
