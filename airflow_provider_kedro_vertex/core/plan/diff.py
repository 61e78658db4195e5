"""What is different between two manifests of a project: nodes, containers, machines and prices, schedules, settings."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal

from airflow_provider_kedro_vertex.core.errors import KedroVertexError
from airflow_provider_kedro_vertex.core.plan.plan import build_plan
from airflow_provider_kedro_vertex.core.plan.plan_table import PlanTable, Row, plan_table
from airflow_provider_kedro_vertex.core.project import manifest as manifests
from airflow_provider_kedro_vertex.core.project.manifest import Manifest, Node
from airflow_provider_kedro_vertex.core.settings.run_config import Schedule
from airflow_provider_kedro_vertex.core.settings.schedules import scheduled

#: What becomes of a container: its nodes are all new, all gone, the same in another setting, or were with others.
Fate = Literal["added", "removed", "changed", "regrouped"]


@dataclass(frozen=True)
class Change:
    """One value that is another one.

    :param what: dotted keys, or the name of a field.
    :param old: JSON; None where it was not there.
    :param new: JSON; None where it is not there any more.
    """

    what: str
    old: Any
    new: Any


@dataclass(frozen=True)
class NodeDiff:
    """A node that both have and that is not the same.

    :param name: its name now.
    :param before: its name before; the same unless it was renamed.
    :param changes: fields of :class:`.Node` that are others, beside the name.
    """

    name: str
    before: str
    changes: tuple[Change, ...]


@dataclass(frozen=True)
class Container:
    """A node group, with the machine that it needs.

    :param machine: as a person reads it; with replicas, also how many.
    :param dollars_an_hour: an estimate; None where nothing is known.
    """

    name: str
    nodes: tuple[str, ...]
    machine: str
    dollars_an_hour: float | None


@dataclass(frozen=True)
class ContainerDiff:
    """A container that is not the same.

    :param before: where its nodes were; of a container that was added, none.
    :param after: None for a container that was removed.
    """

    fate: Fate
    before: tuple[Container, ...]
    after: Container | None


@dataclass(frozen=True)
class Side:
    """A pipeline in one of the manifests.

    :param dollars_an_hour: an estimate while all of its containers run; None where it is not known.
    :param problem: why it cannot be planned, so that its containers are not known.
    """

    nodes: int
    dollars_an_hour: float | None
    schedule: str | None
    problem: str | None = None


@dataclass(frozen=True)
class PipelineDiff:
    """A registered pipeline that is not the same.

    :param old: None for a pipeline that was added.
    :param new: None for a pipeline that was removed.
    :param added: names of nodes.
    :param removed: names of nodes.
    :param changed: nodes that were renamed, or changed, or both.
    :param containers: those of a pipeline that can be planned in both manifests.
    """

    name: str
    old: Side | None
    new: Side | None
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[NodeDiff, ...] = ()
    containers: tuple[ContainerDiff, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether the pipeline is the same in both."""
        return self.old == self.new and not (self.added or self.removed or self.changed or self.containers)


@dataclass(frozen=True)
class Diff:
    """All that is different between two manifests.

    :param old: the digest of the old manifest; None if there is none.
    :param pipelines: those that are not the same, in the order of their names.
    :param settings: all else that is not the same: configuration, datasets, parameters.
    """

    project: str
    old: str | None
    new: str
    pipelines: tuple[PipelineDiff, ...]
    settings: tuple[Change, ...]

    @property
    def is_empty(self) -> bool:
        """Whether both manifests say the same."""
        return self.old == self.new


def diff(old: Manifest | None, new: Manifest) -> Diff:
    """Compare two manifests. What the code of a node does is in neither of them.

    :param old: None counts each pipeline as added, and compares no settings.
    """
    names = sorted({*(old.pipelines if old else ()), *new.pipelines})
    found = [_pipeline(old if old and name in old.pipelines else None, new, name) for name in names]
    return Diff(
        project=new.project.name,
        old=old.digest if old else None,
        new=new.digest,
        pipelines=tuple(each for each in found if not each.is_empty),
        settings=tuple(_changes("", _settings(old), _settings(new))) if old else (),
    )


def _pipeline(old: Manifest | None, new: Manifest, name: str) -> PipelineDiff:
    before, rows_before = _side(old, name)
    after, rows_after = _side(new, name)
    nodes_before = {node.name: node for node in old.pipelines[name].nodes} if old else {}
    nodes_after = {node.name: node for node in new.pipelines[name].nodes} if name in new.pipelines else {}
    gone = [node for node in nodes_before.values() if node.name not in nodes_after]
    come = [node for node in nodes_after.values() if node.name not in nodes_before]
    renamed = renames(gone, come)
    now = {**{each: each for each in nodes_before if each in nodes_after}, **renamed}
    changed = [NodeDiff(now[each], each, _fields(nodes_before[each], nodes_after[now[each]])) for each in now]
    return PipelineDiff(
        name=name,
        old=before,
        new=after,
        added=tuple(node.name for node in come if node.name not in renamed.values()),
        removed=tuple(node.name for node in gone if node.name not in renamed),
        changed=tuple(each for each in changed if each.changes or each.name != each.before),
        containers=tuple(_containers(rows_before, rows_after, now)) if before and after else (),
    )


