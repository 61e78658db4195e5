"""Runs PipelineJobs: starts each task when its turn has come, and ends the job when all have ended.

Everything happens in one event loop. A running container is one coroutine; a job whose tasks all wait has none. Each
change goes through the tables of :mod:`.states` and is written before anything else is done, and the stored job is all
that a restarted emulator needs to go on.

Where it decides what Google's documents leave open: every task of a DAG is listed from the DAG's start, PENDING until
its turn, and so is every iteration of a loop, as a task of its own named after the loop; a retry of a DAG lists its
tasks anew and forgets those of the try before; a retry policy of a loop is one of each iteration; a task that can no
longer run is NOT_TRIGGERED, and so is one after it; with FAIL_FAST no new task starts after a failure, except those
that ask to run whatever became of the others; a cancelled job starts nothing more, also no exit task; a container that
does not write an output it declares succeeds, and a task that needs that output fails.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable

from airflow_provider_kedro_vertex.emulator.engine.arguments import ArgumentError, items_of, resolve
from airflow_provider_kedro_vertex.emulator.engine.caching import cache_key, import_key
from airflow_provider_kedro_vertex.emulator.engine.container_io import ContainerError, ContainerIO
from airflow_provider_kedro_vertex.emulator.engine.custom_jobs import CustomJobs, outcome_of
from airflow_provider_kedro_vertex.emulator.engine.launcher import image_of, is_launcher
from airflow_provider_kedro_vertex.emulator.engine.launcher import read as read_launch
from airflow_provider_kedro_vertex.emulator.engine.metadata import add_contexts, save_tasks
from airflow_provider_kedro_vertex.emulator.engine.outputs import (
    Outputs,
    dag_outputs,
    outputs_alone,
    write_inputs,
    write_outputs,
)
from airflow_provider_kedro_vertex.emulator.engine.runs import (
    Inputs,
    Node,
    Run,
    TooManyTasksError,
    close_for_retry,
    close_job,
    end_cancelled,
    fail,
    job_of,
    move,
    move_job,
    new_run,
    open_dag,
    open_loop,
    set_job,
    stored_run,
)
from airflow_provider_kedro_vertex.emulator.executors.base import Limits, Outcome, Work
from airflow_provider_kedro_vertex.emulator.resources import names
from airflow_provider_kedro_vertex.emulator.resources.errors import ApiError, Code
from airflow_provider_kedro_vertex.emulator.resources.protos import Artifact, Message, PipelineTaskDetail, now, to_json
from airflow_provider_kedro_vertex.emulator.resources.states import (
    JOB_FINAL,
    PIPELINE_FINAL,
    PipelineState,
    TaskState,
)
from airflow_provider_kedro_vertex.emulator.spec.conditions import ConditionError
from airflow_provider_kedro_vertex.emulator.spec.graph import Container, Importer, Pipeline
from airflow_provider_kedro_vertex.emulator.spec.reader import read_pipeline
from airflow_provider_kedro_vertex.emulator.storage.buckets import Buckets
from airflow_provider_kedro_vertex.emulator.storage.store import Store

logger = logging.getLogger(__name__)

RUN_LABELS = "VERTEX_AI_PIPELINES_RUN_LABELS"
"""The variable that gives every container of a pipeline its job's labels in JSON."""


