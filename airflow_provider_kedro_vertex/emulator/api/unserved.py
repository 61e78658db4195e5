"""Names the methods of Vertex AI that this emulator does not serve, so that they answer UNIMPLEMENTED.

A client reads NOT_FOUND as "this resource does not exist", which would be an answer. Which methods there are, and at
which paths, is read from the installed ``google-cloud-aiplatform``: its REST transports carry the bindings.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from functools import lru_cache
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

from google.cloud.aiplatform_v1 import services

_VERSION = re.compile(r"/v1(?:beta1)?/")
_FIELD = re.compile(r"\{[a-z_.]+=([^}]+)\}")
_ACTION = re.compile(r":[A-Za-z]+$")
# Methods that each service has, of services that are not Vertex AI's own.
_MIXINS = {
    "Location": "Locations",
    "Locations": "Locations",
    "IamPolicy": "IAMPolicy",
    "IamPermissions": "IAMPolicy",
    "Operation": "Operations",
    "Operations": "Operations",
}


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
    for service, method, option in _bindings():
        suffix = re.sub(r"^(Get|List|Set|Test|Cancel|Delete|Wait)", "", method)
        templates = found.setdefault(option["method"].upper(), {})
        if suffix not in _MIXINS:
            templates[option["uri"]] = f"{service}.{method}"
        elif option["uri"].startswith("/v1/"):
            templates.setdefault(option["uri"], f"{_MIXINS[suffix]}.{method}")
    # A part of a path may hold a colon, so `things/*` is tried after `things/*:read`.
    return {
        verb: [(templates[one], _pattern(one)) for one in sorted(templates, key=lambda one: not _ACTION.search(one))]
        for verb, templates in found.items()
    }


def _bindings() -> Iterator[tuple[str, str, Any]]:
    """Each binding of each method: the service's name, the method's, and the client's description of it."""
    for module in iter_modules(services.__path__):
        transport = import_module(f"{services.__name__}.{module.name}.transports.rest_base")
        for class_name, base in inspect.getmembers(transport, inspect.isclass):
            service = re.fullmatch(r"_Base(\w+)RestTransport", class_name)
            for name, method in vars(base).items() if service else ():
                for option in method._get_http_options() if hasattr(method, "_get_http_options") else ():
                    yield service[1] if service else "", name.removeprefix("_Base"), option


def _pattern(template: str) -> re.Pattern[str]:
    text = _FIELD.sub(r"\1", template)
    return re.compile(re.escape(text).replace(r"\*\*", ".+").replace(r"\*", "[^/]+"))
