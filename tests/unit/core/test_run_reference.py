"""What a person may give for RUN."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_kedro_vertex.core.errors import ConfigError
from airflow_provider_kedro_vertex.core.jobs import run_reference
from airflow_provider_kedro_vertex.core.jobs.console import job_page
from airflow_provider_kedro_vertex.core.jobs.run_reference import AirflowRun, JobReference

PIPELINE_JOB = JobReference("pipelineJobs", "flights-1", "p", "europe-west1")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "flights-2013-06-03-0a1b2c3d4e-submit-1",
            JobReference("pipelineJobs", "flights-2013-06-03-0a1b2c3d4e-submit-1"),
        ),
        ("4711", JobReference("customJobs", "4711")),
        (" projects/p/locations/europe-west1/pipelineJobs/flights-1\n", PIPELINE_JOB),
        ("projects/1/locations/r/customJobs/7", JobReference("customJobs", "7", "1", "r")),
        (
            "https://console.cloud.google.com/vertex-ai/pipelines/locations/r/runs/flights-1?project=7&hl=de",
            JobReference("pipelineJobs", "flights-1", "7", "r", "https://console.cloud.google.com"),
        ),
        ("flights/backfill__2013-06-03T00:00:00+00:00", AirflowRun("flights", "backfill__2013-06-03T00:00:00+00:00")),
        ("flights/a/b", AirflowRun("flights", "a/b")),
        (
            "https://airflow.test/base/dags/flights/runs/manual__2013-06-03T00%3A00%3A00%2B00%3A00/tasks/wait?try_number=2",
            AirflowRun("flights", "manual__2013-06-03T00:00:00+00:00"),
        ),
        (
            "http://airflow.test/dags/flights/grid?tab=logs&dag_run_id=manual__2013-06-03T00%3A00%3A00%2B00%3A00",
            AirflowRun("flights", "manual__2013-06-03T00:00:00+00:00"),
        ),
    ],
)
def test_each_form_is_read(text: str, expected: object) -> None:
    assert run_reference.parse(text) == expected


@pytest.mark.parametrize("collection", ["pipelineJobs", "customJobs"])
@pytest.mark.parametrize("console", [None, "http://127.0.0.1:8080"])
def test_the_links_that_this_package_writes_are_read(collection: str, console: str | None) -> None:
    found = run_reference.parse(job_page(f"projects/p/locations/r/{collection}/7", console))
    host = console or "https://console.cloud.google.com"
    assert found == JobReference("pipelineJobs" if collection == "pipelineJobs" else "customJobs", "7", "p", "r", host)


@pytest.mark.parametrize(
    "text", ["", " ", "Flights", "a b", "/run", "dag/", "http://[x", "https://test.test/", "a\x1b[31m", "7" * 3000, "²"]
)
def test_all_else_is_refused_with_the_forms(text: str) -> None:
    with pytest.raises(ConfigError, match="names no run") as caught:
        run_reference.parse(text)
    assert "DAG_ID/RUN_ID" in str(caught.value)
    assert "\x1b" not in str(caught.value)
    assert len(str(caught.value)) < 1000


@given(st.text(max_size=60) | st.from_regex(r"https?://[a-z:\[\]/?=&%-]{0,60}", fullmatch=True))
def test_whatever_is_pasted_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(ConfigError):
        run_reference.parse(text)
