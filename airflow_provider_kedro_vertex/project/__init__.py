"""The Kedro side: a project becomes a manifest, and the ``kedro vertex`` commands. Never imports Airflow."""
