"""Each node as its own Airflow task, on a real Airflow: what fails once is cleared, stopped or deleted.

The emulator tells which containers ran; each of them tells what it was given. ``MANY_NODES`` sets how many nodes the
DAGs of many nodes have, and ``RUNS_AT_ONCE`` how many runs of one DAG a backfill has side by side.
"""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests

from airflow_provider_kedro_vertex.core.project import manifest as manifests
from airflow_provider_kedro_vertex.core.project.manifest import Dataset, Manifest, Node, Pipeline, Project
from airflow_provider_kedro_vertex.core.settings.run_config import RunConfig
from airflow_provider_kedro_vertex.core.text import label_value
from tests.airflow.control import RunningAirflow, RunningVertex, start_emulator
from tests.chromium import CHROMIUM, Chromium
from tools.demo.processes import Processes
from tools.demo.stack import environment

pytestmark = [pytest.mark.airflow]

MANY_NODES = int(os.environ.get("MANY_NODES", "12"))
RUNS_AT_ONCE = int(os.environ.get("RUNS_AT_ONCE", "3"))
RUN = "manual__one"
#: A run that is asked for a node that does not exist, and one whose form nobody changed.
WRONG, WHOLE = "manual__wrong", "manual__whole"
FIRST_DAY = date(2013, 6, 1)
IMAGE = "example/nodes:1"
NODES = ("load", "model.baseline", "model.fit", "model.inner.score", "report")
FAILING_ONCE = ("watched", "custom_jobs", "one_job", "rescheduled")
#: The DAGs that make a CustomJob of the node that fails once.
SPOT_OR_CUSTOM = ("watched", "custom_jobs")
SLICED = ("some_watched", "some_custom_jobs", "some_in_one_job")
CHOSEN = ("chosen_watched", "chosen_custom_jobs", "chosen_in_one_job")
#: Another image, which does the same.
OTHER_IMAGE = "example/nodes:2"

#: Stands in for the runtime inside of the container: it tells what it was given, and fails while it is told to.
RUNTIME = """
import json, os, pathlib, sys
arguments = dict(zip(sys.argv[2::2], sys.argv[3::2]))
if "--executor-input" in arguments:
    inputs = json.loads(arguments["--executor-input"])["inputs"]["parameterValues"]
    arguments["--context"], arguments["--params"] = inputs["run_context"], inputs["runtime_params"]
context = json.loads(arguments["--context"])
told = {"dag": context["dag_id"], "node": arguments["--node"], "params": json.loads(arguments["--params"])}
told["context"] = context
with open(os.environ["RECORD"], "a") as record:
    record.write(json.dumps(told) + "\\n")
if (pathlib.Path(os.environ["FAILING"]) / told["dag"] / told["node"]).exists():
    print(json.dumps({"node": told["node"], "error": "ValueError: not yet", "seconds": 0.1}))
    sys.exit(1)
"""


def pipeline_manifest() -> Manifest:
    nodes = (
        Node("load", ("raw",), ("table",)),
        Node("model.baseline", ("table",), ("model.mean",), namespace="model"),
        Node("model.fit", ("table",), ("model.line",), namespace="model"),
        Node("model.inner.score", ("model.line",), ("score",), namespace="model.inner"),
        Node("report", ("score", "model.mean"), ("result",)),
    )
    settings = {"project_id": "demo-project", "region": "europe-west1", "image": IMAGE, "root": "bucket/runs"}
    return Manifest(
        project=Project("Nodes", "nodes", "1.7.0"),
        env=None,
        config=RunConfig.from_dict({**settings, "on_exit_pipeline": "tidy"}),
        parameters={},
        datasets={name: Dataset(name, "MemoryDataset") for name in ("table", "score", "result")},
        pipelines={
            "__default__": Pipeline("__default__", nodes),
            "tidy": Pipeline("tidy", (Node("tell", ("params:run_outcome",), ("told",)),)),
        },
    )


def stored_manifest() -> Manifest:
    """The same pipeline, whose datasets lie in storage; one node has a tag."""
    small = pipeline_manifest()
    names = ("table", "model.mean", "model.line", "score", "result")
    nodes = tuple(
        replace(node, tags=("late",)) if node.name == "model.inner.score" else node
        for node in small.pipelines["__default__"].nodes
    )
    return replace(
        small,
        datasets={name: Dataset(name, "p.CSVDataset", f"gs://data/{name}", "remote") for name in names},
        pipelines={**small.pipelines, "__default__": Pipeline("__default__", nodes)},
    )


