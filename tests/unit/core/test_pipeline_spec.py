# Annotations stay values here: kfp's DSL reads those of the components below.

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from google.cloud import aiplatform_v1, aiplatform_v1beta1
from google.protobuf import json_format
from kfp import compiler, components, dsl
from kfp.pipeline_spec import pipeline_spec_pb2

from airflow_provider_kedro_vertex import __version__
from airflow_provider_kedro_vertex.core.errors import ConfigError
from airflow_provider_kedro_vertex.core.jobs.identity import RunContext
from airflow_provider_kedro_vertex.core.jobs.job_body import environment
from airflow_provider_kedro_vertex.core.jobs.pipeline_spec import (
    pipeline_job,
    pipeline_spec,
)
from airflow_provider_kedro_vertex.core.plan.plan import COMMAND, NodeGroup, Plan, build_plan
from airflow_provider_kedro_vertex.core.project import manifest as manifests
from airflow_provider_kedro_vertex.core.project.manifest import Manifest, Node, Pipeline, Project
from airflow_provider_kedro_vertex.core.settings.nodes import Resources
from airflow_provider_kedro_vertex.core.settings.run_config import RunConfig

GOLDEN = Path(__file__).parents[2] / "golden"

#: Set it to renew the golden files; then look at their difference before committing.
RENEW = "RENEW_GOLDEN"


def awkward_manifest() -> Manifest:
    """Names and settings that a spec could trip over."""
    nodes = (
        Node("1 first", (), ("a", "b")),
        Node('it\'s "quoted" ${x} {{y}} ä', ("a",), ("c",)),
        Node("x" * 200, ("a", "c"), ()),
    )
    config = RunConfig.from_dict({"image": "registry.test/a@sha256:0", "root": "b", "description": "a: b # c\nd 'e'"})
    pipelines = {"Daily run": Pipeline("Daily run", nodes)}
    return Manifest(Project("Ä shop", "shop", "1.0.0"), "prod", config, {}, {}, pipelines)


#: All that a PipelineJob can carry for a node.
RICH: dict[str, Any] = {
    "on_exit_pipeline": "orders",
    "resources": {"report": {"gpu": 2, "accelerator_type": "NVIDIA_L4"}},
    "nodes": {
        "__default__": {"env": {"KEDRO_CONFIG_STAGE": "prod", "PRICE": "$(A) $$ $5"}},
        "report": {"image": "registry.test/report:2", "caching": True, "cache_key": "k", "runner": "thread"},
        "write_table": {"caching": True, "secret_env": {"TOKEN": "projects/p/secrets/s/versions/1"}},
    },
    "retry_policy": {"wide": {"num_retries": 3, "backoff_duration": "90s"}, "report": {"num_retries": 0}},
    "network": {"host_aliases": [{"ip": "10.0.0.1", "hostnames": ["db.internal"]}]},
    "dynamic_config_providers": [{"cls": "shop.conf.Tokens", "params": {"a": 1}}],
    "mlflow": {"request_header_provider": {"cls": "shop.auth.Headers"}},
}


def rich_plan(manifest: Manifest) -> Plan:
    return build_plan(manifest, config=manifest.config.overridden(RICH))


def specs(manifest: Manifest) -> dict[str, dict[str, Any]]:
    return {
        "small_shop_rich": pipeline_spec(rich_plan(manifest)),
        "small_shop_grouped": pipeline_spec(
            build_plan(manifest, config=manifest.config.overridden({"grouping": "memory"}))
        ),
        "small_shop": pipeline_spec(build_plan(manifest)),
        "small_shop_orders": pipeline_spec(build_plan(manifest, "orders")),
        "awkward": pipeline_spec(build_plan(awkward_manifest(), "Daily run")),
    }


SPECS = ["small_shop", "small_shop_orders", "small_shop_rich", "small_shop_grouped", "awkward"]


