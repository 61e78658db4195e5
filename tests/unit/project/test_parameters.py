from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from airflow_provider_kedro_vertex.core.project import manifest as manifests
from airflow_provider_kedro_vertex.core.project.manifest import Parameter
from airflow_provider_kedro_vertex.project.parameters import MAX_NAMES, describe_parameters
from tests.unit.conftest import small_manifest


def described(values: dict[Any, Any], *written: tuple[str, Any]) -> dict[str, Parameter]:
    return describe_parameters(values, written or (("base", values),))


@pytest.mark.parametrize(
    ("value", "parameter"),
    [
        (3, Parameter("integer", 3)),
        (True, Parameter("boolean", True)),
        (0.5, Parameter("number", 0.5)),
        ("x", Parameter("string", "x")),
        (None, Parameter("null")),
        ([1, "a"], Parameter("array", [1, "a"])),
        ({}, Parameter("object", {})),
        (math.inf, Parameter("number")),
        (math.nan, Parameter("number")),
        ((1, 2), Parameter("array")),
        (b"x", Parameter("bytes")),
        (int, Parameter("type")),
        ([0] * 1000, Parameter("array")),
        ("x" * 1000, Parameter("string")),
        ("https://u:x@shop.test", Parameter("string")),
        ("https://shop.test", Parameter("string", "https://shop.test")),
    ],
)
def test_a_parameter_is_its_type_and_a_short_literal(value: Any, parameter: Parameter) -> None:
    assert described({"a": value}) == {"a": parameter}


@pytest.mark.parametrize(
    "written",
    [
        (("base", {"a": {"b": "${oc.env:X}"}}),),
        (("base", {"a": "${tree:}"}),),
        (("prod", {"a": {"b": "${oc.env:X}"}}), ("base", {"a": {"b": "x"}})),
        (("prod", {"a": "${tree:}"}), ("base", {"a": {"b": "x"}})),
        (("local", {"a": {"b": "x"}}), ("base", {"a": {"b": "x"}})),
        (("prod", None), ("base", {"a": {"b": "x"}})),
        (("base", {"a": {"b": "y"}}),),
        (("base", {"a": {}}),),
        (),
    ],
)
def test_what_no_file_has_as_a_literal_is_told_by_its_type(written: tuple[tuple[str, Any], ...]) -> None:
    assert describe_parameters({"a": {"b": "x"}}, written) == {"a.b": Parameter("string")}


def test_a_literal_may_stand_in_a_weaker_file() -> None:
    written = (("prod", {"a": {"c": 1}}), ("base", {"a": {"b": "x"}}))
    assert describe_parameters({"a": {"b": "x"}}, written) == {"a.b": Parameter("string", "x")}


@pytest.mark.parametrize("name", ["password", "api_key", "token"])
def test_a_literal_that_is_named_like_a_secret_is_not_told(name: str) -> None:
    assert described({"a": {name: "x"}}) == {f"a.{name}": Parameter("string")}


def test_data_among_the_parameters_makes_no_names() -> None:
    small = {"a": {"b": 1}}
    much = {"weights": {str(number): number for number in range(200_000)}, "rows": [{"x": 1}] * 100_000}
    assert described({**small, **much}) == {
        "a.b": Parameter("integer", 1),
        "weights": Parameter("object"),
        "rows": Parameter("array"),
    }
    many = {f"t{number}": {str(each): each for each in range(200)} for number in range(1000)}
    assert len(described(many)) <= MAX_NAMES


def test_a_manifest_is_as_large_with_200_000_numbers_as_without() -> None:
    small = {f"option_{number}": number for number in range(20)}
    much = {"weights": [number / 1000 for number in range(100_000)], "table": {"a": [*range(100_000)]}}

    def size(parameters: dict[str, Any]) -> int:
        described = describe_parameters(parameters, [("base", parameters)])
        return len(manifests.dumps(replace(small_manifest(), parameters=described)))

    assert size({**small, **much}) <= 1.1 * size(small)
