"""The project's configuration before there is a session."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kedro.config import AbstractConfigLoader
from kedro.framework.project import settings

#: The files that hold a kind of configuration which Kedro itself does not know: those of kedro-mlflow 2.0 and of
#: kedro-vertexai.
PATTERNS: Mapping[str, tuple[str, ...]] = {
    "mlflow": ("mlflow*", "mlflow*/**", "**/mlflow*"),
    "vertexai": ("vertexai*", "vertexai*/**"),
}


def config_loader(conf_source: Path, env: str | None, params: Mapping[str, Any]) -> AbstractConfigLoader:
    """Make a config loader of the project's own class, as a session will.

    :param conf_source: the folder of the project's configuration.
    :param env: the configuration environment; None for the project's default.
    :param params: Kedro's runtime parameters, nested.
    """
    loader: AbstractConfigLoader = settings.CONFIG_LOADER_CLASS(
        conf_source=str(conf_source),
        env=env or os.environ.get("KEDRO_ENV"),
        runtime_params=dict(params),
        **settings.CONFIG_LOADER_ARGS,
    )
    return loader


def load(loader: AbstractConfigLoader, kind: str) -> dict[str, Any]:
    """Load a kind of :data:`PATTERNS`.

    :raises MissingConfigException: the project has no such file.
    :raises Exception: what else the project's loader raises.
    """
    # The loader's own dict: a project need not name these files in its settings.py, but may.
    patterns = getattr(loader, "config_patterns", {})
    patterns.setdefault(kind, list(PATTERNS[kind]))
    return dict(loader[kind])
