"""The schema of ``vertexai.yml``: kedro-vertexai's configuration file (0.1.0 to 1.0.0) and the keys that are new here.

The classes name keys as the file does, and their descriptions are the configuration reference (docs/configuration.md).
Values are read by the readers of :mod:`.run_config`, so that the file and ``run_config=`` take the same ones.
What kedro-vertexai and kedro-kubeflow knew and nothing needs any more is accepted and :class:`Ignored`;
any further key is an error.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from airflow_provider_kedro_vertex.core.errors import ConfigError
from airflow_provider_kedro_vertex.core.settings import run_config as config
from airflow_provider_kedro_vertex.core.settings import sections
from airflow_provider_kedro_vertex.core.settings.quantities import (
    accelerators,
    cores,
    duration,
    gigabytes,
    storage_root,
)

#: kedro-vertexai 0.1 and 0.2 passed Kubernetes' own name through, and its documents still show it.
OLD_GPU = "nvidia.com/gpu"
#: The name of ``network`` in kedro-vertexai 0.1 and 0.2.
OLD_NETWORK = "vertex_ai_networking"
#: The one node selector that has a meaning on Vertex AI.
GKE_ACCELERATOR = "cloud.google.com/gke-accelerator"

#: kedro-vertexai's own groupers, and what they are called here.
GROUPERS = {
    "kedro_vertexai.grouping.IdentityNodeGrouper": "none",
    "kedro_vertexai.grouping.TagNodeGrouper": "tag",
}


@dataclass(frozen=True)
class Ignored:
    """Marks a key that is accepted and changes nothing; ``why`` ends the sentence "... is ignored: ..."."""

    why: str


def _by(read: sections.Reader) -> BeforeValidator:
    """Check a value with a reader of the core, whose message follows the key."""

    def check(value: Any) -> Any:
        try:
            return None if value is None else read(value, "it")
        except ConfigError as error:
            raise ValueError(str(error).removeprefix("it ")) from None

    return BeforeValidator(check)


def _names(check: Callable[[str, str], None]) -> BeforeValidator:
    """Check the names of a mapping with a function of the core."""

    def read(value: Any, where: str) -> Any:
        for name in value if isinstance(value, Mapping) else ():
            check(str(name), where)
        return value

    return _by(read)


def _is_null(value: Any) -> bool:
    return value is None or (isinstance(value, str) and value in ("none", "None"))


def _empty_for_null(value: Any) -> Any:
    return {} if _is_null(value) else value


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


Text = Annotated[str | None, _by(sections.text)]
RequiredText = Annotated[str, _by(sections.text)]
IpAddress = Annotated[str, _by(sections.checked(config.ip_address))]
Flag = Annotated[bool | None, _by(sections.boolean)]
Count = Annotated[int | None, _by(sections.whole(1))]
Duration = Annotated[str | None, _by(sections.changed(duration))]
Texts = Annotated[list[RequiredText], BeforeValidator(_listed)]
Json = Annotated[Any, _by(sections.json_value)]


class Section(BaseModel):
    """One mapping of the file: unknown keys are errors; null, and kedro-vertexai's word ``none``, mean: not said."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _without_null(cls, value: Any) -> Any:
        if isinstance(value, Mapping):
            return {key: item for key, item in value.items() if key not in cls.model_fields or not _is_null(item)}
        return value


def _field(default: Any, description: str, **arguments: Any) -> Any:
    return Field(default=default, description=description, **arguments)


def _mapping(description: str) -> Any:
    return Field(default_factory=dict, description=description)


def _list(description: str) -> Any:
    return Field(default_factory=list, description=description)


def _one_of(*words: str) -> BeforeValidator:
    return _by(sections.one_of(*words))


class DiskSection(Section):
    """The boot disk of the node's machine. CustomJob mode."""

    boot_disk_type: Text = _field(None, "`pd-ssd` (the default), `pd-standard`, `hyperdisk-balanced`.")
    boot_disk_size_gb: Annotated[int | None, _by(sections.whole(100))] = _field(None, "Gigabytes, at least 100.")


