"""The emulator as a library, over real HTTP."""

from __future__ import annotations

import http.client
import json
import os
import socket
import stat
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_provider_kedro_vertex.emulator import VertexEmulator
from airflow_provider_kedro_vertex.emulator.api.rest import LARGEST_BODY
from airflow_provider_kedro_vertex.emulator.executors.images import ImageError
from airflow_provider_kedro_vertex.emulator.server import StartError
from tests.unit.emulator.command import JOBS
from tests.unit.emulator.specs import PARENT, body, container_spec


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("project")
    (folder / "hello.py").write_text("import sys\nprint('hello', *sys.argv[1:])\n")
    return folder


@pytest.fixture(scope="module")
def emulator(project: Path) -> Iterator[VertexEmulator]:
    with VertexEmulator({"image": project}, max_parallel=2, grace=1) as emulator:
        yield emulator


def call(emulator: VertexEmulator, method: str, path: str, **options: Any) -> requests.Response:
    return requests.request(method, f"{emulator.url}{path}", timeout=120, **options)


def raw(
    emulator: VertexEmulator, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None
) -> tuple[int, Any]:
    connection = http.client.HTTPConnection(urlsplit(emulator.url).netloc, timeout=120)
    try:
        connection.request(method, path, body, headers or {})
        response = connection.getresponse()
        return response.status, json.loads(response.read() or b"null")
    finally:
        connection.close()


def error_of(answer: Any) -> tuple[int, str]:
    error = answer["error"]
    assert set(error) <= {"code", "message", "status", "details"}
    assert error["message"]
    return error["code"], error["status"]


def finished(emulator: VertexEmulator, job_id: str, seconds: float = 60) -> Any:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        job = call(emulator, "GET", f"{JOBS}/{job_id}").json()
        if job["state"].removeprefix("PIPELINE_STATE_") in ("SUCCEEDED", "FAILED", "CANCELLED"):
            return job
        time.sleep(0.02)
    raise AssertionError(f"{job_id} has not ended: {job}")


@pytest.mark.parametrize(
    ("method", "path", "code", "status"),
    [
        ("GET", "/v1/nothing", 404, "NOT_FOUND"),
        ("GET", "/v2/" + JOBS, 404, "NOT_FOUND"),
        ("GET", JOBS + "/", 404, "NOT_FOUND"),
        ("PUT", JOBS, 404, "NOT_FOUND"),
        ("POST", "/", 404, "NOT_FOUND"),
        ("DELETE", "/_emulator/health", 404, "NOT_FOUND"),
        ("GET", f"{JOBS}/..%2f..%2fetc", 404, "NOT_FOUND"),
        ("GET", f"{JOBS}/%2e%2e", 400, "INVALID_ARGUMENT"),
        ("GET", f"{JOBS}/none", 404, "NOT_FOUND"),
        ("GET", f"{JOBS}/No_Id", 400, "INVALID_ARGUMENT"),
        ("GET", f"/v1/{PARENT}/nasJobs", 501, "UNIMPLEMENTED"),
        ("POST", f"/v1/{PARENT}/batchPredictionJobs", 501, "UNIMPLEMENTED"),
        ("POST", f"{JOBS}/x:cancel", 404, "NOT_FOUND"),
        ("POST", f"{JOBS}/x:explode", 404, "NOT_FOUND"),
        ("GET", f"{JOBS}?more=1", 400, "INVALID_ARGUMENT"),
        ("GET", f"{JOBS}?pageSize=many", 400, "INVALID_ARGUMENT"),
        ("GET", f"{JOBS}?pageSize=-1", 400, "INVALID_ARGUMENT"),
        ("GET", f"{JOBS}?filter=x", 400, "INVALID_ARGUMENT"),
        ("GET", f"{JOBS}?orderBy=x", 400, "INVALID_ARGUMENT"),
        ("GET", f"{JOBS}?pageToken=x", 400, "INVALID_ARGUMENT"),
        ("GET", f"{JOBS}?readMask=nothing", 400, "INVALID_ARGUMENT"),
        ("GET", f"{JOBS}?alt=media", 400, "INVALID_ARGUMENT"),
        ("GET", f"{JOBS}?fields=name", 501, "UNIMPLEMENTED"),
        ("GET", f"/v1/{PARENT}/operations/1", 404, "NOT_FOUND"),
        ("GET", f"/v1/{PARENT}/customJobs/1", 404, "NOT_FOUND"),
        ("GET", "/_emulator/job?name=x", 400, "INVALID_ARGUMENT"),
        ("GET", "/_emulator/log?job=../../etc/passwd", 400, "INVALID_ARGUMENT"),
        ("GET", f"/_emulator/log?job={PARENT}/customJobs/1&offset=x", 400, "INVALID_ARGUMENT"),
    ],
)
def test_refusals_have_googles_shape(emulator: VertexEmulator, method: str, path: str, code: int, status: str) -> None:
    found, answer = raw(emulator, method, path)
    assert (found, *error_of(answer)) == (code, code, status)


