"""The project's config loader, and the kinds of configuration that Kedro itself does not know."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from kedro.config import AbstractConfigLoader, MissingConfigException, OmegaConfigLoader
from kedro.framework.project import settings

from airflow_provider_kedro_vertex.core.jobs.parameters import with_keys_of, without_number_keys

#: The key of ``vertexai.yml`` in the config loader, and that of kedro-mlflow's file.
VERTEXAI, MLFLOW = "vertexai", "mlflow"
#: Their files: those of kedro-vertexai and of kedro-mlflow 2.0. A project need not name them in its settings.py. The
#: last pattern of each finds the file in a project without environments, whose files lie in any folder below ``conf``.
PATTERNS: Mapping[str, tuple[str, ...]] = {
    VERTEXAI: ("vertexai*", "vertexai*/**", "**/vertexai*"),
    MLFLOW: ("mlflow*", "mlflow*/**", "**/mlflow*"),
}

# What Kedro's template sets; a project's own loader may have no such attributes.
BASE_ENV, DEFAULT_RUN_ENV = "base", "local"


def with_own_keys(conf_source: Path, env: str | None, params: Mapping[str, Any]) -> dict[Any, Any]:
    """Give the keys of runtime parameters the types of the project's own, which JSON and command lines cannot say.

    Kedro takes ``7`` and ``"7"`` for two keys, and then refuses both.

    :param params: nested; see :func:`open_loader` for the others.
    :raises Exception: whatever the project's own loader raises.
    """
    others = without_number_keys(params)
    if others == params:  # the files need not be read for this
        return dict(params)
    return with_keys_of(load(open_loader(conf_source, env, others), "parameters"), params)


def open_loader(conf_source: Path, env: str | None, params: Mapping[str, Any]) -> AbstractConfigLoader:
    """Make a config loader of the project's own class, as a Kedro session does.

    :param conf_source: the folder of the project's configuration.
    :param env: the Kedro environment; None for the project's default.
    :param params: Kedro's runtime parameters, nested.
    :raises Exception: whatever the project's own loader raises.
    """
    loader: AbstractConfigLoader = settings.CONFIG_LOADER_CLASS(
        conf_source=str(conf_source), env=env, runtime_params=dict(params), **settings.CONFIG_LOADER_ARGS
    )
    return loader


def patterns_of(loader: AbstractConfigLoader, key: str) -> tuple[str, ...]:
    """Tell which files one kind of configuration is read from; empty if nobody knows."""
    known = getattr(loader, "config_patterns", {})
    return tuple(known.get(key) or PATTERNS.get(key, ()))


def load(loader: AbstractConfigLoader, key: str) -> Any:
    """Load one kind of configuration: one that Kedro knows, such as ``catalog``, or one of :data:`PATTERNS`.

    :raises MissingConfigException: the project has no such file.
    :raises Exception: what else the project's loader raises.
    """
    if key not in PATTERNS:
        return loader[key]
    # The loader's own dict, which it reads these files by.
    known = getattr(loader, "config_patterns", {})
    own = known.setdefault(key, list(PATTERNS[key]))
    try:
        content = loader[key]
    except MissingConfigException:
        if set(PATTERNS[key]) <= set(own):
            raise
        content = None
    except KeyError:
        if isinstance(loader, OmegaConfigLoader):
            raise
        return _load_with_kedros_loader(loader, key)
    if not content and not set(PATTERNS[key]) <= set(own):
        known[key] = [*own, *PATTERNS[key]]  # the project's own patterns find no file
        content = loader[key]
    if not content and _has_no_file(loader, known[key]):
        raise MissingConfigException(f"The project has no {key} configuration.")
    return content


def _has_no_file(loader: AbstractConfigLoader, patterns: Iterable[str]) -> bool:
    """Look whether a project without environments has such files: Kedro then makes no difference to an empty one."""
    if not isinstance(loader, OmegaConfigLoader) or (loader.env or loader.default_run_env) != loader.base_env:
        return False
    folder = Path(loader.conf_source) / loader.base_env
    files = (file for pattern in patterns for file in folder.glob(pattern))
    return folder.is_dir() and not any(file.suffix in (".yml", ".yaml", ".json") for file in files)


def _load_with_kedros_loader(loader: AbstractConfigLoader, key: str) -> Any:
    """Read by Kedro's loader what a loader of the project's, with a fixed set of keys, does not know."""
    kedros = OmegaConfigLoader(
        loader.conf_source,
        loader.env,
        base_env=BASE_ENV,
        default_run_env=DEFAULT_RUN_ENV,
        config_patterns={key: list(PATTERNS[key])},
        runtime_params=loader.runtime_params,
    )
    return kedros[key]
