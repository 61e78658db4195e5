from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_kedro_vertex.emulator.spec.placeholders import (
    PlaceholderError,
    Ref,
    Source,
    as_text,
    parse,
    parse_word,
    refs,
    render,
    render_word,
)

NAMES = {
    "pipeline_job_name": "run-1",
    "pipeline_job_uuid": "11",
    "pipeline_job_resource_name": "projects/p/locations/l/pipelineJobs/run-1",
    "pipeline_task_name": "train",
    "pipeline_task_uuid": "22",
}


def filled(text: str, **values: str) -> str:
    return render(parse(text), lambda ref: NAMES[ref.name] if ref.source is Source.RUN else values[ref.name])


def words(text: str, **values: str) -> list[str]:
    return list(render_word(parse_word(text), lambda ref: values[ref.name], values.__contains__))


def test_a_whole_item_and_an_embedded_one() -> None:
    assert filled("{{$.inputs.parameters['x']}}", x="1") == "1"
    assert filled("a={{$.inputs.parameters[\"x\"]}};b={{$.inputs.parameters['y']}}.", x="1", y="2") == "a=1;b=2."
    assert list(refs(parse("{{$.inputs.parameters['my x']}}"))) == [Ref(Source.INPUT, "my x")]


@pytest.mark.parametrize(
    ("text", "ref"),
    [
        ("{{$}}", Ref(Source.EXECUTOR_INPUT)),
        ("{{$.json_escape[1]}}", Ref(Source.EXECUTOR_INPUT, escaped=1)),
        ("{{$.inputs.parameters['x'].json_escape[2]}}", Ref(Source.INPUT, "x", escaped=2)),
        ("{{$.outputs.parameters['x'].output_file}}", Ref(Source.OUTPUT_FILE, "x")),
        ("{{$.outputs.artifacts['x'].uri}}", Ref(Source.OUTPUT_URI, "x")),
        ('{{$.outputs.artifacts["x"].path}}', Ref(Source.OUTPUT_PATH, "x")),
        ("{{$.inputs.artifacts['x'].uri}}", Ref(Source.INPUT_URI, "x")),
        ("{{$.inputs.artifacts['x'].path}}", Ref(Source.INPUT_PATH, "x")),
        ("{{$.inputs.artifacts['x'].metadata}}", Ref(Source.INPUT_METADATA, "x")),
        ("{{$.inputs.artifacts['x'].metadata['a b']}}", Ref(Source.INPUT_METADATA, "x", "a b")),
        ("{{$.outputs.output_file}}", Ref(Source.EXECUTOR_OUTPUT)),
        ("{{$.outputMetadataUri}}", Ref(Source.EXECUTOR_OUTPUT)),
        ("{{$.pipeline_root}}", Ref(Source.RUN, "pipeline_root")),
    ],
)
def test_what_a_placeholder_stands_for(text: str, ref: Ref) -> None:
    assert parse(f"<{text}>") == ("<", ref, ">")


def test_values_are_escaped_for_the_inside_of_json() -> None:
    text = 'a "b"\n'
    assert filled("{{$.inputs.parameters['x'].json_escape[0]}}", x=text) == text
    assert json.loads(filled("\"{{$.inputs.parameters['x'].json_escape[1]}}\"", x=text)) == text
    twice = filled("\"{{$.inputs.parameters['x'].json_escape[2]}}\"", x=text)
    assert json.loads(f'"{json.loads(twice)}"') == text


X = "{{$.inputs.parameters['x']}}"
Y = "{{$.inputs.parameters['y']}}"


@pytest.mark.parametrize(
    ("structure", "given", "there"),
    [
        ({"Concat": ["a-", X, "-", X]}, {"x": "1"}, ["a-1-1"]),
        ({"IfPresent": {"InputName": "x", "Then": ["--x", X]}}, {"x": "1"}, ["--x", "1"]),
        ({"IfPresent": {"InputName": "x", "Then": ["--x", X]}}, {}, []),
        ({"IfPresent": {"InputName": "x", "Then": X, "Else": "none"}}, {}, ["none"]),
        ({"IfPresent": {"InputName": "x", "Then": [{"Concat": [X, Y]}], "Else": ["a", Y]}}, {"y": "2"}, ["a", "2"]),
        ({"Concat": ["a", {"IfPresent": {"InputName": "x", "Then": X}}]}, {"x": "1"}, ["a1"]),
        ({"Concat": ["a", {"IfPresent": {"InputName": "x", "Then": X}}]}, {}, ["a"]),
    ],
)
def test_structures_give_words(structure: object, given: dict[str, str], there: list[str]) -> None:
    assert words(json.dumps(structure), **given) == there


def test_the_names_of_the_run() -> None:
    assert (
        filled("{{$.pipeline_job_name}} {{$.pipeline_job_uuid}} {{$.pipeline_task_name}} {{$.pipeline_task_uuid}}")
        == "run-1 11 train 22"
    )
    assert filled("{{$.pipeline_job_resource_name}}") == NAMES["pipeline_job_resource_name"]


@pytest.mark.parametrize(
    "text", ["", "plain", "{{ ds }}", "{{x}}", "$.x", "{$.x}", "{{$", "}}", "{{ $.x }}", '{"a": 1}', '{"Concat"']
)
def test_what_is_no_placeholder_stays(text: str) -> None:
    assert filled(text) == text
    assert words(text) == [text]


@given(st.text() | st.just("{{$.inputs.parameters['x']}}") | st.just("{{$.nonsense}}"))
def test_a_value_is_never_looked_into(value: str) -> None:
    assert filled("<{{$.inputs.parameters['x']}}>", x=value) == f"<{value}>"
    assert words('{"Concat": ["<", "{{$.inputs.parameters[\'x\']}}"]}', x=value) == [f"<{value}"]


@pytest.mark.parametrize(
    "text",
    ["{{$.nothing}}", "{{$.inputs.parameter['x']}}x{{$y}}", "a {{$HOME}}", '{"Concat": "a"}', '{"Concat": [1]}',
     '{"Concat": [], "x": 1}', '{"IfPresent": {}}', '{"IfPresent": {"InputName": "x", "Then": {}}}', '{"Concat": [',
     '{"Concat": ["{{$.x}}"]}'],
)  # fmt: skip
def test_an_unknown_placeholder_is_refused(text: str) -> None:
    with pytest.raises(PlaceholderError) as refused:
        parse_word(text)
    assert not refused.value.known or "inputs" in text


@pytest.mark.parametrize(
    "text",
    ["{{$.inputs.artifacts['x'].value}}", "{{$.pipeline_job_schedule_time_utc}}", "{{$.outputs}}"],
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
