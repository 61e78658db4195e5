from __future__ import annotations

import dataclasses
import json
import re
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_kedro_vertex.core import text as text_forms
from airflow_provider_kedro_vertex.core.errors import ConfigError
from airflow_provider_kedro_vertex.core.jobs import identity
from airflow_provider_kedro_vertex.core.jobs.identity import RunContext

ids = st.text(min_size=1, max_size=300)
moments = st.datetimes(datetime(1970, 1, 2), datetime(2200, 1, 1), timezones=st.just(timezone.utc))

CONTEXT = RunContext(
    run_key="shop-manual-1-0123456789",
    dag_id="shop",
    run_id="manual 1",
    logical_date=None,
    data_interval_start="2013-06-01T00:00:00+00:00",
    data_interval_end="2013-06-02T00:00:00+00:00",
    root="gs://shop/runs",
    save_version="2013-06-01T00.00.00.000Z-0123456789",
    job_id="shop-manual-1-0123456789-run-1",
)


@given(ids, ids)
def test_a_run_key_is_a_label_value_and_starts_a_job_id(dag_id: str, run_id: str) -> None:
    assert re.fullmatch(r"[a-z][-a-z0-9]{0,62}", identity.run_key(dag_id, run_id))


@given(ids, ids, st.integers(-1, 9_999), st.integers(1, 1000), ids)
def test_a_job_id_is_what_vertex_takes(run_id: str, task_id: str, map_index: int, attempt: int, dag_id: str) -> None:
    name = identity.job_id(identity.run_key(dag_id, run_id), task_id, map_index, attempt)
    assert re.fullmatch(r"[a-z][-a-z0-9]{0,126}", name)
    assert len(name) <= identity.JOB_ID_LENGTH


@given(st.sets(st.tuples(ids, ids), min_size=2, max_size=20))
def test_no_two_runs_share_a_key(runs: set[tuple[str, str]]) -> None:
    assert len({identity.run_key(*run) for run in runs}) == len(runs)


SCOPES = st.builds(
    identity.DataScope,
    st.sampled_from(["task", "task_group", "given"]),
    st.text("ab.[]01-", max_size=4),
    st.integers(-1, 3),
) | st.just(identity.WHOLE_DAG)


@given(st.sets(st.tuples(st.sampled_from("ab"), st.sampled_from("ab"), SCOPES), min_size=2, max_size=20))
def test_no_two_data_scopes_share_a_key(scopes: set[tuple[str, str, identity.DataScope]]) -> None:
    keys = {identity.run_key(*scope) for scope in scopes}
    assert len(keys) == len(scopes)
    assert all(re.fullmatch(r"[a-z][-a-z0-9]{0,62}", key) for key in keys)


def test_the_key_of_a_whole_dag_is_that_of_its_run() -> None:
    assert identity.run_key("1_dag", "x", identity.WHOLE_DAG) == "d-1-dag-x-7a71d8b70b"
    assert identity.run_key("1_dag", "x", identity.DataScope("task", "run", 2)) == "d-1-dag-x-bd58f6c0b9"


def test_a_data_scope_is_told_only_where_there_are_several() -> None:
    assert "data_scope" not in json.loads(CONTEXT.to_json())
    told = dataclasses.replace(CONTEXT, data_scope="run[2]")
    assert identity.RunContext.from_json(told.to_json()) == told


@given(
    st.sets(st.tuples(st.text("aA_.-1", min_size=1, max_size=60), st.integers(-1, 3), st.integers(1, 12)), max_size=40)
)
def test_no_two_attempts_share_a_job_id(attempts: set[tuple[str, int, int]]) -> None:
    assert len({identity.job_id("run-key", *attempt) for attempt in attempts}) == len(attempts)


@given(st.lists(moments, min_size=2, max_size=5, unique_by=lambda moment: int(moment.timestamp() * 1000)))
def test_versions_of_later_days_sort_later(days: list[datetime]) -> None:
    versions = [identity.save_version(identity.run_key("dag", str(day)), day) for day in sorted(days)]
    assert versions == sorted(versions)
    assert len(set(versions)) == len(days)


def test_a_version_is_in_utc() -> None:
    moment = datetime(2013, 6, 1, 2, tzinfo=timezone(timedelta(hours=2)))
    assert identity.save_version("shop-x-0123456789", moment) == "2013-06-01T00.00.00.000Z-0123456789"


@given(st.text(max_size=200))
def test_a_label_value_is_what_google_cloud_takes(text: str) -> None:
    assert re.fullmatch(r"[a-z0-9_-]{0,63}", text_forms.label_value(text))


@given(st.text(max_size=100))
def test_a_slug_is_lower_case_words(text: str) -> None:
    slug = text_forms.slug(text)
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", slug)
    assert text_forms.slug(slug) == slug


def test_names_stay_the_same_between_releases() -> None:
    """A changed name would let a retry miss what an earlier try of an older release stored or started."""
    key = identity.run_key("Flights__default", "scheduled__2013-06-01T00:00:00+00:00")
    assert key == "flights-default-scheduled-2013-06-01t00-00-cf7c8463d1"
    assert identity.job_id(key, "run", -1, 1) == f"{key}-run-1"
    assert identity.job_id(key, "group.Run_it", 3, 2) == f"{key}-group-run-it-cf009d05-2"
    assert identity.temp_folder("gs://shop/runs", key) == f"gs://shop/runs/kedro-vertexai-temp/{key}"
    assert identity.run_key("1_dag", "x") == "d-1-dag-x-7a71d8b70b"
    assert identity.run_key("Ölpreis", "ü") == "lpreis-x-b862b9ce5a"


def test_a_context_and_back() -> None:
    assert RunContext.from_json(CONTEXT.to_json()) == CONTEXT
    assert list(json.loads(CONTEXT.to_json())) == sorted(json.loads(CONTEXT.to_json()))


def test_what_may_be_null_may_be_left_out() -> None:
    value = json.loads(CONTEXT.to_json())
    del value["logical_date"]
    assert RunContext.from_json(json.dumps(value)) == CONTEXT


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"dag": "x"}, "The run context has an unknown key 'dag'. Did you mean 'dag_id'?"),
        ({"root": None}, "The run context's root must be a string, not None."),
        ({"logical_date": 5}, "The run context's logical_date must be a string, not 5."),
    ],
)
def test_a_wrong_context_is_told_by_its_key(change: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        RunContext.from_json(json.dumps({**json.loads(CONTEXT.to_json()), **change}))
    assert str(caught.value) == said


def test_a_context_that_is_none() -> None:
    with pytest.raises(ConfigError) as caught:
        RunContext.from_json("{}")
    assert str(caught.value) == "The run context lacks dag_id, job_id, root, run_id, run_key, save_version."
    with pytest.raises(ConfigError) as caught:
        RunContext.from_json("[]")
    assert str(caught.value) == "The run context must be a JSON object, not '[]'."
    with pytest.raises(ConfigError, match=r"^The run context is no JSON \(Expecting value"):
        RunContext.from_json("x")
