"""Resource names, ids and labels, and the rules that Vertex AI v1 gives for them; the two forms of a field's name."""

from __future__ import annotations

import re
import secrets
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from airflow_provider_kedro_vertex.emulator.resources.errors import Violation, invalid_argument, unknown_region
from airflow_provider_kedro_vertex.emulator.resources.regions import REGIONS

# CreatePipelineJobRequest.pipeline_job_id: "less than 128 characters, and valid characters are /[a-z][0-9]-/".
_JOB_ID = re.compile(r"[a-z][-a-z0-9]{0,126}")
_PART = re.compile(r"[^/\s]{1,128}")
_NUMBER = re.compile(r"[0-9]{1,19}")
# Project ids, domain-scoped ids (example.com:project) and project numbers.
_PARENT = re.compile(
    r"projects/(?P<project>[a-z0-9][-a-z0-9.:]{0,61}[a-z0-9])/locations/(?P<location>[a-z][-a-z0-9]{1,61})"
)
# PipelineJob.network: "Where {project} is a project number, as in 12345, and {network} is a network name."
_NETWORK = re.compile(r"projects/[0-9]+/global/networks/[^/]+")
# CreatePersistentResourceRequest.persistent_resource_id gives this form.
_PERSISTENT_RESOURCE_ID = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")
# CreateContextRequest.context_id and its like: "Must be 4-128 characters in length", of "/[a-z][0-9]-/".
_NODE_ID = re.compile(r"[-a-z0-9]{4,128}")
_KMS_KEY = re.compile(r"projects/[^/]+/locations/(?P<location>[^/]+)/keyRings/[^/]+/cryptoKeys/[^/]+")
_SERVICE_ACCOUNT = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_BUCKET_PATH = re.compile(r"gs://[a-z0-9][-a-z0-9._]{1,220}[a-z0-9](/[^\s?#]*)?")

MOST_LABELS = 64
LABEL_LENGTH = 64
DISPLAY_NAME_LENGTH = 128

PIPELINE_JOBS = "pipelineJobs"
CUSTOM_JOBS = "customJobs"
SCHEDULES = "schedules"
METADATA_STORES = "metadataStores"
TRAINING_PIPELINES = "trainingPipelines"
PERSISTENT_RESOURCES = "persistentResources"
ARTIFACTS = "artifacts"
CONTEXTS = "contexts"
EXECUTIONS = "executions"

BILLING_LABEL = "vertex-ai-pipelines-run-billing-id"
"""A reserved label that Vertex AI sets on a PipelineJob and on the CustomJobs of its tasks."""


@dataclass(frozen=True)
class ResourceName:
    """``projects/{project}/locations/{location}/{collection}/{id}``."""

    project: str
    location: str
    collection: str
    id: str

    def __str__(self) -> str:
        return f"{self.parent}/{self.collection}/{self.id}"

    @property
    def parent(self) -> str:
        """The location that holds the resource."""
        return f"projects/{self.project}/locations/{self.location}"


def location(parent: str) -> tuple[str, str]:
    """Split a parent into project and location.

    :raises ApiError: INVALID_ARGUMENT if it is no location's name; PERMISSION_DENIED if Vertex AI has no such region.
    """
    match = _PARENT.fullmatch(parent)
    if match is None:
        raise invalid_argument(
            Violation("parent", f'"{_cut(parent)}" is not of the form projects/{{project}}/locations/{{location}}.')
        )
    if match["location"] not in REGIONS:
        raise unknown_region(match["location"])
    return match["project"], match["location"]


def resource(name: str, collection: str, field: str = "name") -> ResourceName:
    """Read the name of a job, or of another resource of a location.

    :param collection: such as ``pipelineJobs``; for those of ML Metadata see :func:`metadata_node`.
    :raises ApiError: INVALID_ARGUMENT if the name is of another form.
    """
    parent, slash, job_id = name.rpartition(f"/{collection}/")
    match = _PARENT.fullmatch(parent)
    id_form = {PIPELINE_JOBS: _JOB_ID, PERSISTENT_RESOURCES: _PERSISTENT_RESOURCE_ID}.get(collection, _NUMBER)
    if not slash or match is None or not id_form.fullmatch(job_id):
        form = f"projects/{{project}}/locations/{{location}}/{collection}/{{id}}"
        raise invalid_argument(Violation(field, f'"{_cut(name)}" is not of the form {form} ({id_form.pattern}).'))
    return ResourceName(match["project"], match["location"], collection, job_id)


def metadata_store(name: str, field: str) -> None:
    """Check the name of a metadata store.

    :raises ApiError: INVALID_ARGUMENT if it is of another form.
    """
    parent, _, store_id = name.rpartition(f"/{METADATA_STORES}/")
    if not _PARENT.fullmatch(parent) or not _PART.fullmatch(store_id):
        form = f"projects/{{project}}/locations/{{location}}/{METADATA_STORES}/{{id}}"
        raise invalid_argument(Violation(field, f'"{_cut(name)}" is not of the form {form}.'))


def metadata_node(name: str, collection: str, field: str) -> None:
    """Check the name of an artifact, a context or an execution. Those that pipelines made have ids of any letters.

    :param collection: ``artifacts``, ``contexts`` or ``executions``.
    :raises ApiError: INVALID_ARGUMENT if it is of another form.
    """
    store, _, node_id = name.rpartition(f"/{collection}/")
    if not _PART.fullmatch(node_id):
        form = f"projects/{{project}}/locations/{{location}}/{METADATA_STORES}/{{store}}/{collection}/{{id}}"
        raise invalid_argument(Violation(field, f'"{_cut(name)}" is not of the form {form}.'))
    metadata_store(store, field)


