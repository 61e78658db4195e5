"""The variables ``KEDRO_CONFIG_*`` of the command that writes a manifest, and what they stand for."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Mapping

from airflow_provider_kedro_vertex.core.checks.container import may_be_secret
from airflow_provider_kedro_vertex.core.settings.nodes import NodeSettings
from airflow_provider_kedro_vertex.core.settings.run_config import RunConfig
from airflow_provider_kedro_vertex.core.settings.selectors import DEFAULT
from airflow_provider_kedro_vertex.project.conf import VARIABLE_PREFIX
from airflow_provider_kedro_vertex.project.vertexai_yml import ConfigWarning

#: Set in each container, for its own run.
_OF_A_RUN = frozenset({"KEDRO_CONFIG_JOB_NAME", "KEDRO_CONFIG_RUN_ID"})


def forwarded(config: RunConfig, environment: Mapping[str, str]) -> RunConfig:
    """Hand every variable ``KEDRO_CONFIG_*`` on to the containers, where configuration is read again.

    What ``nodes.__default__.env`` says wins. A variable that may hold a secret is not handed on, with a
    :class:`ConfigWarning`, since a manifest holds none.
    """
    default = config.nodes.get(DEFAULT, NodeSettings())
    found = {}
    for name, value in sorted(environment.items()):
        if not name.startswith(VARIABLE_PREFIX) or name in _OF_A_RUN or name in {*default.env, *default.secret_env}:
            continue
        if may_be_secret(name, value):
            warnings.warn(
                f"The environment variable {name} is not handed on to the containers: it may hold a secret. Keep it in "
                f"Secret Manager, and name it in run_config.nodes.{DEFAULT}.secret_env.",
                ConfigWarning,
                stacklevel=2,
            )
        else:
            found[name] = value
    if not found:
        return config
    settings = dataclasses.replace(default, env={**found, **default.env})
    return dataclasses.replace(config, nodes={**config.nodes, DEFAULT: settings})
