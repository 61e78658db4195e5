"""Run Kedro projects on Google Vertex AI from Apache Airflow and Cloud Composer.

The public names load on first use, so that importing this package costs an Airflow DAG file, a Kedro command
and a node's container nothing of what the other two need.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_kedro_vertex.version import DOCUMENTATION, __version__

if TYPE_CHECKING:
    from airflow_provider_kedro_vertex.factory.dag import asset as asset
    from airflow_provider_kedro_vertex.factory.dag import kedro_vertex_dag as kedro_vertex_dag
    from airflow_provider_kedro_vertex.factory.dag import kedro_vertex_dags as kedro_vertex_dags
    from airflow_provider_kedro_vertex.factory.dag import kedro_vertex_task_group as kedro_vertex_task_group

__all__ = [
    "__version__",
    "asset",
    "get_provider_info",
    "kedro_vertex_dag",
    "kedro_vertex_dags",
    "kedro_vertex_task_group",
]

_INTEGRATION = "Kedro on Vertex AI"
_FACTORIES = ("asset", "kedro_vertex_dag", "kedro_vertex_dags", "kedro_vertex_task_group")


def __getattr__(name: str) -> Any:
    if name in _FACTORIES:
        from airflow_provider_kedro_vertex.factory import dag

        return getattr(dag, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)


def get_provider_info() -> dict[str, Any]:
    """Describe this provider to Airflow (the ``apache_airflow_provider`` entry point).

    :return: what Airflow's ``provider_info.schema.json`` allows: names, version, the integration and the modules of
        its operators, sensors, triggers and hooks, and the extra link classes.
    """
    return {
        "package-name": "airflow-provider-kedro-vertex",
        "name": "Kedro on Vertex AI",
        "description": "Run Kedro projects on Google Vertex AI from Airflow.",
        "versions": [__version__],
        "integrations": [
            {
                "integration-name": _INTEGRATION,
                "external-doc-url": DOCUMENTATION,
                "tags": ["gcp", "machine learning"],
            }
        ],
        **{
            kind: [{"integration-name": _INTEGRATION, "python-modules": [f"airflow_provider_kedro_vertex.{kind}"]}]
            for kind in ("operators", "sensors", "triggers", "hooks")
        },
        # By the modules that define them: so Airflow 2 writes them into a DAG, and it reads no other ones back.
        "extra-links": [
            f"airflow_provider_kedro_vertex.links.task_links.{name}"
            for name in ("MlflowLink", "VertexJobLink", "VertexLogsLink", "WebShellLink")
        ],
    }
