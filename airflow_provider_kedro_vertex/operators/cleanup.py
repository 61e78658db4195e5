"""The operator that cleans up after runs, for a DAG of its own: ``dags_examples/maintenance_dag.py`` is one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_kedro_vertex.compat import BaseOperator

if TYPE_CHECKING:
    from airflow_provider_kedro_vertex.compat import Context


class KedroVertexCleanupOperator(BaseOperator):
    """Delete the intermediate data of runs that ended more than ``ttl`` seconds ago.

    These are the undeclared datasets, and the other files of a run, under ``<root>/kedro-vertexai-temp/<run key>/``.
    What the catalog declares is never touched, nor is

    - a run that was written to, or had a job, within ``ttl``: also one that Airflow has not yet tried again;
    - a run with a job that goes on, however old;
    - a run of which Vertex AI knows no job in this project and region: it may be another region's. If you delete jobs,
      let a lifecycle rule of the bucket delete what is left;
    - a run of another Kedro project with the same root;
    - anything, if the project's ``run_config.keep_intermediate`` is true.

    Clearing a task of a run that was cleaned up runs its pipeline from the start.

    XCom gets ``{"deleted": .., "runs": .., "objects": .., "bytes": .., "kept": {reason: number}}``.

    :param manifest: path of the project's manifest, made by ``kedro vertex manifest``; a relative one starts at the DAG
        file's folder. Or its URL in object storage, ``gs://bucket/name`` (templated).
    :param run_config: settings of ``vertexai.yml``'s ``run_config`` to use instead, such as ``{"ttl": 86400}``
        (templated). ``ttl`` is a week if nobody sets it.
    :param delete: False, the default, only tells in the task's log what would be deleted: look there first. A template
        may give it, as ``"{{ params.delete }}"`` (templated).
    :param project_id: Google Cloud project; by default the manifest's, else the connection's (templated).
    :param region: Vertex AI location; by default the manifest's (templated).
    :param gcp_conn_id: the Airflow connection (templated).
    :param impersonation_chain: service accounts to impersonate (templated).
    """

    template_fields: Sequence[str] = (
        "manifest",
        "run_config",
        "delete",
        "project_id",
        "region",
        "gcp_conn_id",
        "impersonation_chain",
    )
    template_fields_renderers: ClassVar[dict[str, str]] = {"run_config": "json"}
    ui_color = "#e6e6e6"

    def __init__(
        self,
        *,
        manifest: str,
        run_config: Mapping[str, Any] | None = None,
        delete: bool | str = False,
        project_id: str | None = None,
        region: str | None = None,
        gcp_conn_id: str = "google_cloud_default",
        impersonation_chain: str | Sequence[str] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.manifest = manifest
        self.run_config = run_config
        self.delete = delete
        self.project_id = project_id
        self.region = region
        self.gcp_conn_id = gcp_conn_id
        self.impersonation_chain = impersonation_chain

    def execute(self, context: Context) -> dict[str, Any]:
        """Clean up."""
        from datetime import datetime, timezone
        from pathlib import Path

        from airflow_provider_kedro_vertex.core.errors import ConfigError, KedroVertexError
        from airflow_provider_kedro_vertex.core.jobs.retention import DEFAULT_TTL
        from airflow_provider_kedro_vertex.core.settings.readers import boolean
        from airflow_provider_kedro_vertex.core.settings.sections import read_at
        from airflow_provider_kedro_vertex.hooks.vertex_ai import KedroVertexHook
        from airflow_provider_kedro_vertex.task.errors import to_airflow_exception
        from airflow_provider_kedro_vertex.task.manifest_source import TASK_AGE, ManifestSource
        from airflow_provider_kedro_vertex.vertex.retention import Cleaned, clean

        try:
            delete = read_at("delete", boolean, self.delete)
            manifest = ManifestSource(self.manifest).read(Path(self.dag.fileloc).parent, TASK_AGE)
            config = manifest.config.overridden(self.run_config or {})
            if config.root is None:
                raise ConfigError(
                    "No root is set: set run_config.root in vertexai.yml, or pass run_config={'root': ..}."
                )
            if config.keep_intermediate:
                self.log.info("run_config.keep_intermediate is true: the intermediate data of all runs stay.")
                cleaned = Cleaned()
            else:
                hook = KedroVertexHook(gcp_conn_id=self.gcp_conn_id, impersonation_chain=self.impersonation_chain)
                client = hook.client(self.project_id or config.project_id, self.region or config.region)
                now, ttl = datetime.now(timezone.utc), config.ttl or DEFAULT_TTL
                cleaned = clean(client, config.root, manifest.project.name, ttl, now, delete, self.log)
        except KedroVertexError as error:
            raise to_airflow_exception(error) from None
        self.log.info(
            "%s %d runs, %d objects, %d bytes. Kept: %s.",
            "Deleted" if delete else "Would delete",
            cleaned.runs,
            cleaned.objects,
            cleaned.size,
            dict(cleaned.kept) or "none",
        )
        return {
            "deleted": delete,
            "runs": cleaned.runs,
            "objects": cleaned.objects,
            "bytes": cleaned.size,
            "kept": dict(cleaned.kept),
        }
