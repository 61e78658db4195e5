"""The plan: the node groups of one pipeline with their edges, image, resources and commands."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile

from airflow_provider_kedro_vertex.core.errors import ConfigError, PlanError, did_you_mean
from airflow_provider_kedro_vertex.core.plan.group_settings import ContainerSettings, GroupSettings, required
from airflow_provider_kedro_vertex.core.plan.grouping import Group, grouped
from airflow_provider_kedro_vertex.core.project.graph import Graph, dataset, graph_of
from airflow_provider_kedro_vertex.core.project.manifest import DEFAULT_PIPELINE, Manifest, Node
from airflow_provider_kedro_vertex.core.project.selection import in_order, named, pipeline_names, registered, select
from airflow_provider_kedro_vertex.core.settings.experiment import experiment_id, experiment_variables
from airflow_provider_kedro_vertex.core.settings.filters import Selection
from airflow_provider_kedro_vertex.core.settings.nodes import NodeSettings, Resources, RetryPolicy, Scheduling
from airflow_provider_kedro_vertex.core.settings.run_config import Grouping, RunConfig
from airflow_provider_kedro_vertex.core.text import readable_slug, slug

COMMAND = ("python", "-m", "airflow_provider_kedro_vertex.runtime", "run")

#: Keeps the names in a spec readable in the console and far below every limit of the API.
TASK_ID_LENGTH = 80

#: The task of the pipeline that runs last, and the task that it waits for, which holds all others.
EXIT_TASK_ID = "on-exit"
EXIT_HANDLER_ID = "exit-handler-1"


@dataclass(frozen=True)
class NodeGroup:
    """Nodes that run one after another in one container.

    :param name: what the user calls it: a node's name, a namespace, the rest of a tag.
    :param task_id: its name on Vertex AI: lower case letters, digits and dashes, unique in the plan.
    :param nodes: the names of its nodes, in order.
    :param upstream: the task ids that must succeed first, sorted.
    :param inputs: datasets that it takes from other groups, sorted.
    :param outputs: datasets that other groups take from it, sorted.
    :param image: the container image.
    :param resources: what the container asks for.
    :param settings: how the container runs.
    :param retry: how often Vertex AI tries it again; None for never.
    :param namespace: the namespace that all of its nodes are in, the deepest one; None if there is none.
    :param tags: the tags of its nodes, sorted.
    :param arguments: what follows :data:`COMMAND`, without ``--params`` and ``--context``.
    """

    name: str
    task_id: str
    nodes: tuple[str, ...]
    upstream: tuple[str, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    image: str
    resources: Resources
    settings: NodeSettings
    retry: RetryPolicy | None
    namespace: str | None
    tags: tuple[str, ...]
    arguments: tuple[str, ...]

    @property
    def replicas(self) -> int:
        """How many machines run it together."""
        return self.settings.replica_count or 1

    @property
    def worker_resources(self) -> Resources:
        """What each machine after the first one asks for."""
        own = self.settings.worker_resources
        return self.resources if own is None else own.merged_onto(self.resources)

    @property
    def needs_custom_job(self) -> bool:
        """It asks for what a CustomJob has, and a container of a PipelineJob has no field for."""
        settings, resources = self.settings, self.resources
        scheduling = settings.scheduling or Scheduling()
        asked = (
            # A container of a PipelineJob is "standard" too.
            scheduling.strategy not in (None, "standard"),
            *(scheduling.timeout, scheduling.restart_job_on_worker_restart, scheduling.disable_retries),
            *(settings.persistent_resource_id, settings.nfs_mounts, settings.lustre_mounts, settings.tensorboard),
            *(settings.enable_web_access, settings.enable_dashboard_access, self.replicas > 1),
            *(resources.machine_type, resources.gpu_partition_size, resources.tpu_topology, resources.disk),
            resources.reservation,
        )
        return any(asked)


@dataclass(frozen=True)
class Plan:
    """One pipeline, or a slice of it, ready to become jobs.

    :param name: the pipeline's name on Vertex AI: project and pipeline, lower case letters, digits and dashes.
    :param pipeline: Kedro's name of the pipeline; several have commas between them.
    :param root: ``gs://bucket/prefix``.
    :param groups: each after those that it depends on.
    :param exit_group: what runs last, whatever the outcome of the others; None if there is no such pipeline.
    :param shares_data: whether other jobs of the run make data for this one and take data from it.
    :param experiment: the id of the Vertex AI experiment of its runs; None if they have none.
    """

    name: str
    project: str
    pipeline: str
    env: str | None
    root: str
    config: RunConfig
    groups: tuple[NodeGroup, ...]
    exit_group: NodeGroup | None = None
    shares_data: bool = False
    experiment: str | None = None

    @property
    def experiment_variables(self) -> dict[str, str]:
        """The environment by which a container knows the experiment."""
        return experiment_variables(self.experiment, self.config.experiment_description)

    def only(self, task_ids: Collection[str]) -> Plan:
        """The plan of some of the groups: what the others make is taken as stored, by an earlier job of the same run.

        :raises PlanError: there is no group of that id, or none is given.
        """
        known = {group.task_id for group in self.groups}
        for task_id in sorted(set(task_ids) - known):
            raise PlanError(f"Plan {self.name!r} has no group {task_id!r}.", did_you_mean(task_id, known))
        if not task_ids:
            raise PlanError(f"No group of plan {self.name!r} is chosen, so nothing would run.", "Name at least one.")
        wanted = frozenset(task_ids)
        return replace(
            self,
            groups=tuple(
                replace(group, upstream=tuple(upstream for upstream in group.upstream if upstream in wanted))
                for group in self.groups
                if group.task_id in wanted
            ),
        )


def build_plan(
    manifest: Manifest,
    pipeline: str = DEFAULT_PIPELINE,
    config: RunConfig | None = None,
    selection: Selection | None = None,
    only_nodes: Collection[str] = (),
    *,
    shares_data: bool = False,
) -> Plan:
    """Plan a registered pipeline. Costs time linear in nodes and edges.

    :param pipeline: a registered pipeline, or several with commas between them.
    :param config: the settings to use; the manifest's own by default.
    :param selection: the slice to run; all of the pipeline by default.
    :param only_nodes: what to run of it, by names of nodes and tags; all of it by default. Unlike ``selection`` it
        leaves the groups as they are: those without such a node are left out, the others have fewer nodes.
    :param shares_data: other jobs of the run make data for this one and take data from it, also in memory.
    :raises PlanError: the pipeline or a name of the selection is unknown, nothing would run, the slice lacks data that
        a node outside of it makes in memory, groups depend on each other in a circle, or two names become the same on
        Vertex AI.
    :raises ConfigError: no ``image`` or no ``root`` is set, the nodes of a group ask for different things, or
        ``config`` has another ``data_root`` than the manifest.
    """
    config = config or manifest.config
    if (config.data_root, config.local_datasets) != (manifest.config.data_root, manifest.config.local_datasets):
        raise ConfigError(
            "data_root and local_datasets cannot be set for one run: the manifest says where the data lies.",
            "Set them in vertexai.yml, of a Kedro environment of its own if need be, and write the manifest again.",
        )
    whole = registered(manifest, pipeline)
    if not whole.nodes:
        raise PlanError(
            f"Pipeline {pipeline!r} of project {manifest.project.name!r} has no nodes, so nothing would run.",
            "Name a pipeline that has some.",
        )
    nodes = select(whole, selection) if selection else whole.nodes
    in_memory = _in_memory(manifest, whole.nodes)
    graph = planned = graph_of(nodes)
    part = selection if len(nodes) < len(whole.nodes) else None
    if only_nodes and len(chosen := named(nodes, only_nodes, pipeline)) < len(nodes):
        graph = graph_of(in_order(chosen))
        part = Selection(node_names=tuple(node.name for node in graph.nodes))
    if part and not shares_data:
        _refuse_missing_inputs(graph, whole.nodes, in_memory, pipeline)
    others = _others(manifest, whole.nodes, graph, in_memory) if shares_data else _outside(whole.nodes, graph)
    groups = _groups(planned, graph, manifest, pipeline, config, in_memory, part, others)
    exit_group = _exit_group(manifest, pipeline, config)
    if exit_group is not None:
        _task_ids([*(group.name for group in groups), EXIT_TASK_ID, EXIT_HANDLER_ID], "Groups")
    root = required(config.root, "root", "the Cloud Storage place where runs keep their data, gs://bucket/prefix")
    return Plan(
        name=_vertex_name(manifest, pipeline),
        project=manifest.project.name,
        pipeline=pipeline,
        env=manifest.env,
        root=root,
        config=config,
        groups=groups,
        exit_group=exit_group,
        shares_data=shares_data,
        experiment=experiment_of(manifest, config, pipeline),
    )


def experiment_of(manifest: Manifest, config: RunConfig, pipeline: str = DEFAULT_PIPELINE) -> str | None:
    """The id of the Vertex AI experiment of a pipeline's runs; None if no ``experiment_name`` is set.

    It is the same for all pipelines that are registered.
    """
    if not config.experiment_name:
        return None
    return experiment_id(
        config.experiment_name, {_vertex_name(manifest, name) for name in (*manifest.pipelines, pipeline)}
    )


def _vertex_name(manifest: Manifest, pipeline: str) -> str:
    """The name of a pipeline on Vertex AI."""
    return "-".join([slug(manifest.project.name), *([slug(pipeline)] if pipeline != DEFAULT_PIPELINE else [])])


def _in_memory(manifest: Manifest, nodes: Iterable[Node]) -> frozenset[str]:
    """The datasets that nodes make and that live in memory only, without transcoding."""
    stored = {dataset(name) for name, described in manifest.datasets.items() if described.scope != "memory"}
    return frozenset(name for node in nodes for name in map(dataset, node.outputs) if name not in stored)


def _refuse_missing_inputs(graph: Graph, whole: Iterable[Node], in_memory: Collection[str], pipeline: str) -> None:
    """Refuse a slice that needs data which only a node outside of it makes, and nobody keeps."""
    makers = {dataset(output): node.name for node in whole for output in node.outputs}
    for node in graph.nodes:
        for name in map(dataset, node.inputs):
            if name in in_memory and name not in graph.makers:
                raise PlanError(
                    f"Node {node.name!r} needs dataset {name!r}, which node {makers[name]!r} makes in memory and which "
                    f"is not part of this slice of pipeline {pipeline!r}.",
                    f"Declare {name!r} in the catalog with a place in shared storage, or select that node too.",
                )


@dataclass(frozen=True)
class _Others:
    """The datasets of a plan's nodes that concern nodes outside of the plan.

    :param free_inputs: made by nodes that are not of this run: the container takes what earlier runs left.
    :param shared_inputs: made by other jobs of this run.
    :param shared_outputs: taken by other jobs of this run, in other pipelines.
    """

    free_inputs: frozenset[str] = frozenset()
    shared_inputs: frozenset[str] = frozenset()
    shared_outputs: frozenset[str] = frozenset()

    def arguments(self, nodes: Iterable[Node]) -> list[str]:
        """The arguments of these nodes' container that name them."""
        if not (self.free_inputs or self.shared_inputs or self.shared_outputs):
            return []  # a whole pipeline with data of its own: the usual run, which may have thousands of groups
        inputs, outputs = zip(*((node.inputs, node.outputs) for node in nodes), strict=True)
        loaded, made = ({dataset(name) for names in each for name in names} for each in (inputs, outputs))
        options = {
            "--free-input": loaded & self.free_inputs,
            "--shared-input": loaded & self.shared_inputs,
            "--shared-output": made & self.shared_outputs,
        }
        return [argument for option, names in options.items() for name in sorted(names) for argument in (option, name)]


