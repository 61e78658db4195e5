"""What the user asked for: the settings of a run, from ``vertexai.yml`` and from ``run_config=``.

The Kedro side checks the file with its own schema and names keys as the file does; here the same settings are plain
frozen dataclasses that travel in the manifest and can be overridden for one run. Field names, where they are not
kedro-vertexai's, are those of the Vertex AI API v1 (CustomJobSpec, MachineSpec, Scheduling, PipelineJob).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, dataclass
from functools import cached_property
from typing import Any

from airflow_provider_kedro_vertex.core.errors import ConfigError, did_you_mean
from airflow_provider_kedro_vertex.core.settings.quantities import (
    accelerators,
    cores,
    duration,
    gigabytes,
    storage_root,
)
from airflow_provider_kedro_vertex.core.settings.sections import (
    Layer,
    Section,
    boolean,
    changed,
    checked,
    json_value,
    mapping,
    number,
    one_of,
    sequence,
    setting,
    text,
    whole,
)
from airflow_provider_kedro_vertex.core.settings.selectors import PerNode

GROUPINGS = ("none", "namespace", "tag", "memory", "pipeline", "auto", "callable")

#: What ``nodes.<selector>.airflow`` may set: arguments of Airflow's BaseOperator. Delays and timeouts are seconds.
AIRFLOW_ARGUMENTS = ("execution_timeout", "pool", "pool_slots", "priority_weight", "queue", "retries", "retry_delay",
                     "trigger_rule")  # fmt: skip

_SECRET = re.compile(r"(projects/[^/\s]+/secrets/[A-Za-z0-9_-]+)(/versions/[A-Za-z0-9_-]+)?")
_ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_FUNCTION = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")
_CLASS = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+")


def secret_version(said: str, where: str) -> str:
    """Bring the name of a secret into the form ``projects/p/secrets/s/versions/v``; ``latest`` if it has no version.

    :raises ConfigError: it is no such name, such as when the secret itself is written there.
    """
    match = _SECRET.fullmatch(said)
    if match is None:  # the value may be the secret itself, so it is not shown
        raise ConfigError(
            f"{where} must name a secret of Secret Manager, as projects/PROJECT/secrets/NAME/versions/VERSION, "
            "not hold a value."
        )
    return match[1] + (match[2] or "/versions/latest")


def _matching(pattern: re.Pattern[str], example: str) -> Callable[[str, str], None]:
    def check(said: str, where: str) -> None:
        if not pattern.fullmatch(said):
            raise ConfigError(f"{where} must be {example}, not {said!r:.80}.")

    return check


#: Check the dotted name of a function and of a class; :class:`.ConfigError` if it is none.
function_name = _matching(_FUNCTION, "a function, as package.module:function")
class_name = _matching(_CLASS, "a class, as package.module.Class")


def ip_address(said: str, where: str) -> None:
    """Check an IP address.

    :raises ConfigError: it is none.
    """
    import ipaddress  # costs as much as all of this module, and few have host aliases

    try:
        ipaddress.ip_address(said)
    except ValueError:
        raise ConfigError(f"{where} must be an IP address such as 10.0.0.7, not {said!r:.80}.") from None


def environment_variable(name: str, where: str) -> None:
    """Check the name of an environment variable.

    :raises ConfigError: it is none.
    """
    if not _ENV_NAME.fullmatch(name):
        raise ConfigError(
            f"{where} has {name!r:.80}, which is no name of an environment variable (letters, digits, underscores)."
        )


def airflow_argument(name: str, where: str) -> None:
    """Check a name against :data:`AIRFLOW_ARGUMENTS`.

    :raises ConfigError: it is none of them.
    """
    if name not in AIRFLOW_ARGUMENTS:
        raise ConfigError(f"{where} has no setting {name!r:.80}.{did_you_mean(name, AIRFLOW_ARGUMENTS)}")


@dataclass(frozen=True)
class Disk(Layer):
    """The boot disk of a node's machine (CustomJob mode).

    :param boot_disk_type: ``pd-ssd``, ``pd-standard`` or ``hyperdisk-balanced``.
    :param boot_disk_size_gb: at least 100.
    """

    boot_disk_type: str | None = setting(text)
    boot_disk_size_gb: int | None = setting(whole(100))


@dataclass(frozen=True)
class Reservation(Section):
    """Which Compute Engine reservation a machine may use up (CustomJob mode).

    :param type: ``NO_RESERVATION``, ``ANY_RESERVATION`` or ``SPECIFIC_RESERVATION``.
    :param key: with a specific one: the label that names it, ``compute.googleapis.com/reservation-name``.
    :param values: with a specific one: the names, ``projects/p/zones/z/reservations/r``.
    """

    type: str = setting(one_of("NO_RESERVATION", "ANY_RESERVATION", "SPECIFIC_RESERVATION"), MISSING)
    key: str | None = setting(text)
    values: tuple[str, ...] = sequence(text)


@dataclass(frozen=True)
class Resources(Layer):
    """What one node asks for. None means: not said here.

    :param cpu: cores, as Kubernetes writes them: ``"2"``, ``"500m"``.
    :param memory: bytes, as Kubernetes writes them: ``"2Gi"``, ``"1024Mi"``, ``"4G"``.
    :param gpu: how many accelerators: ``"1"``.
    :param accelerator_type: Vertex AI's name of the accelerator: ``"NVIDIA_TESLA_T4"``.
    :param machine_type: a machine type by name, such as ``n1-highmem-8``, in place of the smallest that fits.
    :param gpu_partition_size: a part of one GPU, such as ``1g.10gb``.
    :param tpu_topology: such as ``2x2x1``.
    """

    cpu: str | None = setting(checked(cores))
    memory: str | None = setting(checked(gigabytes))
    gpu: str | None = setting(checked(accelerators))
    accelerator_type: str | None = setting(text)
    machine_type: str | None = setting(text)
    gpu_partition_size: str | None = setting(text)
    tpu_topology: str | None = setting(text)
    disk: Disk | None = setting(Disk.from_dict)
    reservation: Reservation | None = setting(Reservation.from_dict)


@dataclass(frozen=True)
class RetryPolicy(Section):
    """How often Vertex AI tries a node again. The names are kedro-kubeflow's.

    :param num_retries: tries after the first one.
    :param backoff_duration: the pause before the first of them, such as ``"60s"``.
    :param backoff_factor: by what it grows from try to try.
    :param backoff_max_duration: what it grows to at most; Vertex AI takes an hour.
    """

    num_retries: int = setting(whole(0), MISSING)
    backoff_duration: str = setting(changed(duration), "60s")
    backoff_factor: float = setting(number(1), 2.0)
    backoff_max_duration: str = setting(changed(duration), "3600s")


@dataclass(frozen=True)
class Scheduling(Layer):
    """When and on what a node's machine runs (CustomJob mode).

    :param timeout: how long it may run, as ``"7200s"``; Vertex AI's default is seven days.
    :param strategy: ``standard``, ``spot`` or ``flex_start``.
    :param restart_job_on_worker_restart: whether a lost machine starts the job anew.
    :param disable_retries: whether Vertex AI may try again after an error of its own.
    :param max_wait_duration: how long ``flex_start`` waits for a machine; ``"0s"`` waits for ever.
    """

    timeout: str | None = setting(changed(duration))
    strategy: str | None = setting(one_of("standard", "spot", "flex_start"))
    restart_job_on_worker_restart: bool | None = setting(boolean)
    disable_retries: bool | None = setting(boolean)
    max_wait_duration: str | None = setting(changed(duration))


@dataclass(frozen=True)
class NfsMount(Section):
    """A network file system, mounted at ``/mnt/nfs/<mount_point>`` (CustomJob mode)."""

    server: str = setting(text, MISSING)
    path: str = setting(text, MISSING)
    mount_point: str = setting(text, MISSING)


@dataclass(frozen=True)
class LustreMount(Section):
    """A Lustre file system, mounted at ``/mnt/lustre/<mount_point>`` (CustomJob mode)."""

    instance_ip: str = setting(checked(ip_address), MISSING)
    volume_handle: str = setting(text, MISSING)
    filesystem: str = setting(text, MISSING)
    mount_point: str = setting(text, MISSING)


@dataclass(frozen=True)
class NodeSettings(Layer):
    """How one node runs, beside what it asks for. None and empty mean: not said here.

    :param image: a container image of its own.
    :param env: environment variables of its container, name to value.
    :param secret_env: environment variables that the container reads from Secret Manager when it starts, name to
        ``projects/p/secrets/s/versions/v``.
    :param persistent_resource_id: the persistent resource that it runs on (CustomJob mode).
    :param tensorboard: resource name of a TensorBoard that its logs go to (CustomJob mode).
    :param enable_web_access: whether one may open a shell in its container (CustomJob mode).
    :param enable_dashboard_access: whether one may open its dashboard (CustomJob mode).
    :param replica_count: machines in its worker pool (CustomJob mode).
    :param caching: whether Vertex AI may skip the node when its command and inputs are those of an earlier run.
    :param cache_key: what stands for them, in place of Vertex AI's own key.
    :param runner: the Kedro runner inside the container, ``sequential`` or ``thread``.
    :param airflow: arguments of the node's Airflow task; see :data:`AIRFLOW_ARGUMENTS`.
    """

    image: str | None = setting(text)
    env: Mapping[str, str] = mapping(text, environment_variable)
    secret_env: Mapping[str, str] = mapping(changed(secret_version), environment_variable)
    scheduling: Scheduling | None = setting(Scheduling.from_dict)
    persistent_resource_id: str | None = setting(text)
    nfs_mounts: tuple[NfsMount, ...] = sequence(NfsMount.from_dict)
    lustre_mounts: tuple[LustreMount, ...] = sequence(LustreMount.from_dict)
    tensorboard: str | None = setting(text)
    enable_web_access: bool | None = setting(boolean)
    enable_dashboard_access: bool | None = setting(boolean)
    replica_count: int | None = setting(whole(1))
    caching: bool | None = setting(boolean)
    cache_key: str | None = setting(text)
    runner: str | None = setting(one_of("sequential", "thread"))
    airflow: Mapping[str, Any] = mapping(json_value, airflow_argument)


#: What is said for a node for which nothing is said: one object for all of them, since they may be many.
NO_RESOURCES, NO_SETTINGS = Resources(), NodeSettings()


@dataclass(frozen=True)
class HostAlias(Section):
    """Names that the containers find at an address, as a line of ``/etc/hosts``."""

    ip: str = setting(checked(ip_address), MISSING)
    hostnames: tuple[str, ...] = sequence(text)


@dataclass(frozen=True)
class DnsPeering(Section):
    """A DNS domain (it ends with a dot) that is looked up in a network of one's own."""

    domain: str = setting(text, MISSING)
    target_project: str = setting(text, MISSING)
    target_network: str = setting(text, MISSING)


