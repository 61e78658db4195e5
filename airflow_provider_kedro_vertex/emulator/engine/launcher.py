"""Google's launcher of CustomJobs: a container task of this image is no container, but the CustomJob that it asks for.

``CustomTrainingJobOp`` and ``create_custom_training_job_from_component`` of google-cloud-pipeline-components compile to
such a task. Vertex AI does not run its image either: it reads the payload itself, and says "Failed to parse the
container spec json payload to requested prototype" of one that it cannot read. What the launcher does on the way is
done here: fields that are empty are left out, ``max_wait_duration`` is for FLEX_START alone, and the labels of the
PipelineJob (``VERTEX_AI_PIPELINES_RUN_LABELS``) are added, those of the payload first. Read from
``container/v1/custom_job/remote_runner.py`` and ``container/v1/gcp_launcher`` of version 2.22.0.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from airflow_provider_kedro_vertex.emulator.resources import names
from airflow_provider_kedro_vertex.emulator.resources.errors import ApiError, Violation, invalid_argument
from airflow_provider_kedro_vertex.emulator.resources.protos import CustomJob, Message, from_json, parse_json
from airflow_provider_kedro_vertex.emulator.spec import job_spec

GCP_RESOURCES = "gcp_resources"
"""The launcher's argument for the file, and the component's output, that names the CustomJob."""

_IMAGE = re.compile(r"gcr\.io/ml-pipeline/google-cloud-pipeline-components(?::[^@]+)?(?:@sha256:[0-9a-f]+)?")
_MODULES = tuple(
    f"google_cloud_pipeline_components.container.v1.{room}.launcher" for room in ("custom_job", "gcp_launcher")
)
_TYPE = "CustomJob"


@dataclass(frozen=True)
class Launch:
    """What a launcher is asked for.

    :param job: the CustomJob, with its name, as it is created.
    :param resources_file: the path of the file that names it; empty if none is asked for.
    """

    job: Message
    resources_file: str

    @property
    def resources(self) -> str:
        """The text of that file: ``gcp_resources.proto`` in JSON."""
        location = names.resource(self.job.name, names.CUSTOM_JOBS).location
        uri = f"https://{location}-aiplatform.googleapis.com/v1/{self.job.name}"
        return json.dumps({"resources": [{"resourceType": _TYPE, "resourceUri": uri}]}, indent=2)


def is_launcher(image: str, command: Sequence[str], args: Sequence[str]) -> bool:
    """True for a container that launches a CustomJob. The image has launchers of other kinds, which are containers."""
    if _IMAGE.fullmatch(image) is None or not any(module in command for module in _MODULES):
        return False
    return _arguments(args).get("type") == _TYPE


def image_of(args: Sequence[str]) -> str:
    """The image of the CustomJob's first pool; empty if the payload does not say, which :func:`read` tells."""
    try:
        pool = _payload(_arguments(args))["job_spec"]["worker_pool_specs"][0]
        if "python_package_spec" in pool:
            return str(pool["python_package_spec"]["executor_image_uri"])
        return str(pool["container_spec"]["image_uri"])
    except (ApiError, LookupError, TypeError):
        return ""


def read(args: Sequence[str], labels: Mapping[str, str]) -> Launch:
    """Read what a launcher is asked for, as strictly as ``CreateCustomJob`` does.

    :param labels: those of the PipelineJob.
    :raises ApiError: the arguments, the payload or the job is wrong, or not run here.
    """
    given = _arguments(args)
    parent = f"projects/{given.get('project', '')}/locations/{given.get('location', '')}"
    _, location = names.location(parent)
    data = _without_empty(_payload(given))
    data["labels"] = {**labels, **data.get("labels", {})}
    scheduling = data.get("job_spec", {}).get("scheduling", {})
    if scheduling.get("strategy", "FLEX_START") != "FLEX_START":
        scheduling.pop("max_wait_duration", None)
    job = CustomJob()
    from_json(job, data, "custom_job")
    job_spec.check(job, location)
    job.name = f"{parent}/{names.CUSTOM_JOBS}/{names.generated_number()}"
    return Launch(job, given.get(GCP_RESOURCES, ""))


def _arguments(args: Sequence[str]) -> dict[str, str]:
    """The options of a command line: ``--name value`` or ``--name=value``."""
    given, words = {}, iter(args)
    for word in words:
        if word.startswith("--"):
            name, equals, value = word.removeprefix("--").partition("=")
            given[name] = value if equals else next(words, "")
    return given


def _payload(given: Mapping[str, str]) -> dict[str, Any]:
    text = given.get("payload", "")
    try:
        data = parse_json(text.encode())
    except ValueError as error:
        reason: object = error
    else:
        if isinstance(data, dict):
            return data
        reason = "it is no JSON object"
    shown = text if len(text) <= 1000 else f"{text[:1000]}..."
    raise invalid_argument(
        Violation(
            "", f"Failed to parse the container spec json payload to requested prototype: {reason}.  Payload: {shown}"
        )
    )


def _without_empty(value: Any) -> Any:
    """Leave out the fields of objects that are empty, null, false or 0, and what is empty without them."""
    if isinstance(value, dict):
        cleaned = ((key, _without_empty(item)) for key, item in value.items())
        return {key: item for key, item in cleaned if item}
    if isinstance(value, list):
        items = [_without_empty(item) for item in value]
        return [item for item in items if item or isinstance(item, str | int | float)]
    return value
