"""Run one node group of a Kedro project in this process."""

from __future__ import annotations

import gc
import inspect
import os
import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kedro.framework.hooks import hook_impl
from kedro.framework.project import pipelines, settings
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project
from kedro.pipeline import Pipeline
from kedro.runner import SequentialRunner, ThreadRunner
from kedro.utils import is_kedro_project

from airflow_provider_kedro_vertex.configuration import templates
from airflow_provider_kedro_vertex.configuration.reader import VERTEXAI, load, open_loader, with_own_keys
from airflow_provider_kedro_vertex.core.errors import ConfigError, did_you_mean
from airflow_provider_kedro_vertex.core.jobs import usage
from airflow_provider_kedro_vertex.core.jobs.identity import RunContext
from airflow_provider_kedro_vertex.core.settings.container import THREAD
from airflow_provider_kedro_vertex.core.settings.filters import Selection
from airflow_provider_kedro_vertex.core.settings.runtime_settings import RuntimeSettings
from airflow_provider_kedro_vertex.runtime import resolver
from airflow_provider_kedro_vertex.runtime.config.providers import generated_config
from airflow_provider_kedro_vertex.runtime.data_root import DataRoot
from airflow_provider_kedro_vertex.runtime.experiment.experiment import Experiment, experiment_run
from airflow_provider_kedro_vertex.runtime.kedro_vertexai.names import provide_kedro_vertexai_modules
from airflow_provider_kedro_vertex.runtime.mlflow.plugin import (
    PACKAGE,
    check_model_pipeline,
    shared_mlflow_run,
    uses_mlflow,
)
from airflow_provider_kedro_vertex.runtime.node_group.boundary import node_group
from airflow_provider_kedro_vertex.runtime.node_group.hooks import GroupHooks
from airflow_provider_kedro_vertex.runtime.node_group.node_times import NodeTimes
from airflow_provider_kedro_vertex.runtime.node_group.unsaved import Unsaved
from airflow_provider_kedro_vertex.runtime.parameters import RUN_OUTCOME
from airflow_provider_kedro_vertex.runtime.process.meter import Meter
from airflow_provider_kedro_vertex.runtime.progress import Progress
from airflow_provider_kedro_vertex.runtime.run_status import Part, last_nodes
from airflow_provider_kedro_vertex.runtime.session import create_session

if TYPE_CHECKING:
    from airflow_provider_kedro_vertex.runtime.experiment.run import ExperimentRun
    from airflow_provider_kedro_vertex.runtime.mlflow.run import MlflowRun


@dataclass(frozen=True)
class Request:
    """A node group to run.

    :param pipelines: the registered pipelines that the run puts together, mostly one.
    :param nodes: the names of the nodes to run, in any order.
    :param env: the configuration environment; None for the project's default.
    :param free_inputs: datasets that no node of the run makes, though the pipeline has one that would.
    :param shared_inputs: datasets that other jobs make, which share their data with this one.
    :param shared_outputs: datasets that other jobs take, which share their data with this one.
    :param params: Kedro's runtime parameters, nested.
    :param context: the Airflow run.
    :param settings: what vertexai.yml says about this container.
    :param saves: whether this container saves what the nodes make and takes part in MLflow's run; of the machines that
        run a node together one does, and a replay does not.
    :param compression_level: zstd's, for undeclared datasets; None stores without compression.
    :param experiment: the Vertex AI experiment of the run; None if it has none.
    :param up_to: of the nodes, only this one runs, after those that it takes data from; None for all of them.
    """

    pipelines: tuple[str, ...]
    nodes: tuple[str, ...]
    free_inputs: tuple[str, ...]
    shared_inputs: tuple[str, ...]
    shared_outputs: tuple[str, ...]
    env: str | None
    params: Mapping[str, Any]
    context: RunContext
    settings: RuntimeSettings
    saves: bool
    compression_level: int | None
    experiment: Experiment | None = None
    up_to: str | None = None


