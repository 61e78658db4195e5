"""The messages of PipelineSpec 2.1.0 (``pipeline_spec.proto`` of kfp-pipeline-spec 2.17) as data, and their check.

A PipelineJob carries its spec as a free Struct, so Google's types say nothing about what is inside. Here each message
is a table from its fields' JSON names to their types; :func:`normalise` refuses what does not fit and gives camelCase
names throughout. A test compares the tables with kfp's own descriptors.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from airflow_provider_kedro_vertex.emulator.resources.errors import Violation
from airflow_provider_kedro_vertex.emulator.resources.names import json_name


@dataclass(frozen=True)
class Map:
    """A map from text to values of a type."""

    value: Type


@dataclass(frozen=True)
class ListOf:
    """A repeated field."""

    item: Type


@dataclass(frozen=True)
class Enum:
    """One of these names."""

    names: tuple[str, ...]


Type: TypeAlias = str | Map | ListOf | Enum
"""``string``, ``bool``, ``int``, ``double``, ``duration``, ``struct``, ``value``, or the name of a message below."""

PARAMETER_TYPES = Enum(
    (
        "PARAMETER_TYPE_ENUM_UNSPECIFIED", "NUMBER_DOUBLE", "NUMBER_INTEGER", "STRING", "BOOLEAN", "LIST", "STRUCT",
        "TASK_FINAL_STATUS", "TASK_CONFIG",
    )
)  # fmt: skip
_PRIMITIVE_TYPES = Enum(("PRIMITIVE_TYPE_UNSPECIFIED", "INT", "DOUBLE", "STRING"))
TRIGGER_STRATEGIES = Enum(
    ("TRIGGER_STRATEGY_UNSPECIFIED", "ALL_UPSTREAM_TASKS_SUCCEEDED", "ALL_UPSTREAM_TASKS_COMPLETED")
)
_STRINGS = ListOf("string")
_CONSTANTS = Map("ValueOrRuntimeParameter")

MESSAGES: Mapping[str, Mapping[str, Type]] = {
    "PipelineSpec": {
        "pipelineInfo": "PipelineInfo", "deploymentSpec": "PipelineDeploymentConfig", "sdkVersion": "string",
        "schemaVersion": "string", "components": Map("ComponentSpec"), "root": "ComponentSpec",
        "defaultPipelineRoot": "string",
    },
    "PipelineInfo": {"name": "string", "displayName": "string", "description": "string"},
    "ComponentSpec": {
        "inputDefinitions": "ComponentInputsSpec", "outputDefinitions": "ComponentOutputsSpec", "dag": "DagSpec",
        "executorLabel": "string", "singlePlatformSpecs": ListOf("struct"), "taskConfigPassthroughs": ListOf("struct"),
    },
    "ComponentInputsSpec": {
        "artifacts": Map("ComponentInputsSpec.ArtifactSpec"), "parameters": Map("ComponentInputsSpec.ParameterSpec"),
    },
    "ComponentInputsSpec.ArtifactSpec": {
        "artifactType": "ArtifactTypeSchema", "isArtifactList": "bool", "isOptional": "bool", "description": "string",
    },
    "ComponentInputsSpec.ParameterSpec": {
        "type": _PRIMITIVE_TYPES, "parameterType": PARAMETER_TYPES, "defaultValue": "value", "isOptional": "bool",
        "description": "string", "literals": ListOf("value"),
    },
    "ComponentOutputsSpec": {
        "artifacts": Map("ComponentOutputsSpec.ArtifactSpec"), "parameters": Map("ComponentOutputsSpec.ParameterSpec"),
    },
    "ComponentOutputsSpec.ArtifactSpec": {
        "artifactType": "ArtifactTypeSchema", "properties": _CONSTANTS, "customProperties": _CONSTANTS,
        "metadata": "struct", "isArtifactList": "bool", "description": "string",
    },
    "ComponentOutputsSpec.ParameterSpec": {
        "type": _PRIMITIVE_TYPES, "parameterType": PARAMETER_TYPES, "description": "string",
    },
    "ArtifactTypeSchema": {
        "schemaTitle": "string", "schemaUri": "string", "instanceSchema": "string", "schemaVersion": "string",
    },
    "DagSpec": {"tasks": Map("PipelineTaskSpec"), "outputs": "DagOutputsSpec"},
    "DagOutputsSpec": {
        "artifacts": Map("DagOutputsSpec.DagOutputArtifactSpec"),
        "parameters": Map("DagOutputsSpec.DagOutputParameterSpec"),
    },
    "DagOutputsSpec.DagOutputArtifactSpec": {"artifactSelectors": ListOf("DagOutputsSpec.ArtifactSelectorSpec")},
    "DagOutputsSpec.ArtifactSelectorSpec": {"producerSubtask": "string", "outputArtifactKey": "string"},
    "DagOutputsSpec.DagOutputParameterSpec": {
        "valueFromParameter": "DagOutputsSpec.ParameterSelectorSpec",
        "valueFromOneof": "DagOutputsSpec.ParameterSelectorsSpec",
    },
    "DagOutputsSpec.ParameterSelectorSpec": {"producerSubtask": "string", "outputParameterKey": "string"},
    "DagOutputsSpec.ParameterSelectorsSpec": {"parameterSelectors": ListOf("DagOutputsSpec.ParameterSelectorSpec")},
    "PipelineTaskSpec": {
        "taskInfo": "PipelineTaskInfo", "inputs": "TaskInputsSpec", "dependentTasks": _STRINGS,
        "cachingOptions": "PipelineTaskSpec.CachingOptions", "componentRef": "ComponentRef",
        "triggerPolicy": "PipelineTaskSpec.TriggerPolicy", "artifactIterator": "ArtifactIteratorSpec",
        "parameterIterator": "ParameterIteratorSpec", "retryPolicy": "PipelineTaskSpec.RetryPolicy",
        "iteratorPolicy": "PipelineTaskSpec.IteratorPolicy",
    },
    "PipelineTaskInfo": {"name": "string"},
    "ComponentRef": {"name": "string"},
    "TaskInputsSpec": {
        "parameters": Map("TaskInputsSpec.InputParameterSpec"), "artifacts": Map("TaskInputsSpec.InputArtifactSpec"),
    },
    "TaskInputsSpec.InputParameterSpec": {
        "taskOutputParameter": "TaskInputsSpec.InputParameterSpec.TaskOutputParameterSpec",
        "runtimeValue": "ValueOrRuntimeParameter", "componentInputParameter": "string",
        "taskFinalStatus": "TaskInputsSpec.InputParameterSpec.TaskFinalStatus", "parameterExpressionSelector": "string",
    },
    "TaskInputsSpec.InputParameterSpec.TaskOutputParameterSpec": {
        "producerTask": "string", "outputParameterKey": "string",
    },
    "TaskInputsSpec.InputParameterSpec.TaskFinalStatus": {"producerTask": "string"},
    "TaskInputsSpec.InputArtifactSpec": {
        "taskOutputArtifact": "TaskInputsSpec.InputArtifactSpec.TaskOutputArtifactSpec",
        "componentInputArtifact": "string",
    },
    "TaskInputsSpec.InputArtifactSpec.TaskOutputArtifactSpec": {
        "producerTask": "string", "outputArtifactKey": "string",
    },
    "PipelineTaskSpec.CachingOptions": {"enableCache": "bool", "cacheKey": "string"},
    "PipelineTaskSpec.TriggerPolicy": {"condition": "string", "strategy": TRIGGER_STRATEGIES},
    "PipelineTaskSpec.RetryPolicy": {
        "maxRetryCount": "int", "backoffDuration": "duration", "backoffFactor": "double",
        "backoffMaxDuration": "duration",
    },
    "PipelineTaskSpec.IteratorPolicy": {"parallelismLimit": "int"},
    "ArtifactIteratorSpec": {"items": "ArtifactIteratorSpec.ItemsSpec", "itemInput": "string"},
    "ArtifactIteratorSpec.ItemsSpec": {"inputArtifact": "string"},
    "ParameterIteratorSpec": {"items": "ParameterIteratorSpec.ItemsSpec", "itemInput": "string"},
    "ParameterIteratorSpec.ItemsSpec": {"raw": "string", "inputParameter": "string"},
    "ValueOrRuntimeParameter": {"constantValue": "Value", "runtimeParameter": "string", "constant": "value"},
    "Value": {"intValue": "int", "doubleValue": "double", "stringValue": "string"},
    "PipelineDeploymentConfig": {"executors": Map("ExecutorSpec")},
    "ExecutorSpec": {
        "container": "PipelineContainerSpec", "importer": "ImporterSpec", "resolver": "struct", "customJob": "struct",
    },
    "ImporterSpec": {
        "artifactUri": "ValueOrRuntimeParameter", "typeSchema": "ArtifactTypeSchema", "properties": _CONSTANTS,
        "customProperties": _CONSTANTS, "metadata": "struct", "reimport": "bool", "downloadToWorkspace": "bool",
    },
    "PipelineContainerSpec": {
        "image": "string", "command": _STRINGS, "args": _STRINGS, "lifecycle": "struct",
        "resources": "PipelineContainerSpec.ResourceSpec", "env": ListOf("PipelineContainerSpec.EnvVar"),
    },
    "PipelineContainerSpec.ResourceSpec": {
        "cpuLimit": "double", "memoryLimit": "double", "cpuRequest": "double", "memoryRequest": "double",
        "resourceCpuLimit": "string", "resourceMemoryLimit": "string", "resourceCpuRequest": "string",
        "resourceMemoryRequest": "string", "accelerator": "PipelineContainerSpec.ResourceSpec.AcceleratorConfig",
    },
    "PipelineContainerSpec.ResourceSpec.AcceleratorConfig": {
        "type": "string", "count": "int", "resourceType": "string", "resourceCount": "string",
    },
    "PipelineContainerSpec.EnvVar": {"name": "string", "value": "string"},
}  # fmt: skip

ONEOFS: Mapping[str, tuple[str, ...]] = {
    "ComponentSpec": ("dag", "executorLabel"),
    "ExecutorSpec": ("container", "importer", "resolver", "customJob"),
    "PipelineTaskSpec": ("artifactIterator", "parameterIterator"),
    "TaskInputsSpec.InputParameterSpec": (
        "taskOutputParameter", "runtimeValue", "componentInputParameter", "taskFinalStatus",
    ),
    "TaskInputsSpec.InputArtifactSpec": ("taskOutputArtifact", "componentInputArtifact"),
    "DagOutputsSpec.DagOutputParameterSpec": ("valueFromParameter", "valueFromOneof"),
    "ValueOrRuntimeParameter": ("constantValue", "runtimeParameter", "constant"),
    "Value": ("intValue", "doubleValue", "stringValue"),
    "ParameterIteratorSpec.ItemsSpec": ("raw", "inputParameter"),
    "ArtifactTypeSchema": ("schemaTitle", "schemaUri", "instanceSchema"),
}  # fmt: skip


def normalise(data: Any, kind: Type, path: str, faults: list[Violation]) -> Any:
    """Check a value against a type and give it in one form; faults are added to the list.

    Names may be camelCase or proto names, as proto3 JSON allows. Durations become seconds, int64 may be text. A value
    that does not fit is left out of the result, so the result is to be used only if no fault was added.
    """
    if isinstance(kind, str) and kind in MESSAGES:
        return _message(data, kind, path, faults)
    if isinstance(kind, Map):
        if not isinstance(data, Mapping):
            faults.append(Violation(path, "must be an object."))
            return {}
        return {key: normalise(value, kind.value, f"{path}.{key}", faults) for key, value in data.items()}
    if isinstance(kind, ListOf):
        if not isinstance(data, list):
            faults.append(Violation(path, "must be a list."))
            return []
        return [normalise(value, kind.item, f"{path}[{at}]", faults) for at, value in enumerate(data)]
    return _scalar(data, kind, path, faults)


def _message(data: Any, kind: str, path: str, faults: list[Violation]) -> dict[str, Any]:
    if not isinstance(data, Mapping):
        faults.append(Violation(path, f"must be an object ({kind})."))
        return {}
    fields = MESSAGES[kind]
    found = {}
    for name, value in data.items():
        field = name if name in fields else json_name(name)
        if field not in fields:
            faults.append(Violation(path, f'has no field "{name[:100]}" ({kind}, PipelineSpec 2.1.0).'))
        elif value is not None or fields[field] == "value":
            found[field] = normalise(value, fields[field], f"{path}.{name}", faults)
    chosen = [name for name in ONEOFS.get(kind, ()) if name in found]
    if len(chosen) > 1:
        faults.append(Violation(path, f"has {' and '.join(chosen)}; only one of them is allowed."))
    return found


def _scalar(data: Any, kind: str | Enum, path: str, faults: list[Violation]) -> Any:
    number = isinstance(data, (int, float)) and not isinstance(data, bool)
    if isinstance(kind, Enum):
        if data in kind.names:
            return data
        faults.append(Violation(path, f"must be one of {', '.join(kind.names)}."))
    elif kind == "int":
        if isinstance(data, str) and data.removeprefix("-").isdecimal() and len(data) < 20:
            return int(data)
        if number and float(data).is_integer():
            return int(data)
        faults.append(Violation(path, "must be a whole number."))
    elif kind == "double":
        if number:
            return float(data)
        faults.append(Violation(path, "must be a number."))
    elif kind == "duration":
        seconds = _seconds(data)
        if seconds is not None:
            return seconds
        faults.append(Violation(path, 'must be a duration in seconds, such as "3.5s".'))
    elif kind == "value" or isinstance(data, {"string": str, "bool": bool, "struct": Mapping}[kind]):
        return data
    else:
        faults.append(Violation(path, f"must be a {kind}."))
    return None


def _seconds(data: Any) -> float | None:
    if not isinstance(data, str) or not data.endswith("s"):
        return None
    whole, _, fraction = data[:-1].partition(".")
    if not whole.isdecimal() or len(whole) > 12 or (fraction and not fraction.isdecimal()):
        return None
    return float(data[:-1])