def _outside(whole: Iterable[Node], graph: Graph) -> _Others:
    """A run that has its data to itself: what the other nodes of the pipeline make is not of this run."""
    made = frozenset(dataset(output) for node in whole for output in node.outputs)
    return _Others(free_inputs=made - graph.makers.keys())


def _others(manifest: Manifest, whole: Iterable[Node], graph: Graph, in_memory: frozenset[str]) -> _Others:
    """A run that shares its data: any other node of the project may be part of it."""
    own = {node.name for node in whole}
    taken = {
        dataset(name)
        for pipeline in manifest.pipelines.values()
        for node in pipeline.nodes
        if node.name not in own  # what the others of its own pipeline take, the container knows
        for name in node.inputs
    }
    return _Others(shared_inputs=frozenset(makers(manifest)) - graph.makers.keys(), shared_outputs=in_memory & taken)


def makers(manifest: Manifest) -> dict[str, str]:
    """The datasets that nodes of any registered pipeline make, without transcoding, each with the name of a node."""
    nodes = (node for pipeline in manifest.pipelines.values() for node in pipeline.nodes)
    return {dataset(output): node.name for node in nodes for output in node.outputs}


def _groups(
    planned: Graph,
    graph: Graph,
    manifest: Manifest,
    pipeline: str,
    config: RunConfig,
    in_memory: Collection[str],
    part: Selection | None,
    others: _Others,
) -> tuple[NodeGroup, ...]:
    """Group the planned nodes, and describe the groups of those that are to run, which are all or some of them."""
    grouping = config.grouping or Grouping("none")
    if grouping.kind == "callable" and all(node.group is None for node in planned.nodes):
        raise PlanError(
            f"The manifest has no groups of {grouping.callable}, since the project's own function is called when the "
            "manifest is written.",
            "Set run_config.grouping in conf/base/vertexai.yml and write the manifest again.",
        )
    settings = GroupSettings(config, planned.nodes, part)
    keys = settings.grouping_keys() if grouping.kind == "auto" else ()
    groups = grouped(planned, grouping, pipeline, in_memory, keys)
    said = [settings.of(group) for group in groups]
    if graph is not planned:
        groups, said = _with_nodes_of(graph, planned, groups, said)
    task_ids = _task_ids([group.name for group in groups], "Nodes" if grouping.kind == "none" else "Groups")
    owner = {at: index for index, group in enumerate(groups) for at in group.nodes}
    command = _command(pipeline, manifest)
    found = []
    for index, group in enumerate(groups):
        members = [graph.nodes[at] for at in group.nodes]
        taken = {
            name
            for node in members
            for name in map(dataset, node.inputs)
            if name in graph.makers and owner[graph.makers[name]] != index
        }
        given_to = {consumer for at in group.nodes for consumer in graph.consumers[at] if owner[consumer] != index}
        made = {dataset(output) for node in members for output in node.outputs}
        given = {name for at in given_to for name in map(dataset, graph.nodes[at].inputs)} & made
        found.append(
            _node_group(
                group.name,
                members,
                said[index],
                command,
                task_id=task_ids[index],
                upstream=sorted({task_ids[owner[graph.makers[name]]] for name in taken}),
                inputs=sorted(taken),
                outputs=sorted(given),
                more=others.arguments(members),
            )
        )
    return tuple(found)


