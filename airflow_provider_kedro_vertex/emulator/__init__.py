"""A local Vertex AI for development and tests. Shares no code with the rest of the package: it is its judge.

``vertex-emulator`` serves it; ``with VertexEmulator(...) as emulator:`` runs it inside a test. :mod:`.spec.reader`
tells what it runs and what it refuses; where it differs from Vertex AI, the module that differs says so. It is for one
person on one machine: it has no users and no permissions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_provider_kedro_vertex.emulator.server import VertexEmulator as VertexEmulator

__all__ = ["VertexEmulator"]


def __getattr__(name: str) -> Any:
    # Google's types cost about a second to import: a bad flag on the command line must not wait for them.
    if name == "VertexEmulator":
        from airflow_provider_kedro_vertex.emulator.server import VertexEmulator

        return VertexEmulator
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
