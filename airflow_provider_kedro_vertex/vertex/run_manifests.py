"""The manifest that a run began with, kept below root, so that its jobs can all be made of the same one."""

from __future__ import annotations

from airflow_provider_kedro_vertex.core.errors import ConfigError
from airflow_provider_kedro_vertex.core.jobs.attempts import RUN_LABEL
from airflow_provider_kedro_vertex.core.jobs.origin import DIGEST_LENGTH, MANIFEST_LABEL
from airflow_provider_kedro_vertex.core.project import manifest as manifests
from airflow_provider_kedro_vertex.core.project.manifest import Manifest
from airflow_provider_kedro_vertex.vertex.client import Collection, VertexClient

_KINDS: tuple[Collection, ...] = ("pipelineJobs", "customJobs")


def manifest_of_run(client: VertexClient, root: str, run_key: str, manifest: Manifest) -> Manifest:
    """Find the manifest of a run's first job, and keep that of a run which begins.

    :param root: ``gs://bucket/prefix``; manifests are below it, in ``kedro-manifests/``.
    :param manifest: the one that counts now, with the settings of the run in it.
    :return: ``manifest`` itself where the run begins, or began with the same one.
    :raises ConfigError: the run began with another one, which is not kept.
    :raises VertexApiError: jobs or manifests could not be read or written.
    """
    present = _short(manifest.digest)
    first = _first_manifest(client, run_key) or present
    place = f"{root}/kedro-manifests/{first}.json"
    if first == present:
        if client.describe_object(place) is None:
            client.write_object(place, manifests.dumps(manifest).encode())
        return manifest
    kept = client.find_object(place)
    if kept is None:
        raise ConfigError(
            f"same_spec: this run began with the manifest {first}, and {place} is not there: the run had no same_spec "
            "when it began, or somebody deleted it. No job was made.",
            "Take same_spec off to run the present manifest, or trigger a new run.",
        )
    return manifests.loads(kept.decode(), source=place)


def _first_manifest(client: VertexClient, run_key: str) -> str | None:
    jobs = [
        job
        for kind in _KINDS
        for job in client.list_jobs(kind, f'labels.{RUN_LABEL}="{run_key}"', "name,labels,createTime")
    ]
    for job in sorted(jobs, key=lambda job: (job["createTime"], job["name"])):
        if MANIFEST_LABEL in job.get("labels", {}):
            return job["labels"][MANIFEST_LABEL]
    return None


def _short(digest: str) -> str:
    return digest.removeprefix("sha256:")[:DIGEST_LENGTH]