@dataclass(frozen=True)
class PscInterface(Section):
    """A Private Service Connect interface into one's own network.

    :param network_attachment: name or ``projects/p/regions/r/networkAttachments/a``.
    """

    network_attachment: str = setting(text, MISSING)
    dns_peering: tuple[DnsPeering, ...] = sequence(DnsPeering.from_dict)


@dataclass(frozen=True)
class Network(Layer):
    """How the containers reach private services.

    :param vpc: a peered network, ``projects/12345/global/networks/name``. Goes not with ``psc_interface``.
    :param reserved_ip_ranges: names of the ranges under the peered network that machines may use.
    """

    vpc: str | None = setting(text)
    host_aliases: tuple[HostAlias, ...] = sequence(HostAlias.from_dict)
    reserved_ip_ranges: tuple[str, ...] = sequence(text)
    psc_interface: PscInterface | None = setting(PscInterface.from_dict)


@dataclass(frozen=True)
class Grouping(Section):
    """Which nodes share a container.

    :param kind: one of :data:`GROUPINGS`.
    :param depth: with ``namespace``: how many parts of the namespace make a group; None is 1, as Kedro groups.
    :param tag_prefix: with ``tag``: how a tag starts that names a group.
    :param callable: with ``callable``: ``package.module:function``.
    :param params: with ``callable``: keyword arguments of the function.
    """

    kind: str = setting(one_of(*GROUPINGS), MISSING)
    depth: int | None = setting(whole(1))
    tag_prefix: tuple[str, ...] = sequence(text)
    callable: str | None = setting(checked(function_name))
    params: Mapping[str, Any] = mapping(json_value)

    @classmethod
    def read(cls, value: Any, where: str) -> Grouping:
        """Read a grouping; its kind alone is enough: ``grouping: namespace``.

        :raises ConfigError: as :meth:`from_dict`, or ``callable`` and its kind are not given together.
        """
        grouping = cls.from_dict({"kind": value} if isinstance(value, str) else value, where)
        if (grouping.kind == "callable") != (grouping.callable is not None):
            raise ConfigError(f"{where} must have kind: callable and callable: package.module:function together.")
        return grouping


