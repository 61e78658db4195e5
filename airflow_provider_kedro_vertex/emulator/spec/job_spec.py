"""Checks a CustomJob at create: the rules of Vertex AI v1, and the limits of this emulator.

It runs up to four worker pools of containers, the first one with one replica. The rest of the job (machine, disk,
service account, network, experiment, encryption) is checked for its form where Vertex AI gives one, kept, and changes
nothing here.
"""

from __future__ import annotations

from airflow_provider_kedro_vertex.emulator.resources import machines, names
from airflow_provider_kedro_vertex.emulator.resources.errors import Violation, invalid_argument, unimplemented
from airflow_provider_kedro_vertex.emulator.resources.protos import AcceleratorType, Message

_SPEC = "custom_job.job_spec"

BOOT_DISK_TYPES = ("pd-ssd", "pd-standard", "hyperdisk-balanced")
"""The values that DiskSpec.boot_disk_type documents."""
MOST_POOLS = 4
"""The worker pools that a job may have: primary, workers, parameter servers and evaluators."""
MOST_PACKAGES = 100
"""PythonPackageSpec.package_uris: "The maximum number of package URIs is 100"."""
MOST_REPLICAS = 100
"""The replicas of one job, which all run on this machine."""


def check(job: Message, location: str) -> None:
    """Check a CustomJob as a client sent it.

    :param location: the one in which it is created.

    :raises ApiError: INVALID_ARGUMENT with every field that is wrong; UNIMPLEMENTED for what is not run here.
    """
    faults = [
        *names.display_name_faults(job.display_name, "custom_job.display_name"),
        *names.label_faults(job.labels, "custom_job.labels"),
        *names.form_faults(job.job_spec.service_account, job.job_spec.network, _SPEC),
        *names.encryption_faults(job, location, "custom_job"),
        *_spec_faults(job.job_spec),
    ]
    if not job.display_name:
        faults.append(Violation("custom_job.display_name", "is required."))
    if faults:
        raise invalid_argument(*faults)
    pools = job.job_spec.worker_pool_specs
    if sum(pool.replica_count for pool in pools) > MOST_REPLICAS:
        raise unimplemented(f"A job with more than {MOST_REPLICAS} replicas")


def _spec_faults(spec: Message) -> list[Violation]:
    faults = []
    prefix = spec.base_output_directory.output_uri_prefix
    if spec.HasField("base_output_directory") and not names.is_bucket_path(prefix):
        where = f"{_SPEC}.base_output_directory.output_uri_prefix"
        faults.append(Violation(where, f'"{prefix[:100]}" is no path in a Cloud Storage bucket.'))
    if spec.scheduling.HasField("timeout") and spec.scheduling.timeout.ToNanoseconds() <= 0:
        faults.append(Violation(f"{_SPEC}.scheduling.timeout", "must be more than 0 seconds."))
    if not spec.worker_pool_specs:
        return [*faults, Violation(f"{_SPEC}.worker_pool_specs", "at least one worker pool is required.")]
    if len(spec.worker_pool_specs) > MOST_POOLS:
        count = len(spec.worker_pool_specs)
        faults.append(
            Violation(f"{_SPEC}.worker_pool_specs", f"{count} worker pools; at most {MOST_POOLS} are allowed.")
        )
    for index, pool in enumerate(spec.worker_pool_specs):
        # A pool with nothing in it keeps the place of one that is not used.
        if index == 0 or pool.ByteSize():
            path = f"{_SPEC}.worker_pool_specs[{index}]"
            faults += _replica_faults(pool, index, path)
            faults += _pool_faults(pool, bool(spec.persistent_resource_id), path)
    return faults


def _replica_faults(pool: Message, index: int, path: str) -> list[Violation]:
    count = pool.replica_count
    if index == 0 and count != 1:
        return [Violation(f"{path}.replica_count", f"is {count}; the first pool has 1 replica.")]
    if count < 1:
        return [Violation(f"{path}.replica_count", f"is {count}; a pool has at least 1 replica.")]
    return []


def _pool_faults(pool: Message, persistent: bool, path: str) -> list[Violation]:
    faults = []
    if pool.machine_spec.machine_type or not persistent:
        faults += machine_faults(pool.machine_spec, f"{path}.machine_spec")
    disk = pool.disk_spec
    if disk.boot_disk_type and disk.boot_disk_type not in BOOT_DISK_TYPES:
        allowed = ", ".join(BOOT_DISK_TYPES)
        faults.append(
            Violation(f"{path}.disk_spec.boot_disk_type", f'"{disk.boot_disk_type[:50]}" is none of {allowed}.')
        )
    if pool.HasField("container_spec"):
        faults += _container_faults(pool.container_spec, f"{path}.container_spec")
    elif pool.HasField("python_package_spec"):
        faults += _package_faults(pool.python_package_spec, f"{path}.python_package_spec")
    else:
        faults.append(Violation(path, "a container_spec or a python_package_spec is required."))
    return faults


def machine_faults(machine: Message, path: str) -> list[Violation]:
    """Check the machine of a worker pool, or of a pool of a persistent resource."""
    if not machine.machine_type:
        return [Violation(f"{path}.machine_type", "is required.")]
    if not machines.is_machine_type(machine.machine_type):
        return [Violation(f"{path}.machine_type", f'"{machine.machine_type[:100]}" is no machine type of Vertex AI.')]
    if bool(machine.accelerator_type) != (machine.accelerator_count > 0):
        return [Violation(path, "accelerator_type and accelerator_count go together.")]
    if not machine.accelerator_type:
        return []
    accelerator = AcceleratorType.values_by_number.get(machine.accelerator_type)
    if accelerator is None:
        return [Violation(f"{path}.accelerator_type", f"{machine.accelerator_type} is none.")]
    fault = machines.accelerator_fault(machine.machine_type, accelerator.name, machine.accelerator_count)
    return [Violation(f"{path}.accelerator_count", fault)] if fault else []


def _container_faults(container: Message, path: str) -> list[Violation]:
    faults = [] if container.image_uri else [Violation(f"{path}.image_uri", "is required.")]
    return [*faults, *_variable_faults(container, path)]


def _package_faults(package: Message, path: str) -> list[Violation]:
    faults = [
        Violation(f"{path}.{field}", "is required.")
        for field in ("executor_image_uri", "package_uris", "python_module")
        if not getattr(package, field)
    ]
    if len(package.package_uris) > MOST_PACKAGES:
        said = f"{len(package.package_uris)} packages; at most {MOST_PACKAGES} are allowed."
        faults.append(Violation(f"{path}.package_uris", said))
    for index, uri in enumerate(package.package_uris):
        if not names.is_object(uri):
            where = f"{path}.package_uris[{index}]"
            faults.append(Violation(where, f'"{uri[:100]}" is no object in a Cloud Storage bucket.'))
    return [*faults, *_variable_faults(package, path)]


def _variable_faults(spec: Message, path: str) -> list[Violation]:
    return [
        Violation(f"{path}.env[{index}].name", f'"{variable.name[:100]}" is no C identifier.')
        for index, variable in enumerate(spec.env)
        if not (variable.name.isidentifier() and variable.name.isascii())
    ]
