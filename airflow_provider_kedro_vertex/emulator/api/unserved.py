"""Names the methods of Vertex AI that this emulator does not serve, so that they answer UNIMPLEMENTED.

A client reads NOT_FOUND as "this resource does not exist", which would be an answer.
"""

from __future__ import annotations

import re
from functools import lru_cache

from airflow_provider_kedro_vertex.emulator.api.bindings import bindings, mixed_in_bindings, service_names

_VERSION = re.compile(r"/v1(?:beta1)?/")
_FIELD = re.compile(r"\{[a-z_.]+=([^}]+)\}")
_ACTION = re.compile(r":[A-Za-z]+$")


def method_name(verb: str, path: str) -> str:
    """Find the method at a path, as ``ScheduleService.CreateSchedule``; empty if Vertex AI has none there.

    One of v1beta1 is found where v1 has it too; another path of v1beta1 is named by itself.
    """
    version = _VERSION.match(path)
    if version is None:
        return ""
    v1_path = f"/v1/{path[version.end() :]}"
    for name, pattern in _patterns().get(verb, ()):
        if pattern.fullmatch(v1_path) is not None:
            return name
    return f"{verb} {path[:200]}" if version[0] == "/v1beta1/" else ""


@lru_cache(maxsize=1)
def _patterns() -> dict[str, list[tuple[str, re.Pattern[str]]]]:
    """The methods by their HTTP verb, in the order in which they are to be tried."""
    found: dict[str, dict[str, str]] = {}
    services = service_names()
    # A service's own methods first: those that are mixed in are the same in all services.
    for one in [b for read in (bindings, mixed_in_bindings) for service in services for b in read(service)]:
        found.setdefault(one.verb, {}).setdefault(one.template, one.name)
    # A part of a path may hold a colon, so `things/*` is tried after `things/*:read`.
    return {
        verb: [(templates[one], _pattern(one)) for one in sorted(templates, key=lambda one: not _ACTION.search(one))]
        for verb, templates in found.items()
    }


def _pattern(template: str) -> re.Pattern[str]:
    text = _FIELD.sub(r"\1", template)
    return re.compile(re.escape(text).replace(r"\*\*", ".+").replace(r"\*", "[^/]+"))
