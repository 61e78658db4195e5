"""``--param key=value``: text becomes a value of the type that the project's parameter has."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from airflow_provider_kedro_vertex.core.errors import ConfigError
from airflow_provider_kedro_vertex.core.jobs.parameters import nested
from airflow_provider_kedro_vertex.core.project.manifest import Parameter
from airflow_provider_kedro_vertex.core.project.parameters import from_text, parameter_of


def parse_params(given: Iterable[str], project: Mapping[str, Parameter]) -> dict[str, Any]:
    """Read parameters, by dotted names, each ``key=value`` (or ``key:value``, kedro-vertexai's older form).

    :param project: the project's parameters, which say how a value is read; see :func:`.project.parameters.from_text`.
    :return: nested parameters, as :func:`.parameters.nested`.
    :raises ConfigError: no separator, a name that the project does not have, or a value of another type.
    """
    values: dict[str, Any] = {}
    for item in given:
        name, separator, text = item.partition("=")
        if not separator:
            name, separator, text = item.partition(":")
        name = name.strip()
        if not separator or not name:
            raise ConfigError(f"--param {item!r} must be key=value.")
        values[name] = from_text(name, text, parameter_of(name, project))
    return nested(values)
