"""Which parameters are fields of a pipeline's trigger form, and what each takes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from airflow_provider_kedro_vertex.core.errors import ConfigError
from airflow_provider_kedro_vertex.core.project.manifest import Manifest, Node, Parameter, Pipeline, Project
from airflow_provider_kedro_vertex.core.project.trigger_form import MAX_FIELDS, Choice, Field, choose_fields
from airflow_provider_kedro_vertex.core.settings.run_config import RunConfig

PARAMETERS = {
    "title": Parameter("string", "x"),
    "subtitle": Parameter("string", ""),
    "nothing": Parameter("null"),
    "secret": Parameter("string"),
    "model.depth": Parameter("integer", 3),
    "model.rate": Parameter("number", 0.5),
    "model.strict": Parameter("boolean", False),
    "model.layers": Parameter("array", [8, 4]),
    "model.names": Parameter("array", ["a"]),
    "model.mixed": Parameter("array", [1, "a"]),
    "model.pairs": Parameter("array", [[1, 2]]),
    "model.long": Parameter("array"),
    "model.open": Parameter("object", {}),
    "report.title": Parameter("string", "y"),
    "unused": Parameter("integer", 1),
}
NODES = (
    Node("train", ("params:model", "params:title", "params:secret", "params:subtitle", "params:nothing"), ("fit",)),
)
REPORT = (Node("tell", ("params:report.title", "params:title"), ("told",)),)


def manifest(form: Any = None, parameters: Any = None, nodes: Any = NODES) -> Manifest:
    return Manifest(
        project=Project("Shop", "shop", "1.7.0"),
        env=None,
        config=RunConfig.from_dict({"form": form or {}}),
        parameters=PARAMETERS if parameters is None else parameters,
        datasets={},
        pipelines={"__default__": Pipeline("__default__", nodes), "report": Pipeline("report", REPORT)},
        runtime_params={"day": True},
    )


def names(choice: Choice, pipeline: str = "__default__", given: Any = ()) -> list[str]:
    return list(choose_fields(manifest(), pipeline, choice, given))


SHOWN = ["day", "secret", "subtitle", "title"]
SHOWN += [f"model.{name}" for name in ("depth", "layers", "mixed", "names", "rate", "strict")]


def test_scalars_and_short_lists_that_the_pipelines_nodes_take_are_shown() -> None:
    assert names(True) == SHOWN
    assert names(True, "report") == ["day", "title", "report.title"]
    assert names(False) == []


def test_all_are_shown_to_a_node_that_takes_all() -> None:
    found = choose_fields(manifest(nodes=(Node("all", ("parameters",), ("out",)),)), "__default__", True)
    assert list(found) == sorted([*SHOWN, "report.title", "unused"], key=lambda name: ("." in name, name))


def test_names_and_patterns_choose() -> None:
    assert names(["model.*", "unused"]) == ["unused", *sorted(n for n in PARAMETERS if n.startswith("model."))]
    assert names("nothing") == ["nothing"]
    # Another pipeline's is left out, one that no node takes is not: a hook or the catalog may read it.
    assert names("*", "report") == ["day", "title", "unused", "report.title"]


def test_what_the_author_gives_has_no_field_with_all_that_is_in_it() -> None:
    assert names(True, given=["model"]) == ["day", "secret", "subtitle", "title"]
    assert "model.depth" not in names(True, given=["model.depth"])
    assert "secret" not in names(True, given=["secret.inner"])


def test_a_name_that_the_project_does_not_have_is_an_error() -> None:
    with pytest.raises(ConfigError, match=r"form: the project has no parameter 'titel'\. Did you mean 'title'\?"):
        names(["titel"])


def test_a_form_has_at_most_40_fields() -> None:
    many = {f"p{number:02}": Parameter("integer", 1) for number in range(60)}
    found = choose_fields(
        manifest(parameters=many, nodes=(Node("all", ("parameters",), ("out",)),)), "__default__", True
    )
    assert len(found) == MAX_FIELDS == 40
    assert len(choose_fields(manifest(parameters=many), "__default__", "p*")) == 60


def test_fields_have_the_projects_types_and_values() -> None:
    found = choose_fields(manifest(), "__default__", "*")
    empty = {"description": "Left empty, it is what the project says."}
    assert found["title"] == Field("x", {"type": "string"})
    assert found["subtitle"] == Field("", {"type": ["null", "string"]})
    assert found["model.depth"] == Field(3, {"title": "depth", "type": "integer", "section": "model"})
    assert found["model.strict"] == Field(False, {"title": "strict", "type": "boolean", "section": "model"})
    assert found["model.layers"] == Field(
        [8, 4], {"title": "layers", "type": "array", "items": {"type": "integer"}, "section": "model"}
    )
    assert found["model.names"].schema["items"] == {"type": "string"}
    assert found["secret"] == Field(None, {**empty, "type": ["null", "string"]})
    assert found["day"] == Field(None, {**empty, "type": ["null", "string"]})
    assert found["model.open"] == Field({}, {"title": "open", "type": "object", "section": "model"})


def test_the_settings_tell_more_of_a_field() -> None:
    form = {
        "title": {"enum": ["x", "z"], "title": "The title", "description": "What stands above."},
        "nothing": {"type": "integer", "minimum": 1, "enum": [1, 2]},
        "day": {"format": "date"},
    }
    found = choose_fields(manifest(form), "__default__", True)
    title = {"type": "string", "enum": ["x", "z"], "title": "The title", "description": "What stands above."}
    assert found["title"] == Field("x", title)
    assert found["nothing"].schema["type"] == ["null", "integer"]
    assert found["nothing"].schema["enum"] == [None, 1, 2]
    assert found["day"].schema["format"] == "date"


def test_type_hints_tell_more_of_a_field_and_the_settings_go_before_them() -> None:
    hinted = {**PARAMETERS, "title": Parameter("string", "x", {"enum": ["x", "y"], "description": "hinted"})}
    assert choose_fields(manifest(parameters=hinted), "__default__", "title")["title"].schema["enum"] == ["x", "y"]
    told = choose_fields(manifest({"title": {"enum": ["x"]}}, hinted), "__default__", "title")["title"].schema
    assert told == {"type": "string", "enum": ["x"], "description": "hinted"}


@pytest.mark.parametrize(
    ("name", "told", "problem"),
    [
        ("title", {"enum": ["a"]}, "the value 'x' in the project's parameters, which is none of its enum"),
        ("model.depth", {"minimum": 4}, "which is below its minimum 4"),
        ("model.depth", {"maximum": 2}, "which is above its maximum 2"),
        ("model.depth", {"type": "string"}, "which is no string"),
        ("model.strict", {"enum": [0]}, "which is none of its enum"),
        ("title", {"format": "date"}, "which is no date"),
    ],
)
def test_a_setting_that_does_not_fit_the_projects_value_is_an_error(name: str, told: Any, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem) as caught:
        choose_fields(manifest({name: told}), "__default__", "*")
    assert f"run_config.form.{name} does not fit" in str(caught.value)


def test_a_change_of_a_value_alone_keeps_the_definition_digest() -> None:
    one = manifest()
    other = manifest(parameters={**PARAMETERS, "unused": Parameter("integer", 2)})
    assert one.digest != other.digest
    assert one.definition_digest == other.definition_digest
    more = replace(one, parameters={**PARAMETERS, "more": Parameter("integer", 2)})
    assert one.definition_digest != more.definition_digest