class ReservationSection(Section):
    """The Compute Engine reservation that the node's machine uses up. CustomJob mode."""

    type: Annotated[str, _one_of("NO_RESERVATION", "ANY_RESERVATION", "SPECIFIC_RESERVATION")] = Field(
        description="`NO_RESERVATION`, `ANY_RESERVATION` or `SPECIFIC_RESERVATION`."
    )
    key: Text = _field(None, "With a specific one: the label that names it, `compute.googleapis.com/reservation-name`.")
    values: Texts = _list("With a specific one: `projects/PROJECT/zones/ZONE/reservations/NAME`.")


class ResourcesSection(Section):
    """What a node asks for."""

    cpu: Annotated[str | None, _by(sections.checked(cores))] = _field(None, "Cores: `2`, `500m`.")
    memory: Annotated[str | None, _by(sections.checked(gigabytes))] = _field(None, "Memory: `4Gi`, `512Mi`, `4G`.")
    gpu: Annotated[str | None, _by(sections.checked(accelerators))] = _field(
        None,
        f"Number of accelerators. `{OLD_GPU}`, kedro-vertexai's old name, is read too.",
        validation_alias=AliasChoices("gpu", OLD_GPU),
    )
    accelerator_type: Text = _field(None, "Vertex AI's name of the accelerator: `NVIDIA_TESLA_T4`.")
    machine_type: Text = _field(
        None, "A machine type by name, such as `n1-highmem-8`, in place of the smallest that fits. CustomJob mode."
    )
    gpu_partition_size: Text = _field(None, "A part of one GPU, such as `1g.10gb`. CustomJob mode.")
    tpu_topology: Text = _field(None, "Topology of the TPU, such as `2x2x1`. CustomJob mode.")
    disk: DiskSection | None = _field(None, "Boot disk.")
    reservation: ReservationSection | None = _field(None, "Reservation.")


class SchedulingSection(Section):
    """When, and on what kind of machine, a node runs. CustomJob mode."""

    timeout: Duration = _field(None, "How long the node may run: `90s`, `30m`, `2h`. Vertex AI's default is 7 days.")
    strategy: Annotated[str | None, _one_of("standard", "spot", "flex_start")] = _field(
        None, "`standard`, `spot` (cheaper, and may be taken away) or `flex_start` (waits for a machine)."
    )
    restart_job_on_worker_restart: Flag = _field(None, "Whether a lost machine starts the job anew.")
    disable_retries: Flag = _field(None, "Whether Vertex AI does without its own retries after internal errors.")
    max_wait_duration: Duration = _field(None, "How long `flex_start` waits; `0s` is for ever, the default 24 h.")


class NfsMountSection(Section):
    """A network file system."""

    server: RequiredText = Field(description="Address of the server.")
    path: RequiredText = Field(description="What is mounted.")
    mount_point: RequiredText = Field(description="It appears at `/mnt/nfs/<mount_point>`.")


class LustreMountSection(Section):
    """A Lustre file system."""

    instance_ip: IpAddress = Field(description="Address of the instance.")
    volume_handle: RequiredText = Field(description="Its unique id.")
    filesystem: RequiredText = Field(description="Its file system's name.")
    mount_point: RequiredText = Field(description="It appears at `/mnt/lustre/<mount_point>`.")


