"""A PipelineJob that runs, as a tree of its tasks, and how it moves from state to state.

The job's protos are the truth: a node has no state of its own beside its ``PipelineTaskDetail``, and a run is built
again from a stored job. Every change goes through the tables of :mod:`.states`, and the end of a task counts for those
that wait for it, so that nobody needs to look at all tasks to find the next one.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
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
from airflow_provider_kedro_vertex.emulator.spec import placeholders
from airflow_provider_kedro_vertex.emulator.spec.graph import NO_RETRY, Component, Dag, Pipeline, Task, bind
from airflow_provider_kedro_vertex.emulator.spec.placeholders import Source

FAIL_FAST = 2
"""PIPELINE_FAILURE_POLICY_FAIL_FAST."""


Artifacts = tuple[Message, ...]
"""The ``Artifact`` messages of one input or output: one, unless it is a list of artifacts."""

MOST_TASKS = 10_000
"""The most tasks of one run, counted with the iterations of its loops."""


@dataclass(frozen=True, slots=True)
class Inputs:
    """The inputs of a task: parameters' values, and artifacts. No value is None."""

    parameters: Mapping[str, Any] = field(default_factory=dict)
    artifacts: Mapping[str, Artifacts] = field(default_factory=dict)


_NO_INPUTS = Inputs()


@dataclass(eq=False, slots=True)
class Node:
    """One task in one run: the spec's task, the detail that clients see, and what runs it.

    :param task: for the root, one that stands for the whole pipeline.
    :param parent: the DAG that it is in; None for the root.
    :param index: the number of an iteration in its loop; None for all other tasks.
    :param inputs: kept for an open DAG or loop alone, whose tasks refer to them.
    :param items: the items of an open loop: values of parameters, or artifacts.
    :param children: the tasks of an open DAG by name, or the iterations of an open loop by number.
    :param after: the tasks of the same DAG that wait for it.
    :param waits: how many tasks it waits for: those upstream until it starts, and then its children. An iteration
        waits for one while its loop runs as many as it may.
    :param idle: the iterations of an open loop that wait for their turn.
    :param upstream_failed: whether a task upstream has ended badly.
    """

    task: Task
    detail: Message
    parent: Node | None = None
    index: int | None = None
    inputs: Inputs = _NO_INPUTS
    items: Sequence[Any] = ()
    children: Mapping[str, Node] = field(default_factory=dict)
    idle: deque[Node] = field(default_factory=deque)
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
    def tries(self) -> int:
        """The tries after the first one that it may have. Those of a loop are for each of its iterations."""
        return 0 if self.task.loop is not None else self.task.retry.limit

    @property
    def failures(self) -> int:
        """The tries that have failed and were followed by another one."""
        if self.task.has_children:
            statuses = self.detail.pipeline_task_status
            return sum(status.state == TaskState.PENDING and status.HasField("error") for status in statuses)
        return len(failed_jobs(self.detail))

    @property
    def may_retry(self) -> bool:
        """True if its retry policy has another try for it, or for a DAG that it is in."""
        return self.failures < self.tries or (self.parent is not None and self.parent.may_retry)

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
    :param workspace: the folder that all containers share, as kfp's ``workspace_path`` names it.
    :param removed: the ids of tasks whose details are stored and no longer part of the job.
    :param tasks: how many tasks it has so far.
    :param queue: the nodes to look at: something that they wait for has happened.
    :param failed: whether a task has failed.
    """

    job: Message
    pipeline: Pipeline
    root: Node
    workspace: str = ""
    changed: dict[int, Message] = field(default_factory=dict)
    removed: list[int] = field(default_factory=list)
    tasks: int = 1
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


def job_of(detail: Message) -> str:
    """The name of the CustomJob of a task's present try; empty if it has none yet."""
    executor = detail.executor_detail
    return str(executor.container_detail.main_job or executor.custom_job_detail.job)


def failed_jobs(detail: Message) -> list[str]:
    """The names of the CustomJobs of a task's tries that have failed and were followed by another one."""
    executor = detail.executor_detail
    return [*executor.container_detail.failed_main_jobs, *executor.custom_job_detail.failed_jobs]


def set_job(detail: Message, job: str, launched: bool) -> None:
    """Name the CustomJob of a task's new try.

    :param launched: whether it is one that the task asked for, and not its container.
    """
    if launched:
        detail.executor_detail.custom_job_detail.job = job
    else:
        detail.executor_detail.container_detail.main_job = job


def close_job(detail: Message) -> None:
    """Put the CustomJob of a task's present try among those that have failed."""
    executor = detail.executor_detail
    if executor.HasField("custom_job_detail"):
        executor.custom_job_detail.failed_jobs.append(executor.custom_job_detail.job)
        executor.custom_job_detail.job = ""
    else:
        executor.container_detail.failed_main_jobs.append(executor.container_detail.main_job)
        executor.container_detail.main_job = ""


