# Annotations stay values here: kfp's DSL reads those of the components below.

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from google.protobuf import json_format
from kfp import compiler, components, dsl
from kfp.pipeline_spec import pipeline_spec_pb2

from airflow_provider_kedro_vertex import __version__
from airflow_provider_kedro_vertex.core import manifest as manifests
from airflow_provider_kedro_vertex.core.config import Resources, RunConfig
from airflow_provider_kedro_vertex.core.identity import RunContext
from airflow_provider_kedro_vertex.core.manifest import Manifest, Node, Pipeline, Project
from airflow_provider_kedro_vertex.core.pipeline_spec import pipeline_job, pipeline_spec
from airflow_provider_kedro_vertex.core.plan import COMMAND, NodeGroup, Plan, build_plan

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


def specs(manifest: Manifest) -> dict[str, dict[str, Any]]:
    return {
        "small_shop": pipeline_spec(build_plan(manifest)),
        "small_shop_orders": pipeline_spec(build_plan(manifest, "orders")),
        "awkward": pipeline_spec(build_plan(awkward_manifest(), "Daily run")),
    }


@pytest.mark.parametrize("name", ["small_shop", "small_shop_orders", "awkward"])
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


@pytest.mark.parametrize("name", ["small_shop", "small_shop_orders", "awkward"])
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

        run.__name__ = group.task_id.replace("-", "_")
        return dsl.container_component(run)

    @dsl.pipeline(name=plan.name, description=plan.config.description, pipeline_root=plan.root)
    def pipeline(run_context: str, runtime_params: str = "{}") -> None:
        tasks: dict[str, Any] = {}
        for group in plan.groups:
            task = component(group)(runtime_params=runtime_params, run_context=run_context)
            task.set_display_name(group.name).set_caching_options(False)
            task.after(*(tasks[name] for name in group.upstream))
            wanted = group.resources
            if wanted.cpu:
                task.set_cpu_limit(wanted.cpu).set_cpu_request(wanted.cpu)
            if wanted.memory:
                task.set_memory_limit(wanted.memory).set_memory_request(wanted.memory)
            if wanted.gpu:
                task.set_accelerator_type(wanted.accelerator_type).set_accelerator_limit(wanted.gpu)
            tasks[group.task_id] = task

    file = folder / "kfp.yaml"
    compiler.Compiler().compile(pipeline, str(file))
    value: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))
    return value


@pytest.mark.parametrize("pipeline", ["__default__", "orders"])
def test_an_equal_graph_of_kfps_dsl_compiles_to_the_same_spec(
    manifest: Manifest, pipeline: str, tmp_path: Path
) -> None:
    plan = build_plan(manifest, pipeline)
    ours, theirs = pipeline_spec(plan), kfp_spec(plan, tmp_path)
    for spec in (ours, theirs):
        del spec["sdkVersion"]
        for task in spec["root"]["dag"]["tasks"].values():
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
        "from airflow_provider_kedro_vertex.core import manifest, pipeline_spec, plan\n"
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
