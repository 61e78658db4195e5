from __future__ import annotations

import copy
import time
from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_kedro_vertex.emulator.resources.errors import ApiError, Code
from airflow_provider_kedro_vertex.emulator.spec.graph import (
    ComponentInput,
    Container,
    Dag,
    Importer,
    Loop,
    Resources,
    Retry,
    TaskOutput,
    bind,
)
from airflow_provider_kedro_vertex.emulator.spec.placeholders import Ref, Source
from airflow_provider_kedro_vertex.emulator.spec.reader import read_pipeline
from tests.unit.emulator.specs import container_spec, nested_spec

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
        (change("deploymentSpec/executors/exec-b", {"resolver": {}}), "resolver executors"),
        (change("deploymentSpec/executors/exec-b", {"customJob": {}}), "customJob executors"),
        (change("deploymentSpec/executors/exec-b/container/lifecycle", {"preCacheCheck": {}}), "lifecycle hooks"),
        (
            change("deploymentSpec/executors/exec-b/container/args", ["{{$.inputs.artifacts['x'].value}}"]),
            "the placeholder {{$.inputs.artifacts['x'].value}}",
        ),
        (
            change("components/comp-b/outputDefinitions", {"artifacts": {"x": {"isArtifactList": True}}}),
            "lists of artifacts that one container makes",
        ),
        (
            change(
                "components/comp-b/inputDefinitions",
                {"parameters": {"x": {"parameterType": "TASK_CONFIG", "isOptional": True}}},
            ),
            "parameters of type TASK_CONFIG",
        ),
        (
            change(
                "root/dag/tasks/b/inputs",
                {
                    "parameters": {
                        "pipelinechannel--x": {
                            "runtimeValue": {"constant": "a"},
                            "parameterExpressionSelector": "size(string_value)",
                        }
                    }
                },
            ),
            'the parameter expression "size(string_value)"',
        ),
    ],
)
def test_what_is_not_run_is_refused_by_name(edit: Callable[[dict[str, Any]], None], said: str) -> None:
    spec = copy.deepcopy(container_spec(CHAIN))
    edit(spec)
    with pytest.raises(ApiError) as refused:
        read_pipeline(spec)
    assert (refused.value.code, refused.value.http_status) == (Code.UNIMPLEMENTED, 501)
    assert f"{said} " in refused.value.message
    assert refused.value.violations[0].field.startswith("pipeline_job.pipeline_spec.")


ARTIFACT = {"artifacts": {"x": {"artifactType": {"schemaTitle": "system.Dataset"}}}}


def importing(**fields: Any) -> dict[str, Any]:
    """``b`` is an importer."""
    spec = copy.deepcopy(container_spec(CHAIN))
    spec["deploymentSpec"]["executors"]["exec-b"] = {
        "importer": {"artifactUri": {"constant": "gs://bucket/x"}, **fields}
    }
    spec["components"]["comp-b"]["outputDefinitions"] = ARTIFACT
    return spec


def test_an_importer_is_read() -> None:
    root = read_pipeline(importing(metadata={"k": [1]}, reimport=True)).root
    assert isinstance(root.body, Dag)
    assert root.body.tasks["b"].component.body == Importer(("gs://bucket/x",), "", {"k": [1]}, True)


@pytest.mark.parametrize(
    ("edit", "code", "said"),
    [
        (change("components/comp-b/outputDefinitions", {}), Code.INVALID_ARGUMENT, "one output"),
        (
            change("deploymentSpec/executors/exec-b/importer/artifactUri", {"runtimeParameter": "uri"}),
            Code.INVALID_ARGUMENT,
            "name of an input",
        ),
        (
            change("deploymentSpec/executors/exec-b/importer/metadata", {"k": "{{$.inputs.parameters['z']}}"}),
            Code.INVALID_ARGUMENT,
            'input "z"',
        ),
        (
            change("deploymentSpec/executors/exec-b/importer/downloadToWorkspace", True),
            Code.UNIMPLEMENTED,
            "a download to a workspace is not run",
        ),
        (
            change("deploymentSpec/executors/exec-b/importer/properties", {"k": {"constant": 1}}),
            Code.UNIMPLEMENTED,
            "schema 2.0.0",
        ),
    ],
)
def test_an_importer_that_cannot_run_is_refused(edit: Callable[[dict[str, Any]], None], code: Code, said: str) -> None:
    spec = importing()
    edit(spec)
    with pytest.raises(ApiError) as refused:
        read_pipeline(spec)
    assert refused.value.code == code
    assert said in refused.value.message


