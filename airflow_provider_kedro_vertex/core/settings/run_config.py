"""The settings of a run: ``run_config`` of ``vertexai.yml``, with the project and the region.

Field names, where they are not kedro-vertexai's, are those of the Vertex AI API v1 (PipelineJob).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from airflow_provider_kedro_vertex.core.settings.container import HostAlias, Provider
from airflow_provider_kedro_vertex.core.settings.data_root import data_root
from airflow_provider_kedro_vertex.core.settings.nodes import (
    NO_RESOURCES,
    NO_SETTINGS,
    NodeSettings,
    Resources,
    RetryPolicy,
)
from airflow_provider_kedro_vertex.core.settings.quantities import storage_root
from airflow_provider_kedro_vertex.core.settings.readers import (
    boolean,
    converted,
    function_name,
    integer,
    json_number,
    json_value,
    matching,
    one_of,
    repository_url,
    string,
)
from airflow_provider_kedro_vertex.core.settings.sections import (
    REQUIRED,
    Mergeable,
    Section,
    field,
    invalid,
    mapping,
    sequence,
)
from airflow_provider_kedro_vertex.core.settings.selectors import PerNode

GROUPINGS = ("none", "namespace", "tag", "memory", "pipeline", "auto", "callable")


@dataclass(frozen=True)
class DnsPeering(Section):
    """A DNS domain that is looked up in a network of one's own."""

    domain: str = field(string, "The domain, with a dot at its end.", REQUIRED)
    target_project: str = field(string, "The network's project.", REQUIRED)
    target_network: str = field(string, "The network's name.", REQUIRED)


@dataclass(frozen=True)
class PscInterface(Section):
    """A Private Service Connect interface."""

    network_attachment: str = field(
        string, "Name, or `projects/PROJECT/regions/REGION/networkAttachments/NAME`.", REQUIRED
    )
    dns_peering: tuple[DnsPeering, ...] = sequence(
        DnsPeering, "Domains of the network; the successor of `host_aliases`."
    )


@dataclass(frozen=True)
class Network(Mergeable):
    """How the containers reach private services."""

    vpc: str | None = field(
        string, "A peered network: `projects/NUMBER/global/networks/NAME`. Not with `psc_interface`."
    )
    host_aliases: tuple[HostAlias, ...] = sequence(HostAlias, "Names of hosts and their addresses.")
    reserved_ip_ranges: tuple[str, ...] = sequence(
        string, "Names of the address ranges under the peered network that machines may use."
    )
    psc_interface: PscInterface | None = field(PscInterface, "An interface into one's own network, without peering.")


@dataclass(frozen=True)
class Grouping(Section):
    """Which nodes share a container. The kind alone may stand in its place: `grouping: namespace`."""

    kind: str = field(
        one_of(*GROUPINGS),
        "`none` (a container for each node), `namespace`, `tag`, `memory` (nodes that hand on data which is not in the "
        "catalog), `pipeline` (one container), `auto` or `callable`.",
        "none",
    )
    depth: int | None = field(integer(1), "With `namespace`: how many parts of it make a group; 1 by default.")
    tag_prefix: tuple[str, ...] = sequence(
        string, "With `tag`: how a tag starts that names a group; `group.` and `group:` by default."
    )
    callable: str | None = field(function_name, "With `callable`: a function, as `package.module:function`.")
    params: Mapping[str, Any] = mapping(json_value, "With `callable`: its keyword arguments.")

    @classmethod
    def read(cls, value: Any) -> Grouping:
        """Read a grouping, or its kind alone.

        :raises SettingsError: as any section, or ``callable`` and its kind are not given together.
        """
        grouping = super().read({"kind": value} if isinstance(value, str) else value)
        if (grouping.kind == "callable") != (grouping.callable is not None):
            raise invalid("must have kind: callable and callable: package.module:function together.")
        return grouping