def _with_nodes_of(
    graph: Graph, planned: Graph, groups: Sequence[Group], said: Sequence[ContainerSettings]
) -> tuple[tuple[Group, ...], list[ContainerSettings]]:
    """Leave groups the nodes that are to run, and leave out those without one.

    :param graph: of the nodes to run, some of the planned ones.
    :param said: the settings of each group, which stay: the container is the one that was planned.
    """
    place = {node.name: at for at, node in enumerate(graph.nodes)}
    groups_left, said_left = [], []
    for group, settings in zip(groups, said, strict=True):
        names = [planned.nodes[at].name for at in group.nodes]
        nodes = sorted(place[name] for name in names if name in place)
        if nodes:
            groups_left.append(Group(group.name, tuple(nodes)))
            said_left.append(settings)
    return tuple(groups_left), said_left


def _exit_group(manifest: Manifest, pipeline: str, config: RunConfig) -> NodeGroup | None:
    name = config.on_exit_pipeline
    if not name or name == pipeline:
        return None
    nodes = manifest.pipeline(name).nodes
    if not nodes:
        raise PlanError(
            f"The on_exit_pipeline {name!r} of project {manifest.project.name!r} has no nodes.",
            "Give it some, or take on_exit_pipeline out of the settings.",
        )
    said = GroupSettings(config, nodes).of(Group(name, tuple(range(len(nodes)))))
    return _node_group(name, nodes, said, _command(name, manifest), task_id=EXIT_TASK_ID)


