"""``grouping: {kind: callable}``: the project's own function is asked for each node, once, when it is inspected."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from kedro.pipeline.node import Node as KedroNode

from airflow_provider_kedro_vertex.core.config import Grouping
from airflow_provider_kedro_vertex.core.errors import ConfigError

#: Says which group a node is in; None for a container of its own.
GroupOf = Callable[[KedroNode], "str | None"]


def group_of(grouping: Grouping | None) -> GroupOf:
    """The function that names a node's group.

    :param grouping: its ``callable``, ``package.module:function``, is called as ``function(node, **params)`` with
        Kedro's own node, and answers with a group's name or None.
    :raises ConfigError: the function is not there; and from the function that is returned: it failed, or answered with
        something else.
    """
    if grouping is None or grouping.callable is None:
        return lambda node: None
    module, _, name = grouping.callable.partition(":")
    try:
        function = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise ConfigError(
            f"run_config.grouping.callable {grouping.callable!r} cannot be imported: {error}. Write it as "
            "package.module:function, of a module that can be imported beside the project."
        ) from error
    return lambda node: _answer(grouping, function, node)


def _answer(grouping: Grouping, function: Any, node: KedroNode) -> str | None:
    try:
        answer = function(node, **grouping.params)
    except Exception as error:  # the project's own function may raise anything
        said = " ".join(str(error).split()).rstrip(".")
        raise ConfigError(
            f"The grouping function {grouping.callable} failed for node {node.name!r}: {type(error).__name__}: {said}. "
            "Mend it, or choose another grouping."
        ) from error
    if answer is not None and not isinstance(answer, str):
        raise ConfigError(
            f"The grouping function {grouping.callable} answered {answer!r:.80} for node {node.name!r}. Return the "
            "group's name, or None for a container of its own."
        )
    return answer
