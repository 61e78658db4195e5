"""Lines of a container's log that are for programs: a mark, and one JSON object behind it.

Without the mark a line that is JSON may be stored as an object in place of a text.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

#: The most characters of a line; those that store logs cut longer ones. All are ASCII.
LENGTH = 15_000


def objects(lines: Iterable[str], mark: str) -> Iterator[dict[str, Any]]:
    """Read the objects of the lines that have a mark.

    Any program can write such a line, so what is no JSON object, or is longer than such lines are, is left out.
    """
    for line in lines:
        if not line.startswith(mark) or len(line) > LENGTH:
            continue
        try:
            told: Any = json.loads(line.removeprefix(mark))
        except (ValueError, RecursionError):
            continue
        if isinstance(told, dict):
            yield told
