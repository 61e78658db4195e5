"""A Kedro project becomes a manifest.

The project's pipelines are imported and its configuration is loaded, as ``kedro run`` does; nothing else of a run
happens: no session, no hook, no dataset class, no resolved credential, no network.
"""

from __future__ import annotations

import contextlib
import importlib
import logging
import os
import sys
import traceback
import warnings
from collections import ChainMap
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import kedro
from kedro.framework.project import IMPORT_ERROR_MESSAGE, settings, validate_settings
from kedro.framework.project import pipelines as registered_pipelines
from kedro.framework.startup import ProjectMetadata, bootstrap_project
from kedro.pipeline import Pipeline as KedroPipeline

from airflow_provider_kedro_vertex.configuration import airflow_values
from airflow_provider_kedro_vertex.configuration.data_root import below_data_root
from airflow_provider_kedro_vertex.configuration.reader import VERTEXAI
from airflow_provider_kedro_vertex.core.errors import ConfigError, KedroVertexError, ProjectError
from airflow_provider_kedro_vertex.core.jobs.parameters import merge, nested
from airflow_provider_kedro_vertex.core.project.locations import placeholder
from airflow_provider_kedro_vertex.core.project.manifest import Manifest, Node, Pipeline, Project
from airflow_provider_kedro_vertex.core.settings.data_root import shown
from airflow_provider_kedro_vertex.core.settings.run_config import RunConfig
from airflow_provider_kedro_vertex.project.conf import open_conf
from airflow_provider_kedro_vertex.project.data_root import has_data_root, with_data_root_as_written
from airflow_provider_kedro_vertex.project.datasets import (
    resolve_configs,
    resolve_datasets,
    with_runtime_params,
    without_credentials,
)
from airflow_provider_kedro_vertex.project.docstrings import description_of
from airflow_provider_kedro_vertex.project.environment import forwarded, variables_read
from airflow_provider_kedro_vertex.project.mlflow_yml import with_tracking_uri
from airflow_provider_kedro_vertex.project.node_groups import with_groups
from airflow_provider_kedro_vertex.project.parameters import describe_parameters
from airflow_provider_kedro_vertex.project.type_hints import with_type_hints
from airflow_provider_kedro_vertex.project.vertexai_yml import read_run_config

#: Hooks that are handed the catalog before a run.
_WITH_CATALOG = ("after_catalog_created", "before_pipeline_run")
#: Plugins whose hooks add no dataset to the catalog of a run.
_ADD_NOTHING = frozenset({"airflow-provider-kedro-vertex", "kedro-mlflow", "kedro-telemetry", "kedro-viz"})
_IMPORT_FAILED = IMPORT_ERROR_MESSAGE.partition("{module}")[0]


def inspect_project(path: Path, env: str | None = None, runtime_params: Mapping[str, Any] | None = None) -> Manifest:
    """Inspect a Kedro project: every registered pipeline that has nodes, their datasets, parameters, ``vertexai.yml``.

    Kedro keeps one project for each process; inspecting configures it, and one process can inspect one project of a
    package name. What the project prints or logs goes to stderr or nowhere, never to stdout.

    :param path: the project's root, the folder of its ``pyproject.toml``.
    :param env: the Kedro environment; None takes the project's default one (``local``).
    :param runtime_params: nested, as ``kedro run --params`` would give them. What the configuration reads as
        ``${runtime_params:NAME}`` without a default is left open if it is not among them: ``<NAME>`` in its place.
    :raises ProjectError: this is no Kedro project, or its code cannot be imported; the message has file and line.
    :raises ConfigError: the configuration is wrong; the message has the key, and file and line where known.
    """
    with _quiet():
        metadata = _bootstrap(path)
        conf = open_conf(metadata.project_path, env, runtime_params)
        read = conf.runtime_params()
        left_open = [name for name, required in read.items() if required and not _has(runtime_params or {}, name)]
        filled = _filled(runtime_params or {}, left_open, read)
        if left_open:
            conf = open_conf(metadata.project_path, env, filled)
        content: Mapping[str, Any] = conf.load(VERTEXAI)
        if has_data_root(content):
            as_written = open_conf(metadata.project_path, env, _filled({}, read, read), airflow_values.as_written)
            content = with_data_root_as_written(content, as_written)
            conf = open_conf(metadata.project_path, env, filled)  # Kedro keeps the resolvers of the last one alone
        config = read_run_config(content, partial(conf.locate, VERTEXAI))
        config = forwarded(with_tracking_uri(config, conf), os.environ)
        variables = variables_read(conf, config, os.environ)
        parameters = describe_parameters(conf.load("parameters"), conf.written("parameters"), left_open)
        catalog = conf.load("catalog", required=True)
        registered = _registered(metadata)
        described = [_pipeline(name, value, metadata.project_path) for name, value in registered.items()]
        parameters = with_type_hints(parameters, (node for value in registered.values() for node in value.nodes))
        pipelines = {pipeline.name: pipeline for pipeline in described if pipeline.nodes}
        names = _dataset_names(pipelines.values())
        datasets = resolve_datasets(
            names,
            _as_in_container(catalog, config, names),
            metadata.project_path,
            partial(conf.locate, "catalog"),
            ChainMap(*(content for _, content in conf.written("credentials") if content)),
        )
        if open_catalog := _catalog_left_open(metadata.project_path, env, runtime_params or {}, read):
            datasets = with_runtime_params(datasets, read, open_catalog, metadata.project_path)
        if config.grouping is not None and config.grouping.kind == "callable":
            with _project_code(f"The grouping function {config.grouping.callable}", metadata.project_path):
                pipelines = with_groups(pipelines, config.grouping)
    return Manifest(
        project=Project(metadata.project_name, metadata.package_name, kedro.__version__),
        env=env,
        config=config,
        parameters=parameters,
        datasets=datasets,
        pipelines=pipelines,
        variables=variables,
        hooks=_hooks_that_may_add_datasets(),
        runtime_params={name: name in left_open for name in read},
    )


