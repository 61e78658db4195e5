"""The plan: the node groups of one pipeline with their edges, image, resources and commands."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass

from airflow_provider_kedro_vertex.core.config import Resources, RunConfig
from airflow_provider_kedro_vertex.core.errors import ConfigError, PlanError
from airflow_provider_kedro_vertex.core.identity import slug
from airflow_provider_kedro_vertex.core.manifest import DEFAULT_PIPELINE, Manifest, Node

COMMAND = ("python", "-m", "airflow_provider_kedro_vertex.runtime", "run")

#: Keeps the names in a spec readable in the console and far below every limit of the API.
TASK_ID_LENGTH = 80


@dataclass(frozen=True)
class NodeGroup:
    """Nodes that run one after another in one container.

    :param name: Kedro's name for it: the node's own.
    :param task_id: its name on Vertex AI: lower case letters, digits and dashes, unique in the plan.
    :param nodes: the names of its nodes, in order.
    :param upstream: the task ids that must succeed first, sorted.
    :param inputs: datasets that it takes from other groups, sorted.
    :param outputs: datasets that other groups take from it, sorted.
    :param image: the container image.
    :param resources: what the container asks for.
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
    arguments: tuple[str, ...]


@dataclass(frozen=True)
class Plan:
    """One registered pipeline, ready to become a job.

    :param name: the pipeline's name on Vertex AI: project and pipeline, lower case letters, digits and dashes.
    :param pipeline: Kedro's name of the pipeline.
    :param root: ``gs://bucket/prefix``.
    """

    name: str
    project: str
    pipeline: str
    env: str | None
    root: str
    config: RunConfig
    groups: tuple[NodeGroup, ...]


def build_plan(manifest: Manifest, pipeline: str = DEFAULT_PIPELINE, config: RunConfig | None = None) -> Plan:
    """Plan a registered pipeline, one group for each node. Costs time linear in nodes and edges.

    :param config: the settings to use; the manifest's own by default.
    :raises PlanError: the pipeline is unknown or empty, or two names become the same on Vertex AI.
    :raises ConfigError: no ``image`` or no ``root`` is set.
    """
    config = config or manifest.config
    nodes = manifest.pipeline(pipeline).nodes
    if not nodes:
        raise PlanError(
            f"Pipeline {pipeline!r} of project {manifest.project.name!r} has no nodes, so nothing would run."
        )
    image = _required(config.image, "image", "the container image that holds the Kedro project")
    root = _required(config.root, "root", "the Cloud Storage place where runs keep their data, gs://bucket/prefix")

    task_ids = _task_ids(nodes)
    producer = {_dataset(output): node.name for node in nodes for output in node.outputs}
    consumed = {_dataset(name) for node in nodes for name in node.inputs}
    groups = []
    for node in nodes:
        inputs = sorted({dataset for name in node.inputs if (dataset := _dataset(name)) in producer})
        groups.append(
            NodeGroup(
                name=node.name,
                task_id=task_ids[node.name],
                nodes=(node.name,),
                upstream=tuple(sorted({task_ids[producer[dataset]] for dataset in inputs})),
                inputs=tuple(inputs),
                outputs=tuple(sorted({_dataset(output) for output in node.outputs} & consumed)),
                image=image,
                resources=_resources(config, node, task_ids[node.name]),
                arguments=_arguments(pipeline, manifest.env, [node.name]),
            )
        )
    return Plan(
        name="-".join([slug(manifest.project.name), *([slug(pipeline)] if pipeline != DEFAULT_PIPELINE else [])]),
        project=manifest.project.name,
        pipeline=pipeline,
        env=manifest.env,
        root=root,
        config=config,
        groups=tuple(groups),
    )


def _required(value: str | None, key: str, what: str) -> str:
    if value:
        return value
    raise ConfigError(
        f"No {key} is set: {what}. Set run_config.{key} in conf/base/vertexai.yml and write the manifest again, "
        f"or pass run_config={{'{key}': ...}}."
    )


def _arguments(pipeline: str, env: str | None, nodes: Iterable[str]) -> tuple[str, ...]:
    arguments = ["--pipeline", pipeline]
    if env is not None:
        arguments += ["--env", env]
    for node in nodes:
        arguments += ["--node", node]
    return tuple(arguments)


def _dataset(name: str) -> str:
    """A dataset's name without its transcoding: ``table@pandas`` and ``table@spark`` are the same data."""
    return name.partition("@")[0]


def _task_ids(nodes: Iterable[Node]) -> dict[str, str]:
    """Name each node on Vertex AI.

    :raises PlanError: two nodes would get the same name.
    """
    owner: dict[str, str] = {}
    for node in nodes:
        task_id = slug(node.name)
        if len(task_id) > TASK_ID_LENGTH:
            digest = hashlib.sha256(node.name.encode()).hexdigest()[:8]
            task_id = f"{task_id[: TASK_ID_LENGTH - 9].strip('-')}-{digest}"
        other = owner.setdefault(task_id, node.name)
        if other != node.name:
            raise PlanError(
                f"Nodes {other!r} and {node.name!r} would both be named {task_id!r} on Vertex AI. Rename one of them."
            )
    return {name: task_id for task_id, name in owner.items()}


def _resources(config: RunConfig, node: Node, task_id: str) -> Resources:
    # kedro-vertexai looked a node up by its cleaned name, its documents wrote the raw one: all work, raw wins.
    cleaned = re.sub(r"[\W_]+", "-", node.name).strip("-")
    wanted = config.resources_for([task_id, cleaned, node.name], frozenset(node.tags))
    if wanted.gpu not in (None, "0") and not wanted.accelerator_type:
        raise ConfigError(
            f"Node {node.name!r} asks for {wanted.gpu} gpu but names no accelerator_type. "
            "Set resources.<node>.accelerator_type, such as NVIDIA_TESLA_T4."
        )
    return wanted
