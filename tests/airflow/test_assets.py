"""Assets on a real Airflow: an event for each dataset that was written, and for no other, and the DAGs it starts."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from airflow_provider_kedro_vertex.compat import AIRFLOW
from airflow_provider_kedro_vertex.core.project import manifest as manifests
from airflow_provider_kedro_vertex.core.project.manifest import Dataset, Manifest, Node, Parameter, Pipeline, Project
from airflow_provider_kedro_vertex.core.settings.run_config import RunConfig
from tests.airflow.control import RunningAirflow, start_emulator
from tests.airflow.test_node_runs import IMAGE, RUNTIME, Vertex
from tests.chromium import CHROMIUM, Chromium
from tools.demo.processes import Processes
from tools.demo.stack import environment

pytestmark = [pytest.mark.airflow]

RUN = "manual__one"
MODES = ("watched", "custom_jobs", "one_job")
PRODUCERS = [f"{mode}_{wait}" for mode in MODES for wait in ("deferred", "waiting")]
SLICED = [f"{mode}_sliced" for mode in MODES]


def shop() -> Manifest:
    nodes = (Node("make", ("params:place",), ("table", "notes")), Node("report", ("table", "notes"), ("result",)))
    settings = {"project_id": "demo-project", "region": "europe-west1", "image": IMAGE, "root": "bucket/runs"}
    place = {"scope": "remote", "runtime_params": ("place",)}
    return Manifest(
        project=Project("Shop", "shop", "1.7.0"),
        env=None,
        config=RunConfig.from_dict(settings),
        parameters={"place": Parameter("string", "base")},
        datasets={
            "table": Dataset(
                "table", "p.CSVDataset", "gs://data/base/table", pattern="gs://data/<place>/table", **place
            ),
            "result": Dataset("result", "p.CSVDataset", "gs://data/base/x", pattern="gs://data/<place>/x", **place),
            "notes": Dataset("notes", "MemoryDataset"),
        },
        pipelines={"__default__": Pipeline("__default__", nodes)},
        runtime_params={"place": False},
    )


def reports() -> Manifest:
    """A project of its own, whose catalog names the place where the first one writes."""
    place = "gs://data/one_job_deferred/x"
    return replace(
        shop(),
        project=Project("Reports", "reports", "1.7.0"),
        parameters={},
        runtime_params={},
        datasets={
            "orders": Dataset("orders", "p.CSVDataset", place, "remote"),
            "told": Dataset("told", "MemoryDataset"),
        },
        pipelines={"__default__": Pipeline("__default__", (Node("tell", ("orders",), ("told",)),))},
    )


@pytest.fixture(scope="module")
def vertex(processes: Processes, tmp_path_factory: pytest.TempPathFactory) -> Vertex:
    data, folder, image = (tmp_path_factory.mktemp(name) for name in ("vertex", "containers", "image"))
    package = image / "airflow_provider_kedro_vertex"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "runtime.py").write_text(RUNTIME)
    arguments = [f"--image={IMAGE}={image}"]
    arguments += [f"--env=RECORD={folder / 'record'}", f"--env=FAILING={folder / 'failing'}"]
    return Vertex(start_emulator(processes, data, *arguments), folder)


@pytest.fixture(scope="module")
def airflow(processes: Processes, vertex: Vertex, tmp_path_factory: pytest.TempPathFactory) -> RunningAirflow:
    home = tmp_path_factory.mktemp("airflow")
    dags = home / "dags"
    dags.mkdir()
    shutil.copy(Path(__file__).parent / "dags" / "assets.py", dags)
    manifests.write(shop(), dags / "shop.manifest.json")
    manifests.write(reports(), dags / "reports.manifest.json")
    running = RunningAirflow(home, dags, processes, vertex.url, environment())
    running.start(*PRODUCERS, *SLICED, "reports", *(f"{dag_id}_result" for dag_id in (*PRODUCERS, *SLICED)))
    for dag_id in PRODUCERS:
        vertex.fail(dag_id, "report")
    for dag_id in (*PRODUCERS, *SLICED):
        running.trigger(dag_id, RUN)
    return running


def end(airflow: RunningAirflow, dag_id: str, state: str) -> None:
    airflow.until(lambda: airflow.run_state(dag_id, RUN) in ("success", "failed"), f"end of {dag_id}", 600)
    assert airflow.run_state(dag_id, RUN) == state


@pytest.mark.parametrize("dag_id", PRODUCERS)
def test_each_write_is_one_event_and_starts_the_dags_of_its_dataset_once(
    airflow: RunningAirflow, vertex: Vertex, dag_id: str
) -> None:
    table, result = f"gs://data/{dag_id}/table", f"gs://data/{dag_id}/x"
    in_one_job = dag_id.startswith("one_job")
    if in_one_job:  # nothing is told before all of it has succeeded
        end(airflow, dag_id, "failed")
        assert airflow.states(dag_id, RUN) == {"submit": "success", "wait": "failed"}
        assert airflow.asset_events(dag_id) == []
    else:
        airflow.until(lambda: vertex.runs(dag_id)["report"] > 0, "failure of the report", 600)
        assert airflow.states(dag_id, RUN)["make"] == "success"
        assert [event.uri for event in airflow.asset_events(dag_id)] == [table]

    vertex.mend(dag_id, "report")
    if in_one_job:
        airflow.clear(dag_id, RUN, "submit", downstream=True)
        airflow.until(lambda: airflow.run_state(dag_id, RUN) not in ("success", "failed"), "restart")
    end(airflow, dag_id, "success")  # else by Airflow's retries
    assert vertex.runs(dag_id)["make"] == 1
    events = {event.uri: event for event in airflow.asset_events(dag_id)}
    assert len(airflow.asset_events(dag_id)) == 2
    assert set(events) == {table, result}
    assert events[result].task_id == ("wait" if in_one_job else "report")
    (told,) = {line["context"]["run_key"] for line in vertex.told(dag_id)}
    assert {key: events[result].extra[key] for key in ("run_key", "node", "dataset")} == {
        "run_key": told,
        "node": "report",
        "dataset": "result",
    }
    assert events[result].extra["version"] in {line["context"]["save_version"] for line in vertex.told(dag_id)}
    assert "/pipelineJobs/" in events[result].extra["job"] or "/customJobs/" in events[result].extra["job"]

    airflow.until(lambda: airflow.run_states(f"{dag_id}_result") == ["success"], "the run that the result starts")


def test_another_projects_dag_runs_once_for_each_result(airflow: RunningAirflow, vertex: Vertex) -> None:
    end(airflow, "one_job_deferred", "success")
    airflow.until(lambda: airflow.run_states("reports") == ["success"], "the run of the other project", 600)
    assert vertex.runs("reports") == {"tell": 1}
    (told,) = vertex.told("reports")
    # Airflow 3 gives a run that an asset starts no logical date; its versions are named after when it may run.
    assert (told["context"]["logical_date"] is None) == (AIRFLOW >= (3, 0))
    assert told["context"]["save_version"].startswith("20")


@pytest.mark.parametrize("dag_id", SLICED)
def test_a_slice_that_does_not_make_a_dataset_starts_nothing(airflow: RunningAirflow, dag_id: str) -> None:
    end(airflow, dag_id, "success")
    assert [event.uri for event in airflow.asset_events(dag_id)] == [f"gs://data/{dag_id}/table"]
    assert airflow.run_states(f"{dag_id}_result") == []


def test_a_watched_node_that_is_cleared_with_all_others_tells_of_no_write_that_did_not_happen(
    airflow: RunningAirflow, vertex: Vertex
) -> None:
    dag_id = "watched_sliced"
    end(airflow, dag_id, "success")
    before = len(airflow.asset_events(dag_id))
    airflow.clear(dag_id, RUN, "submit", downstream=True)  # after a success: all of it runs again
    airflow.until(lambda: airflow.run_state(dag_id, RUN) not in ("success", "failed"), "restart")
    end(airflow, dag_id, "success")
    assert vertex.runs(dag_id) == {"make": 2}
    assert len(airflow.asset_events(dag_id)) == before + 1


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on PATH")
def test_the_asset_graph_leads_from_one_projects_dag_to_the_others(airflow: RunningAirflow, tmp_path: Path) -> None:
    if airflow.url is None:
        pytest.skip("on Airflow 2 there is no web server")
    pictures = Path(os.environ.get("PICTURES", tmp_path)).absolute()
    with Chromium(tmp_path, width=1300, height=700) as page:
        page.open(f"{airflow.url}/assets/{airflow.asset_id('gs://data/one_job_deferred/x')}")
        page.wait_for_texts("gs://data/one_job_deferred/x", "one_job_deferred", "reports")
        page.picture(pictures / "airflow-asset.png")
