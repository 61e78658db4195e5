"""A manifest in object storage: read from the emulator of Cloud Storage, and from the copy of it."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import fsspec
import gcsfs
import pytest
import requests

from airflow_provider_kedro_vertex import kedro_vertex_dag
from airflow_provider_kedro_vertex.compat import DAG
from airflow_provider_kedro_vertex.core.errors import ManifestError, UnavailableError
from airflow_provider_kedro_vertex.core.project import manifest as manifests
from airflow_provider_kedro_vertex.operators import KedroVertexPipelineOperator
from airflow_provider_kedro_vertex.operators.job_request import read_manifest
from airflow_provider_kedro_vertex.task import manifest_object
from airflow_provider_kedro_vertex.task.manifest_source import ManifestSource
from tests.storage import storage_emulator, storage_variables
from tests.unit.conftest import small_manifest

pytestmark = pytest.mark.usefixtures("uri_handlers")

URL = "gs://bucket/manifests/shop.manifest.json"


@pytest.fixture(scope="module")
def emulator() -> Iterator[str]:
    with storage_emulator("bucket") as url:
        yield url


@pytest.fixture(autouse=True)
def home(emulator: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path))
    # A busy machine takes its time to import what reads the storage.
    monkeypatch.setattr(manifest_object, "FETCH_SECONDS", 120.0)
    # Else gcsfs asks the bucket for its kind, over an API that the emulator lacks; it decides so when it is imported.
    monkeypatch.setattr(gcsfs, "GCSFileSystem", gcsfs.core.GCSFileSystem)
    reach(emulator, monkeypatch)
    yield tmp_path
    forget()


def reach(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let gcsfs reach this address."""
    for name, value in storage_variables(url).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setitem(fsspec.config.conf, "gs", {"token": "anon"})
    forget()


def forget() -> None:
    """Airflow and fsspec keep what reaches a storage."""
    try:
        from airflow.sdk.io import store
    except ImportError:  # Airflow 2
        from airflow.io import store
    store._STORE_CACHE.clear()
    gcsfs.GCSFileSystem.clear_instance_cache()


def put(content: str | bytes, url: str = URL) -> None:
    data = content.encode() if isinstance(content, str) else content
    bucket, _, name = url.removeprefix("gs://").partition("/")
    address = f"{os.environ['STORAGE_EMULATOR_HOST']}/upload/storage/v1/b/{bucket}/o"
    requests.post(address, params={"uploadType": "media", "name": name}, data=data, timeout=120).raise_for_status()


def read(max_age: float = 300.0, url: str = URL) -> manifests.Manifest:
    return ManifestSource(url).read(Path("/nowhere"), max_age)


def copies(home: Path) -> list[Path]:
    return sorted((home / "kedro_vertex_manifests").glob("*.json"))