def run_names(job: Message, detail: Message, root: int, workspace: str) -> dict[str, str]:
    """The values of the placeholders of source RUN in one task.

    Vertex AI fills in an empty text where the job has no service account, network, key or persistent resource. A
    PipelineJob of v1 has no persistent resource.

    :param root: the number of the root's task.
    :param workspace: the folder that all containers of the run share.
    """
    name = names.resource(job.name, names.PIPELINE_JOBS)
    return {
        "pipeline_job_name": name.id,
        "pipeline_job_uuid": str(root),
        "pipeline_job_resource_name": job.name,
        "pipeline_task_name": detail.task_name,
        "pipeline_task_uuid": str(detail.task_id),
        "pipeline_root": job.runtime_config.gcs_output_directory,
        "pipeline_job_create_time_utc": job.create_time.ToJsonString(),
        "pipeline_google_cloud_project_id": name.project,
        "pipeline_google_cloud_location": name.location,
        "pipeline_service_account": job.service_account,
        "pipeline_network": job.network,
        "pipeline_encryption_key_name": job.encryption_spec.kms_key_name,
        "pipeline_persistent_resource_id": "",
        "workspace_path": workspace,
    }


def fill_run_names(value: Any, texts: Mapping[str, str]) -> Any:
    """Fill the placeholders of source RUN in a default value; all other text in it stays as it is."""
    if isinstance(value, str) and "{{$" in value:
        return placeholders.render_some(value, lambda ref: texts.get(ref.name) if ref.source is Source.RUN else None)
    if isinstance(value, list):
        return [fill_run_names(item, texts) for item in value]
    if isinstance(value, dict):
        return {key: fill_run_names(item, texts) for key, item in value.items()}
    return value


def root_parameters(job: Message, pipeline: Pipeline) -> dict[str, Any]:
    """The parameters of a whole pipeline: those that its job gives, and the defaults.

    :raises ApiError: INVALID_ARGUMENT with each that is wrong.
    """
    given = {name: to_json(value) for name, value in job.runtime_config.parameter_values.items()}
    return bind(pipeline.root, given, "pipeline_job.runtime_config.parameter_values")


def new_run(job: Message, pipeline: Pipeline, artifacts: Mapping[str, Message], workspace: str) -> Run:
    """A run of a job that has not begun; its detail is added to the job.

    :param artifacts: the input artifacts of the whole pipeline.
    :param workspace: see :class:`Run`.
    """
    job_id = job.name.rpartition("/")[2]
    detail = PipelineTaskDetail(task_id=int(names.generated_number()), task_name=job_id)
    run = Run(job, pipeline, _root(job, pipeline, detail, artifacts, workspace), workspace)
    move(run, run.root, TaskState.PENDING)
    return run


def stored_run(job: Message, pipeline: Pipeline, artifacts: Mapping[str, Message], workspace: str) -> Run:
    """The run of a stored job that has begun, as far as its details tell.

    The inputs of its DAGs and loops, and the items of its loops, are left to do.
    """
    inside: dict[int, list[Message]] = {}
    details = list(job.job_detail.task_details)
    job.job_detail.ClearField("task_details")
    for detail in details:
        inside.setdefault(detail.parent_task_id, []).append(detail)

    def restore(node: Node) -> None:
        found = inside.get(node.detail.task_id, ())
        if not found:
            return  # a container, or a DAG or loop whose turn has not come
        if node.task.loop is not None:
            task = _iteration(node.task)
            at = ((int(detail.task_unique_name.rpartition(".")[2]), detail) for detail in found)
            node.children = {str(index): Node(task, detail, node, index) for index, detail in at}
            _link_iterations(node)
        elif isinstance(node.component.body, Dag):
            tasks = ((node.component.body.tasks[detail.task_name], detail) for detail in found)
            node.children = {task.name: Node(task, detail, node) for task, detail in tasks}
            _link(node)
        for child in node.children.values():
            restore(child)

    root = _root(job, pipeline, inside[0][0], artifacts, workspace)
    restore(root)
    failed = any(node.state == TaskState.FAILED and not node.may_retry for node in root.walk())
    return Run(job, pipeline, root, workspace, queue=deque(root.walk()), tasks=len(details), failed=failed)


