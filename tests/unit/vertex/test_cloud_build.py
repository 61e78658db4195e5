"""Cloud Build, whose stand-in is held against the API's own document."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from google.auth.credentials import AnonymousCredentials

from airflow_provider_kedro_vertex.core.errors import ConfigError, UnavailableError
from airflow_provider_kedro_vertex.vertex import cloud_build as module
from airflow_provider_kedro_vertex.vertex.cloud_build import CloudBuildClient
from airflow_provider_kedro_vertex.vertex.rest import RestSession
from tests.google_apis import Answer, ApiError, Call, GoogleApis, google_apis

IMAGE = "europe-west1-docker.pkg.dev/p/r/shop:1"
CREATE, GET = "cloudbuild.projects.locations.builds.create", "cloudbuild.projects.locations.builds.get"
CANCEL = "cloudbuild.projects.locations.builds.cancel"


def cloud_build(image: str, digest: str) -> dict[str, Answer]:
    """Builds that succeed at the first look."""

    def create(call: Call) -> Mapping[str, Any]:
        assert call.body["images"] == [image]
        started = {"id": "1", "status": "QUEUED", "logUrl": "https://log.test/1"}
        return {"name": "operations/build/p/1", "metadata": {"@type": "type.googleapis.com/Build", "build": started}}

    done = {"id": "1", "status": "SUCCESS", "results": {"images": [{"name": image, "digest": digest}]}}
    return {CREATE: create, GET: lambda call: done}


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "POLL_SECONDS", 0)


@pytest.fixture
def apis() -> Iterator[GoogleApis]:
    with google_apis() as running:
        running.answers |= cloud_build(IMAGE, "sha256:1")
        yield running


@pytest.fixture
def client(apis: GoogleApis) -> CloudBuildClient:
    return CloudBuildClient(RestSession(AnonymousCredentials()), f"{apis.url}/cloudbuild", "p", "europe-west1")


def test_a_build_is_asked_for_and_waited_for(apis: GoogleApis, client: CloudBuildClient) -> None:
    looks = iter(["QUEUED", "WORKING", "SUCCESS"])
    done = apis.answers[GET]
    apis.answers[GET] = lambda call: {**done(call), "status": next(looks)}
    assert client.wait(client.start("gs://bucket/a/b.tar.gz", IMAGE)) == "sha256:1"
    created, *read = apis.calls
    assert created.body["source"] == {"storageSource": {"bucket": "bucket", "object": "a/b.tar.gz"}}
    assert created.body["steps"][0]["args"] == ["build", "--tag", IMAGE, "."]
    assert created.query == {"projectId": ["p"]}
    assert [call.path["buildsId"] for call in read] == ["1"] * 3


@pytest.mark.parametrize(
    ("ended", "said"),
    [
        (
            {"status": "FAILURE", "failureInfo": {"type": "USER_BUILD_STEP", "detail": "Build step failed."}},
            "with FAILURE: Build step failed. Its log: https://log.test/1",
        ),
        ({"status": "CANCELLED", "statusDetail": "By hand."}, "with CANCELLED: By hand."),
        ({"status": "EXPIRED"}, "with EXPIRED: it gives no reason."),
    ],
)
def test_a_build_that_fails(apis: GoogleApis, client: CloudBuildClient, ended: dict[str, Any], said: str) -> None:
    apis.answers[GET] = lambda call: {"id": "1", "logUrl": "https://log.test/1", **ended}
    with pytest.raises(ConfigError) as caught:
        client.wait(client.start("gs://bucket/a.tar.gz", IMAGE))
    assert f"Cloud Build ended projects/p/locations/europe-west1/builds/1 {said}" in str(caught.value)


def test_a_lost_answer_starts_no_second_build(apis: GoogleApis, client: CloudBuildClient) -> None:
    def lost(call: Call) -> Mapping[str, Any]:
        raise ApiError(503, "Try again.")

    apis.answers[CREATE] = lost
    with pytest.raises(UnavailableError):
        client.start("gs://bucket/a.tar.gz", IMAGE)
    assert [call.method for call in apis.calls] == [CREATE]


def test_who_is_interrupted_cancels_the_build(
    apis: GoogleApis, client: CloudBuildClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    apis.answers[CANCEL] = lambda call: {"id": "1", "status": "CANCELLED"}
    build = client.start("gs://bucket/a.tar.gz", IMAGE)

    def interrupted(seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(module.time, "sleep", interrupted)
    with pytest.raises(KeyboardInterrupt):
        client.wait(build)
    assert apis.calls[-1].method == CANCEL
