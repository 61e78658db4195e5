"""Exactly one job: the calls. What they decide by is in :mod:`airflow_provider_kedro_vertex.core.jobs.attempts`.

A process may die between any two of these calls, and any answer may get lost: the next try finds what is there.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from airflow_provider_kedro_vertex.core.errors import (
    AlreadyExistsError,
    JobError,
    NotFoundError,
    QuotaExceededError,
    UnavailableError,
)
from airflow_provider_kedro_vertex.core.jobs import parameters
from airflow_provider_kedro_vertex.core.jobs.api import Job, JobBody
from airflow_provider_kedro_vertex.core.jobs.attempts import DAG_RUN_LABEL, KEY_LABEL, TaskTry, Verdict
from airflow_provider_kedro_vertex.core.jobs.states import is_ending, is_over
from airflow_provider_kedro_vertex.vertex.client import Collection, VertexClient

#: More attempts than this in one DAG run is a loop that nobody wants to pay for.
MAX_ATTEMPTS = 1000
#: Seconds between two looks at what is to change, and for which a leftover may take to end.
POLL_SECONDS, CANCEL_TIMEOUT = 2.0, 15 * 60
#: Seconds for which a list may lag behind a create.
LIST_LAG = 20.0

#: Makes a job's body from the id of the attempt and the jobs of the attempts before it, the oldest first.
Body = Callable[[str, Sequence[Job]], JobBody]

_FIELDS = "name,state,labels,createTime,error"


@dataclass(frozen=True)
class Submitted:
    """The job of this try, as Vertex AI tells it, and whether this call created it."""

    job: Job
    created: bool


def submit_job(client: VertexClient, collection: Collection, task: TaskTry, body: Body) -> Submitted:
    """Make sure that this try has exactly one job.

    :param body: makes the job's body; its ``labels`` must have those of ``task``.
    :raises JobError: there were :data:`MAX_ATTEMPTS` attempts already.
    :raises VertexApiError: creating or reading failed. Whether there is a job then is not known; call again.
    """
    submit = _submit_pipeline_job if collection == "pipelineJobs" else _submit_custom_job
    return submit(client, task, body)


def live_jobs(client: VertexClient, collection: Collection, task: TaskTry) -> list[str]:
    """Name the jobs of this task instance that have not ended, whichever try made them.

    :raises VertexApiError: they could not be read.
    """
    jobs = _custom_jobs(client, task) if collection == "customJobs" else pipeline_jobs(client, task)
    return [job["name"] for job in jobs if not is_over(job["state"])]


def pipeline_jobs(client: VertexClient, task: TaskTry) -> list[Job]:
    """Read the PipelineJobs of a task instance, the oldest first.

    :raises VertexApiError: they could not be read.
    """
    jobs: list[Job] = []
    try:
        for attempt in range(1, MAX_ATTEMPTS + 1):
            jobs.append(client.get_job(f"{client.parent}/pipelineJobs/{task.job_id(attempt)}"))
    except NotFoundError:
        pass
    return jobs


def jobs_of_dag_run(client: VertexClient, collection: Collection, dag_run_key: str) -> dict[str, list[Job]]:
    """List the jobs of a DAG run, without their details: submission key to that task instance's, the oldest first.

    :param dag_run_key: the run key of the whole DAG; jobs of all data scopes have it as a label.
    :raises VertexApiError: they could not be read.
    """
    found: dict[str, list[Job]] = {}
    jobs = list(client.list_jobs(collection, f'labels.{DAG_RUN_LABEL}="{dag_run_key}"', _FIELDS))
    for job in sorted(jobs, key=lambda job: (job["createTime"], job["name"])):
        found.setdefault(job["labels"].get(KEY_LABEL, ""), []).append(job)
    return found


def submit_next(client: VertexClient, task: TaskTry, body: Body, earlier: Sequence[Job]) -> Submitted:
    """Make the attempt after these; whoever comes second takes the job of who came first.

    :param earlier: all attempts so far, the oldest first; each has ended.
    :raises JobError: there were :data:`MAX_ATTEMPTS` attempts already.
    :raises VertexApiError: creating or reading failed.
    """
    if len(earlier) >= MAX_ATTEMPTS:
        raise _too_many(task)
    new_id = task.job_id(len(earlier) + 1)
    try:
        return Submitted(client.create_pipeline_job(new_id, body(new_id, earlier)), created=True)
    except AlreadyExistsError:
        return Submitted(client.get_job(f"{client.parent}/pipelineJobs/{new_id}"), created=False)


def _submit_pipeline_job(client: VertexClient, task: TaskTry, body: Body) -> Submitted:
    earlier: list[Job] = []
    for attempt in range(1, MAX_ATTEMPTS + 1):
        new_id = task.job_id(attempt)
        try:
            return Submitted(client.create_pipeline_job(new_id, body(new_id, earlier)), created=True)
        except AlreadyExistsError:
            pass
        try:
            job: Job = client.get_job(f"{client.parent}/pipelineJobs/{new_id}")
        except NotFoundError:  # somebody deleted it just now
            continue
        verdict = task.verdict(job)
        if verdict is Verdict.OURS:
            return Submitted(job, created=False)
        if verdict is Verdict.LEFTOVER:
            job = _cancel_and_wait(client, job)
        earlier.append(job)
    raise _too_many(task)


def _submit_custom_job(client: VertexClient, task: TaskTry, body: Body) -> Submitted:
    jobs = _custom_jobs(client, task)
    deadline = time.monotonic() + client.deadline
    while True:
        choice = task.choose(jobs)
        for job in choice.cancel:
            client.cancel_job(job["name"])
        for job in choice.leftovers:
            _cancel_and_wait(client, job)
        if choice.take is not None:
            return Submitted(client.get_job(choice.take["name"]), created=False)
        if len(jobs) >= MAX_ATTEMPTS:
            raise _too_many(task)
        known = frozenset(job["name"] for job in jobs)
        try:
            created = client.create_custom_job(body(task.job_id(len(jobs) + 1), jobs))
        except QuotaExceededError as error:  # there is no job
            _wait_before_retry(error, deadline)
        except UnavailableError as error:  # there may be one
            _wait_before_retry(error, deadline)
            jobs = _list_until_visible(client, task, known)
        else:
            return _cancel_duplicates(client, task, created)


def _cancel_duplicates(client: VertexClient, task: TaskTry, created: Job) -> Submitted:
    """Look after creating: another process of this task instance may have created one at the same time."""
    name = created["name"]
    jobs = _list_until_visible(client, task, expected=name)
    if not any(job["name"] == name for job in jobs):
        jobs.append(created)
    choice = task.choose(jobs)
    for job in choice.cancel:
        client.cancel_job(job["name"])
    if choice.take is None or choice.take["name"] == name:
        return Submitted(created, created=True)
    return Submitted(client.get_job(choice.take["name"]), created=False)


def _custom_jobs(client: VertexClient, task: TaskTry) -> list[Job]:
    # With what each asks for: the next attempt of a node that was killed for its memory depends on it.
    return list(client.list_jobs("customJobs", f'labels.{KEY_LABEL}="{task.key}"', f"{_FIELDS},jobSpec"))


def _list_until_visible(
    client: VertexClient, task: TaskTry, known: frozenset[str] = frozenset(), expected: str | None = None
) -> list[Job]:
    """List until the expected job, or without one any that was not known, is there; or as long as a list may lag."""
    deadline = time.monotonic() + LIST_LAG
    while True:
        jobs = _custom_jobs(client, task)
        names = {job["name"] for job in jobs}
        if (expected in names) or (expected is None and names - known) or time.monotonic() > deadline:
            return jobs
        time.sleep(POLL_SECONDS)


def _cancel_and_wait(client: VertexClient, job: Job) -> Job:
    """Cancel an earlier job, and wait until it has ended: two jobs of one run would write the same data.

    :return: the job as it was last seen.
    """
    if not is_ending(job["state"]):
        client.cancel_job(job["name"])
    deadline = time.monotonic() + CANCEL_TIMEOUT
    while True:
        try:
            job = client.get_job(job["name"])
        except NotFoundError:  # somebody deleted it
            break
        if is_over(job["state"]):
            break
        if time.monotonic() > deadline:
            raise UnavailableError(
                f"An earlier job of this task, {job['name']}, was asked to cancel and has not ended after "
                f"{CANCEL_TIMEOUT // 60} minutes, so it may still be billed. No new job was made: both would write the "
                "same data.",
                fix="Look at that job in the console; once it has ended, clear this task.",
            )
        time.sleep(POLL_SECONDS)
    return job


def _wait_before_retry(error: QuotaExceededError | UnavailableError, deadline: float) -> None:
    wait = max(POLL_SECONDS, error.retry_after or 0.0)
    if time.monotonic() + wait > deadline:
        raise error
    time.sleep(wait)


def _too_many(task: TaskTry) -> JobError:
    return JobError(
        f"Task {task.task_id!r} has made {MAX_ATTEMPTS} jobs in this DAG run, and no new one was made.",
        fix="Mend what fails, and trigger a new DAG run.",
    )


def params_argument(client: VertexClient, folder: str, text: str) -> str:
    """Give the text after ``--params``: JSON, or ``@gs://..`` of an object with it if it is too long for an argument.

    :param folder: the run's, in Cloud Storage; see
        :func:`~airflow_provider_kedro_vertex.core.jobs.identity.temp_folder`.
    :raises VertexApiError: the object cannot be written.
    """
    if not parameters.is_long(text):
        return text
    url = parameters.stored_at(folder, text)
    client.write_object(url, text.encode())
    return f"@{url}"
