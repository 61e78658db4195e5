from __future__ import annotations

import copy
import time
from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_kedro_vertex.emulator.errors import ApiError, Code
from airflow_provider_kedro_vertex.emulator.spec import Dag, Retry, bind, read_pipeline

from .specs import container_spec, nested_spec

CHAIN = {"a": [], "b": ["a"], "c": ["a", "b"]}
TYPES = {
    "text": {"parameterType": "STRING"},
    "count": {"parameterType": "NUMBER_INTEGER", "defaultValue": 3},
    "rate": {"parameterType": "NUMBER_DOUBLE", "isOptional": True},
    "flag": {"parameterType": "BOOLEAN", "defaultValue": False},
    "list": {"parameterType": "LIST", "defaultValue": [1]},
    "struct": {"parameterType": "STRUCT", "defaultValue": {"a": 1}},
    "kind": {"parameterType": "STRING", "defaultValue": "x", "literals": ["x", "y"]},
}


def tasks(spec: dict[str, Any]) -> Any:
    return spec["root"]["dag"]["tasks"]


def test_a_graph_is_read_in_an_order_that_works() -> None:
    pipeline = read_pipeline(container_spec({"c": ["b"], "b": ["a"], "a": []}))
    assert isinstance(pipeline.root.body, Dag)
    assert list(pipeline.root.body.tasks) == ["a", "b", "c"]
    assert (pipeline.name, pipeline.default_root) == ("a-pipeline", "gs://bucket/root")


def test_nested_dags_are_read() -> None:
    pipeline = read_pipeline(
        nested_spec(container_spec(CHAIN), {"triggerPolicy": {"strategy": "ALL_UPSTREAM_TASKS_COMPLETED"}})
    )
    assert isinstance(pipeline.root.body, Dag)
    group = pipeline.root.body.tasks["group"].component.body
    assert isinstance(group, Dag)
    assert list(group.tasks) == ["a", "b", "c"]
    assert pipeline.root.body.tasks["last"].after_failures


def change(path: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def apply(spec: dict[str, Any]) -> None:
        *parents, last = path.split("/")
        at: Any = spec
        for key in parents:
            at = at.setdefault(key, {})
        at[last] = value

    return apply


@pytest.mark.parametrize(
    ("edit", "field", "said"),
    [
        (change("schemaVersion", "2.0.0"), "schema_version", "2.1.0"),
        (change("pipelineInfo", {}), "pipeline_info.name", "required"),
        (change("root", {}), "root.dag", "required"),
        (change("root/dag/tasks/b/dependentTasks", ["x"]), "root.dag.tasks.b.dependent_tasks", 'no task "x"'),
        (change("root/dag/tasks/a/dependentTasks", ["c"]), "root.dag.tasks", "circle"),
        (change("root/dag/tasks/a/dependentTasks", ["a"]), "root.dag.tasks", "circle"),
        (
            change("root/dag/tasks/b/componentRef", {"name": "x"}),
            "root.dag.tasks.b.component_ref.name",
            'no component "x"',
        ),
        (change("components/comp-b/executorLabel", "x"), "components.comp-b.executor_label", 'no executor "x"'),
        (change("deploymentSpec/executors/exec-b", {}), "deployment_spec.executors.exec-b.container.image", "required"),
        (
            change("deploymentSpec/executors/exec-b/container/args", ["{{$.x}}"]),
            "deployment_spec.executors.exec-b.container.args[0]",
            "no placeholder {{$.x}}",
        ),
        (
            change("deploymentSpec/executors/exec-b/container/args", ["{{$.inputs.parameters['x']}}"]),
            "deployment_spec.executors.exec-b.container.args[0]",
            'input "x"',
        ),
        (
            change("deploymentSpec/executors/exec-b/container/env", [{"name": "A-B", "value": ""}]),
            "deployment_spec.executors.exec-b.container.env[0].name",
            "C identifier",
        ),
        (
            change("root/dag/tasks/b/inputs", {"parameters": {"x": {"runtimeValue": {"constant": 1}}}}),
            "root.dag.tasks.b.inputs.parameters.x",
            "no such input",
        ),
        (
            change("components/comp-b/inputDefinitions", {"parameters": {"x": {"parameterType": "STRING"}}}),
            "root.dag.tasks.b.inputs.parameters",
            '"x" of "comp-b" is required',
        ),
        (
            change(
                "components/comp-b/inputDefinitions",
                {"parameters": {"x": {"parameterType": "STRING", "defaultValue": 5}}},
            ),
            "components.comp-b.input_definitions.parameters.x.default_value",
            "must be a STRING",
        ),
    ],
)
def test_a_wrong_spec_is_refused_with_the_place(edit: Callable[[dict[str, Any]], None], field: str, said: str) -> None:
    spec = copy.deepcopy(container_spec(CHAIN))
    edit(spec)
    with pytest.raises(ApiError) as refused:
        read_pipeline(spec)
    assert refused.value.code == Code.INVALID_ARGUMENT
    assert [v.field for v in refused.value.violations] == [f"pipeline_job.pipeline_spec.{field}"]
    assert said in refused.value.message


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (
            change("root/dag/tasks/b/parameterIterator", {"itemInput": "x", "items": {"raw": "[1]"}}),
            "loops (parameterIterator)",
        ),
        (change("root/dag/tasks/b/artifactIterator", {"itemInput": "x"}), "loops (artifactIterator)"),
        (change("root/dag/tasks/b/triggerPolicy", {"condition": "true"}), "conditions"),
        (change("deploymentSpec/executors/exec-b", {"importer": {}}), "importer executors"),
        (change("deploymentSpec/executors/exec-b", {"resolver": {}}), "resolver executors"),
        (change("deploymentSpec/executors/exec-b", {"customJob": {}}), "customJob executors"),
        (change("deploymentSpec/executors/exec-b/container/lifecycle", {"preCacheCheck": {}}), "lifecycle hooks"),
        (change("deploymentSpec/executors/exec-b/container/args", ["{{$}}"]), "the placeholder {{$}}"),
        (
            change("components/comp-b/outputDefinitions", {"parameters": {"x": {"parameterType": "STRING"}}}),
            "output parameters",
        ),
        (change("components/comp-b/outputDefinitions", {"artifacts": {"x": {}}}), "output artifacts"),
        (change("components/comp-b/inputDefinitions", {"artifacts": {"x": {}}}), "input artifacts"),
        (change("root/dag/tasks/b/cachingOptions", {"cacheKey": "k"}), "cache keys"),
    ],
)
def test_what_is_not_run_is_refused_by_name(edit: Callable[[dict[str, Any]], None], said: str) -> None:
    spec = copy.deepcopy(container_spec(CHAIN))
    edit(spec)
    with pytest.raises(ApiError) as refused:
        read_pipeline(spec)
    assert (refused.value.code, refused.value.http_status) == (Code.UNIMPLEMENTED, 501)
    assert f"{said} " in refused.value.message


