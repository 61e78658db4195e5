"""The link from an Airflow task to its job's page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseOperatorLink, XCom

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import BaseOperator, Context, TaskInstanceKey


class VertexJobLink(BaseOperatorLink):
    """Open the task's PipelineJob in the console. The link is there as soon as the job is submitted."""

    name = "Vertex AI job"
    key = "vertex_ai_job"

    @property
    def xcom_key(self) -> str:
        """Where Airflow 3 looks for the finished link: the place where :meth:`persist` puts it."""
        return self.key

    @classmethod
    def persist(cls, context: Context, url: str) -> None:
        """Keep the link of a running task."""
        context["ti"].xcom_push(key=cls.key, value=url)
        task: Any = context["task"]
        task.job_url = url

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """Tell what :meth:`persist` kept; empty before there is a job.

        Airflow 3 asks in the task's own process, where the operator knows; Airflow 2 asks in the web server.
        """
        url: str | None = getattr(operator, "job_url", None)
        return XCom.get_value(key=self.key, ti_key=ti_key) or "" if url is None else url
