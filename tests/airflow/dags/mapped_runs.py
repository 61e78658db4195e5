"""One pipeline for many countries; the tests put `countries.manifest.json` beside the copy of this file."""

import os
from datetime import datetime, timedelta

from airflow.providers.common.compat.sdk import DAG, task, task_group

from airflow_provider_kedro_vertex import kedro_vertex_task_group
from airflow_provider_kedro_vertex.operators import KedroVertexPipelineOperator

INSTANCES = range(int(os.environ["MAPPED_INSTANCES"]))

dag_arguments = {
    "schedule": None,
    "start_date": datetime(2024, 1, 1),
    "catchup": False,
    "max_active_tasks": 64,
    "default_args": {"retries": 1, "retry_delay": timedelta(seconds=1)},
}
given = {"manifest": "countries.manifest.json", "deferrable": True, "poll_interval": 1}

with DAG("operators", **dag_arguments):

    @task
    def countries():
        return [{"country": f"operators_{number}"} for number in INSTANCES]

    KedroVertexPipelineOperator.partial(task_id="report", **given).expand(runtime_params=countries())

for name, mode in {"watched": {"watch": "nodes"}, "custom_jobs": {"mode": "custom_job"}, "one_job": {}}.items():
    with DAG(name, **dag_arguments):

        @task_group
        def each(country, mode=mode):
            kedro_vertex_task_group("job", runtime_params={"country": country}, **mode, **given)

        each.expand(country=[f"{name}_{number}" for number in INSTANCES])
