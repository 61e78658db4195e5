from __future__ import annotations

import copy
import json
from datetime import date, datetime, timezone
from typing import Any

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kedro.framework.cli.utils import _split_params

from airflow_provider_kedro_vertex.core.errors import ConfigError
from airflow_provider_kedro_vertex.core.jobs.parameters import (
    MAX_LENGTH,
    from_json,
    merge,
    nested,
    to_json,
    with_keys_of,
    without_number_keys,
)

words = st.text("abcxyz_", min_size=1, max_size=3)
dotted = st.lists(words, min_size=1, max_size=3).map(".".join)
# What Kedro's command line can write, and what it makes of it.
scalars = st.integers(-99, 99) | st.booleans() | st.sampled_from([0.5, "text", "a b"])
values = st.recursive(scalars | st.lists(scalars, max_size=2), lambda inner: st.dictionaries(words, inner, max_size=2))


def contradict(names: list[str]) -> bool:
    return any(one != other and other.startswith(f"{one}.") for one in names for other in names)


@given(st.dictionaries(dotted, scalars, min_size=1, max_size=5).filter(lambda value: not contradict(list(value))))
def test_names_nest_as_on_kedros_command_line(parameters: dict[str, Any]) -> None:
    text = ",".join(f"{name}={json.dumps(value)}" for name, value in parameters.items())
    option = click.Option(["--params"])
    assert nested(parameters) == _split_params(click.Context(click.Command("run")), option, text)


@given(st.dictionaries(dotted, values, max_size=5))
def test_nesting_is_right_or_refused_and_leaves_its_argument(parameters: dict[str, Any]) -> None:
    before = copy.deepcopy(parameters)
    try:
        result = nested(parameters)
    except ConfigError:
        result = None
    assert parameters == before
    for name, value in parameters.items() if result is not None else ():
        place: Any = result
        for part in name.split("."):
            place = place[part]
        assert _holds(place, value)
    if result is not None:
        assert nested(dict(reversed(parameters.items()))) == result


def _holds(place: Any, value: Any) -> bool:
    if isinstance(value, dict):
        return isinstance(place, dict) and all(key in place and _holds(place[key], value[key]) for key in value)
    return bool(place == value)


def test_mappings_merge_at_every_depth() -> None:
    assert nested({"a": {"b": {"c": 1}}, "a.b.d": 2, "a.e": {}}) == {"a": {"b": {"c": 1, "d": 2}, "e": {}}}