def many_nodes_manifest() -> Manifest:
    """Chains of ten nodes in namespaces of their own."""
    nodes = []
    for number in range(MANY_NODES):
        chain, place = divmod(number, 10)
        inputs = (f"chain_{chain}.data_{place - 1}",) if place else ("raw",)
        name = f"chain_{chain}.node_{place}"
        nodes.append(Node(name, inputs, (f"chain_{chain}.data_{place}",), namespace=f"chain_{chain}"))
    small = pipeline_manifest()
    config = small.config.overridden({"image": "short"}).to_dict()
    config.pop("on_exit_pipeline")
    nodes.sort(key=lambda node: (node.name[-1], node.name))
    return replace(
        small,
        config=RunConfig.from_dict(config),
        datasets={name: Dataset(name, "MemoryDataset") for node in nodes for name in node.outputs},
        pipelines={"__default__": Pipeline("__default__", tuple(nodes))},
    )


@dataclass(frozen=True)
class Vertex(RunningVertex):
    """One whose containers tell what they were told, in a folder."""

    folder: Path

    def told(self, dag_id: str) -> list[dict[str, Any]]:
        record = self.folder / "record"
        lines = [json.loads(line) for line in record.read_text().splitlines()] if record.exists() else []
        return [line for line in lines if line["dag"] == dag_id]

    def runs(self, dag_id: str) -> Counter[str]:
        """How often each node's container ran."""
        return Counter(line["node"] for line in self.told(dag_id))

    def fail(self, dag_id: str, node: str) -> None:
        folder = self.folder / "failing" / dag_id
        folder.mkdir(parents=True, exist_ok=True)
        (folder / node).touch()

    def mend(self, dag_id: str, node: str) -> None:
        (self.folder / "failing" / dag_id / node).unlink()


@pytest.fixture(scope="module")
def vertex(processes: Processes, tmp_path_factory: pytest.TempPathFactory) -> Vertex:
    data, folder, image = (tmp_path_factory.mktemp(name) for name in ("vertex", "containers", "image"))
    package = image / "airflow_provider_kedro_vertex"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "runtime.py").write_text(RUNTIME)
    arguments = [f"--image={each}={image}" for each in (IMAGE, OTHER_IMAGE)]
    arguments += ["--image=lives=noop:3600", "--image=short=noop:0.2"]
    arguments += [f"--env=RECORD={folder / 'record'}", f"--env=FAILING={folder / 'failing'}"]
    return Vertex(start_emulator(processes, data, *arguments), folder)


@pytest.fixture(scope="module")
def airflow(processes: Processes, vertex: Vertex, tmp_path_factory: pytest.TempPathFactory) -> RunningAirflow:
    home = tmp_path_factory.mktemp("airflow")
    dags = home / "dags"
    dags.mkdir()
    shutil.copy(Path(__file__).parent / "dags" / "node_runs.py", dags)
    manifests.write(pipeline_manifest(), dags / "nodes.manifest.json")
    manifests.write(stored_manifest(), dags / "stored.manifest.json")
    manifests.write(many_nodes_manifest(), dags / "many.manifest.json")
    running = RunningAirflow(home, dags, processes, vertex.url, environment())
    running.start(*FAILING_ONCE, *SLICED, *CHOSEN, "stopped", "deleted", "many_watched", "many_jobs", "side_by_side")
    for dag_id in FAILING_ONCE:
        vertex.fail(dag_id, "model.fit")
    for dag_id in ("stopped", "deleted", *FAILING_ONCE, *SLICED, "many_watched", "many_jobs"):
        running.trigger(dag_id, RUN)
    for dag_id in CHOSEN:
        running.trigger(dag_id, RUN, {"only_nodes": ["model.fit", "late"], "image": OTHER_IMAGE})
        running.trigger(dag_id, WRONG, {"only_nodes": ["model.fti"]})
    return running


def ended(airflow: RunningAirflow, dag_id: str, state: str, run_id: str = RUN) -> dict[str, str]:
    """The states of the run's tasks once it has ended in this state."""
    seconds = 300 + 10 * MANY_NODES
    airflow.until(lambda: airflow.run_state(dag_id, run_id) in ("success", "failed"), f"end of {dag_id}", seconds)
    assert airflow.run_state(dag_id, run_id) == state
    return airflow.states(dag_id, run_id)