class NodeSettingsSection(Section):
    """How a node runs."""

    image: Text = _field(None, "A container image of its own.")
    env: Annotated[dict[str, RequiredText], _names(config.environment_variable)] = _mapping(
        "Environment variables of the container. No secrets: see `secret_env`."
    )
    secret_env: Annotated[
        dict[str, Annotated[str, _by(sections.changed(config.secret_version))]], _names(config.environment_variable)
    ] = _mapping(
        "Environment variables that the container reads from Secret Manager when it starts: name to "
        "`projects/PROJECT/secrets/NAME/versions/VERSION`."
    )
    scheduling: SchedulingSection | None = _field(None, "Timeout, Spot and waiting.")
    persistent_resource_id: Text = _field(None, "The persistent resource to run on. CustomJob mode.")
    nfs_mounts: list[NfsMountSection] = _list("Network file systems. CustomJob mode.")
    lustre_mounts: list[LustreMountSection] = _list("Lustre file systems. CustomJob mode.")
    tensorboard: Text = _field(None, "Resource name of a TensorBoard for the node's logs. CustomJob mode.")
    enable_web_access: Flag = _field(None, "Whether one may open a shell in the container. CustomJob mode.")
    enable_dashboard_access: Flag = _field(None, "Whether one may open its dashboard. CustomJob mode.")
    replica_count: Count = _field(None, "Machines in the node's worker pool. CustomJob mode.")
    caching: Flag = _field(
        None,
        "Whether Vertex AI may skip the node when an earlier run had the same command. Off by default: nodes read and "
        "write data that Vertex AI does not see. PipelineJob mode.",
    )
    cache_key: Text = _field(None, "Stands for the command in that comparison. PipelineJob mode.")
    runner: Annotated[str | None, _one_of("sequential", "thread")] = _field(
        None, "Kedro's runner inside the container: `sequential` (the default) or `thread`."
    )
    airflow: Annotated[dict[str, Json], _names(config.airflow_argument)] = _mapping(
        f"Arguments of the node's Airflow task: {', '.join(f'`{name}`' for name in config.AIRFLOW_ARGUMENTS)}. "
        "Delays and timeouts are seconds."
    )


class RetryPolicySection(Section):
    """How often Vertex AI tries a node again. kedro-kubeflow's keys. The most exact selector's entry counts alone."""

    num_retries: Annotated[int, _by(sections.whole(0))] = Field(description="Tries after the first one.")
    backoff_duration: Duration = _field(None, "Pause before the first of them; `60s` by default.")
    backoff_factor: Annotated[float | None, _by(sections.number(1))] = _field(
        None, "By what the pause grows; 2 by default."
    )
    backoff_max_duration: Duration = _field(None, "What it grows to at most; `1h` by default, Vertex AI's own limit.")


class HostAliasSection(Section):
    """Names that the containers find at an address. It needs a container that runs as root."""

    ip: IpAddress = Field(description="The address.")
    hostnames: Texts = Field(description="Its names; one may be written without a list.")


class DnsPeeringSection(Section):
    """A DNS domain that is looked up in a network of one's own."""

    domain: RequiredText = Field(description="The domain, with a dot at its end.")
    target_project: RequiredText = Field(description="The network's project.")
    target_network: RequiredText = Field(description="The network's name.")


class PscInterfaceSection(Section):
    """A Private Service Connect interface."""

    network_attachment: RequiredText = Field(
        description="Name, or `projects/PROJECT/regions/REGION/networkAttachments/NAME`."
    )
    dns_peering: list[DnsPeeringSection] = _list("Domains of the network; the successor of `host_aliases`.")


class NetworkSection(Section):
    """How the containers reach private services."""

    vpc: Text = _field(None, "A peered network: `projects/NUMBER/global/networks/NAME`. Not with `psc_interface`.")
    host_aliases: list[HostAliasSection] = _list("Lines of `/etc/hosts`.")
    reserved_ip_ranges: Texts = _list("Names of the address ranges under the peered network that machines may use.")
    psc_interface: PscInterfaceSection | None = _field(None, "An interface into one's own network, without peering.")


