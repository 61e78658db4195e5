from __future__ import annotations

import contextlib
import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_kedro_vertex.core.errors import ConfigError, did_you_mean
from airflow_provider_kedro_vertex.core.settings.nodes import Resources
from airflow_provider_kedro_vertex.core.settings.quantities import cores, gigabytes, storage_root
from airflow_provider_kedro_vertex.core.settings.run_config import RunConfig


@pytest.mark.parametrize(
    ("text", "number"), [("1", 1), ("500m", 0.5), ("0.5", 0.5), (".5", 0.5), ("2.", 2), ("1500m", 1.5), ("96", 96)]
)
def test_cpu_quantities(text: str, number: float) -> None:
    assert cores(text) == pytest.approx(number)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1024Mi", 1.073741824),
        ("2Gi", 2.147483648),
        ("1G", 1.0),
        ("500M", 0.5),
        ("1000000000", 1.0),
        ("1.5G", 1.5),
        ("1Ki", 1.024e-6),
        ("1Ti", 1099.511627776),
    ],
)
def test_memory_quantities(text: str, number: float) -> None:
    assert gigabytes(text) == pytest.approx(number)


@pytest.mark.parametrize("text", ["", "two", "-1", "0", "0m", "1Gi", "1 ", " 1", "1e3", "1mm", "\u0661", "1,5", "."])
def test_a_cpu_that_is_none(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        cores(text)
    assert str(caught.value) == f"must be a number of cores such as 2 or 500m, not {text!r}."


@pytest.mark.parametrize("text", ["", "1g", "1GiB", "0", "-1Gi", "1m", "G", "\u0661Gi", "9" * 400])
def test_a_memory_that_is_none(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        gigabytes(text)
    assert str(caught.value) == f"must be an amount of memory such as 512Mi or 4Gi, not {text!r}."


@given(st.text(max_size=12))
def test_any_text_is_a_quantity_or_a_clear_error(text: str) -> None:
    for read in (cores, gigabytes):
        with contextlib.suppress(ConfigError):
            assert read(text) > 0


@pytest.mark.parametrize(
    "text", ["bucket/a/b", "gs://bucket/a/b", "gs://bucket/a/b/", "/bucket/a/b/", " bucket/a/b ", "gs:///bucket/a/b"]
)
def test_storage_roots_in_every_form(text: str) -> None:
    assert storage_root(text) == "gs://bucket/a/b"


@pytest.mark.parametrize("text", ["", "gs://", "/", "s3://bucket", "https://x/y"])
def test_a_root_that_is_no_cloud_storage(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        storage_root(text)
    assert str(caught.value) == f"must be a Cloud Storage place such as gs://bucket/prefix, not {text!r}."


def test_numbers_become_strings() -> None:
    assert Resources.from_dict({"cpu": 8, "memory": 1e9, "gpu": 1}, "r") == Resources("8", "1000000000.0", "1")


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"imgae": "x"}, "unknown key imgae. Did you mean 'image'?"),
        ({"zzz": "x"}, "unknown key zzz."),
        ({"image": True}, "image must be a string, not True."),
        ({"resources": 5}, "resources must be a mapping, not 5."),
        ({"resources": [["a"]]}, "resources must be a mapping, not [['a']]."),
        ({"resources": {"a": 5}}, "resources.a must be a mapping, not 5."),
        ({"resources": {"a": {"cpus": 1}}}, "unknown key resources.a.cpus. Did you mean 'cpu'?"),
        ({"resources": {"a": {"cpu": [1]}}}, "resources.a.cpu must be a string, not [1]."),
        (
            {"resources": {"a": {"cpu": "x"}}},
            "resources.a.cpu must be a number of cores such as 2 or 500m, not 'x'.",
        ),
        (
            {"resources": {"a": {"memory": "x"}}},
            "resources.a.memory must be an amount of memory such as 512Mi or 4Gi, not 'x'.",
        ),
        ({"resources": {"a": {"gpu": "1.5"}}}, "resources.a.gpu must be a whole number, not '1.5'."),
        ({"resources": {"a": {"gpu": "\u0661"}}}, "resources.a.gpu must be a whole number, not '\u0661'."),
        ({"root": "s3://x"}, "root must be a Cloud Storage place such as gs://bucket/prefix, not 's3://x'."),
    ],
)
def test_wrong_settings_are_told_by_their_key(value: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        RunConfig.from_dict(value)
    assert str(caught.value) == said


def test_a_dict_and_back() -> None:
    config = RunConfig(image="x", resources={"b": Resources(cpu="1"), "a": Resources()})
    assert config.to_dict()["resources"] == [["b", {"cpu": "1"}], ["a", {}]]
    assert RunConfig.from_dict(config.to_dict()) == config


def test_overrides_of_one_run() -> None:
    config = RunConfig(
        image="base", root="gs://b", resources={"__default__": Resources("1", "1Gi"), "t": Resources(cpu="2")}
    )
    new = config.overridden(
        {"image": "new", "root": None, "resources": {"t": {"memory": "9Gi"}, "u": {"cpu": 4}}, "region": "r"}
    )
    assert new == RunConfig(
        image="new",
        root="gs://b",
        region="r",
        resources={"__default__": Resources("1", "1Gi"), "t": Resources("2", "9Gi"), "u": Resources("4")},
    )
    assert list(new.resources) == ["__default__", "t", "u"]
    assert config.overridden({}) == config


def test_precedence_default_then_tags_in_file_order_then_names() -> None:
    config = RunConfig(
        resources={
            "second": Resources(cpu="2", memory="2Gi"),
            "node": Resources(cpu="9"),
            "first": Resources(cpu="3", gpu="1"),
            "__default__": Resources("1", "1Gi", "0", "A"),
        }
    )
    assert config.resources_for([], frozenset()) == Resources("1", "1Gi", "0", "A")
    assert config.resources_for([], frozenset({"second"})) == Resources("2", "2Gi", "0", "A")
    # Of two tags the later one of the file wins, field by field, in whatever order the node names them.
    for tags in itertools.permutations(["first", "second", "other"]):
        assert config.resources_for([], frozenset(tags)) == Resources("3", "2Gi", "1", "A")
    assert config.resources_for(["no-such", "node"], frozenset({"first"})) == Resources("9", "1Gi", "1", "A")


def test_the_later_name_is_the_stronger_one() -> None:
    config = RunConfig(resources={"Train Model": Resources(cpu="2"), "train-model": Resources(cpu="1", memory="1Gi")})
    assert config.resources_for(["train-model", "Train Model"], frozenset()) == Resources("2", "1Gi")


def test_close_matches() -> None:
    assert did_you_mean("traning", ["training", "report"]) == " Did you mean 'training'?"
    assert did_you_mean("zzz", ["b", "a"]) == " Known: a, b."
    assert did_you_mean("zzz", map(str, range(13))) == ""
    assert did_you_mean("zzz", []) == ""
