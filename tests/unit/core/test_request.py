"""What a job tells of itself, whoever asks for it."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from airflow_provider_kedro_vertex.core.jobs.request import JobRequest, Run
from airflow_provider_kedro_vertex.core.plan.plan import build_plan
from tests.unit.conftest import small_manifest


def request(**config: object) -> JobRequest:
    manifest = small_manifest(**config)
    run = Run("run-key", "shop", "manual", datetime(2024, 1, 1, tzinfo=timezone.utc))
    plan = build_plan(manifest, "__default__", manifest.config)
    return JobRequest(plan, run, "demo-project", "europe-west1", "{}", "title", caller={})


@pytest.mark.parametrize(
    ("commit", "label"), [("c0ffee", "c0ffee"), ("C0FFEE+dirty", "c0ffee-dirty"), ("a" * 90, "a" * 63), ("", None)]
)
def test_the_commit_is_a_label_where_it_is_known(commit: str, label: str | None) -> None:
    of_all = {"__default__": {"env": {"KEDRO_CONFIG_COMMIT_ID": commit}}}
    assert request(nodes=of_all).body("job-1")["labels"].get("kedro-commit") == label
    assert "kedro-commit" not in request().body("job-1")["labels"]


@pytest.mark.parametrize(
    ("uri", "page"),
    [
        ("https://mlflow.test/x", "https://mlflow.test/x"),
        ("https://mlflow.test/***", None),
        ("databricks", None),
        ("unknown://", None),
    ],
)
def test_a_page_of_mlflow_is_one_that_all_may_see(uri: str, page: str | None) -> None:
    assert request(mlflow={"tracking_uri": uri}).mlflow_url == page
    assert request().mlflow_url is None
