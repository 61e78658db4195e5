"""The settings of a container: from selectors, over nodes, to groups of nodes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import TypeVar

from airflow_provider_kedro_vertex.core.errors import ConfigError
from airflow_provider_kedro_vertex.core.plan.grouping import Group
from airflow_provider_kedro_vertex.core.plan.sharing import common_value, merge_node_settings
from airflow_provider_kedro_vertex.core.project.manifest import Node
from airflow_provider_kedro_vertex.core.settings.container import SEQUENTIAL
from airflow_provider_kedro_vertex.core.settings.filters import Selection
from airflow_provider_kedro_vertex.core.settings.nodes import (
    NO_RESOURCES,
    NO_SETTINGS,
    NodeSettings,
    Resources,
    RetryPolicy,
)
from airflow_provider_kedro_vertex.core.settings.quantities import accelerators
from airflow_provider_kedro_vertex.core.settings.run_config import RunConfig
from airflow_provider_kedro_vertex.core.settings.runtime_settings import RuntimeMlflow, RuntimeSettings
from airflow_provider_kedro_vertex.core.settings.sections import MergeableType, merge
from airflow_provider_kedro_vertex.core.settings.selectors import DEFAULT, node_names
from airflow_provider_kedro_vertex.core.text import json_argument

Entry = TypeVar("Entry")


@dataclass(frozen=True)
class ContainerSettings:
    """The settings of one container.

    :param image: the container image.
    :param resources: what the container asks for.
    :param settings: how the container runs.
    :param retry: how often Vertex AI tries it again; None for never.
    :param arguments: ``--settings`` with what the inside of the container must know; empty without any.
    """

    image: str
    resources: Resources
    settings: NodeSettings
    retry: RetryPolicy | None
    arguments: tuple[str, ...]


def required(value: str | None, key: str, what: str) -> str:
    """Give a setting of ``run_config`` that a run cannot do without.

    :param what: what it is, for the message.
    :raises ConfigError: it is not set.
    """
    if value:
        return value
    raise ConfigError(
        f"No {key} is set: {what}.",
        f"Set run_config.{key} in conf/base/vertexai.yml and write the manifest again, "
        f"or pass run_config={{'{key}': ...}}.",
    )


class GroupSettings:
    """The settings of each node, ready to be asked for many groups of them.

    :param nodes: what the positions of a group count.
    :param selection: the slice that is run, if it is one.
    """

    def __init__(self, config: RunConfig, nodes: Sequence[Node], selection: Selection | None = None) -> None:
        self._config = config
        self._nodes = nodes
        self._selection = selection
        said = config.resources or config.nodes or config.retry_policy
        called = [node_names(node.name) if said else () for node in nodes]
        self._resources = [config.resources_for(names, node.tags) for names, node in zip(called, nodes, strict=True)]
        self._settings = [config.settings_for(names, node.tags) for names, node in zip(called, nodes, strict=True)]
        self._retries = [config.retry_for(names, node.tags) for names, node in zip(called, nodes, strict=True)]
        # Thousands of groups have few different ones.
        self._settings_arguments: dict[tuple[object, ...], tuple[str, ...]] = {}

    def grouping_keys(self) -> list[str]:
        """For each node a text that is equal for nodes which may share a container without asking for more.

        A node that several machines run together shares its container with no other one.
        """
        texts: dict[tuple[int, int, int], str] = {}
        found = []
        for node, resources, settings, retry in zip(
            self._nodes, self._resources, self._settings, self._retries, strict=True
        ):
            key = (id(resources), id(settings), id(retry))
            if key not in texts:
                texts[key] = json.dumps(
                    [part and part.to_dict() for part in (resources, settings, retry)], sort_keys=True
                )
            found.append(f"{texts[key]} {node.name}" if settings.distributed else texts[key])
        return found

    def of(self, group: Group) -> ContainerSettings:
        """Bring together what is said for the nodes of a group and for the group itself.

        :raises ConfigError: it has no image, or its nodes ask for things that one container cannot give.
        """
        settings = self._shared(group, "nodes", self._settings, self._config.nodes, NO_SETTINGS)
        resources = self._shared(group, "resources", self._resources, self._config.resources, NO_RESOURCES)
        if resources.gpu and accelerators(resources.gpu) and not resources.accelerator_type:
            what = "Node" if len(group.nodes) == 1 else "Group"
            raise ConfigError(
                f"{what} {group.name!r} asks for {resources.gpu} gpu but names no accelerator_type.",
                "Set resources.<node>.accelerator_type, such as NVIDIA_TESLA_T4.",
            )
        image = settings.image or self._config.image
        return ContainerSettings(
            image=required(image, "image", "the container image that holds the Kedro project"),
            resources=resources,
            settings=settings,
            retry=self._retry(group),
            arguments=self._settings_argument(settings),
        )

    def _own(self, group: Group, entries: Mapping[str, Entry]) -> list[Entry]:
        """The settings of a group by its own name, the weakest first; a group without one is called like a node."""
        if not entries or group.name == DEFAULT or any(self._nodes[at].name == group.name for at in group.nodes):
            return []
        return [entries[name] for name in dict.fromkeys(node_names(group.name)) if name in entries]

    def _shared(
        self,
        group: Group,
        section: str,
        of_nodes: Sequence[MergeableType],
        entries: Mapping[str, MergeableType],
        none: MergeableType,
    ) -> MergeableType:
        own = self._own(group, entries)
        if len(group.nodes) == 1 and not own:
            return of_nodes[group.nodes[0]]
        said = [(self._nodes[at].name, of_nodes[at]) for at in group.nodes]
        return merge_node_settings(group.name, section, said, reduce(merge, own, none))

    def _retry(self, group: Group) -> RetryPolicy | None:
        own = self._own(group, self._config.retry_policy)
        said = [(self._nodes[at].name, retry) for at in group.nodes if (retry := self._retries[at]) is not None]
        return own[-1] if own else common_value(group.name, "retry_policy", said)

    def _settings_argument(self, settings: NodeSettings) -> tuple[str, ...]:
        """``--settings`` with what the inside of a container must know; nothing if there is nothing to know."""
        key = (settings.runner, settings.distributed, *settings.secret_env.items())
        if key not in self._settings_arguments:
            text = self._runtime_settings(settings).to_json()
            self._settings_arguments[key] = ("--settings", json_argument(text)) if text else ()
        return self._settings_arguments[key]

    def _runtime_settings(self, settings: NodeSettings) -> RuntimeSettings:
        config, mlflow = self._config, RuntimeMlflow()
        if config.mlflow or config.experiment_name:
            # With the selection, so that the containers can tell when all of the run is done.
            mlflow = RuntimeMlflow(config.mlflow.request_header_provider if config.mlflow else None, self._selection)
        return RuntimeSettings(
            runner=settings.runner or SEQUENTIAL,
            distributed=settings.distributed,
            secret_env=settings.secret_env,
            host_aliases=config.network.host_aliases if config.network else (),
            dynamic_config_providers=config.dynamic_config_providers,
            mlflow=mlflow,
            data_root=config.data_root,
            local_datasets=config.local_datasets if config.data_root else (),
            report_data=bool(config.lineage and config.lineage.report_data),
        )
