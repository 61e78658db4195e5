"""Runs CustomJobs: one container each, its states written to the store before they can be seen.

A pipeline's container task is a CustomJob too, as on Vertex AI: ``executor_detail.container_detail.main_job`` names it,
and its number names its log.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from airflow_provider_kedro_vertex.emulator import names, processes
from airflow_provider_kedro_vertex.emulator.errors import Code
from airflow_provider_kedro_vertex.emulator.executors import Executor, Outcome, Work
from airflow_provider_kedro_vertex.emulator.protos import CustomJob, Message, now
from airflow_provider_kedro_vertex.emulator.states import JOB_FINAL, JOB_MOVES, JobState
from airflow_provider_kedro_vertex.emulator.store import Store

logger = logging.getLogger(__name__)

INTERRUPTED = "The emulator was stopped or killed while this container ran, so how it would have ended is not known."


class CustomJobs:
    """The CustomJobs of one emulator."""

    def __init__(self, store: Store, executor: Executor) -> None:
        self._store = store
        self._executor = executor

    def add(self, parent: str, display_name: str, labels: Mapping[str, str], work: Work) -> Message:
        """Store a new CustomJob for a container; :meth:`run` runs it.

        :param work: what to run; its number becomes the job's id.
        """
        job = CustomJob(
            name=f"{parent}/{names.CUSTOM_JOBS}/{work.number}", display_name=display_name[: names.DISPLAY_NAME_LENGTH]
        )
        job.labels.update(labels)
        pool = job.job_spec.worker_pool_specs.add(replica_count=1)
        container = pool.container_spec
        container.image_uri = work.image
        container.command.extend(work.argv)
        for name, value in work.env:
            container.env.add(name=name, value=value)
        _move(job, JobState.JOB_STATE_PENDING)
        self._store.add_custom_job(job)
        return job

    async def run(self, job: Message, started: Callable[[], None]) -> Outcome:
        """Run a pending job to its end.

        :param started: called when it is running, within the transaction that says so.
        :raises asyncio.CancelledError: if it was cancelled; its container has ended, its state is left to
        :meth:`cancelled`.
        """

        def on_start() -> None:
            with self._store.transaction():
                self._change(job, JobState.JOB_STATE_RUNNING)
                started()

        def on_spawn(pid: int) -> None:
            self._store.add_process(job.name, pid, processes.start_mark(pid))

        try:
            outcome = await self._executor.run(_work(job), on_start, on_spawn)
        except Exception as error:
            # A fault of the emulator must not look like one of the container, nor stop the other jobs.
            logger.exception("CustomJob %s could not be run", job.name)
            outcome = Outcome(Code.INTERNAL, f"The emulator failed while it ran this container: {error!r}")
        finally:
            self._store.remove_process(job.name)
        self._finish(job, outcome)
        return outcome

    def cancelled(self, job: Message) -> None:
        """Write that a job, whose container has ended, was cancelled."""
        self._change(job, JobState.JOB_STATE_CANCELLED, Code.CANCELLED, "The job was cancelled.")

    def recover(self) -> None:
        """After a start: what was running when the emulator ended has failed, and processes left behind are ended."""
        for name, pid, mark in self._store.processes():
            if processes.end_orphan(pid, mark):
                logger.warning("Ended process %d, which %s had left running", pid, name)
            self._store.remove_process(name)
        for name in self._store.unfinished(names.CUSTOM_JOBS, JOB_FINAL):
            job = self._store.custom_job(name)
            if job is not None and job.state == JobState.JOB_STATE_RUNNING:
                self._finish(job, Outcome(Code.INTERNAL, INTERRUPTED))

    def _finish(self, job: Message, outcome: Outcome) -> None:
        if outcome.code is None:
            self._change(job, JobState.JOB_STATE_SUCCEEDED)
        else:
            self._change(job, JobState.JOB_STATE_FAILED, outcome.code, outcome.message)

    def _change(self, job: Message, state: JobState, code: Code | None = None, message: str = "") -> None:
        _move(job, state, code, message)
        self._store.save(job)


def outcome_of(job: Message) -> Outcome:
    """How a CustomJob in a final state ended."""
    if job.state == JobState.JOB_STATE_SUCCEEDED:
        return Outcome()
    return Outcome(Code(job.error.code), job.error.message)


def _move(job: Message, state: JobState, code: Code | None = None, message: str = "") -> None:
    if state not in JOB_MOVES.get(JobState(job.state), frozenset[Any]()):
        raise AssertionError(f"{job.name}: {JobState(job.state).name} does not go to {state.name}")
    moment = now()
    if state == JobState.JOB_STATE_PENDING:
        job.create_time.CopyFrom(moment)
    if state == JobState.JOB_STATE_RUNNING:
        job.start_time.CopyFrom(moment)
    if state in JOB_FINAL:
        job.end_time.CopyFrom(moment)
    job.update_time.CopyFrom(moment)
    job.state = state
    if code is not None:
        job.error.code, job.error.message = int(code), message


def _work(job: Message) -> Work:
    container = job.job_spec.worker_pool_specs[0].container_spec
    return Work(
        job.name.rpartition("/")[2],
        container.image_uri,
        (*container.command, *container.args),
        tuple((variable.name, variable.value) for variable in container.env),
    )
