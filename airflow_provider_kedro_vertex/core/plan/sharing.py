"""One value for a container whose nodes may each have said another."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from airflow_provider_kedro_vertex.core.errors import ConfigError
from airflow_provider_kedro_vertex.core.settings.quantities import accelerators, cores, gigabytes
from airflow_provider_kedro_vertex.core.settings.sections import MergeableType

#: Of these a container gets the largest that one of its nodes asks for.
_AMOUNTS: Mapping[str, Callable[[str], float]] = {"cpu": cores, "memory": gigabytes, "gpu": accelerators}

#: A container is skipped as a whole or not at all, so all of its nodes must allow it.
_ALL_MUST_ALLOW = frozenset({"caching"})


def merge_node_settings(
    group: str, section: str, said: Sequence[tuple[str, MergeableType]], own: MergeableType
) -> MergeableType:
    """Bring together what the nodes of a container say.

    The group's own word ends every dispute. Else the largest of amounts counts, mappings are merged by key, and all
    else must be equal where it is said.

    :param section: where these settings stand in ``run_config``, for the messages.
    :param said: each node's name with its settings.
    :param own: what is said for the group by its own name.
    :raises ConfigError: two nodes contradict each other; the message names both and the setting.
    """
    found: dict[str, Any] = {}
    for item in dataclasses.fields(own):
        name, key, word = item.name, f"{section}.{item.name}", getattr(own, item.name)
        values = [(node, value) for node, layer in said if (value := getattr(layer, name)) not in (None, (), {})]
        if isinstance(word, Mapping):
            names = dict.fromkeys(each for _, value in values for each in value if each not in word)
            merged = {
                each: common_value(
                    group, f"{key}.{each}", [(node, value[each]) for node, value in values if each in value]
                )
                for each in names
            }
            found[name] = {**merged, **word}
        elif word not in (None, ()) or not values:
            found[name] = word
        elif name in _AMOUNTS:
            found[name] = max((value for _, value in values), key=_AMOUNTS[name])
        elif name in _ALL_MUST_ALLOW:
            found[name] = len(values) == len(said) and all(value for _, value in values)
        else:
            found[name] = common_value(group, key, values)
    return dataclasses.replace(own, **found)


def common_value(group: str, key: str, values: Sequence[tuple[str, Any]]) -> Any:
    """The value that nodes of a container give, each by its name; None if none gives one.

    :raises ConfigError: two give different ones.
    """
    if not values:
        return None
    first, value = values[0]
    for node, other in values[1:]:
        if other != value:
            raise ConfigError(
                f"Nodes {first!r} and {node!r} share a container (group {group!r}), but {key} is {_text(value)} for "
                f"one and {_text(other)} for the other.",
                "Make them equal, or group the nodes otherwise.",
            )
    return value


def _text(value: Any) -> str:
    return repr(value.to_dict() if hasattr(value, "to_dict") else value)