class Engine:
    """Runs the PipelineJobs of one emulator. Its methods are called in the event loop.

    :param is_mounted: tells if the containers of an image have the buckets at ``/gcs``.
    :param speed: by how much faster than the clock the waits between the tries of a task pass.
    """

    def __init__(
        self,
        store: Store,
        custom_jobs: CustomJobs,
        buckets: Buckets,
        is_mounted: Callable[[str], bool],
        speed: float = 1.0,
    ) -> None:
        self._is_mounted = is_mounted
        self._speed = speed
        self._store = store
        self._custom_jobs = custom_jobs
        self._buckets = buckets
        self._runs: dict[str, Run] = {}
        self._unsaved: set[Run] = set()
        self._closing = False

    def start(self, job: Message, pipeline: Pipeline) -> None:
        """Take on a stored, pending job. It begins once the caller has given its answer.

        :param job: the job without its spec; the engine changes it from now on.
        """
        with self._store.transaction():
            add_contexts(self._store, job, pipeline.name)
        self._runs[job.name] = new_run(job, pipeline, self.input_artifacts(job), self._workspace(job))
        asyncio.get_running_loop().call_soon(self._begin, job.name)

    def input_artifacts(self, job: Message) -> dict[str, Message]:
        """The artifacts that a job gives to its pipeline; those that are not there are left out."""
        parent = job.name.rpartition(f"/{names.PIPELINE_JOBS}/")[0]
        given = job.runtime_config.input_artifacts
        found = {
            name: self._store.records.get(Artifact, names.artifact(parent, given[name].artifact_id)) for name in given
        }
        return {name: artifact for name, artifact in found.items() if artifact is not None}

    def _workspace(self, job: Message) -> str:
        root, name = job.runtime_config.gcs_output_directory, names.resource(job.name, names.PIPELINE_JOBS)
        try:
            return self._buckets.path(f"{root.rstrip('/')}/{name.project}/{name.id}/workspace")
        except ValueError:
            return ""  # no file can be below this root; whichever task needs one says so

    def cancel(self, name: str) -> None:
        """Cancel a job that has not ended: running containers are ended, waiting tasks do not start."""
        run = self._runs[name]
        if run.cancelling:
            return
        with self._store.transaction():
            move_job(run, PipelineState.PIPELINE_STATE_CANCELLING)
            for node in list(run.root.walk()):
                if node.state == TaskState.RUNNING:
                    move(run, node, TaskState.CANCELLING)
                if node.attempt is not None:
                    node.attempt.cancel()
                elif node.state == TaskState.PENDING:
                    end_cancelled(run, node)
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
            self._runs[name] = run = stored_run(job, pipeline, self.input_artifacts(job), self._workspace(job))
            with self._store.transaction():
                self._resume(run, run.root)
                self._advance(run)

    async def close(self) -> None:
        """End all containers. Their jobs stay as they are; :meth:`recover` says what became of them."""
        self._closing = True
        self._write_unsaved()
        attempts = [node.attempt for run in self._runs.values() for node in run.root.walk() if node.attempt]
        for attempt in attempts:
            attempt.cancel()
        if attempts:
            await asyncio.wait(attempts)

    def forget(self) -> None:
        """After :meth:`close`: know no job any more, and be ready for new ones."""
        self._runs.clear()
        self._closing = False

    def _begin(self, name: str) -> None:
        run = self._runs.get(name)
        if run is None or self._closing or run.cancelling:
            return
        with self._store.transaction():
            move_job(run, PipelineState.PIPELINE_STATE_RUNNING)
            _describe(run, run.root)
            write_inputs(run.root.detail, run.root.inputs)
            open_dag(run, run.root)
            self._advance(run)

    # How a run goes on. Everything below leaves the run in a state from which `_advance` finds the next thing to do.

    def _advance(self, run: Run) -> None:
        """Start what may start, end what has ended, until nothing changes; then write the job."""
        while run.queue:
            self._look_at(run, run.queue.popleft())
        if run.root.final:
            self._finish(run)
        self._write(run)

    def _write(self, run: Run) -> None:
        run.job.update_time.CopyFrom(now())
        save_tasks(self._store, run.job, run.changed.values())
        self._store.save(run.job, run.changed.values(), run.removed)
        run.changed.clear()
        run.removed.clear()

    def _look_at(self, run: Run, node: Node) -> None:
        """Look at a task whose turn may have come, or at an open DAG whose tasks may have ended."""
        if node.state in (TaskState.RUNNING, TaskState.CANCELLING):
            if node.task.has_children and not node.waits:
                self._end_dag(run, node)
        elif node.state == TaskState.PENDING and node.attempt is None:
            if run.cancelling:
                end_cancelled(run, node)
            elif (node.upstream_failed or run.stopped) and not node.task.after_failures:
                move(run, node, TaskState.NOT_TRIGGERED)
            elif not node.waits:
                self._start_task(run, node)

    def _start_task(self, run: Run, node: Node) -> None:
        """A task's turn has come: it starts, or its condition, its arguments or the cache say otherwise."""
        condition = node.task.condition
        try:
            inputs = resolve(run, node)
            if condition is not None and not condition.holds(inputs.parameters):
                move(run, node, TaskState.NOT_TRIGGERED)
                return
        except ArgumentError as error:
            fail(run, node, Code.INVALID_ARGUMENT, str(error))
            return
        except ConditionError as error:
            text = condition.text if condition is not None else ""
            fail(run, node, Code.INVALID_ARGUMENT, f'The condition "{text[:200]}" has no value: {error}.')
            return
        _describe(run, node)
        write_inputs(node.detail, inputs)
        body = node.component.body
        if node.task.has_children:
            self._open(run, node, inputs)
        elif isinstance(body, Importer):
            self._import(run, node, body, inputs)
        elif isinstance(body, Container) and not self._found_in_cache(run, node, inputs):
            self._start_container(run, node, body, inputs)

    def _open(self, run: Run, node: Node, inputs: Inputs) -> None:
        """Start a DAG or a loop."""
        node.inputs = inputs
        try:
            if node.task.loop is None:
                open_dag(run, node)
            else:
                node.items = items_of(node, inputs)
                open_loop(run, node)
        except (ArgumentError, TooManyTasksError) as error:
            fail(run, node, Code.INVALID_ARGUMENT, str(error))

    def _import(self, run: Run, node: Node, importer: Importer, inputs: Inputs) -> None:
        """Run an importer. An artifact with the same URI, type and metadata is made once, but for a reimport."""
        move(run, node, TaskState.RUNNING)
        try:
            artifact = self._io(run, node, inputs).imported(importer)
        except ContainerError as error:
            fail(run, node, Code.INVALID_ARGUMENT, str(error))
            return
        (output,) = node.component.output_artifacts
        parent = run.job.name.rpartition(f"/{names.PIPELINE_JOBS}/")[0]
        key = import_key(parent, artifact)
        kept = None if importer.reimport else self._store.cached_outputs(key)
        if kept is None:
            self._write_outputs(node, Outputs(artifacts={output: (artifact,)}))
            self._store.cache_outputs(key, PipelineTaskDetail(outputs={"artifact": node.detail.outputs[output]}))
        else:
            write_outputs(node.detail, Outputs(artifacts={output: tuple(kept.outputs["artifact"].artifacts)}))
        move(run, node, TaskState.SUCCEEDED)

    def _write_outputs(self, node: Node, outputs: Outputs) -> None:
        """Write what a task made into its detail, and its artifacts to the store."""
        write_outputs(node.detail, outputs)
        self._store.records.save(one for artifacts in outputs.artifacts.values() for one in artifacts)

    def _found_in_cache(self, run: Run, node: Node, inputs: Inputs) -> bool:
        if not node.task.cached:
            return False
        kept = self._store.cached_outputs(cache_key(run, node.task, inputs))
        if kept is None:
            return False
        node.detail.MergeFrom(kept)
        move(run, node, TaskState.SKIPPED)
        return True

    def _start_container(self, run: Run, node: Node, container: Container, inputs: Inputs) -> None:
        """Store the CustomJob of a container task's next try, and start it."""
        try:
            rendered = self._io(run, node, inputs).rendered(container)
            self._limits(run, node, inputs)
            if is_launcher(rendered.image, rendered.command, rendered.args):
                self._launch(run, node, container, inputs, image_of(rendered.args))
                return
        except ContainerError as error:
            fail(run, node, Code.INVALID_ARGUMENT, str(error))
            return
        except ApiError as error:
            fail(run, node, error.code, error.message)
            return
        # kfp knows by this variable that it runs on Vertex AI, and leaves the naming of artifacts to it.
        own = (RUN_LABELS, json.dumps(dict(run.job.labels), sort_keys=True))
        work = Work(names.generated_number(), rendered.image, rendered.command, rendered.args, (own, *rendered.env))
        labels = {names.BILLING_LABEL: run.job.labels[names.BILLING_LABEL]}
        custom_job = self._custom_jobs.add(run.job.name, node.detail.task_name, labels, work)
        self._begin_try(run, node, custom_job, launched=False)

    def _launch(self, run: Run, node: Node, container: Container, inputs: Inputs, image: str) -> None:
        """Store the CustomJob that the launcher of a task's next try asks for, and start it.

        :param image: the job's, whose containers get the paths of files.
        :raises ApiError: the job is refused.
        :raises ContainerError: the file that names it cannot be written.
        """
        io = self._io(run, node, inputs)
        launch = read_launch(io.rendered(container, image).args, run.job.labels)
        if launch.resources_file:
            io.write_output(launch.resources_file, launch.resources)
        self._custom_jobs.add_launched(run.job.name, launch.job)
        self._begin_try(run, node, launch.job, launched=True)

    def _begin_try(self, run: Run, node: Node, custom_job: Message, launched: bool) -> None:
        set_job(node.detail, custom_job.name, launched)
        run.changed[node.detail.task_id] = node.detail
        self._attempt(run, node, custom_job)

    def _attempt(self, run: Run, node: Node, custom_job: Message) -> None:
        def started() -> None:
            # A launched job may be started again, and its task runs meanwhile.
            if node.state == TaskState.PENDING:
                move(run, node, TaskState.RUNNING)
                self._write_soon(run)

        def ended(attempt: asyncio.Task[Outcome]) -> None:
            # A callback, and not the end of the coroutine: one that is cancelled before its first line has no end.
            if self._closing:
                return
            with self._store.transaction():
                node.attempt = None
                if attempt.cancelled():
                    self._custom_jobs.cancelled(custom_job)
                    end_cancelled(run, node)
                else:
                    self._container_ended(run, node, attempt.result())
                self._advance(run)

        limits = self._limits(run, node, resolve(run, node))
        launched = node.detail.executor_detail.HasField("custom_job_detail")
        attempt = self._custom_jobs.start(custom_job, node.detail.task_name, started, limits, cluster=launched)
        node.attempt = attempt
        attempt.add_done_callback(ended)

    def _write_soon(self, run: Run) -> None:
        """Write a run whose containers have started, once for all that start together.

        Should the emulator be killed before, their CustomJobs tell that they ran.
        """
        if not self._unsaved:
            asyncio.get_running_loop().call_soon(self._write_unsaved)
        self._unsaved.add(run)

    def _write_unsaved(self) -> None:
        if not self._unsaved:
            return  # closed meanwhile
        with self._store.transaction():
            for run in self._unsaved:
                self._write(run)
        self._unsaved.clear()

    def _container_ended(self, run: Run, node: Node, outcome: Outcome) -> None:
        if outcome.code is None:
            self._succeeded(run, node)
            return
        if run.cancelling and outcome.code == Code.CANCELLED:
            end_cancelled(run, node)
            return
        retry = node.task.retry
        if not outcome.retry or run.cancelling or node.failures >= retry.limit:
            fail(run, node, outcome.code, outcome.message)
            return
        close_job(node.detail)
        if node.state == TaskState.RUNNING:
            move(run, node, TaskState.PENDING)
        node.detail.pipeline_task_status[-1].error.code = int(outcome.code)
        node.detail.pipeline_task_status[-1].error.message = outcome.message
        run.changed[node.detail.task_id] = node.detail
        self._try_again(run, node)

    def _succeeded(self, run: Run, node: Node) -> None:
        """A container has ended well: its outputs are read."""
        if node.component.has_outputs:
            try:
                self._write_outputs(node, self._io(run, node, Inputs()).read())
            except ContainerError as error:
                fail(run, node, Code.INVALID_ARGUMENT, str(error))
                return
        if node.task.cached and not run.cancelling:
            inputs = resolve(run, node)
            self._store.cache_outputs(cache_key(run, node.task, inputs), outputs_alone(node.detail))
        move(run, node, TaskState.SUCCEEDED)

    def _try_again(self, run: Run, node: Node) -> None:
        delay = node.task.retry.delay(node.failures) / self._speed

        def waited(attempt: asyncio.Task[None]) -> None:
            if self._closing:
                return
            with self._store.transaction():
                node.attempt = None
                if attempt.cancelled():
                    end_cancelled(run, node)
                elif node.task.has_children:
                    run.queue.append(node)
                elif isinstance(node.component.body, Container):
                    self._start_container(run, node, node.component.body, resolve(run, node))
                self._advance(run)

        attempt = asyncio.get_running_loop().create_task(asyncio.sleep(delay))
        node.attempt = attempt
        attempt.add_done_callback(waited)

    def _io(self, run: Run, node: Node, inputs: Inputs) -> ContainerIO:
        return ContainerIO.of(run, node, inputs, self._buckets, self._is_mounted)

    def _limits(self, run: Run, node: Node, inputs: Inputs) -> Limits:
        body = node.component.body
        return self._io(run, node, inputs).limits(body.resources) if isinstance(body, Container) else Limits()

    # How a stored run goes on.

    def _resume(self, run: Run, dag: Node) -> None:
        """Go on with the tasks of an open DAG of a stored run."""
        for node in dag.children.values():
            if node.final:
                continue
            if not node.task.has_children:
                self._resume_container(run, node)
            elif node.state != TaskState.PENDING:
                node.inputs = resolve(run, node)
                node.items = items_of(node, node.inputs)
                self._resume(run, node)
            elif node.failures:
                self._try_again(run, node)

    def _resume_container(self, run: Run, node: Node) -> None:
        """Go on with a container task; its CustomJob says how far it came."""
        name = job_of(node.detail)
        custom_job = self._store.custom_job(name) if name else None
        if custom_job is None and not node.failures:
            return  # its turn has not come
        if custom_job is not None and custom_job.state in JOB_FINAL:
            if run.cancelling:
                end_cancelled(run, node)
            else:
                self._container_ended(run, node, outcome_of(custom_job))
        elif run.cancelling:
            if custom_job is not None:
                self._custom_jobs.cancelled(custom_job)
            end_cancelled(run, node)
        elif custom_job is not None:
            self._attempt(run, node, custom_job)
        else:
            self._try_again(run, node)

    # How things end.

    def _end_dag(self, run: Run, dag: Node) -> None:
        failed = [node.detail.task_name for node in dag.children.values() if node.state == TaskState.FAILED]
        if run.cancelling and any(node.state == TaskState.CANCELLED for node in dag.children.values()):
            end_cancelled(run, dag)
            return
        if failed and not run.cancelling and not run.stopped and dag.failures < dag.tries:
            close_for_retry(run, dag, Code.FAILED_PRECONDITION, _failure(failed))
            self._try_again(run, dag)
            return
        write_outputs(dag.detail, dag_outputs(dag))
        if failed:
            fail(run, dag, Code.FAILED_PRECONDITION, _failure(failed))
        else:
            move(run, dag, TaskState.SUCCEEDED)

    def _finish(self, run: Run) -> None:
        ends = {
            TaskState.SUCCEEDED: PipelineState.PIPELINE_STATE_SUCCEEDED,
            TaskState.FAILED: PipelineState.PIPELINE_STATE_FAILED,
            TaskState.CANCELLED: PipelineState.PIPELINE_STATE_CANCELLED,
        }
        move_job(run, ends[run.root.state])
        if run.root.detail.HasField("error"):
            run.job.error.CopyFrom(run.root.detail.error)
        if run.root.state == TaskState.FAILED:
            run.job.error.message += _job_failure(run)
        del self._runs[run.job.name]


def _describe(run: Run, node: Node) -> None:
    """Name the metadata execution of a task that starts."""
    parent = run.job.name.rpartition(f"/{names.PIPELINE_JOBS}/")[0]
    execution = node.detail.execution
    execution.name = f"{names.default_store(parent)}/{names.EXECUTIONS}/{node.detail.task_id}"
    execution.display_name = node.detail.task_name
    if node.parent is None:
        execution.schema_title = "system.Run"
    elif node.task.has_children:
        execution.schema_title = "system.DagExecution"
    elif isinstance(node.component.body, Importer):
        execution.schema_title = "system.ImporterExecution"
    else:
        execution.schema_title = "system.ContainerExecution"


def _failure(failed: list[str]) -> str:
    """Name the tasks of a DAG that failed, in Vertex AI's words."""
    return f"The DAG failed because some tasks failed. The failed tasks are: [{', '.join(failed)}]."


def _job_failure(run: Run) -> str:
    """The end of Vertex AI's text about a failed job."""
    project, number = run.job.name.split("/")[1], run.root.detail.task_id
    return (
        f"; Job (project_id = {project}, job_id = {number}) is failed due to the above error."
        f"; Failed to handle the job: {{project_number = {project}, job_id = {number}}}"
    )