def test_a_body_over_the_limit_is_refused_with_and_without_a_length(emulator: VertexEmulator) -> None:
    found, answer = raw(emulator, "POST", JOBS, headers={"content-length": str(LARGEST_BODY + 1)})
    assert (found, error_of(answer)) == (400, (400, "INVALID_ARGUMENT"))
    pieces = (b" " * 65536 for _ in range(LARGEST_BODY // 65536 + 1))
    response = call(emulator, "POST", JOBS, data=pieces)
    assert (response.status_code, error_of(response.json())) == (400, (400, "INVALID_ARGUMENT"))
    assert str(LARGEST_BODY) in response.text


def test_pages_of_other_origins_are_refused(emulator: VertexEmulator) -> None:
    pages = [{"Origin": origin} for origin in ("https://example.com", "null", "https://[bad")]
    for headers in (*pages, {"Host": "example.com"}, {"Host": "[bad"}):
        found, answer = raw(emulator, "POST", f"{JOBS}/x:cancel", headers=headers)
        assert (found, error_of(answer)) == (403, (403, "PERMISSION_DENIED"))
    host = urlsplit(emulator.url).netloc
    for headers in (
        {"Origin": emulator.url},
        {"Host": "localhost:1"},
        {"Host": "europe-west1-aiplatform.googleapis.com"},
        {"Host": host},
    ):
        assert raw(emulator, "POST", f"{JOBS}/x:cancel", headers=headers)[0] == 404


def test_enums_are_numbers_if_asked_for(emulator: VertexEmulator) -> None:
    created = call(
        emulator,
        "POST",
        JOBS,
        params={"pipelineJobId": "enums", "$alt": "json;enum-encoding=int"},
        json=body(container_spec({"a": []})),
    )
    assert (created.status_code, created.json()["state"]) == (200, 2)
    finished(emulator, "enums")


def test_a_job_runs_and_its_log_can_be_read(emulator: VertexEmulator) -> None:
    spec = container_spec({"a": [], "b": ["a"]}, args={"a": ["hello.py", "\u00e9"], "b": ["-c", "raise SystemExit(4)"]})
    created = call(emulator, "POST", JOBS, params={"pipelineJobId": "log"}, json=body(spec))
    assert created.status_code == 200, created.text
    assert "jobDetail" not in created.json()
    job = finished(emulator, "log")
    tasks = {task["taskName"]: task for task in job["jobDetail"]["taskDetails"]}
    assert (tasks["a"]["state"], tasks["b"]["state"]) == ("SUCCEEDED", "FAILED")
    assert "non-zero status of 4" in tasks["b"]["error"]["message"]
    main_job = tasks["a"]["executorDetail"]["containerDetail"]["mainJob"]
    log = call(emulator, "GET", "/_emulator/log", params={"job": main_job}).json()
    assert [entry[1:] for entry in log["entries"]] == [["stdout", "hello \u00e9"]]
    rest = call(emulator, "GET", "/_emulator/log", params={"job": main_job, "offset": log["offset"]}).json()
    assert (rest["entries"], rest["done"]) == ([], True)
    custom = call(emulator, "GET", f"/v1/{main_job}").json()
    assert (custom["state"], custom["jobSpec"]["workerPoolSpecs"][0]["containerSpec"]["imageUri"]) == (
        "JOB_STATE_SUCCEEDED",
        "image",
    )
    listed = call(emulator, "GET", f"/v1/{PARENT}/customJobs", params={"filter": 'display_name="log-a"'}).json()
    assert [one["name"] for one in listed["customJobs"]] == [main_job]


def test_an_unknown_image_fails_the_job_and_says_what_to_do(emulator: VertexEmulator) -> None:
    call(
        emulator, "POST", JOBS, params={"pipelineJobId": "image"}, json=body(container_spec({"a": []}, image="other:1"))
    )
    job = finished(emulator, "image")
    for said in ('"other:1" is not known', "Known: image", "--image other:1=FOLDER"):
        assert said in job["jobDetail"]["taskDetails"][1]["error"]["message"]


def test_health(emulator: VertexEmulator, project: Path) -> None:
    health = call(emulator, "GET", "/_emulator/health").json()
    assert (health["status"], health["images"]) == ("ok", {"image": str(project)})
    before = health["pipelineJobs"].get("PIPELINE_STATE_FAILED", 0)
    spec = container_spec({"a": []}, image="other:1")
    call(emulator, "POST", JOBS, params={"pipelineJobId": "one-more"}, json=body(spec))
    finished(emulator, "one-more")
    health = call(emulator, "GET", "/_emulator/health").json()
    assert health["pipelineJobs"]["PIPELINE_STATE_FAILED"] == before + 1


def test_the_page_allows_no_script_but_its_own(emulator: VertexEmulator) -> None:
    for path in ("/", "/vertex-ai/locations/europe-west1/pipelines/runs/x?project=demo-project"):
        page = call(emulator, "GET", path)
        policy = page.headers["content-security-policy"]
        assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
        assert "default-src 'none'" in policy
        assert "script-src 'sha256-" in policy
        assert "unsafe" not in policy


def test_many_creates_of_one_id_make_one_job(emulator: VertexEmulator) -> None:
    data = body(container_spec({"a": []}, args={"a": ["-c", "pass"]}))
    with ThreadPoolExecutor(8) as pool:
        codes = list(
            pool.map(
                lambda _: call(emulator, "POST", JOBS, params={"pipelineJobId": "once"}, json=data).status_code,
                range(16),
            )
        )
    assert sorted(codes) == [200] + [409] * 15
    finished(emulator, "once")


TEXT = st.text(max_size=12)
PATHS = (
    st.sampled_from(
        [
            JOBS,
            "/v2/entries:list",
            f"{JOBS}/x",
            f"{JOBS}/x:cancel",
            f"/v1/{PARENT}/customJobs",
            "/",
            "/_emulator/log",
            "/v1",
        ]
    )
    | TEXT
)
QUERY = st.dictionaries(
    st.sampled_from(["filter", "pageSize", "pageToken", "orderBy", "readMask", "pipelineJobId", "alt", "job", "name"])
    | TEXT,
    TEXT,
    max_size=3,
)
SOME_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["displayName", "labels", "pipelineSpec", "runtimeConfig", "root", "dag", "tasks", "components"]
            )
            | TEXT,
            inner,
            max_size=3,
        )
    ),
    max_leaves=10,
)
BODIES = st.binary(max_size=30) | SOME_JSON.map(lambda data: json.dumps(data).encode())


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(["GET", "POST", "DELETE", "PATCH", "PUT"]), PATHS, QUERY, BODIES)
def test_any_request_gets_an_answer_and_never_a_500(
    emulator: VertexEmulator, method: str, path: str, query: dict[str, str], data: bytes
) -> None:
    response = SESSION.request(
        method, f"{emulator.url}/{path.lstrip('/')}", params=query, data=data, timeout=120, allow_redirects=False
    )
    assert response.status_code in (200, 400, 404, 501)
    if response.status_code != 200:
        assert error_of(response.json())[0] == response.status_code


