from __future__ import annotations

import pytest

from airflow_provider_kedro_vertex.core.errors import ConfigError
from airflow_provider_kedro_vertex.core.jobs.overrides import with_overrides

BODY = {"displayName": "a", "labels": {"x": "1"}, "runtimeConfig": {"gcsOutputDirectory": "gs://b", "list": [1, 2]}}


def test_objects_are_merged_at_every_depth_and_the_rest_is_replaced() -> None:
    overrides = {"runtimeConfig": {"failurePolicy": "PIPELINE_FAILURE_POLICY_FAIL_FAST", "list": [3]}, "network": "n"}

    assert with_overrides(BODY, overrides, "pipelineJobs") == {
        "displayName": "a",
        "labels": {"x": "1"},
        "network": "n",
        "runtimeConfig": {
            "gcsOutputDirectory": "gs://b",
            "failurePolicy": "PIPELINE_FAILURE_POLICY_FAIL_FAST",
            "list": [3],
        },
    }
    assert "network" not in BODY


@pytest.mark.parametrize("name", ["state", "createTime", "jobDetail", "name"])
def test_what_vertex_writes_itself_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=f"^job_overrides has '{name}', which Vertex AI writes itself"):
        with_overrides(BODY, {name: "x"}, "customJobs")


def test_an_unknown_field_is_refused_with_the_name_that_was_meant() -> None:
    with pytest.raises(ConfigError, match=r"no field of pipelineJobs\. Did you mean 'serviceAccount'\?"):
        with_overrides(BODY, {"service_account": "x"}, "pipelineJobs")
