"""A PipelineJob that runs, as a tree of its tasks, and how it moves from state to state.

The job's protos are the truth: a node has no state of its own beside its ``PipelineTaskDetail``, and a run is built
again from a stored job. Every change goes through the tables of :mod:`.states`, and the end of a task counts for those
that wait for it, so that nobody needs to look at all tasks to find the next one.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_kedro_vertex.emulator.resources import names
from airflow_provider_kedro_vertex.emulator.resources.errors import Code
from airflow_provider_kedro_vertex.emulator.resources.protos import Message, PipelineTaskDetail, now, to_json
from airflow_provider_kedro_vertex.emulator.resources.states import (
    EXECUTION_STATES,
    PIPELINE_FINAL,
    PIPELINE_MOVES,
    TASK_BAD,
    TASK_FINAL,
    TASK_MOVES,
    PipelineState,
    TaskState,
)
from airflow_provider_kedro_vertex.emulator.spec.graph import NO_RETRY, Component, Dag, Pipeline, Task, bind

FAIL_FAST = 2
"""PIPELINE_FAILURE_POLICY_FAIL_FAST."""


@dataclass(frozen=True, slots=True)
class Inputs:
    """The inputs of a task: parameters' values, and artifacts as ``Artifact`` messages. No value is None."""

    parameters: Mapping[str, Any] = field(default_factory=dict)
    artifacts: Mapping[str, Message] = field(default_factory=dict)


_NO_INPUTS = Inputs()


@dataclass(eq=False, slots=True)
class Node:
    """One task in one run: the spec's task, the detail that clients see, and what runs it.

    :param task: for the root, one that stands for the whole pipeline.
    :param parent: the DAG that it is in; None for the root.
    :param inputs: kept for an open DAG alone, whose tasks refer to them.
    :param children: the tasks of an open DAG.
    :param after: the tasks of the same DAG that wait for it.
    :param waits: how many tasks it waits for: those upstream until it starts, and then its children.
    :param upstream_failed: whether a task upstream has ended badly.
    """

    task: Task
    detail: Message
    parent: Node | None = None
    inputs: Inputs = _NO_INPUTS
    children: Mapping[str, Node] = field(default_factory=dict)
    after: list[Node] = field(default_factory=list)
    waits: int = 0
    upstream_failed: bool = False
    attempt: asyncio.Task[Any] | None = None

    @property
    def component(self) -> Component:
        """The component that it runs."""
        return self.task.component

    @property
    def state(self) -> TaskState:
        """The state in its detail."""
        return TaskState(self.detail.state)

    @property
    def final(self) -> bool:
        """True once it has ended."""
        return self.detail.state in TASK_FINAL

    def walk(self) -> Iterator[Node]:
        """The node itself and all inside it."""
        yield self
        for child in self.children.values():
            yield from child.walk()


@dataclass(eq=False, slots=True)
class Run:
    """One PipelineJob that has not ended.

    :param job: without its spec and without the details of its tasks, which the nodes have.
    :param changed: the details that are not stored as they are now, by their tasks' ids.
    :param queue: the nodes to look at: something that they wait for has happened.
    :param failed: whether a task has failed.
    """

    job: Message
    pipeline: Pipeline
    root: Node
    changed: dict[int, Message] = field(default_factory=dict)
    queue: deque[Node] = field(default_factory=deque)
    failed: bool = False

    @property
    def cancelling(self) -> bool:
        """True once a client has cancelled it."""
        return bool(self.job.state == PipelineState.PIPELINE_STATE_CANCELLING)

    @property
    def stopped(self) -> bool:
        """True if a failure keeps new tasks from starting."""
        return self.failed and bool(self.job.runtime_config.failure_policy == FAIL_FAST)


def root_parameters(job: Message, pipeline: Pipeline) -> dict[str, Any]:
    """The parameters of a whole pipeline: those that its job gives, and the defaults.

    :raises ApiError: INVALID_ARGUMENT with each that is wrong.
    """
    given = {name: to_json(value) for name, value in job.runtime_config.parameter_values.items()}
    return bind(pipeline.root, given, "pipeline_job.runtime_config.parameter_values")


def new_run(job: Message, pipeline: Pipeline) -> Run:
    """A run of a job that has not begun; its detail is added to the job."""
    parent, _, job_id = job.name.rpartition(f"/{names.PIPELINE_JOBS}/")
    for context, name, title in (
        (job.job_detail.pipeline_context, pipeline.name, "system.Pipeline"),
        (job.job_detail.pipeline_run_context, job_id, "system.PipelineRun"),
    ):
        context.name, context.schema_title = f"{parent}/metadataStores/default/contexts/{name}", title
    detail = PipelineTaskDetail(task_id=int(names.generated_number()), task_name=job_id)
    run = Run(job, pipeline, _root(job, pipeline, detail))
    move(run, run.root, TaskState.PENDING)
    return run


