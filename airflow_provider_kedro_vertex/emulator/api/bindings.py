"""Where the methods of Vertex AI v1 are over REST (``google.api.http``), read from Google's own client.

Its REST transports carry the bindings of every service, also those of the services that each one mixes in
(``google.longrunning.Operations``, ``google.cloud.location.Locations``, ``google.iam.v1.IAMPolicy``).
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from pkgutil import iter_modules

from google.cloud.aiplatform_v1 import services

_MIXED_IN = {
    "Location": "Locations",
    "Locations": "Locations",
    "IamPolicy": "IAMPolicy",
    "IamPermissions": "IAMPolicy",
    "Operation": "Operations",
    "Operations": "Operations",
}
"""The services that are mixed in, by what their methods are about."""


@dataclass(frozen=True)
class Binding:
    """One path of a method.

    :param name: ``Service.Method``.
    :param verb: the HTTP method.
    :param template: the path, as in ``google.api.http``.
    :param body: the request's field that the body fills, ``*`` for all fields, empty for none.
    """

    name: str
    verb: str
    template: str
    body: str = ""


def service_names() -> list[str]:
    """The names of Vertex AI's services, such as ``JobService``."""
    return list(_transports())


def bindings(service: str) -> list[Binding]:
    """The bindings of a service's methods, without those that are mixed in."""
    return [one for one in _all_bindings(service) if one.name.startswith(f"{service}.")]


def mixed_in_bindings(service: str) -> list[Binding]:
    """The bindings of the methods that are mixed into a service, below ``/v1/`` alone."""
    return [
        one
        for one in _all_bindings(service)
        if not one.name.startswith(f"{service}.") and one.template.startswith("/v1/")
    ]


@lru_cache(maxsize=1)
def _transports() -> dict[str, type]:
    """What carries the bindings of each service."""
    found = {}
    for module in iter_modules(services.__path__):
        transport = import_module(f"{services.__name__}.{module.name}.transports.rest_base")
        for class_name, base in inspect.getmembers(transport, inspect.isclass):
            if service := re.fullmatch(r"_Base(\w+)RestTransport", class_name):
                found[service[1]] = base
    return found


def _all_bindings(service: str) -> Iterator[Binding]:
    for class_name, method in vars(_transports()[service]).items():
        if not hasattr(method, "_get_http_options"):
            continue
        name = class_name.removeprefix("_Base")
        owner = _MIXED_IN.get(re.sub(r"^(Get|List|Set|Test|Cancel|Delete|Wait)", "", name), service)
        for option in method._get_http_options():
            yield Binding(f"{owner}.{name}", option["method"].upper(), option["uri"], option.get("body") or "")