def _as_in_container(catalog: Mapping[str, Any], config: RunConfig, names: Iterable[str]) -> Mapping[str, Any]:
    """The catalog with each dataset where it lies on Vertex AI."""
    if not config.data_root:
        return catalog
    return below_data_root(catalog, shown(config.data_root), config.local_datasets, names)


def _catalog_left_open(
    project_path: Path, env: str | None, runtime_params: Mapping[str, Any], read: Iterable[str]
) -> Mapping[str, Any] | None:
    """The catalog with ``<NAME>`` for each runtime parameter that it reads; None if it reads none, or needs a value."""
    names = [name for name in read if not _has(runtime_params, name)]
    if not names:
        return None
    try:
        return open_conf(project_path, env, _filled(runtime_params, names, names)).load("catalog")
    except ConfigError:
        return None  # a resolver of the project cannot work with what is left open


def _has(params: Mapping[str, Any], name: str) -> bool:
    at: Any = params
    for part in name.split("."):
        if not isinstance(at, Mapping) or part not in at:
            return False
        at = at[part]
    return True


def _filled(params: Mapping[str, Any], names: Iterable[str], read: Iterable[str]) -> dict[str, Any]:
    """Runtime parameters with ``<NAME>`` for some more, but for those in which others are."""
    alone = [name for name in names if not any(other.startswith(f"{name}.") for other in read)]
    return merge(nested({name: placeholder(name) for name in alone}), params)


def _hooks_that_may_add_datasets() -> tuple[str, ...]:
    """The project's hooks that are handed the catalog, and the plugins whose hooks nobody here knows."""
    hooks = [hook for hook in settings.HOOKS if any(hasattr(hook, name) for name in _WITH_CATALOG)]
    plugins = {point.dist.metadata["Name"] for point in entry_points(group="kedro.hooks") if point.dist}
    unknown = plugins - _ADD_NOTHING - {*settings.DISABLE_HOOKS_FOR_PLUGINS}
    return tuple(sorted({*(getattr(hook, "__name__", type(hook).__name__) for hook in hooks), *unknown}))


def dataset_configs(path: Path, env: str | None, names: Iterable[str]) -> dict[str, Mapping[str, Any]]:
    """The catalog's entries of some datasets, of a project that was inspected, without their credentials.

    Paths are those at home, whatever ``data_root`` says.

    :raises ConfigError: the catalog cannot be read.
    """
    with _quiet():
        conf = open_conf(path, env, {})
        read = conf.runtime_params()
        if read:  # their values are no part of what is looked at
            conf = open_conf(path, env, _filled({}, read, read))
        return resolve_configs(names, without_credentials(conf.load("catalog")), partial(conf.locate, "catalog"))


def configs_at_home(
    path: Path, env: str | None, names: Iterable[str], runtime_params: Mapping[str, Any]
) -> dict[str, Mapping[str, Any]]:
    """As :func:`dataset_configs`, with the values that ``kedro run`` at home would find.

    :param runtime_params: nested; one that is read without a default and not among them is left open.
    :raises ConfigError: the catalog cannot be read.
    """
    with _quiet():
        read = open_conf(path, env, runtime_params).runtime_params()
        left_open = [name for name, required in read.items() if required and not _has(runtime_params, name)]
        conf = open_conf(path, env, _filled(runtime_params, left_open, read), airflow_values.value_or_placeholder)
        return resolve_configs(names, without_credentials(conf.load("catalog")), partial(conf.locate, "catalog"))


