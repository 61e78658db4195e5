"""The operator in a DAG of one's own: three of the project's pipelines as three jobs, and a task that reads the result.

Trigger it in Airflow's page: the form asks for the day.
"""

from typing import Any

from airflow.providers.common.compat.sdk import DAG, Param, task

from airflow_provider_kedro_vertex.operators import KedroVertexPipelineOperator


@task
def announce(job: dict[str, Any]) -> None:
    print(f"The report is made: {job['url']}")


with DAG(
    "flights_on_demand",
    schedule=None,
    # They are the pipelines' runtime parameters too.
    params={"run_date": Param("2013-06-01", type="string", format="date")},
    default_args={"manifest": "flights/flights.manifest.json", "poll_interval": 2},
    tags=["kedro", "flights"],
):
    features = KedroVertexPipelineOperator(task_id="features", pipeline="features")
    training = KedroVertexPipelineOperator(
        task_id="training",
        pipeline="training",
        run_config={"resources": {"model.train_regressor": {"cpu": "4"}}},
    )
    reporting = KedroVertexPipelineOperator(task_id="reporting", pipeline="reporting")
    features >> training >> reporting >> announce(reporting.output)
