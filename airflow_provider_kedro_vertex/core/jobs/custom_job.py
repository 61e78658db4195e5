"""A node group becomes the body of a CustomJob, a plain dict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from airflow_provider_kedro_vertex.core.jobs.api import JobBody
from airflow_provider_kedro_vertex.core.jobs.identity import DISPLAY_NAME_LENGTH, RunContext
from airflow_provider_kedro_vertex.core.jobs.job_body import connection, encryption, environment
from airflow_provider_kedro_vertex.core.plan.plan import COMMAND, NodeGroup, Plan
from airflow_provider_kedro_vertex.core.settings.machines import Machine, choose
from airflow_provider_kedro_vertex.core.settings.nodes import NodeSettings, Resources, Scheduling
from airflow_provider_kedro_vertex.core.text import json_argument

#: The label that names a single reservation (ReservationAffinity.key, v1).
_RESERVATION_NAME = "compute.googleapis.com/reservation-name"


def custom_job(
    plan: Plan,
    group: NodeGroup,
    context: RunContext,
    runtime_params: str,
    display_name: str,
    labels: Mapping[str, str],
    timeout_seconds: float | None = None,
) -> JobBody:
    """Write the body of ``projects.locations.customJobs.create`` (Vertex AI API v1).

    Without ``machine_type`` the cheapest machine is taken that has the cores, memory and accelerators; the region of
    ``context`` (or else of the settings) must have the accelerator.

    :param runtime_params: JSON text, or ``@gs://...`` where it is stored; see :func:`.parameters.to_json`.
    :param display_name: cut to 128 characters.
    :param labels: ready label values; they win over ``run_config.labels``.
    :param timeout_seconds: how long the job may run where ``scheduling.timeout`` says nothing.
    :raises ConfigError: no machine fits, or two networks are set.
    """
    arguments = ("--params", json_argument(runtime_params), "--context", json_argument(context.to_json()))
    output = f"{plan.root}/{context.run_key}/{group.task_id}"
    region = context.region or plan.config.region
    return {
        "displayName": display_name[:DISPLAY_NAME_LENGTH],
        "labels": {**plan.config.labels, **labels},
        "jobSpec": job_spec(plan, group, region, arguments, output, timeout_seconds),
        **encryption(plan.config),
    }


def job_spec(
    plan: Plan,
    group: NodeGroup,
    region: str | None,
    arguments: Sequence[str],
    output: str,
    timeout_seconds: float | None = None,
) -> dict[str, Any]:
    """Write the ``CustomJobSpec`` of a node group.

    :param region: must have the accelerator; None leaves that unchecked.
    :param arguments: what follows the group's own.
    :param output: the ``gs://`` folder of ``AIP_MODEL_DIR`` and the like.
    :param timeout_seconds: how long the job may run where ``scheduling.timeout`` says nothing.
    :raises ConfigError: no machine fits, or two networks are set.
    """
    settings = group.settings
    who = f"{'Node' if group.nodes == (group.name,) else 'Group'} {group.name!r}"
    spec: dict[str, Any] = {
        "workerPoolSpecs": _pools(plan, group, region, who, arguments),
        **connection(plan.config),
        "baseOutputDirectory": {"outputUriPrefix": output},
    }
    if scheduling := _scheduling(settings.scheduling, timeout_seconds):
        spec["scheduling"] = scheduling
    if persistent := settings.persistent_resource_id or _persistent_resource(plan):
        spec["persistentResourceId"] = persistent
    if settings.tensorboard:
        spec["tensorboard"] = settings.tensorboard
    if settings.enable_web_access is not None:
        spec["enableWebAccess"] = settings.enable_web_access
    if settings.enable_dashboard_access is not None:
        spec["enableDashboardAccess"] = settings.enable_dashboard_access
    return spec


def _pools(
    plan: Plan, group: NodeGroup, region: str | None, who: str, arguments: Sequence[str]
) -> list[dict[str, Any]]:
    """The worker pools: the first one has the chief alone, as the API asks, a second one its further replicas."""
    settings = group.settings
    container: dict[str, Any] = {
        "imageUri": group.image,
        "command": list(COMMAND),
        "args": [*group.arguments, *arguments],
        "env": environment(settings, plan.experiment_variables),
    }
    pool: dict[str, Any] = {"containerSpec": container, **_mounts(settings)}
    wanted = [(1, group.resources), (group.replicas - 1, group.worker_resources)]
    return [
        {**pool, **_machine(resources, region, who), "replicaCount": replicas}
        for replicas, resources in wanted
        if replicas
    ]


def _machine(resources: Resources, region: str | None, who: str) -> dict[str, Any]:
    found: dict[str, Any] = {"machineSpec": _machine_spec(choose(resources, region, who), resources)}
    if disk := resources.disk:
        values = {"bootDiskType": disk.boot_disk_type, "bootDiskSizeGb": disk.boot_disk_size_gb}
        found["diskSpec"] = {key: value for key, value in values.items() if value is not None}
    return found


def _machine_spec(machine: Machine, resources: Resources) -> dict[str, Any]:
    spec: dict[str, Any] = {"machineType": machine.machine_type}
    if machine.accelerator_type:
        spec |= {"acceleratorType": machine.accelerator_type, "acceleratorCount": machine.accelerator_count}
    if resources.gpu_partition_size:
        spec["gpuPartitionSize"] = resources.gpu_partition_size
    if resources.tpu_topology:
        spec["tpuTopology"] = resources.tpu_topology
    if resources.reservation:
        affinity: dict[str, Any] = {"reservationAffinityType": resources.reservation.type}
        if resources.reservation.values:
            affinity["key"] = resources.reservation.key or _RESERVATION_NAME
            affinity["values"] = list(resources.reservation.values)
        spec["reservationAffinity"] = affinity
    return spec


def _mounts(settings: NodeSettings) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if settings.nfs_mounts:
        found["nfsMounts"] = [
            {"server": mount.server, "path": mount.path, "mountPoint": mount.mount_point}
            for mount in settings.nfs_mounts
        ]
    if settings.lustre_mounts:
        found["lustreMounts"] = [
            {
                "instanceIp": mount.instance_ip,
                "volumeHandle": mount.volume_handle,
                "filesystem": mount.filesystem,
                "mountPoint": mount.mount_point,
            }
            for mount in settings.lustre_mounts
        ]
    return found


def _scheduling(scheduling: Scheduling | None, timeout_seconds: float | None) -> dict[str, Any]:
    said = scheduling or Scheduling()
    values = {
        "timeout": said.timeout or (f"{timeout_seconds:.0f}s" if timeout_seconds else None),
        "strategy": said.strategy and said.strategy.upper(),
        "restartJobOnWorkerRestart": said.restart_job_on_worker_restart,
        "disableRetries": said.disable_retries,
        "maxWaitDuration": said.max_wait_duration,
    }
    return {key: value for key, value in values.items() if value is not None}


def _persistent_resource(plan: Plan) -> str | None:
    """The id of the run's persistent resource: a PipelineJob names it in full, a CustomJob by its id alone."""
    resource = plan.config.persistent_resource
    return resource.name.rpartition("/")[2] if resource and resource.name else None
