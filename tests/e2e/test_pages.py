"""What a person sees: Airflow's page of a run, and the Vertex AI page of its job.

With PICTURES=<folder> the pictures go there (`make pictures`), else they are thrown away.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.chromium import CHROMIUM, Chromium
from tools.demo.__main__ import FLIGHTS
from tools.demo.airflow import Run
from tools.demo.stack import Stack

pytestmark = [
    pytest.mark.airflow,
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on PATH"),
]


@pytest.fixture
def page(tmp_path: Path) -> Iterator[Chromium]:
    with Chromium(tmp_path, width=1600, height=820) as opened:
        yield opened


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    return Path(os.environ.get("PICTURES", tmp_path)).absolute()


def test_the_page_of_an_airflow_run(stack: Stack, runs: list[Run], page: Chromium, pictures: Path) -> None:
    if not stack.airflow.url:
        # Its web server would be one more of Airflow 2's processes, for a page that is looked at on Airflow 3.
        pytest.skip("on Airflow 2 the stack has no web server")
    address = f"{stack.airflow.url}/dags/flights/runs/{quote(runs[-1].run_id)}"
    page.open(address, "submit", "wait", "KedroVertexPipelineOperator", "Success")
    page.picture(pictures / "airflow.png")


def test_the_page_of_a_vertex_job(stack: Stack, runs: list[Run], page: Chromium, pictures: Path) -> None:
    job = next(job for job in stack.vertex.jobs() if job.run_id == runs[-1].run_id)
    page.open(job.url, job.job_id, "14 of 14 ended")
    labels = page.value("[...document.querySelectorAll('.node')].map((node) => node.ariaLabel)")
    nodes = json.loads((FLIGHTS.folder / FLIGHTS.manifest).read_text())["pipelines"]["__default__"]["nodes"]
    assert sorted(label.partition(":")[0] for label in labels) == sorted(node["name"] for node in nodes)
    page.value("document.querySelector('.node[data-task=model-train-regressor]').dispatchEvent(new Event('click'))")
    page.wait_for_texts("Completed node: model.train_regressor")
    page.picture(pictures / "vertex.png")
