"""``vertexai.yml`` becomes settings: old forms first, then the settings as they are declared."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any

from airflow_provider_kedro_vertex.core.errors import CombinedConfigError
from airflow_provider_kedro_vertex.core.settings.legacy import modernize
from airflow_provider_kedro_vertex.core.settings.run_config import RunConfig
from airflow_provider_kedro_vertex.core.settings.sections import KeyPath, SettingsError, dotted

#: Says where a key stands, such as ``conf/base/vertexai.yml, line 3``.
Locate = Callable[[KeyPath], str]


class ConfigWarning(UserWarning):
    """A setting is accepted and does not do what it may seem to do."""


def read_run_config(content: Mapping[str, Any], locate: Locate) -> RunConfig:
    """Check the content of ``vertexai.yml`` and turn it into settings. An empty file leaves every setting open.

    Warns with :class:`ConfigWarning` of each key that is ignored or has another name by now.

    :param content: the file as loaded, interpolations resolved.
    :param locate: see :data:`Locate`.
    :raises ConfigError: one line for each problem, each with its place, its key and what to do.
    """
    if not content:
        return RunConfig()
    modern = modernize(content)
    config, problems = RunConfig(), modern.problems
    try:
        config = RunConfig.read(modern.settings)
    except SettingsError as error:
        problems = [*problems, *map(modern.in_file, error.problems)]
    if problems:
        raise CombinedConfigError(problem.error(f"{locate(problem.path)}: ") for problem in problems)
    for path, remark in modern.remarks:
        warnings.warn(f"{locate(path)}: {dotted(path)} {remark}.", ConfigWarning, stacklevel=2)
    return config