def pipelines_without_nodes() -> tuple[str, ...]:
    """The pipelines that the inspected project registers and that its manifest leaves out, since they have no nodes."""
    return tuple(name for name, pipeline in registered_pipelines.items() if pipeline is not None and not pipeline.nodes)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep stdout clean, where the manifest may go: Kedro logs there, and a project may print when imported."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with contextlib.redirect_stdout(sys.stderr), warnings.catch_warnings():
            # OmegaConf 2.4 says so of a call that each Kedro up to 1.7 makes; a user can do nothing about it.
            warnings.filterwarnings("ignore", message="register_new_resolver")
            yield
    finally:
        logging.disable(before)


def _bootstrap(path: Path) -> ProjectMetadata:
    if not (path / "pyproject.toml").is_file():
        raise ProjectError(f"{path} is no Kedro project: it has no pyproject.toml.")
    with _project_code(f"The project {path}", path):
        metadata = bootstrap_project(path)
        validate_settings()
        _ = settings.CONF_SOURCE  # the first access checks every setting
    return metadata


def _registered(metadata: ProjectMetadata) -> dict[str, KedroPipeline]:
    with _project_code(f"The pipelines of {metadata.project_path}", metadata.project_path):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            found = dict(registered_pipelines)
        for item in caught:
            _import_again(str(item.message))
    for item in caught:
        warnings.warn_explicit(item.message, item.category, item.filename, item.lineno)
    return {name: pipeline for name, pipeline in found.items() if pipeline is not None}


def _import_again(warning: str) -> None:
    """Raise the error that ``find_pipelines`` turned into a warning: a pipeline must not vanish from Airflow unseen."""
    if warning.startswith(_IMPORT_FAILED):
        importlib.import_module(warning[len(_IMPORT_FAILED) :].partition("'")[0])
        raise ImportError(warning.strip().splitlines()[-1])  # this time it went well, yet the pipeline is missing


@contextlib.contextmanager
def _project_code(what: str, project_path: Path) -> Iterator[None]:
    """Turn whatever the project's own code raises into one line with the file and line of that code."""
    try:
        yield
    except KedroVertexError:
        raise
    except (Exception, SystemExit) as raised:
        error: BaseException = raised
        if error.__cause__ is not None and str(error).startswith(_IMPORT_FAILED):
            error = error.__cause__  # find_pipelines(raise_errors=True) says only that something went wrong
        said = " ".join(str(error).split()).rstrip(".")
        raise ProjectError(
            f"{what} cannot be loaded: {_place(error, project_path.resolve())}{type(error).__name__}: {said}.",
            _remedy(error),
        ) from raised


def _remedy(error: BaseException) -> str:
    module = (isinstance(error, ImportError) and error.name) or ""
    if module == "kedro" or module.startswith("kedro."):
        return (
            f"Kedro {kedro.__version__} is installed, which does not have it (any more). Adapt the project: "
            "https://docs.kedro.org/en/stable/about/migration/ tells what took the place of what."
        )
    installable = isinstance(error, ModuleNotFoundError)
    return "Install what the project requires beside this command." if installable else ""


def _place(error: BaseException, project_path: Path) -> str:
    frames = [(Path(frame.filename), frame.lineno) for frame in traceback.extract_tb(error.__traceback__)]
    if isinstance(error, SyntaxError):
        frames.append((Path(error.filename or ""), error.lineno))
    for file, line in reversed(frames):
        # A project may hold its environment too, whose packages are not its own code.
        if file.is_relative_to(project_path) and "site-packages" not in file.parts:
            return f"{file.relative_to(project_path).as_posix()}, line {line}: "
    return ""


def _pipeline(name: str, pipeline: Any, project_path: Path) -> Pipeline:
    if not isinstance(pipeline, KedroPipeline):
        raise ProjectError(
            f"The registered pipeline {name!r} is no Kedro Pipeline but of type {type(pipeline).__name__}."
        )
    return Pipeline(
        name,
        tuple(
            Node(
                node.name,
                tuple(node.inputs),
                tuple(node.outputs),
                tuple(sorted(node.tags)),
                node.namespace,
                description=description_of(node.func, project_path),
            )
            for node in pipeline.nodes
        ),
        # By its name: kedro-mlflow need not be installed.
        logs_model=type(pipeline).__name__ == "PipelineML",
    )


def _dataset_names(pipelines: Iterable[Pipeline]) -> set[str]:
    return {
        name
        for pipeline in pipelines
        for node in pipeline.nodes
        for name in (*node.inputs, *node.outputs)
        if name != "parameters" and not name.startswith("params:")
    }