@pytest.mark.parametrize("name", SPECS)
def test_the_spec_is_the_golden_one(manifest: Manifest, name: str) -> None:
    spec = specs(manifest)[name]
    assert spec["sdkVersion"] == f"airflow-provider-kedro-vertex-{__version__}"
    text = json.dumps({**spec, "sdkVersion": "airflow-provider-kedro-vertex-VERSION"}, indent=1) + "\n"
    file = GOLDEN / f"{name}.pipeline_spec.json"
    if os.environ.get(RENEW):
        file.write_text(text, encoding="utf-8")
    assert file.read_text(encoding="utf-8") == text, f"Meant to change? Renew the golden files: {RENEW}=1 pytest"


def test_the_golden_manifest_is_still_read_and_written(manifest: Manifest) -> None:
    """Airflow may be a release ahead of the project: a manifest of this schema version stays readable."""
    file = GOLDEN / "small_shop.manifest.json"
    if os.environ.get(RENEW):
        manifests.write(manifest, file)
    assert manifests.read(file) == manifest
    assert file.read_text(encoding="utf-8") == manifests.dumps(manifest)


@pytest.mark.parametrize("name", SPECS)
def test_kfp_accepts_the_spec(manifest: Manifest, name: str) -> None:
    spec = specs(manifest)[name]
    message = json_format.ParseDict(spec, pipeline_spec_pb2.PipelineSpec())
    # Nothing is lost on the way, so no key is one that only this package knows.
    again = json_format.ParseDict(json_format.MessageToDict(message), pipeline_spec_pb2.PipelineSpec())
    assert again == message
    assert set(message.root.dag.tasks) == set(spec["root"]["dag"]["tasks"])
    loaded = components.load_component_from_text(json.dumps(spec))
    assert loaded.pipeline_spec == message
    assert loaded.name == spec["pipelineInfo"]["name"]


def kfp_spec(plan: Plan, folder: Path) -> dict[str, Any]:
    """The same graph, built with kfp's DSL as a person would."""

    def component(group: NodeGroup) -> Any:
        def run(runtime_params: str, run_context: str):  # type: ignore[no-untyped-def]
            arguments = [*group.arguments, "--params", runtime_params, "--context", run_context]
            return dsl.ContainerSpec(image=group.image, command=list(COMMAND), args=arguments)

        def last(runtime_params: str, run_context: str, final_status: dsl.PipelineTaskFinalStatus):  # type: ignore[no-untyped-def]
            arguments = [*group.arguments, "--params", runtime_params, "--context", run_context]
            arguments += ["--final-status", final_status]
            return dsl.ContainerSpec(image=group.image, command=list(COMMAND), args=arguments)

        function = last if group is plan.exit_group else run
        function.__name__ = group.task_id.replace("-", "_")
        return dsl.container_component(function)

    def task_of(group: NodeGroup, runtime_params: str, run_context: str) -> Any:
        task = component(group)(runtime_params=runtime_params, run_context=run_context)
        task.set_display_name(group.name)
        settings, wanted = group.settings, group.resources
        if settings.caching:
            task.set_caching_options(True, cache_key=settings.cache_key)
        else:
            task.set_caching_options(False)
        if wanted.cpu:
            task.set_cpu_limit(wanted.cpu).set_cpu_request(wanted.cpu)
        if wanted.memory:
            task.set_memory_limit(wanted.memory).set_memory_request(wanted.memory)
        if wanted.gpu:
            task.set_accelerator_type(wanted.accelerator_type).set_accelerator_limit(wanted.gpu)
        for variable in environment(settings, plan.experiment_variables):
            task.set_env_variable(variable["name"], variable["value"])
        if group.retry and group.retry.num_retries:
            retry = group.retry
            task.set_retry(retry.num_retries, retry.backoff_duration, retry.backoff_factor, retry.backoff_max_duration)
        return task

    @dsl.pipeline(name=plan.name, description=plan.config.description, pipeline_root=plan.root)
    def pipeline(run_context: str, runtime_params: str = "{}") -> None:
        tasks: dict[str, Any] = {}

        def nodes() -> None:
            for group in plan.groups:
                tasks[group.task_id] = task_of(group, runtime_params, run_context)
                tasks[group.task_id].after(*(tasks[name] for name in group.upstream))

        if plan.exit_group is None:
            nodes()
        else:
            with dsl.ExitHandler(task_of(plan.exit_group, runtime_params, run_context), name=plan.pipeline):
                nodes()

    file = folder / "kfp.yaml"
    compiler.Compiler().compile(pipeline, str(file))
    value: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))
    return value


