"""`kedro vertex costs`, on the emulator, against a sum by hand."""

from __future__ import annotations

import csv
import io
import json
import time
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_kedro_vertex.core.jobs.outcome import tasks
from airflow_provider_kedro_vertex.core.jobs.pipeline_spec import pipeline_spec
from airflow_provider_kedro_vertex.core.jobs.request import JobRequest, Run
from airflow_provider_kedro_vertex.core.plan.plan import build_plan
from airflow_provider_kedro_vertex.core.settings.machines import TABLE
from airflow_provider_kedro_vertex.core.settings.run_config import RunConfig
from airflow_provider_kedro_vertex.emulator import VertexEmulator
from airflow_provider_kedro_vertex.emulator.executors.images import Noop
from airflow_provider_kedro_vertex.project.cli.connection import connect
from airflow_provider_kedro_vertex.project.cli.submission import submit
from airflow_provider_kedro_vertex.project.inspect import inspect_project

SETTINGS = """
project_id: shop-project
region: europe-west1
run_config:
  {image: "r.test/shop:1", root: shop, resources: {__default__: {machine_type: n1-highmem-2, cpu: 2, memory: 13Gi}}}
"""


def test_the_sum_by_hand(make_project: Callable[..., Path], vertex: Callable[..., Any]) -> None:
    project = make_project({"conf/base/vertexai.yml": SETTINGS})
    plan = build_plan(inspect_project(project))
    with VertexEmulator({"r.test/shop:1": Noop(1.5)}) as emulator:
        place = {"project_id": "shop-project", "region": "europe-west1"}
        client = connect(RunConfig.from_dict(place), emulator.url)
        run = Run("key", "shop", "one", datetime(2013, 6, 1, tzinfo=timezone.utc))
        request = JobRequest(plan, run, "shop-project", "europe-west1", "{}", "one", {}, group=plan.groups[0])
        made = [
            submit(client, plan, pipeline_spec(plan), "{}")["name"],
            client.create_custom_job(request.body("one"))["name"],
        ]
        while any("endTime" not in client.get_job(name) for name in made):
            time.sleep(0.1)
        seconds = [task.seconds or 0.0 for name in made for task in tasks(client.get_job(name))]

        def costs(*more: str) -> Any:
            return vertex(project, "costs", "--api-endpoint", emulator.url, *more)

        found = json.loads(costs("--by", "node", "--format", "json").stdout)
        text, table = costs().stdout, costs("--by", "day", "--format", "csv").stdout
        none = costs("--project-id", "other-project").stdout
        wrong = costs("--since", "yesterday")
        too_long = costs("--since", "9999999d")
        planned = vertex(project, "plan", "--since", "1d", "--api-endpoint", emulator.url, "--format", "json")
        in_words = vertex(project, "plan", "--since", "1d", "--api-endpoint", emulator.url).stdout
        no_time = vertex(project, "plan", "--since", "long", "--api-endpoint", emulator.url)

    (node,) = found["node"]
    assert (node["key"], node["jobs"], node["containers"], node["unpriced"]) == ("clean_up", 2, 2, 0)
    assert len(seconds) == 2, "the container of the PipelineJob is no job of its own"
    assert min(seconds) > 1
    price = TABLE["n1-highmem-2"].dollars_an_hour
    assert price is not None
    assert node["seconds"] == pytest.approx(sum(seconds), abs=0.1)
    assert node["dollars"] == pytest.approx(price * sum(seconds) / 3600, rel=0.01)
    assert "without discounts" in found["prices"]

    run = json.loads(planned.stdout)["run"]
    assert run["groups"]["clean-up"]["seconds"] == pytest.approx(sum(seconds) / 2, abs=0.1)
    assert run["dollars"] == pytest.approx(price * sum(seconds) / 2 / 3600, rel=0.01)
    assert in_words.splitlines()[-1].startswith(f"A run costs about ${run['dollars']:.4f}, by how long")
    assert "--since must be a time" in no_time.stderr

    (day,) = csv.DictReader(io.StringIO(table))
    assert (day["day"], float(day["dollars"])) == (f"{datetime.now(timezone.utc):%Y-%m-%d}", node["dollars"])
    header, pipeline, total, prices = text.splitlines()
    assert (header.split(), pipeline.split()[:2], total.split()[0]) == (
        ["PIPELINE", "JOBS", "HOURS", "DOLLARS"],
        ["__default__", "2"],
        "2",
    )
    assert prices.startswith("Estimates at list prices for us-central1")
    assert none.splitlines()[1].split() == ["0", "0.00", "0.00"]
    for done in (wrong, too_long):
        assert (done.exit_code, done.stdout) == (1, "")
        assert done.stderr.startswith("Error: --since must be a time such as 12h or 30d, not '")
