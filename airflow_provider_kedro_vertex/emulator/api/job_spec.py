"""Checks a CustomJob at create: the rules of Vertex AI v1, and the limits of this emulator.

It runs worker pool 0 with one container, as a process. The rest of the job (machine, disk, service account, network,
experiment, encryption) is checked for its form where Vertex AI gives one, kept, and changes nothing here.
"""

from __future__ import annotations

from airflow_provider_kedro_vertex.emulator.resources import names
from airflow_provider_kedro_vertex.emulator.resources.errors import Violation, invalid_argument, unimplemented
from airflow_provider_kedro_vertex.emulator.resources.protos import Message

_SPEC = "custom_job.job_spec"
_POOL = f"{_SPEC}.worker_pool_specs[0]"


def check(job: Message) -> None:
    """Check a CustomJob as a client sent it.

    :raises ApiError: INVALID_ARGUMENT with every field that is wrong; UNIMPLEMENTED for what is not run here.
    """
    faults = [
        *names.display_name_faults(job.display_name, "custom_job.display_name"),
        *names.label_faults(job.labels, "custom_job.labels"),
        *names.form_faults(job.job_spec.service_account, job.job_spec.network, _SPEC),
        *_spec_faults(job.job_spec),
    ]
    if not job.display_name:
        faults.append(Violation("custom_job.display_name", "is required."))
    if names.BILLING_LABEL in job.labels:
        faults.append(Violation("custom_job.labels", f'The label "{names.BILLING_LABEL}" is set by Vertex AI.'))
    if faults:
        raise invalid_argument(*faults)
    # The first pool may be the only one that has something in it.
    if any(pool.ByteSize() for pool in job.job_spec.worker_pool_specs[1:]):
        raise unimplemented("A worker pool after the first one")
    if job.job_spec.worker_pool_specs[0].HasField("python_package_spec"):
        raise unimplemented("A python_package_spec (use a container_spec)")


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
    return faults + _pool_faults(spec.worker_pool_specs[0], bool(spec.persistent_resource_id))


def _pool_faults(pool: Message, persistent: bool) -> list[Violation]:
    faults = []
    if pool.replica_count != 1:
        faults.append(Violation(f"{_POOL}.replica_count", f"is {pool.replica_count}; the first pool has 1 replica."))
    machine = pool.machine_spec
    if not machine.machine_type and not persistent:
        faults.append(Violation(f"{_POOL}.machine_spec.machine_type", "is required."))
    if bool(machine.accelerator_type) != (machine.accelerator_count > 0):
        faults.append(Violation(f"{_POOL}.machine_spec", "accelerator_type and accelerator_count go together."))
    if pool.HasField("container_spec"):
        faults += _container_faults(pool.container_spec)
    elif not pool.HasField("python_package_spec"):
        faults.append(Violation(_POOL, "a container_spec or a python_package_spec is required."))
    return faults


def _container_faults(container: Message) -> list[Violation]:
    faults = []
    if not container.image_uri:
        faults.append(Violation(f"{_POOL}.container_spec.image_uri", "is required."))
    for index, variable in enumerate(container.env):
        if not (variable.name.isidentifier() and variable.name.isascii()):
            where = f"{_POOL}.container_spec.env[{index}].name"
            faults.append(Violation(where, f'"{variable.name[:100]}" is no C identifier.'))
    return faults
