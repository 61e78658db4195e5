"""Resolves the arguments of a task against the DAG around it and the tasks that ended before it."""

from __future__ import annotations

from typing import Any

from airflow_provider_kedro_vertex.emulator.engine.container_io import run_names
from airflow_provider_kedro_vertex.emulator.engine.outputs import artifact_of, parameter_of
from airflow_provider_kedro_vertex.emulator.engine.runs import Inputs, Node, Run
from airflow_provider_kedro_vertex.emulator.resources.protos import Message
from airflow_provider_kedro_vertex.emulator.resources.states import TaskState
from airflow_provider_kedro_vertex.emulator.spec import placeholders
from airflow_provider_kedro_vertex.emulator.spec.graph import (
    Argument,
    ComponentInput,
    Constant,
    FinalStatus,
    type_fault,
)
from airflow_provider_kedro_vertex.emulator.spec.placeholders import Ref, Source


class ArgumentError(Exception):
    """A task cannot be started with these arguments; the text says why."""


def resolve(run: Run, node: Node) -> Inputs:
    """The inputs of a task: its arguments, and the defaults of its component. The root has its own from the start.

    :raises ArgumentError: if a required one has no value, or a value is not of the input's type.
    """
    dag = node.parent
    if dag is None:
        return node.inputs
    return Inputs(_parameters(run, dag, node), _artifacts(dag, node))


def _parameters(run: Run, dag: Node, node: Node) -> dict[str, Any]:
    given = node.task.arguments
    names = run_names(run, node)
    values: dict[str, Any] = {
        name: _value(run, dag, argument) for name, argument in given.items() if not isinstance(argument, Constant)
    }

    def text(ref: Ref) -> str:
        return names[ref.name] if ref.source is Source.RUN else parameter(ref.name)

    def parameter(name: str) -> str:
        argument = given[name]
        if name not in values:
            values[name] = None  # a constant that names itself finds nothing
            values[name] = fill(argument.value) if isinstance(argument, Constant) else None
        return "" if values[name] is None else placeholders.as_text(values[name], _type(dag, argument))

    def fill(value: Any) -> Any:
        if isinstance(value, str):
            return placeholders.render(placeholders.parse(value), text)
        if isinstance(value, list):
            return [fill(item) for item in value]
        if isinstance(value, dict):
            return {key: fill(item) for key, item in value.items()}
        return value

    for name in given:
        parameter(name)
    for name, declared in node.component.parameters.items():
        value = declared.default if values.get(name) is None else values[name]
        if value is None:
            if not declared.optional:
                raise ArgumentError(_missing("parameter", name, given.get(name)))
        elif fault := type_fault(value, declared):
            raise ArgumentError(f'The input "{name}" {fault}')
        values[name] = value
    # Those of f-strings too, which the component does not declare: they are for conditions.
    return {name: value for name, value in values.items() if value is not None}


def _artifacts(dag: Node, node: Node) -> dict[str, Message]:
    found = {}
    given = node.task.artifacts
    for name, argument in given.items():
        artifact = (
            dag.inputs.artifacts.get(argument.name)
            if isinstance(argument, ComponentInput)
            else artifact_of(dag.children[argument.task].detail, argument.name)
        )
        if artifact is not None:
            found[name] = artifact
    for name, declared in node.component.artifacts.items():
        if name not in found and not declared.optional:
            raise ArgumentError(_missing("artifact", name, given.get(name)))
    return found


def _value(run: Run, dag: Node, argument: Argument) -> Any:
    if isinstance(argument, ComponentInput):
        return dag.inputs.parameters.get(argument.name)
    if isinstance(argument, FinalStatus):
        return final_status(run.job, dag.children[argument.task].detail)
    if isinstance(argument, Constant):
        return argument.value
    return parameter_of(dag.children[argument.task].detail, argument.name)


def _type(dag: Node, argument: Argument) -> str:
    if isinstance(argument, ComponentInput):
        declared = dag.component.parameters.get(argument.name)
    elif isinstance(argument, (Constant, FinalStatus)):
        declared = None
    else:
        declared = dag.children[argument.task].component.output_parameters.get(argument.name)
    return "STRING" if declared is None else declared.type


def _missing(kind: str, name: str, argument: Any) -> str:
    where = "" if argument is None or isinstance(argument, ComponentInput) else f' The task "{argument.task}" has none.'
    return f'The input {kind} "{name}" is required and has no value.{where}'


def final_status(job: Message, detail: Message) -> dict[str, Any]:
    """The final status of a task, in the JSON of ``PipelineTaskFinalStatus`` (pipeline_spec.proto).

    Its states are SUCCEEDED, FAILED and CANCELLED; a task that was found in the cache has succeeded.
    """
    state = TaskState.SUCCEEDED if detail.state == TaskState.SKIPPED else TaskState(detail.state)
    status: dict[str, Any] = {
        "state": state.name,
        "pipelineJobResourceName": job.name,
        "pipelineTaskName": detail.task_name,
    }
    if detail.HasField("error"):
        status["error"] = {"code": detail.error.code, "message": detail.error.message}
    return status
