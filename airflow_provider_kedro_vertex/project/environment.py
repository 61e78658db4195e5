"""What a manifest takes from the environment of the command that writes it: ``KEDRO_CONFIG_*``, and names of others."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Iterator, Mapping

from airflow_provider_kedro_vertex.configuration.reader import MLFLOW, VERTEXAI
from airflow_provider_kedro_vertex.configuration.templates import RUN_VARIABLES, VARIABLE_PREFIX, variables_in
from airflow_provider_kedro_vertex.core.checks.container import may_be_secret
from airflow_provider_kedro_vertex.core.settings.nodes import NodeSettings
from airflow_provider_kedro_vertex.core.settings.run_config import RunConfig
from airflow_provider_kedro_vertex.core.settings.selectors import DEFAULT
from airflow_provider_kedro_vertex.project.conf import Conf
from airflow_provider_kedro_vertex.project.parameters import PRIVATE_ENV
from airflow_provider_kedro_vertex.project.vertexai_yml import ConfigWarning


def forwarded(config: RunConfig, environment: Mapping[str, str]) -> RunConfig:
    """Hand every variable ``KEDRO_CONFIG_*`` on to the containers, where configuration is read again.

    What ``nodes.__default__.env`` says wins. A variable that may hold a secret is not handed on, with a
    :class:`ConfigWarning`, since a manifest holds none.
    """
    default = config.nodes.get(DEFAULT, NodeSettings())
    found = {}
    for name, value in sorted(environment.items()):
        if not name.startswith(VARIABLE_PREFIX) or name in RUN_VARIABLES or name in {*default.env, *default.secret_env}:
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


def variables_read(conf: Conf, config: RunConfig, environment: Mapping[str, str]) -> tuple[str, ...]:
    """Find the environment variables that give a container's configuration its values.

    Left out is a variable with a default that is not set here, since the containers take the default too, and what
    files of the environment ``local`` read, which Kedro's template keeps out of repositories and images.
    """
    return tuple(
        sorted(
            {
                name
                for key in _kinds_in_container(conf, config)
                for env, content in conf.written(key)
                if env != PRIVATE_ENV
                for name, has_default in variables_in(content)
                if name in environment or not has_default
            }
        )
    )


def _kinds_in_container(conf: Conf, config: RunConfig) -> Iterator[str]:
    yield from ("catalog", "credentials", "globals", MLFLOW, "parameters")
    # Providers are told what vertexai.yml says; nothing else in a container reads it.
    if config.dynamic_config_providers or _has_header_params(conf):
        yield VERTEXAI


def _has_header_params(conf: Conf) -> bool:
    run_config = conf.load(VERTEXAI).get("run_config")
    mlflow = run_config.get("mlflow") if isinstance(run_config, Mapping) else None
    return isinstance(mlflow, Mapping) and bool(mlflow.get("request_header_provider_params"))