def _node_group(
    name: str,
    nodes: Sequence[Node],
    said: ContainerSettings,
    command: Iterable[str],
    *,
    task_id: str,
    upstream: Iterable[str] = (),
    inputs: Iterable[str] = (),
    outputs: Iterable[str] = (),
    more: Iterable[str] = (),
) -> NodeGroup:
    return NodeGroup(
        name=name,
        task_id=task_id,
        nodes=tuple(node.name for node in nodes),
        upstream=tuple(upstream),
        inputs=tuple(inputs),
        outputs=tuple(outputs),
        image=said.image,
        resources=said.resources,
        settings=said.settings,
        retry=said.retry,
        namespace=_common_namespace([node.namespace for node in nodes]),
        tags=tuple(sorted({tag for node in nodes for tag in node.tags})),
        arguments=(
            *command,
            *(argument for node in nodes for argument in ("--node", node.name)),
            *more,
            *said.arguments,
        ),
    )


def _command(pipeline: str, manifest: Manifest) -> tuple[str, ...]:
    """The part that is the same in each of a pipeline's commands."""
    names = (argument for name in pipeline_names(manifest, pipeline) for argument in ("--pipeline", name))
    return (*names, *(("--env", manifest.env) if manifest.env is not None else ()))


def _task_ids(names: Sequence[str], what: str) -> list[str]:
    """Name groups on Vertex AI.

    :raises PlanError: two groups would get the same name.
    """
    owner: dict[str, str] = {}
    found = []
    for name in names:
        task_id = readable_slug(name)
        if len(task_id) > TASK_ID_LENGTH:
            digest = hashlib.sha256(name.encode()).hexdigest()[:8]
            task_id = f"{task_id[: TASK_ID_LENGTH - 9].strip('-')}-{digest}"
        if task_id in owner:
            raise PlanError(
                f"{what} {owner[task_id]!r} and {name!r} would both be named {task_id!r} on Vertex AI.",
                "Rename one of them.",
            )
        owner[task_id] = name
        found.append(task_id)
    return found


def _common_namespace(namespaces: Sequence[str | None]) -> str | None:
    parts = [namespace.split(".") if namespace else [] for namespace in namespaces]
    common = takewhile(lambda level: len(set(level)) == 1, zip(*parts, strict=False))
    return ".".join(level[0] for level in common) or None
