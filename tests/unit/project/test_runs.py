"""The commands that look at runs: `status` and `logs`, with real containers on the emulator."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_kedro_vertex.core.jobs.attempts import KEY_LABEL
from airflow_provider_kedro_vertex.core.jobs.identity import run_key
from airflow_provider_kedro_vertex.core.jobs.pipeline_spec import pipeline_spec
from airflow_provider_kedro_vertex.core.jobs.request import JobRequest, Run
from airflow_provider_kedro_vertex.core.plan.plan import Plan, build_plan
from airflow_provider_kedro_vertex.core.settings.run_config import RunConfig
from airflow_provider_kedro_vertex.emulator import VertexEmulator
from airflow_provider_kedro_vertex.project.cli import logs
from airflow_provider_kedro_vertex.project.cli.connection import connect
from airflow_provider_kedro_vertex.project.cli.submission import submit
from airflow_provider_kedro_vertex.project.inspect import inspect_project
from airflow_provider_kedro_vertex.vertex.client import VertexClient
from tests.storage import storage_emulator, storage_variables
from tests.unit.project.conftest import write_project

Vertex = Callable[..., Any]

REGISTRY = """
from pathlib import Path
import sys, time
from kedro.pipeline import node, pipeline

def load(rows):
    print("loading", rows)
    print("with a warning", file=sys.stderr)
    return rows

def clean(rows):
    print("cleaning", rows)
    raise ValueError(f"no rows on day {rows}")

def wait(rows):
    print("waiting begins")
    while not Path("{go}").exists():
        time.sleep(0.05)
    print("waiting ends")

def register_pipelines():
    return {
        "__default__": pipeline(
            [node(load, "params:rows", "table", name="load"), node(clean, "table", "tidy", name="clean_up")]
        ),
        "slow": pipeline([node(wait, "params:rows", None, name="wait")]),
    }
"""
FILES = {
    "conf/base/catalog.yml": "{}\n",
    "conf/base/parameters.yml": "rows: 3\n",
    "conf/base/vertexai.yml": "project_id: shop-project\nregion: europe-west1\n"
    "run_config: {image: 'r.test/runs:1', root: shop}\n",
}
#: The environment of a command that is a process of its own.
QUIET = {**os.environ, "TERM": "xterm", "DO_NOT_TRACK": "1"}
WHERE = ("--project-id", "shop-project", "--region", "europe-west1", "--api-endpoint")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    registry = REGISTRY.replace("{go}", str(folder / "go"))  # a container's folder is a copy
    return write_project(folder, {**FILES, "src/{package}/pipeline_registry.py": registry}, "shop_of_runs")


@pytest.fixture(scope="module")
def storage() -> Iterator[str]:
    with storage_emulator("shop") as url:
        yield url


@pytest.fixture(scope="module")
def emulator(project: Path, storage: str) -> Iterator[VertexEmulator]:
    with VertexEmulator({"r.test/runs:1": project}, env=storage_variables(storage)) as running:
        yield running


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "PAUSE", 0.1)
    monkeypatch.setattr(logs, "NEXT_JOB", 0.5)


@pytest.fixture(scope="module")
def plan(project: Path) -> Plan:
    return build_plan(inspect_project(project))


@pytest.fixture(scope="module")
def client(emulator: VertexEmulator) -> VertexClient:
    return connect(RunConfig.from_dict({"project_id": "shop-project", "region": "europe-west1"}), emulator.url)


@pytest.fixture(scope="module")
def failed(plan: Plan, client: VertexClient) -> str:
    """The name of a job whose second node has failed."""
    return ended(client, submit(client, plan, pipeline_spec(plan), "{}")["name"])


def ended(client: VertexClient, name: str) -> str:
    while "endTime" not in client.get_job(name):
        time.sleep(0.1)
    return name


def submit_custom_jobs(plan: Plan, client: VertexClient, run_id: str) -> list[str]:
    """Make the CustomJobs of a DAG run, as Airflow's tasks would, one after another."""
    key = run_key("shop", run_id)
    run = Run(key, "shop", run_id, datetime(2013, 6, 1, tzinfo=timezone.utc), dag_run_key=key)
    made = []
    for group in plan.groups:
        request = JobRequest(plan, run, "shop-project", "europe-west1", "{}", group.name, {}, group=group)
        body = request.body(f"{key}-{group.task_id}")
        job = client.create_custom_job({**body, "labels": {**body["labels"], KEY_LABEL: group.task_id}})
        made.append(ended(client, job["name"]))
    return made


