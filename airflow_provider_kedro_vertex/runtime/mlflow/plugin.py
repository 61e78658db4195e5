"""kedro-mlflow's part in a container's run: none, unless the project uses it."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from kedro.config import AbstractConfigLoader, MissingConfigException
from kedro.framework.project import settings

from airflow_provider_kedro_vertex.configuration.reader import MLFLOW, load

if TYPE_CHECKING:
    from airflow_provider_kedro_vertex.runtime.mlflow.run import MlflowRun

#: kedro-mlflow, as its metadata and its import spell it.
PACKAGE = "kedro_mlflow"


@contextmanager
def shared_mlflow_run(used: bool, create: Callable[[], MlflowRun]) -> Iterator[list[object]]:
    """Join the session that is made and run meanwhile to the DAG run's MLflow run, if the project uses kedro-mlflow.

    :param used: see :func:`uses_mlflow`.
    :param create: makes the run; called, and MLflow imported, only if the project uses it.
    :return: hooks to register with the session.
    """
    if not used:
        yield []
        return
    run = create()
    try:
        yield [run]
    except BaseException as error:
        run.ended(error)
        raise
    run.ended(None)


def uses_mlflow(loader: Callable[[], AbstractConfigLoader]) -> bool:
    """Tell whether the project uses kedro-mlflow.

    It does if the package is installed, the project has an ``mlflow.yml`` (empty or not), and its ``settings.py`` has
    not disabled the hooks, or has put them into ``HOOKS`` itself.

    :param loader: makes what reads the project's configuration; called only if kedro-mlflow is installed.
    """
    if importlib.util.find_spec(PACKAGE) is None:
        return False
    disabled = PACKAGE in {name.replace("-", "_") for name in settings.DISABLE_HOOKS_FOR_PLUGINS}
    if disabled and not any(type(hook).__module__.startswith(f"{PACKAGE}.") for hook in settings.HOOKS):
        return False
    try:
        load(loader(), MLFLOW)
    except MissingConfigException:
        return False
    except Exception as error:
        # A loader of the project's own may know no such files. Any other error says that there is one: what is wrong
        # with it is told when the run reads it, with all of the project's resolvers.
        return type(error) is not KeyError
    return True
