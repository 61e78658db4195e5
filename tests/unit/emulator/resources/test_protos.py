from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_kedro_vertex.emulator.resources.errors import ApiError, Code
from airflow_provider_kedro_vertex.emulator.resources.protos import PipelineJob, from_json, parse_body, to_json


def refusal(data: Any) -> ApiError:
    with pytest.raises(ApiError) as refused:
        from_json(PipelineJob(), data, "pipeline_job")
    assert refused.value.code == Code.INVALID_ARGUMENT
    return refused.value


def test_json_goes_in_and_comes_out() -> None:
    data = {
        "displayName": "a",
        "labels": {"a": "b"},
        "pipelineSpec": {"root": {"n": 1, "d": 1.5, "t": True, "l": [None, "x"]}},
        "runtimeConfig": {"failurePolicy": "PIPELINE_FAILURE_POLICY_FAIL_FAST", "parameterValues": {"x": 3}},
        "createTime": "2026-01-31T06:00:00.123456Z",
    }
    job = PipelineJob()
    from_json(job, data, "pipeline_job")
    assert json.dumps(to_json(job), sort_keys=True) == json.dumps(data, sort_keys=True)
    assert to_json(job, enums_as_numbers=True)["runtimeConfig"]["failurePolicy"] == 2


def test_proto_names_are_read_too() -> None:
    job = PipelineJob()
    from_json(job, {"display_name": "a"}, "pipeline_job")
    assert job.display_name == "a"


@pytest.mark.parametrize(
    ("data", "field", "said"),
    [
        ({"foo": 1}, "pipeline_job", 'Unknown name "foo"'),
        ({"runtimeConfig": {"bar": 1}}, "pipeline_job.runtime_config", 'Unknown name "bar"'),
        ({"displayName": 5}, "pipeline_job.display_name", "TYPE_STRING"),
        ({"labels": {"a": 5}}, "pipeline_job.labels", "map"),
        ({"labels": ["a"]}, "pipeline_job.labels", "map"),
        ({"pipelineSpec": "x"}, "pipeline_job.pipeline_spec", "google.protobuf.Struct"),
        ({"reservedIpRanges": "x"}, "pipeline_job.reserved_ip_ranges", "TYPE_STRING"),
        (
            {"runtimeConfig": {"failurePolicy": "X"}},
            "pipeline_job.runtime_config.failure_policy",
            "PipelineFailurePolicy",
        ),
        ({"createTime": "yesterday"}, "pipeline_job.create_time", "Timestamp"),
        ({"preflightValidations": "yes"}, "pipeline_job.preflight_validations", "TYPE_BOOL"),
        ({"runtimeConfig": {"inputArtifacts": {"a": {"x": 1}}}}, "pipeline_job.runtime_config.input_artifacts[a]", "x"),
        ({"jobDetail": {"taskDetails": [{}, {"y": 1}]}}, "pipeline_job.job_detail.task_details[1]", "y"),
        ([], "pipeline_job", "no JSON object"),
        ("x", "pipeline_job", "no JSON object"),
        ({"displayName": "\ud800"}, "pipeline_job.display_name", "TYPE_STRING"),
    ],
)
def test_a_fault_is_named_with_its_field(data: Any, field: str, said: str) -> None:
    (violation,) = refusal(data).violations
    assert violation.field == field
    assert said in violation.description


def test_every_fault_is_told_at_once() -> None:
    assert len(refusal({"foo": 1, "displayName": 5, "labels": {"a": 1}}).violations) == 3


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"{'a': 1}",
        b"NaN",
        b'{"a": Infinity}',
        b'{"a": 1e999}',
        b"[" * 100_000,
        b"\xff\xfe{}",
        rb'{"a": "\ud800"}',
        b'{"a": ' + b"9" * 5000 + b"}",
        b'{"a": ' * 40 + b"1" + b"}" * 40,
    ],
)
def test_what_is_no_json_is_refused(body: bytes) -> None:
    with pytest.raises(ApiError, match="Invalid JSON payload"):
        parse_body(body)


def test_an_empty_body_is_an_empty_object() -> None:
    assert parse_body(b" ") == {}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
FIELDS = st.sampled_from([field.json_name for field in PipelineJob.DESCRIPTOR.fields])


@given(st.dictionaries(FIELDS | st.text(max_size=4), JSON, max_size=4))
def test_any_json_is_read_or_refused(data: dict[str, Any]) -> None:
    job = PipelineJob()
    try:
        from_json(job, data, "pipeline_job")
    except ApiError as error:
        assert error.violations  # noqa: PT017 - both ends are right, and nothing else
    else:
        to_json(job)