def test_what_is_laid_over_counts_at_every_depth_and_changes_nothing() -> None:
    base, own = {"a": {"b": 1, "c": {"d": 2}}, "e": [1, 2]}, {"a": {"c": {"d": 3}, "f": 4}, "e": [3], "a.b": 5}
    before = copy.deepcopy((base, own))
    assert merge(base, own) == {"a": {"b": 1, "c": {"d": 3}, "f": 4}, "e": [3], "a.b": 5}
    assert (base, own) == before
    assert merge({"a": 1}, {"a": {"b": 2}}) == {"a": {"b": 2}}
    assert merge({"a": {"b": 2}}, {"a": None}) == {"a": None}


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"a": 1, "a.b": 2}, "Parameter 'a.b' contradicts parameter 'a': one of them must go."),
        ({"a.b": 2, "a": 1}, "Parameter 'a' is given twice, once nested and once by its dotted name."),
        ({"a": {"b": 1}, "a.b": 2}, "Parameter 'a.b' is given twice, once nested and once by its dotted name."),
        ({"a.b": 2, "a": {"b": 1}}, "Parameter 'a.b' is given twice, once nested and once by its dotted name."),
    ],
)
def test_contradictions_are_refused(parameters: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        nested(parameters)
    assert str(caught.value) == said


@given(st.dictionaries(st.text(), st.recursive(st.none() | st.integers() | st.text(), st.lists), max_size=4))
def test_json_keeps_values_and_types(parameters: dict[str, Any]) -> None:
    assert json.loads(to_json(parameters)) == parameters


keys = st.text(max_size=3) | st.integers() | st.booleans() | st.sampled_from([0.5, "", "1", "true"])
trees = st.recursive(
    st.none() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(keys, inner)
)


def with_types(value: Any) -> Any:
    """What tells 1 from True and from "1"; the order of keys is nothing."""
    if isinstance(value, dict):
        return sorted((repr(key), str(with_types(item))) for key, item in value.items())
    return [*map(with_types, value)] if isinstance(value, list) else repr(value)


@given(st.dictionaries(st.text(), trees, max_size=4))
def test_keys_keep_their_types(parameters: dict[str, Any]) -> None:
    again = {name: from_json(value) for name, value in json.loads(to_json(parameters)).items()}
    assert with_types(again) == with_types(parameters)


@pytest.mark.parametrize(
    ("project", "given_keys", "expected"),
    [
        ({"a": {1: "x", 7: "y"}}, {"a": {"7": "z"}}, {"a": {7: "z"}}),
        ({"a": {1: "x"}}, {"a": {"14": "new", "-3": 0, "b": 0}}, {"a": {14: "new", -3: 0, "b": 0}}),
        ({"a": {"1": "x"}}, {"a": {"1": "z", "2": 0}}, {"a": {"1": "z", "2": 0}}),
        ({"a": {0.5: {True: "x"}}}, {"a": {"0.5": {"true": "z", "false": 0}}}, {"a": {0.5: {True: "z", "false": 0}}}),
        ({"a": {1: {2: "x"}}}, {"a": {1: {"2": "z"}}}, {"a": {1: {2: "z"}}}),
        ({"a": "x", "b": {}}, {"a": {"7": 1}, "b": {"7": 1}, "c": {"7": 1}}, None),
    ],
)
def test_keys_get_the_types_of_the_projects_own(
    project: dict[str, Any], given_keys: dict[str, Any], expected: dict[str, Any] | None
) -> None:
    assert repr(with_keys_of(project, given_keys)) == repr(expected or given_keys)


def test_what_may_be_meant_as_a_number_is_left_out() -> None:
    given_keys = {"a": {"7": 1, "b": 2, "c": {"-1": 1, "True": 1}}, "e": 1, "1e3": 0, "2024-01-01": 1, "v1": 1}
    assert without_number_keys(given_keys) == {"a": {"b": 2, "c": {}}, "e": 1, "v1": 1}
    plain = {"a": {"b": [{"7": 1}]}, "e": "7"}
    assert without_number_keys(plain) == plain


def test_dates_become_iso_8601() -> None:
    moment = datetime(2013, 6, 1, 12, 30, tzinfo=timezone.utc)
    assert to_json({"b": moment, "a": [date(2013, 6, 1)]}) == '{"a": ["2013-06-01"], "b": "2013-06-01T12:30:00+00:00"}'


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({1, 2}, "a set is not a JSON value"),
        ({"b": object()}, "a object is not a JSON value"),
        ({(1, 2): "a"}, "its key (1, 2) is neither text nor a number"),
    ],
)
def test_what_is_no_json_is_told_by_its_name(value: Any, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        to_json({"ok": 1, "day": value})
    assert str(caught.value) == f"Parameter 'day' cannot be passed to the nodes: {said}."


def test_a_value_that_is_nested_too_deeply_is_told_by_its_name() -> None:
    deep: list[Any] = []
    for _ in range(99_999):
        deep = [deep]
    with pytest.raises(ConfigError, match=r"^Parameter 'day' cannot be passed to the nodes: "):
        to_json({"ok": 1, "day": deep})


def test_parameters_that_are_data_are_refused() -> None:
    fits = {"text": "x" * (MAX_LENGTH - len('{"text": ""}'))}

    assert len(to_json(fits)) == MAX_LENGTH
    with pytest.raises(ConfigError) as raised:
        to_json({"text": fits["text"] + "x"})
    assert str(raised.value) == (
        "The runtime parameters take 16,777,217 bytes, and 16,777,216 are taken at most. "
        "Put large values into a dataset, and pass where it is."
    )


def test_no_sign_is_left_that_a_container_reads_as_a_variable() -> None:
    text = to_json({"price": "$(HOME) $$ $5", "$key": 1})
    assert "$" not in text
    assert json.loads(text) == {"price": "$(HOME) $$ $5", "$key": 1}