@dataclass(frozen=True)
class PersistentResource(Mergeable):
    """A persistent resource for the tasks of a PipelineJob (Vertex AI's API v1beta1)."""

    name: str | None = field(string, "`projects/PROJECT/locations/REGION/persistentResources/NAME`.")
    wait_ms: int | None = field(integer(0), "Milliseconds that a task waits for room.")
    on_unavailable: str | None = field(
        one_of("fail", "fall_back_to_on_demand"), "Then `fail` or `fall_back_to_on_demand`."
    )


@dataclass(frozen=True)
class Mlflow(Mergeable):
    """MLflow in the containers."""

    request_header_provider: Provider | None = field(
        Provider, "Makes the headers of the requests to the tracking server."
    )
    tracking_uri: str | None = field(
        string,
        "Where the project's `mlflow.yml` says that runs are tracked, without user and password, for the checks.",
        inspected=True,
    )


@dataclass(frozen=True)
class Lineage(Mergeable):
    """What OpenLineage's events tell beyond the names of the datasets."""

    report_data: bool | None = field(
        boolean,
        "Whether each container writes into its log the columns, their types and the number of rows of what it saved. "
        "Off by default.",
    )
    repository: str | None = field(
        repository_url, "Web address of the project's Git repository, `https://github.com/org/project`."
    )


@dataclass(frozen=True)
class Schedule(Section):
    """When a pipeline runs: a DAG whose file gives no `schedule` runs so."""

    cron_expression: str = field(string, "Cron with five fields.", "0 * * * *")
    timezone: str = field(string, "Time zone of the cron expression.", "Etc/UTC")
    start_time: str | None = field(string, "First moment, ISO 8601.")
    end_time: str | None = field(string, "Last moment, ISO 8601.")
    max_run_count: int | None = field(integer(1), "Airflow has no such limit: use `end_time`. A warning says so.")
    max_concurrent_run_count: int = field(integer(1), "Runs side by side at most.", 1)
    allow_queueing: bool = field(boolean, "Airflow always queues what may not start yet. A warning says so.", False)


@dataclass(frozen=True)
class FormField(Mergeable):
    """The field of a parameter in Airflow's trigger form, in the words of JSON Schema."""

    title: str | None = field(string, "What stands beside the field; the parameter's name if not set.")
    description: str | None = field(string, "A text below the field.")
    type: str | None = field(
        one_of("string", "integer", "number", "boolean", "array", "object"),
        "For a parameter without a value of its own: what it takes.",
    )
    enum: tuple[Any, ...] = sequence(json_value, "The values that it takes, as a menu.")
    minimum: float | None = field(json_number, "The least number.")
    maximum: float | None = field(json_number, "The greatest number.")
    format: str | None = field(
        one_of("date", "date-time", "time", "multiline"),
        "Of a text: `date`, `date-time` and `time` give a picker, `multiline` several lines.",
    )


