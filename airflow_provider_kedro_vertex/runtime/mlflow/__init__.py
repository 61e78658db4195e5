"""The one MLflow run that the containers of a DAG run share. Only a project with kedro-mlflow imports most of it."""
