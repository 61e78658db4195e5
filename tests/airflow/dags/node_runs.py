"""A pipeline whose nodes are Airflow tasks; the tests put `nodes.manifest.json` beside the copy of this file."""

from datetime import datetime

from airflow_provider_kedro_vertex import kedro_vertex_dag

given = {
    "manifest": "nodes.manifest.json",
    "schedule": None,
    "start_date": datetime(2013, 6, 1),
    "catchup": False,
    "poll_interval": 1,
    "deferrable": True,
}

# The node that fails once has a Spot machine of its own: a CustomJob inside of the PipelineJob.
spot = {
    "resources": {"model.fit": {"machine_type": "n1-highmem-8", "disk": {"boot_disk_size_gb": 200}}},
    "nodes": {"model.fit": {"scheduling": {"strategy": "spot"}}},
}
watched = kedro_vertex_dag("watched", watch="nodes", run_config=spot, **given)
custom_jobs = kedro_vertex_dag("custom_jobs", mode="custom_job", **given)
one_job = kedro_vertex_dag("one_job", default_args={"retries": 0}, **given)
rescheduled = kedro_vertex_dag("rescheduled", watch="nodes", **{**given, "deferrable": False})
stopped = kedro_vertex_dag("stopped", watch="nodes", run_config={"nodes": {"model.fit": {"image": "lives"}}}, **given)
deleted = kedro_vertex_dag("deleted", watch="nodes", run_config={"nodes": {"load": {"image": "lives"}}}, **given)

some = {**given, "selection": {"to_outputs": ["model.line"]}}
some_watched = kedro_vertex_dag("some_watched", watch="nodes", **some)
some_custom_jobs = kedro_vertex_dag("some_custom_jobs", mode="custom_job", **some)
some_in_one_job = kedro_vertex_dag("some_in_one_job", **some)

# What a person chose in the form: some of the nodes, and another image.
chosen = {**given, "manifest": "stored.manifest.json", "ask_for": ["only_nodes", "image"]}
chosen_watched = kedro_vertex_dag("chosen_watched", watch="nodes", **chosen)
chosen_custom_jobs = kedro_vertex_dag("chosen_custom_jobs", mode="custom_job", **chosen)
chosen_in_one_job = kedro_vertex_dag("chosen_in_one_job", **chosen)

many = {**given, "manifest": "many.manifest.json"}
many_watched = kedro_vertex_dag("many_watched", watch="nodes", **many)
many_jobs = kedro_vertex_dag("many_jobs", mode="custom_job", **many)
daily = {**given, "schedule": "@daily", "end_date": datetime(2013, 6, 30)}
side_by_side = kedro_vertex_dag("side_by_side", mode="custom_job", max_active_runs=10, **daily)
