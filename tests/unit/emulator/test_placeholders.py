from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_kedro_vertex.emulator.placeholders import PlaceholderError, as_text, parameters, parse, render

NAMES = {
    "pipeline_job_name": "run-1",
    "pipeline_job_uuid": "11",
    "pipeline_job_resource_name": "projects/p/locations/l/pipelineJobs/run-1",
    "pipeline_task_name": "train",
    "pipeline_task_uuid": "22",
}


def filled(text: str, **values: str) -> str:
    return render(parse(text), values.__getitem__, NAMES)


def test_a_whole_item_and_an_embedded_one() -> None:
    assert filled("{{$.inputs.parameters['x']}}", x="1") == "1"
    assert filled("a={{$.inputs.parameters[\"x\"]}};b={{$.inputs.parameters['y']}}.", x="1", y="2") == "a=1;b=2."
    assert parameters(parse("{{$.inputs.parameters['my x']}}")) == ["my x"]


def test_the_names_of_the_run() -> None:
    assert (
        filled("{{$.pipeline_job_name}} {{$.pipeline_job_uuid}} {{$.pipeline_task_name}} {{$.pipeline_task_uuid}}")
        == "run-1 11 train 22"
    )
    assert filled("{{$.pipeline_job_resource_name}}") == NAMES["pipeline_job_resource_name"]


@pytest.mark.parametrize("text", ["", "plain", "{{ ds }}", "{{x}}", "$.x", "{$.x}", "{{$", "}}", "{{ $.x }}"])
def test_what_is_no_placeholder_stays(text: str) -> None:
    assert filled(text) == text


@given(st.text() | st.just("{{$.inputs.parameters['x']}}") | st.just("{{$.nonsense}}"))
def test_a_value_is_never_looked_into(value: str) -> None:
    assert filled("<{{$.inputs.parameters['x']}}>", x=value) == f"<{value}>"


@pytest.mark.parametrize("text", ["{{$.nothing}}", "{{$.inputs.parameter['x']}}x{{$y}}", "a {{$HOME}}"])
def test_an_unknown_placeholder_is_refused(text: str) -> None:
    with pytest.raises(PlaceholderError) as refused:
        parse(text)
    assert not refused.value.known or "inputs" in text


@pytest.mark.parametrize(
    "text",
    [
        "{{$}}",
        "{{$.outputs.parameters['x'].output_file}}",
        "{{$.inputs.artifacts['x'].uri}}",
        '{"IfPresent": {"InputName": "x", "Then": ["y"]}}',
        '{"Concat": ["a", "b"]}',
    ],
)
def test_what_vertex_has_and_the_emulator_does_not(text: str) -> None:
    with pytest.raises(PlaceholderError) as refused:
        parse(text)
    assert refused.value.known


@pytest.mark.parametrize(
    ("value", "kind", "text"),
    [
        ('a "b" \n\u00e9', "STRING", 'a "b" \n\u00e9'),
        (5, "NUMBER_INTEGER", "5"),
        (1, "NUMBER_DOUBLE", "1.0"),
        (0.25, "NUMBER_DOUBLE", "0.25"),
        (True, "BOOLEAN", "true"),
        ([1, "a", None], "LIST", '[1, "a", null]'),
        ({"b": 1, "a": {"\u00e9": []}}, "STRUCT", '{"a": {"\u00e9": []}, "b": 1}'),
    ],
)
def test_values_as_text(value: object, kind: str, text: str) -> None:
    assert as_text(value, kind) == text
