"""Templates that fail: told by the name of what they are for, since another try would fail in the same way.

Imported when a task runs, not at parse.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from jinja2 import TemplateError

from airflow_provider_kedro_vertex.compat import BaseOperator, Context
from airflow_provider_kedro_vertex.core.errors import ConfigError

#: What another try would not mend; Airflow's own errors, such as an API server that does not answer, go on.
_FINAL = (TemplateError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError)


@contextmanager
def told_by_name(name: str, template: Any, context: Context) -> Iterator[None]:
    """Name what a template is for that fails.

    :raises ConfigError: it fails.
    """
    try:
        yield
    except _FINAL as error:
        fix = ""
        if context.get("logical_date") is None:
            fix = (
                "This DAG run has no logical date, so that ds, ts and the like do not exist. What exists in each run: "
                "{{ (dag_run.logical_date or dag_run.run_after) | ds }}."
            )
        raise ConfigError(f"{name}: its template {template!r:.200} fails: {error}.", fix) from error


@contextmanager
def field_told_by_name(operator: BaseOperator, field: str, context: Context) -> Iterator[None]:
    """Name the field of a task whose template fails, or the key in it.

    :raises ConfigError: it fails.
    """
    value = getattr(operator, field, None)
    with told_by_name(field, value, context):
        try:
            yield
        except _FINAL:
            for key, item in value.items() if isinstance(value, Mapping) else ():
                with told_by_name(
                    f"Parameter {key!r}" if field == "runtime_params" else f"{field}.{key}", item, context
                ):
                    operator.render_template(item, context)
            raise
