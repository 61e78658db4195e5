"""A task's outputs, in the detail that clients see: parameters in its execution's metadata, artifacts in its outputs.

Nothing else holds them, so a restarted emulator finds them where a client does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_kedro_vertex.emulator.engine.runs import Artifacts, Inputs, Node
from airflow_provider_kedro_vertex.emulator.resources.protos import Message, PipelineTaskDetail, to_json
from airflow_provider_kedro_vertex.emulator.spec.graph import Dag, TaskOutput

_INPUT, _OUTPUT = "input:", "output:"
# A job's detail repeats its tasks' inputs; a longer one is cut there. The container gets all of it.
_SHOWN = 1000


@dataclass(frozen=True, slots=True)
class Outputs:
    """The outputs of a task: parameters' values, and artifacts."""

    parameters: Mapping[str, Any] = field(default_factory=dict)
    artifacts: Mapping[str, Artifacts] = field(default_factory=dict)


def parameter_of(detail: Message, name: str) -> Any:
    """The value of an output parameter; None if the task has not made it."""
    fields = detail.execution.metadata.fields
    key = f"{_OUTPUT}{name}"
    return to_json(fields[key]) if key in fields else None


def artifacts_of(detail: Message, name: str) -> Artifacts | None:
    """The artifacts of an output; None if the task has not made it."""
    # A lookup in this map would add the key.
    return tuple(detail.outputs[name].artifacts) if name in detail.outputs else None


def write_inputs(detail: Message, inputs: Inputs) -> None:
    """Write what a task was given into its detail."""
    for name, value in inputs.parameters.items():
        shown = value if not isinstance(value, str) or len(value) <= _SHOWN else f"{value[:_SHOWN]}..."
        detail.execution.metadata.update({f"{_INPUT}{name}": shown})
    for name, artifacts in inputs.artifacts.items():
        detail.inputs[name].artifacts.extend(artifacts)


def parameters_in(detail: Message, outputs: bool) -> dict[str, Any]:
    """A task's input or output parameters as its detail shows them."""
    prefix = _OUTPUT if outputs else _INPUT
    return {
        key.removeprefix(prefix): to_json(value)
        for key, value in detail.execution.metadata.fields.items()
        if key.startswith(prefix)
    }


def write_outputs(detail: Message, outputs: Outputs) -> None:
    """Write what a task made into its detail."""
    for name, value in outputs.parameters.items():
        detail.execution.metadata.update({f"{_OUTPUT}{name}": value})
    for name, artifacts in outputs.artifacts.items():
        detail.outputs[name].artifacts.extend(artifacts)


def dag_outputs(dag: Node) -> Outputs:
    """The outputs of a DAG whose tasks have ended: for each, the first source that is there."""
    body = dag.component.body
    if dag.task.loop is not None:
        return _collected(dag)
    if not isinstance(body, Dag):
        return Outputs()

    def first(sources: tuple[TaskOutput, ...], of: Any) -> Any:
        found = (of(dag.children[source.task].detail, source.name) for source in sources)
        return next((value for value in found if value is not None), None)

    parameters = {name: first(sources, parameter_of) for name, sources in body.output_parameters.items()}
    artifacts = {name: first(sources, artifacts_of) for name, sources in body.output_artifacts.items()}
    return Outputs(
        {name: value for name, value in parameters.items() if value is not None},
        {name: found for name, found in artifacts.items() if found is not None},
    )


def _collected(loop: Node) -> Outputs:
    """The outputs of a loop, kfp's ``dsl.Collected``: a list of those of its iterations, in the order of the items.

    An iteration that has not made an output is left out. The artifacts of a loop in a loop make one flat list, its
    parameters a list of lists, as in kfp.
    """
    details = [node.detail for node in loop.children.values()]
    component = loop.component
    parameters = {name: [parameter_of(detail, name) for detail in details] for name in component.output_parameters}
    artifacts = {name: [artifacts_of(detail, name) or () for detail in details] for name in component.output_artifacts}
    return Outputs(
        {name: [value for value in values if value is not None] for name, values in parameters.items()},
        {name: tuple(one for found in lists for one in found) for name, lists in artifacts.items()},
    )


def outputs_alone(detail: Message) -> Message:
    """A detail that holds the outputs of another one and nothing else: what a cache keeps."""
    kept = PipelineTaskDetail()
    for key, value in detail.execution.metadata.fields.items():
        if key.startswith(_OUTPUT):
            kept.execution.metadata.fields[key].CopyFrom(value)
    for name in detail.outputs:
        kept.outputs[name].CopyFrom(detail.outputs[name])
    return kept
