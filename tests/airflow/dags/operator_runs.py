"""Tasks that each show one behaviour; the tests put `small.manifest.json` beside this file's copy."""

from datetime import datetime
from functools import partial

from airflow.providers.common.compat.sdk import DAG, task, task_group

from airflow_provider_kedro_vertex import kedro_vertex_task_group
from airflow_provider_kedro_vertex.operators import (
    KedroVertexCustomJobOperator,
    KedroVertexExitOperator,
    KedroVertexPipelineOperator,
)
from airflow_provider_kedro_vertex.sensors import KedroVertexPipelineSensor

CustomJob = partial(KedroVertexCustomJobOperator, group="make_rows")

with DAG(
    "operator_runs",
    schedule="@daily",
    start_date=datetime(2013, 6, 1),
    catchup=False,
    params={"run_date": "{{ ds }}", "threshold": 0.5, "typed": "not typed"},
    default_args={"manifest": "small.manifest.json", "pipeline": "first", "poll_interval": 0.2, "deferrable": False},
):
    KedroVertexPipelineOperator(
        task_id="waits",
        params={"model.depth": 3, "days": ["{{ macros.ds_add(ds, -1) }}", 7], "quote": "it's \"$(X)\"\n{{ '{{$}}' }}"},
    )
    submits = KedroVertexPipelineOperator(task_id="submits", wait_for_completion=False)
    name = "{{ ti.xcom_pull(task_ids='submits')['name'] }}"
    submits >> KedroVertexPipelineSensor(task_id="pokes", job=name, poke_interval=0.2)
    kedro_vertex_task_group("group", pipeline="first", manifest="small.manifest.json", deferrable=False)

    # Fan-out. What a task leaves is data and no template.
    @task
    def countries():
        return [{"country": "{{ ds }}"}, {"country": "fr", "model.depth": 5}]

    mapped = KedroVertexPipelineOperator.partial(task_id="mapped", params={"model.depth": 3}).expand(
        runtime_params=[{"country": "de"}, {"country": "{{ ds }}", "model": {"depth": 4}}]
    )
    KedroVertexPipelineOperator.partial(task_id="mapped_later").expand(runtime_params=countries())
    jobs = KedroVertexCustomJobOperator.partial(task_id="mapped_jobs", group="make_rows").expand(
        runtime_params=countries()
    )

    @task
    def choose():
        return {"rows": 14, "lookup": {1: "one"}}

    chosen = {"rows": "{{ ti.xcom_pull('choose')['rows'] }}", "lookup": "{{ ti.xcom_pull('choose')['lookup'] }}"}
    choose() >> KedroVertexPipelineOperator(task_id="chosen", params={**chosen, "horizons": {7: "week"}})

    @task_group
    def each(country):
        given = {"pipeline": "first", "manifest": "small.manifest.json", "runtime_params": {"country": country}}
        given |= {"deferrable": False, "poll_interval": 0.2}
        kedro_vertex_task_group("job", **given)
        kedro_vertex_task_group("nodes", watch="nodes", **given)
        kedro_vertex_task_group("custom", mode="custom_job", **given)

    tell = partial(KedroVertexExitOperator, run_config={"on_exit_pipeline": "tell"}, trigger_rule="all_done")
    [mapped, jobs, each.expand(country=["de", "fr"])] >> tell(task_id="tells_success")
    fails = KedroVertexPipelineOperator.partial(task_id="mapped_fails").expand(runtime_params=[{}, {"exit": 4}])
    fails >> tell(task_id="tells_failure")
    no_job = KedroVertexPipelineOperator.partial(task_id="mapped_no_job").expand(runtime_params=[{}, "no params"])
    no_job >> tell(task_id="tells_no_job")
    nothing = KedroVertexPipelineOperator.partial(task_id="mapped_over_nothing").expand(runtime_params=[])
    [mapped, nothing] >> tell(task_id="tells_nothing")

    for number, scope in enumerate(("both", "{{ 'both' }}")):
        KedroVertexPipelineOperator(task_id=f"shares_{number}", data_scope=scope)

    KedroVertexPipelineOperator(task_id="large", params={"text": "x" * 200_000})
    KedroVertexPipelineOperator(
        task_id="overridden",
        display_name="{{ task.task_id }} of {{ ds }}",
        labels={"team": "{{ dag.dag_id }}"},
        job_overrides={
            "runtimeConfig": {"failurePolicy": "PIPELINE_FAILURE_POLICY_FAIL_FAST"},
            "network": "projects/1/global/networks/day-{{ ds }}",
        },
    )

    KedroVertexPipelineOperator(task_id="node_fails", params={"exit": 4})
    failing = KedroVertexPipelineOperator(task_id="submits_failing", params={"exit": 4}, wait_for_completion=False)
    failing_name = "{{ ti.xcom_pull(task_ids='submits_failing')['name'] }}"
    failing >> KedroVertexPipelineSensor(task_id="sees_failure", job=failing_name, poke_interval=0.2, retries=3)

    # Wrong in ways that no retry mends, so that their retries are not used.
    wrong = {"retries": 3}
    KedroVertexPipelineOperator(task_id="no_manifest", manifest="none.json", **wrong)
    KedroVertexPipelineOperator(task_id="unknown_pipeline", pipeline="frist", **wrong)
    KedroVertexPipelineOperator(task_id="unknown_setting", run_config={"imgae": "x"}, **wrong)
    KedroVertexPipelineOperator(task_id="no_json", params={"moment": "{{ ds }}", "a": 1, "a.b": 2}, **wrong)
    KedroVertexPipelineOperator(task_id="bad_param", params={"day": "{{ nobody }}"}, **wrong)
    KedroVertexPipelineOperator(task_id="bad_runtime_param", runtime_params={"day": "{{ nobody }}"}, **wrong)
    KedroVertexPipelineOperator.partial(task_id="bad_mapped_param", **wrong).expand(
        runtime_params=[{"country": "{{ nobody }}"}]
    )
    CustomJob(task_id="bad_label", labels={"team": "{{ nobody }}"}, **wrong)
    KedroVertexPipelineOperator(task_id="no_number", params={"rows": "{{ ds }}"}, **wrong)
    KedroVertexPipelineOperator(task_id="checked", run_config={"labels": {"Team": "x"}}, **wrong)
    KedroVertexPipelineOperator(task_id="output_only", job_overrides={"state": "x"}, **wrong)
    KedroVertexPipelineOperator(task_id="refused", region="nowhere!", **wrong)
    KedroVertexPipelineOperator(task_id="unknown_image", run_config={"image": "registry/{{ ds }}:1"})
    KedroVertexPipelineOperator(task_id="nobody_answers", gcp_conn_id="nobody")
    h100 = {"gpu": "1", "accelerator_type": "NVIDIA_H100_80GB"}
    networks = {"vpc": "projects/1/global/networks/n", "psc_interface": {"network_attachment": "attachment"}}
    for kind, given in (("pipeline", KedroVertexPipelineOperator), ("custom", CustomJob)):
        given(task_id=f"two_networks_{kind}", run_config={"network": networks}, **wrong)
    CustomJob(task_id="no_accelerator", region="africa-south1", run_config={"resources": {"make_rows": h100}}, **wrong)
    CustomJob(task_id="no_group", group="make_row", **wrong)
    CustomJob(task_id="one_group", params={"day": "{{ ds }}"}, project_id="{{ 'demo-project' }}")
    KedroVertexPipelineSensor(task_id="no_job", job="projects/demo-project/locations/europe-west1/pipelineJobs/none")
    KedroVertexPipelineSensor(task_id="no_name", job="job-1", **wrong)