@pytest.mark.parametrize("pipeline", ["__default__", "orders", "with an exit pipeline"])
def test_an_equal_graph_of_kfps_dsl_compiles_to_the_same_spec(
    manifest: Manifest, pipeline: str, tmp_path: Path
) -> None:
    plan = rich_plan(manifest) if pipeline == "with an exit pipeline" else build_plan(manifest, pipeline)
    ours, theirs = pipeline_spec(plan), kfp_spec(plan, tmp_path)
    for spec in (ours, theirs):
        del spec["sdkVersion"]
        inside = spec["components"].get("comp-exit-handler-1", {}).get("dag", {"tasks": {}})
        for task in (*spec["root"]["dag"]["tasks"].values(), *inside["tasks"].values()):
            task.get("dependentTasks", []).sort()
    assert ours == theirs


@pytest.mark.parametrize(
    ("resources", "written"),
    [
        (Resources(), None),
        (
            Resources(cpu="500m"),
            {"cpuLimit": 0.5, "cpuRequest": 0.5, "resourceCpuLimit": "500m", "resourceCpuRequest": "500m"},
        ),
        (Resources(gpu="0", accelerator_type="NVIDIA_L4"), None),
        (
            Resources(gpu="2", accelerator_type="NVIDIA_L4"),
            {
                "accelerator": {
                    "type": "NVIDIA_L4",
                    "count": "2",
                    "resourceType": "NVIDIA_L4",
                    "resourceCount": "2",
                }
            },
        ),
    ],
)
def test_resources_are_written_where_they_are_asked_for(resources: Resources, written: dict[str, Any] | None) -> None:
    config = RunConfig(image="i", root="gs://b", resources={"__default__": resources})
    pipelines = {"__default__": Pipeline("__default__", (Node("a", (), ("x",)),))}
    spec = pipeline_spec(build_plan(Manifest(Project("p", "p", "1"), None, config, {}, {}, pipelines)))
    assert spec["deploymentSpec"]["executors"]["exec-a"]["container"].get("resources") == written


def test_the_bytes_are_the_same_in_every_process(manifest: Manifest, tmp_path: Path) -> None:
    file = tmp_path / "m.json"
    manifests.write(manifest, file)
    code = (
        "import json, pathlib, sys\n"
        "from airflow_provider_kedro_vertex.core.jobs import pipeline_spec\n"
        "from airflow_provider_kedro_vertex.core.plan import plan\n"
        "from airflow_provider_kedro_vertex.core.project import manifest\n"
        "read = manifest.read(pathlib.Path(sys.argv[1]))\n"
        "print(manifest.dumps(read), json.dumps(pipeline_spec.pipeline_spec(plan.build_plan(read))))\n"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code, str(file)],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("0", "1", "2", "3")
    }
    expected = manifests.dumps(manifest) + " " + json.dumps(pipeline_spec(build_plan(manifest))) + "\n"
    assert outputs == {expected.encode()}


