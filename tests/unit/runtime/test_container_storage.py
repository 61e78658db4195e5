"""Containers that share a bucket, on a storage emulator."""

from __future__ import annotations

import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest
from fsspec.core import url_to_fs

from airflow_provider_kedro_vertex.runtime.store import NotStorableError, StoredDataset
from tests.unit.runtime.containers import Project, context, wait_for
from tools.demo.ports import Ports

BUCKET = "shop-bucket"


@pytest.fixture(scope="module")
def emulator() -> Iterator[str]:
    """The emulator's URL."""
    port = Ports().take()
    server = [sys.executable, "-m", "gcp_storage_emulator", "start", "--host", "127.0.0.1", "--port", str(port)]
    with subprocess.Popen(
        [*server, "--in-memory", "--quiet", "--default-bucket", BUCKET],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        url = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + 60
        while not _answers(f"{url}/storage/v1/b/{BUCKET}"):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield url
        process.kill()


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=120):
            return True
    except (urllib.error.URLError, ConnectionError):
        return False


@pytest.fixture
def bucket(shop: Project, emulator: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Project:
    """The project, with a folder of the bucket as the run's root and for its versioned dataset."""
    variables = {"STORAGE_EMULATOR_HOST": emulator, "GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT": "false"}
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    root = f"gs://{BUCKET}/{re.sub(r'[^a-z0-9]+', '-', request.node.name)}"
    catalog = shop.path / "conf" / "base" / "catalog.yml"
    catalog.write_text(catalog.read_text().replace("data/total.json", f"{root}/total.json"))
    return shop.in_run(context(root)).with_variables(**variables)


def _objects(project: Project) -> dict[str, bytes]:
    filesystem, path = url_to_fs(project.context.root)
    filesystem.invalidate_cache()
    return {name.removeprefix(f"{path}/"): data for name, data in filesystem.cat(filesystem.find(path)).items()}


def test_containers_hand_over_through_the_bucket(bucket: Project) -> None:
    folder = f"kedro-vertexai-temp/{bucket.context.run_key}"
    version = f"total.json/{bucket.context.save_version}/total.json"
    bucket.succeed("numbers", "double")
    assert set(_objects(bucket)) == {f"{folder}/numbers.bin", f"{folder}/doubled.bin"}
    bucket.succeed("total")
    assert _objects(bucket)[version].split() == [b"{", b'"total":', b"6", b"}"]

    # A second try, of another value.
    bucket.store("doubled", [1, 1])
    bucket.succeed("total")
    assert _objects(bucket)[version].split() == [b"{", b'"total":', b"2", b"}"]
    bucket.succeed("report")
    assert StoredDataset("report", f"{bucket.context.root}/{folder}/report.bin").load() == {"text": "2 from 3"}
    assert set(_objects(bucket)) == {version, *(f"{folder}/{name}.bin" for name in ("numbers", "doubled", "report"))}


def test_names_that_need_quoting(bucket: Project) -> None:
    for name in ("table@pandas", "shop.today.table", "50% off", "żółć #1"):
        bucket.store(name, name)
    assert all(b"kvds" in data for data in _objects(bucket).values())
    assert len(_objects(bucket)) == 4


# aiohttp warns because gcsfs gives it bytes and not a file.
@pytest.mark.filterwarnings("ignore:Sending a large body directly:ResourceWarning")
def test_a_large_value_goes_up_and_comes_down_in_parts(bucket: Project) -> None:
    dataset = StoredDataset("large", f"{bucket.context.root}/large.bin", None)
    dataset.save(bytes(range(256)) * 160_000)
    assert dataset.load() == bytes(range(256)) * 160_000


def test_a_value_that_cannot_be_pickled_leaves_nothing(bucket: Project) -> None:
    bucket.store("numbers", [1])
    result = bucket.run("generate", pipeline="wrong")
    assert result.code == 1
    assert "Declare 'from_generate' in the catalog" in result.last["error"]
    assert len(_objects(bucket)) == 1


def test_a_missing_input(bucket: Project) -> None:
    result = bucket.run("double")
    assert result.code == 3
    assert f"{bucket.context.root}/kedro-vertexai-temp" in result.last["error"]


def test_kill_9_during_an_upload(bucket: Project) -> None:
    bucket.store("numbers", [1])
    process = bucket.start(*bucket.arguments("slow", pipeline="wrong"))
    wait_for((bucket.path / "saving").exists, process)
    process.kill()
    process.communicate(timeout=120)
    assert len(_objects(bucket)) == 1
    assert bucket.run("keep", pipeline="wrong").code == 3


def test_a_value_that_cannot_be_pickled_leaves_the_old_object(bucket: Project) -> None:
    bucket.store("numbers", "old")
    before = _objects(bucket)
    with pytest.raises(NotStorableError):
        bucket.store("numbers", [bytes(1000), (value for value in "x")])
    assert _objects(bucket) == before
