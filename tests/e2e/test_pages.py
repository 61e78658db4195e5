"""What a person sees: Airflow's page of a run, and the Vertex AI page of its job.

With PICTURES=<folder> the pictures go there (`make pictures`), else they are thrown away.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from dags_examples.demo.airflow import Run
from dags_examples.demo.stack import Stack
from tests.e2e import browser

CHROMIUM = browser.find()

pytestmark = [
    pytest.mark.airflow,
    pytest.mark.browser,
    pytest.mark.xdist_group("stack"),
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on PATH"),
]


@pytest.fixture
def page(tmp_path: Path) -> Iterator[browser.Browser]:
    assert CHROMIUM
    with browser.Browser(CHROMIUM, tmp_path, width=1200, height=640) as opened:
        yield opened


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    return Path(os.environ.get("PICTURES", tmp_path)).absolute()


def test_the_page_of_an_airflow_run(stack: Stack, runs: list[Run], page: browser.Browser, pictures: Path) -> None:
    if not stack.airflow.url:
        pytest.skip("on Airflow 2 the stack has no web server")
    address = f"{stack.airflow.url}/dags/flights/runs/{quote(runs[-1].run_id)}"
    page.open(address, "submit", "wait", "KedroVertexPipelineOperator", "Success")
    page.picture(pictures / "airflow.png")


def test_the_page_of_a_vertex_job(stack: Stack, runs: list[Run], page: browser.Browser, pictures: Path) -> None:
    job = next(job for job in stack.vertex.jobs() if job.run_id == runs[-1].run_id)
    page.open(job.url, job.job_id, *job.nodes)
    page.picture(pictures / "vertex.png")