def stored_run(job: Message, pipeline: Pipeline) -> Run:
    """The run of a stored job that has begun, as far as its details tell. The inputs of its DAGs are left to do."""
    inside: dict[int, list[Message]] = {}
    details = list(job.job_detail.task_details)
    job.job_detail.ClearField("task_details")
    for detail in details:
        inside.setdefault(detail.parent_task_id, []).append(detail)

    def restore(dag: Node) -> None:
        found = inside.get(dag.detail.task_id, ())
        if not isinstance(dag.component.body, Dag) or not found:
            return  # a container, or a DAG whose turn has not come
        tasks = ((dag.component.body.tasks[detail.task_name], detail) for detail in found)
        dag.children = {task.name: Node(task, detail, dag) for task, detail in tasks}
        _link(dag)
        for child in dag.children.values():
            restore(child)

    root = _root(job, pipeline, inside[0][0])
    restore(root)
    failed = any(detail.state == TaskState.FAILED for detail in details)
    return Run(job, pipeline, root, queue=deque(root.walk()), failed=failed)


def _root(job: Message, pipeline: Pipeline, detail: Message) -> Node:
    task = Task(detail.task_name, pipeline.root, {}, (), after_failures=False, retry=NO_RETRY)
    return Node(task, detail, inputs=Inputs(root_parameters(job, pipeline)))


def _link(dag: Node) -> None:
    """Tell the tasks of a DAG which of them wait for which, as their states are now."""
    for node in dag.children.values():
        upstream = [dag.children[name] for name in node.task.upstream]
        for other in upstream:
            other.after.append(node)
        node.waits = sum(not other.final for other in upstream)
        node.upstream_failed = any(other.detail.state in TASK_BAD for other in upstream)
    dag.waits = sum(not node.final for node in dag.children.values())


def open_dag(run: Run, node: Node) -> None:
    """Start a DAG: list its tasks."""
    move(run, node, TaskState.RUNNING)
    node.detail.execution.schema_title = "system.DagExecution"
    body = node.component.body
    prefix = "" if node.parent is None else f"{node.detail.task_unique_name}."
    children = {}
    for task in body.tasks.values() if isinstance(body, Dag) else ():
        detail = PipelineTaskDetail(
            task_id=int(names.generated_number()),
            parent_task_id=node.detail.task_id,
            task_name=task.name,
            task_unique_name=prefix + task.name,
        )
        children[task.name] = child = Node(task, detail, node)
        move(run, child, TaskState.PENDING)
    node.children = children
    _link(node)
    run.queue.extend(children.values() or [node])


def move(run: Run, node: Node, state: TaskState) -> None:
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
    run.changed[detail.task_id] = detail
    if state in EXECUTION_STATES:
        execution = detail.execution
        if not execution.HasField("create_time"):
            execution.create_time.CopyFrom(moment)
        execution.update_time.CopyFrom(moment)
        execution.state = EXECUTION_STATES[state]
    status = detail.pipeline_task_status.add(state=state, update_time=moment)
    if state in TASK_FINAL:
        if detail.HasField("error"):
            status.error.CopyFrom(detail.error)
        _count_end(run, node)


def _count_end(run: Run, node: Node) -> None:
    """Count the end of a task for those that wait for it: they are due if it was the last one, or a bad end."""
    bad = node.detail.state in TASK_BAD
    for later in node.after:
        later.waits -= 1
        later.upstream_failed = later.upstream_failed or bad
        if bad or not later.waits:
            run.queue.append(later)
    if node.parent is not None:
        node.parent.waits -= 1
        if not node.parent.waits:
            run.queue.append(node.parent)
    if node.detail.state == TaskState.FAILED and not run.failed:
        run.failed = True
        if run.stopped:
            run.queue.extend(run.root.walk())


def fail(run: Run, node: Node, code: Code, message: str) -> None:
    """End a task as FAILED."""
    node.detail.error.code, node.detail.error.message = int(code), message
    move(run, node, TaskState.FAILED)


def end_cancelled(run: Run, node: Node) -> None:
    """End a task as CANCELLED."""
    node.detail.error.code, node.detail.error.message = int(Code.CANCELLED), "Cancelled by a request."
    if node.state == TaskState.RUNNING:
        move(run, node, TaskState.CANCELLING)
    move(run, node, TaskState.CANCELLED)


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
