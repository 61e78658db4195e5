"""The hook: Airflow's Google connection gives the credentials, this package's client does the calls."""

from __future__ import annotations

from collections.abc import Sequence

from airflow.providers.google.common.hooks.base_google import GoogleBaseHook

from airflow_provider_kedro_vertex.core.errors import ConfigError
from airflow_provider_kedro_vertex.core.jobs.console import job_page, logs_page
from airflow_provider_kedro_vertex.vertex.client import Endpoints, VertexClient


class KedroVertexHook(GoogleBaseHook):
    """Reach Vertex AI with a Google Cloud connection.

    These keys of the connection's extra are read besides those of every Google connection: ``api_endpoint``, another
    Vertex AI (a private endpoint, the emulator), ``logging_endpoint``, another Cloud Logging, ``storage_endpoint``,
    another Cloud Storage, each a host or ``scheme://host``; and ``console_url``, the pages to link to.

    :param gcp_conn_id: the Airflow connection.
    :param impersonation_chain: service accounts to impersonate, as for every Google operator.
    """

    def client(self, project_id: str | None, region: str | None) -> VertexClient:
        """Make a client for one project and region.

        :param project_id: None takes the connection's project.
        :raises ConfigError: no project or no region is known.
        """
        credentials, default_project_id = self.get_credentials_and_project_id()
        project_id = project_id or default_project_id
        if not project_id:
            raise ConfigError(
                "No project_id is set.",
                f"Set it in vertexai.yml, as an argument, or in the Google Cloud connection {self.gcp_conn_id!r}.",
            )
        if not region:
            raise ConfigError("No region is set.", "Set it in vertexai.yml or as an argument, such as europe-west1.")
        fields = ("api_endpoint", "logging_endpoint", "storage_endpoint")
        return VertexClient(project_id, region, credentials, Endpoints(*(self._get_field(name) for name in fields)))

    def client_of(self, job_name: str) -> VertexClient:
        """Make a client for the project and region of a job.

        :param job_name: ``projects/../locations/../pipelineJobs/..`` or ``../customJobs/..``.
        :raises ConfigError: it is no such name.
        """
        match job_name.split("/"):
            case ["projects", project_id, "locations", region, "pipelineJobs" | "customJobs", _]:
                return self.client(project_id, region)
        raise ConfigError(
            f"{job_name!r} is no job: projects/../locations/../pipelineJobs/.. or ../customJobs/.. is expected."
        )

    @property
    def console_url(self) -> str | None:
        """The pages to link to; None for Google Cloud's."""
        url: str | None = self._get_field("console_url")
        return url

    def job_url(self, job_name: str) -> str:
        """The page that shows a job to a person."""
        return job_page(job_name, self.console_url)

    def logs_url(self, project_id: str, numbers: Sequence[str]) -> str:
        """The page that shows the log lines of some CustomJobs to a person; see :func:`.console.logs_page`."""
        return logs_page(project_id, numbers, self.console_url)
