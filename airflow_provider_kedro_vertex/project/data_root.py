"""``run_config.data_root`` of a project as each run resolves it for itself."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from airflow_provider_kedro_vertex.configuration.reader import VERTEXAI
from airflow_provider_kedro_vertex.core.errors import ConfigError
from airflow_provider_kedro_vertex.project.conf import Conf

_PATH = ("run_config", "data_root")
_LEFT_OPEN = re.compile(r"<([\w.]+)>")


def has_data_root(content: Mapping[str, Any]) -> bool:
    """Tell whether the content of ``vertexai.yml`` sets ``data_root``."""
    run_config = content.get("run_config")
    return isinstance(run_config, Mapping) and isinstance(run_config.get("data_root"), str)


def with_data_root_as_written(content: Mapping[str, Any], conf: Conf) -> Mapping[str, Any]:
    """The content of a ``vertexai.yml`` with ``data_root``, which keeps its ``${airflow:..}``.

    :param conf: the same configuration, with interpolations of the Airflow run as they are written, and with ``<NAME>``
        for each runtime parameter.
    :raises ConfigError: the place depends on something that not all containers of a run know alike.
    """
    text = str(conf.load(VERTEXAI)["run_config"]["data_root"])
    # kedro-vertexai's ${run_id}, which is the run key.
    text = text.replace("<run_id>", "${airflow:run_key}")
    if left_open := _LEFT_OPEN.search(text):
        name = left_open[1]
        what = "the id of a job" if name == "job_name" else f"the runtime parameter {name}"
        raise ConfigError(
            f"{conf.locate(VERTEXAI, _PATH)}: run_config.data_root depends on {what}, and it must be one place for all "
            "runs, or differ by ${airflow:..} alone.",
            "Put what differs into the paths of the catalog.",
        )
    return {**content, "run_config": {**content["run_config"], "data_root": text}}