@dataclass(frozen=True)
class PersistentResource(Layer):
    """A persistent resource that the tasks of a PipelineJob run on (API v1beta1).

    :param name: ``projects/p/locations/l/persistentResources/r``.
    :param wait_ms: milliseconds that a task waits for room on it.
    :param on_unavailable: then ``fail`` or ``fall_back_to_on_demand``.
    """

    name: str | None = setting(text)
    wait_ms: int | None = setting(whole(0))
    on_unavailable: str | None = setting(one_of("fail", "fall_back_to_on_demand"))


@dataclass(frozen=True)
class Provider(Section):
    """A class that a container makes an object of, with ``params`` as keyword arguments."""

    cls: str = setting(checked(class_name), MISSING)
    params: Mapping[str, Any] = mapping(json_value)


@dataclass(frozen=True)
class Mlflow(Layer):
    """MLflow in the containers.

    :param request_header_provider: makes the headers of the requests to the tracking server.
    :param tracking_uri: where the project's ``mlflow.yml`` says that runs are tracked, without user and password. Read
        when the project is inspected, for the checks.
    """

    request_header_provider: Provider | None = setting(Provider.from_dict)
    tracking_uri: str | None = setting(text)


@dataclass(frozen=True)
class Schedule(Section):
    """When a pipeline runs; ``kedro vertex schedule`` makes a DAG file of it. The names are kedro-vertexai's."""

    cron_expression: str = setting(text, "0 * * * *")
    timezone: str = setting(text, "Etc/UTC")
    start_time: str | None = setting(text)
    end_time: str | None = setting(text)
    max_run_count: int | None = setting(whole(1))
    max_concurrent_run_count: int = setting(whole(1), 1)
    allow_queueing: bool = setting(boolean, False)