class GroupingSection(Section):
    """Which nodes share a container. The kind alone may stand in its place: `grouping: namespace`."""

    kind: Annotated[str | None, _one_of(*config.GROUPINGS)] = _field(
        None,
        "`none` (a container for each node, the default), `namespace`, `tag`, `memory` (nodes that hand on data which "
        "is not in the catalog), `pipeline` (one container), `auto` or `callable`.",
    )
    depth: Count = _field(None, "With `namespace`: how many parts of it make a group; 1 by default.")
    tag_prefix: Texts = _list("With `tag`: how a tag starts that names a group; `group.` and `group:` by default.")
    callable: Annotated[str | None, _by(sections.checked(config.function_name))] = _field(
        None, "With `callable`: a function, as `package.module:function`."
    )
    params: dict[str, Json] = _mapping("With `callable`: its keyword arguments. With kedro-vertexai's `cls`: its own.")
    cls: Text = _field(
        None, "kedro-vertexai's key: `kedro_vertexai.grouping.IdentityNodeGrouper` or `...TagNodeGrouper`."
    )

    @model_validator(mode="after")
    def _one_way_to_say_it(self) -> GroupingSection:
        if self.cls is None:
            if (self.kind == "callable") != (self.callable is not None):
                raise ValueError("must have kind: callable and callable: package.module:function together.")
        elif self.kind is not None:
            raise ValueError("has both kind and kedro-vertexai's cls. Remove cls.")
        elif self.cls not in GROUPERS:
            raise ValueError(
                f"names the class {self.cls}, and classes of kedro-vertexai's interface are not run here. Write a "
                "function and name it: {kind: callable, callable: package.module:function}."
            )
        elif isinstance(self.params.get("tag_prefix"), bool | list | dict):
            raise ValueError("has params with a tag_prefix that is no string.")
        return self


class PersistentResourceSection(Section):
    """A persistent resource for the tasks of a PipelineJob (Vertex AI's API v1beta1)."""

    name: Text = _field(None, "`projects/PROJECT/locations/REGION/persistentResources/NAME`.")
    wait_ms: Annotated[int | None, _by(sections.whole(0))] = _field(None, "Milliseconds that a task waits for room.")
    on_unavailable: Annotated[str | None, _one_of("fail", "fall_back_to_on_demand")] = _field(
        None, "Then `fail` or `fall_back_to_on_demand`."
    )


class ProviderSection(Section):
    """A class that each container makes an object of."""

    cls: Annotated[str, _by(sections.checked(config.class_name))] = Field(
        description="The class, as `package.module.Class`."
    )
    params: dict[str, Json] = _mapping("Keyword arguments.")


class MlflowSection(Section):
    """MLflow in the containers."""

    request_header_provider: ProviderSection | None = _field(
        None, "Makes the headers of the requests to the tracking server."
    )
    request_header_provider_params: dict[str, Json] = _mapping(
        "kedro-vertexai's key: what a provider that the project's `settings.py` names finds in `self.params`."
    )


class ScheduleSection(Section):
    """When a pipeline runs. `kedro vertex schedule` writes a DAG file of it."""

    cron_expression: Text = _field(None, "Cron with five fields; `0 * * * *` by default.")
    timezone: Text = _field(None, "Time zone of the cron expression; `Etc/UTC` by default.")
    start_time: Text = _field(None, "First moment, ISO 8601.")
    end_time: Text = _field(None, "Last moment, ISO 8601.")
    max_run_count: Count = _field(None, "Airflow has no such limit: use `end_time`. A warning says so.")
    max_concurrent_run_count: Count = _field(None, "Runs side by side at most; 1 by default.")
    allow_queueing: Flag = _field(None, "Airflow always queues what may not start yet.")


def _each(section: Any) -> Any:
    """The type of a mapping of names to sections, any of which may be null."""
    return dict[str, Annotated[section, BeforeValidator(_empty_for_null)]]