def test_a_component_inside_itself_is_refused() -> None:
    spec = nested_spec(container_spec(CHAIN))
    spec["components"]["comp-group"]["dag"]["tasks"]["a"]["componentRef"] = {"name": "comp-group"}
    with pytest.raises(ApiError, match="contains itself"):
        read_pipeline(spec)


def test_values_are_bound_to_the_inputs() -> None:
    root = read_pipeline(container_spec({"a": []}, parameters=TYPES)).root
    assert bind(root, {"text": "x", "count": 5, "rate": 1}, "p") == {
        "text": "x",
        "count": 5,
        "rate": 1,
        "flag": False,
        "list": [1],
        "struct": {"a": 1},
        "kind": "x",
    }
    assert bind(root, {"text": ""}, "p")["rate"] is None


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({}, "p.text"),
        ({"text": None}, "p.text"),
        ({"text": 5}, "p.text"),
        ({"text": "x", "more": 1}, "p.more"),
        ({"text": "x", "count": 1.5}, "p.count"),
        ({"text": "x", "count": True}, "p.count"),
        ({"text": "x", "count": "1"}, "p.count"),
        ({"text": "x", "rate": "1"}, "p.rate"),
        ({"text": "x", "flag": 0}, "p.flag"),
        ({"text": "x", "list": {}}, "p.list"),
        ({"text": "x", "struct": []}, "p.struct"),
        ({"text": "x", "kind": "z"}, "p.kind"),
    ],
)
def test_wrong_values_are_refused(given: dict[str, Any], field: str) -> None:
    root = read_pipeline(container_spec({"a": []}, parameters=TYPES)).root
    with pytest.raises(ApiError) as refused:
        bind(root, given, "p")
    assert [v.field for v in refused.value.violations] == [field]


def test_backoff() -> None:
    retry = Retry(5, first=10, factor=3, longest=50)
    assert [retry.delay(n) for n in (1, 2, 3, 9999)] == [10, 30, 50, 50]


def test_a_large_spec_is_read_quickly() -> None:
    large = {f"t{n}": [f"t{m}" for m in range(max(0, n - 3), n)] for n in range(400)}
    spec = container_spec(
        large, parameters=TYPES, args={name: ["--x", "{{$.inputs.parameters['text']}}"] for name in large}
    )
    before = time.process_time()
    read_pipeline(spec)
    assert time.process_time() - before < 1
