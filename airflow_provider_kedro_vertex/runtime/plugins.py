"""kedro-mlflow's part in a container's run: none, unless the project uses it."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import kedro.framework.session.session
from kedro.config import AbstractConfigLoader, MissingConfigException
from kedro.framework.project import settings

from airflow_provider_kedro_vertex.runtime import conf

if TYPE_CHECKING:
    from airflow_provider_kedro_vertex.runtime.mlflow_run import MlflowRun

_PACKAGE = "kedro_mlflow"
#: The name of its entry point in the group ``kedro.hooks`` (kedro-mlflow 2.0).
_ENTRY_POINT = "mlflow_hook"


@contextmanager
def mlflow_hooks(loader: AbstractConfigLoader, joined: Callable[[], MlflowRun]) -> Iterator[list[object]]:
    """Join the session that is made and run meanwhile to the DAG run's MLflow run, if the project uses kedro-mlflow.

    :param loader: reads the project's configuration.
    :param joined: makes the hooks that join; called, and MLflow imported, only if the project uses it.
    :return: hooks to register with the session.
    """
    if not uses_mlflow(loader):
        with _entry_point_blocked():
            yield []
        return
    run = joined()
    try:
        yield [run]
    except BaseException as error:
        run.ended(error)
        raise
    run.ended(None)


def uses_mlflow(loader: AbstractConfigLoader) -> bool:
    """Whether the project uses kedro-mlflow.

    It does if it is installed, the project has an ``mlflow.yml`` (empty or not), and its ``settings.py`` has not
    disabled the hooks, or has put them into ``HOOKS`` itself.
    """
    if importlib.util.find_spec(_PACKAGE) is None:
        return False
    disabled = _PACKAGE in {name.replace("-", "_") for name in settings.DISABLE_HOOKS_FOR_PLUGINS}
    if disabled and not any(type(hook).__module__.startswith(f"{_PACKAGE}.") for hook in settings.HOOKS):
        return False
    try:
        conf.load(loader, "mlflow")
    except (MissingConfigException, KeyError):
        return False
    except Exception:
        # It is there. What is wrong with it is told when the run reads it, with all of the project's resolvers.
        return True
    return True


@contextmanager
def _entry_point_blocked() -> Iterator[None]:
    """Keep Kedro from loading kedro-mlflow's hook into the sessions that are made meanwhile.

    Kedro imports the hooks of every installed plugin, and drops those of ``DISABLE_HOOKS_FOR_PLUGINS`` only then.
    Importing kedro-mlflow takes 1.5 s, and its hook fails a project without ``mlflow.yml``. pluggy passes over a
    blocked name before it imports it, but the only way to a session's plugin manager while it is made is the private
    function that makes it, the same in Kedro 1.0 to 1.7.
    """
    module: Any = kedro.framework.session.session
    create = module._create_hook_manager

    def create_blocked() -> Any:
        manager = create()
        manager.set_blocked(_ENTRY_POINT)
        return manager

    module._create_hook_manager = create_blocked
    try:
        yield
    finally:
        module._create_hook_manager = create
