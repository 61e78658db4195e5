"""Runs PipelineJobs: which task may start, what became of each, and how the whole ends.

Everything happens in one event loop. A running container is one coroutine; a job whose tasks all wait has none. Each
change goes through the tables of :mod:`.states` and is written before anything else is done, and the stored job is all
that a restarted emulator needs to go on.

Where it decides what Google's documents leave open: every task of a DAG is listed from the DAG's start, PENDING until
its turn; a task that can no longer run is NOT_TRIGGERED; with FAIL_FAST no new task starts after a failure, except
those that ask to run whatever became of the others; a cancelled job starts nothing more, also no exit task.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_kedro_vertex.emulator import names, placeholders
from airflow_provider_kedro_vertex.emulator.custom_jobs import CustomJobs, outcome_of
from airflow_provider_kedro_vertex.emulator.errors import ApiError, Code
from airflow_provider_kedro_vertex.emulator.executors import Outcome, Work
from airflow_provider_kedro_vertex.emulator.names import ResourceName
from airflow_provider_kedro_vertex.emulator.protos import Message, now, to_json
from airflow_provider_kedro_vertex.emulator.spec import (
    NO_RETRY,
    Component,
    ComponentInput,
    Constant,
    Container,
    Dag,
    FinalStatus,
    Pipeline,
    Task,
    bind,
    read_pipeline,
    type_fault,
)
from airflow_provider_kedro_vertex.emulator.states import (
    JOB_FINAL,
    PIPELINE_FINAL,
    PIPELINE_MOVES,
    TASK_BAD,
    TASK_FINAL,
    TASK_MOVES,
    PipelineState,
    TaskState,
)
from airflow_provider_kedro_vertex.emulator.store import Store

logger = logging.getLogger(__name__)

FAIL_FAST = 2
"""PIPELINE_FAILURE_POLICY_FAIL_FAST."""

# A job's detail repeats its tasks' inputs; a longer one is cut there. The container gets all of it.
_SHOWN_INPUT = 1000


class TaskError(Exception):
    """A task cannot be started, because of its arguments."""


@dataclass(eq=False)
class _Node:
    """One task in one run: the spec's task, the detail that clients see, and where it stands."""

    component: Component
    detail: Message
    values: Mapping[str, Any]
    task: Task | None = None
    children: dict[str, _Node] = field(default_factory=dict)
    attempt: asyncio.Task[Any] | None = None

    @property
    def state(self) -> TaskState:
        return TaskState(self.detail.state)

    @property
    def final(self) -> bool:
        return self.detail.state in TASK_FINAL

    def everything(self) -> Iterator[_Node]:
        """The node itself and all inside it."""
        yield self
        for child in self.children.values():
            yield from child.everything()


@dataclass(eq=False)
class _Run:
    """One PipelineJob that has not ended. ``job`` is without its spec."""

    job: Message
    pipeline: Pipeline
    root: _Node

    @property
    def cancelling(self) -> bool:
        return bool(self.job.state == PipelineState.PIPELINE_STATE_CANCELLING)

    @property
    def stopped(self) -> bool:
        """Whether a failure keeps new tasks from starting."""
        return self.job.runtime_config.failure_policy == FAIL_FAST and any(
            node.state == TaskState.FAILED for node in self.root.everything()
        )


