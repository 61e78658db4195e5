"""A PipelineJob that runs, as a tree of its tasks, and how it moves from state to state.

The job's protos are the truth: a node has no state of its own beside its ``PipelineTaskDetail``, and a run is built
again from a stored job. Every change goes through the tables of :mod:`.states`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_kedro_vertex.emulator import names
from airflow_provider_kedro_vertex.emulator.errors import Code
from airflow_provider_kedro_vertex.emulator.graph import Component, Dag, Pipeline, Task
from airflow_provider_kedro_vertex.emulator.protos import Message, now
from airflow_provider_kedro_vertex.emulator.states import (
    EXECUTION_STATES,
    PIPELINE_FINAL,
    PIPELINE_MOVES,
    TASK_FINAL,
    TASK_MOVES,
    PipelineState,
    TaskState,
)

FAIL_FAST = 2
"""PIPELINE_FAILURE_POLICY_FAIL_FAST."""


@dataclass(frozen=True, slots=True)
class Inputs:
    """What a task is given: its parameters' values, and its artifacts as ``Artifact`` messages. None is left out."""

    parameters: Mapping[str, Any] = field(default_factory=dict)
    artifacts: Mapping[str, Message] = field(default_factory=dict)


_NO_INPUTS = Inputs()
_NO_CHILDREN: Mapping[str, Node] = {}


@dataclass(eq=False, slots=True)
class Node:
    """One task in one run: the spec's task, the detail that clients see, and what runs it.

    :param task: None for the root.
    :param inputs: kept for an open DAG alone, whose tasks refer to them.
    """

    component: Component
    detail: Message
    task: Task | None = None
    inputs: Inputs = _NO_INPUTS
    children: Mapping[str, Node] = field(default_factory=lambda: _NO_CHILDREN)
    attempt: asyncio.Task[Any] | None = None

    @property
    def state(self) -> TaskState:
        """Where it stands."""
        return TaskState(self.detail.state)

    @property
    def final(self) -> bool:
        """Whether it has ended."""
        return self.detail.state in TASK_FINAL

    def everything(self) -> Iterator[Node]:
        """The node itself and all inside it."""
        yield self
        for child in self.children.values():
            yield from child.everything()

    def open_dags(self) -> Iterator[Node]:
        """The node itself and the DAGs inside it that have been opened, at every depth; the node is one of them."""
        yield self
        for child in self.children.values():
            if child.children is not _NO_CHILDREN:
                yield from child.open_dags()


@dataclass(eq=False, slots=True)
class Run:
    """One PipelineJob that has not ended. ``job`` is without its spec."""

    job: Message
    pipeline: Pipeline
    root: Node

    @property
    def cancelling(self) -> bool:
        """Whether a client has asked for its end."""
        return bool(self.job.state == PipelineState.PIPELINE_STATE_CANCELLING)

    @property
    def stopped(self) -> bool:
        """Whether a failure keeps new tasks from starting."""
        return self.job.runtime_config.failure_policy == FAIL_FAST and any(
            detail.state == TaskState.FAILED for detail in self.job.job_detail.task_details
        )


def new_run(job: Message, pipeline: Pipeline, parameters: Mapping[str, Any]) -> Run:
    """A run of a job that has not begun; its detail is added to the job."""
    parent, _, job_id = job.name.rpartition(f"/{names.PIPELINE_JOBS}/")
    for context, name, title in (
        (job.job_detail.pipeline_context, pipeline.name, "system.Pipeline"),
        (job.job_detail.pipeline_run_context, job_id, "system.PipelineRun"),
    ):
        context.name, context.schema_title = f"{parent}/metadataStores/default/contexts/{name}", title
    detail = job.job_detail.task_details.add(task_id=int(names.generated_number()), task_name=job_id)
    root = Node(pipeline.root, detail, inputs=Inputs(parameters))
    move(root, TaskState.PENDING)
    return Run(job, pipeline, root)


def stored_run(job: Message, pipeline: Pipeline, parameters: Mapping[str, Any]) -> Run:
    """The run of a stored job that has begun, as far as its details tell. The inputs of its DAGs are left to do."""
    inside: dict[int, list[Message]] = {}
    for detail in job.job_detail.task_details:
        inside.setdefault(detail.parent_task_id, []).append(detail)

    def restore(node: Node) -> Node:
        if isinstance(node.component.body, Dag):
            tasks = node.component.body.tasks
            details = inside.get(node.detail.task_id, [])
            children = ((tasks[detail.task_name], detail) for detail in details)
            node.children = {task.name: restore(Node(task.component, detail, task)) for task, detail in children}
        return node

    root = Node(pipeline.root, inside[0][0], inputs=Inputs(parameters))
    return Run(job, pipeline, restore(root))


def open_dag(run: Run, node: Node) -> None:
    """Start a DAG: list its tasks."""
    move(node, TaskState.RUNNING)
    node.detail.execution.schema_title = "system.DagExecution"
    body = node.component.body
    prefix = f"{node.detail.task_unique_name}." if node.task is not None else ""
    children = {}
    for task in body.tasks.values() if isinstance(body, Dag) else ():
        detail = run.job.job_detail.task_details.add(
            task_id=int(names.generated_number()),
            parent_task_id=node.detail.task_id,
            task_name=task.name,
            task_unique_name=prefix + task.name,
        )
        children[task.name] = child = Node(task.component, detail, task)
        move(child, TaskState.PENDING)
    node.children = children


def move(node: Node, state: TaskState) -> None:
    """Bring a task to another state, with the times and the history that Vertex AI keeps.

    :raises AssertionError: if the table has no such move.
    """
    detail = node.detail
    if state not in TASK_MOVES.get(node.state, frozenset()):
        raise AssertionError(f"task {detail.task_name}: {node.state.name} does not go to {state.name}")
    moment = now()
    if state == TaskState.PENDING and not detail.HasField("create_time"):
        detail.create_time.CopyFrom(moment)
    if state == TaskState.RUNNING and not detail.HasField("start_time"):
        detail.start_time.CopyFrom(moment)
    if state in TASK_FINAL:
        detail.end_time.CopyFrom(moment)
    detail.state = state
    if state in EXECUTION_STATES:
        execution = detail.execution
        if not execution.HasField("create_time"):
            execution.create_time.CopyFrom(moment)
        execution.update_time.CopyFrom(moment)
        execution.state = EXECUTION_STATES[state]
    status = detail.pipeline_task_status.add(state=state, update_time=moment)
    if state in TASK_FINAL and detail.HasField("error"):
        status.error.CopyFrom(detail.error)


def fail(node: Node, code: Code, message: str) -> None:
    """End a task as FAILED."""
    node.detail.error.code, node.detail.error.message = int(code), message
    move(node, TaskState.FAILED)


def end_cancelled(node: Node) -> None:
    """End a task as CANCELLED."""
    node.detail.error.code, node.detail.error.message = int(Code.CANCELLED), "Cancelled by a request."
    if node.state == TaskState.RUNNING:
        move(node, TaskState.CANCELLING)
    move(node, TaskState.CANCELLED)


def move_job(run: Run, state: PipelineState) -> None:
    """Bring a job to another state.

    :raises AssertionError: if the table has no such move.
    """
    found = PipelineState(run.job.state)
    if state not in PIPELINE_MOVES.get(found, frozenset()):
        raise AssertionError(f"{run.job.name}: {found.name} does not go to {state.name}")
    moment = now()
    if state == PipelineState.PIPELINE_STATE_RUNNING:
        run.job.start_time.CopyFrom(moment)
    if state in PIPELINE_FINAL:
        run.job.end_time.CopyFrom(moment)
    run.job.state = state
