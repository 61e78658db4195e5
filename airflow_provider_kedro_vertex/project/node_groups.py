"""The project's own grouping function: it is called here, since Airflow does not have the project's code."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import replace

from airflow_provider_kedro_vertex.core.errors import ConfigError, did_you_mean
from airflow_provider_kedro_vertex.core.project.manifest import Pipeline
from airflow_provider_kedro_vertex.core.settings.run_config import Grouping


def with_groups(pipelines: Mapping[str, Pipeline], grouping: Grouping) -> dict[str, Pipeline]:
    """Ask the project's function about each registered pipeline.

    It is called as ``function(nodes, **params)``, with the pipeline's nodes (:class:`.manifest.Node`) in Kedro's order,
    and answers with a mapping of node names to group names. A node that it leaves out, or maps to None, is alone.

    :param grouping: its ``callable`` is ``package.module:function``.
    :raises ConfigError: there is no such function, or it answers otherwise.
    :raises Exception: whatever the function raises.
    """
    module, _, name = (grouping.callable or "").partition(":")
    function = getattr(importlib.import_module(module), name, None)
    if not callable(function):
        raise ConfigError(f"grouping.callable: module {module!r} has no function {name!r}.")
    return {key: _grouped(pipeline, function(pipeline.nodes, **grouping.params)) for key, pipeline in pipelines.items()}


def _grouped(pipeline: Pipeline, answer: object) -> Pipeline:
    if not isinstance(answer, Mapping):
        raise ConfigError(
            "The grouping function must answer with a mapping of node names to group names for pipeline "
            f"{pipeline.name!r}, not with {answer!r:.80}."
        )
    names = {node.name for node in pipeline.nodes}
    for node, group in answer.items():
        if node not in names:
            raise ConfigError(
                f"The grouping function names node {node!r}, which pipeline {pipeline.name!r} does not have.",
                did_you_mean(str(node), names),
            )
        if group is not None and not (isinstance(group, str) and group):
            raise ConfigError(f"The grouping function gives node {node!r} the group {group!r:.80}, which is no name.")
    return replace(pipeline, nodes=tuple(replace(node, group=answer.get(node.name)) for node in pipeline.nodes))
