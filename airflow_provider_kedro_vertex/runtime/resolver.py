"""``${airflow:data_interval_start}`` in a project's configuration.

Keys: ``dag_id``, ``run_id``, ``run_key``, ``logical_date``, ``data_interval_start``, ``data_interval_end``; the dates
are ISO 8601 texts, and the run key names the place where one run keeps its data. A second word is the value where
there is no such thing, as with Kedro's own ``runtime_params``: ``${airflow:logical_date,2013-01-01}``. Use it in every
project that also runs outside Airflow (``kedro run`` on a laptop), and for manual runs of Airflow 3, which may have no
logical date.

The resolver reads the environment variables of :mod:`.process.environment`, so a laptop can also set those. No edit of
``settings.py`` is needed: the container's command registers it, and so do the hooks of this package, which Kedro finds
through the entry point ``kedro.hooks``.
"""

from __future__ import annotations

import os

from kedro.framework.hooks import hook_impl

from airflow_provider_kedro_vertex.configuration.templates import register_resolver

_VARIABLES = {
    "dag_id": "AIRFLOW_CTX_DAG_ID",
    "run_id": "AIRFLOW_CTX_DAG_RUN_ID",
    "run_key": "KEDRO_CONFIG_RUN_ID",
    "logical_date": "AIRFLOW_CTX_LOGICAL_DATE",
    "data_interval_start": "AIRFLOW_CTX_DATA_INTERVAL_START",
    "data_interval_end": "AIRFLOW_CTX_DATA_INTERVAL_END",
}


def register() -> None:
    """Let every configuration that is read from now on use ``${airflow:...}``; a second call changes nothing."""
    register_resolver("airflow", _airflow)


class ResolverHooks:
    """Registers the resolver in every Kedro session beside which this package is installed."""

    # First, since other hooks read the configuration here.
    @hook_impl(tryfirst=True)
    def after_context_created(self) -> None:
        """Register it: Kedro reads the configuration after this."""
        register()


#: What the entry point names.
hooks = ResolverHooks()


def _airflow(key: str, *default: object) -> object:
    if key not in _VARIABLES:
        raise ValueError(f"${{airflow:{key}}} is unknown. Known: {', '.join(_VARIABLES)}.")
    value = os.environ.get(_VARIABLES[key])
    if value is not None:
        return value
    if default:
        return default[0]
    raise ValueError(
        f"${{airflow:{key}}} has no value: this is no Airflow run, or one without a {key}. Give a default, "
        f"${{airflow:{key},VALUE}}, or set {_VARIABLES[key]}."
    )
