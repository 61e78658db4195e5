"""Which MLflow run is a job's, from where its containers keep it. Airflow itself needs no way to MLflow."""

from __future__ import annotations

import json

from airflow_provider_kedro_vertex.core.errors import VertexApiError
from airflow_provider_kedro_vertex.vertex.client import VertexClient


def mlflow_page(client: VertexClient, file: str) -> str | None:
    """Read the address of a job's MLflow run; None before there is one, and where it cannot be read.

    It may not be the last word: a run that somebody deletes in MLflow is followed by another one.

    :param file: see :func:`.written.mlflow_run_file`.
    """
    try:
        content = client.find_object(file)
    except VertexApiError:  # a link is no reason to fail
        return None
    try:
        url = json.loads(content or b"{}").get("url")
    except (ValueError, AttributeError):
        return None
    return url if isinstance(url, str) and url.startswith(("http://", "https://")) else None
