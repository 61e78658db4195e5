"""A task's outputs, in the detail that clients see: parameters in its execution's metadata, artifacts in its outputs.

Nothing else holds them, so a restarted emulator finds them where a client does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_kedro_vertex.emulator.engine.runs import Inputs, Node
from airflow_provider_kedro_vertex.emulator.resources.protos import Message, PipelineTaskDetail, to_json
from airflow_provider_kedro_vertex.emulator.spec.graph import Dag, TaskOutput

_INPUT, _OUTPUT = "input:", "output:"
# A job's detail repeats its tasks' inputs; a longer one is cut there. The container gets all of it.
_SHOWN = 1000


@dataclass(frozen=True, slots=True)
class Outputs:
    """The outputs of a task: parameters' values, and artifacts as ``Artifact`` messages."""

    parameters: Mapping[str, Any] = field(default_factory=dict)
    artifacts: Mapping[str, Message] = field(default_factory=dict)


def parameter_of(detail: Message, name: str) -> Any:
    """The value of an output parameter; None if the task has not made it."""
    fields = detail.execution.metadata.fields
    key = f"{_OUTPUT}{name}"
    return to_json(fields[key]) if key in fields else None


def artifact_of(detail: Message, name: str) -> Message | None:
    """An output artifact; None if the task has not made it."""
    # A lookup in this map would add the key.
    return detail.outputs[name].artifacts[0] if name in detail.outputs else None


def write_inputs(detail: Message, inputs: Inputs) -> None:
    """Write what a task was given into its detail."""
    for name, value in inputs.parameters.items():
        shown = value if not isinstance(value, str) or len(value) <= _SHOWN else f"{value[:_SHOWN]}..."
        detail.execution.metadata.update({f"{_INPUT}{name}": shown})
    for name, artifact in inputs.artifacts.items():
        detail.inputs[name].artifacts.add().CopyFrom(artifact)


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
    for name, artifact in outputs.artifacts.items():
        detail.outputs[name].artifacts.add().CopyFrom(artifact)


def dag_outputs(dag: Node) -> Outputs:
    """The outputs of a DAG whose tasks have ended: for each, the first source that is there."""
    body = dag.component.body
    if not isinstance(body, Dag):
        return Outputs()

    def first(sources: tuple[TaskOutput, ...], of: Any) -> Any:
        found = (of(dag.children[source.task].detail, source.name) for source in sources)
        return next((value for value in found if value is not None), None)

    parameters = {name: first(sources, parameter_of) for name, sources in body.output_parameters.items()}
    artifacts = {name: first(sources, artifact_of) for name, sources in body.output_artifacts.items()}
    return Outputs(
        {name: value for name, value in parameters.items() if value is not None},
        {name: artifact for name, artifact in artifacts.items() if artifact is not None},
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
