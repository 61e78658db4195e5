"""The containers that a job asks for, read back from what pipeline_spec.py and custom_job.py wrote."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from airflow_provider_kedro_vertex.core.jobs.api import Job
from airflow_provider_kedro_vertex.core.jobs.identity import GROUP_LABEL, RUN_CONTEXT, RUNTIME_PARAMS
from airflow_provider_kedro_vertex.core.jobs.launcher import EXECUTOR_INPUT_OPTION, launched_container, launched_pools
from airflow_provider_kedro_vertex.core.settings.nodes import Resources

_INPUT = re.compile(r"\{\{\$\.inputs\.parameters\['(\w+)'\]\}\}")


@dataclass(frozen=True)
class Container:
    """A node group's container.

    :param image: as the job names it.
    :param arguments: what follows the command, with the run's own values. The outcome of the others, which an
        exit pipeline is told, is not among them: Vertex AI gives it to the container alone.
    :param env: the variables that the job sets.
    """

    image: str
    arguments: tuple[str, ...]
    env: Mapping[str, str]

    @property
    def nodes(self) -> tuple[str, ...]:
        """The names of its nodes."""
        return values(self.arguments, "--node")


def containers(job: Job) -> dict[str, Container]:
    """Read what a job asks for: task id to container. A container that is told no node is not of this package.

    :param job: as Vertex AI tells it, whole.
    """
    if "/customJobs/" in job["name"]:
        spec: Any = job.get("jobSpec", {})
        pool: dict[str, Any] = (spec.get("workerPoolSpecs") or [{}])[0]
        container = pool.get("containerSpec", {})
        name = job.get("labels", {}).get(GROUP_LABEL) or job.get("displayName", "")
        return {name: _container(container, {})} if _is_ours(container) else {}
    runtime: Any = job.get("runtimeConfig", {})
    executors: Mapping[str, Any] = job.get("pipelineSpec", {}).get("deploymentSpec", {}).get("executors", {})
    parameters: Mapping[str, Any] = runtime.get("parameterValues", {})
    asked_for = {name: launched_container(executor.get("container", {})) for name, executor in executors.items()}
    return {
        name.removeprefix("exec-"): _container(container, parameters)
        for name, container in asked_for.items()
        if _is_ours(container)
    }


def asked_resources(job: Job, group: str) -> Resources:
    """What the container of a node group asks for; of a CustomJob, also one that is launched, its first machine.

    :param job: as Vertex AI tells it, whole.
    :param group: its task id; of a CustomJob any name.
    """
    return asked_machines(job, group)[0][0]


def asked_machines(job: Job, group: str) -> list[tuple[Resources, int]]:
    """What the machines of a node group ask for, and how many of each there are; at least one.

    :param job: as Vertex AI tells it, whole.
    :param group: its task id; of a CustomJob any name.
    """
    if "/customJobs/" in job["name"]:
        spec: Any = job.get("jobSpec", {})
        pools = spec.get("workerPoolSpecs") or [{}]
        return [(_machine(pool.get("machineSpec", {})), int(pool.get("replicaCount", 1))) for pool in pools]
    executors = job.get("pipelineSpec", {}).get("deploymentSpec", {}).get("executors", {})
    container = executors.get(f"exec-{group}", {}).get("container", {})
    if pools := launched_pools(container):
        return [(_launched_machine(pool.get("machine_spec", {})), int(pool.get("replica_count", 1))) for pool in pools]
    limits = container.get("resources", {})
    accelerator = limits.get("accelerator", {})
    asked_for = Resources(
        cpu=limits.get("resourceCpuLimit"),
        memory=limits.get("resourceMemoryLimit"),
        accelerator_type=accelerator.get("resourceType"),
        gpu=accelerator.get("resourceCount"),
    )
    return [(asked_for, 1)]


def _machine(spec: Mapping[str, Any]) -> Resources:
    cards = spec.get("acceleratorCount")
    return Resources(
        machine_type=spec.get("machineType"),
        accelerator_type=spec.get("acceleratorType"),
        gpu=str(cards) if cards else None,
    )


def _launched_machine(spec: Mapping[str, Any]) -> Resources:
    names = {
        "machine_type": "machineType",
        "accelerator_type": "acceleratorType",
        "accelerator_count": "acceleratorCount",
    }
    return _machine({names[name]: value for name, value in spec.items() if name in names})


def values(arguments: Sequence[str], option: str) -> tuple[str, ...]:
    """The values that an option has among a container's arguments, where each option has a value."""
    return tuple(value for name, value in zip(arguments[::2], arguments[1::2], strict=False) if name == option)


def _is_ours(container: Mapping[str, Any]) -> bool:
    return "--node" in container.get("args", ())[::2]


def _of_executor_input(text: str, parameters: Mapping[str, Any]) -> list[str]:
    """The options that a launched CustomJob reads from its executor input, which is a placeholder in a PipelineSpec."""
    with suppress(ValueError, LookupError, TypeError):
        parameters = json.loads(text)["inputs"]["parameterValues"]
    options = (("--params", RUNTIME_PARAMS), ("--context", RUN_CONTEXT))
    return [word for option, name in options if name in parameters for word in (option, str(parameters[name]))]


def _container(spec: Mapping[str, Any], parameters: Mapping[str, Any]) -> Container:
    given: list[str] = []
    for argument in spec.get("args", ()):
        name = _INPUT.fullmatch(argument)
        if given[-1:] == [EXECUTOR_INPUT_OPTION]:
            given[-1:] = _of_executor_input(argument, parameters)
        elif name is None:
            given.append(argument)
        elif name[1] in parameters:
            given.append(str(parameters[name[1]]))
        else:  # the value of an option that has none here
            given.pop()
    # A dollar sign that began no reference to a variable was written twice.
    env = {each["name"]: each.get("value", "").replace("$$", "$") for each in spec.get("env", ())}
    return Container(spec.get("imageUri") or spec.get("image", ""), tuple(given), env)
