"""`kedro vertex tune`: containers run on the emulator, and what they used goes into vertexai.yml."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from airflow_provider_kedro_vertex.core.jobs.pipeline_spec import pipeline_spec
from airflow_provider_kedro_vertex.core.jobs.states import is_over, succeeded
from airflow_provider_kedro_vertex.core.plan.plan import build_plan
from airflow_provider_kedro_vertex.core.settings.run_config import RunConfig
from airflow_provider_kedro_vertex.emulator import VertexEmulator
from airflow_provider_kedro_vertex.project.cli.connection import connect
from airflow_provider_kedro_vertex.project.cli.submission import submit
from airflow_provider_kedro_vertex.project.inspect import inspect_project
from airflow_provider_kedro_vertex.vertex.job_logs import failed_logs

SETTINGS = """\
project_id: shop-project
region: europe-west1
run_config:
  image: r.test/tuned:1
  root: shop
  resources:
    # For all.
    __default__: {cpu: "16", memory: 64Gi}  # much
"""
REGISTRY = """
from kedro.pipeline import node, pipeline

def clean(rows):
    print(rows)

def register_pipelines():
    return {"__default__": pipeline([node(clean, "params:rows", None, name="clean_up")])}
"""
FILES = {
    "src/{package}/pipeline_registry.py": REGISTRY,
    "conf/base/catalog.yml": "{}\n",
    "conf/base/parameters.yml": "rows: 3\n",
    "conf/base/vertexai.yml": SETTINGS,
}


def test_what_was_used_is_written_after_a_look(make_project: Callable[..., Path], vertex: Callable[..., Any]) -> None:
    project = make_project(FILES)
    file = project / "conf/base/vertexai.yml"
    plan = build_plan(inspect_project(project))
    with VertexEmulator({"r.test/tuned:1": project}) as emulator:
        client = connect(RunConfig.from_dict({"project_id": "shop-project", "region": "europe-west1"}), emulator.url)
        job: Any = submit(client, plan, pipeline_spec(plan), "{}")
        while not is_over(job["state"]):
            time.sleep(0.1)
            job = client.get_job(job["name"])
        assert succeeded(job["state"]), failed_logs(client, job)

        def tune(*more: str) -> Any:
            return vertex(project, "tune", "--api-endpoint", emulator.url, *more)

        told, none = tune(), tune("--project-id", "other-project")
        assert file.read_text() == SETTINGS
        data = json.loads(tune("--format", "json").stdout)
        written = tune("--yes")
        changed = file.read_text()
        again = tune()
        wrong = tune("--since", "yesterday")

    assert told.exit_code == 0, told.stderr
    (group,) = data["groups"]
    assert (group["group"], group["runs"], group["asks_for"]) == ("clean_up", 1, {"cpu": "16", "memory": "64Gi"})
    assert 30 << 20 < group["used"]["memory"] < 1 << 30
    assert group["dollars_an_hour"]["after"] < group["dollars_an_hour"]["before"] / 2
    # The table, then the difference, of which nothing is written.
    assert told.stdout.splitlines()[1].split()[:5] == ["clean_up", "1", "-", "64Gi", "->"]
    assert changed.startswith(SETTINGS)
    assert yaml.safe_load(changed)["run_config"]["resources"]["clean_up"] == group["advice"]
    assert group["advice"].keys() == {"cpu", "memory"}
    added = changed.removeprefix(SETTINGS).splitlines()
    assert "".join(f"+{line}\n" for line in added) in told.stdout
    assert told.stdout.endswith("Nothing is written: --yes writes it.\n")
    assert written.stdout.endswith("Wrote conf/base/vertexai.yml. Look at: git diff\n")
    assert vertex(project, "check").exit_code == 0
    assert again.stdout.endswith("There is nothing to change.\n")
    assert "clean_up has told nothing." in none.stdout
    assert none.stdout.endswith("There is nothing to change.\n")
    assert "--since must be a time" in wrong.stderr


def test_a_file_that_cannot_be_changed_stays_and_the_yaml_is_shown(
    make_project: Callable[..., Path], vertex: Callable[..., Any]
) -> None:
    settings = SETTINGS.replace("__default__: {", "__default__: &all {") + "    clean_up: *all\n"
    project = make_project({**FILES, "conf/base/vertexai.yml": settings})
    plan = build_plan(inspect_project(project))
    with VertexEmulator({"r.test/tuned:1": project}) as emulator:
        client = connect(RunConfig.from_dict({"project_id": "shop-project", "region": "europe-west1"}), emulator.url)
        job: Any = submit(client, plan, pipeline_spec(plan), "{}")
        while not is_over(job["state"]):
            time.sleep(0.1)
            job = client.get_job(job["name"])
        assert succeeded(job["state"]), failed_logs(client, job)
        done = vertex(project, "tune", "--yes", "--api-endpoint", emulator.url)
    assert done.exit_code == 1
    assert "Nothing was written: " in done.stderr
    assert "\n  resources:\n    clean_up:\n" in done.stderr
    assert (project / "conf/base/vertexai.yml").read_text() == settings
