"""Compile pipelines of Google's custom job components, which the tests read. It needs google-cloud-pipeline-components.

python compile_components.py FOLDER
"""

# kfp reads the annotations and the defaults: they are in the forms that it knows.
# ruff: noqa: RUF013

import sys
from pathlib import Path

from google_cloud_pipeline_components.v1 import custom_job  # type: ignore[import-not-found]
from kfp import compiler, dsl

POOL = {
    "machine_spec": {"machine_type": "n1-highmem-8"},
    "replica_count": 1,
    "disk_spec": {"boot_disk_size_gb": 200},
}


@dsl.pipeline(name="op")
def op(text: str = "hello", labels: dict = {"team": "sales"}):  # noqa: B006
    """A job by its worker pools, with a parameter inside."""
    container = {"image_uri": "image", "command": ["python"], "args": ["train", text, f"--also={text}"]}
    custom_job.CustomTrainingJobOp(
        display_name="train of op",
        worker_pool_specs=[{**POOL, "container_spec": container}],
        strategy="SPOT",
        labels=labels,
        base_output_directory="gs://bucket/out",
    ).set_retry(1, backoff_duration="0s").set_caching_options(False)


@dsl.component(base_image="python:3.11", install_kfp_package=False)
def double(rows: dsl.Output[dsl.Dataset], text: str, label: str = None) -> str:
    with open(rows.path, "w") as file:
        file.write(text * 2)
    return f"{text}, {label}"


@dsl.component(base_image="python:3.11", install_kfp_package=False)
def read(rows: dsl.Input[dsl.Dataset], resources: str) -> str:
    with open(rows.path) as file:
        return f"{file.read()} {len(resources) > 0}"


@dsl.pipeline(name="from-component")
def from_component():
    """A Python component as a job, and one after it that reads what it made."""
    job = custom_job.create_custom_training_job_from_component(
        double, display_name="double of from-component", machine_type="n1-standard-4", replica_count=1
    )
    doubled = job(text="abc").set_caching_options(False)
    read(rows=doubled.outputs["rows"], resources=doubled.outputs["gcp_resources"]).set_caching_options(False)


@dsl.container_component
def write_table(run_context: str, runtime_params: str):
    return dsl.ContainerSpec(
        image="registry.test/shop:1.0.0",
        command=["python", "-m", "airflow_provider_kedro_vertex.runtime", "run"],
        args=["--pipeline", "__default__", "--node", "write_table", "--executor-input", "{{$}}"],
    )


@dsl.pipeline(name="node")
def node(run_context: str, runtime_params: str = "{}"):
    """A node of a Kedro project on a Spot machine of its own, as a person would write it."""
    job = custom_job.create_custom_training_job_from_component(
        write_table,
        display_name="small-shop-write-table",
        machine_type="n1-highmem-8",
        boot_disk_type="pd-ssd",
        boot_disk_size_gb=200,
        accelerator_type="NVIDIA_TESLA_T4",
        accelerator_count=1,
        replica_count=3,
        strategy="SPOT",
        timeout="3600s",
        restart_job_on_worker_restart=True,
        service_account="{{$.pipeline_service_account}}",
        network="projects/123/global/networks/shop",
        reserved_ip_ranges=["range"],
        encryption_spec_key_name="projects/p/locations/europe-west1/keyRings/r/cryptoKeys/k",
        tensorboard="projects/p/locations/europe-west1/tensorboards/1",
        enable_web_access=True,
        nfs_mounts=[{"server": "10.0.0.1", "path": "/data", "mount_point": "data"}],
        persistent_resource_id="machines",
        base_output_directory="gs://shop/runs/{{$.pipeline_job_name}}/write-table",
        labels={"team": "shop", "kedro-group": "write-table", "kedro-submission": "pipeline-job"},
        env=[
            {"name": "KEDRO_VERTEX_EXPERIMENT", "value": "shop"},
            {"name": "MALLOC_MMAP_THRESHOLD_", "value": "33554432"},
            {"name": "MALLOC_TRIM_THRESHOLD_", "value": "67108864"},
            {"name": "PRICE", "value": "$$(A) $$$ $5"},
        ],
        reservation_affinity_type="SPECIFIC_RESERVATION",
        reservation_affinity_key="compute.googleapis.com/reservation-name",
        reservation_affinity_values=["projects/p/zones/z/reservations/r"],
    )
    job(run_context=run_context, runtime_params=runtime_params).set_display_name("write_table").set_caching_options(
        False
    )


if __name__ == "__main__":
    for pipeline in (op, from_component, node):
        compiler.Compiler().compile(pipeline, str(Path(sys.argv[1]) / f"{pipeline.name}.yaml"))
