"""Adding schedules to the text of ``vertexai.yml``, so that all else in it stays as it is: comments, order, quotes."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import yaml

_INDENT = 2


def with_schedules(text: str, schedules: Mapping[str, Mapping[str, Any]]) -> str | None:
    """Add schedules to ``run_config.schedules``.

    :param schedules: by pipelines that the file has no schedule of.
    :return: None where the file's form does not allow it: a mapping in braces, an alias, no ``run_config``.
    """
    try:
        tree, content = yaml.compose(text, yaml.SafeLoader), yaml.safe_load(text)
    except yaml.YAMLError:
        return None
    run_config = _child(tree, "run_config")
    if run_config is None:
        return None
    value = run_config[1]
    if not _is_block(value):
        return None
    found = _child(value, "schedules")
    lines = text.splitlines(keepends=True)
    indent = value.value[0][0].start_mark.column
    if found is None:
        at, block = _end(value), _block({"schedules": schedules}, indent)
    elif found[1].tag == "tag:yaml.org,2002:null":
        at = found[0].start_mark.line
        if "#" in lines[at]:
            return None
        lines[at] = ""
        block = _block({"schedules": schedules}, indent)
    elif _is_block(found[1]):
        at, block = _end(found[1]), _block(schedules, found[1].value[0][0].start_mark.column)
    else:
        return None
    if at < len(lines) and lines[at] and not lines[at].endswith("\n"):
        lines[at] += "\n"
    if "\r\n" in text:
        block = block.replace("\n", "\r\n")
    changed = "".join([*lines[: at + 1], block, *lines[at + 1 :]])
    return changed if _means(changed, content, schedules) else None


def as_yaml(schedules: Mapping[str, Mapping[str, Any]]) -> str:
    """Write schedules as a part of ``vertexai.yml``, for a person to put there."""
    return _block({"run_config": {"schedules": schedules}}, 0)


def _child(node: yaml.Node | None, name: str) -> tuple[yaml.Node, yaml.Node] | None:
    pairs = node.value if isinstance(node, yaml.MappingNode) else []
    return next(((key, value) for key, value in pairs if key.value == name), None)


def _is_block(node: yaml.Node) -> bool:
    return isinstance(node, yaml.MappingNode) and not node.flow_style and bool(node.value)


def _end(node: yaml.Node) -> int:
    """The line in which a block ends, without the comments and empty lines after it."""
    if isinstance(node, yaml.ScalarNode) or getattr(node, "flow_style", False) or not node.value:
        mark = node.end_mark
        # A text of several lines ends at the beginning of the next one.
        return int(mark.line if mark.column else mark.line - 1)
    last = node.value[-1]
    return _end(last[1] if isinstance(last, tuple) else last)


def _block(content: Mapping[str, Any], indent: int) -> str:
    plain = {key: dict(value) for key, value in content.items()}
    text = yaml.safe_dump(_plain(plain), sort_keys=False, allow_unicode=True, indent=_INDENT, width=10_000)
    return "".join(f"{' ' * indent}{line}" for line in text.splitlines(keepends=True))


def _plain(value: Any) -> Any:
    return {key: _plain(item) for key, item in value.items()} if isinstance(value, Mapping) else value


def _means(changed: str, content: Any, schedules: Mapping[str, Mapping[str, Any]]) -> bool:
    """Whether a changed file says what the old one said, and the schedules."""
    expected = copy.deepcopy(content)
    expected["run_config"]["schedules"] = {**(expected["run_config"].get("schedules") or {}), **_plain(schedules)}
    try:
        return bool(yaml.safe_load(changed) == expected)
    except yaml.YAMLError:
        return False
