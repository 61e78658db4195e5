"""kedro-mlflow's part in a container's run: none, unless the project uses it."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from kedro.config import AbstractConfigLoader, MissingConfigException
from kedro.framework.project import settings
from kedro.pipeline import Pipeline

from airflow_provider_kedro_vertex.configuration.reader import MLFLOW, load
from airflow_provider_kedro_vertex.core.errors import ConfigError

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


def check_model_pipeline(pipeline: Pipeline, nodes: Collection[str]) -> None:
    """Refuse to run a part of a pipeline of kedro-mlflow's ``pipeline_ml_factory``.

    It logs the model when one session has run all of its nodes, and cannot be made of a part of them.

    :param pipeline: the pipeline as the project registers it.
    :param nodes: the names of the nodes that this container runs.
    :raises ConfigError: it runs not all of them.
    """
    others = {node.name for node in pipeline.nodes} - set(nodes)
    if type(pipeline).__name__ == "PipelineML" and others:
        raise ConfigError(
            "This pipeline is made by kedro-mlflow's pipeline_ml_factory, which logs the model when one process ran "
            f"all of its nodes, but {', '.join(sorted(others))} run elsewhere.",
            "Set run_config.grouping to pipeline, so that all of its nodes share one container, or register its "
            "training nodes as a plain pipeline beside it and run that.",
        )


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
