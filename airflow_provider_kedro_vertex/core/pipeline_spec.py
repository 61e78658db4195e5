"""A plan becomes a PipelineSpec and the body of a PipelineJob, both plain dicts.

The spec (schema 2.1.0, ``pipeline_spec.proto`` of kfp-pipeline-spec) depends on the plan alone. What differs from run
to run goes into ``runtimeConfig.parameterValues``, so that one spec serves every run and its bytes can be compared.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_provider_kedro_vertex.core.config import Resources
from airflow_provider_kedro_vertex.core.identity import DISPLAY_NAME_LENGTH, RunContext
from airflow_provider_kedro_vertex.core.plan import COMMAND, NodeGroup, Plan
from airflow_provider_kedro_vertex.core.quantities import cores, gigabytes
from airflow_provider_kedro_vertex.version import __version__

SCHEMA_VERSION = "2.1.0"
RUNTIME_PARAMS = "runtime_params"
RUN_CONTEXT = "run_context"


def pipeline_spec(plan: Plan) -> dict[str, Any]:
    """Write a plan as a PipelineSpec. Key order is fixed, so equal plans give equal bytes."""
    info = {"name": plan.name}
    if plan.config.description:
        info["description"] = plan.config.description
    return {
        "pipelineInfo": info,
        "defaultPipelineRoot": plan.root,
        "schemaVersion": SCHEMA_VERSION,
        "sdkVersion": f"airflow-provider-kedro-vertex-{__version__}",
        "deploymentSpec": {
            "executors": {f"exec-{group.task_id}": {"container": _container(group)} for group in plan.groups}
        },
        "components": {f"comp-{group.task_id}": _component(group) for group in plan.groups},
        "root": {
            "inputDefinitions": {
                "parameters": {
                    RUN_CONTEXT: {"parameterType": "STRING"},
                    RUNTIME_PARAMS: {"parameterType": "STRING", "defaultValue": "{}", "isOptional": True},
                }
            },
            "dag": {"tasks": {group.task_id: _task(group) for group in plan.groups}},
        },
    }


def pipeline_job(
    plan: Plan, context: RunContext, runtime_params: str, display_name: str, labels: Mapping[str, str]
) -> dict[str, Any]:
    """Write the body of ``projects.locations.pipelineJobs.create`` (Vertex AI API v1).

    :param runtime_params: JSON text; see :func:`.parameters.to_json`.
    :param display_name: cut to 128 characters.
    :param labels: ready label values; see :func:`.identity.label_value`.
    """
    body: dict[str, Any] = {
        "displayName": display_name[:DISPLAY_NAME_LENGTH],
        "labels": dict(labels),
        "pipelineSpec": pipeline_spec(plan),
        "runtimeConfig": {
            "gcsOutputDirectory": plan.root,
            "parameterValues": {RUNTIME_PARAMS: runtime_params, RUN_CONTEXT: context.to_json()},
        },
    }
    if plan.config.service_account:
        body["serviceAccount"] = plan.config.service_account
    return body


def _container(group: NodeGroup) -> dict[str, Any]:
    container: dict[str, Any] = {
        "image": group.image,
        "command": list(COMMAND),
        "args": [*group.arguments, "--params", _input(RUNTIME_PARAMS), "--context", _input(RUN_CONTEXT)],
    }
    resources = _resources(group.resources)
    if resources:
        container["resources"] = resources
    return container


def _input(name: str) -> str:
    return f"{{{{$.inputs.parameters['{name}']}}}}"


def _resources(wanted: Resources) -> dict[str, Any]:
    # As kfp does since 2.13, each quantity is given twice: as a number, which older backends read, and as written.
    resources: dict[str, Any] = {}
    if wanted.cpu:
        number = cores(wanted.cpu, "cpu")
        resources |= {"cpuLimit": number, "cpuRequest": number}
        resources |= {"resourceCpuLimit": wanted.cpu, "resourceCpuRequest": wanted.cpu}
    if wanted.memory:
        number = gigabytes(wanted.memory, "memory")
        resources |= {"memoryLimit": number, "memoryRequest": number}
        resources |= {"resourceMemoryLimit": wanted.memory, "resourceMemoryRequest": wanted.memory}
    if wanted.gpu not in (None, "0"):
        kind, count = wanted.accelerator_type, wanted.gpu
        resources["accelerator"] = {
            "type": kind,
            "count": count,
            "resourceType": kind,
            "resourceCount": count,
        }
    return resources


def _component(group: NodeGroup) -> dict[str, Any]:
    return {
        "executorLabel": f"exec-{group.task_id}",
        "inputDefinitions": {
            "parameters": {name: {"parameterType": "STRING"} for name in (RUN_CONTEXT, RUNTIME_PARAMS)}
        },
    }


def _task(group: NodeGroup) -> dict[str, Any]:
    task: dict[str, Any] = {
        "taskInfo": {"name": group.name},
        "componentRef": {"name": f"comp-{group.task_id}"},
        # Nodes read and write outside the spec's sight, so a cached result could be stale.
        "cachingOptions": {},
        "inputs": {"parameters": {name: {"componentInputParameter": name} for name in (RUN_CONTEXT, RUNTIME_PARAMS)}},
    }
    if group.upstream:
        task["dependentTasks"] = list(group.upstream)
    return task