def run(request: Request, progress: Progress, meter: Meter) -> None:
    """Run the nodes with all of the project's hooks, in the order that their datasets ask for.

    The project is the current folder. ``KedroSession.run`` does the work; its ``save_version`` and run id are those of
    the request's context, so that all containers of an Airflow run share them. When the nodes have run, or one has
    failed, a line of the log tells what they used.

    :param progress: is kept up to date while the nodes run.
    :param meter: of the container.
    :raises ConfigError: the folder is no Kedro project, or not a whole one, or a name is unknown.
    :raises MissingInputError: an earlier node group did not store what this one needs, or nobody brought an input to
        where it lies.
    :raises Exception: whatever the project's own code raises, and Kedro about its configuration: see :mod:`.failure`.
    """
    project = _bootstrap()
    pipeline, is_only_one_loaded = _find_pipeline(request.pipelines, request.nodes)
    nodes = _needed(pipeline, request)
    check_model_pipeline(pipeline, nodes)
    group = node_group(
        pipeline.nodes,
        nodes,
        free_inputs=request.free_inputs,
        shared_inputs=request.shared_inputs,
        shared_outputs=request.shared_outputs,
    )
    group_hooks = GroupHooks(group, request.context, progress, request.compression_level)
    times = NodeTimes(meter)
    unsaved = () if request.saves else (Unsaved(group.nodes),)
    data_root = _data_root(request.settings, pipeline)
    project_conf, env = project / settings.CONF_SOURCE, request.env or os.environ.get("KEDRO_ENV")
    loader = partial(open_loader, env=env, params=request.params)
    providers = request.settings.dynamic_config_providers
    try:
        with generated_config(providers, project_conf, lambda: load(loader(project_conf), VERTEXAI)) as conf_source:
            mlflow_used = request.saves and uses_mlflow(partial(loader, conf_source))
            in_experiment = request.saves and request.experiment is not None
            with (
                shared_mlflow_run(mlflow_used, lambda: _mlflow_run(request, pipeline, progress)) as mlflow_hooks,
                experiment_run(in_experiment, lambda: _experiment_run(request, pipeline, progress)) as noting_metrics,
            ):
                more_hooks = [*mlflow_hooks, *noting_metrics, *data_root, *_saved_data(request)]
                hooks = [*unsaved, group_hooks, _GarbageCollection(), *more_hooks, times]
                session = create_session(
                    project,
                    conf_source,
                    env=request.env,
                    params=with_own_keys(conf_source, env, request.params),
                    save_version=request.context.save_version,
                    hooks=hooks if is_only_one_loaded else [*hooks, _EveryPipeline()],
                    unused_plugins=() if mlflow_used else (PACKAGE,),
                )
                with session:
                    _run_session(session, request, group.nodes)
    except Exception as error:
        group_hooks.recover(error)
        for hook in data_root:
            hook.explain(progress.place.dataset)
        raise
    finally:
        used = times.usage()
        if used.nodes and request.saves:
            print(usage.to_line(used), flush=True)


def _bootstrap() -> Path:
    """Let Kedro find the project in the current folder.

    :return: its root.
    """
    resolver.register()
    templates.enable()
    project = Path.cwd()
    if not is_kedro_project(project):
        raise ConfigError(
            f"{project} is no Kedro project: it has no pyproject.toml with a [tool.kedro] section.",
            "The image's working directory must be the project's root.",
        )
    provide_kedro_vertexai_modules()
    try:
        bootstrap_project(project)
    except (RuntimeError, ValueError, NotADirectoryError) as error:
        raise ConfigError(f"The Kedro project {project} is not complete: {error}") from error
    return project


def _find_pipeline(names: tuple[str, ...], nodes: tuple[str, ...]) -> tuple[Pipeline, bool]:
    """Find the pipelines, put together, loading only them where Kedro can (1.5 and later).

    A registry that puts pipelines together fails or falls short when one of them is loaded alone; then, and with an
    older Kedro, all are loaded.

    :return: the pipeline, and whether it was enough to load what it is made of.
    :raises ConfigError: there is no such pipeline.
    """
    if hasattr(pipelines, "set_requested"):
        pipelines.set_requested(list(names))
        with warnings.catch_warnings(), suppress(Exception):  # loading all of them raises and warns again
            warnings.filterwarnings("ignore", module=r"kedro\.framework\.project")
            requested = sum((pipelines[name] for name in names), start=Pipeline([]))
            if set(nodes) <= {node.name for node in requested.nodes}:
                return requested, True
        pipelines.set_requested(None)
    everything = dict(pipelines)
    for name in names:
        if name not in everything:
            raise ConfigError(
                f"The project has no pipeline {name!r}.{did_you_mean(name, everything)}",
                "The image may be older or newer than the manifest: build both from one commit.",
            )
    return sum((everything[name] for name in names), start=Pipeline([])), False


