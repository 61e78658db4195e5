"""Write docs/emulator-api.md, which names each RPC of Vertex AI and tells if the emulator serves it: ``make docs``.

The methods are those that the installed ``google-cloud-aiplatform`` knows.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

from airflow_provider_kedro_vertex.emulator.api.bindings import bindings, mixed_in_bindings, service_names
from airflow_provider_kedro_vertex.emulator.api.methods import SERVED

PAGE = Path(__file__).parents[1] / "docs" / "emulator-api.md"
CLIENT_VERSION = version("google-cloud-aiplatform")

_HEAD = f"""# The emulator's API

Each RPC of Vertex AI v1 that google-cloud-aiplatform {CLIENT_VERSION} knows, and whether [the emulator](emulator.md)
serves it, over REST and over gRPC alike. This page is written from the code: `make docs`. What is served of v1 is
served of v1beta1 too. The others, and all else of v1beta1, answer UNIMPLEMENTED with the method's name.

| service | served | UNIMPLEMENTED |
|---|---|---|
"""


def page() -> str:
    """Write the page."""
    rows = sorted(_methods().items(), key=lambda row: not any(f"{row[0]}.{name}" in SERVED for name in row[1]))
    return _HEAD + "".join(f"| {service} | {' | '.join(_columns(service, names))} |\n" for service, names in rows)


def _methods() -> dict[str, list[str]]:
    """The names of the methods of each service, those of the services that are mixed into others last."""
    found: dict[str, list[str]] = {}
    services = service_names()
    for one in [b for read in (bindings, mixed_in_bindings) for service in services for b in read(service)]:
        service, _, name = one.name.partition(".")
        names = found.setdefault(service, [])
        if name not in names:
            names.append(name)
    found["Projects (Resource Manager v3)"] = ["GetProject"]
    return found


def _columns(service: str, names: list[str]) -> Iterator[str]:
    served = [name for name in names if f"{service.partition(' ')[0]}.{name}" in SERVED]
    yield ", ".join(served) or "-"
    yield ", ".join(name for name in names if name not in served) or "-"


if __name__ == "__main__":
    PAGE.write_text(page())