def renames(gone: Sequence[Node], come: Sequence[Node]) -> dict[str, str]:
    """Find which of the nodes that are gone came back under another name.

    Kedro knows a node by its name alone. One and the same node is what takes and makes the same data; else what makes
    the same data, which only one node of a pipeline can; else what has the same name and data in another namespace.
    Where several nodes fit, none is said to be renamed.

    :return: the old name to the new one.
    """
    found: dict[str, str] = {}
    for mark in (_data, _outputs, _without_namespace):
        left = [node for node in gone if node.name not in found]
        right = [node for node in come if node.name not in found.values()]
        candidates = _unique(right, mark)
        found |= {node.name: candidates[key].name for key, node in _unique(left, mark).items() if key in candidates}
    return found


def _unique(nodes: Sequence[Node], mark: Callable[[Node], Hashable]) -> dict[Hashable, Node]:
    marks = Counter(map(mark, nodes))
    return {key: node for node in nodes if (key := mark(node)) is not None and marks[key] == 1}


def _data(node: Node) -> Hashable:
    return (frozenset(node.inputs), frozenset(node.outputs))


def _outputs(node: Node) -> Hashable:
    return frozenset(node.outputs) or None


def _without_namespace(node: Node) -> Hashable:
    def short(name: str) -> str:
        kind, colon, rest = name.rpartition(":")  # params:namespace.name
        return f"{kind}{colon}{rest.removeprefix(f'{node.namespace}.')}"

    names = frozenset(map(short, node.inputs)), frozenset(map(short, node.outputs))
    return (node.name.removeprefix(f"{node.namespace}."), *names)


def _fields(old: Node, new: Node) -> tuple[Change, ...]:
    values = [(each.name, getattr(old, each.name), getattr(new, each.name)) for each in fields(Node)]
    return tuple(
        Change(name, _json(before), _json(after))
        for name, before, after in values
        if name != "name" and before != after
    )


def _json(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _side(manifest: Manifest | None, name: str) -> tuple[Side | None, tuple[Row, ...]]:
    if manifest is None or name not in manifest.pipelines:
        return None, ()
    schedule = scheduled(manifest.config.schedules).get(name)
    table, problem = _table(manifest, name)
    side = Side(
        nodes=len(manifest.pipelines[name].nodes),
        dollars_an_hour=table.dollars_an_hour if table else None,
        schedule=_in_words(schedule) if schedule else None,
        problem=problem,
    )
    return side, table.rows if table else ()


def _table(manifest: Manifest, name: str) -> tuple[PlanTable | None, str | None]:
    try:
        return plan_table(build_plan(manifest, name)), None
    except KedroVertexError as error:
        return None, error.message


def _in_words(schedule: Schedule) -> str:
    words = f"{schedule.cron_expression} {schedule.timezone}"
    if schedule.start_time:
        words += f", from {schedule.start_time}"
    if schedule.end_time:
        words += f", until {schedule.end_time}"
    return f"{words}, at most {schedule.max_concurrent_run_count} at once"


def _containers(old: Sequence[Row], new: Sequence[Row], now: Mapping[str, str]) -> Iterator[ContainerDiff]:
    """Compare containers by the nodes that both pipelines have.

    :param now: the name of each of these nodes in the old pipeline, to that in the new one.
    """
    if not old or not new:
        return
    before = [(_members(row, now), _container(row)) for row in old]
    stayed = {name: name for name in now.values()}
    for row in new:
        container, members = _container(row), _members(row, stayed)
        origins = [each for each in before if each[0] & members]
        came_from = tuple(each for _, each in origins)
        if not origins:
            yield ContainerDiff("added", (), container)
        elif [own for own, _ in origins] != [members]:
            yield ContainerDiff("regrouped", came_from, container)
        elif _seen(came_from[0]) != _seen(container):
            yield ContainerDiff("changed", came_from, container)
    for members, container in before:
        if not members:
            yield ContainerDiff("removed", (container,), None)


def _members(row: Row, now: Mapping[str, str]) -> frozenset[str]:
    # The exit group has nodes of another pipeline.
    return frozenset({"on exit"}) if row.is_exit else frozenset(now[name] for name in row.group.nodes if name in now)


def _container(row: Row) -> Container:
    return Container(row.group.name, row.group.nodes, row.machines_text, row.dollars_an_hour)


def _seen(container: Container) -> tuple[Any, ...]:
    return container.machine, container.dollars_an_hour


def _settings(manifest: Manifest) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(manifests.dumps(manifest))
    for key in ("definition_digest", "digest", "pipelines"):  # told by themselves
        del content[key]
    content["config"].pop("schedules", None)
    return content


def _changes(where: str, old: Any, new: Any) -> Iterator[Change]:
    if isinstance(pairs := _as_mapping(old), dict) and isinstance(others := _as_mapping(new), dict):
        old, new = pairs, others
        for key in sorted({*old, *new}):
            yield from _changes(f"{where}.{key}" if where else key, old.get(key), new.get(key))
    elif old != new:
        yield Change(where, old, new)


def _as_mapping(value: Any) -> Any:
    """A mapping whose order counts is written as a list of pairs in a manifest."""
    is_pairs = isinstance(value, list) and value and all(isinstance(each, list) and len(each) == 2 for each in value)
    return {str(key): item for key, item in value} if is_pairs else value
