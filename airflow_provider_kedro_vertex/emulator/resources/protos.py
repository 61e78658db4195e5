"""The messages of Vertex AI v1, from Google's own client, and their JSON.

Only the types of ``google.cloud.aiplatform_v1`` are used, and of these the plain protobuf classes beneath the
proto-plus wrappers, which are several times faster. Importing them executes the client package's ``__init__`` with
every service in it: about a second and 110 MB, measured with google-cloud-aiplatform 2.7.0. The only ways around it
replace the package in ``sys.modules``, which would break a test that uses the real client in the same process.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from google.cloud.aiplatform_v1 import types
from google.longrunning import operations_pb2
from google.protobuf import empty_pb2, field_mask_pb2, json_format, message_factory, struct_pb2, timestamp_pb2

from airflow_provider_kedro_vertex.emulator.resources.errors import (
    Violation,
    invalid_argument,
    invalid_value,
    unknown_name,
)
from airflow_provider_kedro_vertex.emulator.resources.names import json_name, proto_name

Message = Any
"""A protobuf message. Its class is made at run time, so the type checker cannot know its fields."""


def _plain(wrapper: Any) -> Any:
    return type(wrapper.pb(wrapper()))


PipelineJob = _plain(types.PipelineJob)
PipelineTaskDetail = _plain(types.PipelineTaskDetail)
ListPipelineJobsResponse = _plain(types.ListPipelineJobsResponse)
BatchCancelPipelineJobsResponse = _plain(types.BatchCancelPipelineJobsResponse)
BatchCancelPipelineJobsOperationMetadata = _plain(types.BatchCancelPipelineJobsOperationMetadata)
BatchDeletePipelineJobsResponse = _plain(types.BatchDeletePipelineJobsResponse)
AcceleratorType = _plain(types.MachineSpec).DESCRIPTOR.fields_by_name["accelerator_type"].enum_type
CustomJob = _plain(types.CustomJob)
ListCustomJobsResponse = _plain(types.ListCustomJobsResponse)
Schedule = _plain(types.Schedule)
ListSchedulesResponse = _plain(types.ListSchedulesResponse)
TrainingPipeline = _plain(types.TrainingPipeline)
ListTrainingPipelinesResponse = _plain(types.ListTrainingPipelinesResponse)
PersistentResource = _plain(types.PersistentResource)
ListPersistentResourcesResponse = _plain(types.ListPersistentResourcesResponse)
CreatePersistentResourceOperationMetadata = _plain(types.CreatePersistentResourceOperationMetadata)
MetadataStore = _plain(types.MetadataStore)
ListMetadataStoresResponse = _plain(types.ListMetadataStoresResponse)
CreateMetadataStoreOperationMetadata = _plain(types.CreateMetadataStoreOperationMetadata)
DeleteMetadataStoreOperationMetadata = _plain(types.DeleteMetadataStoreOperationMetadata)
Artifact = _plain(types.Artifact)
Context = _plain(types.Context)
Execution = _plain(types.Execution)
Event = _plain(types.Event)
LineageSubgraph = _plain(types.LineageSubgraph)
AddContextArtifactsAndExecutionsResponse = _plain(types.AddContextArtifactsAndExecutionsResponse)
AddContextChildrenResponse = _plain(types.AddContextChildrenResponse)
RemoveContextChildrenResponse = _plain(types.RemoveContextChildrenResponse)
AddExecutionEventsResponse = _plain(types.AddExecutionEventsResponse)
DeleteOperationMetadata = _plain(types.DeleteOperationMetadata)
Operation = operations_pb2.Operation
GetOperationRequest = operations_pb2.GetOperationRequest
WaitOperationRequest = operations_pb2.WaitOperationRequest
ListOperationsRequest = operations_pb2.ListOperationsRequest
ListOperationsResponse = operations_pb2.ListOperationsResponse
Empty = empty_pb2.Empty
Struct = struct_pb2.Struct


def vertex_message(name: str) -> Any:
    """The class of a message of Vertex AI v1 by its name, such as ``CreateCustomJobRequest``."""
    return _plain(getattr(types, name))


DEEPEST = 30
"""The most objects and lists that may be nested in JSON.

