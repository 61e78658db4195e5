"""Resolves the arguments of a task against the DAG around it and the tasks that ended before it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from airflow_provider_kedro_vertex.emulator.engine.outputs import artifacts_of, parameter_of
from airflow_provider_kedro_vertex.emulator.engine.runs import Artifacts, Inputs, Node, Run, fill_run_names, run_names
from airflow_provider_kedro_vertex.emulator.resources.protos import Message
from airflow_provider_kedro_vertex.emulator.resources.states import TaskState
from airflow_provider_kedro_vertex.emulator.spec import placeholders
from airflow_provider_kedro_vertex.emulator.spec.graph import (
    Argument,
    ComponentInput,
    Constant,
    FinalStatus,
    Parameter,
    TaskOutput,
    type_fault,
)
from airflow_provider_kedro_vertex.emulator.spec.placeholders import Ref, Source

# kfp declares a part of a loop's item that a DAG hands on as a STRING, whatever its type is.
_PART_OF_ITEM = "-loop-item-subvar-"


class ArgumentError(Exception):
    """A task cannot be started with these arguments; the text says why."""


def resolve(run: Run, node: Node) -> Inputs:
    """The inputs of a task: its arguments, and the defaults of its component. The root has its own from the start.

    :raises ArgumentError: if a required one has no value, or a value is not of the input's type.
    """
    dag = node.parent
    if dag is None:
        return node.inputs
    if node.index is not None:
        return _with_item(dag, node.index)
    return Inputs(_parameters(run, dag, node), _artifacts(dag, node))


def items_of(node: Node, inputs: Inputs) -> Sequence[Any]:
    """The items of a loop: values of its parameter, or artifacts.

    :raises ArgumentError: if a parameter's value is no list.
    """
    loop = node.task.loop
    if loop is None:
        return ()
    if loop.source is None:
        return loop.items
    if loop.artifacts:
        return inputs.artifacts.get(loop.source, ())
    items = inputs.parameters.get(loop.source)
    if isinstance(items, str):
        # A component may give its list as a text; kfp lets a loop run over that too.
        with suppress(ValueError, RecursionError):
            items = json.loads(items)
    if not isinstance(items, list):
        raise ArgumentError(f'The loop\'s items, the input "{loop.source}", are no list.')
    return items


def _with_item(loop: Node, index: int) -> Inputs:
    """The inputs of one iteration: those of its loop, and its item."""
    given, item = loop.inputs, loop.items[index]
    name = "" if loop.task.loop is None else loop.task.loop.item
    declared = loop.component.parameters.get(name)
    if declared is None:
        return Inputs(given.parameters, {**given.artifacts, name: (item,)})
    value = placeholders.as_text(item, "LIST") if declared.type == "STRING" else item
    if fault := type_fault(value, declared):
        raise ArgumentError(f"The loop's item {index} {fault}")
    return Inputs({**given.parameters, name: value}, given.artifacts)


def _parameters(run: Run, dag: Node, node: Node) -> dict[str, Any]:
    given = node.task.arguments
    names = run_names(run.job, node.detail, run.root.detail.task_id, run.workspace)
    item = "" if node.task.loop is None else node.task.loop.item
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
        if values.get(name) is not None:
            values[name] = _part_as(values[name], given[name], declared)
        value = fill_run_names(declared.default, names) if values.get(name) is None else values[name]
        if value is None:
            if not declared.optional and name != item:
                raise ArgumentError(_missing("parameter", name, given.get(name)))
        elif fault := type_fault(value, declared):
            raise ArgumentError(f'The input "{name}" {fault}')
        values[name] = value
    # Those of f-strings too, which the component does not declare: they are for conditions.
    return {name: value for name, value in values.items() if value is not None}


def _artifacts(dag: Node, node: Node) -> dict[str, Artifacts]:
    found = {}
    given = node.task.artifacts
    item = "" if node.task.loop is None else node.task.loop.item
    for name, argument in given.items():
        artifacts = (
            dag.inputs.artifacts.get(argument.name)
            if isinstance(argument, ComponentInput)
            else artifacts_of(dag.children[argument.task].detail, argument.name)
        )
        if artifacts is not None:
            found[name] = artifacts
    for name, declared in node.component.artifacts.items():
        if name not in found and not declared.optional and name != item:
            raise ArgumentError(_missing("artifact", name, given.get(name)))
    return found


def _value(run: Run, dag: Node, argument: Argument) -> Any:
    if isinstance(argument, ComponentInput):
        return _part(dag.inputs.parameters.get(argument.name), argument)
    if isinstance(argument, FinalStatus):
        return final_status(run.job, dag.children[argument.task].detail)
    if isinstance(argument, Constant):
        return argument.value
    return _part(parameter_of(dag.children[argument.task].detail, argument.name), argument)


def _part(value: Any, argument: ComponentInput | TaskOutput) -> Any:
    """The part of a parameter's value that an argument asks for."""
    if argument.keys and isinstance(value, str):
        with suppress(ValueError, RecursionError):
            value = json.loads(value)
    for key in argument.keys:
        try:
            value = value[key]
        except (TypeError, LookupError):
            raise ArgumentError(f'The value of "{argument.name}" has no {json.dumps(key)}.') from None
    return value


def _part_as(value: Any, argument: Argument, declared: Parameter) -> Any:
    """A part of a value as the input declares it: a text of it, or what the text says."""
    if not isinstance(argument, (ComponentInput, TaskOutput)):
        return value
    if argument.keys and declared.type == "STRING":
        return placeholders.as_text(value, "LIST")
    if _PART_OF_ITEM in argument.name and declared.type != "STRING" and isinstance(value, str):
        with suppress(ValueError, RecursionError):
            return json.loads(value)
    return value


def _type(dag: Node, argument: Argument) -> str:
    if isinstance(argument, (ComponentInput, TaskOutput)) and argument.keys:
        return "STRING"
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