class Engine:
    """Runs the PipelineJobs of one emulator. Its methods are called in the event loop."""

    def __init__(self, store: Store, custom_jobs: CustomJobs) -> None:
        self._store = store
        self._custom_jobs = custom_jobs
        self._runs: dict[str, _Run] = {}
        self._closing = False

    def start(self, job: Message, pipeline: Pipeline) -> None:
        """Take on a stored, pending job. It begins once the caller has given its answer.

        :param job: the job without its spec; the engine changes it from now on.
        """
        self._runs[job.name] = self._new_run(job, pipeline)
        asyncio.get_running_loop().call_soon(self._begin, job.name)

    def cancel(self, name: str) -> None:
        """Cancel a job that has not ended: running containers are ended, waiting tasks do not start."""
        run = self._runs[name]
        if run.cancelling:
            return
        with self._store.transaction():
            self._move_job(run, PipelineState.PIPELINE_STATE_CANCELLING)
            for node in list(run.root.everything()):
                if node.state == TaskState.RUNNING:
                    self._move(node, TaskState.CANCELLING)
                if node.attempt is not None:
                    node.attempt.cancel()
                elif node.state == TaskState.PENDING:
                    self._end_cancelled(node)
            self._advance(run)

    def recover(self) -> None:
        """After a start: take on every job that has not ended, from where it stands."""
        for name in self._store.unfinished(names.PIPELINE_JOBS, PIPELINE_FINAL):
            job = self._store.pipeline_job(name)
            if job is None:
                continue
            try:
                pipeline = read_pipeline(to_json(job.pipeline_spec))
            except ApiError as error:
                # An older emulator ran this spec and this one does not.
                logger.error("%s cannot go on: %s", name, error)
                continue
            job.ClearField("pipeline_spec")
            if job.state == PipelineState.PIPELINE_STATE_PENDING:
                self.start(job, pipeline)
                continue
            self._runs[name] = run = self._stored_run(job, pipeline)
            with self._store.transaction():
                for node in list(run.root.everything()):
                    self._resume(run, node)
                self._advance(run)

    async def close(self) -> None:
        """End all containers. Their jobs stay as they are; :meth:`recover` says what became of them."""
        self._closing = True
        attempts = [node.attempt for run in self._runs.values() for node in run.root.everything() if node.attempt]
        for attempt in attempts:
            attempt.cancel()
        if attempts:
            await asyncio.wait(attempts)

    def forget(self) -> None:
        """After :meth:`close`: know no job any more, and be ready for new ones."""
        self._runs.clear()
        self._closing = False

    # How a run is built, new or from the store.

    def _new_run(self, job: Message, pipeline: Pipeline) -> _Run:
        parent, _, job_id = job.name.rpartition(f"/{names.PIPELINE_JOBS}/")
        for context, name, title in (
            (job.job_detail.pipeline_context, pipeline.name, "system.Pipeline"),
            (job.job_detail.pipeline_run_context, job_id, "system.PipelineRun"),
        ):
            context.name, context.schema_title = f"{parent}/metadataStores/default/contexts/{name}", title
        detail = job.job_detail.task_details.add(task_id=int(names.generated_number()), task_name=job_id)
        root = _Node(pipeline.root, detail, self._root_values(job, pipeline))
        self._move(root, TaskState.PENDING)
        return _Run(job, pipeline, root)

    def _stored_run(self, job: Message, pipeline: Pipeline) -> _Run:
        inside: dict[int, list[Message]] = {}
        for detail in job.job_detail.task_details:
            inside.setdefault(detail.parent_task_id, []).append(detail)

        def restore(node: _Node) -> _Node:
            for detail in inside.get(node.detail.task_id, []):
                body = node.component.body
                task = body.tasks[detail.task_name] if isinstance(body, Dag) else None
                if task is not None:
                    child = _Node(task.component, detail, {}, task)
                    if isinstance(task.component.body, Dag) and detail.task_id in inside:
                        child.values = self._arguments(node, child, job)
                    node.children[task.name] = restore(child)
            return node

        return _Run(job, pipeline, restore(_Node(pipeline.root, inside[0][0], self._root_values(job, pipeline))))

    def _root_values(self, job: Message, pipeline: Pipeline) -> Mapping[str, Any]:
        given = {name: to_json(value) for name, value in job.runtime_config.parameter_values.items()}
        return bind(pipeline.root, given, "pipeline_job.runtime_config.parameter_values")

    def _begin(self, name: str) -> None:
        run = self._runs.get(name)
        if run is None or self._closing or run.cancelling:
            return
        with self._store.transaction():
            self._move_job(run, PipelineState.PIPELINE_STATE_RUNNING)
            self._open(run, run.root)
            self._advance(run)

    # How a run goes on. Everything below leaves the run in a state from which `_advance` finds the next thing to do.

    def _advance(self, run: _Run) -> None:
        """Start what may start, end what has ended, until nothing changes; then write the job."""
        while any(
            self._settle(run, node) for node in list(run.root.everything()) if isinstance(node.component.body, Dag)
        ):
            pass
        if run.root.final:
            self._finish(run)
        run.job.update_time.CopyFrom(now())
        self._store.save(run.job)

    def _settle(self, run: _Run, dag: _Node) -> bool:
        """Look at one open DAG. Returns whether something changed."""
        if dag.state not in (TaskState.RUNNING, TaskState.CANCELLING):
            return False
        changed, stopped = False, run.stopped
        for node in dag.children.values():
            if node.state != TaskState.PENDING or node.attempt is not None or node.task is None:
                continue
            upstream = [dag.children[name].state for name in node.task.upstream]
            barred = stopped or not TASK_BAD.isdisjoint(upstream)
            if run.cancelling:
                self._end_cancelled(node)
            elif barred and not node.task.after_failures:
                self._move(node, TaskState.NOT_TRIGGERED)
            elif all(state in TASK_FINAL for state in upstream):
                self._trigger(run, dag, node)
            else:
                continue
            changed = True
        if all(node.final for node in dag.children.values()):
            self._end_dag(run, dag)
            changed = True
        return changed

    def _trigger(self, run: _Run, dag: _Node, node: _Node) -> None:
        try:
            node.values = self._arguments(dag, node, run.job)
        except TaskError as error:
            self._fail(node, Code.INVALID_ARGUMENT, str(error))
            return
        for name, value in node.values.items():
            if value is not None:
                shown = (
                    value if not isinstance(value, str) or len(value) <= _SHOWN_INPUT else f"{value[:_SHOWN_INPUT]}..."
                )
                node.detail.execution.metadata.update({f"input:{name}": shown})
        if isinstance(node.component.body, Dag):
            self._open(run, node)
        else:
            self._launch(run, node, node.component.body)

    def _open(self, run: _Run, node: _Node) -> None:
        """Start a DAG: list its tasks."""
        self._move(node, TaskState.RUNNING)
        node.detail.execution.schema_title = "system.DagExecution"
        body = node.component.body
        for task in body.tasks.values() if isinstance(body, Dag) else ():
            prefix = f"{node.detail.task_unique_name}." if node.task is not None else ""
            detail = run.job.job_detail.task_details.add(
                task_id=int(names.generated_number()),
                parent_task_id=node.detail.task_id,
                task_name=task.name,
                task_unique_name=prefix + task.name,
            )
            node.children[task.name] = child = _Node(task.component, detail, {}, task)
            self._move(child, TaskState.PENDING)

    def _launch(self, run: _Run, node: _Node, container: Container) -> None:
        """Store the CustomJob of a container task's next try, and start it."""
        job = ResourceName(*_name_parts(run.job.name))
        parameters = node.component.parameters

        def parameter(name: str) -> str:
            if node.values.get(name) is None:
                raise TaskError(f'The container uses the input "{name}", which is optional and was not given.')
            return placeholders.as_text(node.values[name], parameters[name].type)

        context = _names_of(run.job, node.detail)
        try:
            image, *argv = (
                placeholders.render(text, parameter, context)
                for text in (container.image, *container.command, *container.args)
            )
            env = tuple((name, placeholders.render(value, parameter, context)) for name, value in container.env)
        except TaskError as error:
            self._fail(node, Code.INVALID_ARGUMENT, str(error))
            return
        work = Work(names.generated_number(), image, tuple(argv), env)
        labels = {names.BILLING_LABEL: run.job.labels[names.BILLING_LABEL]}
        custom_job = self._custom_jobs.add(job.parent, f"{job.id}-{node.detail.task_name}", labels, work)
        node.detail.executor_detail.container_detail.main_job = custom_job.name
        node.detail.execution.schema_title = "system.ContainerExecution"
        self._attempt(run, node, custom_job)

    def _attempt(self, run: _Run, node: _Node, custom_job: Message) -> None:
        def started() -> None:
            self._move(node, TaskState.RUNNING)
            run.job.update_time.CopyFrom(now())
            self._store.save(run.job)

        def ended(attempt: asyncio.Task[Outcome]) -> None:
            # A callback, and not the end of the coroutine: one that is cancelled before its first line has no end.
            if self._closing:
                return
            with self._store.transaction():
                node.attempt = None
                if attempt.cancelled():
                    self._custom_jobs.cancelled(custom_job)
                    self._end_cancelled(node)
                else:
                    self._container_ended(run, node, attempt.result())
                self._advance(run)

        attempt = self._custom_jobs.start(custom_job, node.detail.task_name, started)
        node.attempt = attempt
        attempt.add_done_callback(ended)

    def _container_ended(self, run: _Run, node: _Node, outcome: Outcome) -> None:
        if outcome.code is None:
            self._move(node, TaskState.SUCCEEDED)
            return
        if run.cancelling and outcome.code == Code.CANCELLED:
            self._end_cancelled(node)
            return
        retry = node.task.retry if node.task is not None else NO_RETRY
        container = node.detail.executor_detail.container_detail
        if not outcome.retry or run.cancelling or len(container.failed_main_jobs) >= retry.limit:
            self._fail(node, outcome.code, outcome.message)
            return
        container.failed_main_jobs.append(container.main_job)
        container.main_job = ""
        if node.state == TaskState.RUNNING:
            self._move(node, TaskState.PENDING)
        node.detail.pipeline_task_status[-1].error.code = int(outcome.code)
        node.detail.pipeline_task_status[-1].error.message = outcome.message
        self._try_again(run, node)

    def _try_again(self, run: _Run, node: _Node) -> None:
        retry = node.task.retry if node.task is not None else NO_RETRY
        delay = retry.delay(len(node.detail.executor_detail.container_detail.failed_main_jobs))

        def waited(attempt: asyncio.Task[None]) -> None:
            if self._closing:
                return
            with self._store.transaction():
                node.attempt = None
                if attempt.cancelled():
                    self._end_cancelled(node)
                elif isinstance(node.component.body, Container):
                    self._launch(run, node, node.component.body)
                self._advance(run)

        attempt = asyncio.get_running_loop().create_task(asyncio.sleep(delay))
        node.attempt = attempt
        attempt.add_done_callback(waited)

    def _resume(self, run: _Run, node: _Node) -> None:
        """Go on with a container task of a stored run; its CustomJob says how far it came."""
        if node.final or not isinstance(node.component.body, Container):
            return
        container = node.detail.executor_detail.container_detail
        custom_job = self._store.custom_job(container.main_job) if container.main_job else None
        if custom_job is None and not container.failed_main_jobs:
            return  # its turn has not come
        parent = next(dag for dag in run.root.everything() if node in dag.children.values())
        if custom_job is not None and custom_job.state in JOB_FINAL:
            if run.cancelling:
                self._end_cancelled(node)
                return
            node.values = self._arguments(parent, node, run.job)
            self._container_ended(run, node, outcome_of(custom_job))
        elif run.cancelling:
            if custom_job is not None:
                self._custom_jobs.cancelled(custom_job)
            self._end_cancelled(node)
        else:
            node.values = self._arguments(parent, node, run.job)
            if custom_job is not None:
                self._attempt(run, node, custom_job)
            else:
                self._try_again(run, node)

    # How things end.

    def _end_dag(self, run: _Run, dag: _Node) -> None:
        failed = [name for name, node in dag.children.items() if node.state == TaskState.FAILED]
        if run.cancelling and any(node.state == TaskState.CANCELLED for node in dag.children.values()):
            self._end_cancelled(dag)
        elif failed:
            self._fail(dag, Code.FAILED_PRECONDITION, _failure(failed))
        else:
            self._move(dag, TaskState.SUCCEEDED)

    def _finish(self, run: _Run) -> None:
        ends = {
            TaskState.SUCCEEDED: PipelineState.PIPELINE_STATE_SUCCEEDED,
            TaskState.FAILED: PipelineState.PIPELINE_STATE_FAILED,
            TaskState.CANCELLED: PipelineState.PIPELINE_STATE_CANCELLED,
        }
        self._move_job(run, ends[run.root.state])
        if run.root.detail.HasField("error"):
            run.job.error.CopyFrom(run.root.detail.error)
        del self._runs[run.job.name]

    def _fail(self, node: _Node, code: Code, message: str) -> None:
        node.detail.error.code, node.detail.error.message = int(code), message
        self._move(node, TaskState.FAILED)

    def _end_cancelled(self, node: _Node) -> None:
        node.detail.error.code, node.detail.error.message = int(Code.CANCELLED), "Cancelled by a request."
        if node.state == TaskState.RUNNING:
            self._move(node, TaskState.CANCELLING)
        self._move(node, TaskState.CANCELLED)

    def _move(self, node: _Node, state: TaskState) -> None:
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
        status = detail.pipeline_task_status.add(state=state, update_time=moment)
        if state in TASK_FINAL and detail.HasField("error"):
            status.error.CopyFrom(detail.error)

    def _move_job(self, run: _Run, state: PipelineState) -> None:
        found = PipelineState(run.job.state)
        if state not in PIPELINE_MOVES.get(found, frozenset()):
            raise AssertionError(f"{run.job.name}: {found.name} does not go to {state.name}")
        moment = now()
        if state == PipelineState.PIPELINE_STATE_RUNNING:
            run.job.start_time.CopyFrom(moment)
        if state in PIPELINE_FINAL:
            run.job.end_time.CopyFrom(moment)
        run.job.state = state

    # What a task is given.

    def _arguments(self, dag: _Node, node: _Node, job: Message) -> dict[str, Any]:
        """A task's inputs by name: its arguments, and the defaults of its component.

        :raises TaskError: if an argument that a placeholder filled is not of the input's type.
        """
        task = node.task
        given = {} if task is None else dict(task.arguments)
        context = _names_of(job, node.detail)
        values: dict[str, Any] = {
            name: dag.values.get(argument.name)
            for name, argument in given.items()
            if isinstance(argument, ComponentInput)
        }
        for name, argument in given.items():
            if isinstance(argument, FinalStatus):
                values[name] = _final_status(job, dag.children[argument.task].detail)

        def parameter(name: str) -> str:
            if name not in values:
                argument = given[name]
                values[name] = None  # a constant that names itself finds nothing
                values[name] = fill(argument.value) if isinstance(argument, Constant) else None
            return "" if values[name] is None else placeholders.as_text(values[name], _type_of(dag, given[name]))

        def fill(value: Any) -> Any:
            if isinstance(value, str):
                return placeholders.render(placeholders.parse(value), parameter, context)
            if isinstance(value, list):
                return [fill(item) for item in value]
            if isinstance(value, dict):
                return {key: fill(item) for key, item in value.items()}
            return value

        for name in given:
            parameter(name)
        inputs = {}
        for name, declared in node.component.parameters.items():
            value = values.get(name)
            inputs[name] = declared.default if value is None else value
            if inputs[name] is not None and (fault := type_fault(inputs[name], declared)):
                raise TaskError(f'The input "{name}" {fault}')
        return inputs


