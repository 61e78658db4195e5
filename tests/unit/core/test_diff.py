"""What is told of two manifests that are not the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from kedro.pipeline import Pipeline as KedroPipeline

from airflow_provider_kedro_vertex.core.plan.diff import Change, NodeDiff, PipelineDiff, diff, renames
from airflow_provider_kedro_vertex.core.plan.diff_text import to_markdown, to_text
from airflow_provider_kedro_vertex.core.project.manifest import Dataset, Manifest, Node, Pipeline, Project
from airflow_provider_kedro_vertex.core.settings.run_config import RunConfig
from tests.unit.core.pipelines import kedro_pipelines, manifest_pipeline

LOAD = Node("load", ("raw",), ("rows",))
FIT = Node("fit", ("rows", "params:rate"), ("model",), ("slow",))
SHOW = Node("show", ("model",), ())
DAILY = {"cron_expression": "0 4 * * *", "timezone": "Europe/Warsaw"}


def of(*nodes: Node, name: str = "__default__", **config: Any) -> Manifest:
    settings = {"image": "r.test/shop:1", "root": "bucket/runs", "region": "europe-west1", **config}
    return Manifest(
        project=Project("Shop", "shop", "1.0.0"),
        env=None,
        config=RunConfig.from_dict(settings),
        parameters={},
        datasets={"raw": Dataset("raw", "pandas.CSVDataset", "gs://shop/raw.csv", "remote")},
        pipelines={name: Pipeline(name, nodes)},
    )


def only(old: Manifest, new: Manifest) -> PipelineDiff:
    (found,) = diff(old, new).pipelines
    return found


def test_the_same_twice() -> None:
    assert diff(of(LOAD, FIT), of(LOAD, FIT)).is_empty
    assert "nothing changed" in to_text(diff(of(LOAD), of(LOAD)))
    assert "Nothing changed" in to_markdown(diff(of(LOAD), of(LOAD)))


def test_added_and_removed_nodes() -> None:
    found = only(of(LOAD, FIT), of(LOAD, SHOW))
    assert (found.added, found.removed, found.changed) == (("show",), ("fit",), ())
    assert [(each.fate, each.after and each.after.name) for each in found.containers] == [
        ("added", "show"),
        ("removed", None),
    ]


def test_a_changed_node() -> None:
    found = only(of(LOAD, FIT), of(LOAD, replace(FIT, inputs=("rows", "extra"), tags=())))
    assert found.changed == (
        NodeDiff(
            "fit",
            "fit",
            (Change("inputs", ["rows", "params:rate"], ["rows", "extra"]), Change("tags", ["slow"], [])),
        ),
    )
    assert "  ~ node 'fit': inputs -params:rate, +extra; tags -slow\n" in to_text(
        diff(of(LOAD, FIT), of(LOAD, replace(FIT, inputs=("rows", "extra"), tags=())))
    )


@pytest.mark.parametrize(
    ("new", "changes"),
    [
        (replace(FIT, name="train"), ()),
        (replace(FIT, name="train", inputs=("rows",)), ("inputs",)),
        (
            Node("daily.fit", ("daily.rows", "params:daily.rate"), ("daily.model",), ("slow",), "daily"),
            ("inputs", "outputs", "namespace"),
        ),
    ],
    ids=["the name alone", "and an input", "into a namespace"],
)
def test_a_renamed_node(new: Node, changes: tuple[str, ...]) -> None:
    found = only(of(LOAD, FIT, resources={"slow": {"cpu": "8"}}), of(LOAD, new, resources={"slow": {"cpu": "8"}}))
    (node,) = found.changed
    assert (found.added, found.removed) == ((), ())
    assert (node.before, node.name, tuple(each.what for each in node.changes)) == ("fit", new.name, changes)
    assert found.containers == ()


def test_a_renamed_node_on_another_machine() -> None:
    found = only(
        of(LOAD, FIT), of(LOAD, replace(FIT, name="train"), resources={"train": {"cpu": "8", "memory": "16Gi"}})
    )
    (container,) = found.containers
    assert (container.fate, container.before[0].name, container.after and container.after.name) == (
        "changed",
        "fit",
        "train",
    )
    assert container.after is not None
    assert (container.before[0].dollars_an_hour or 0) < (container.after.dollars_an_hour or 0)


def test_what_may_be_several_nodes_is_none_of_them() -> None:
    two = [Node("a", ("rows",), ()), Node("b", ("rows",), ())]
    assert renames(two, [Node("c", ("rows",), ())]) == {}
    assert renames([Node("c", ("rows",), ())], two) == {}


def test_regrouped_nodes() -> None:
    tagged = [replace(LOAD, tags=("group.a",)), replace(FIT, tags=("group.b",)), replace(SHOW, tags=("group.b",))]
    moved = [tagged[0], replace(FIT, tags=("group.a",)), tagged[2]]
    found = only(of(*tagged, grouping="tag"), of(*moved, grouping="tag"))
    told = [
        (each.fate, [one.name for one in each.before], each.after and each.after.nodes) for each in found.containers
    ]
    assert told == [("regrouped", ["a", "b"], ("load", "fit")), ("regrouped", ["b"], ("show",))]
    assert [node.name for node in found.changed] == ["fit"]

    alone, fused = of(LOAD, FIT, SHOW), of(LOAD, replace(FIT, name="train"), SHOW, grouping="pipeline")
    (container,) = only(alone, fused).containers
    assert (container.fate, len(container.before)) == ("regrouped", 3)
    assert "runs 'load', 'train' and 'show', each in a container of its own before" in to_text(diff(alone, fused))
    assert "runs 'load' and 'fit', before in 'a' and 'b'" in to_text(
        diff(of(*tagged, grouping="tag"), of(*moved, grouping="tag"))
    )


def test_a_container_that_gains_a_new_node_is_not_regrouped() -> None:
    assert only(of(LOAD, FIT, grouping="pipeline"), of(LOAD, FIT, SHOW, grouping="pipeline")).containers == ()


def test_schedules_and_prices() -> None:
    old, new = of(LOAD), of(LOAD, schedules={"default_schedule": DAILY}, resources={"load": {"cpu": "8"}})
    found = only(old, new)
    assert found.old is not None
    assert found.new is not None
    assert (found.old.schedule, found.new.schedule) == (None, "0 4 * * * Europe/Warsaw, at most 1 at once")
    assert (found.old.dollars_an_hour or 0) < (found.new.dollars_an_hour or 0)
    assert "schedule: none -> 0 4 * * * Europe/Warsaw, at most 1 at once" in to_text(diff(old, new))


def test_settings_datasets_and_parameters() -> None:
    old = of(LOAD)
    new = replace(
        of(LOAD, image="r.test/shop:2"), datasets={"raw": replace(old.datasets["raw"], location="gs://shop/new.csv")}
    )
    assert diff(old, new).settings == (
        Change("config.image", "r.test/shop:1", "r.test/shop:2"),
        Change("datasets.raw.location", "gs://shop/raw.csv", "gs://shop/new.csv"),
    )
    assert diff(old, new).pipelines == ()
    big = of(LOAD, resources={"__default__": {}, "load": {"cpu": "8"}, "fit": {"cpu": "8"}})
    bigger = of(LOAD, resources={"__default__": {}, "load": {"cpu": "16"}})
    assert diff(big, bigger).settings == (
        Change("config.resources.fit", {"cpu": "8"}, None),
        Change("config.resources.load.cpu", "8", "16"),
    )


def test_the_first_manifest_and_pipelines_that_come_and_go() -> None:
    first = diff(None, of(LOAD))
    assert (first.old, first.settings, [each.old for each in first.pipelines]) == (None, (), [None])
    found = {each.name: each for each in diff(of(LOAD, name="a"), of(LOAD, name="b")).pipelines}
    assert (found["a"].new, found["b"].old) == (None, None)
    text = to_text(diff(of(LOAD, name="a"), of(LOAD, name="b")))
    assert "- pipeline 'a': 1 node, $" in text
    assert "+ pipeline 'b': 1 node, $" in text


def test_what_cannot_be_planned_is_told() -> None:
    found = diff(of(LOAD, image=None), of(LOAD, FIT))
    assert found.pipelines[0].added == ("fit",)
    assert found.pipelines[0].containers == ()
    for text in (to_text(found), to_markdown(found)):
        assert "Before it cannot be planned, so its containers are not compared: " in text


def test_markdown_shows_any_name_as_it_is() -> None:
    awkward = Node("a|b`c\n*d*", ("raw",), ())
    text = to_markdown(diff(of(LOAD, FIT), of(LOAD, FIT, awkward, labels={"team": "x|y"})))
    tables = [part.splitlines() for part in text.split("\n\n") if part.startswith("|")]
    assert len(tables) == 3
    for table in tables:
        assert len({line.replace("\\|", "").count("|") for line in table}) == 1
    assert "| added | `a\\|b'c *d*` |  |" in text


@given(pipeline=kedro_pipelines(), grouping=st.sampled_from(["none", "pipeline"]), data=st.data())
def test_one_renamed_node_of_any_pipeline(pipeline: KedroPipeline, grouping: str, data: st.DataObject) -> None:
    old = replace(of(grouping=grouping), pipelines={"__default__": manifest_pipeline(pipeline)})
    nodes = old.pipelines["__default__"].nodes
    node = data.draw(st.sampled_from(nodes))
    assume(not any(other.name == "renamed" for other in nodes))
    renamed = tuple(replace(each, name="renamed") if each is node else each for each in nodes)
    new = replace(old, pipelines={"__default__": Pipeline("__default__", renamed)})
    found = only(old, new)
    assert (found.added, found.removed, found.containers) == ((), (), ())
    assert found.changed == (NodeDiff("renamed", node.name, ()),)


@given(pipeline=kedro_pipelines(), data=st.data())
def test_each_node_is_told_once(pipeline: KedroPipeline, data: st.DataObject) -> None:
    """Whatever becomes of a pipeline's nodes, what is told leads from the old ones to the new ones."""
    nodes = manifest_pipeline(pipeline).nodes
    kept = [node for node in nodes if data.draw(st.booleans())]
    names: Mapping[str, str] = {node.name: data.draw(st.sampled_from([node.name, f"new_{node.name}"])) for node in kept}
    old = replace(of(), pipelines={"__default__": Pipeline("__default__", nodes)})
    after = tuple(replace(node, name=names[node.name]) for node in kept)
    new = replace(old, pipelines={"__default__": Pipeline("__default__", after)})
    for told in diff(old, new).pipelines:
        before = {node.name for node in nodes} - set(told.removed) - {node.before for node in told.changed}
        assert before | set(told.added) | {node.name for node in told.changed} == {node.name for node in after}
        assert asdict(told)
