"""A slice of a pipeline, as the user asks for it: the filters of ``kedro run``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from airflow_provider_kedro_vertex.core.settings.sections import Section, field, invalid


def split(text: str) -> tuple[str, ...]:
    """Split a list with commas, as ``kedro run`` does; commas inside brackets belong to a node's name."""
    parts, depth = [""], 0
    for letter in text:
        depth = max(depth + (letter in "[(") - (letter in "])"), 0)
        if letter == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += letter
    return tuple(part.strip() for part in parts if part.strip())


def _names(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        return split(value)
    if isinstance(value, list | tuple) and all(isinstance(name, str) for name in value):
        return tuple(value)
    raise invalid(f"must be a list of names, or one string with commas between them, not {value!r:.80}.")


@dataclass(frozen=True)
class Selection(Section):
    """Which nodes of a pipeline to run, with the names of ``KedroSession.run``. An empty filter selects everything.

    Each filter is a list of names, or one string with commas between them.
    """

    tags: tuple[str, ...] = field(_names, "Only nodes with one of these tags.", ())
    node_names: tuple[str, ...] = field(_names, "Only these nodes.", ())
    from_nodes: tuple[str, ...] = field(_names, "Only these nodes and what depends on them.", ())
    to_nodes: tuple[str, ...] = field(_names, "Only these nodes and what they depend on.", ())
    from_inputs: tuple[str, ...] = field(
        _names, "Only the nodes that take these datasets or params: names, and what depends on them.", ()
    )
    to_outputs: tuple[str, ...] = field(_names, "Only the nodes that make these datasets, and what they depend on.", ())
    namespaces: tuple[str, ...] = field(_names, "Only nodes in these namespaces, at any depth.", ())
