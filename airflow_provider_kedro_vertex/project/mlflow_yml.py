"""Where kedro-mlflow tracks runs, as far as the project's configuration says."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Mapping

from airflow_provider_kedro_vertex.configuration.reader import MLFLOW
from airflow_provider_kedro_vertex.core.checks.settings import MLFLOW_FOLDER
from airflow_provider_kedro_vertex.core.errors import ConfigError
from airflow_provider_kedro_vertex.core.project.locations import mlflow_location
from airflow_provider_kedro_vertex.core.settings.run_config import Mlflow, RunConfig
from airflow_provider_kedro_vertex.project.conf import Conf
from airflow_provider_kedro_vertex.project.vertexai_yml import ConfigWarning

_KEY = "mlflow_tracking_uri"
#: In place of an address that cannot be shown without what may be secret in it.
_UNREADABLE = "unknown://"


def with_tracking_uri(config: RunConfig, conf: Conf) -> RunConfig:
    """Add the tracking URI of ``mlflow.yml``, for the checks; a project without that file stays as it is.

    The file is kedro-mlflow's to read: one that cannot be resolved here is no error, since its values may be known in
    the container alone.
    """
    try:
        content = conf.load(MLFLOW)
    except ConfigError:
        return config
    if not content:
        return config
    server = content.get("server")
    if _KEY in content:
        warnings.warn(
            f"{conf.locate(MLFLOW, (_KEY,))}: {_KEY} at the top of the file is kedro-mlflow 0.x's, and kedro-mlflow 2 "
            f"ends each container for it: write server: {{{_KEY}: ..}}.",
            ConfigWarning,
            stacklevel=2,
        )
    said = server.get(_KEY) if isinstance(server, Mapping) else content.get(_KEY)
    uri = (mlflow_location(said).shown or _UNREADABLE) if isinstance(said, str) and said else MLFLOW_FOLDER
    return dataclasses.replace(config, mlflow=dataclasses.replace(config.mlflow or Mlflow(), tracking_uri=uri))
