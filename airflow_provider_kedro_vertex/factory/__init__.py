"""The DAG factory: from a manifest to DAGs, task groups and tasks."""
