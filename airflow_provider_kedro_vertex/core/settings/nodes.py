"""What is set for nodes by selectors: what they ask for, how they run, how often they are tried again.

Field names, where they are not kedro-vertexai's or kedro-kubeflow's, are those of the Vertex AI API v1 (CustomJobSpec,
MachineSpec, Scheduling).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from airflow_provider_kedro_vertex.core.errors import did_you_mean
from airflow_provider_kedro_vertex.core.settings.container import FRAMEWORKS, RUNNERS
from airflow_provider_kedro_vertex.core.settings.quantities import accelerators, cores, duration, gigabytes
from airflow_provider_kedro_vertex.core.settings.readers import (
    boolean,
    converted,
    environment_variable,
    integer,
    ip_address,
    json_value,
    number,
    one_of,
    secret_version,
    string,
    validated,
)
from airflow_provider_kedro_vertex.core.settings.sections import (
    REQUIRED,
    Mergeable,
    Problem,
    Section,
    SettingsError,
    field,
    invalid,
    mapping,
    sequence,
)

#: What ``nodes.<selector>.airflow`` may set: arguments of Airflow's BaseOperator. Delays and timeouts are seconds.
AIRFLOW_ARGUMENTS = ("execution_timeout", "pool", "pool_slots", "priority_weight", "queue", "retries", "retry_delay",
                     "trigger_rule")  # fmt: skip


def airflow_argument(name: str) -> None:
    """Check the names of a mapping against :data:`AIRFLOW_ARGUMENTS`."""
    if name not in AIRFLOW_ARGUMENTS:
        raise invalid(f"has no setting {name!r:.80}.", did_you_mean(name, AIRFLOW_ARGUMENTS))


@dataclass(frozen=True)
class Disk(Mergeable):
    """The boot disk of the node's machine."""

    boot_disk_type: str | None = field(string, "`pd-ssd` (the default), `pd-standard`, `hyperdisk-balanced`.")
    boot_disk_size_gb: int | None = field(integer(100), "Gigabytes, at least 100.")


@dataclass(frozen=True)
class Reservation(Section):
    """The Compute Engine reservation that the node's machine uses up."""

    type: str = field(
        one_of("NO_RESERVATION", "ANY_RESERVATION", "SPECIFIC_RESERVATION"),
        "`NO_RESERVATION`, `ANY_RESERVATION` or `SPECIFIC_RESERVATION`.",
        REQUIRED,
    )
    key: str | None = field(
        string, "With a specific one: the label that names it, `compute.googleapis.com/reservation-name`."
    )
    values: tuple[str, ...] = sequence(string, "With a specific one: `projects/PROJECT/zones/ZONE/reservations/NAME`.")


@dataclass(frozen=True)
class Resources(Mergeable):
    """The machine that a node needs."""

    cpu: str | None = field(validated(cores), "Cores: `2`, `500m`.")
    memory: str | None = field(validated(gigabytes), "Memory: `4Gi`, `512Mi`, `4G`.")
    gpu: str | None = field(validated(accelerators), "Number of accelerators.")
    accelerator_type: str | None = field(string, "Vertex AI's name of the accelerator: `NVIDIA_TESLA_T4`.")
    machine_type: str | None = field(
        string, "A machine type by name, such as `n1-highmem-8`, in place of the smallest that fits."
    )
    gpu_partition_size: str | None = field(string, "A part of one GPU, such as `1g.10gb`.")
    tpu_topology: str | None = field(string, "Topology of the TPU, such as `2x2x1`.")
    disk: Disk | None = field(Disk, "Boot disk.")
    reservation: Reservation | None = field(Reservation, "Reservation.")


@dataclass(frozen=True)
class OutOfMemory(Section):
    """The memory of the next attempt of a node that was killed for its memory."""

    max: str = field(validated(gigabytes), "What it grows to at most: `32Gi`.", REQUIRED)
    factor: float = field(number(1), "By what the limit at which it was killed is multiplied.", 2.0)

    @property
    def most(self) -> float:
        """:attr:`max` in bytes."""
        return gigabytes(self.max) * 1e9


@dataclass(frozen=True)
class RetryPolicy(Section):
    """How a node is tried again. kedro-kubeflow's keys, and one more. The most exact selector's entry counts alone."""

    num_retries: int = field(
        integer(0), "Tries that Vertex AI makes after the first one. Obligatory without `on_out_of_memory`.", 0
    )
    backoff_duration: str = field(converted(duration), "Pause before the first of them.", "60s")
    backoff_factor: float = field(number(1), "By what the pause grows from try to try.", 2.0)
    backoff_max_duration: str = field(
        converted(duration), "What it grows to at most; an hour is Vertex AI's own limit.", "3600s"
    )
    on_out_of_memory: OutOfMemory | None = field(
        OutOfMemory, "More memory for the next attempt that Airflow makes of a node which was killed for its memory."
    )

    @classmethod
    def read(cls, value: Any) -> RetryPolicy:
        """Read a policy.

        :raises SettingsError: as any section, or it says nothing.
        """
        policy = super().read(value)
        if not {"num_retries", "on_out_of_memory"} & value.keys():
            raise SettingsError([Problem(("num_retries",), " is missing.")])
        return policy


