"""The trigger form of a DAG, as Airflow's ``Param``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_provider_kedro_vertex.compat import Param
from airflow_provider_kedro_vertex.core.jobs.parameters import FormValues
from airflow_provider_kedro_vertex.core.project.manifest import Manifest
from airflow_provider_kedro_vertex.core.project.parameters import known_parameters
from airflow_provider_kedro_vertex.core.project.trigger_form import Choice, choose_fields, misfit, or_empty, schema_of

_JSON = (bool, int, float, str, list, dict)


def trigger_form(
    manifest: Manifest, pipeline: str, choice: Choice, own: Mapping[str, Any]
) -> tuple[dict[str, Any], FormValues]:
    """Make the params of a DAG: the author's own, then a field of each parameter that was chosen.

    A plain value that the author gives for a parameter of the project, and that is of its type, gets a field of that
    type.

    :param own: the author's ``params``.
    :return: the params, and what stands in their fields while nobody changes it.
    :raises ConfigError: see :func:`.choose_fields`.
    """
    fields = choose_fields(manifest, pipeline, choice, own)
    params = {name: _typed(manifest, name, value) for name, value in own.items()} if choice is not False else dict(own)
    params |= {name: _param(field.value, field.schema) for name, field in fields.items()}
    return params, FormValues({name: field.value for name, field in fields.items()}, written_values(own))


def written_values(params: Any) -> dict[str, Any]:
    """Params as they are written, templates too; those without a value, and what only a run knows, are left out."""
    if not isinstance(params, Mapping):
        return {}
    values = {name: value.value if isinstance(value, Param) else value for name, value in params.items()}
    return {name: value for name, value in values.items() if value is None or isinstance(value, _JSON)}


def _typed(manifest: Manifest, name: str, value: Any) -> Any:
    parameter = known_parameters(manifest).get(name)
    if parameter is None or isinstance(value, Param):
        return value
    schema = schema_of(manifest, name, parameter)
    return value if misfit(value, schema) else _param(value, or_empty(schema))


def _param(value: Any, schema: Mapping[str, Any]) -> Param:
    rest = dict(schema)
    return Param(value, rest.pop("description", None), schema=rest)
