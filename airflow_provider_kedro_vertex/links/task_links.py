"""The links from an Airflow task to its job's pages. Each is kept in XCom as soon as its address is known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_kedro_vertex.compat import BaseOperatorLink, xcom_value

if TYPE_CHECKING:
    from airflow_provider_kedro_vertex.compat import BaseOperator, Context, TaskInstanceKey


class _KeptLink(BaseOperatorLink):
    """A link whose address the running task finds out."""

    key: ClassVar[str]

    @property
    def xcom_key(self) -> str:
        """Where Airflow 3 looks for the finished link: the place where :meth:`persist` puts it."""
        return self.key

    @classmethod
    def persist(cls, context: Context, url: str) -> None:
        """Keep the link of a running task, whose operator has the dict ``job_links``."""
        context["ti"].xcom_push(key=cls.key, value=url)
        task: Any = context["task"]
        task.job_links[cls.key] = url

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """Tell what :meth:`persist` kept; empty before there is anything.

        Airflow 3 asks in the task's own process, where the operator knows; Airflow 2 asks in the web server.
        """
        links: dict[str, str] | None = getattr(operator, "job_links", None)
        return xcom_value(ti_key, self.key) or "" if links is None else links.get(self.key, "")


class VertexJobLink(_KeptLink):
    """Open the task's job in the console, as soon as it is submitted, with its machine's load.

    A node of a PipelineJob has a CustomJob of its own, from its start on.
    """

    name = "Vertex AI job"
    key = "vertex_ai_job"


class MlflowLink(_KeptLink):
    """Open MLflow: its server from the submission on, and the run itself from the moment when there is one."""

    name = "MLflow"
    key = "mlflow"


class WebShellLink(_KeptLink):
    """Open a shell in the container of a CustomJob that runs, where ``nodes.<selector>.enable_web_access`` is set."""

    name = "Web shell"
    key = "vertex_ai_web_shell"


class VertexLogsLink(_KeptLink):
    """Open the logs of the nodes that failed; of a task with one node group that group's, as soon as there is one."""

    name = "Node logs"
    key = "vertex_ai_logs"
