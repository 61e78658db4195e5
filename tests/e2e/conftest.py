"""One local stack for all tests of this folder: a real Airflow, a Vertex AI and a bucket."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tools.demo.__main__ import DAG_ID, EXAMPLES, FIRST_DAY, FLIGHTS, LAST_DAY, MODES
from tools.demo.airflow import Run
from tools.demo.stack import Stack


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(tmp_path_factory.mktemp("stack"), dags_folder=EXAMPLES, project=FLIGHTS) as running:
        for dag_id in (*(mode.dag_id for mode in MODES), "flights_on_demand", "flights_maintenance", "flights_notices"):
            running.wait_for_dag(dag_id)
        yield running


@pytest.fixture(scope="session")
def runs(stack: Stack) -> list[Run]:
    """Three days of the flights pipeline, backfilled once for all tests."""
    return stack.airflow.backfill(DAG_ID, FIRST_DAY, LAST_DAY)