FAILED = {
    "load": "success",
    "model.baseline": "success",
    "model.fit": "failed",
    "model.inner.score": "upstream_failed",
    "report": "upstream_failed",
    "on_exit": "success",
}


@pytest.mark.parametrize("dag_id", ["watched", "rescheduled", "custom_jobs"])
def test_a_node_that_failed_is_cleared_and_only_what_is_left_runs(
    airflow: RunningAirflow, vertex: Vertex, dag_id: str
) -> None:
    submit = {} if dag_id == "custom_jobs" else {"submit": "success"}
    assert ended(airflow, dag_id, "failed") == {**FAILED, **submit}
    assert vertex.runs(dag_id) == {"load": 1, "model.baseline": 1, "model.fit": 1, "tell": 1}
    log = airflow.log(dag_id, RUN, "model.fit")
    assert "ValueError: not yet" in log
    (told,) = (line for line in vertex.told(dag_id) if line["node"] == "tell")
    assert told["params"]["run_outcome"]["state"] == "FAILED"
    assert told["params"]["run_outcome"]["failed_nodes"] == ["model-fit"]
    assert len(told["params"]["run_outcome"]["errors"]) == 1

    vertex.mend(dag_id, "model.fit")
    airflow.clear(dag_id, RUN, "model.fit", downstream=True)
    airflow.until(lambda: airflow.run_state(dag_id, RUN) not in ("success", "failed"), "restart")
    assert ended(airflow, dag_id, "success") == {**dict.fromkeys(FAILED, "success"), **submit}
    once = dict.fromkeys(NODES, 1)
    assert vertex.runs(dag_id) == {**once, "model.fit": 2, "tell": 2}
    *_, told = (line for line in vertex.told(dag_id) if line["node"] == "tell")
    assert told["params"]["run_outcome"] == {"state": "SUCCEEDED", "failed_nodes": [], "errors": []}
    fits = [job for job in vertex.jobs(dag_id, collection="customJobs") if job["labels"]["kedro-group"] == "model-fit"]
    states = ["JOB_STATE_FAILED", "JOB_STATE_SUCCEEDED"] if dag_id in SPOT_OR_CUSTOM else []
    assert [job["state"] for job in fits] == states
    assert {job["jobSpec"]["scheduling"].get("strategy") for job in fits if dag_id == "watched"} <= {"SPOT"}
    if dag_id == "custom_jobs":
        assert vertex.jobs(dag_id) == []
    else:
        first, second = vertex.jobs(dag_id)
        assert second["labels"]["kedro-resumes"] == "1"
        assert airflow.xcom(dag_id, RUN, "model.fit")["name"] == second["name"]
        assert airflow.xcom(dag_id, RUN, "load")["name"] == first["name"]


def test_a_submitting_task_that_is_cleared_runs_what_is_left(airflow: RunningAirflow, vertex: Vertex) -> None:
    states = ended(airflow, "one_job", "failed")
    assert states == {"submit": "success", "wait": "failed", "on_exit": "success"}

    vertex.mend("one_job", "model.fit")
    airflow.clear("one_job", RUN, "submit", downstream=True)
    airflow.until(lambda: airflow.run_state("one_job", RUN) not in ("success", "failed"), "restart")
    ended(airflow, "one_job", "success")
    assert vertex.runs("one_job") == {**dict.fromkeys(NODES, 1), "model.fit": 2, "tell": 2}

    # After a success, clearing runs all.
    airflow.clear("one_job", RUN, "submit", downstream=True)
    airflow.until(lambda: airflow.run_state("one_job", RUN) not in ("success", "failed"), "restart")
    ended(airflow, "one_job", "success")
    assert vertex.runs("one_job") == {**dict.fromkeys(NODES, 2), "model.fit": 3, "tell": 3}
    assert vertex.states("one_job") == ["FAILED", "SUCCEEDED", "SUCCEEDED"]


def test_a_run_that_is_marked_failed_ends_its_job_and_still_runs_the_exit_pipeline(
    airflow: RunningAirflow, vertex: Vertex
) -> None:
    # Before its trigger has begun, nobody hears of a kill.
    airflow.until(lambda: airflow.has_trigger("stopped", RUN, "model.fit"), "wait")
    airflow.fail_run("stopped", RUN)

    airflow.until(lambda: vertex.states("stopped") == ["CANCELLED"], "end of the job")
    airflow.until(lambda: bool(vertex.told("stopped")) and "tell" in vertex.runs("stopped"), "exit pipeline")
    (told,) = (line for line in vertex.told("stopped") if line["node"] == "tell")
    assert told["params"]["run_outcome"]["state"] == "CANCELLED"
    airflow.until(lambda: airflow.run_state("stopped", RUN) in ("success", "failed"), "end of stopped")
    states = airflow.states("stopped", RUN)
    assert (states["model.fit"], states["report"], states["on_exit"]) == ("failed", "skipped", "success")

    # Airflow has judged the run by its last task, which it had skipped. Now no teardown is left, so the mark stays.
    airflow.fail_run("stopped", RUN)
    assert airflow.run_state("stopped", RUN) == "failed"


