"""What an operator's params become on their way to Kedro: rendered, of the project's types, or refused at once."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_kedro_vertex import kedro_vertex_dag, kedro_vertex_task_group
from airflow_provider_kedro_vertex.compat import DAG, AirflowFailException
from airflow_provider_kedro_vertex.core.errors import ConfigError
from airflow_provider_kedro_vertex.core.project import manifest as manifests
from airflow_provider_kedro_vertex.core.project.manifest import Parameter
from airflow_provider_kedro_vertex.core.project.parameters import known_parameters
from airflow_provider_kedro_vertex.operators import KedroVertexCustomJobOperator, KedroVertexPipelineOperator
from airflow_provider_kedro_vertex.task.errors import to_airflow_exception
from airflow_provider_kedro_vertex.task.run import runtime_params
from tests.unit.conftest import small_manifest

MANIFEST = replace(
    small_manifest(),
    parameters={
        "weeks": Parameter("integer", 4),
        "share": Parameter("number", 0.5),
        "strict": Parameter("boolean", True),
        "shops": Parameter("array", ["a"]),
        "options": Parameter("object", {}),
        "title": Parameter("string", "x"),
        "nothing": Parameter("null"),
        "model.depth": Parameter("integer", 3),
    },
)

KNOWN = known_parameters(MANIFEST)


def values(params: dict[str, Any], conf: Any = None, native: bool = False, **context: Any) -> dict[str, Any]:
    with DAG("any", schedule=None, render_template_as_native_obj=native):
        task = KedroVertexPipelineOperator(task_id="run", manifest="x", params=params)
    given = {"dag_run": SimpleNamespace(conf=conf), "params": {**task.params.dump(), **(conf or {})}, **context}
    return runtime_params(task, given, task.runtime_params, KNOWN)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("weeks", 14, 14),
        ("share", 0.25, 0.25),
        ("share", 1, 1),
        ("strict", False, False),
        ("strict", True, True),
        ("shops", ["x", "y"], ["x", "y"]),
        ("options", {"a": None}, {"a": None}),
        ("weeks", None, None),
        ("title", 14, "14"),
        ("title", "true", "true"),
        ("nothing", "007", "007"),
        ("model.depth", 5, {"depth": 5}),
        ("not_kedros", 5, "5"),
    ],
)
def test_what_a_template_gives_is_of_the_projects_type(name: str, value: Any, expected: Any) -> None:
    given = values({name: "{{ pulled }}"}, pulled=value)
    assert given == {name.partition(".")[0]: expected}
    assert type(given[name.partition(".")[0]]) is type(expected)


def test_templates_that_give_objects_keep_texts_and_types() -> None:
    params = {"title": "{{ day }}", "weeks": "{{ n }}", "strict": "{{ yes }}", "model": {"depth": "{{ n }}"}}
    given = values(params, native=True, day="20240101", n="7", yes=False)
    assert given == {"title": "20240101", "weeks": 7, "strict": False, "model": {"depth": 7}}


@pytest.mark.parametrize(("name", "text"), [("weeks", "many"), ("strict", "yes"), ("shops", "{}"), ("weeks", "1.5")])
def test_another_type_is_an_error_with_the_name_that_is_not_tried_again(name: str, text: str) -> None:
    with pytest.raises(ConfigError, match=f"Parameter '{name}' is ") as caught:
        values({name: "{{ pulled }}"}, pulled=text)
    assert isinstance(to_airflow_exception(caught.value), AirflowFailException)


def test_what_a_person_typed_is_converted_if_it_can_be() -> None:
    conf = {"weeks": "9", "share": "much", "title": "{{ ds }}", "nothing": "1", "strict": "false"}
    expected = {"weeks": 9, "share": "much", "title": "{{ ds }}", "nothing": "1", "strict": False}
    assert values({}, conf=conf) == expected


def test_a_param_that_stays_empty_is_left_to_the_project() -> None:
    assert values({"title": None, "weeks": 2, "share": 0.5}, conf={"share": None}) == {"weeks": 2}


def test_a_null_that_a_person_gives_for_no_param_of_the_dag_is_a_value() -> None:
    assert values({"weeks": 2}, conf={"nothing": None}) == {"weeks": 2, "nothing": None}


def test_runtime_params_may_be_null_and_are_of_the_projects_type() -> None:
    with DAG("any", schedule=None):
        own = {"title": None, "weeks": "3", "model": {"depth": "4"}, "new": "5"}
        task = KedroVertexPipelineOperator(task_id="run", manifest="x", runtime_params=own)
    given: Any = {"dag_run": SimpleNamespace(conf=None), "params": {}}
    assert runtime_params(task, given, task.runtime_params, KNOWN) == {
        "title": None,
        "weeks": 3,
        "model": {"depth": 4},
        "new": "5",
    }
    task.runtime_params = {"weeks": "many"}
    with pytest.raises(ConfigError, match="Parameter 'weeks' is 4 in the project: give a number for it, not 'many'"):
        runtime_params(task, given, task.runtime_params, KNOWN)


def test_a_template_that_fails_names_its_param_and_is_not_tried_again() -> None:
    with pytest.raises(ConfigError) as caught:
        values({"weeks": 1, "title": "Hello {{ customer }}"}, logical_date=1)
    said = "Parameter 'title': its template 'Hello {{ customer }}' fails: 'customer' is undefined."
    assert str(caught.value) == said
    assert isinstance(to_airflow_exception(caught.value), AirflowFailException)


def test_a_template_that_could_not_be_rendered_now_is_tried_again() -> None:
    def ask() -> str:
        raise ConnectionError("the API server does not answer")

    with pytest.raises(ConnectionError):
        values({"title": "{{ ask() }}"}, ask=ask)


def test_a_run_without_a_logical_date_is_told_what_exists_in_each_run() -> None:
    with pytest.raises(ConfigError) as caught:
        values({"title": "{{ ds }}"})
    assert "Parameter 'title': its template '{{ ds }}' fails: 'ds' is undefined." in str(caught.value)
    advice = "{{ (dag_run.logical_date or dag_run.run_after) | ds }}"
    assert advice in str(caught.value)

    from datetime import datetime, timezone

    with DAG("any", schedule=None):
        task = KedroVertexPipelineOperator(task_id="run", manifest="x", params={"title": advice})
    run = SimpleNamespace(conf=None, logical_date=None, run_after=datetime(2024, 1, 2, tzinfo=timezone.utc))
    given: Any = {"dag_run": run, "params": {"title": advice}}
    assert runtime_params(task, given, task.runtime_params, KNOWN) == {"title": "2024-01-02"}


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "m.json"
    manifests.write(MANIFEST, path)
    return str(path)


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"wekes": 1}, r"params: The project has no parameter 'wekes': .+ Did you mean 'weeks'\?"),
        ({"model": {"dept": 1}}, r"params: .+ no parameter 'model.dept': 'dept' is not in 'model'.+ 'depth'"),
        ({"model.dept": 1}, r"params: .+ no parameter 'model.dept'"),
    ],
)
def test_a_misspelt_param_is_an_import_error(file: str, params: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        kedro_vertex_dag("made", manifest=file, schedule=None, params=params)
    with DAG("mine", schedule=None, params={"of_the_dag": 1}), pytest.raises(ConfigError, match=said):
        kedro_vertex_task_group("group", manifest=file, params=params)


def test_what_the_project_reads_at_run_time_alone_is_no_misspelt_param(file: str) -> None:
    params = {"run_date": "{{ ds }}", "rows": 1, "model": {"depth": 1}, "options.any": 1, "force_full_run": True}
    dag = kedro_vertex_dag("made", manifest=file, schedule=None, params=params)
    assert dag.params["run_date"] == "{{ ds }}"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            {"runtime_params": {"weeks": "{{ n }}", "title": "Hello {{ customer }}"}},
            "Parameter 'title': its template 'Hello {{ customer }}' fails: 'customer' is undefined.",
        ),
        ({"runtime_params": "{{ customer }}"}, "runtime_params: its template '{{ customer }}' fails: 'customer' is"),
        ({"labels": {"team": "{{ n / 0 }}"}}, "labels.team: its template '{{ n / 0 }}' fails: division by zero."),
        ({"display_name": "{{ ds }}"}, "display_name: its template '{{ ds }}' fails: 'ds' is undefined. This DAG run"),
    ],
)
@pytest.mark.parametrize("kind", [KedroVertexPipelineOperator, partial(KedroVertexCustomJobOperator, group="load")])
def test_a_template_of_a_field_that_fails_names_it_and_is_not_tried_again(
    kind: Any, given: dict[str, Any], said: str
) -> None:
    with DAG("any", schedule=None):
        task = kind(task_id="run", manifest="x", **given)
    context: Any = {"n": 1}

    def render() -> None:
        task.render_template_fields(context)
        task.pre_execute(context)

    with pytest.raises(AirflowFailException) as caught:
        render()
    assert str(caught.value).startswith(said)
