"""Exactly one job: which job is this try's, and when a new attempt is due. Decisions alone; no call is made here.

A PipelineJob's id is chosen by its caller, so the service itself refuses a second one. A CustomJob has no such id: its
submission key is a label, looked up before and after creating, and of a double the oldest wins. The reasons for each
rule are in ``docs/decisions/0006-which-job-is-mine.md``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import Enum

from airflow_provider_kedro_vertex.core.jobs import identity
from airflow_provider_kedro_vertex.core.jobs.api import Job
from airflow_provider_kedro_vertex.core.jobs.states import is_ending, is_over, short, succeeded
from airflow_provider_kedro_vertex.core.text import digest

#: The label by which all CustomJobs of one task instance are found.
KEY_LABEL = "kedro-submission"
#: Its value in a CustomJob that a PipelineJob launches: no task of Airflow submitted it. The labels of its PipelineJob
#: that it does not have itself are added to it, so that it must have this one.
LAUNCHED = "pipeline-job"
#: The label by which all jobs of one run key are found.
RUN_LABEL = "airflow-run-key"
#: The label by which all jobs of one DAG run are found, whatever their data scope: the run key of the whole DAG.
DAG_RUN_LABEL = "airflow-dag-run-key"
#: The label that tells which Airflow try made a job.
TRY_LABEL = "airflow-try"
#: The label that tells when the DAG run of that try had started.
START_LABEL = "airflow-run-start"

#: ``google.rpc.Code`` of a job that ended since a quota was used up.
RESOURCE_EXHAUSTED = 8


def submission_key(dag_run_key: str, task_id: str, map_index: int) -> str:
    """Name a task instance, so that its jobs are found: the value of :data:`KEY_LABEL`.

    :param dag_run_key: the run key of the whole DAG.
    :param map_index: Airflow's; -1 for a task that is not mapped.
    """
    return digest(dag_run_key, task_id, str(map_index))[:32]


class Verdict(Enum):
    """How a job that is there counts for a try."""

    OURS = "ours"
    """It is this try's: wait for it, or take its end."""
    LEFTOVER = "leftover"
    """It goes on, or is just being cancelled, and is not this try's: it must end before a new attempt."""
    OLD = "old"
    """It has ended, and a new attempt is due."""


@dataclass(frozen=True)
class TaskTry:
    """One try of an Airflow task instance: how its jobs are named, and what a job that is there means for it.

    A task instance may need several attempts, each a job of its own, over all of its tries.

    :param dag_run_key: names the DAG run: the run key of the whole DAG.
    :param run_key: names the task's data scope in the DAG run.
    :param task_id: Airflow's.
    :param map_index: Airflow's; -1 for a task that is not mapped.
    :param try_number: Airflow's number of this try.
    :param first_try: the number of the first try since the task was last cleared; 1 if it never was.
    :param run_start: when the DAG run started, in the form of a label. A run that was deleted and made again, or
        cleared after it had ended, has the same run id and another start.
    :param prefix: what job ids begin with. A try that has another one does not find the jobs of those before.
    """

    dag_run_key: str
    run_key: str
    task_id: str
    map_index: int
    try_number: int
    first_try: int
    run_start: str
    prefix: str = ""

    @property
    def labels(self) -> dict[str, str]:
        """The labels by which a later try knows whose a job is."""
        return {KEY_LABEL: self.key, TRY_LABEL: str(self.try_number), START_LABEL: self.run_start}

    @property
    def key(self) -> str:
        """Names the task instance in its DAG run: the same for each try, and whatever its data scope is called."""
        return submission_key(self.dag_run_key, self.task_id, self.map_index)

    def for_another_task(self) -> TaskTry:
        """The same task instance, as another task sees it that asks for jobs in its place.

        That task's tries say nothing of the task instance's, so it takes no job for its own, and no attempt for one of
        a deleted run.
        """
        return replace(self, try_number=0, first_try=0)

    def job_id(self, attempt: int) -> str:
        """The id of an attempt's job; see :func:`.identity.job_id`."""
        return identity.job_id(self.run_key, self.task_id, self.map_index, attempt, self.prefix)

    def verdict(self, job: Job) -> Verdict:
        """Say what a job of this task instance means for this try.

        :param job: as Vertex AI tells it; ``state``, ``labels`` and ``error`` are read.
        """
        labels, state = job.get("labels", {}), job["state"]
        made_by = int(labels[TRY_LABEL]) if labels.get(TRY_LABEL, "").isdecimal() else 0
        # This very try made it, and lost the answer or its worker; or a later one did, and this is a process that
        # Airflow has given up.
        own = made_by >= self.try_number
        since_cleared = labels.get(START_LABEL) == self.run_start and made_by >= self.first_try
        if not is_over(state):
            return Verdict.OURS if since_cleared and (own or not is_ending(state)) else Verdict.LEFTOVER
        if not since_cleared or job.get("error", {}).get("code") == RESOURCE_EXHAUSTED:
            return Verdict.OLD
        # An earlier try made it and died before it could tell of the success.
        return Verdict.OURS if own or succeeded(state) else Verdict.OLD

    def choose(self, jobs: Iterable[Job]) -> Choice:
        """Choose among all CustomJobs that have this task instance's submission key."""
        of: dict[Verdict, list[Job]] = {verdict: [] for verdict in Verdict}
        for job in sorted(jobs, key=lambda job: (job["createTime"], job["name"])):
            of[self.verdict(job)].append(job)
        live = [job for job in of[Verdict.OURS] if not is_over(job["state"])]
        # A double that lost is CANCELLING or CANCELLED.
        live.sort(key=lambda job: is_ending(job["state"]))
        ended = [job for job in of[Verdict.OURS] if is_over(job["state"])]
        ended.sort(key=lambda job: (not succeeded(job["state"]), short(job["state"]) == "CANCELLED"))
        successes = [job for job in ended if succeeded(job["state"])]
        best = [*successes, *live, *ended]
        return Choice(
            take=best[0] if best else None,
            cancel=tuple(job for job in live if job is not best[0] and not is_ending(job["state"])),
            leftovers=tuple(of[Verdict.LEFTOVER]),
        )


@dataclass(frozen=True)
class Choice:
    """The choice among the CustomJobs that are there.

    :param take: this try's job; None if one is to be made.
    :param cancel: doubles of it.
    :param leftovers: jobs of before that must end first.
    """

    take: Job | None
    cancel: tuple[Job, ...]
    leftovers: tuple[Job, ...]
