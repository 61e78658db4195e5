"""A node group becomes a CustomJob inside of a PipelineJob: a task of Google's launcher.

In the form that google-cloud-pipeline-components compiles for ``CustomTrainingJobOp``: a container whose arguments have
the CustomJob as JSON with placeholders in it. Vertex AI makes the CustomJob, waits for it and cancels it with the
PipelineJob; the labels of the PipelineJob are added to its own.

A placeholder of a parameter is filled in as text, so that a quote in a value would break the JSON around it. The
command therefore gets all of its inputs as the executor input, for which Google's components have the one placeholder
that is escaped. Decision 23 tells more.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from airflow_provider_kedro_vertex.core.jobs.attempts import KEY_LABEL, LAUNCHED
from airflow_provider_kedro_vertex.core.jobs.custom_job import job_spec
from airflow_provider_kedro_vertex.core.jobs.identity import DISPLAY_NAME_LENGTH, GROUP_LABEL
from airflow_provider_kedro_vertex.core.jobs.job_body import encryption
from airflow_provider_kedro_vertex.core.plan.plan import NodeGroup, Plan

_IMAGE = "gcr.io/ml-pipeline/google-cloud-pipeline-components:2.22.0"
_COMMAND = ("python3", "-u", "-m", "google_cloud_pipeline_components.container.v1.custom_job.launcher")

_PAYLOAD = "--payload"
#: The output that names the CustomJob: ``gcp_resources.proto`` of google-cloud-pipeline-components, in JSON.
_GCP_RESOURCES = "gcp_resources"
#: The launcher's inputs, which Vertex AI fills in from the PipelineJob; the account is the default one if it has none.
_INPUTS = {
    "project": "{{$.pipeline_google_cloud_project_id}}",
    "location": "{{$.pipeline_google_cloud_location}}",
    "service_account": "{{$.pipeline_service_account}}",
}
#: The option of the command that has all of its inputs, KFP's ``ExecutorInput``.
EXECUTOR_INPUT_OPTION = "--executor-input"
_EXECUTOR_INPUT = "{{$.json_escape[1]}}"
_JOB_NAME = "{{$.pipeline_job_name}}"


def launcher_container(plan: Plan, group: NodeGroup) -> dict[str, Any]:
    """Write the container that launches the CustomJob of a node group.

    :raises ConfigError: no machine fits, or two networks are set.
    """
    return {
        "image": _IMAGE,
        "command": list(_COMMAND),
        "args": [
            *("--type", "CustomJob"),
            *(_PAYLOAD, _payload(plan, group)),
            *("--project", _input("project")),
            *("--location", _input("location")),
            *(f"--{_GCP_RESOURCES}", f"{{{{$.outputs.parameters['{_GCP_RESOURCES}'].output_file}}}}"),
        ],
    }


def launcher_interface(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Write the inputs and outputs of its component.

    :param inputs: the definitions of those that the CustomJob's command reads.
    """
    own = {
        name: {"parameterType": "STRING", "defaultValue": placeholder, "isOptional": True}
        for name, placeholder in _INPUTS.items()
    }
    return {
        "inputDefinitions": {"parameters": {**inputs, **own}},
        "outputDefinitions": {"parameters": {_GCP_RESOURCES: {"parameterType": "STRING"}}},
    }


def launched_container(container: Mapping[str, Any]) -> Mapping[str, Any]:
    """The container of the CustomJob that a launcher makes, with its placeholders; any other container as it is.

    :param container: of a PipelineSpec, perhaps one of another package.
    """
    pools = launched_pools(container)
    try:
        found = pools[0]["container_spec"]
        return {"image": found["image_uri"], "args": found.get("args", []), "env": found.get("env", [])}
    except (LookupError, TypeError):
        return container


def launched_pools(container: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The worker pools of the CustomJob that a launcher makes, in the names of its payload; none for another one."""
    arguments = list(container.get("args", ()))
    if list(container.get("command", ())) != list(_COMMAND) or _PAYLOAD not in arguments[:-1]:
        return []
    try:
        pools = json.loads(arguments[arguments.index(_PAYLOAD) + 1])["job_spec"]["worker_pool_specs"]
    except (ValueError, LookupError, TypeError):  # a payload with other placeholders in it
        return []
    return [pool for pool in pools if isinstance(pool, dict)] if isinstance(pools, list) else []


def _payload(plan: Plan, group: NodeGroup) -> str:
    output = f"{plan.root}/{_JOB_NAME}/{group.task_id}"
    spec = job_spec(plan, group, plan.config.region, (EXECUTOR_INPUT_OPTION, _EXECUTOR_INPUT), output)
    job = {
        "display_name": f"{plan.name}-{group.task_id}"[:DISPLAY_NAME_LENGTH],
        "job_spec": _snake_case({**spec, "serviceAccount": _input("service_account")}),
        "labels": {**plan.config.labels, GROUP_LABEL: group.task_id[:63].strip("-"), KEY_LABEL: LAUNCHED},
        **_snake_case(encryption(plan.config)),
    }
    # The sign is written in JSON's own other way, so that no value reads as a placeholder, or as a reference to a
    # variable of the launcher's container.
    text = json.dumps(job, ensure_ascii=False).replace("$", "\\u0024")
    for placeholder in (_input("service_account"), _EXECUTOR_INPUT, _JOB_NAME):
        text = text.replace(placeholder.replace("$", "\\u0024"), placeholder)
    return text


def _input(name: str) -> str:
    return f"{{{{$.inputs.parameters['{name}']}}}}"


def _snake_case(value: Any) -> Any:
    """Write the fields of a message in the form that Google's components use, at every depth."""
    if isinstance(value, list):
        return [_snake_case(item) for item in value]
    if isinstance(value, dict):
        return {re.sub("[A-Z]", lambda sign: f"_{sign[0].lower()}", key): _snake_case(value[key]) for key in value}
    return value
