from __future__ import annotations

from datetime import datetime, timezone

import pytest

from airflow_provider_kedro_vertex.emulator.resources import names
from airflow_provider_kedro_vertex.emulator.resources.errors import ApiError
from airflow_provider_kedro_vertex.emulator.resources.protos import PipelineJob


@pytest.mark.parametrize(
    "parent",
    [
        "projects/demo-project/locations/europe-west1",
        "projects/1234/locations/us-central1",
        "projects/example.com:my-project/locations/asia-east1",
    ],
)
def test_locations(parent: str) -> None:
    project, location = names.location(parent)
    assert f"projects/{project}/locations/{location}" == parent


@pytest.mark.parametrize(
    "parent",
    [
        "",
        "projects/x",
        "projects//locations/e",
        "projects/../locations/europe-west1",
        "projects/a b/locations/europe-west1",
        "projects/demo-project/locations/europe-west1/",
        "projects/demo-project/locations/Europe",
    ],
)
def test_no_locations(parent: str) -> None:
    with pytest.raises(ApiError, match="parent"):
        names.location(parent)


def test_a_job_name_is_taken_apart_and_put_together() -> None:
    text = "projects/demo-project/locations/europe-west1/pipelineJobs/run-1"
    name = names.resource(text, names.PIPELINE_JOBS)
    assert (name.project, name.location, name.id, str(name)) == ("demo-project", "europe-west1", "run-1", text)


@pytest.mark.parametrize("job_id", ["..", "../x", "a/b", "A", "1a", "-a", "a_b", "a" * 128, "", "a:cancel", "a\n"])
def test_other_job_names_are_refused(job_id: str) -> None:
    with pytest.raises(ApiError, match="name"):
        names.resource(f"projects/demo-project/locations/europe-west1/pipelineJobs/{job_id}", names.PIPELINE_JOBS)
    assert names.job_id_faults(job_id)


def test_the_longest_job_id() -> None:
    assert not names.job_id_faults("a" * 127)


@pytest.mark.parametrize("pipeline", ["Flights: Model!", "2nd", "", "\u00fcber", "x" * 300])
def test_generated_ids_are_ids_and_differ(pipeline: str) -> None:
    now = datetime.now(timezone.utc)
    first, second = names.generated_job_id(pipeline, now), names.generated_job_id(pipeline, now)
    assert first != second
    assert not names.job_id_faults(first)


@pytest.mark.parametrize(
    "labels", [{"env": "prod"}, {"a": ""}, {"caf\u00e9": "\u4e2d\u6587"}, {"a-_1": "1-_"}, {"a" * 64: "b" * 64}]
)
def test_labels(labels: dict[str, str]) -> None:
    assert not names.label_faults(labels, "labels")


@pytest.mark.parametrize(
    "labels",
    [
        {"": "x"},
        {"Env": "x"},
        {"env": "Prod"},
        {"1a": "x"},
        {"a": "b c"},
        {"a" * 65: ""},
        {"a": "b" * 65},
        {"a": "x.y"},
        {f"a{n}": "" for n in range(65)},
    ],
)
def test_no_labels(labels: dict[str, str]) -> None:
    assert names.label_faults(labels, "labels")


@pytest.mark.parametrize(
    ("uri", "right"),
    [
        ("gs://bucket", True),
        ("gs://bucket/a/b c", False),
        ("gs://bucket/a", True),
        ("s3://b/a", False),
        ("gs://", False),
        ("bucket/a", False),
        ("gs://Bucket/a", False),
    ],
)
def test_bucket_paths(uri: str, right: bool) -> None:
    assert names.is_bucket_path(uri) is right


@pytest.mark.parametrize(
    ("network", "good"),
    [
        ("", True),
        ("projects/12345/global/networks/vpc", True),
        ("projects/my-project/global/networks/vpc", False),
        ("vpc", False),
    ],
)
def test_a_network_is_named_by_the_projects_number(network: str, good: bool) -> None:
    assert (not names.form_faults("", network, "job")) == good


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("projects/p/locations/europe-west1/keyRings/r/cryptoKeys/k", ""),
        ("my-key", "is not of the form"),
        ("projects/p/locations/us-central1/keyRings/r/cryptoKeys/k", 'in "us-central1", and the job in "europe-west1"'),
    ],
)
def test_a_key_is_in_the_jobs_location(key: str, said: str) -> None:
    job = PipelineJob(encryption_spec={"kms_key_name": key})
    faults = names.encryption_faults(job, "europe-west1", "pipeline_job")
    assert [fault.field for fault in faults] == (["pipeline_job.encryption_spec.kms_key_name"] if said else [])
    assert all(said in fault.description for fault in faults)
    assert names.encryption_faults(PipelineJob(), "europe-west1", "pipeline_job") == []