def test_a_watched_job_that_is_deleted_under_way_is_told_as_such(airflow: RunningAirflow, vertex: Vertex) -> None:
    airflow.until(lambda: airflow.states("deleted", RUN).get("load") == "deferred", "deferred task")
    (job,) = vertex.jobs("deleted")
    requests.post(f"{vertex.url}/v1/{job['name']}:cancel", json={}, timeout=120).raise_for_status()
    airflow.until(lambda: requests.delete(f"{vertex.url}/v1/{job['name']}", timeout=120).ok, "deletion")

    states = ended(airflow, "deleted", "failed")
    assert states["load"] == "failed"
    assert f"Vertex AI has no job {job['name']}" in airflow.log("deleted", RUN, "load")


@pytest.mark.parametrize("dag_id", SLICED)
def test_a_slice_runs_its_nodes_alone(airflow: RunningAirflow, vertex: Vertex, dag_id: str) -> None:
    own = {"load", "model.fit"}
    tasks = {
        "some_watched": {"submit", *own},
        "some_custom_jobs": own,
        "some_in_one_job": {"submit", "wait"},
    }
    assert ended(airflow, dag_id, "success") == dict.fromkeys({*tasks[dag_id], "on_exit"}, "success")
    assert vertex.runs(dag_id) == {"load": 1, "model.fit": 1, "tell": 1}


def image_names(job: dict[str, Any]) -> set[str]:
    """The images of a job's containers."""
    if "jobSpec" in job:
        return {pool["containerSpec"]["imageUri"] for pool in job["jobSpec"]["workerPoolSpecs"]}
    executors = job["pipelineSpec"]["deploymentSpec"]["executors"].values()
    return {executor["container"]["image"] for executor in executors}


@pytest.mark.parametrize("dag_id", CHOSEN)
def test_the_nodes_that_a_person_chose_run_alone_in_the_image_that_was_chosen(
    airflow: RunningAirflow, vertex: Vertex, dag_id: str
) -> None:
    one_job, kind = dag_id == "chosen_in_one_job", "customJobs" if dag_id == "chosen_custom_jobs" else "pipelineJobs"
    submit = {} if kind == "customJobs" else {"submit": "success"}
    skipped = dict.fromkeys(("load", "model.baseline", "report"), "skipped")
    ran = dict.fromkeys(("model.fit", "model.inner.score"), "success")
    tasks = {"wait": "success"} if one_job else {**skipped, **ran}
    assert ended(airflow, dag_id, "success") == {**submit, **tasks, "on_exit": "success"}
    told = {line["node"]: line for line in vertex.told(dag_id) if line["context"]["run_id"] == RUN}
    assert {node: line["params"] for node, line in told.items()} == {
        **{node: {} for node in ran},
        "tell": {"run_outcome": {"state": "SUCCEEDED", "failed_nodes": [], "errors": []}},
    }
    jobs = [job for job in vertex.jobs(dag_id, collection=kind) if job["labels"]["airflow-run-id"] == label_value(RUN)]
    assert set().union(*map(image_names, jobs)) == {OTHER_IMAGE}
    # No event tells of what was not written in this run.
    run_key = told["model.fit"]["context"]["run_key"]
    events = [event.extra for event in airflow.asset_events(dag_id) if event.extra["run_key"] == run_key]
    assert sorted(event["node"] for event in events) == sorted(ran)
    if not one_job:
        assert "load is not among the nodes that this run was asked for" in airflow.log(dag_id, RUN, "load")


@pytest.mark.parametrize("dag_id", CHOSEN)
def test_a_node_that_does_not_exist_is_told_and_no_job_is_made(
    airflow: RunningAirflow, vertex: Vertex, dag_id: str
) -> None:
    states = ended(airflow, dag_id, "failed", WRONG)
    first = "load" if dag_id == "chosen_custom_jobs" else "submit"
    assert states[first] == "failed"
    log = airflow.log(dag_id, WRONG, first)
    assert "Pipeline '__default__' has no node or tag 'model.fti'. Did you mean 'model.fit'?" in log
    jobs = [job for kind in ("pipelineJobs", "customJobs") for job in vertex.jobs(dag_id, collection=kind)]
    assert jobs
    assert {job["labels"]["airflow-run-id"] for job in jobs}.isdisjoint({label_value(WRONG)})


