"""The run of an experiment as containers write it: side by side, after failures, and when Vertex AI is of no help."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import requests
from kedro.io import DataCatalog, MemoryDataset

from airflow_provider_kedro_vertex.core.exit_codes import ExitCode
from airflow_provider_kedro_vertex.emulator import VertexEmulator
from airflow_provider_kedro_vertex.runtime.experiment import run as experiment_run
from airflow_provider_kedro_vertex.runtime.experiment.experiment import Experiment
from airflow_provider_kedro_vertex.runtime.experiment.run import ExperimentRun
from airflow_provider_kedro_vertex.runtime.google import auth as google_auth
from airflow_provider_kedro_vertex.runtime.progress import Progress
from airflow_provider_kedro_vertex.runtime.run_status import Part
from tests.unit.runtime.containers import Project, context, wait_for

STORE = "v1/projects/demo-project/locations/europe-west1/metadataStores/default"
RUN = replace(context("gs://shop"), project_id="demo-project", region="europe-west1")
NODES = [f"node_{number}" for number in range(12)]


@pytest.fixture
def emulator(tmp_path: Path) -> Iterator[VertexEmulator]:
    with VertexEmulator({}, data=tmp_path / "vertex") as running:
        yield running


@pytest.fixture
def shop(shop: Project, emulator: VertexEmulator, monkeypatch: pytest.MonkeyPatch) -> Project:
    # Another test's project may have set it, and then the container's log has no warnings.
    monkeypatch.delenv("KEDRO_LOGGING_CONFIG", raising=False)
    variables = {"KEDRO_VERTEX_API_ENDPOINT": emulator.url, "KEDRO_VERTEX_EXPERIMENT": "sales"}
    run = replace(shop.context, project_id="demo-project", region="europe-west1")
    return shop.in_run(run).with_variables(**variables)


def contexts(emulator: VertexEmulator) -> dict[str, dict[str, Any]]:
    """The contexts of the store, by their ids."""
    found = requests.get(f"{emulator.url}/{STORE}/contexts", timeout=60)
    return {each["name"].rpartition("/")[2]: each for each in found.json().get("contexts", [])}


def state(emulator: VertexEmulator) -> Any:
    return contexts(emulator)["sales-shop-run-1-0123456789"]["metadata"]["_state"]


def fail(emulator: VertexEmulator, **fault: object) -> None:
    requests.post(f"{emulator.url}/_emulator/faults", json={"faults": [fault]}, timeout=60).raise_for_status()


def container(node: str, **params: Any) -> ExperimentRun:
    part = Part("__default__", None, [node], [NODES[-1]], None)
    made = ExperimentRun(Experiment("sales"), part, RUN, Progress(), params)
    made.before_pipeline_run(DataCatalog({f"{node}_metrics": MemoryDataset()}))
    return made


@pytest.fixture
def reached(emulator: VertexEmulator, monkeypatch: pytest.MonkeyPatch) -> VertexEmulator:
    """The emulator, as containers in this process reach it."""
    monkeypatch.setenv("KEDRO_VERTEX_API_ENDPOINT", emulator.url)
    monkeypatch.setattr(google_auth, "_BACKOFF", 0.0)
    monkeypatch.setattr(experiment_run, "_PAUSE", 0.01)
    return emulator


def test_containers_side_by_side_lose_nothing_of_each_other(reached: VertexEmulator) -> None:
    def run_container(node: str) -> None:
        made = container(node, **{f"of_{node}": node})
        made.began()
        made.after_dataset_saved(f"{node}_metrics", {"loss": len(node)})
        made.ended(None)

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(run_container, NODES))
    found = contexts(reached)
    assert set(found) == {"sales", "sales-shop-run-1-0123456789"}
    run = found["sales-shop-run-1-0123456789"]
    assert run["metadata"]["_params"] == {f"of_{node}": node for node in NODES}
    assert run["metadata"]["_metrics"] == {f"{node}_metrics.loss": len(node) for node in NODES}
    assert run["metadata"]["_state"] == "COMPLETE"
    assert [name.rpartition("/")[2] for name in run["parentContexts"]] == ["sales"]
    assert (run["displayName"], run["schemaTitle"]) == ("shop-run-1-0123456789", "system.ExperimentRun")
    assert found["sales"]["metadata"] == {"experiment_deleted": False}


def test_a_failure_a_new_try_and_a_cleared_run_are_told(shop: Project, emulator: VertexEmulator) -> None:
    failed = shop.run("numbers", "fail", pipeline="wrong")
    assert failed.code == ExitCode.USER_CODE_FAILED
    assert state(emulator) == "FAILED"
    assert "locations/europe-west1/experiments/sales/runs?project=demo-project" in failed.log
    shop.succeed("numbers", params={"size": 3})
    assert state(emulator) == "FAILED"  # the other container's
    again = shop.in_run(replace(shop.context, run_key="shop-run-2-0123456789", data_scope="part"))
    again.succeed("numbers", "double", "total", "report", params={"size": 3})
    run = contexts(emulator)["sales-shop-run-2-0123456789"]
    assert (run["metadata"]["_state"], run["metadata"]["_params"]) == ("COMPLETE", {"size": 3})
    assert run["description"] == "Airflow DAG shop, run run-1, part"


def test_a_container_that_is_ended_tells_so(shop: Project, emulator: VertexEmulator) -> None:
    process = shop.start(*shop.arguments("numbers", "rest", pipeline="wrong"))
    wait_for(lambda: (shop.path / "resting").exists(), process)
    assert state(emulator) == "RUNNING"
    process.send_signal(signal.SIGTERM)
    log, _ = process.communicate(timeout=120)
    assert process.returncode == ExitCode.TERMINATED, log
    assert state(emulator) == "CANCELLED"


def test_without_an_experiment_nothing_is_asked(shop: Project, emulator: VertexEmulator) -> None:
    shop.with_variables(KEDRO_VERTEX_EXPERIMENT="").succeed("numbers")
    assert requests.get(f"{emulator.url}/{STORE}", timeout=60).status_code == 404


def test_a_refusal_is_told_once_and_the_job_succeeds(shop: Project, emulator: VertexEmulator) -> None:
    fail(emulator, method="GetContext", status="PERMISSION_DENIED", message="no right", count=9)
    log = shop.succeed("numbers").log
    assert log.count("does not show what this container did") == 1
    assert "answered 403" in log
    assert "The job's service account needs the role roles/aiplatform.user." in log
    assert "The nodes are not affected." in log
    fail(emulator, method="GetContext", status="PERMISSION_DENIED", message="no right", count=9)
    assert shop.run("numbers", "fail", pipeline="wrong").code == ExitCode.USER_CODE_FAILED


def test_an_outage_at_the_start_leaves_the_end_its_chance(
    reached: VertexEmulator, caplog: pytest.LogCaptureFixture
) -> None:
    fail(reached, method="GetContext", status="UNAVAILABLE", count=3)
    made = container(NODES[-1], size=3)
    made.began()
    assert "answered 503" in caplog.text
    assert contexts(reached) == {}
    made.after_dataset_saved(f"{NODES[-1]}_metrics", {"loss": 1})
    made.ended(None)
    run = contexts(reached)["sales-shop-run-1-0123456789"]["metadata"]
    assert (run["_params"], run["_metrics"], run["_state"]) == ({"size": 3}, {"node_11_metrics.loss": 1}, "COMPLETE")


def test_nobody_answers(shop: Project) -> None:
    log = shop.with_variables(KEDRO_VERTEX_API_ENDPOINT="http://127.0.0.1:9").succeed("numbers").log
    assert log.count("does not show what this container did: ConnectionError") == 2


def test_lost_answers_make_nothing_twice(reached: VertexEmulator) -> None:
    for method in ("CreateContext", "AddContextChildren", "UpdateContext"):
        fail(reached, method=method, lost_response=True)
    made = container(NODES[-1], size=3)
    made.began()
    made.ended(None)
    assert set(contexts(reached)) == {"sales", "sales-shop-run-1-0123456789"}
    assert state(reached) == "COMPLETE"


def test_a_context_of_that_name_that_is_no_experiment_is_left_alone(
    reached: VertexEmulator, caplog: pytest.LogCaptureFixture
) -> None:
    requests.post(f"{reached.url}/{STORE.rpartition('/')[0]}?metadataStoreId=default", json={}, timeout=60)
    body = {"schemaTitle": "system.Pipeline", "displayName": "sales"}
    requests.post(f"{reached.url}/{STORE}/contexts?contextId=sales", json=body, timeout=60).raise_for_status()
    container(NODES[0]).began()
    assert "the context sales is no experiment, but 'system.Pipeline'" in caplog.text
    assert set(contexts(reached)) == {"sales"}


def test_a_run_outside_of_google_cloud_takes_no_part(shop: Project, emulator: VertexEmulator) -> None:
    nowhere = shop.in_run(replace(shop.context, project_id=None))
    assert "the run names no project and region" in nowhere.succeed("numbers").log