@pytest.fixture(scope="module", autouse=True)
def _session() -> Iterator[None]:
    yield
    SESSION.close()


SESSION = requests.Session()


def test_jobs_outlive_the_process(project: Path, tmp_path: Path) -> None:
    with VertexEmulator({"image": project}, data=tmp_path / "data") as emulator:
        call(
            emulator,
            "POST",
            JOBS,
            params={"pipelineJobId": "done"},
            json=body(container_spec({"a": []}, args={"a": ["-c", "pass"]})),
        )
        before = finished(emulator, "done")
        call(
            emulator,
            "POST",
            JOBS,
            params={"pipelineJobId": "long"},
            json=body(container_spec({"a": []}, args={"a": ["-c", "import time; time.sleep(600)"]})),
        )
        while (
            "RUNNING"
            not in [
                task["state"]
                for task in call(emulator, "GET", f"{JOBS}/long").json().get("jobDetail", {}).get("taskDetails", [])
            ][1:]
        ):
            time.sleep(0.02)
    assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o700
    assert not (tmp_path / "data" / "work").exists() or os.listdir(tmp_path / "data" / "work") == []
    with VertexEmulator({"image": project}, data=tmp_path / "data") as emulator:
        assert call(emulator, "GET", f"{JOBS}/done").json() == before
        job = finished(emulator, "long")
        assert (job["state"], job["jobDetail"]["taskDetails"][1]["error"]["code"]) == ("PIPELINE_STATE_FAILED", 13)


def test_a_temporary_data_folder_is_removed(project: Path) -> None:
    with VertexEmulator({"image": project}) as emulator:
        assert (emulator.data / "jobs.sqlite").exists()
    assert not emulator.data.exists()


def test_what_cannot_be_used_is_refused_before_it_serves(project: Path, tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="does not exist"):
        VertexEmulator({"image": project / "none"})
    with socket.create_server(("127.0.0.1", 0)) as busy, pytest.raises(StartError, match="port 0 takes a free one"):
        VertexEmulator(port=busy.getsockname()[1]).__enter__()
    with pytest.raises(StartError, match="cannot be used"):
        VertexEmulator(host="no-such-host.invalid").__enter__()
    (tmp_path / "file").write_text("")
    with pytest.raises(StartError, match="data folder"):
        VertexEmulator(data=tmp_path / "file" / "x").__enter__()
    with VertexEmulator(data=tmp_path / "data"), pytest.raises(StartError, match="another emulator uses"):
        VertexEmulator(data=tmp_path / "data").__enter__()
    (tmp_path / "other" / "logs").mkdir(parents=True)
    (tmp_path / "other" / "jobs.sqlite").write_text("no database " * 1000)
    with pytest.raises(StartError, match="cannot be used as a database"):
        VertexEmulator(data=tmp_path / "other").__enter__()


def test_idle_connections_are_survived(emulator: VertexEmulator) -> None:
    address = (urlsplit(emulator.url).hostname, urlsplit(emulator.url).port)
    idle = [socket.create_connection(address) for _ in range(200)]
    try:
        assert call(emulator, "GET", "/_emulator/health").status_code == 200
    finally:
        for connection in idle:
            connection.close()