def test_status_tells_the_nodes_error_in_text_and_json(
    project: Path, vertex: Vertex, emulator: VertexEmulator, failed: str
) -> None:
    done = vertex(project, "status", failed, "--api-endpoint", emulator.url)
    assert (done.exit_code, done.stderr) == (1, "")
    first, load, clean, error, see = done.stdout.splitlines()
    assert first == "FAILED  1 of 2 node groups succeeded"
    assert re.fullmatch(r"  load      SUCCEEDED +[\d.]+ s", load)
    assert re.fullmatch(r"  clean-up  FAILED     +[\d.]+ s", clean)
    assert error == "    Node clean_up: ValueError: no rows on day 3"
    assert see.startswith(f"See {emulator.url}/vertex-ai/locations/europe-west1/pipelines/runs/")

    # Neither an option nor the project's configuration is needed where RUN says it all.
    link = see.removeprefix("See ")
    told = json.loads(vertex(project, "status", link, "--format", "json").stdout)
    assert told["state"] == "FAILED"
    assert [job["name"] for job in told["jobs"]] == [failed]
    assert [(group["group"], group["nodes"], group["state"]) for group in told["groups"]] == [
        ("load", ["load"], "SUCCEEDED"),
        ("clean-up", ["clean_up"], "FAILED"),
    ]
    assert told["groups"][1]["error"] == "Node clean_up: ValueError: no rows on day 3"
    assert told["groups"][0]["error"] is None


