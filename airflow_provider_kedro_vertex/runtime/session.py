"""The Kedro session of a container, in which no plugin is imported that the project does not use.

Kedro imports the hooks of every installed plugin and then drops those that ``DISABLE_HOOKS_FOR_PLUGINS`` names. For
kedro-telemetry alone that import takes a tenth of a container's start, for kedro-mlflow longer than Kedro itself.

Kedro has no public way to say a run's version, to add hooks to one run, or to leave plugins out. So these private names
are used, the same in Kedro 1.0 to 1.7: ``KedroSession._store``, whose ``session_id`` is the save version and run id of
the session's run, ``KedroSession._hook_manager``, and ``_register_hooks_entry_points``, a function that its module
imports. Should a later Kedro not have the last one, a session imports all hooks again: slower and no less right.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from kedro.framework.project import settings
from kedro.framework.session import KedroSession, session

_TELEMETRY = "kedro-telemetry"


def create_session(
    project: Path,
    conf_source: Path,
    *,
    env: str | None,
    params: Mapping[str, Any],
    save_version: str,
    hooks: Sequence[object],
    unused_plugins: Collection[str],
) -> KedroSession:
    """Make a session of the class that the project asks for; one of another kind cannot be told a run's version.

    :param project: the project's root.
    :param conf_source: the folder of the configuration.
    :param env: the configuration environment; None for the project's default.
    :param params: Kedro's runtime parameters, nested.
    :param save_version: of every versioned dataset that the session saves; also the run id that hooks are told.
    :param hooks: registered after those of the project and of the plugins.
    :param unused_plugins: packages whose hooks are not imported, as their metadata spells their names.
    """
    wanted = getattr(settings, "SESSION_CLASS", KedroSession)  # an older Kedro has no choice
    session_class = wanted if issubclass(wanted, KedroSession) else KedroSession
    _import_only_enabled(unused_plugins)
    created: KedroSession = session_class.create(
        project_path=project, env=env, runtime_params=dict(params), conf_source=str(conf_source)
    )
    created.session_id = save_version
    created._store["session_id"] = save_version
    for hook in hooks:
        created._hook_manager.register(hook)
    return created


def _import_only_enabled(unused: Collection[str]) -> None:
    """Let the sessions that are made from now on import only the hooks that they use."""

    def register(hook_manager: Any, disabled: Collection[str]) -> None:
        _register(hook_manager, {*disabled, *unused})

    session._register_hooks_entry_points = register  # type: ignore[attr-defined,assignment]


def _register(hook_manager: Any, disabled: Collection[str]) -> None:
    """Register the hooks of installed packages.

    :param hook_manager: the session's pluggy manager.
    :param disabled: names of packages, as their metadata spells them (which is how Kedro compares them).
    """
    disabled = {*disabled, _TELEMETRY} if _untracked() else set(disabled)
    for entry_point in entry_points(group="kedro.hooks"):
        enabled = entry_point.dist is None or entry_point.dist.metadata["Name"] not in disabled
        if enabled and not hook_manager.has_plugin(entry_point.name):
            hook_manager.register(entry_point.load(), name=entry_point.name)


def _untracked() -> bool:
    # The two variables that kedro-telemetry itself looks at.
    return bool(os.environ.get("DO_NOT_TRACK") or os.environ.get("KEDRO_DISABLE_TELEMETRY"))
