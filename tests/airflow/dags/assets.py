"""Producers in each mode, deferred or not, and for each of them a DAG that its result starts.

The tests put `shop.manifest.json` and `reports.manifest.json` beside the copy of this file.
"""

from datetime import datetime, timedelta

from airflow.providers.common.compat.sdk import DAG

from airflow_provider_kedro_vertex import asset, kedro_vertex_dag

try:
    from airflow.providers.standard.operators.empty import EmptyOperator
except ImportError:  # Airflow 2 has its own
    from airflow.operators.empty import EmptyOperator

MODES = {"one_job": {}, "watched": {"watch": "nodes"}, "custom_jobs": {"mode": "custom_job"}}
# On a busy machine Airflow's scheduler fails a task that comes back before it has heard that it waits.
again = {"retries": 40, "retry_delay": timedelta(seconds=10)}
given = {"manifest": "shop.manifest.json", "start_date": datetime(2013, 6, 1), "catchup": False}


def producer(dag_id, **more):
    more |= {"params": {"place": dag_id}, "poll_interval": 5, "default_args": again}
    globals()[dag_id] = kedro_vertex_dag(dag_id, schedule=None, **given, **more)


def consumer(producer_id, dataset):
    started_by = asset(dataset, manifest="shop.manifest.json", params={"place": producer_id})
    with DAG(f"{producer_id}_{dataset}", schedule=[started_by], start_date=given["start_date"]) as dag:
        EmptyOperator(task_id="reads")
    globals()[dag.dag_id] = dag


for name, mode in MODES.items():
    for deferrable in (True, False):
        producer(f"{name}_{'deferred' if deferrable else 'waiting'}", deferrable=deferrable, **mode)
        consumer(f"{name}_{'deferred' if deferrable else 'waiting'}", "result")
    producer(f"{name}_sliced", deferrable=True, selection={"to_nodes": ["make"]}, **mode)
    consumer(f"{name}_sliced", "result")

# Another project reads what the first one wrote.
shop_result = asset("result", manifest="shop.manifest.json", params={"place": "one_job_deferred"})
reports = kedro_vertex_dag(
    "reports",
    manifest="reports.manifest.json",
    schedule=[shop_result],
    start_date=given["start_date"],
    poll_interval=5,
    default_args=again,
)