def test_logs_of_all_nodes_of_one_and_as_json(
    project: Path, vertex: Vertex, emulator: VertexEmulator, failed: str
) -> None:
    # The job's id alone: project and region are those of vertexai.yml.
    done = vertex(project, "logs", failed.rpartition("/")[2], "--api-endpoint", emulator.url)
    assert (done.exit_code, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert "load     | loading 3" in lines
    assert "load     | with a warning" in lines
    assert lines.index("load     | loading 3") < lines.index("clean-up | cleaning 3")
    assert "\x1b" not in done.stdout

    one = vertex(project, "logs", failed, "--node", "clean_up", "--api-endpoint", emulator.url)
    assert "cleaning 3" in one.stdout.splitlines()
    assert "loading 3" not in one.stdout
    assert [
        line.removeprefix("clean-up | ") for line in lines if line.startswith("clean-up")
    ] == one.stdout.splitlines()

    told = vertex(project, "logs", failed, "--format", "json", "--api-endpoint", emulator.url).stdout
    entries = [json.loads(line) for line in told.splitlines()]
    assert len(entries) == len(lines)
    (warning,) = (entry for entry in entries if entry["text"] == "with a warning")
    assert (warning["group"], warning["severity"]) == ("load", "ERROR")

    wrong = vertex(project, "logs", failed, "--node", "clean-upp", "--api-endpoint", emulator.url)
    assert (wrong.exit_code, wrong.stdout) == (1, "")
    assert wrong.stderr == "Error: The run has no node 'clean-upp'. Did you mean 'clean-up'?\n"


def test_the_custom_jobs_of_a_dag_run_are_one_run(
    project: Path, vertex: Vertex, emulator: VertexEmulator, plan: Plan, client: VertexClient
) -> None:
    names = submit_custom_jobs(plan, client, "manual__2013-06-01T00:00:00+00:00")
    link = "https://airflow.test/dags/shop/runs/manual__2013-06-01T00%3A00%3A00%2B00%3A00"
    told = json.loads(vertex(project, "status", link, "--format", "json", *WHERE, emulator.url).stdout)
    assert [job["name"] for job in told["jobs"]] == names
    assert [(group["group"], group["state"]) for group in told["groups"]] == [
        ("load", "SUCCEEDED"),
        ("clean-up", "FAILED"),
    ]
    assert told["groups"][1]["error"] == "Node clean_up: ValueError: no rows on day 3"

    run = "shop/manual__2013-06-01T00:00:00+00:00"
    done = vertex(project, "logs", run, "-f", *WHERE, emulator.url)
    assert done.exit_code == 1, "the run has failed"
    assert [line for line in done.stdout.splitlines() if line.endswith(("loading 3", "cleaning 3"))] == [
        "load     | loading 3",
        "clean-up | cleaning 3",
    ]
    one = vertex(project, "logs", names[0].rpartition("/")[2], *WHERE, emulator.url)
    assert "load | loading 3" in one.stdout.splitlines()

    none = vertex(project, "status", "shop/another", *WHERE, emulator.url)
    assert (none.exit_code, none.stdout) == (1, "")
    assert none.stderr.startswith(
        "Error: projects/shop-project/locations/europe-west1 has no job of DAG run 'another' of DAG 'shop'. "
    )


def test_following_prints_each_line_once_while_the_node_runs(
    project: Path, vertex: Vertex, emulator: VertexEmulator
) -> None:
    done = vertex(project, "run-once", "--pipeline", "slow", "--api-endpoint", emulator.url)
    name = done.stdout.split()[1].rstrip(":")
    waiting = vertex(project, "status", name, "--api-endpoint", emulator.url)
    assert waiting.exit_code == 4
    command = [sys.executable, "-m", "kedro", "vertex", "logs", name, "-f", "--api-endpoint", emulator.url]
    process = subprocess.Popen(command, cwd=project, stdout=subprocess.PIPE, text=True, env=QUIET)
    assert process.stdout is not None
    try:
        own = []
        for line in process.stdout:
            own += [line.rstrip()] if "waiting" in line else []
            if "waiting begins" in line:
                assert process.poll() is None
                (project / "go").touch()  # the node, which waits for this, was seen before it ended
    finally:
        (project / "go").touch()
    assert process.wait(timeout=120) == 0
    assert own == ["wait | waiting begins", "wait | waiting ends"]


def test_a_run_that_has_written_nothing_is_told(project: Path, vertex: Vertex, emulator: VertexEmulator) -> None:
    gone = vertex(project, "logs", "no-such-job", *WHERE, emulator.url)
    assert (gone.exit_code, gone.stdout) == (1, "")
    assert gone.stderr.startswith(
        "Error: There is no job projects/shop-project/locations/europe-west1/pipelineJobs/no-such-job. "
    )
    wrong = vertex(project, "status", "No Such Job", *WHERE, emulator.url)
    assert (wrong.exit_code, wrong.stderr.partition(". ")[0]) == (1, "Error: 'No Such Job' names no run")


def test_colours_are_for_terminals_alone(project: Path, emulator: VertexEmulator, failed: str) -> None:
    command = [sys.executable, "-m", "kedro", "vertex", "status", failed, "--api-endpoint", emulator.url]
    ours, theirs = pty.openpty()
    process = subprocess.Popen(command, cwd=project, stdout=theirs, stderr=subprocess.PIPE, env=QUIET)
    os.close(theirs)
    shown = b""
    try:
        while chunk := os.read(ours, 65536):
            shown += chunk
    except OSError:  # Linux tells so of a terminal whose other end is closed
        pass
    finally:
        os.close(ours)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 1, errors
    assert b"\x1b[31mFAILED\x1b[0m" in shown
