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

from kedro.framework.hooks import hook_impl

from airflow_provider_kedro_vertex.configuration import airflow_values
from airflow_provider_kedro_vertex.configuration.templates import register_resolver


def register() -> None:
    """Let every configuration that is read from now on use ``${airflow:...}``; a second call changes nothing."""
    register_resolver("airflow", airflow_values.value)


class ResolverHooks:
    """Registers the resolver in every Kedro session beside which this package is installed."""

    # First, since other hooks read the configuration here.
    @hook_impl(tryfirst=True)
    def after_context_created(self) -> None:
        """Register it: Kedro reads the configuration after this."""
        register()


#: What the entry point names.
hooks = ResolverHooks()