ITEMS = {"parameters": {"x": {"parameterType": "NUMBER_INTEGER"}, "xs": {"parameterType": "LIST"}}}


def looping(iterator: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """``b`` runs in a loop over ``x``, and is given the list ``xs``."""
    spec = copy.deepcopy(container_spec(CHAIN))
    spec["components"]["comp-b"]["inputDefinitions"] = ITEMS
    tasks(spec)["b"]["inputs"] = {"parameters": {"xs": {"runtimeValue": {"constant": [1, 2]}}}}
    tasks(spec)["b"].update({"parameterIterator": iterator, **fields})
    return spec


@pytest.mark.parametrize(
    ("items", "limit", "loop"),
    [
        ({"raw": "[1, 2]"}, None, Loop("x", None, (1, 2))),
        ({"inputParameter": "xs"}, 3, Loop("x", "xs", limit=3)),
    ],
)
def test_a_loop_is_read(items: dict[str, str], limit: int | None, loop: Loop) -> None:
    fields = {} if limit is None else {"iteratorPolicy": {"parallelismLimit": limit}}
    root = read_pipeline(looping({"itemInput": "x", "items": items}, **fields)).root
    assert isinstance(root.body, Dag)
    assert root.body.tasks["b"].loop == loop
    assert root.body.tasks["b"].has_children


@pytest.mark.parametrize(
    ("iterator", "fields", "said"),
    [
        ({"itemInput": "y", "items": {"raw": "[]"}}, {}, "no such input"),
        ({"itemInput": "x", "items": {"inputParameter": "ys"}}, {}, 'no input parameter "ys"'),
        ({"itemInput": "x", "items": {"raw": "{}"}}, {}, "a list in JSON"),
        ({"itemInput": "x", "items": {"raw": "[1"}}, {}, "a list in JSON"),
        ({"itemInput": "x", "items": {}}, {}, 'no input parameter ""'),
        (
            {"itemInput": "x", "items": {"raw": "[]"}},
            {"iteratorPolicy": {"parallelismLimit": -1}},
            "must not be negative",
        ),
    ],
)
def test_a_loop_that_cannot_run_is_refused(iterator: dict[str, Any], fields: dict[str, Any], said: str) -> None:
    with pytest.raises(ApiError) as refused:
        read_pipeline(looping(iterator, **fields))
    assert refused.value.code == Code.INVALID_ARGUMENT
    assert said in refused.value.message


def test_a_limit_without_a_loop_is_refused() -> None:
    spec = copy.deepcopy(container_spec(CHAIN))
    tasks(spec)["b"]["iteratorPolicy"] = {"parallelismLimit": 1}
    with pytest.raises(ApiError, match="no iterator"):
        read_pipeline(spec)


def test_a_task_waits_for_those_whose_outputs_it_takes() -> None:
    source = {"taskOutputParameter": {"producerTask": "c", "outputParameterKey": "x"}}
    spec = with_output("parameters", source)
    spec["components"]["comp-c"]["outputDefinitions"] = STRING
    tasks(spec)["c"]["dependentTasks"] = []
    root = read_pipeline(spec).root
    assert isinstance(root.body, Dag)
    assert root.body.tasks["b"].upstream == ("a", "c")


def test_a_machine_from_a_parameter_is_read() -> None:
    spec = copy.deepcopy(container_spec(CHAIN, parameters={"cpu": {"parameterType": "STRING"}}))
    text = "{{$.inputs.parameters['pipelinechannel--cpu']}}"
    tasks(spec)["b"]["inputs"]["parameters"] |= {
        "cpu_limit": {"runtimeValue": {"constant": text}},
        "pipelinechannel--cpu": {"componentInputParameter": "cpu"},
    }
    resources = {"resourceCpuLimit": text, "memoryLimit": 2, "accelerator": {"type": "NVIDIA_TESLA_T4", "count": 1}}
    spec["deploymentSpec"]["executors"]["exec-b"]["container"]["resources"] = resources
    root = read_pipeline(spec).root
    assert isinstance(root.body, Dag)
    body = root.body.tasks["b"].component.body
    assert isinstance(body, Container)
    cpu = Ref(Source.INPUT, "pipelinechannel--cpu")
    assert body.resources == Resources((cpu,), ("2G",), ("NVIDIA_TESLA_T4",))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("resourceCpuLimit", "abc"),
        ("resourceMemoryLimit", "4 gigs"),
        ("resourceMemoryRequest", "-1G"),
        ("cpuLimit", -1),
        ("memoryRequest", -0.5),
    ],
)
def test_a_machine_that_is_no_quantity_is_refused(field: str, value: Any) -> None:
    spec = copy.deepcopy(container_spec(CHAIN))
    spec["deploymentSpec"]["executors"]["exec-b"]["container"]["resources"] = {field: value}
    with pytest.raises(ApiError) as refused:
        read_pipeline(spec)
    (violation,) = refused.value.violations
    assert violation.field.endswith(f"exec-b.container.resources.{field}")


