"""Settings by node: which entries of a selector map are a node's, and in which order they are merged.

A selector is ``__default__``, a tag, a node name (as it is, or cleaned), or a pattern with ``*`` over node names.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from functools import reduce
from typing import Generic, TypeVar

from airflow_provider_kedro_vertex.core.settings.sections import merge

DEFAULT = "__default__"

Entry = TypeVar("Entry")


def node_names(name: str) -> tuple[str, str, str]:
    """The names that a node goes by in selectors, the weakest first: as on Vertex AI, cleaned, and its own.

    kedro-vertexai looked a node up by its cleaned name (a dash for each run of signs); its documents wrote the raw one.
    """
    from airflow_provider_kedro_vertex.core.text import slug  # not for parsing a DAG file, which asks for no names

    return slug(name), re.sub(r"[\W_]+", "-", name).strip("-"), name


class PerNode(Generic[Entry]):
    """A selector map, ready to be asked for many nodes: a node costs time in its own names and tags alone.

    :param entries: selector to settings, in the order of the file: of two tags or patterns the later one wins.
    """

    def __init__(self, entries: Mapping[str, Entry]) -> None:
        self._entries = entries
        self._order = {selector: index for index, selector in enumerate(entries)}
        self._patterns = [selector for selector in entries if "*" in selector]
        self._merged: dict[tuple[str, ...], Entry] = {}

    def find(self, names: Iterable[str], tags: Iterable[str]) -> Entry | None:
        """Merge what is set for a node: ``__default__``, then tags and patterns in the order of the file, then names.

        :param names: the names the node goes by, the weakest first; see :func:`node_names`.
        :return: None when nothing is set.
        """
        if not self._entries:
            return None
        names = list(dict.fromkeys(names))
        classes = {tag for tag in tags if tag in self._order}
        classes.update(pattern for pattern in self._patterns if any(fnmatchcase(name, pattern) for name in names))
        selectors = (
            *([DEFAULT] if DEFAULT in self._order else ()),
            *sorted(classes - {DEFAULT}, key=self._order.__getitem__),
            *(name for name in names if name in self._order),
        )
        if not selectors:
            return None
        if selectors not in self._merged:
            entries = [self._entries[selector] for selector in selectors]
            self._merged[selectors] = reduce(merge, entries)
        return self._merged[selectors]