def _needed(pipeline: Pipeline, request: Request) -> tuple[str, ...]:
    last = request.up_to
    if last is None:
        return request.nodes
    if last not in request.nodes:
        raise ConfigError(
            f"Node {last!r} is not one of those that this container ran.", did_you_mean(last, request.nodes)
        )
    needed = pipeline.only_nodes(*request.nodes).to_nodes(last)
    return tuple(node.name for node in needed.nodes)


def _data_root(settings: RuntimeSettings, pipeline: Pipeline) -> tuple[DataRoot, ...]:
    if not settings.data_root:
        return ()
    names = {name for name in pipeline.datasets() if not name.startswith("params:")} - {"parameters"}
    return (DataRoot(settings.data_root, settings.local_datasets, names, pipeline.inputs()),)


def _saved_data(request: Request) -> tuple[object, ...]:
    if not (request.settings.report_data and request.saves):
        return ()
    from airflow_provider_kedro_vertex.runtime.node_group.saved_data import SavedData

    return (SavedData(),)


def _run_session(session: KedroSession, request: Request, nodes: Sequence[str]) -> None:
    if "pipeline_names" in inspect.signature(session.run).parameters:
        names: dict[str, Any] = {"pipeline_names": list(request.pipelines)}
    elif len(request.pipelines) == 1:  # Kedro 1.0
        names = {"pipeline_name": request.pipelines[0]}
    else:
        raise ConfigError(
            f"This Kedro runs one pipeline at a time, not {', '.join(request.pipelines)}.",
            "Install kedro>=1.1 in the image.",
        )
    runner = ThreadRunner() if request.settings.runner == THREAD else SequentialRunner()
    session.run(**names, node_names=nodes, runner=runner)


class _GarbageCollection:
    """Begins to collect garbage, which the command puts off until everything is imported and configured."""

    @hook_impl(trylast=True)
    def before_pipeline_run(self) -> None:
        """Leave alone for good what is there now: it is no garbage, and there is much of it."""
        gc.freeze()
        gc.enable()


class _EveryPipeline:
    """Lets ``KedroSession.run`` load all pipelines, where it would ask for the one alone."""

    @hook_impl(tryfirst=True)
    def after_context_created(self) -> None:
        """Undo the selection: this is called after it and before the pipeline is looked up."""
        if hasattr(pipelines, "set_requested"):
            pipelines.set_requested(None)


def _mlflow_run(request: Request, pipeline: Pipeline, progress: Progress) -> MlflowRun:
    # Only here: it takes 1.5 s to import.
    from airflow_provider_kedro_vertex.runtime.mlflow.run import MlflowRun

    provider = request.settings.mlflow.request_header_provider
    return MlflowRun(_part(request, pipeline), request.context, progress, provider)


def _experiment_run(request: Request, pipeline: Pipeline, progress: Progress) -> ExperimentRun:
    # Only here: requests and Google's authentication take a third of a second to import.
    from airflow_provider_kedro_vertex.runtime.experiment.run import ExperimentRun

    assert request.experiment is not None  # noqa: S101 - asked for by the caller
    params = {name: value for name, value in request.params.items() if name != RUN_OUTCOME}
    return ExperimentRun(request.experiment, _part(request, pipeline), request.context, progress, params)


def _part(request: Request, pipeline: Pipeline) -> Part:
    outcome = request.params.get(RUN_OUTCOME)
    return Part(
        ",".join(request.pipelines),
        request.env,
        request.nodes,
        last_nodes(_selected(pipeline, request.settings.mlflow.selection or Selection()).nodes),
        outcome.get("state") if isinstance(outcome, dict) else None,
    )


def _selected(pipeline: Pipeline, selection: Selection) -> Pipeline:
    """Filter the nodes that this run is about.

    Kedro refuses a name that is given twice, and namespaces inside others.
    """
    names = {key: list(dict.fromkeys(values)) for key, values in selection.to_dict().items()}
    namespaces = names.pop("namespaces", [])
    outer = [own for own in namespaces if not any(own.startswith(f"{other}.") for other in namespaces)]
    return pipeline.filter(**names, node_namespaces=outer or None)