@dataclass(frozen=True)
class RunConfig(Mergeable):
    """How a run goes."""

    project_id: str | None = field(string, "Google Cloud project; the Airflow connection's if not set.")
    region: str | None = field(string, "Vertex AI location, such as `europe-west1`.")
    image: str | None = field(string, "Container image of the nodes, which holds the Kedro project.")
    root: str | None = field(
        converted(storage_root), "Cloud Storage place for what a run stores: `bucket/prefix`, with or without `gs://`."
    )
    data_root: str | None = field(
        converted(data_root),
        "Cloud Storage place of the catalog's data, `gs://bucket/prefix`: on Vertex AI each dataset with a relative "
        "path lies below it. It may have `${airflow:key}`. See [Data](data.md#a-catalog-with-local-paths).",
    )
    local_datasets: tuple[str, ...] = sequence(
        string,
        "Datasets, by name or pattern (`lookup_*`), that `data_root` leaves where they are: their files are in the "
        "image.",
    )
    description: str | None = field(string, "Description of the pipeline.")
    experiment_name: str | None = field(
        string,
        "The Vertex AI experiment of the runs, made if it is not there: see [Experiments](experiments.md). Also a "
        "label of each job, and the first words of its display name.",
    )
    kedro_viz_url: str | None = field(
        matching(r"https?://\S+", "https://viz.example.com"),
        "Where the project's Kedro-Viz is published: `https://..`. Airflow links to it.",
    )
    experiment_description: str | None = field(string, "Description of the experiment, for when it is made.")
    scheduled_run_name: str | None = field(string, "Template of a job's display name.")
    job_id_prefix: str | None = field(string, "First part of job ids, so that they can be told apart.")
    service_account: str | None = field(string, "Whom the nodes run as; Vertex AI's default account if not set.")
    labels: Mapping[str, str] = mapping(string, "Labels of each job.")
    resources: Mapping[str, Resources] = mapping(
        Resources,
        "Selector to what its nodes ask for. Where a file has no entry `__default__`, that is kedro-vertexai's "
        "`{cpu: 500m, memory: 1024Mi}`; `__default__: {}` leaves it to Vertex AI.",
    )
    nodes: Mapping[str, NodeSettings] = mapping(NodeSettings, "Selector to how its nodes run.")
    retry_policy: Mapping[str, RetryPolicy] = mapping(RetryPolicy, "Selector to how often its nodes are tried again.")
    failure_policy: str | None = field(
        one_of("slow", "fast"), "After a failed node: `slow` still runs what does not depend on it, `fast` stops."
    )
    grouping: Grouping | None = field(Grouping, "Which nodes share a container.")
    network: Network | None = field(Network, "Private networks.")
    encryption_spec_key_name: str | None = field(string, "Customer-managed key of the job and of what it makes.")
    preflight_validations: bool | None = field(
        boolean, "Whether Vertex AI checks the components before it makes the job."
    )
    persistent_resource: PersistentResource | None = field(PersistentResource, "A persistent resource for all tasks.")
    on_exit_pipeline: str | None = field(
        string,
        "Registered pipeline that runs last, whatever became of the others; it is not run after a cancellation.",
    )
    keep_intermediate: bool | None = field(boolean, "Whether stored intermediate data stays when the run is over.")
    ttl: int | None = field(
        integer(1),
        "Seconds after a run's end after which `KedroVertexCleanupOperator` may delete its intermediate data.",
    )
    dynamic_config_providers: tuple[Provider, ...] = sequence(
        Provider, "Write configuration, such as fresh credentials, in each container before Kedro reads it."
    )
    mlflow: Mlflow | None = field(Mlflow, "MLflow.")
    lineage: Lineage | None = field(Lineage, "OpenLineage: docs/openlineage.md.")
    schedules: Mapping[str, Schedule] = mapping(
        Schedule,
        "Registered pipeline to its schedule. Where none is named, `default_schedule` is that of `__default__`.",
    )
    form: Mapping[str, FormField] = mapping(
        FormField, "Parameter, by its dotted name, to its field in Airflow's trigger form: docs/parameters.md."
    )

    def overridden(self, overrides: Mapping[str, Any]) -> RunConfig:
        """Merge the settings of one run onto these: selector maps by selector and field; null keeps what is.

        :raises SettingsError: see :meth:`from_dict`.
        """
        return RunConfig.from_dict(overrides, "run_config").merged_onto(self)

    def resources_for(self, names: Iterable[str], tags: Iterable[str]) -> Resources:
        """Find what a node asks for; see :meth:`.PerNode.find`."""
        return self._resources.find(names, tags) or NO_RESOURCES

    def settings_for(self, names: Iterable[str], tags: Iterable[str]) -> NodeSettings:
        """Find how a node runs; see :meth:`.PerNode.find`."""
        return self._nodes.find(names, tags) or NO_SETTINGS

    def retry_for(self, names: Iterable[str], tags: Iterable[str]) -> RetryPolicy | None:
        """Find how often a node is tried again; None leaves it to Vertex AI's default, which is never."""
        return self._retry_policy.find(names, tags)

    @cached_property
    def _resources(self) -> PerNode[Resources]:
        return PerNode(self.resources)

    @cached_property
    def _nodes(self) -> PerNode[NodeSettings]:
        return PerNode(self.nodes)

    @cached_property
    def _retry_policy(self) -> PerNode[RetryPolicy]:
        return PerNode(self.retry_policy)