def test_a_form_that_nobody_changed_runs_all_nodes(airflow: RunningAirflow, vertex: Vertex) -> None:
    dag_id = "chosen_custom_jobs"
    airflow.trigger(dag_id, WHOLE, {"only_nodes": [], "image": None})
    states = ended(airflow, dag_id, "success", WHOLE)
    assert set(states.values()) == {"success"}
    told = [line for line in vertex.told(dag_id) if line["context"]["run_id"] == WHOLE]
    assert sorted(line["node"] for line in told) == sorted([*NODES, "tell"])
    jobs = [job for job in vertex.jobs(dag_id, collection="customJobs") if job["labels"]["kedro-image"] == "nodes-1"]
    assert len(jobs) == len(NODES) + 1


def with_text(selector: str, text: str) -> str:
    """The element of a page that shows a text, as JavaScript."""
    return f"[...document.querySelectorAll({selector!r})].find((one) => one.innerText === {text!r})"


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on PATH")
def test_a_person_chooses_nodes_in_the_form(airflow: RunningAirflow, tmp_path: Path) -> None:
    if airflow.url is None:
        pytest.skip("on Airflow 2 there is no web server")
    dag_id = "chosen_in_one_job"
    pictures = Path(os.environ.get("PICTURES", tmp_path)).absolute()
    before = {*airflow.confs(dag_id)}
    with Chromium(tmp_path, width=1100, height=900) as page:
        page.open(f"{airflow.url}/dags/{dag_id}", dag_id, "Trigger")
        page.click('[data-testid="trigger-dag-button"]')
        page.wait_for_texts("Run Parameters", "Only these nodes", "Image")
        page.click("#element_only_nodes [role=combobox], #element_only_nodes input")
        page.wait_for_texts(*NODES, "late")
        page.click_element(with_text("[role=option]", "model.fit"))
        page.wait_for("document.querySelector('#element_only_nodes').innerText.includes('model.fit')")
        page.click("#element_only_nodes [role=combobox], #element_only_nodes input")
        page.wait_for_texts("model.baseline", "late")
        page.picture(pictures / "airflow-only-nodes.png")
        page.click_element(with_text("[role=dialog] button", "Trigger"))
        page.until(lambda: len(airflow.confs(dag_id)) > len(before), "run", 120)
    (run_id,) = airflow.confs(dag_id).keys() - before
    conf = airflow.confs(dag_id)[run_id]
    assert (conf["only_nodes"], conf.get("image")) == (["model.fit"], None)
    ended(airflow, dag_id, "success", run_id)


@pytest.mark.parametrize("dag_id", ["many_watched", "many_jobs"])
def test_a_dag_of_many_nodes_runs_to_its_end(airflow: RunningAirflow, dag_id: str) -> None:
    states = ended(airflow, dag_id, "success")
    assert len(states) == MANY_NODES + (dag_id == "many_watched")
    assert set(states.values()) == {"success"}
    assert airflow.xcom(dag_id, RUN, "chain_0.node_9")["state"] == "SUCCEEDED"


def test_runs_side_by_side_share_no_job_version_or_place(airflow: RunningAirflow, vertex: Vertex) -> None:
    runs = airflow.backfill("side_by_side", FIRST_DAY, FIRST_DAY + timedelta(days=RUNS_AT_ONCE - 1))
    assert list(runs.values()) == ["success"] * RUNS_AT_ONCE
    told = [line["context"] for line in vertex.told("side_by_side")]
    assert Counter(context["run_id"] for context in told) == dict.fromkeys(runs, len(NODES) + 1)
    for of_one_run in ("run_key", "save_version"):
        assert len({(context["run_id"], context[of_one_run]) for context in told}) == RUNS_AT_ONCE
        assert len({context[of_one_run] for context in told}) == RUNS_AT_ONCE
    assert len({context["job_id"] for context in told}) == len(told)
    outputs = [job["jobSpec"]["baseOutputDirectory"] for job in vertex.jobs("side_by_side", collection="customJobs")]
    assert len({output["outputUriPrefix"] for output in outputs}) == len(told)
