"""Seeing one node group through all attempts to run its job. Imported when a task runs, not at parse."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_provider_kedro_vertex.core import resume
from airflow_provider_kedro_vertex.core.errors import JobError
from airflow_provider_kedro_vertex.core.states import is_over
from airflow_provider_kedro_vertex.hooks import KedroVertexHook
from airflow_provider_kedro_vertex.links import VertexLogsLink
from airflow_provider_kedro_vertex.operators import KedroVertexPipelineOperator
from airflow_provider_kedro_vertex.submitting import (
    attempts_of,
    client_of,
    config_of,
    label_of_try,
    not_its_own,
    pipeline_job_request,
    rendered,
)
from airflow_provider_kedro_vertex.vertex.submission import pipeline_jobs, submit_next

if TYPE_CHECKING:
    from airflow_provider_kedro_vertex.sensors import KedroVertexNodeSensor
    from airflow_provider_kedro_vertex.task.compat import Context


class NodeWatch:
    """Read the attempts of the task that submits, and make the next one.

    :param sensor: whose group it is; the task that submits is found in its DAG.
    :raises KedroVertexError: the manifest or a setting of that task is wrong.
    """

    def __init__(self, sensor: KedroVertexNodeSensor, context: Context) -> None:
        self._context = context
        self._log = sensor.log
        self._group = sensor.group
        # A clear sets max_tries to the tries made so far plus the retries. Airflow 2 on SQLite may count a first try as
        # the second one, so the number of the try alone does not tell.
        ti, retries = context["ti"], sensor.retries or 0
        self._again = ti.max_tries > retries or (retries > 0 and ti.try_number > 1)
        self.submit = rendered(_submitting(sensor), context)
        self.hook = KedroVertexHook(
            gcp_conn_id=self.submit.gcp_conn_id, impersonation_chain=self.submit.impersonation_chain
        )
        config = config_of(self.submit)
        self.client = client_of(self.submit, self.hook, config)
        self._attempts = not_its_own(attempts_of(self.submit, context, config))

    def look(self) -> resume.Standing:
        """Say where the group stands.

        :raises JobError: there is no job.
        :raises VertexApiError: the jobs could not be read.
        """
        return resume.standing(self._jobs(), self._group)

    def is_due(self, standing: resume.Standing) -> bool:
        """Whether this try asks for a new attempt: its task was cleared, or tried again, after the group had failed."""
        if not standing.ended or standing.verdict == "done" or not self._again:
            return False
        # This very try has asked for it, and its worker died.
        return not label_of_try(self._context).items() <= dict(standing.job.get("labels", {})).items()

    def run_again(self, last: str) -> resume.Standing:
        """Submit what is left as a new attempt, unless somebody has done so since ``last`` was the last one.

        :param last: the name of the last attempt, which has ended.
        :raises KedroVertexError: what it is made of is wrong, or Vertex AI refuses it.
        """
        jobs = self._jobs()
        if jobs[-1]["name"] == last:
            request = pipeline_job_request(self.submit, self.hook, self._context, label_of_try(self._context))
            submitted = submit_next(self.client, self._attempts, request.body, jobs)
            jobs.append(dict(submitted.job))
            did = "Submitted" if submitted.created else "Adopted"
            self._log.info("%s Vertex AI job %s: %s.", did, submitted.job["name"], request.what)
        return resume.standing(jobs, self._group)

    def last_job(self) -> Mapping[str, Any]:
        """The last attempt.

        :raises JobError: there is none.
        """
        return self._jobs()[-1]

    def keep_link(self, context: Context, standing: resume.Standing) -> None:
        """Keep the link to the group's log as soon as there is one."""
        if standing.task is not None and standing.task.number:
            VertexLogsLink.persist(context, self.hook.logs_url(self.client.project_id, [standing.task.number]))

    def cancel(self) -> None:
        """Ask Vertex AI to cancel the last attempt, if it goes on."""
        job = self.last_job()
        if not is_over(job["state"]):
            self.client.cancel_job(job["name"])
            self._log.info("Asked Vertex AI to cancel %s.", job["name"])

    def _jobs(self) -> list[dict[str, Any]]:
        jobs = pipeline_jobs(self.client, self._attempts)
        if not jobs:
            raise JobError(
                f"Vertex AI has no job {self.client.parent}/pipelineJobs/{self._attempts.job_id(1)}: it was deleted, "
                f"or task {self.submit.task_id!r} has not submitted it. Clear that task to run the pipeline again.",
                "request",
            )
        return jobs


def _submitting(sensor: KedroVertexNodeSensor) -> KedroVertexPipelineOperator:
    submit = sensor.dag.get_task(sensor.submit_task_id)
    if not isinstance(submit, KedroVertexPipelineOperator):
        raise JobError(
            f"Task {sensor.submit_task_id!r}, which submit_task_id= names, is no KedroVertexPipelineOperator but a "
            f"{type(submit).__name__}.",
            "request",
        )
    return submit
