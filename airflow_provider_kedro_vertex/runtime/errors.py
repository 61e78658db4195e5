"""Errors of the container that have an exit code of their own."""

from __future__ import annotations

from airflow_provider_kedro_vertex.core.errors import KedroVertexError


class ServiceError(KedroVertexError):
    """A service did not answer, or not as it should: infrastructure, later it may work."""


class MissingInputError(KedroVertexError):
    """Another container or the Airflow side should have stored something that is not there."""