@pytest.mark.parametrize(
    ("expression", "keys"),
    [('parseJson(string_value)["a"]', ("a",)), ("parseJson(string_value)['a'][2][\"b\"]", ("a", 2, "b"))],
)
def test_parts_of_a_value_are_arguments(expression: str, keys: tuple[str | int, ...]) -> None:
    spec = copy.deepcopy(container_spec(CHAIN, parameters={"x": {"parameterType": "STRUCT"}}))
    tasks(spec)["b"]["inputs"] = {
        "parameters": {"x": {"componentInputParameter": "x", "parameterExpressionSelector": expression}}
    }
    root = read_pipeline(spec).root
    assert isinstance(root.body, Dag)
    assert root.body.tasks["b"].arguments == {"x": ComponentInput("x", keys)}


STRING = {"parameters": {"x": {"parameterType": "STRING"}}}
DATASET = {"artifacts": {"x": {"artifactType": {"schemaTitle": "system.Dataset"}}}}


def with_output(kind: str, source: dict[str, Any]) -> dict[str, Any]:
    """``a`` has the outputs ``x`` of both kinds, and ``b`` takes one of them."""
    spec = copy.deepcopy(container_spec(CHAIN))
    spec["components"]["comp-a"]["outputDefinitions"] = {**STRING, **DATASET}
    spec["components"]["comp-b"]["inputDefinitions"] = STRING if kind == "parameters" else DATASET
    tasks(spec)["b"]["inputs"] = {kind: {"x": source}}
    return spec


def test_outputs_are_arguments() -> None:
    parameter = {"taskOutputParameter": {"producerTask": "a", "outputParameterKey": "x"}}
    root = read_pipeline(with_output("parameters", parameter)).root
    assert isinstance(root.body, Dag)
    assert root.body.tasks["b"].arguments == {"x": TaskOutput("a", "x")}
    artifact = {"taskOutputArtifact": {"producerTask": "a", "outputArtifactKey": "x"}}
    root = read_pipeline(with_output("artifacts", artifact)).root
    assert isinstance(root.body, Dag)
    assert root.body.tasks["b"].artifacts == {"x": TaskOutput("a", "x")}


@pytest.mark.parametrize(
    ("kind", "source", "said"),
    [
        ("parameters", {"taskOutputParameter": {"producerTask": "d", "outputParameterKey": "x"}}, 'no task "d"'),
        ("parameters", {"taskOutputParameter": {"producerTask": "z", "outputParameterKey": "x"}}, 'no task "z"'),
        ("parameters", {"taskOutputParameter": {"producerTask": "a", "outputParameterKey": "y"}}, "no output param"),
        ("parameters", {"taskFinalStatus": {"producerTask": "d"}}, 'no task "d"'),
        ("parameters", {"componentInputParameter": "y"}, 'no input "y"'),
        ("artifacts", {"taskOutputArtifact": {"producerTask": "d", "outputArtifactKey": "x"}}, 'no task "d"'),
        ("artifacts", {"taskOutputArtifact": {"producerTask": "a", "outputArtifactKey": "y"}}, "no output artifact"),
        ("artifacts", {"componentInputArtifact": "y"}, 'no input "y"'),
        ("artifacts", {}, "no source"),
    ],
)
def test_an_argument_from_nowhere_is_refused(kind: str, source: dict[str, Any], said: str) -> None:
    with pytest.raises(ApiError, match=said) as refused:
        read_pipeline(with_output(kind, source))
    assert refused.value.violations[0].field.startswith(f"pipeline_job.pipeline_spec.root.dag.tasks.b.inputs.{kind}.x")


