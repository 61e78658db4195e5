"""Cleaning up: the intermediate data of the flights project's runs that ended more than a week ago.

As it stands it only tells in its task's log what it would delete. Trigger it with `delete`, or make that the default,
once the log tells what you expect, and schedule it `@daily`.
"""

from airflow.providers.common.compat.sdk import DAG, Param

from airflow_provider_kedro_vertex.operators import KedroVertexCleanupOperator

with DAG(
    "flights_maintenance",
    schedule=None,
    params={"delete": Param(False, type="boolean")},
    tags=["kedro", "flights"],
):
    KedroVertexCleanupOperator(
        task_id="clean_up", manifest="flights/flights.manifest.json", delete="{{ params.delete }}"
    )
