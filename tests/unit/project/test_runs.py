"""The commands that look at runs, `status`, `logs` and `replay`, with real containers on the emulator."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_kedro_vertex.core.jobs.attempts import KEY_LABEL
from airflow_provider_kedro_vertex.core.jobs.failure import explain_job
from airflow_provider_kedro_vertex.core.jobs.identity import run_key
from airflow_provider_kedro_vertex.core.jobs.pipeline_spec import pipeline_spec
from airflow_provider_kedro_vertex.core.jobs.request import JobRequest, Run
from airflow_provider_kedro_vertex.core.plan.plan import Plan, build_plan
from airflow_provider_kedro_vertex.core.settings.run_config import RunConfig
from airflow_provider_kedro_vertex.emulator import VertexEmulator
from airflow_provider_kedro_vertex.emulator.executors.images import Noop
from airflow_provider_kedro_vertex.project.cli import logs
from airflow_provider_kedro_vertex.project.cli.connection import connect
from airflow_provider_kedro_vertex.project.cli.submission import submit
from airflow_provider_kedro_vertex.project.inspect import inspect_project
from airflow_provider_kedro_vertex.vertex.client import VertexClient
from airflow_provider_kedro_vertex.vertex.job_logs import failed_logs
from tests.storage import storage_emulator, storage_variables
from tests.unit.project.conftest import write_project

Vertex = Callable[..., Any]

REGISTRY = """
from pathlib import Path
import os, sys, time
from kedro.pipeline import node, pipeline

def load(rows):
    print("loading", rows)
    print("with a warning", file=sys.stderr)
    return rows

def clean(rows):
    day = rows * 2
    print("cleaning", rows)
    print("as", os.environ.get("KEDRO_CONFIG_RUN_ID"), os.environ.get("SHOP_SIZE"))
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
    "run_config: {image: 'r.test/runs:1', root: shop, nodes: {clean_up: {env: {SHOP_SIZE: '$(large)'}}}}\n",
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
    images = {"r.test/runs:1": project, "r.test/runs:idle": Noop(0)}
    with VertexEmulator(images, env=storage_variables(storage)) as running:
        yield running


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "PAUSE", 0.1)
    monkeypatch.setattr(logs, "NEXT_JOB", 0.5)


@pytest.fixture(scope="module")
def plan(project: Path) -> Plan:
    return build_plan(inspect_project(project))


@pytest.fixture(scope="module")
def client(emulator: VertexEmulator, storage: str) -> VertexClient:
    place = {"project_id": "shop-project", "region": "europe-west1"}
    return connect(RunConfig.from_dict(place), emulator.url, storage)


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
    of_clean_up = [line.removeprefix("clean-up | ") for line in lines if line.startswith("clean-up")]
    assert of_clean_up == one.stdout.splitlines()

    told = vertex(project, "logs", failed, "--format", "json", "--api-endpoint", emulator.url).stdout
    entries = [json.loads(line) for line in told.splitlines()]
    assert len(entries) == len(lines)
    (warning,) = (entry for entry in entries if entry["text"] == "with a warning")
    assert (warning["group"], warning["severity"]) == ("load", "ERROR")

    wrong = vertex(project, "logs", failed, "--node", "clean-upp", "--api-endpoint", emulator.url)
    assert (wrong.exit_code, wrong.stdout) == (1, "")
    assert wrong.stderr == "Error: The run has no node 'clean-upp'. Did you mean 'clean-up'?\n"


def test_a_custom_job_inside_of_a_pipeline_job_is_a_node_of_it(
    project: Path, vertex: Vertex, emulator: VertexEmulator, client: VertexClient
) -> None:
    spot = {"nodes": {"load": {"scheduling": {"strategy": "spot"}}}}
    manifest = inspect_project(project)
    plan = build_plan(manifest, config=manifest.config.overridden(spot))
    key = run_key("shop", "manual__spot")
    run = Run(key, "shop", "manual__spot", datetime(2013, 6, 1, tzinfo=timezone.utc), dag_run_key=key)
    body = JobRequest(plan, run, "shop-project", "europe-west1", "{}", "spot", {}).body(key)
    body["labels"][KEY_LABEL] = "submit"
    name = ended(client, client.create_pipeline_job(key, body)["name"])
    link = "https://airflow.test/dags/shop/runs/manual__spot"
    told = json.loads(vertex(project, "status", link, "--format", "json", *WHERE, emulator.url).stdout)
    assert told["state"] == "FAILED"
    assert [job["name"] for job in told["jobs"]] == [name]
    assert [(group["group"], group["nodes"], group["state"]) for group in told["groups"]] == [
        ("load", ["load"], "SUCCEEDED"),
        ("clean-up", ["clean_up"], "FAILED"),
    ]
    logged = vertex(project, "logs", link, "--node", "load", *WHERE, emulator.url).stdout
    assert "loading 3" in logged.splitlines()
    (launched,) = client.list_jobs("customJobs", f'labels.airflow-dag-run-key="{key}"')
    assert (launched["labels"][KEY_LABEL], launched["jobSpec"]["scheduling"]["strategy"]) == ("pipeline-job", "SPOT")
    # Named by itself, it is a run of one node.
    alone = json.loads(vertex(project, "status", launched["name"], "--format", "json", *WHERE, emulator.url).stdout)
    assert [(group["group"], group["nodes"]) for group in alone["groups"]] == [("load", ["load"])]


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
    own = re.findall(r"^(?:load    |clean-up) \| (?:loading|cleaning) 3", done.stdout, re.MULTILINE)
    assert own == ["load     | loading 3", "clean-up | cleaning 3"]
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
    own = []
    with subprocess.Popen(command, cwd=project, stdout=subprocess.PIPE, text=True, env=QUIET) as process:
        assert process.stdout is not None
        try:
            for line in process.stdout:
                own += [line.rstrip()] if "waiting" in line else []
                if "waiting begins" in line:
                    assert process.poll() is None
                    (project / "go").touch()  # the node, which waits for this, was seen before it ended
        finally:
            (project / "go").touch()
    assert process.returncode == 0
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


