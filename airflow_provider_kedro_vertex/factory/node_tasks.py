"""The node groups of a plan as Airflow tasks, in task groups that mirror Kedro's namespaces.

A DAG of some hundred nodes is parsed again and again, so a task costs little more here than a bare one of Airflow's.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_kedro_vertex.compat import TaskGroup
from airflow_provider_kedro_vertex.core.errors import ConfigError, PlanError, did_you_mean
from airflow_provider_kedro_vertex.core.settings.selectors import DEFAULT, PerNode, node_names
from airflow_provider_kedro_vertex.core.text import digest

if TYPE_CHECKING:
    from airflow_provider_kedro_vertex.compat import BaseOperator
    from airflow_provider_kedro_vertex.core.plan.plan import NodeGroup, Plan
    from airflow_provider_kedro_vertex.core.project.manifest import Manifest

#: Airflow takes so many characters for a task's id with its task groups' ids before it; one sign is left for doubles.
ID_LENGTH = 249
#: The most characters of one part of such an id.
LABEL_LENGTH = 80
_TASK_ID = re.compile(rf"[\w-]{{1,{LABEL_LENGTH}}}", re.ASCII)

#: Settings of ``nodes.<selector>.airflow`` that are seconds there and time spans in Airflow.
_SPANS = frozenset({"execution_timeout", "retry_delay"})

NodeArguments = Mapping[str, Mapping[str, Any]]
#: Names a node group by what the plan tells of it.
Name = Callable[["NodeGroup"], str]


class TasksMap(dict[str, "BaseOperator"]):
    """Kedro's node names and the Airflow task that each of them runs in, or is seen by.

    Several nodes have the same task when they share a container. An unknown name is a :class:`.PlanError` that names
    the closest one; ``in`` and ``get`` work as for every dict.
    """

    def __missing__(self, node: str) -> BaseOperator:
        raise PlanError(f"tasks_map has no node {node!r}.", did_you_mean(str(node), self))


@dataclass(frozen=True)
class NodeTasks:
    """The tasks of a plan.

    :param by_node: node name to task.
    :param roots: the tasks that wait for no other of them.
    :param leaves: the tasks that no other of them waits for.
    """

    by_node: TasksMap
    roots: list[BaseOperator]
    leaves: list[BaseOperator]


@dataclass(frozen=True)
class Names:
    """How the tasks of node groups are called.

    :param task_id: gives a group's task its id within the task group of its namespace.
    :param display_name: gives it the name that Airflow shows.
    """

    task_id: Name | None = None
    display_name: Name | None = None

    def labels(self, groups: Iterable[NodeGroup]) -> dict[str, str]:
        """The ids that were given, by the groups' own task ids.

        :raises ConfigError: an id is none of Airflow's.
        """
        if self.task_id is None:
            return {}
        found = {group.task_id: self.task_id(group) for group in groups}
        for group, label in found.items():
            if not isinstance(label, str) or not _TASK_ID.fullmatch(label):
                raise ConfigError(
                    f"task_id= gave {label!r:.80} for {group!r}.",
                    f"Let it give letters, digits, dashes and underscores, at most {LABEL_LENGTH}; dots are for task "
                    "groups.",
                )
        return found

    def shown(self, group: NodeGroup) -> dict[str, Any]:
        """The argument of a task that says how it is shown.

        :raises ConfigError: the name is no text.
        """
        if self.display_name is None:
            return {}
        name = self.display_name(group)
        if not isinstance(name, str):
            raise ConfigError(f"task_display_name= gave {name!r:.80} for {group.task_id!r}.", "Let it give a text.")
        return {"task_display_name": name}


def node_tasks(
    plan: Plan,
    parent: TaskGroup,
    make: Callable[..., BaseOperator],
    arguments: NodeArguments,
    taken: Iterable[str] = (),
    connect: Callable[[BaseOperator, NodeGroup], None] = lambda task, group: None,
    names: Names | None = None,
) -> NodeTasks:
    """Add one task for each node group to a task group, which may be the root of a DAG, with the plan's edges.

    :param make: makes a task; it is called with ``group`` (the group's name on Vertex AI), ``task_id``, ``task_group``,
        ``default_args`` and Airflow's arguments of that group.
    :param arguments: selector to Airflow arguments, over those of ``vertexai.yml``; see :mod:`.selectors`.
    :param taken: ids of tasks beside them.
    :param connect: called with each task and its group when it is made.
    :param names: how the tasks are called; None calls them as their nodes.
    """
    names = names or Names()
    own = PerNode(arguments) if arguments else None
    places = _Places(parent, taken, plan.groups, names.labels(plan.groups))
    dag = parent.dag
    # The task is given them here and the DAG afterwards: else Airflow copies the DAG's for each class of each task.
    default_args = {**dag.default_args, **parent.default_args}
    tasks: dict[str, BaseOperator] = {}
    by_node = TasksMap()
    for group in plan.groups:
        task_id, task_group = places.find(group)
        given = {**names.shown(group), **_from_settings(group.settings.airflow), **_from_file(own, group)}
        task = make(group=group.task_id, task_id=task_id, task_group=task_group, default_args=default_args, **given)
        task.dag = dag
        connect(task, group)
        tasks[group.task_id] = task
        by_node.update(dict.fromkeys(group.nodes, task))
        for before in group.upstream:
            # What set_upstream does, without its checks that all tasks are of one DAG: a sixth of the parse time.
            task.upstream_task_ids.add(tasks[before].task_id)
            tasks[before].downstream_task_ids.add(task.task_id)
    return NodeTasks(
        by_node,
        roots=[tasks[group.task_id] for group in plan.groups if not group.upstream],
        leaves=[task for task in tasks.values() if not task.downstream_task_ids],
    )


def follow_skipped(task: BaseOperator, group: NodeGroup) -> None:
    """Let a task decide for itself, when it runs, whether it follows a skipped one; see :mod:`.operators.only_nodes`.

    A rule of its author's, other than Airflow's default one, stays.
    """
    follows = bool(group.upstream) and task.trigger_rule == "all_success"
    vars(task)["follows_skipped"] = follows
    if follows:
        vars(task)["trigger_rule"] = type(task.trigger_rule)("none_failed")


def check_selectors(arguments: NodeArguments, manifest: Manifest) -> None:
    """Check that each selector means something in the project.

    :raises ConfigError: no pipeline has a node or tag of that name; the message has the closest one.
    """
    if not arguments:
        return
    nodes = [node for pipeline in manifest.pipelines.values() for node in pipeline.nodes]
    known = {
        DEFAULT,
        *(tag for node in nodes for tag in node.tags),
        *(name for node in nodes for name in node_names(node.name)),
    }
    for selector in arguments:
        if selector not in known and PerNode({selector: {}}).find(known, ()) is None:
            raise ConfigError(f"node_arguments: no node or tag is named {selector!r}.", did_you_mean(selector, known))


def _from_settings(airflow: Mapping[str, Any]) -> dict[str, Any]:
    return {name: timedelta(seconds=value) if name in _SPANS else value for name, value in airflow.items()}


def _from_file(arguments: PerNode[Mapping[str, Any]] | None, group: NodeGroup) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if arguments is None:
        return found
    for node in group.nodes:
        found.update(arguments.find(node_names(node), group.tags) or {})
    return found


class _Places:
    """Where each task stands: its own id, and the task group of its namespace, made when it is first asked for."""

    def __init__(
        self, parent: TaskGroup, taken: Iterable[str], groups: Iterable[NodeGroup], labels: Mapping[str, str]
    ) -> None:
        self._task_groups: dict[tuple[str, ...], TaskGroup] = {(): parent}
        room = ID_LENGTH - len(parent.group_id or "")
        self._spots = {group.task_id: _within(room, *_spot(group, labels.get(group.task_id))) for group in groups}
        self._taken: set[tuple[tuple[str, ...], str]] = {((), name) for name in taken}
        for task_id, (path, label) in self._spots.items():
            self._spots[task_id] = (path, self._free(path, label))

    def find(self, group: NodeGroup) -> tuple[str, TaskGroup]:
        path, label = self._spots[group.task_id]
        return label, self._task_group(path)

    def _task_group(self, path: tuple[str, ...]) -> TaskGroup:
        if path not in self._task_groups:
            outer = self._task_group(path[:-1])
            label = self._free(path[:-1], path[-1])
            self._task_groups[path] = TaskGroup(label, parent_group=outer, dag=outer.dag)
        return self._task_groups[path]

    def _free(self, path: tuple[str, ...], label: str) -> str:
        """An id that nothing else there has: in Airflow, tasks and task groups share theirs."""
        while (path, label) in self._taken:
            label += "_"
        self._taken.add((path, label))
        return label


def _spot(group: NodeGroup, given: str | None) -> tuple[tuple[str, ...], str]:
    """The namespace that a group's task stands in, and its name there.

    :param given: the name, if somebody chose it.
    """
    namespace, name = group.namespace or "", group.name
    if f"{namespace}.".startswith(f"{name}."):  # the group is that namespace, or one around it
        namespace, _, name = name.rpartition(".")
    name = name.removeprefix(f"{namespace}.")
    path = tuple(_label(part, "namespace") for part in namespace.split(".")) if namespace else ()
    return path, given or _label(name, group.task_id)


def _within(room: int, path: tuple[str, ...], label: str) -> tuple[tuple[str, ...], str]:
    """Shorten a place that has too many signs: the innermost namespaces become a digest in the label."""
    if len(label) + sum(map(len, path)) + len(path) < room:
        return path, label
    marked = f"{label[:60]}_{digest(*path, label)[:8]}"
    while path and len(marked) + sum(map(len, path)) + len(path) >= room:
        path = path[:-1]
    return path, marked


def _label(name: str, otherwise: str) -> str:
    """Bring a name into the form that Airflow allows, and keep what it allows as it is."""
    if name.isidentifier() and name.isascii() and len(name) <= LABEL_LENGTH:  # as most are
        return name
    label = re.sub(r"[^A-Za-z0-9_-]+", "_", name).strip("_") or otherwise
    return label if len(label) <= LABEL_LENGTH else otherwise
