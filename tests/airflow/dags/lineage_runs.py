"""A project in each mode, one that fails, an operator by itself, and another project that reads what it wrote.

The tests put `shop.manifest.json` and `reports.manifest.json` beside the copy of this file.
"""

from datetime import datetime, timedelta

from airflow.providers.common.compat.sdk import DAG

from airflow_provider_kedro_vertex import kedro_vertex_dag
from airflow_provider_kedro_vertex.operators import KedroVertexPipelineOperator

MODES = {"one_job": {}, "watched": {"watch": "nodes"}, "custom_jobs": {"mode": "custom_job"}}
# On a busy machine Airflow's scheduler fails a task that comes back before it has heard that it waits.
again = {"retries": 40, "retry_delay": timedelta(seconds=10)}
given = {"schedule": None, "start_date": datetime(2013, 6, 1), "catchup": False}

for name, mode in MODES.items():
    globals()[name] = kedro_vertex_dag(
        name,
        manifest="shop.manifest.json",
        params={"place": name},
        poll_interval=5,
        deferrable=name == "one_job",
        default_args=again,
        **mode,
        **given,
    )

failing = kedro_vertex_dag(
    "failing", manifest="shop.manifest.json", params={"place": "failing"}, poll_interval=5, assets=False, **given
)
reports = kedro_vertex_dag("reports", manifest="reports.manifest.json", poll_interval=5, mode="custom_job", **given)

with DAG("alone", params={"place": "alone"}, **given) as alone:
    KedroVertexPipelineOperator(task_id="run", pipeline="__default__", manifest="shop.manifest.json", poll_interval=5)
