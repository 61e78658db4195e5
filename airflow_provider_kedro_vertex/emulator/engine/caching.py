"""The cache key of a task: two tasks with the same key are the same, so one may take the other's outputs.

As Vertex AI documents it (https://cloud.google.com/vertex-ai/docs/pipelines/configure-caching): the values of the
inputs, the names and types of the outputs, and the component's image, command, arguments and variables; or, in place of
inputs and command, a key of the task's own. Only pipelines of the same name in the same location share.
"""

from __future__ import annotations

import hashlib
import json

from airflow_provider_kedro_vertex.emulator.engine.runs import Inputs, Run
from airflow_provider_kedro_vertex.emulator.resources import names
from airflow_provider_kedro_vertex.emulator.resources.protos import Message, to_json
from airflow_provider_kedro_vertex.emulator.spec.graph import Component, Task


def cache_key(run: Run, task: Task, inputs: Inputs) -> str:
    """The key of a container task with these inputs."""
    parent = run.job.name.rpartition(f"/{names.PIPELINE_JOBS}/")[0]
    what = [task.cache_key] if task.cache_key else [repr(task.component.body), _given(inputs)]
    parts = [parent, run.pipeline.name, _interface(task.component), *what]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def import_key(parent: str, artifact: Message) -> str:
    """The key of an imported artifact: two of the same location, URI, type and metadata are one."""
    metadata = json.dumps(to_json(artifact.metadata), sort_keys=True)
    parts = ["import", parent, artifact.uri, artifact.schema_title, artifact.schema_version, metadata]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _interface(component: Component) -> list[str]:
    parameters = (f"{name}: {parameter.type}" for name, parameter in component.output_parameters.items())
    artifacts = (f"{name}: {json.dumps(kind.schema)}" for name, kind in component.output_artifacts.items())
    return [*sorted(parameters), *sorted(artifacts)]


def _given(inputs: Inputs) -> str:
    artifacts = {name: [one.name for one in artifacts] for name, artifacts in inputs.artifacts.items()}
    return json.dumps([inputs.parameters, artifacts], sort_keys=True)