class RunConfigSection(Section):
    """How a run goes."""

    image: Text = _field(None, "Container image of the nodes, which holds the Kedro project.")
    root: Annotated[str | None, _by(sections.changed(storage_root))] = _field(
        None, "Cloud Storage place for what a run stores: `bucket/prefix`, with or without `gs://`."
    )
    description: Text = _field(None, "Description of the pipeline.")
    experiment_name: Text = _field(None, "Becomes a label of each job and the first words of its display name.")
    experiment_description: Text = _field(None, "Describes the Vertex AI experiment.")
    scheduled_run_name: Text = _field(None, "Template of a job's display name.")
    job_id_prefix: Text = _field(None, "First part of job ids, so that they can be told apart.")
    service_account: Text = _field(None, "Whom the nodes run as; Vertex AI's default account if not set.")
    labels: dict[str, RequiredText] = _mapping("Labels of each job.")
    resources: _each(ResourcesSection) = _mapping(  # type: ignore[valid-type]
        "Selector to what its nodes ask for. Without an entry `__default__` it is kedro-vertexai's "
        "`{cpu: 500m, memory: 1024Mi}`; `__default__: {}` leaves it to Vertex AI."
    )
    nodes: _each(NodeSettingsSection) = _mapping("Selector to how its nodes run.")  # type: ignore[valid-type]
    retry_policy: _each(RetryPolicySection) = _mapping(  # type: ignore[valid-type]
        "Selector to how often its nodes are tried again."
    )
    node_selectors: _each(dict[str, Text]) = _mapping(  # type: ignore[valid-type]
        f"kedro-vertexai's key: `{GKE_ACCELERATOR}` sets `resources.<selector>.accelerator_type`."
    )
    failure_policy: Annotated[str | None, _one_of("slow", "fast")] = _field(
        None, "After a failed node: `slow` still runs what does not depend on it, `fast` stops."
    )
    grouping: Annotated[
        GroupingSection | None, BeforeValidator(lambda value: {"kind": value} if isinstance(value, str) else value)
    ] = _field(None, "Which nodes share a container.")
    network: NetworkSection | None = _field(
        None, "Private networks.", validation_alias=AliasChoices("network", OLD_NETWORK)
    )
    encryption_spec_key_name: Text = _field(None, "Customer-managed key of the job and of what it makes.")
    preflight_validations: Flag = _field(None, "Whether Vertex AI checks the components before it makes the job.")
    persistent_resource: PersistentResourceSection | None = _field(None, "A persistent resource for all tasks.")
    on_exit_pipeline: Text = _field(
        None, "Registered pipeline that runs last, whatever became of the others; it is not run after a cancellation."
    )
    keep_intermediate: Flag = _field(None, "Whether stored intermediate data stays when the run is over.")
    ttl: Count = _field(None, "Seconds after which a clean-up may delete a run's intermediate data and jobs.")
    dynamic_config_providers: list[ProviderSection] = _list(
        "Write configuration, such as fresh credentials, in each container before Kedro reads it."
    )
    mlflow: MlflowSection | None = _field(None, "MLflow.")
    schedules: _each(ScheduleSection) = _mapping(  # type: ignore[valid-type]
        "Registered pipeline to its schedule; `default_schedule` is for those without one."
    )
    max_cache_staleness: Text = _field(
        None, "kedro-vertexai 0.1 and 0.2: `P0D` turns caching off, which it is here by default."
    )
    node_merge_strategy: Annotated[str | None, _one_of("full")] = _field(
        None, "kedro-vertexai 0.1 and 0.2: `full` means `grouping: pipeline`."
    )

    image_pull_policy: Annotated[Any, Ignored("Vertex AI pulls the image for each container")] = None
    store_kedro_outputs_as_kfp_artifacts: Annotated[
        Any, Ignored("data goes where the catalog says, and what is not in it below root")
    ] = None
    run_name: Annotated[Any, Ignored("set scheduled_run_name, or display_name of the operator")] = None
    volume: Annotated[Any, Ignored("nodes share no volume; intermediate data is stored below root")] = None
    wait_for_completion: Annotated[Any, Ignored("use run-once --wait, or wait_for_completion of the operator")] = None


class VertexAIFile(Section):
    """The whole file."""

    project_id: Text = _field(None, "Google Cloud project; the Airflow connection's if not set.")
    region: Text = _field(None, "Vertex AI location, such as `europe-west1`.")
    run_config: RunConfigSection = Field(default_factory=RunConfigSection, description="How a run goes.")

    host: Annotated[Any, Ignored("there is no server of one's own to name; project_id and region say where")] = None
