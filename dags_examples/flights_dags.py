"""Every registered pipeline of the Kedro project in `flights/` as a DAG, one run for each day of the data.

The whole pipeline is there in the other two modes too, each with a place of its own for its results.
"""

from datetime import datetime, timezone
from typing import Any

from airflow_provider_kedro_vertex import kedro_vertex_dag, kedro_vertex_dags

given: dict[str, Any] = {
    "manifest": "flights/flights.manifest.json",
    "schedule": "@daily",
    # The data are those of 2013; the model learns from the 35 days before its own.
    "start_date": datetime(2013, 2, 6, tzinfo=timezone.utc),
    "end_date": datetime(2013, 12, 31, tzinfo=timezone.utc),
    "catchup": False,
    # Seconds between two looks at a job; 60 is right where a node takes minutes.
    "poll_interval": 2,
    # Nothing is scheduled by these datasets, so that the triggerer may end the tasks; see docs/assets.md.
    "assets": False,
}

# One PipelineJob for each run: a task submits it, and a sensor waits for it.
kedro_vertex_dags(globals(), params={"run_date": "{{ ds }}"}, **given)

# One PipelineJob for each run, and a sensor for each of its nodes. One node has a Spot machine and a disk of its own:
# it is a CustomJob that is a task of the PipelineJob.
flights_nodes = kedro_vertex_dag(
    "flights_nodes",
    watch="nodes",
    params={"run_date": "{{ ds }}", "storage": "gs://flights-demo/nodes"},
    run_config={
        "resources": {"model.train_regressor": {"machine_type": "n1-highmem-8", "disk": {"boot_disk_size_gb": 200}}},
        "nodes": {"model.train_regressor": {"scheduling": {"strategy": "spot"}}},
    },
    **given,
)

# One CustomJob for each node.
flights_custom_jobs = kedro_vertex_dag(
    "flights_custom_jobs",
    mode="custom_job",
    params={"run_date": "{{ ds }}", "storage": "gs://flights-demo/custom_jobs"},
    **given,
)

# The graph is Airflow's: other tasks may come before, after or between the nodes.
flights_custom_jobs.tasks_map["evaluate"].doc_md = "Its result is the mean error that the demo shows."
