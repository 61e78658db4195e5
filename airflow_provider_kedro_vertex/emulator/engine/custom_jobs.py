"""Runs CustomJobs: their containers, and the states, written to the store before they can be seen.

A pipeline's container task is a CustomJob too, as on Vertex AI: ``executor_detail.container_detail.main_job`` names it,
and its number names its log. The CustomJob that a task launches (see :mod:`.launcher`) is one as a client creates it,
and ``executor_detail.custom_job_detail.job`` names it.

A job that a client created is started again after an internal error or a preemption, up to six times, unless it says
``disable_retries``; a pipeline's container is not, since it has a retry policy of its own. A job over its
``scheduling.timeout``, counted from the start of its container, ends as CANCELLED.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from airflow_provider_kedro_vertex.emulator.engine.faults import Faults
from airflow_provider_kedro_vertex.emulator.engine.replicas import run_replicas, works
from airflow_provider_kedro_vertex.emulator.executors.base import Executor, Limits, Outcome, Work
from airflow_provider_kedro_vertex.emulator.resources import names
from airflow_provider_kedro_vertex.emulator.resources.errors import Code
from airflow_provider_kedro_vertex.emulator.resources.protos import CustomJob, Message, now
from airflow_provider_kedro_vertex.emulator.resources.states import JOB_FINAL, JOB_MOVES, JobState
from airflow_provider_kedro_vertex.emulator.storage.buckets import Buckets
from airflow_provider_kedro_vertex.emulator.storage.store import Store

logger = logging.getLogger(__name__)

PREEMPTED = "The machine of this container (workerpool0-0) was preempted."
INTERRUPTED = "The emulator was stopped or killed while this container ran, so how it would have ended is not known."
# https://cloud.google.com/vertex-ai/docs/training/use-spot-vms names six; internal errors are counted the same here.
MOST_RESTARTS = 6
_INTERNAL = frozenset({Code.INTERNAL, Code.UNAVAILABLE})


@dataclass(eq=False)
class _Running:
    """A job that has not ended: what runs it, its container, and why that is to be stopped if it is.

    ``name`` is the one by which a fault knows it.
    """

    job: Message
    name: str
    limits: Limits
    cluster: bool
    task: asyncio.Task[Outcome] | None = None
    container: asyncio.Task[Outcome] | None = None
    stopped: Outcome | None = None


class CustomJobs:
    """The CustomJobs of one emulator. Its methods are called in the event loop."""

    def __init__(self, store: Store, executor: Executor, faults: Faults, buckets: Buckets) -> None:
        self._store = store
        self._executor = executor
        self._faults = faults
        self._buckets = buckets
        self._running: dict[str, _Running] = {}

    def submit(self, job: Message) -> None:
        """Store a job that a client created, with its name, and run it.

        :param job: made PENDING here; it is changed from now on, so answer with a copy.
        """
        _move(job, JobState.JOB_STATE_PENDING)
        self._store.add_custom_job(job)
        self._start_alone(job)

    def _start_alone(self, job: Message) -> None:
        """Run a job that a client created: its containers are told of their cluster."""
        self.start(job, job.display_name, lambda: None, cluster=True)

    def cancel(self, name: str) -> None:
        """Cancel a job that has not ended: its container is ended, or does not start."""
        running = self._running[name]
        if running.job.state == JobState.JOB_STATE_CANCELLING:
            return
        self._change(running.job, JobState.JOB_STATE_CANCELLING)
        self._stop(running, Outcome(Code.CANCELLED, "The job was cancelled by a request.", retry=False))

    async def close(self) -> None:
        """End the containers of all jobs that are left. What the store says of them stays as it is."""
        # More may come while it waits.
        while tasks := [running.task for running in self._running.values() if running.task is not None]:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    def add(self, pipeline_job: str, task: str, labels: Mapping[str, str], work: Work) -> Message:
        """Store a new CustomJob for a pipeline's container task; :meth:`start` runs it.

        :param pipeline_job: the PipelineJob's name.
        :param task: the task's name.
        :param work: what to run; its number becomes the job's id.
        """
        pipeline = names.resource(pipeline_job, names.PIPELINE_JOBS)
        job = CustomJob(
            name=f"{pipeline.parent}/{names.CUSTOM_JOBS}/{work.number}",
            display_name=f"{pipeline.id}-{task}"[: names.DISPLAY_NAME_LENGTH],
        )
        job.labels.update(labels)
        job.job_spec.scheduling.disable_retries = True
        pool = job.job_spec.worker_pool_specs.add(replica_count=1)
        container = pool.container_spec
        container.image_uri = work.image
        container.command.extend(work.command)
        container.args.extend(work.args)
        for name, value in work.env:
            container.env.add(name=name, value=value)
        self.add_launched(pipeline_job, job)
        return job

    def add_launched(self, pipeline_job: str, job: Message) -> None:
        """Store the new CustomJob of a pipeline's task, made PENDING here; :meth:`start` runs it."""
        _move(job, JobState.JOB_STATE_PENDING)
        self._store.add_custom_job(job, pipeline_job)

    def start(
        self,
        job: Message,
        task: str,
        started: Callable[[], None],
        limits: Limits = Limits(),  # noqa: B008 - frozen
        cluster: bool = False,
    ) -> asyncio.Task[Outcome]:
        """Run a pending job to its end.

        :param task: the name by which a fault knows it.
        :param limits: those of its containers.
        :param cluster: whether they are told of their cluster.
        :param started: called when it is running, within the transaction that says so; again if it is started again.
        :return: what runs it. If that is cancelled its container has ended when it is done, and the job's state is
            left to :meth:`cancelled`.
        """
        self._running[job.name] = running = _Running(job, task, limits, cluster)
        running.task = asyncio.get_running_loop().create_task(self._run(running, started))
        running.task.add_done_callback(lambda _: self._running.pop(job.name, None))
        return running.task

    async def _run(self, running: _Running, started: Callable[[], None]) -> Outcome:
        job, restarts = running.job, 0
        while True:
            outcome = await self._run_once(running, started)
            again = outcome.code in _INTERNAL and job.state == JobState.JOB_STATE_RUNNING
            if not again or job.job_spec.scheduling.disable_retries or restarts >= MOST_RESTARTS:
                self._finish(job, outcome)
                return outcome
            restarts += 1
            logger.info("%s is started again: %s", job.name, outcome.message)
            self._change(job, JobState.JOB_STATE_PENDING)

    async def _run_once(self, running: _Running, started: Callable[[], None]) -> Outcome:
        job, loop = running.job, asyncio.get_running_loop()
        timers: list[asyncio.TimerHandle] = []

        def on_start() -> None:
            with self._store.transaction():
                self._change(job, JobState.JOB_STATE_RUNNING)
                started()
            if job.job_spec.scheduling.HasField("timeout"):
                seconds = job.job_spec.scheduling.timeout.ToNanoseconds() / 1e9
                late = Outcome(Code.CANCELLED, f"The job ran over its timeout of {seconds:g} seconds.", retry=False)
                timers.append(loop.call_later(seconds, self._stop, running, late))
            preempted = self._faults.preemption(running.name)
            if preempted is not None:
                timers.append(loop.call_later(preempted, self._stop, running, Outcome(Code.UNAVAILABLE, PREEMPTED)))

        if running.stopped is not None:
            return running.stopped
        replicas = works(job, running.limits, running.cluster, self._buckets)
        running.container = loop.create_task(run_replicas(self._executor, replicas, on_start))
        try:
            return await running.container
        except asyncio.CancelledError:
            if running.stopped is None:
                raise
            stopped, running.stopped = running.stopped, None
            return stopped
        except Exception as error:
            # A fault of the emulator must not look like one of the container, nor stop the other jobs.
            logger.exception("CustomJob %s could not be run", job.name)
            return Outcome(Code.INTERNAL, f"The emulator failed while it ran this container: {error!r}")
        finally:
            running.container = None
            for timer in timers:
                timer.cancel()

    def _stop(self, running: _Running, outcome: Outcome) -> None:
        if running.stopped is None:
            running.stopped = outcome
            if running.container is not None:
                running.container.cancel()

    def cancelled(self, job: Message) -> None:
        """Write that a job, whose container has ended, was cancelled."""
        self._change(job, JobState.JOB_STATE_CANCELLED, Code.CANCELLED, "The job was cancelled.")

    def recover(self) -> None:
        """After a start: what was running when the emulator ended has failed, and what waited is taken on again."""
        for name in self._store.unfinished(names.CUSTOM_JOBS, JOB_FINAL):
            job = self._store.custom_job(name)
            if job is None:
                continue
            if job.state == JobState.JOB_STATE_RUNNING:
                self._finish(job, Outcome(Code.INTERNAL, INTERRUPTED))
            elif job.state == JobState.JOB_STATE_CANCELLING:
                self.cancelled(job)
            elif not self._store.is_task(name):
                # A pipeline's job is started by the engine.
                self._start_alone(job)

    def _finish(self, job: Message, outcome: Outcome) -> None:
        if outcome.code is None:
            self._change(job, JobState.JOB_STATE_SUCCEEDED)
            return
        cancelled = outcome.code == Code.CANCELLED
        state = JobState.JOB_STATE_CANCELLED if cancelled else JobState.JOB_STATE_FAILED
        self._change(job, state, outcome.code, outcome.message)

    def _change(self, job: Message, state: JobState, code: Code | None = None, message: str = "") -> None:
        _move(job, state, code, message)
        self._store.save(job)


def outcome_of(job: Message) -> Outcome:
    """The outcome of a CustomJob in a final state."""
    if job.state == JobState.JOB_STATE_SUCCEEDED:
        return Outcome()
    return Outcome(Code(job.error.code), job.error.message, job.error.code != Code.CANCELLED)


def _move(job: Message, state: JobState, code: Code | None = None, message: str = "") -> None:
    if state not in JOB_MOVES.get(JobState(job.state), frozenset[Any]()):
        raise AssertionError(f"{job.name}: {JobState(job.state).name} does not go to {state.name}")
    moment = now()
    if state == JobState.JOB_STATE_PENDING and not job.HasField("create_time"):
        job.create_time.CopyFrom(moment)
    if state == JobState.JOB_STATE_RUNNING and not job.HasField("start_time"):
        job.start_time.CopyFrom(moment)
    if state in JOB_FINAL:
        job.end_time.CopyFrom(moment)
    job.update_time.CopyFrom(moment)
    job.state = state
    if code is not None:
        job.error.code, job.error.message = int(code), message