def _type_of(dag: _Node, argument: Any) -> str:
    if isinstance(argument, ComponentInput) and argument.name in dag.component.parameters:
        return dag.component.parameters[argument.name].type
    return "STRING"


def _final_status(job: Message, detail: Message) -> dict[str, Any]:
    """How a task ended, in the JSON of ``PipelineTaskFinalStatus`` (pipeline_spec.proto)."""
    status: dict[str, Any] = {
        "state": TaskState(detail.state).name,
        "pipelineJobResourceName": job.name,
        "pipelineTaskName": detail.task_name,
    }
    if detail.HasField("error"):
        status["error"] = {"code": detail.error.code, "message": detail.error.message}
    return status


def _names_of(job: Message, detail: Message) -> dict[str, str]:
    return {
        "pipeline_job_name": job.name.rpartition("/")[2],
        "pipeline_job_uuid": str(job.job_detail.task_details[0].task_id),
        "pipeline_job_resource_name": job.name,
        "pipeline_task_name": detail.task_name,
        "pipeline_task_uuid": str(detail.task_id),
    }


def _name_parts(name: str) -> tuple[str, str, str, str]:
    _, project, _, location, collection, job_id = name.split("/")
    return project, location, collection, job_id


def _failure(failed: list[str]) -> str:
    """Which tasks of a DAG failed, in Vertex AI's words."""
    return f"The DAG failed because some tasks failed. The failed tasks are: [{', '.join(failed)}]."
