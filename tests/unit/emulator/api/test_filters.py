from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_kedro_vertex.emulator.api.filters import MOST_CHARACTERS, compile_filter
from airflow_provider_kedro_vertex.emulator.api.service import PIPELINE_JOB_FIELDS
from airflow_provider_kedro_vertex.emulator.resources.errors import ApiError, Code
from airflow_provider_kedro_vertex.emulator.resources.states import PipelineState

STATES = list(PipelineState.__members__)
# 2026-01-31T06:00:00Z
CREATED = 1_769_839_200_000_000
ROW = {
    "display_name": "train daily",
    "pipeline_name": "flights",
    "pipeline_job_user_id": "flights-2026",
    "state": "PIPELINE_STATE_RUNNING",
    "create_time": CREATED,
    "update_time": CREATED + 60_000_000,
    "end_time": None,
    "labels": {"env": "prod", "commit-id": "3fa9", "empty": ""},
    "template_uri": "",
    "template_metadata.version": "sha256:abc",
}


def matches(text: str) -> bool:
    return compile_filter(text, PIPELINE_JOB_FIELDS, STATES)(ROW)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "  ",
        "state=PIPELINE_STATE_RUNNING",
        'state = "PIPELINE_STATE_RUNNING"',
        'state!="PIPELINE_STATE_FAILED"',
        "labels.env=prod",
        'labels.env="prod"',
        'labels."env"="prod"',
        "labels.commit-id=3fa9",
        "labels.commit-id:3f*",
        "labels:env",
        "labels.env:*",
        'labels.empty=""',
        "labels.env!=dev",
        'display_name="train daily"',
        'display_name:"*dai*"',
        'display_name:"train*"',
        'display_name:"*daily"',
        "pipeline_name=flights",
        "pipeline_job_user_id:flights-*",
        'create_time="2026-01-31T06:00:00Z"',
        'create_time>="2026-01-31T06:00:00Z"',
        'create_time>"2026-01-31T05:59:59.999999999Z"',
        'create_time<"2026-01-31T08:00:00+01:00"',
        "create_time>2026-01-31T05:00:00Z",
        'template_metadata.version="sha256:abc"',
        "template_metadata.version=sha256:abc",
        'labels.env=prod AND state="PIPELINE_STATE_RUNNING"',
        "labels.env=prod state=PIPELINE_STATE_RUNNING",
        "labels.env=dev OR labels.env=prod",
        "NOT labels.env=dev",
        "-labels.env=dev",
        "NOT (labels.env=dev AND labels:env)",
        # OR binds closer than AND
        "labels.env=prod OR labels.env=dev AND state=PIPELINE_STATE_RUNNING",
        "NOT end_time>=2000-01-01T00:00:00Z",
    ],
)
def test_matches(text: str) -> None:
    assert matches(text)


@pytest.mark.parametrize(
    "text",
    [
        "state=PIPELINE_STATE_FAILED",
        "labels.env=dev",
        "labels.absent=x",
        "labels.absent!=x",
        "labels.absent:*",
        "labels:absent",
        'display_name="train"',
        'display_name:"train"',
        'display_name:"*aily*x"',
        'create_time>"2026-01-31T06:00:00Z"',
        'end_time!="2026-01-31T06:00:00Z"',
        "labels.env=prod AND labels.env=dev",
        "labels.env=prod OR labels.env=dev AND state=PIPELINE_STATE_FAILED",
        "NOT labels.env=prod",
    ],
)
def test_does_not_match(text: str) -> None:
    assert not matches(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("nothing=1", 'unknown field "nothing"'),
        ("train", "unknown field"),
        ("display_name", "not compared"),
        ("display_name=", "a value is missing"),
        ("display_name<x", "does not take <"),
        ("state:PIPELINE*", "does not take :"),
        ("state=RUNNING", "no state"),
        ("create_time>yesterday", "RFC 3339"),
        ('create_time>"2026-01-31T06:00:00"', "no offset"),
        ("labels=x", "needs a key"),
        ("labels.env=prod AND", "too early"),
        ("(labels.env=prod", "not closed"),
        ("labels.env=prod)", 'unexpected ")"'),
        ('display_name="open', "unexpected"),
        ("(" * 60 + "labels:env" + ")" * 60, "nested"),
        ("labels:env " * MOST_CHARACTERS, "at most"),
    ],
)
def test_refused_with_the_reason(text: str, said: str) -> None:
    with pytest.raises(ApiError) as refused:
        matches(text)
    assert refused.value.code == Code.INVALID_ARGUMENT
    assert said in refused.value.message
    assert refused.value.violations[0].field == "filter"


@given(st.text(alphabet="abc_ =!<>:.()\"'\\*-ANDORNOTlabels", max_size=60) | st.text(max_size=30))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        assert matches(text) in (True, False)
    except ApiError as error:
        assert error.code == Code.INVALID_ARGUMENT  # noqa: PT017 - both ends are right, and nothing else


@given(st.text(alphabet="ab", max_size=12), st.text(alphabet="ab*", max_size=8))
def test_wildcards_mean_what_they_say(name: str, pattern: str) -> None:
    found = compile_filter(f'display_name:"{pattern}"', PIPELINE_JOB_FIELDS, STATES)({**ROW, "display_name": name})

    # The plain definition: either the star takes nothing, or it takes one character and stays.
    def like(text: str, rest: str) -> bool:
        if not rest:
            return not text
        if rest[0] == "*":
            return like(text, rest[1:]) or (bool(text) and like(text[1:], rest))
        return bool(text) and text[0] == rest[0] and like(text[1:], rest[1:])

    assert found == like(name, pattern)


@pytest.mark.parametrize("end", ["*b", "*b*"])
def test_no_pattern_takes_long(end: str) -> None:
    row = {**ROW, "display_name": "a" * 5000}
    predicate = compile_filter(f'display_name:"{"*a" * 2000}{end}"', PIPELINE_JOB_FIELDS, STATES)
    before = time.process_time()
    assert not predicate(row)
    # It takes less than a thousandth of that; with a search that goes back it would never end.
    assert time.process_time() - before < 1
