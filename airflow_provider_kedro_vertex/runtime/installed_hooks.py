"""The hooks of installed packages: only those that the project wants are imported.

Kedro imports the hooks of every installed plugin and then drops those that ``DISABLE_HOOKS_FOR_PLUGINS`` names. For
kedro-telemetry alone that import takes a tenth of a container's start, for kedro-mlflow longer than Kedro itself.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from importlib.metadata import entry_points
from typing import Any

from kedro.framework.session import session

_TELEMETRY = "kedro-telemetry"


def import_only_enabled(unused: Collection[str]) -> None:
    """Let the sessions that are made from now on import only the hooks that they use.

    :param unused: names of packages that this project does not use, as their metadata spells them.

    ``KedroSession`` has no public way to do so. This replaces a private function that its module imports, the same in
    Kedro 1.0 to 1.7; should a later Kedro not have it, a session imports all hooks again, which is slower and no less
    right.
    """

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