@dataclass(frozen=True)
class Scheduling(Mergeable):
    """When, and on what kind of machine, a node runs."""

    timeout: str | None = field(
        converted(duration), "How long the node may run: `90s`, `30m`, `2h`. Vertex AI's default is 7 days."
    )
    strategy: str | None = field(
        one_of("standard", "spot", "flex_start"),
        "`standard`, `spot` (cheaper, and may be taken away) or `flex_start` (waits for a machine).",
    )
    restart_job_on_worker_restart: bool | None = field(boolean, "Whether a lost machine starts the job anew.")
    disable_retries: bool | None = field(
        boolean, "Whether Vertex AI does without its own retries after internal errors."
    )
    max_wait_duration: str | None = field(
        converted(duration), "How long `flex_start` waits; `0s` is for ever, the default 24 h."
    )


@dataclass(frozen=True)
class NfsMount(Section):
    """A network file system."""

    server: str = field(string, "Address of the server.", REQUIRED)
    path: str = field(string, "What is mounted.", REQUIRED)
    mount_point: str = field(string, "It appears at `/mnt/nfs/<mount_point>`.", REQUIRED)


@dataclass(frozen=True)
class LustreMount(Section):
    """A Lustre file system."""

    instance_ip: str = field(ip_address, "Address of the instance.", REQUIRED)
    volume_handle: str = field(string, "Its unique id.", REQUIRED)
    filesystem: str = field(string, "Its file system's name.", REQUIRED)
    mount_point: str = field(string, "It appears at `/mnt/lustre/<mount_point>`.", REQUIRED)


@dataclass(frozen=True)
class NodeSettings(Mergeable):
    """How a node runs."""

    image: str | None = field(string, "A container image of its own.")
    env: Mapping[str, str] = mapping(
        string, "Environment variables of the container. No secrets: see `secret_env`.", environment_variable
    )
    secret_env: Mapping[str, str] = mapping(
        secret_version,
        "Environment variables that the container reads from Secret Manager when it starts: name to "
        "`projects/PROJECT/secrets/NAME/versions/VERSION`.",
        environment_variable,
    )
    scheduling: Scheduling | None = field(Scheduling, "Timeout, Spot and waiting.")
    persistent_resource_id: str | None = field(string, "The persistent resource to run on.")
    nfs_mounts: tuple[NfsMount, ...] = sequence(NfsMount, "Network file systems.")
    lustre_mounts: tuple[LustreMount, ...] = sequence(LustreMount, "Lustre file systems.")
    tensorboard: str | None = field(string, "Resource name of a TensorBoard for the node's logs.")
    enable_web_access: bool | None = field(boolean, "Whether one may open a shell in the container.")
    enable_dashboard_access: bool | None = field(boolean, "Whether one may open its dashboard.")
    replica_count: int | None = field(
        integer(1), "Machines that run the node together; more than one need `distributed`."
    )
    distributed: str | None = field(
        one_of(*FRAMEWORKS),
        "How the machines find each other: `torch`, `tensorflow`, `jax`, or `env` for what reads `RANK` and the like "
        "itself. The first machine alone saves.",
    )
    worker_resources: Resources | None = field(
        Resources, "What the machines after the first one ask for, over the node's `resources`."
    )
    caching: bool | None = field(
        boolean,
        "Whether Vertex AI may skip the node when an earlier run had the same command. Off by default: nodes read and "
        "write data that Vertex AI does not see. PipelineJob mode.",
    )
    cache_key: str | None = field(string, "Stands for the command in that comparison. PipelineJob mode.")
    runner: str | None = field(
        one_of(*RUNNERS), "Kedro's runner inside the container: `sequential` (the default) or `thread`."
    )
    airflow: Mapping[str, Any] = mapping(
        json_value,
        f"Arguments of the node's Airflow task: {', '.join(f'`{name}`' for name in AIRFLOW_ARGUMENTS)}. "
        "Delays and timeouts are seconds.",
        airflow_argument,
    )


#: What is set for a node for which nothing is set: one object for all of them, since they may be many.
NO_RESOURCES, NO_SETTINGS = Resources(), NodeSettings()
