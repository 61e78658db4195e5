"""A plan becomes a PipelineSpec and the body of a PipelineJob, both plain dicts.

The spec (schema 2.1.0, ``pipeline_spec.proto`` of kfp-pipeline-spec) depends on the plan alone. What differs from run
to run goes into ``runtimeConfig.parameterValues``, so that one spec serves every run and its bytes can be compared.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_provider_kedro_vertex.core.jobs.api import JobBody
from airflow_provider_kedro_vertex.core.jobs.identity import (
    DISPLAY_NAME_LENGTH,
    FINAL_STATUS,
    RUN_CONTEXT,
    RUNTIME_PARAMS,
    RunContext,
)
from airflow_provider_kedro_vertex.core.jobs.job_body import connection, encryption, environment
from airflow_provider_kedro_vertex.core.jobs.launcher import launcher_container, launcher_interface
from airflow_provider_kedro_vertex.core.plan.plan import COMMAND, EXIT_HANDLER_ID, NodeGroup, Plan
from airflow_provider_kedro_vertex.core.settings.nodes import Resources
from airflow_provider_kedro_vertex.core.settings.quantities import cores, gigabytes
from airflow_provider_kedro_vertex.core.settings.run_config import RunConfig
from airflow_provider_kedro_vertex.core.text import json_argument
from airflow_provider_kedro_vertex.version import __version__

SCHEMA_VERSION = "2.1.0"

_INPUTS = (RUN_CONTEXT, RUNTIME_PARAMS)

#: How kfp names what a pipeline inside another one gets from it.
_CHANNEL = "pipelinechannel--"


def pipeline_spec(plan: Plan) -> dict[str, Any]:
    """Write a plan as a PipelineSpec. Key order is fixed, so equal plans give equal bytes.

    With an exit group the others are in a pipeline inside, and the exit task waits for it whatever its outcome: what
    kfp makes of ``dsl.ExitHandler``. Without one the spec is flat.

    A group that asks for what a container of a PipelineJob has no field for, such as a machine type or Spot, is a task
    that launches a CustomJob; see :mod:`.launcher`.

    :raises ConfigError: such a group fits no machine, or two networks are set.
    """
    info = {"name": plan.name}
    if plan.config.description:
        info["description"] = plan.config.description
    executors = {f"exec-{group.task_id}": {"container": _executor(plan, group)} for group in plan.groups}
    components = {f"comp-{group.task_id}": _component(group) for group in plan.groups}
    if plan.exit_group is None:
        tasks = {group.task_id: _task(group) for group in plan.groups}
    else:
        inside = {group.task_id: _task(group, _CHANNEL) for group in plan.groups}
        last = plan.exit_group
        executors[f"exec-{last.task_id}"] = {"container": _executor(plan, last, FINAL_STATUS)}
        components[f"comp-{EXIT_HANDLER_ID}"] = {"dag": {"tasks": inside}, "inputDefinitions": _definitions(_CHANNEL)}
        components[f"comp-{last.task_id}"] = _exit_component(last)
        tasks = {EXIT_HANDLER_ID: _handler(plan.pipeline), last.task_id: _exit_task(last)}
    return {
        "pipelineInfo": info,
        "defaultPipelineRoot": plan.root,
        "schemaVersion": SCHEMA_VERSION,
        "sdkVersion": f"airflow-provider-kedro-vertex-{__version__}",
        "deploymentSpec": {"executors": executors},
        "components": components,
        "root": {
            "inputDefinitions": {
                "parameters": {
                    RUN_CONTEXT: {"parameterType": "STRING"},
                    RUNTIME_PARAMS: {"parameterType": "STRING", "defaultValue": "{}", "isOptional": True},
                }
            },
            "dag": {"tasks": tasks},
        },
    }


def pipeline_job(
    plan: Plan,
    context: RunContext,
    runtime_params: str,
    display_name: str,
    labels: Mapping[str, str],
    spec: Mapping[str, Any] | None = None,
) -> JobBody:
    """Write the body of ``projects.locations.pipelineJobs.create``, API v1.

    With a persistent resource it has ``runtimeConfig.defaultRuntime``, which v1beta1 alone takes.

    :param runtime_params: JSON text, or ``@gs://...`` where it is stored; see :func:`.parameters.to_json`.
    :param display_name: cut to 128 characters.
    :param labels: ready label values, see :func:`.text.label_value`; they win over ``run_config.labels``.
    :param spec: the plan, compiled, if it is at hand.
    :raises ConfigError: two networks are set.
    """
    config = plan.config
    runtime: dict[str, Any] = {
        "gcsOutputDirectory": plan.root,
        "parameterValues": {
            RUNTIME_PARAMS: json_argument(runtime_params),
            RUN_CONTEXT: json_argument(context.to_json()),
        },
    }
    if config.failure_policy:
        runtime["failurePolicy"] = f"PIPELINE_FAILURE_POLICY_FAIL_{config.failure_policy.upper()}"
    if resource := _persistent_resource(config):
        runtime["defaultRuntime"] = {"persistentResourceRuntimeDetail": resource}
    body: dict[str, Any] = {
        "displayName": display_name[:DISPLAY_NAME_LENGTH],
        "labels": {**config.labels, **labels},
        "pipelineSpec": spec or pipeline_spec(plan),
        "runtimeConfig": runtime,
        **connection(config),
        **encryption(config),
    }
    if config.preflight_validations is not None:
        body["preflightValidations"] = config.preflight_validations
    return body


def _executor(plan: Plan, group: NodeGroup, *more: str) -> dict[str, Any]:
    return launcher_container(plan, group) if group.needs_custom_job else _container(plan, group, *more)


def _container(plan: Plan, group: NodeGroup, *more: str) -> dict[str, Any]:
    container: dict[str, Any] = {
        "image": group.image,
        "command": list(COMMAND),
        "args": [
            *group.arguments,
            *("--params", _input(RUNTIME_PARAMS), "--context", _input(RUN_CONTEXT)),
            *(argument for name in more for argument in (f"--{name.replace('_', '-')}", _input(name))),
        ],
        "env": environment(group.settings, plan.experiment_variables),
    }
    if resources := _resources(group.resources):
        container["resources"] = resources
    return container


def _input(name: str) -> str:
    return f"{{{{$.inputs.parameters['{name}']}}}}"


def _resources(wanted: Resources) -> dict[str, Any]:
    # As kfp does since 2.13, each quantity is given twice: as a number, which older backends read, and as written.
    resources: dict[str, Any] = {}
    if wanted.cpu:
        number = cores(wanted.cpu)
        resources |= {"cpuLimit": number, "cpuRequest": number}
        resources |= {"resourceCpuLimit": wanted.cpu, "resourceCpuRequest": wanted.cpu}
    if wanted.memory:
        number = gigabytes(wanted.memory)
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


def _definitions(prefix: str = "") -> dict[str, Any]:
    return {"parameters": {f"{prefix}{name}": {"parameterType": "STRING"} for name in _INPUTS}}


def _inputs(prefix: str = "", outer: str = "") -> dict[str, Any]:
    return {"parameters": {f"{prefix}{name}": {"componentInputParameter": f"{outer}{name}"} for name in _INPUTS}}


def _component(group: NodeGroup) -> dict[str, Any]:
    interface = launcher_interface(_definitions()["parameters"]) if group.needs_custom_job else {}
    return {"executorLabel": f"exec-{group.task_id}", "inputDefinitions": _definitions(), **interface}


def _task(group: NodeGroup, outer: str = "") -> dict[str, Any]:
    task: dict[str, Any] = {
        "taskInfo": {"name": group.name},
        "componentRef": {"name": f"comp-{group.task_id}"},
        "cachingOptions": _caching(group),
        "inputs": _inputs(outer=outer),
    }
    if group.upstream:
        task["dependentTasks"] = list(group.upstream)
    if group.retry and group.retry.num_retries:
        task["retryPolicy"] = {
            "maxRetryCount": group.retry.num_retries,
            "backoffDuration": group.retry.backoff_duration,
            "backoffFactor": group.retry.backoff_factor,
            "backoffMaxDuration": group.retry.backoff_max_duration,
        }
    return task


def _caching(group: NodeGroup) -> dict[str, Any]:
    # Off by default: nodes read and write outside the spec's sight, so a cached result could be stale.
    if not group.settings.caching:
        return {}
    key = group.settings.cache_key
    return {"enableCache": True, **({"cacheKey": key} if key else {})}


def _handler(pipeline: str) -> dict[str, Any]:
    return {
        "taskInfo": {"name": pipeline},
        "componentRef": {"name": f"comp-{EXIT_HANDLER_ID}"},
        "inputs": _inputs(_CHANNEL),
    }


def _exit_component(group: NodeGroup) -> dict[str, Any]:
    component = _component(group)
    component["inputDefinitions"]["parameters"][FINAL_STATUS] = {
        "parameterType": "TASK_FINAL_STATUS",
        "isOptional": True,
    }
    return component


def _exit_task(group: NodeGroup) -> dict[str, Any]:
    task = _task(group)
    task["inputs"]["parameters"][FINAL_STATUS] = {"taskFinalStatus": {"producerTask": EXIT_HANDLER_ID}}
    return {
        **task,
        "dependentTasks": [EXIT_HANDLER_ID],
        "triggerPolicy": {"strategy": "ALL_UPSTREAM_TASKS_COMPLETED"},
    }


def _persistent_resource(config: RunConfig) -> dict[str, Any]:
    """``PersistentResourceRuntimeDetail`` of the API v1beta1."""
    resource = config.persistent_resource
    if resource is None or not resource.name:
        return {}
    values = {
        "persistentResourceName": resource.name,
        "taskResourceUnavailableWaitTimeMs": resource.wait_ms,
        "taskResourceUnavailableTimeoutBehavior": resource.on_unavailable and resource.on_unavailable.upper(),
    }
    return {key: value for key, value in values.items() if value is not None}
