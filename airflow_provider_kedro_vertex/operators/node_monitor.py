"""Following one node group through all attempts to run its job. Imported when a task runs, not at parse."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING

from airflow_provider_kedro_vertex.compat import Context
from airflow_provider_kedro_vertex.core.errors import JobError
from airflow_provider_kedro_vertex.core.jobs import resume
from airflow_provider_kedro_vertex.core.jobs.api import Job
from airflow_provider_kedro_vertex.core.jobs.states import is_over
from airflow_provider_kedro_vertex.core.jobs.written import mlflow_run_file
from airflow_provider_kedro_vertex.links.task_links import MlflowLink, VertexJobLink, VertexLogsLink
from airflow_provider_kedro_vertex.operators.job_request import connect, read_config, task_try
from airflow_provider_kedro_vertex.operators.pipeline_job import KedroVertexPipelineOperator
from airflow_provider_kedro_vertex.task.lineage import note
from airflow_provider_kedro_vertex.task.run import asked_by_label, map_index, rendered
from airflow_provider_kedro_vertex.vertex.mlflow_runs import mlflow_page
from airflow_provider_kedro_vertex.vertex.submission import pipeline_jobs, submit_next

if TYPE_CHECKING:
    from airflow_provider_kedro_vertex.compat import BaseOperator


class NodeMonitor:
    """Reads the attempts of the task that submits, and makes the next one.

    :param operator: the task that waits for the group; the task that submits is found in its DAG.
    :param group: the group's task id on Vertex AI.
    :param submit_task_id: the id of the task that submits.
    :raises KedroVertexError: the manifest or a setting of that task is wrong.
    """

    def __init__(self, operator: BaseOperator, group: str, submit_task_id: str, context: Context) -> None:
        self._context = context
        self._log = operator.log
        self._group = group
        # A clear sets max_tries to the tries made so far plus the retries. Airflow 2 on SQLite may count a first try as
        # the second one, so the number of the try alone does not tell.
        ti, retries = context["ti"], operator.retries or 0
        self._is_another_try = ti.max_tries > retries or (retries > 0 and ti.try_number > 1)
        self.submit = rendered(_submit_operator(operator, submit_task_id), context)
        self.hook = self.submit.hook()
        config = read_config(self.submit)
        self.client = connect(self.submit, config)
        self._task = task_try(self.submit, context, config).for_another_task()

    def poll(self) -> resume.GroupProgress:
        """Tell how far the group has come: one request to Vertex AI while its job goes on.

        A new attempt follows only one that has ended, so the job that the submitting task left in XCom is the last one
        for as long as it goes on.

        :raises JobError: there is no job.
        :raises VertexApiError: the jobs could not be read.
        """
        told = self._context["ti"].xcom_pull(task_ids=self.submit.task_id, map_indexes=map_index(self._context))
        if isinstance(told, Mapping) and "name" in told:
            job = self.client.find_job(told["name"])
            if job is not None and not is_over(job["state"]) and resume.runs_group(job, self._group):
                return resume.group_progress([job], self._group)
        return resume.group_progress(self._attempts(), self._group)

    def needs_attempt(self, progress: resume.GroupProgress) -> bool:
        """Tell whether this try asks for a new attempt: it was cleared, or is a retry, after the group had failed."""
        if not progress.ended or progress.verdict == "done" or not self._is_another_try:
            return False
        # If this very try has asked for the job, its worker died.
        return not asked_by_label(self._context).items() <= dict(progress.job.get("labels", {})).items()

    def submit_attempt(self, last: str) -> resume.GroupProgress:
        """Submit what is left as a new attempt, unless somebody has done so since ``last`` was the last one.

        :param last: the name of the last attempt, which has ended.
        :raises KedroVertexError: what it is made of is wrong, or Vertex AI refuses it.
        """
        jobs = self._attempts()
        if jobs[-1]["name"] == last:
            request = self.submit.submission_for(self._context, asked_by_label(self._context)).request
            submitted = submit_next(self.client, self._task, request.body, jobs)
            jobs.append(submitted.job)
            did = "Submitted" if submitted.created else "Adopted"
            self._log.info("%s Vertex AI job %s: %s.", did, submitted.job["name"], request.title)
        return resume.group_progress(jobs, self._group)

    def last_job(self) -> Job:
        """The last attempt.

        :raises JobError: there is none.
        """
        return self._attempts()[-1]

    def is_of_last_attempt(self, progress: resume.GroupProgress) -> bool:
        """Tell whether the group ran in the last attempt: a cleared task may find the result of another one."""
        return not self._is_another_try or progress.job["name"] == self.last_job()["name"]

    def note(self, progress: resume.GroupProgress, wrote: bool) -> None:
        """Note for OpenLineage what the group read and wrote; see :func:`.task.lineage.note`."""
        containers = [progress.task] if progress.task is not None else []
        find = partial(self.submit.task_nodes, self._context, self._group)
        note(self._context, self._log, self.hook, progress.job, find, containers, wrote=wrote)

    def keep_links(self, context: Context, progress: resume.GroupProgress) -> None:
        """Keep the links to the group's log, machine and MLflow run as soon as there are any."""
        if progress.task is not None and progress.task.number:
            number = progress.task.number
            VertexLogsLink.persist(context, self.hook.logs_url(self.client.project_id, [number]))
            VertexJobLink.persist(context, self.hook.job_url(f"{self.client.parent}/customJobs/{number}"))
        file = mlflow_run_file(progress.job)
        if file is not None and progress.task is not None and (page := mlflow_page(self.client, file)) is not None:
            MlflowLink.persist(context, page)

    def _attempts(self) -> list[Job]:
        jobs = pipeline_jobs(self.client, self._task)
        if not jobs:
            raise JobError(
                f"Vertex AI has no job {self.client.parent}/pipelineJobs/{self._task.job_id(1)}: it was deleted, "
                f"or task {self.submit.task_id!r} has not submitted it. Nothing runs, and nothing is billed.",
                fix=f"Clear task {self.submit.task_id!r} to run the pipeline again.",
            )
        return jobs


def _submit_operator(operator: BaseOperator, task_id: str) -> KedroVertexPipelineOperator:
    submit = operator.dag.get_task(task_id)
    if not isinstance(submit, KedroVertexPipelineOperator):
        raise JobError(
            f"Task {operator.task_id!r} has submit_task_id={task_id!r}, which is no KedroVertexPipelineOperator but a "
            f"{type(submit).__name__}.",
            fix="Name the task that submits the PipelineJob.",
        )
    return submit
