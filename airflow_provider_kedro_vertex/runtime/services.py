"""What is said when a service that a container needs cannot be reached."""

from __future__ import annotations

from airflow_provider_kedro_vertex.core.errors import KedroVertexError


class ServiceError(KedroVertexError):
    """A service did not answer, or not as it should: infrastructure, later it may work."""