@dataclass(frozen=True)
class RunConfig(Layer):
    """The settings of a run. The names are those of ``vertexai.yml``; ``project_id`` and ``region`` stand beside.

    ``resources``, ``nodes`` and ``retry_policy`` map selectors (see :mod:`.selectors`) to settings.

    :param project_id: Google Cloud project; None leaves it to the Airflow connection.
    :param region: Vertex AI location such as ``europe-west1``.
    :param image: container image of the nodes.
    :param root: Cloud Storage place for what a run stores, as ``gs://bucket/prefix``.
    :param experiment_name: becomes a label of each job and the first words of its display name.
    :param experiment_description: describes the Vertex AI experiment.
    :param description: becomes the pipeline's description.
    :param service_account: whom the nodes run as; None takes Vertex AI's default account.
    :param scheduled_run_name: template of a job's display name.
    :param job_id_prefix: the first part of job ids.
    :param labels: of each job.
    :param failure_policy: after a failed node, ``slow`` runs what does not depend on it, ``fast`` stops.
    :param encryption_spec_key_name: customer-managed key of the job and what it makes.
    :param preflight_validations: whether Vertex AI checks the pipeline's components before it makes the job.
    :param on_exit_pipeline: the registered pipeline that runs last, whatever the others' outcome.
    :param keep_intermediate: whether stored intermediate data stays when the run is over.
    :param ttl: seconds after which a clean-up may delete intermediate data and jobs.
    :param dynamic_config_providers: write configuration in each container before Kedro reads it.
    :param schedules: registered pipeline to schedule; ``default_schedule`` for those without one.
    """

    project_id: str | None = setting(text)
    region: str | None = setting(text)
    image: str | None = setting(text)
    root: str | None = setting(changed(storage_root))
    experiment_name: str | None = setting(text)
    experiment_description: str | None = setting(text)
    description: str | None = setting(text)
    service_account: str | None = setting(text)
    scheduled_run_name: str | None = setting(text)
    job_id_prefix: str | None = setting(text)
    resources: Mapping[str, Resources] = mapping(Resources.from_dict)
    nodes: Mapping[str, NodeSettings] = mapping(NodeSettings.from_dict)
    retry_policy: Mapping[str, RetryPolicy] = mapping(RetryPolicy.from_dict)
    labels: Mapping[str, str] = mapping(text)
    failure_policy: str | None = setting(one_of("slow", "fast"))
    network: Network | None = setting(Network.from_dict)
    encryption_spec_key_name: str | None = setting(text)
    preflight_validations: bool | None = setting(boolean)
    grouping: Grouping | None = setting(Grouping.read)
    on_exit_pipeline: str | None = setting(text)
    keep_intermediate: bool | None = setting(boolean)
    ttl: int | None = setting(whole(1))
    persistent_resource: PersistentResource | None = setting(PersistentResource.from_dict)
    dynamic_config_providers: tuple[Provider, ...] = sequence(Provider.from_dict)
    mlflow: Mlflow | None = setting(Mlflow.from_dict)
    schedules: Mapping[str, Schedule] = mapping(Schedule.from_dict)

    def overridden(self, overrides: Mapping[str, Any]) -> RunConfig:
        """Lay the settings of one run over these. Selector maps merge by selector and field; null keeps what is.

        :raises ConfigError: see :meth:`from_dict`.
        """
        return RunConfig.from_dict(overrides).over(self)

    def resources_for(self, names: Iterable[str], tags: Iterable[str]) -> Resources:
        """What a node asks for; see :meth:`.PerNode.find`."""
        return self._resources.find(names, tags) or NO_RESOURCES

    def settings_for(self, names: Iterable[str], tags: Iterable[str]) -> NodeSettings:
        """How a node runs; see :meth:`.PerNode.find`."""
        return self._nodes.find(names, tags) or NO_SETTINGS

    def retry_for(self, names: Iterable[str], tags: Iterable[str]) -> RetryPolicy | None:
        """How often a node is tried again; None leaves it to Vertex AI's default, which is never."""
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