def test_the_body_of_a_job(manifest: Manifest) -> None:
    plan = build_plan(manifest, config=manifest.config.overridden({"service_account": "runner@shop.test"}))
    context = RunContext("key", "dag", "run", None, None, None, plan.root, "version", "key-run-1")
    body = pipeline_job(plan, context, '{"a": 1}', "d" * 200, {"dag": "x"})
    assert body == {
        "displayName": "d" * 128,
        "labels": {"dag": "x"},
        "pipelineSpec": pipeline_spec(plan),
        "runtimeConfig": {
            "gcsOutputDirectory": "gs://shop/runs",
            "parameterValues": {"runtime_params": '{"a": 1}', "run_context": context.to_json()},
        },
        "serviceAccount": "runner@shop.test",
    }
    assert "serviceAccount" not in pipeline_job(build_plan(manifest), context, "{}", "d", {})


def body(manifest: Manifest, **config: Any) -> dict[str, Any]:
    plan = build_plan(manifest, config=manifest.config.overridden(config))
    context = RunContext("key", "dag", "run", None, None, None, plan.root, "version", "key-run-1")
    job = pipeline_job(plan, context, "{}", "d", {"dag": "x"})
    # By the same field VertexClient chooses the version that it calls.
    api = aiplatform_v1beta1 if "defaultRuntime" in job["runtimeConfig"] else aiplatform_v1
    without_spec = {key: value for key, value in job.items() if key != "pipelineSpec"}
    # The type of Google's client takes every field: one that it does not know raises.
    json_format.ParseDict(without_spec, api.PipelineJob.pb(api.PipelineJob()))
    return job


def test_everything_that_a_job_can_carry(manifest: Manifest) -> None:
    job = body(
        manifest,
        labels={"team": "shop", "dag": "loses"},
        failure_policy="fast",
        preflight_validations=True,
        encryption_spec_key_name="projects/p/locations/l/keyRings/r/cryptoKeys/k",
        network={
            "reserved_ip_ranges": ["range"],
            "psc_interface": {
                "network_attachment": "attachment",
                "dns_peering": [{"domain": "shop.internal.", "target_project": "p", "target_network": "n"}],
            },
        },
        persistent_resource={
            "name": "projects/p/locations/l/persistentResources/r",
            "wait_ms": 1000,
            "on_unavailable": "fall_back_to_on_demand",
        },
    )
    assert job["labels"] == {"team": "shop", "dag": "x"}
    assert job["preflightValidations"] is True
    assert job["encryptionSpec"] == {"kmsKeyName": "projects/p/locations/l/keyRings/r/cryptoKeys/k"}
    assert job["reservedIpRanges"] == ["range"]
    assert job["pscInterfaceConfig"] == {
        "networkAttachment": "attachment",
        "dnsPeeringConfigs": [{"domain": "shop.internal.", "targetProject": "p", "targetNetwork": "n"}],
    }
    assert job["runtimeConfig"]["failurePolicy"] == "PIPELINE_FAILURE_POLICY_FAIL_FAST"
    assert job["runtimeConfig"]["defaultRuntime"] == {
        "persistentResourceRuntimeDetail": {
            "persistentResourceName": "projects/p/locations/l/persistentResources/r",
            "taskResourceUnavailableWaitTimeMs": 1000,
            "taskResourceUnavailableTimeoutBehavior": "FALL_BACK_TO_ON_DEMAND",
        }
    }
    assert body(manifest, network={"vpc": "projects/1/global/networks/n"})["network"] == "projects/1/global/networks/n"
    with pytest.raises(ConfigError, match=r"network\.vpc and network\.psc_interface are both set"):
        body(manifest, network={"vpc": "n", "psc_interface": {"network_attachment": "a"}})


def test_no_parameter_is_read_as_a_variable(manifest: Manifest) -> None:
    plan = build_plan(manifest)
    context = RunContext("key", "dag", "run", None, None, None, plan.root, "version", "key-run-1")
    params = {"price": "$(HOME) $$ $5"}
    values = pipeline_job(plan, context, json.dumps(params), "d", {})["runtimeConfig"]["parameterValues"]
    assert "$" not in values["runtime_params"]
    assert json.loads(values["runtime_params"]) == params
