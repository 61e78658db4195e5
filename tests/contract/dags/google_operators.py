"""The operators of Google's provider as anybody writes them, for `tests/contract/test_google_operators.py`."""

from __future__ import annotations

import os
from datetime import datetime
from typing import Any

from airflow.providers.common.compat.sdk import DAG
from airflow.providers.google.cloud.operators.vertex_ai.custom_job import (
    CreateCustomContainerTrainingJobOperator,
    DeleteCustomTrainingJobOperator,
    ListCustomTrainingJobOperator,
)
from airflow.providers.google.cloud.operators.vertex_ai.pipeline_job import RunPipelineJobOperator

try:
    from airflow.providers.google.cloud.operators.vertex_ai.custom_job import CreateCustomJobOperator
except ImportError:  # newer than the last provider for Airflow 2
    CreateCustomJobOperator = None

with DAG("google_operators", schedule=None, start_date=datetime(2013, 6, 1)):
    for image in ("quick", "failing"):
        for deferrable in (False, True):
            name = f"{image}-deferred" if deferrable else image
            common: dict[str, Any] = {
                "project_id": "demo-project",
                "region": "europe-west1",
                "deferrable": deferrable,
                "poll_interval": 1,
                "retries": 0,
            }
            RunPipelineJobOperator(
                task_id=f"pipeline-{name}",
                display_name=name,
                job_id=name,
                template_path=f"{os.environ['PIPELINE_SPECS']}/{image}.json",
                pipeline_root=f"gs://bucket-of-{name}/root",
                service_account="runner@demo-project.iam.gserviceaccount.com",
                **common,
            )
            if CreateCustomJobOperator is not None:
                container = {"image_uri": image, "command": ["python"]}
                pool = {
                    "machine_spec": {"machine_type": "n2-standard-4"},
                    "replica_count": 1,
                    "container_spec": container,
                }
                CreateCustomJobOperator(
                    task_id=f"custom-{name}",
                    custom_job={"display_name": name, "job_spec": {"worker_pool_specs": [pool]}},
                    **common,
                )

    place = {"project_id": "demo-project", "region": "europe-west1", "retries": 0}
    training = CreateCustomContainerTrainingJobOperator(
        task_id="training",
        display_name="trained",
        container_uri="quick",
        staging_bucket="gs://staging",
        base_output_dir="gs://staging/out",
        machine_type="n2-standard-4",
        replica_count=1,
        labels={"team": "airflow"},
        **place,
    )
    listed = ListCustomTrainingJobOperator(task_id="listed", filter="labels.team=airflow", **place)
    deleted = DeleteCustomTrainingJobOperator(
        task_id="deleted",
        training_pipeline_id="{{ ti.xcom_pull('training', key='training_id') }}",
        custom_job_id="{{ ti.xcom_pull('training', key='custom_job_id') }}",
        **place,
    )
    training >> listed >> deleted