def test_a_required_artifact_is_missed() -> None:
    spec = with_output("artifacts", {})
    tasks(spec)["b"]["inputs"] = {}
    with pytest.raises(ApiError, match='the input "x" of "comp-b" is required'):
        read_pipeline(spec)


@pytest.mark.parametrize(
    ("outputs", "said"),
    [
        ({"parameters": {"x": {"valueFromParameter": {"producerSubtask": "z", "outputParameterKey": "x"}}}}, "no task"),
        (
            {"parameters": {"x": {"valueFromParameter": {"producerSubtask": "a", "outputParameterKey": "y"}}}},
            "has no o",
        ),
        ({"parameters": {"y": {"valueFromParameter": {"producerSubtask": "a", "outputParameterKey": "x"}}}}, "no such"),
        ({"artifacts": {"x": {"artifactSelectors": [{"producerSubtask": "b", "outputArtifactKey": "x"}]}}}, "no out"),
    ],
)
def test_an_output_of_a_dag_from_nowhere_is_refused(outputs: dict[str, Any], said: str) -> None:
    spec = with_output("parameters", {"runtimeValue": {"constant": "a"}})
    spec["root"]["outputDefinitions"] = {**STRING, **DATASET}
    spec["root"]["dag"]["outputs"] = outputs
    with pytest.raises(ApiError, match=said):
        read_pipeline(spec)


@pytest.mark.parametrize(
    ("condition", "said"),
    [
        ("inputs.parameter_values['y'] == 1", 'an input "y" that the task does not have'),
        ("size('a') == 1", '"size" is not run'),
        ("1 ==", "ends too early"),
        ("true false", "not expected"),
        ("#", "cannot be read"),
    ],
)
def test_a_condition_that_cannot_be_run_is_refused(condition: str, said: str) -> None:
    spec = container_spec(CHAIN)
    tasks(spec)["b"]["triggerPolicy"] = {"condition": condition}
    with pytest.raises(ApiError, match=said) as refused:
        read_pipeline(spec)
    assert refused.value.violations[0].field.endswith("root.dag.tasks.b.trigger_policy.condition")


def test_a_component_inside_itself_is_refused() -> None:
    spec = nested_spec(container_spec(CHAIN))
    spec["components"]["comp-group"]["dag"]["tasks"]["a"]["componentRef"] = {"name": "comp-group"}
    with pytest.raises(ApiError, match="contains itself"):
        read_pipeline(spec)


def nested(deep: int, tasks: int) -> dict[str, Any]:
    """DAGs inside each other, each with several tasks that are the next DAG."""
    spec = container_spec({"a": []})
    for level in range(deep):
        inner = f"comp-{level + 1}" if level + 1 < deep else "comp-a"
        each = {f"t{index}": {"componentRef": {"name": inner}} for index in range(tasks)}
        spec["components"][f"comp-{level}"] = {"dag": {"tasks": each}}
    spec["root"] = {"dag": {"tasks": {"t": {"componentRef": {"name": "comp-0"}}}}}
    return spec


@pytest.mark.parametrize(
    ("deep", "tasks", "said"), [(500, 1, "more than 50 DAGs"), (30, 2, "more than 10000 tasks"), (40, 1, "")]
)
def test_the_depth_and_the_number_of_tasks_are_limited(deep: int, tasks: int, said: str) -> None:
    if not said:
        read_pipeline(nested(deep, tasks))
        return
    with pytest.raises(ApiError, match=said):
        read_pipeline(nested(deep, tasks))


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
    assert Retry(5, first=10, factor=1e308, longest=50).delay(3) == 50


def test_a_large_spec_is_read_in_linear_time() -> None:
    def seconds(count: int) -> float:
        large = {f"t{n}": [f"t{m}" for m in range(max(0, n - 3), n)] for n in range(count)}
        spec = container_spec(
            large, parameters=TYPES, args={name: ["--x", "{{$.inputs.parameters['text']}}"] for name in large}
        )

        def once() -> float:
            before = time.process_time()
            read_pipeline(spec)
            return time.process_time() - before

        return min(once() for _ in range(3))

    # Eight times the tasks would take 64 times the work if each looked at all.
    assert seconds(800) / seconds(100) < 24