def _root(job: Message, pipeline: Pipeline, detail: Message, artifacts: Mapping[str, Message], workspace: str) -> Node:
    task = Task(detail.task_name, pipeline.root, {}, (), after_failures=False, retry=NO_RETRY)
    texts = run_names(job, detail, detail.task_id, workspace)
    parameters = {
        # Of a default value alone: what a client gives passes through untouched.
        name: value if name in job.runtime_config.parameter_values else fill_run_names(value, texts)
        for name, value in root_parameters(job, pipeline).items()
    }
    return Node(task, detail, inputs=Inputs(parameters, {name: (one,) for name, one in artifacts.items()}))


def _iteration(task: Task) -> Task:
    """The task that each iteration of a loop is."""
    return replace(task, arguments={}, artifacts={}, upstream=(), after_failures=False, condition=None, loop=None)


def _link(dag: Node) -> None:
    """Tell the tasks of a DAG which of them wait for which, as their states are now."""
    for node in dag.children.values():
        upstream = [dag.children[name] for name in node.task.upstream]
        for other in upstream:
            other.after.append(node)
        node.waits = sum(not other.final for other in upstream)
        node.upstream_failed = any(other.detail.state in TASK_BAD for other in upstream)
    dag.waits = sum(not node.final for node in dag.children.values())


def _link_iterations(loop: Node) -> None:
    """Let as many iterations of a loop go as may run at the same time, as their states are now."""
    limit = loop.task.loop.limit if loop.task.loop is not None else 0
    started = [node for node in loop.children.values() if not node.final and _has_started(node)]
    loop.idle = deque(node for node in loop.children.values() if not node.final and not _has_started(node))
    for node in loop.idle:
        node.waits = 1
    for _ in range((limit or len(loop.idle)) - len(started)):
        _release_iteration(loop)
    loop.waits = sum(not node.final for node in loop.children.values())


def _has_started(node: Node) -> bool:
    return node.state != TaskState.PENDING or bool(job_of(node.detail)) or node.failures > 0


def _release_iteration(loop: Node) -> Node | None:
    """Let the next iteration of a loop go; None if there is none."""
    while loop.idle:
        node = loop.idle.popleft()
        if not node.final:
            node.waits = 0
            return node
    return None


def open_dag(run: Run, node: Node) -> None:
    """Start a DAG: list its tasks.

    :raises TooManyTasksError: if the run would have more than it may.
    """
    body = node.component.body
    tasks = body.tasks.values() if isinstance(body, Dag) else ()
    _count_tasks(run, len(tasks))
    move(run, node, TaskState.RUNNING)
    prefix = "" if node.parent is None else f"{node.detail.task_unique_name}."
    node.children = {task.name: _child(run, node, task, task.name, prefix + task.name) for task in tasks}
    _link(node)
    run.queue.extend(node.children.values() or [node])


def open_loop(run: Run, node: Node) -> None:
    """Start a loop: list an iteration for each of its items. One is a task of its own, named after the loop.

    :raises TooManyTasksError: if the run would have more than it may.
    """
    _count_tasks(run, len(node.items))
    move(run, node, TaskState.RUNNING)
    task = _iteration(node.task)
    prefix = node.detail.task_unique_name
    node.children = {
        str(at): _child(run, node, task, f"{task.name}-{at}", f"{prefix}.{at}", at) for at in range(len(node.items))
    }
    _link_iterations(node)
    run.queue.extend(node.children.values() or [node])


class TooManyTasksError(Exception):
    """A run would have more tasks than it may; the text says so."""


def _count_tasks(run: Run, more: int) -> None:
    if run.tasks + more > MOST_TASKS:
        raise TooManyTasksError(f"The job would have {run.tasks + more} tasks; at most {MOST_TASKS} are run.")
    run.tasks += more


def _child(run: Run, node: Node, task: Task, name: str, unique_name: str, index: int | None = None) -> Node:
    detail = PipelineTaskDetail(
        task_id=int(names.generated_number()),
        parent_task_id=node.detail.task_id,
        task_name=name,
        task_unique_name=unique_name,
    )
    child = Node(task, detail, node, index)
    move(run, child, TaskState.PENDING)
    return child


def close_for_retry(run: Run, node: Node, code: Code, message: str) -> None:
    """Put a DAG or loop that has failed back to PENDING, for another try that lists its tasks anew."""
    gone = [child.detail.task_id for child in node.walk() if child is not node]
    run.removed.extend(gone)
    run.tasks -= len(gone)
    for task_id in gone:
        run.changed.pop(task_id, None)
    node.children, node.waits, node.inputs, node.items = {}, 0, _NO_INPUTS, ()
    node.detail.inputs.clear()
    move(run, node, TaskState.PENDING)
    node.detail.pipeline_task_status[-1].error.code = int(code)
    node.detail.pipeline_task_status[-1].error.message = message


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
        elif released := _release_iteration(node.parent):
            run.queue.append(released)
    if node.detail.state == TaskState.FAILED and not run.failed and not node.may_retry:
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