def node_id_faults(node_id: str, field: str) -> list[Violation]:
    """Check the id that a client chose for a metadata store, or for a node in one."""
    if _NODE_ID.fullmatch(node_id):
        return []
    return [Violation(field, f'"{_cut(node_id)}" does not match {_NODE_ID.pattern}.')]


def persistent_resource_id_faults(resource_id: str) -> list[Violation]:
    """Check a persistent resource's id as the client chose it."""
    if _PERSISTENT_RESOURCE_ID.fullmatch(resource_id):
        return []
    said = f'"{_cut(resource_id)}" does not match {_PERSISTENT_RESOURCE_ID.pattern}.'
    return [Violation("persistent_resource_id", said)]


def job_id_faults(job_id: str) -> list[Violation]:
    """Check a PipelineJob's id as the client chose it."""
    if _JOB_ID.fullmatch(job_id):
        return []
    return [Violation("pipeline_job_id", f'"{_cut(job_id)}" does not match {_JOB_ID.pattern}.')]


def generated_job_id(pipeline_name: str, now: datetime) -> str:
    """An id for a PipelineJob whose client gave none: the pipeline's name, the time and a random tail."""
    base = re.sub(r"[^a-z0-9]+", "-", pipeline_name.lower()).strip("-")
    if not base or not base[0].isalpha():
        base = f"pipeline-{base}".rstrip("-")
    return f"{base[:90].rstrip('-')}-{now:%Y%m%d%H%M%S}-{secrets.token_hex(3)}"


def default_store(parent: str) -> str:
    """The name of a location's default metadata store, which pipelines use."""
    return f"{parent}/{METADATA_STORES}/default"


def artifact(parent: str, artifact_id: str) -> str:
    """The name of an artifact in a location's default metadata store."""
    return f"{default_store(parent)}/{ARTIFACTS}/{artifact_id}"


def generated_uuid() -> str:
    """An id for a node of ML Metadata whose client gave none."""
    return str(uuid.uuid4())


def generated_number() -> str:
    """A server-made number: a CustomJob's id, a task's id, an operation's id. Fits an int64."""
    return str(secrets.randbelow(8 * 10**18) + 10**18)


def label_faults(labels: Mapping[str, str], field: str) -> list[Violation]:
    """Check labels: how many, and what their keys and values are made of.

    At most 64 labels; keys and values of up to 64 code points: lower case letters of any script, digits, ``_`` and
    ``-``; a key is not empty and starts with a letter.
    """
    faults = []
    if len(labels) > MOST_LABELS:
        faults.append(Violation(field, f"{len(labels)} labels; at most {MOST_LABELS} are allowed."))
    allowed = f"up to {LABEL_LENGTH} lower case letters, digits, underscores and dashes"
    for key, value in labels.items():
        if not key or not key[0].isalpha() or not _label_text(key):
            faults.append(Violation(field, f'The label key "{_cut(key)}" is not {allowed}, starting with a letter.'))
        elif not _label_text(value):
            faults.append(Violation(f"{field}.{key}", f'The label value "{_cut(value)}" is not {allowed}.'))
    return faults


def display_name_faults(display_name: str, field: str) -> list[Violation]:
    """Check a display name's length."""
    if len(display_name) <= DISPLAY_NAME_LENGTH:
        return []
    return [Violation(field, f"{len(display_name)} characters; at most {DISPLAY_NAME_LENGTH} are allowed.")]


def form_faults(service_account: str, network: str, field: str) -> list[Violation]:
    """Check the forms of a service account's email and of a network's name; both may be empty."""
    faults = []
    if service_account and not _SERVICE_ACCOUNT.fullmatch(service_account):
        faults.append(Violation(f"{field}.service_account", f'"{_cut(service_account)}" is no service account email.'))
    if network and not _NETWORK.fullmatch(network):
        form = "projects/{project number}/global/networks/{network}"
        faults.append(Violation(f"{field}.network", f'"{_cut(network)}" is not of the form {form}.'))
    return faults


def encryption_faults(job: Any, location: str, field: str) -> list[Violation]:
    """Check the key of a job's ``encryption_spec``, if it has one: its form, and that it is in the job's location."""
    if not job.HasField("encryption_spec"):
        return []
    key, path = job.encryption_spec.kms_key_name, f"{field}.encryption_spec.kms_key_name"
    match = _KMS_KEY.fullmatch(key)
    if match is None:
        form = "projects/{project}/locations/{location}/keyRings/{ring}/cryptoKeys/{key}"
        return [Violation(path, f'"{_cut(key)}" is not of the form {form}.')]
    if match["location"] != location:
        return [Violation(path, f'The key is in "{_cut(match["location"])}", and the job in "{location}".')]
    return []


def is_bucket_path(uri: str) -> bool:
    """Tell if this is a path in a Cloud Storage bucket: ``gs://bucket`` or ``gs://bucket/prefix``."""
    return _BUCKET_PATH.fullmatch(uri) is not None


def is_object(uri: str) -> bool:
    """Tell if this is an object in a Cloud Storage bucket that a file can stand for."""
    parts = uri.removeprefix("gs://").split("/")
    return is_bucket_path(uri) and len(parts) > 1 and not any(part in ("", ".", "..") or "\0" in part for part in parts)


def json_name(field: str) -> str:
    """A field's name in JSON: ``displayName`` for ``display_name``."""
    return re.sub(r"_([a-z])", lambda match: match[1].upper(), field)


def proto_name(field: str) -> str:
    """A field's name in its proto: ``display_name`` for ``displayName``."""
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in field)


def _label_text(text: str) -> bool:
    return len(text) <= LABEL_LENGTH and all(c in "-_" or (c.isalnum() and c == c.lower()) for c in text)


def _cut(text: str) -> str:
    return text if len(text) <= 150 else f"{text[:150]}..."
