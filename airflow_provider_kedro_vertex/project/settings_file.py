"""The text of ``vertexai.yml``: where it lies, and how a part of it is changed while all else stays as it is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

_INDENT = 2


def settings_file(project: Path, env: str | None) -> Path | None:
    """Find the one file with ``run_config`` that counts; None if it is not clear which one that is."""
    for folder in filter(None, (env, "base")):
        files = [
            file
            for file in sorted((project / "conf" / folder).glob("**/vertexai*.y*ml"))
            if any(line.startswith("run_config:") for line in file.read_text(encoding="utf-8").splitlines())
        ]
        if files:
            return files[0] if len(files) == 1 else None
    return None


def child(node: yaml.Node | None, name: str) -> tuple[yaml.Node, yaml.Node] | None:
    """The key and the value of a mapping's entry."""
    pairs = node.value if isinstance(node, yaml.MappingNode) else []
    return next(((key, value) for key, value in pairs if key.value == name), None)


def is_block(node: yaml.Node) -> bool:
    """Tell whether it is a mapping with a line for each entry, and has some."""
    return isinstance(node, yaml.MappingNode) and not node.flow_style and bool(node.value)


def end_line(node: yaml.Node) -> int:
    """The line in which a block ends, without the comments and empty lines after it."""
    if isinstance(node, yaml.ScalarNode) or getattr(node, "flow_style", False) or not node.value:
        mark = node.end_mark
        # A text of several lines ends at the beginning of the next one.
        return int(mark.line if mark.column else mark.line - 1)
    last = node.value[-1]
    return end_line(last[1] if isinstance(last, tuple) else last)


def block(content: Mapping[str, Any], indent: int) -> str:
    """Write a mapping with a line for each entry."""
    text = yaml.safe_dump(plain(content), sort_keys=False, allow_unicode=True, indent=_INDENT, width=10_000)
    return "".join(f"{' ' * indent}{line}" for line in text.splitlines(keepends=True))


def plain(value: Any) -> Any:
    """Make dicts of mappings, at every depth."""
    return {key: plain(item) for key, item in value.items()} if isinstance(value, Mapping) else value


def after_line(text: str, at: int, added: str) -> str:
    """Put lines behind the line of that number, from 0."""
    lines = text.splitlines(keepends=True)
    if at < len(lines) and lines[at] and not lines[at].endswith("\n"):
        lines[at] += "\n"
    if "\r\n" in text:
        added = added.replace("\n", "\r\n")
    return "".join([*lines[: at + 1], added, *lines[at + 1 :]])


def means(text: str, expected: Any) -> bool:
    """Tell whether a text says just what is expected."""
    try:
        return bool(yaml.safe_load(text) == expected)
    except yaml.YAMLError:
        return False
