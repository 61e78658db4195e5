"""Adding schedules to the text of ``vertexai.yml``, so that all else in it stays as it is: comments, order, quotes."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import yaml

from airflow_provider_kedro_vertex.project.settings_file import (
    after_line,
    block,
    child,
    end_line,
    is_block,
    means,
    plain,
)


def with_schedules(text: str, schedules: Mapping[str, Mapping[str, Any]]) -> str | None:
    """Add schedules to ``run_config.schedules``.

    :param schedules: by pipelines that the file has no schedule of.
    :return: None where the file's form does not allow it: a mapping in braces, an alias, no ``run_config``.
    """
    try:
        tree, content = yaml.compose(text, yaml.SafeLoader), yaml.safe_load(text)
    except yaml.YAMLError:
        return None
    run_config = child(tree, "run_config")
    if run_config is None:
        return None
    value = run_config[1]
    if not is_block(value):
        return None
    found = child(value, "schedules")
    lines = text.splitlines(keepends=True)
    indent = value.value[0][0].start_mark.column
    if found is None:
        at, added = end_line(value), block({"schedules": schedules}, indent)
    elif found[1].tag == "tag:yaml.org,2002:null":
        line = found[0].start_mark.line
        if "#" in lines[line]:
            return None
        text = "".join([*lines[:line], *lines[line + 1 :]])
        at, added = line - 1, block({"schedules": schedules}, indent)
    elif is_block(found[1]):
        at, added = end_line(found[1]), block(schedules, found[1].value[0][0].start_mark.column)
    else:
        return None
    changed = after_line(text, at, added)
    expected = copy.deepcopy(content)
    expected["run_config"]["schedules"] = {**(expected["run_config"].get("schedules") or {}), **plain(schedules)}
    return changed if means(changed, expected) else None


def as_yaml(schedules: Mapping[str, Mapping[str, Any]]) -> str:
    """Write schedules as a part of ``vertexai.yml``, for a person to put there."""
    return block({"run_config": {"schedules": schedules}}, 0)
