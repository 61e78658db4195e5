"""The tables against kfp's own descriptors: the emulator must know each field that a compiler may write."""

from __future__ import annotations

from typing import Any

import pytest
from kfp.pipeline_spec import pipeline_spec_pb2

from airflow_provider_kedro_vertex.emulator.resources.errors import Violation
from airflow_provider_kedro_vertex.emulator.spec.schema import MESSAGES, ONEOFS, Enum, ListOf, Map, Type, normalise

SCALARS = {1: "double", 3: "int", 5: "int", 8: "bool", 9: "string"}
WELL_KNOWN = {
    "google.protobuf.Struct": "struct",
    "google.protobuf.Value": "value",
    "google.protobuf.Duration": "duration",
}
# The proto has a Struct here, and the message inside it; or messages that this emulator does not read.
READ_OTHERWISE = {
    ("PipelineSpec", "deploymentSpec"): "PipelineDeploymentConfig",
    ("ComponentSpec", "singlePlatformSpecs"): ListOf("struct"),
    ("ComponentSpec", "taskConfigPassthroughs"): ListOf("struct"),
    ("ExecutorSpec", "resolver"): "struct",
    ("ExecutorSpec", "customJob"): "struct",
    ("PipelineContainerSpec", "lifecycle"): "struct",
}


def descriptor(name: str) -> Any:
    prefix = (
        "PipelineDeploymentConfig."
        if name.startswith(("ExecutorSpec", "ImporterSpec", "PipelineContainerSpec"))
        else ""
    )
    return pipeline_spec_pb2.DESCRIPTOR.pool.FindMessageTypeByName(f"ml_pipelines.{prefix}{name}")


def kind_of(field: Any) -> Type:
    if field.enum_type is not None:
        return Enum(tuple(value.name for value in field.enum_type.values))
    if field.message_type is None:
        return SCALARS[field.type]
    full = field.message_type.full_name
    return WELL_KNOWN.get(full) or full.removeprefix("ml_pipelines.").removeprefix("PipelineDeploymentConfig.")


def type_of(field: Any) -> Type:
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        return Map(kind_of(field.message_type.fields_by_name["value"]))
    return ListOf(kind_of(field)) if field.is_repeated else kind_of(field)


@pytest.mark.parametrize("name", list(MESSAGES))
def test_each_message_has_the_fields_of_the_proto(name: str) -> None:
    wanted = {
        field.json_name: READ_OTHERWISE.get((name, field.json_name)) or type_of(field)
        for field in descriptor(name).fields
    }
    assert dict(MESSAGES[name]) == wanted


def test_the_oneofs_are_those_of_the_proto() -> None:
    wanted = {
        name: tuple(field.json_name for field in oneof.fields) for name in MESSAGES for oneof in descriptor(name).oneofs
    }
    assert dict(ONEOFS) == wanted


def test_proto_names_become_json_names() -> None:
    faults: list[Violation] = []
    found = normalise({"pipeline_info": {"display_name": "x"}}, "PipelineSpec", "spec", faults)
    assert (found, faults) == ({"pipelineInfo": {"displayName": "x"}}, [])


@pytest.mark.parametrize(
    ("data", "field", "said"),
    [
        ({"foo": 1}, "spec", 'no field "foo"'),
        ({"pipelineInfo": []}, "spec.pipelineInfo", "object"),
        ({"components": []}, "spec.components", "object"),
        ({"root": {"dag": {"tasks": {"a": {"dependentTasks": "b"}}}}}, "spec.root.dag.tasks.a.dependentTasks", "list"),
        ({"schemaVersion": 2}, "spec.schemaVersion", "string"),
        ({"root": {"dag": {}, "executorLabel": "x"}}, "spec.root", "only one"),
        (
            {"root": {"inputDefinitions": {"parameters": {"p": {"parameterType": "TEXT"}}}}},
            "spec.root.inputDefinitions.parameters.p.parameterType",
            "one of",
        ),
        (
            {"root": {"dag": {"tasks": {"a": {"retryPolicy": {"backoffDuration": "5m"}}}}}},
            "spec.root.dag.tasks.a.retryPolicy.backoffDuration",
            "duration",
        ),
        (
            {"root": {"dag": {"tasks": {"a": {"retryPolicy": {"maxRetryCount": 1.5}}}}}},
            "spec.root.dag.tasks.a.retryPolicy.maxRetryCount",
            "whole",
        ),
        (
            {"root": {"dag": {"tasks": {"a": {"cachingOptions": {"enableCache": "yes"}}}}}},
            "spec.root.dag.tasks.a.cachingOptions.enableCache",
            "bool",
        ),
        (
            {"deploymentSpec": {"executors": {"e": {"container": {"resources": {"cpuLimit": True}}}}}},
            "spec.deploymentSpec.executors.e.container.resources.cpuLimit",
            "number",
        ),
    ],
)
def test_what_does_not_fit_is_named_with_its_place(data: Any, field: str, said: str) -> None:
    faults: list[Violation] = []
    normalise(data, "PipelineSpec", "spec", faults)
    assert [fault.field for fault in faults] == [field]
    assert said in faults[0].description


def test_durations_and_numbers() -> None:
    faults: list[Violation] = []
    policy = {"maxRetryCount": "3", "backoffDuration": "1.5s", "backoffFactor": 2}
    assert normalise(policy, "PipelineTaskSpec.RetryPolicy", "p", faults) == {
        "maxRetryCount": 3,
        "backoffDuration": 1.5,
        "backoffFactor": 2.0,
    }
    assert not faults
