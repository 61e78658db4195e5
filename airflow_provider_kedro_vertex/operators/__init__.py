"""The operators. Each is imported when it is first used: a DAG file that needs one does not pay for the others."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_provider_kedro_vertex.operators.cleanup import KedroVertexCleanupOperator as KedroVertexCleanupOperator
    from airflow_provider_kedro_vertex.operators.custom_job import (
        KedroVertexCustomJobOperator as KedroVertexCustomJobOperator,
    )
    from airflow_provider_kedro_vertex.operators.exit import KedroVertexExitOperator as KedroVertexExitOperator
    from airflow_provider_kedro_vertex.operators.node import KedroVertexNodeOperator as KedroVertexNodeOperator
    from airflow_provider_kedro_vertex.operators.pipeline_job import (
        KedroVertexPipelineOperator as KedroVertexPipelineOperator,
    )

_MODULES = {
    "KedroVertexCleanupOperator": "cleanup",
    "KedroVertexCustomJobOperator": "custom_job",
    "KedroVertexExitOperator": "exit",
    "KedroVertexNodeOperator": "node",
    "KedroVertexPipelineOperator": "pipeline_job",
}

__all__ = [
    "KedroVertexCleanupOperator",
    "KedroVertexCustomJobOperator",
    "KedroVertexExitOperator",
    "KedroVertexNodeOperator",
    "KedroVertexPipelineOperator",
]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