def stored(client: VertexClient) -> list[tuple[str, str]]:
    return sorted((each["name"], each["generation"]) for each in client.list_objects("gs://shop/"))


def pasted(line: str, project: Path, answers: str = "") -> subprocess.CompletedProcess[str]:
    """Paste a line into a shell in the project's folder."""
    shell = {**QUIET, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "KEDRO_ENV": "no-such-env"}
    return subprocess.run(
        ["/bin/sh", "-c", line], cwd=project, env=shell, input=answers, capture_output=True, text=True, timeout=120
    )


def test_the_line_of_the_error_replays_the_node_with_the_same_error(
    project: Path, client: VertexClient, failed: str
) -> None:
    job = client.get_job(failed)
    told = explain_job(job, "", failed_logs(client, job), environment=client.endpoints.variables)
    (line,) = re.findall(r"Run it here, in the project's folder: (.*)", told)
    assert line.endswith(f" kedro vertex replay {failed} --node clean_up")
    before = stored(client)

    done = pasted(line, project)
    assert done.returncode == 1, done.stderr
    last = json.loads(done.stderr.splitlines()[-1])
    assert (last["node"], last["error"]) == ("clean_up", "ValueError: no rows on day 3")
    # Its inputs, run key and variables are those of the run, and the node before it has not run again.
    assert f"as {job['labels']['airflow-run-key']} $(large)" in done.stdout.splitlines()
    assert "loading" not in done.stdout
    assert stored(client) == before


def test_a_replay_opens_the_debugger_where_the_node_failed(
    project: Path, client: VertexClient, emulator: VertexEmulator, storage: str, failed: str
) -> None:
    variables = f"STORAGE_EMULATOR_HOST={storage} KEDRO_VERTEX_API_ENDPOINT={emulator.url}"
    done = pasted(f"{variables} kedro vertex replay {failed} --pdb", project, "print('rows twice are', day)\nq\n")
    assert "rows twice are 6" in done.stdout
    assert done.returncode == 1


def test_a_node_that_did_not_fail_is_replayed_by_its_name(
    project: Path, client: VertexClient, emulator: VertexEmulator, storage: str, plan: Plan
) -> None:
    submit_custom_jobs(plan, client, "replayed")
    before = stored(client)
    variables = f"STORAGE_EMULATOR_HOST={storage} KEDRO_VERTEX_API_ENDPOINT={emulator.url}"
    done = pasted(f"{variables} kedro vertex replay shop/replayed --node load {' '.join(WHERE[:-1])}", project)
    assert (done.returncode, done.stderr.splitlines()[-1]) == (0, "load succeeded."), done.stderr
    assert "loading 3" in done.stdout.splitlines()
    assert stored(client) == before


def test_a_replay_asks_for_a_node_where_none_has_failed(
    project: Path, vertex: Vertex, emulator: VertexEmulator, plan: Plan, client: VertexClient
) -> None:
    idle = replace(plan, groups=tuple(replace(group, image="r.test/runs:idle") for group in plan.groups))
    name = ended(client, submit(client, idle, pipeline_spec(idle), "{}")["name"])
    done = vertex(project, "replay", name, "--api-endpoint", emulator.url)
    assert done.exit_code == 1
    assert done.stderr == "Error: No node of the run has failed. Name one with --node: 'load', 'clean_up'.\n"
    done = vertex(project, "replay", name, "--node", "clean-upp", "--api-endpoint", emulator.url)
    assert (done.exit_code, done.stderr) == (1, "Error: The run has no node 'clean-upp'. Did you mean 'clean-up'?\n")
