"""PipelineSpecs for the tests, written as small graphs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

PARENT = "projects/demo-project/locations/europe-west1"


def container_spec(
    tasks: Mapping[str, Sequence[str]],
    *,
    image: str = "image",
    command: Sequence[str] = ("python",),
    args: Mapping[str, Sequence[str]] | None = None,
    parameters: Mapping[str, Mapping[str, Any]] | None = None,
    task_fields: Mapping[str, Mapping[str, Any]] | None = None,
    container_fields: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """A spec with one container task for each name; ``tasks`` maps a name to those it waits for."""
    inputs = {"parameters": dict(parameters or {})}
    given = {"parameters": {name: {"componentInputParameter": name} for name in inputs["parameters"]}}
    return {
        "pipelineInfo": {"name": "a-pipeline"},
        "schemaVersion": "2.1.0",
        "defaultPipelineRoot": "gs://bucket/root",
        "deploymentSpec": {
            "executors": {
                f"exec-{name}": {
                    "container": {
                        "image": image,
                        "command": list(command),
                        "args": list((args or {}).get(name, [])),
                        **(container_fields or {}),
                    }
                }
                for name in tasks
            }
        },
        "components": {f"comp-{name}": {"executorLabel": f"exec-{name}", "inputDefinitions": inputs} for name in tasks},
        "root": {
            "inputDefinitions": inputs,
            "dag": {
                "tasks": {
                    name: {
                        "taskInfo": {"name": name},
                        "componentRef": {"name": f"comp-{name}"},
                        "dependentTasks": list(upstream),
                        "inputs": given,
                        **(task_fields or {}).get(name, {}),
                    }
                    for name, upstream in tasks.items()
                }
            },
        },
    }


def nested_spec(inner: Mapping[str, Any], after: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Put a spec's root inside a task ``group`` of another DAG, with a container task ``last`` after it."""
    spec: dict[str, Any] = dict(inner)
    spec["components"] = {
        **inner["components"],
        "comp-group": {key: inner["root"][key] for key in ("inputDefinitions", "dag")},
        "comp-last": {"executorLabel": "exec-last"},
    }
    spec["deploymentSpec"] = {
        "executors": {
            **inner["deploymentSpec"]["executors"],
            "exec-last": {"container": {"image": "image", "command": ["python"], "args": ["last"]}},
        }
    }
    inputs = {
        "parameters": {n: {"componentInputParameter": n} for n in inner["root"]["inputDefinitions"]["parameters"]}
    }
    spec["root"] = {
        "inputDefinitions": inner["root"]["inputDefinitions"],
        "dag": {
            "tasks": {
                "group": {"componentRef": {"name": "comp-group"}, "inputs": inputs},
                "last": {"componentRef": {"name": "comp-last"}, "dependentTasks": ["group"], **(after or {})},
            }
        },
    }
    return spec


def body(spec: Mapping[str, Any], values: Mapping[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    """The body of a create request."""
    config = {"gcsOutputDirectory": "gs://bucket/root", "parameterValues": dict(values or {})}
    return {"displayName": "a job", "pipelineSpec": spec, "runtimeConfig": config, **fields}
