"""A pipeline for many countries at once on a real Airflow, in real containers: each instance has its own data.

``MAPPED_INSTANCES`` sets how many instances there are side by side. One of them fails once and is tried again by
Airflow; another one fails until it is cleared.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import requests

from airflow_provider_kedro_vertex.compat import AIRFLOW
from airflow_provider_kedro_vertex.core.project import manifest as manifests
from tests.airflow.control import RunningAirflow, RunningVertex, start_emulator
from tests.storage import storage_variables
from tests.unit.runtime.test_data_scopes import COUNTRIES, context_of, countries_manifest, expected
from tools.demo.processes import Processes
from tools.demo.stack import environment

pytestmark = [pytest.mark.airflow]

INSTANCES = int(os.environ.get("MAPPED_INSTANCES", "4"))
RUN = "manual__one"
#: Each DAG with its task that fails, and the task whose clearing runs what is left.
FAILING = {
    "operators": "report",
    "watched": "each.job.report",
    "custom_jobs": "each.job.report",
    "one_job": "each.job.wait",
}
CLEARED = {**FAILING, "one_job": "each.job.submit"}
RETRIED, FAILED = 1, 2


@pytest.fixture(scope="module")
def failing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file for each country that fails, with how often it does."""
    folder = tmp_path_factory.mktemp("failing")
    for dag_id in FAILING:
        (folder / f"{dag_id}_{RETRIED}").write_text("1")
        (folder / f"{dag_id}_{FAILED}").write_text("1000")
    (folder / f"one_job_{RETRIED}").unlink()  # a sensor does not submit again
    return folder


@pytest.fixture(scope="module")
def vertex(
    processes: Processes, storage: str, failing: Path, tmp_path_factory: pytest.TempPathFactory
) -> RunningVertex:
    data, folder = tmp_path_factory.mktemp("vertex"), tmp_path_factory.mktemp("countries")
    project = shutil.copytree(COUNTRIES, folder / "project", ignore=shutil.ignore_patterns("__pycache__"))
    variables = {**storage_variables(storage), "PYTHONWARNINGS": "ignore", "FAILING": str(failing)}
    arguments = [f"--image=countries={project}", *(f"--env={name}={value}" for name, value in variables.items())]
    return RunningVertex(start_emulator(processes, data, *arguments))


@pytest.fixture(scope="module")
def airflow(
    processes: Processes, vertex: RunningVertex, storage: str, tmp_path_factory: pytest.TempPathFactory
) -> RunningAirflow:
    home = tmp_path_factory.mktemp("airflow")
    dags = home / "dags"
    dags.mkdir()
    shutil.copy(Path(__file__).parent / "dags" / "mapped_runs.py", dags)
    manifests.write(countries_manifest(), dags / "countries.manifest.json")
    env = {**environment(), "MAPPED_INSTANCES": str(INSTANCES)}
    running = RunningAirflow(home, dags, processes, vertex.url, env, storage)
    running.start(*FAILING)
    return running


def ended(airflow: RunningAirflow, dag_id: str, state: str) -> None:
    airflow.until(
        lambda: airflow.run_state(dag_id, RUN) in ("success", "failed"), f"end of {dag_id}", 600 + 60 * INSTANCES
    )
    assert airflow.run_state(dag_id, RUN) == state, airflow.states(dag_id, RUN)


def answers(storage: str, dag_id: str) -> list[dict[str, Any] | None]:
    found = []
    for number in range(INSTANCES):
        path = quote(f"answers/{dag_id}_{number}.json", safe="")
        answer = requests.get(f"{storage}/storage/v1/b/bucket/o/{path}?alt=media", timeout=60)
        found.append(answer.json() if answer.ok else None)
    return found


@pytest.mark.parametrize("dag_id", FAILING)
def test_each_instance_has_its_own_data_also_when_it_is_tried_again_or_cleared(
    airflow: RunningAirflow, vertex: RunningVertex, storage: str, failing: Path, dag_id: str
) -> None:
    airflow.trigger(dag_id, RUN)
    ended(airflow, dag_id, "failed")
    right = [expected(f"{dag_id}_{number}") for number in range(INSTANCES)]
    assert answers(storage, dag_id) == [None if number == FAILED else each for number, each in enumerate(right)]
    states = airflow.mapped_states(dag_id, RUN, FAILING[dag_id])
    assert states == ["failed" if number == FAILED else "success" for number in range(INSTANCES)]

    if AIRFLOW == (3, 1) and dag_id == "one_job":
        pytest.skip(
            "it was right until here; once tasks with others after them in a nested task group are cleared by its "
            "API, Airflow 3.1 starts none of these: https://github.com/apache/airflow/issues/58499"
        )
    (failing / f"{dag_id}_{FAILED}").unlink()
    only_failed = CLEARED[dag_id] == FAILING[dag_id]
    airflow.clear(dag_id, RUN, CLEARED[dag_id], downstream=True, only_failed=only_failed)
    airflow.until(lambda: airflow.run_state(dag_id, RUN) not in ("success", "failed"), "restart")
    ended(airflow, dag_id, "success")
    assert answers(storage, dag_id) == right

    jobs = [*vertex.jobs(dag_id), *vertex.jobs(dag_id, collection="customJobs")]
    keys = {context["data_scope"]: context["run_key"] for context in map(context_of, jobs)}
    assert len(keys) == len(set(keys.values())) == INSTANCES
    # Every attempt of an instance had the data of its first.
    assert {context["run_key"] for context in map(context_of, jobs)} == set(keys.values())