protobuf reads no message with more than 100 others inside each other, of which a level of JSON takes three, and a
task's input in its detail stands seven deep.
"""
_TOO_DEEP = f"more than {DEEPEST} objects and lists stand inside each other"

# Digits that a double always holds, though not exactly.
_LONGEST_INTEGER = 308

_JSON_ERRORS = (json_format.ParseError, ValueError, TypeError, AttributeError, OverflowError, RecursionError)
_TYPE_NAMES = {
    1: "TYPE_DOUBLE", 2: "TYPE_FLOAT", 3: "TYPE_INT64", 5: "TYPE_INT32", 8: "TYPE_BOOL", 9: "TYPE_STRING",
    12: "TYPE_BYTES", 13: "TYPE_UINT32",
}  # fmt: skip


def parse_json(text: bytes) -> Any:
    """Read JSON, and nothing that a protobuf message could not hold and give back.

    :raises ValueError: if it is no JSON (NaN and Infinity are none), has a number that is no double or half of a
        character, or is nested deeper than :data:`DEEPEST`.
    """
    try:
        data = json.loads(text, parse_constant=_no_constant, parse_float=_finite, parse_int=_short)
    except RecursionError:
        raise ValueError(_TOO_DEEP) from None
    if b"\\ud" in text or b"\\uD" in text:
        # Half of a character is no text: protobuf stumbles over it as a field's name.
        json.dumps(data, ensure_ascii=False).encode()
    if is_too_deep(data):
        raise ValueError(_TOO_DEEP)
    return data


def is_too_deep(value: Any) -> bool:
    """Tell if objects and lists are nested more than :data:`DEEPEST` times."""
    inside = [value]
    for _ in range(DEEPEST):
        inside = [
            item
            for one in inside
            if isinstance(one, (dict, list))
            for item in (one.values() if isinstance(one, dict) else one)
            if isinstance(item, (dict, list))
        ]
        if not inside:
            return False
    return True


def parse_body(body: bytes) -> Any:
    """Read a request body as JSON; an empty one is an empty object.

    :raises ApiError: INVALID_ARGUMENT if :func:`parse_json` refuses it.
    """
    if not body.strip():
        return {}
    try:
        return parse_json(body)
    except ValueError as error:
        raise invalid_argument(Violation("", f"Invalid JSON payload received. {error}")) from None


def from_json(message: Message, data: Any, path: str) -> None:
    """Fill a message from proto3 JSON, strictly: an unknown field or a value of another type is refused.

    :param path: where the data stands in the request, in proto names; shown in the errors.
    :raises ApiError: INVALID_ARGUMENT with every field that is wrong.
    """
    try:
        if not isinstance(data, dict):
            raise json_format.ParseError("no object")
        json_format.ParseDict(data, message)
    except _JSON_ERRORS as error:
        faults = _faults(data, message.DESCRIPTOR, path)
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise invalid_argument(*(faults or [Violation(path, reason)])) from None


def to_json(message: Message, enums_as_numbers: bool = False) -> dict[str, Any]:
    """Write a message as Vertex AI does: camelCase, enums by name, int64 as text, empty fields left out."""
    data: dict[str, Any] = _whole(json_format.MessageToDict(message, use_integers_for_enums=enums_as_numbers))
    return data


def json_text(message: Message, enums_as_numbers: bool = False) -> str:
    """Write an answer as JSON text, in the form of :func:`to_json`.

    A spec is most of a job and the same in every run, so its text is kept: a page of a hundred jobs writes it once.

    :param message: not to be used afterwards, since its specs are taken out.
    """
    if isinstance(message, ListPipelineJobsResponse):
        jobs = ", ".join(json_text(job, enums_as_numbers) for job in message.pipeline_jobs)
        parts = [f'"pipelineJobs": [{jobs}]'] if jobs else []
        if message.next_page_token:
            parts.append(f'"nextPageToken": {_text(message.next_page_token)}')
        return f"{{{', '.join(parts)}}}"
    if isinstance(message, PipelineJob) and message.HasField("pipeline_spec"):
        spec = _spec_text(message.pipeline_spec.SerializeToString(deterministic=True))
        message.ClearField("pipeline_spec")
        rest = _text(to_json(message, enums_as_numbers)).removesuffix("}")
        return f'{rest}{"" if rest == "{" else ", "}"pipelineSpec": {spec}}}'
    return _text(to_json(message, enums_as_numbers))


@lru_cache(maxsize=64)
def _spec_text(spec: bytes) -> str:
    return _text(to_json(Struct.FromString(spec)))


def _text(data: Any) -> str:
    return json.dumps(data, ensure_ascii=False)


def parse_mask(text: str) -> Any:
    """Read a field mask from a query: JSON names (``displayName,state``) or proto names; empty or ``*`` is None."""
    paths = [path.strip() for path in text.split(",") if path.strip()]
    if not paths or paths == ["*"]:
        return None
    return field_mask_pb2.FieldMask(paths=[proto_name(path) for path in paths])


def read_mask(mask: Any, message: Message) -> Any:
    """Check a read mask. Below a Struct, as a job's spec is, any key may be named.

    :return: the mask; None if it asks for everything.
    :raises ApiError: INVALID_ARGUMENT for a path that the message does not have.
    """
    if not mask.paths or list(mask.paths) == ["*"]:
        return None
    for path in mask.paths:
        field, _ = _split_at_struct(path, message.DESCRIPTOR)
        if not field_mask_pb2.FieldMask(paths=[field]).IsValidForDescriptor(message.DESCRIPTOR):
            raise invalid_argument(Violation("read_mask", f'"{path[:100]}" is no field of {message.DESCRIPTOR.name}.'))
    return mask


def copy_masked(mask: Any, source: Message, target: Message) -> None:
    """Copy only the fields that a checked mask names."""
    whole = field_mask_pb2.FieldMask()
    for path in mask.paths:
        field, keys = _split_at_struct(path, source.DESCRIPTOR)
        if keys:
            _copy_key(getattr(source, field), keys, getattr(target, field))
        else:
            whole.paths.append(field)
    whole.MergeMessage(source, target)


def _split_at_struct(path: str, descriptor: Any) -> tuple[str, list[str]]:
    # Only a field of the message itself: no Struct lies deeper in what is listed.
    field, _, rest = path.partition(".")
    found = descriptor.fields_by_name.get(field)
    if rest and found is not None and found.message_type is Struct.DESCRIPTOR:
        return field, rest.split(".")
    return path, []


def _copy_key(source: Any, keys: Sequence[str], target: Any) -> None:
    # A mask has proto names (pipeline_spec.pipeline_info); in a spec the same key is in camelCase.
    name = json_name(keys[0])
    if name not in source.fields:
        return
    if len(keys) == 1:
        target.fields[name].CopyFrom(source.fields[name])
    elif source.fields[name].HasField("struct_value"):
        _copy_key(source.fields[name].struct_value, keys[1:], target.fields[name].struct_value)


def without(message: Message, *fields: str) -> Message:
    """A copy of a message that does not have these fields."""
    copy = type(message)()
    copy.CopyFrom(message)
    for field in fields:
        copy.ClearField(field)
    return copy


def now() -> Any:
    """The time, as a Timestamp in whole microseconds, as Vertex AI gives them."""
    seconds, rest = divmod(time.time_ns() // 1000, 1_000_000)
    return timestamp_pb2.Timestamp(seconds=seconds, nanos=rest * 1000)


def microseconds(message: Message, field: str) -> int | None:
    """A timestamp field in microseconds since 1970; None if it is not set."""
    if not message.HasField(field):
        return None
    stamp = getattr(message, field)
    return int(stamp.seconds) * 1_000_000 + int(stamp.nanos) // 1000


def _whole(data: Any) -> Any:
    # A Struct knows only doubles. Google's servers write a whole one as 5, Python's JSON writer as 5.0.
    if isinstance(data, dict):
        return {key: _whole(value) for key, value in data.items()}
    if isinstance(data, list):
        return [_whole(value) for value in data]
    if isinstance(data, float) and data.is_integer() and abs(data) <= 2**53:
        return int(data)
    return data


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON value")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"the number {text[:20]} is too large")
    return number


def _short(text: str) -> int:
    if len(text) > _LONGEST_INTEGER:
        raise ValueError(f"the number {text[:20]}... is too large")
    return int(text)


def _faults(data: Any, descriptor: Any, path: str) -> list[Violation]:
    # The parser stops at the first fault and names it in its own way; here each one is looked for, top down.
    if not isinstance(data, Mapping):
        return [Violation(path, f"Invalid value for {descriptor.name}: {_shown(data)} is no JSON object.")]
    faults: list[Violation] = []
    for name, value in data.items():
        field = descriptor.fields_by_camelcase_name.get(name) or descriptor.fields_by_name.get(name)
        if field is None:
            faults.append(unknown_name(str(name), path))
        elif not _fits(name, value, descriptor):
            faults.extend(_field_faults(field, value, f"{path}.{field.name}"))
    return faults


def _fits(name: str, value: Any, descriptor: Any) -> bool:
    try:
        json_format.ParseDict({name: value}, message_factory.GetMessageClass(descriptor)())
    except _JSON_ERRORS:
        return False
    return True


def _field_faults(field: Any, value: Any, path: str) -> list[Violation]:
    inner = field.message_type
    faults: list[Violation] = []
    if inner is not None and inner.GetOptions().map_entry:
        kind = inner.fields_by_name["value"].message_type
        if _is_own(kind) and isinstance(value, Mapping):
            faults = [fault for key, item in value.items() for fault in _faults(item, kind, f"{path}[{key}]")]
    elif _is_own(inner) and isinstance(value, Sequence) and not isinstance(value, str):
        faults = [fault for at, item in enumerate(value) for fault in _faults(item, inner, f"{path}[{at}]")]
    elif _is_own(inner) and isinstance(value, Mapping):
        faults = _faults(value, inner, path)
    return faults or [invalid_value(path, _type_name(field), _shown(value))]


def _is_own(descriptor: Any) -> bool:
    # Google's well-known types have a JSON form of their own, which only the parser knows.
    return descriptor is not None and not descriptor.full_name.startswith("google.protobuf.")


def _type_name(field: Any) -> str:
    kind = field.message_type or field.enum_type
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        return "map"
    return f"type.googleapis.com/{kind.full_name}" if kind is not None else _TYPE_NAMES.get(field.type, "number")


def _shown(value: Any) -> str:
    text = json.dumps(value, default=str)
    return text if len(text) <= 100 else f"{text[:100]}..."
