"""Changing ``run_config.resources`` in the text of ``vertexai.yml``, so that all else stays as it is."""

from __future__ import annotations

import copy
from collections.abc import Mapping

import yaml

from airflow_provider_kedro_vertex.project.settings_file import after_line, block, child, end_line, is_block, means


def with_resources(text: str, resources: Mapping[str, Mapping[str, str]]) -> str | None:
    """Set settings of ``run_config.resources``; the selectors' other ones stay.

    :param resources: selector to setting to value.
    :return: None where the file's form does not allow it: an alias, a merge, no ``run_config``.
    """
    try:
        content = yaml.safe_load(text)
        changed = text
        for selector, settings in resources.items():
            for setting, value in settings.items():
                found = _with(changed, selector, setting, value)
                if found is None:
                    return None
                changed = found
    except (yaml.YAMLError, RecursionError):
        return None
    expected = copy.deepcopy(content)
    said = expected["run_config"].get("resources") or {}
    for selector, settings in resources.items():
        said[selector] = {**(said.get(selector) or {}), **settings}
    expected["run_config"]["resources"] = said
    return changed if means(changed, expected) else None


def as_yaml(resources: Mapping[str, Mapping[str, str]]) -> str:
    """Write resources as a part of ``vertexai.yml``, for a person to put there."""
    return block({"run_config": {"resources": resources}}, 0)


def _with(text: str, selector: str, setting: str, value: str) -> str | None:
    node = child(yaml.compose(text, yaml.SafeLoader), "run_config")
    for key, rest in (
        ("resources", {selector: {setting: value}}),
        (selector, {setting: value}),
        (setting, value),
    ):
        if node is None:
            return None
        found = child(node[1], key)
        if found is None:
            return _added(text, node[1], {key: rest})
        node = found
    assert node is not None  # noqa: S101 - the loop has found it
    if not isinstance(node[1], yaml.ScalarNode) or "\n" in text[node[1].start_mark.index : node[1].end_mark.index]:
        return None
    return text[: node[1].start_mark.index] + _inline(value) + text[node[1].end_mark.index :]


def _added(text: str, mapping: yaml.Node, content: Mapping[str, object]) -> str | None:
    """Add an entry to a mapping of either form."""
    if is_block(mapping):
        return after_line(text, end_line(mapping), block(content, mapping.value[0][0].start_mark.column))
    if not isinstance(mapping, yaml.MappingNode) or not mapping.flow_style:
        return None
    end = mapping.end_mark.index - 1
    before = text[:end].rstrip()
    comma = ", " if mapping.value and not before.endswith(",") else ""
    return before + comma + _inline(content)[1:-1] + text[end:]


def _inline(value: object) -> str:
    return yaml.safe_dump([value], default_flow_style=True, allow_unicode=True, width=10_000).strip()[1:-1]
