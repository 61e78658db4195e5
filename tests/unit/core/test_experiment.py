"""The experiment of a plan: its id, and how containers are told of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from airflow_provider_kedro_vertex.core.checks.check import check
from airflow_provider_kedro_vertex.core.jobs.job_body import MAX_VARIABLES, environment
from airflow_provider_kedro_vertex.core.plan.plan import build_plan
from airflow_provider_kedro_vertex.core.project.manifest import Manifest
from airflow_provider_kedro_vertex.core.settings.experiment import experiment_id
from airflow_provider_kedro_vertex.core.settings.nodes import NodeSettings


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("flights", "flights"),
        ("My Demo", "my-demo"),
        ("late_flights.", "late-flights"),
        ("2013", "2013"),
        ("a" * 57, "a" * 57),
    ],
)
def test_the_id_of_an_experiment(name: str, known: str) -> None:
    assert experiment_id(name) == known


def test_ids_of_long_and_foreign_names_differ_and_leave_room_for_the_run() -> None:
    names = ["a" * 58, "a" * 59, "ä", "日本", "東京", "-" * 3]
    known = [experiment_id(name) for name in names]
    assert len(set(known)) == len(names)
    # The longest run key, and what Google's SDK wants to be left.
    assert all(len(f"{each}-{'k' * 63}") <= 121 for each in known)


@pytest.mark.parametrize("pipeline", ["__default__", "orders"])
def test_an_experiment_never_has_the_name_of_a_pipeline(manifest: Manifest, pipeline: str) -> None:
    """Vertex AI keeps a context of each pipeline's name in the same store."""

    def known(name: str) -> str | None:
        return build_plan(manifest, pipeline, manifest.config.overridden({"experiment_name": name})).experiment

    assert known("Small Shop") == "small-shop-experiment"
    assert known("small-shop-orders") == "small-shop-orders-experiment"
    assert known("small-shop-experiment") == "small-shop-experiment"
    assert known("small-shop-other") == "small-shop-other"
    assert experiment_id("a" * 57, {"a" * 57}) not in ("a" * 57, f"{'a' * 57}-experiment")
    both = build_plan(manifest, "orders,__default__", manifest.config.overridden({"experiment_name": "x"}))
    named = manifest.config.overridden({"experiment_name": both.name})
    assert build_plan(manifest, "orders,__default__", named).experiment != both.name


def test_variables_of_ones_own_come_first(manifest: Manifest) -> None:
    plan = build_plan(manifest, config=manifest.config.overridden({"experiment_description": "of today"}))
    told = {
        each["name"]: each["value"] for each in environment(NodeSettings(env={"A": "1"}), plan.experiment_variables)
    }
    assert told["KEDRO_VERTEX_EXPERIMENT"] == "shop"
    assert told["KEDRO_VERTEX_EXPERIMENT_DESCRIPTION"] == "of today"
    full = {f"V{number}": "" for number in range(MAX_VARIABLES)}
    assert {each["name"] for each in environment(NodeSettings(env=full), plan.experiment_variables)} == set(full)
    assert replace(plan, experiment=None).experiment_variables == {}


@pytest.mark.parametrize(("name", "told"), [("shop", False), ("My Shop", True), ("small-shop", False)])
def test_check_tells_an_id_that_nobody_would_guess(manifest: Manifest, name: str, told: bool) -> None:
    changed = replace(manifest, config=manifest.config.overridden({"experiment_name": name}))
    found = [finding for finding in check(changed, build_plan(changed), "pipeline_job") if finding.code == "KV009"]
    assert [finding.level for finding in found] == ["note"] * told
    assert all("'my-shop'" in finding.message for finding in found)