def grow_old(home: Path, seconds: float) -> None:
    (copy,) = copies(home)
    moment = time.time() - seconds
    os.utime(copy, (moment, moment))


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What the log of a parse says of the manifest."""
    return [record.getMessage() for record in caplog.records if record.name == manifest_object.__name__]


def changed(pipeline: str) -> str:
    value = small_manifest()
    return manifests.dumps(
        manifests.Manifest(
            **{**vars(value), "pipelines": {**value.pipelines, pipeline: next(iter(value.pipelines.values()))}}
        )
    )


def test_a_copy_is_used_without_the_network_within_its_time(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(manifests.dumps(small_manifest()))
    assert read().digest == small_manifest().digest
    (copy,) = copies(home)
    assert copy.parent.stat().st_mode & 0o777 == 0o700
    assert copy.read_text() == manifests.dumps(small_manifest())

    put(changed("added"))
    with monkeypatch.context() as offline:
        offline.setattr(manifest_object, "_fetch", pytest.fail)
        assert "added" not in read().pipelines
    grow_old(home, 100)
    assert "added" not in read(max_age=300).pipelines
    assert "added" in read(max_age=60).pipelines
    assert len(copies(home)) == 1
    assert "added" in read().pipelines


def test_operators_and_factories_take_it(home: Path) -> None:
    put(manifests.dumps(small_manifest()))
    name = next(iter(small_manifest().pipelines))
    assert kedro_vertex_dag("a", manifest=URL, pipeline=name, schedule=None).task_ids == ["submit", "wait"]
    task = KedroVertexPipelineOperator(task_id="run", pipeline=name, manifest=URL, dag=DAG("b", schedule=None))
    assert read_manifest(task).digest == small_manifest().digest
    put(changed("added"))
    grow_old(home, 100)  # too old for a task, and not for a parse
    assert "added" in read_manifest(task).pipelines


def test_other_storages_of_airflow_are_read_too(home: Path, tmp_path: Path) -> None:
    manifests.write(small_manifest(), tmp_path / "shop.json")
    assert read(url=f"file://{tmp_path}/shop.json").digest == small_manifest().digest


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, r"There is no manifest at gs://bucket/[0-9]+/missing\.json\..*kedro vertex manifest"),
        ("{", r"The manifest gs://bucket/[0-9]+/missing\.json is damaged or cut short"),
        ("[]", r"is wrong at the top: it must be a JSON object"),
        (b"\xff\xfe\x00", r"is no manifest: it is no text"),
        (" " * 2000, r"has more than 1000 bytes, so it is no manifest"),
    ],
)
def test_what_is_no_manifest_is_told_and_not_kept(
    content: str | bytes | None, said: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"gs://bucket/{len(said)}/missing.json"
    if content is not None:
        put(content, url)
    if content == " " * 2000:
        monkeypatch.setattr(manifests, "MAX_BYTES", 1000)
    with pytest.raises(ManifestError, match=said):
        read(url=url)
    assert copies(home) == []


def test_a_wrong_manifest_is_an_error_though_there_is_a_copy(home: Path) -> None:
    put(manifests.dumps(small_manifest()))
    read()
    put("{}")
    grow_old(home, 400)
    with pytest.raises(ManifestError, match=r"shop\.manifest\.json is wrong at schema_version"):
        read()
    assert copies(home)[0].read_text() == manifests.dumps(small_manifest())


@pytest.fixture
def refusing() -> Iterator[str]:
    """A storage that answers each request with 403."""

    class Refuse(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(403)
            self.end_headers()
            self.wfile.write(b'{"error": {"code": 403, "message": "no access"}}')

        def log_message(self, *args: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Refuse) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_missing_permission_says_which_role_lacks(refusing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    reach(refusing, monkeypatch)
    with pytest.raises(ManifestError, match=r"(?s)may not be read: .*roles/storage\.objectViewer"):
        read()


def test_an_old_copy_is_used_and_told_while_the_storage_is_away(
    home: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    tries: list[str] = []
    put(manifests.dumps(small_manifest()))
    read()
    grow_old(home, 3600)
    assert told(caplog) == []

    def unavailable(url: str) -> str:
        tries.append(url)
        raise UnavailableError("The storage is away.")

    monkeypatch.setattr(manifest_object, "_load", unavailable)
    for _ in range(3):
        assert read().digest == small_manifest().digest
    assert len(tries) == 1  # not each parse waits for it
    assert len(told(caplog)) == 3
    assert all(f"The copy of {URL} is used that was read 60 minutes ago" in said for said in told(caplog))
    copies(home)[0].write_text("{")
    with pytest.raises(UnavailableError, match="away"):
        read()


def test_a_storage_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = threading.Event()
    monkeypatch.setattr(manifest_object, "_load", lambda url: answer.wait() and "{}")
    monkeypatch.setattr(manifest_object, "FETCH_SECONDS", 0.1)
    with pytest.raises(UnavailableError, match=r"was not read within 0\.1 seconds"):
        read()
    answer.set()


def test_a_copy_that_cannot_be_kept_is_told(
    home: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (home / "kedro_vertex_manifests").write_text("a file")
    put(manifests.dumps(small_manifest()))
    assert read().digest == small_manifest().digest
    assert "since no copy of it can be kept" in told(caplog)[0]


def test_what_airflow_cannot_reach_is_told_without_secrets() -> None:
    with pytest.raises(ManifestError, match=r"The manifest nosuch://\S+ cannot be read: ") as error:
        read(url="nosuch://key:s3cr3t@bucket/shop.json")
    assert "s3cr3t" not in str(error.value)
