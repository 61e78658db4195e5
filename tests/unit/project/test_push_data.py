"""``kedro vertex push-data`` of real projects, to a storage emulator."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from tests.storage import storage_emulator
from tests.unit.project.conftest import MakeProject, Result, Vertex

VERTEXAI = """
project_id: shop-project
region: europe-west1
run_config: {{image: 'r.test/shop:1', root: shop/runs, data_root: {root}, local_datasets: [rates]}}
"""
CATALOG = """
orders: {type: pandas.CSVDataset, filepath: ./data/orders.csv}
table@pandas: {type: pandas.ParquetDataset, filepath: data/table}
table@spark: {type: spark.SparkDataset, filepath: data/table}
inbox:
  type: partitions.IncrementalDataset
  path: data/inbox
  dataset: json.JSONDataset
  filename_suffix: .json
model: {type: pickle.PickleDataset, filepath: data/model.pkl, versioned: true}
logs: {type: dask.CSVDataset, filepath: data/logs/*.csv}
rates: {type: pandas.CSVDataset, filepath: data/rates.csv}
query: {type: pandas.SQLQueryDataset, filepath: queries/q.sql, credentials: db}
elsewhere: {type: pandas.CSVDataset, filepath: gs://other/x.csv}
"{name}_raw": {type: pandas.CSVDataset, filepath: "data/raw/{name}.csv"}
made: {type: pandas.CSVDataset, filepath: data/made.csv}
unused: {type: pandas.CSVDataset, filepath: data/unused.csv}
"""
REGISTRY = """
from kedro.pipeline import node, pipeline

def copy(*values):
    return values[0]

def register_pipelines():
    prepare = pipeline([node(copy, ["orders", "rates", "query", "elsewhere", "params:x"], "made", name="prepare")])
    return {
        "__default__": prepare,
        "tables": pipeline([node(copy, "table@pandas", None, name="a"), node(copy, "table@spark", None, name="b")]),
        "rest": pipeline([node(copy, ["inbox", "model", "logs", "old_raw", "made"], None, name="rest")]),
    }
"""
FILES = {
    "orders.csv": b"a,b\n1,2\n",
    "table/part-0.parquet": b"p0",
    "table/_SUCCESS": b"",
    "table/deep/.hidden": b"h",
    "inbox/a.json": b"1",
    "inbox/notes.txt": b"no partition",
    "inbox/CHECKPOINT": b"a",
    "model.pkl/2026-01-01T00.00.00.000Z/model.pkl": b"old",
    "model.pkl/2026-01-02T00.00.00.000Z/model.pkl": b"new",
    "model.pkl/2026-01-03T00.00.00.000Z/unfinished": b"x",
    "logs/1.csv": b"l1",
    "logs/2.csv": b"l2",
    "logs/readme.txt": b"no",
    "rates.csv": b"local",
    "raw/old.csv": b"r",
    "made.csv": b"m",
    "unused.csv": b"u",
}
#: What of it is where.
UPLOADED = {
    "d/data/orders.csv": b"a,b\n1,2\n",
    "d/data/table/part-0.parquet": b"p0",
    "d/data/table/_SUCCESS": b"",
    "d/data/table/deep/.hidden": b"h",
    "d/data/inbox/a.json": b"1",
    "d/data/model.pkl/2026-01-02T00.00.00.000Z/model.pkl": b"new",
    "d/data/logs/1.csv": b"l1",
    "d/data/logs/2.csv": b"l2",
    "d/data/raw/old.csv": b"r",
}


@pytest.fixture
def storage() -> Iterator[str]:
    with storage_emulator("shop") as url:
        yield url


def objects(storage: str) -> dict[str, bytes]:
    with urllib.request.urlopen(f"{storage}/storage/v1/b/shop/o", timeout=60) as answer:
        names = [each["name"] for each in json.load(answer).get("items", [])]
    found = {}
    for name in names:
        address = f"{storage}/storage/v1/b/shop/o/{urllib.request.quote(name, safe='')}?alt=media"  # type: ignore[attr-defined]
        with urllib.request.urlopen(address, timeout=60) as answer:
            found[name] = answer.read()
    return found


def project(make: MakeProject, root: str = "gs://shop/d", catalog: str = CATALOG) -> Path:
    path = make(
        {
            "src/{package}/pipeline_registry.py": REGISTRY,
            "conf/base/catalog.yml": catalog,
            "conf/base/vertexai.yml": VERTEXAI.format(root=root),
            "conf/base/parameters.yml": "x: 1\nfolder: data\n",
        }
    )
    for name, data in FILES.items():
        file = path / "data" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
    return path


def push(vertex: Vertex, path: Path, storage: str, *arguments: str, code: int = 0, **variables: str) -> Result:
    done = vertex(path, "push-data", *arguments, STORAGE_EMULATOR_HOST=storage, **variables)
    assert done.exit_code == code, done.stderr
    return done


def test_inputs_are_uploaded_once(make_project: MakeProject, vertex: Vertex, storage: str) -> None:
    path = project(make_project)
    told = push(vertex, path, storage, "--dry-run").stdout.splitlines()
    assert len(told) == 10
    assert "Would upload data/orders.csv (8 bytes) to gs://shop/d/data/orders.csv" in told
    assert told[-1] == "Would upload 9 files (20 bytes); 0 there already."
    assert objects(storage) == {}

    told = push(vertex, path, storage).stdout.splitlines()
    assert told[-1] == "Uploaded 9 files (20 bytes); 0 there already."
    assert objects(storage) == UPLOADED

    assert push(vertex, path, storage).stdout == "Uploaded 0 files (0 bytes); 9 there already.\n"
    (path / "data/orders.csv").write_text("a,b\n1,3\n")  # of the same size
    (path / "data/table/part-1.parquet").write_bytes(b"p1")
    told = push(vertex, path, storage).stdout.splitlines()
    assert told == [
        "Uploaded data/orders.csv (8 bytes) to gs://shop/d/data/orders.csv",
        "Uploaded data/table/part-1.parquet (2 bytes) to gs://shop/d/data/table/part-1.parquet",
        "Uploaded 2 files (10 bytes); 8 there already.",
    ]
    assert objects(storage)["d/data/orders.csv"] == b"a,b\n1,3\n"


def test_the_inputs_of_some_pipelines(make_project: MakeProject, vertex: Vertex, storage: str) -> None:
    path = project(make_project)
    push(vertex, path, storage, "-p", "__default__")
    assert [*objects(storage)] == ["d/data/orders.csv"]
    push(vertex, path, storage, "-p", "__default__,tables")
    assert set(objects(storage)) == {name for name in UPLOADED if "/table/" in name or "orders" in name}
    done = push(vertex, path, storage, "-p", "table", code=1)
    assert "Did you mean 'tables'?" in done.stderr


def test_what_is_missing_is_told(make_project: MakeProject, vertex: Vertex, storage: str) -> None:
    path = project(make_project)
    push(vertex, path, storage, "-p", "tables")
    for name in ("orders.csv", "table/part-0.parquet", "table/_SUCCESS", "table/deep/.hidden", "logs/1.csv"):
        (path / "data" / name).unlink()
    done = push(vertex, path, storage, code=1)
    assert done.stderr == (
        "Warning: Dataset 'orders', an input of node 'prepare', is missing: there is no ./data/orders.csv, and nothing "
        "at gs://shop/d/data/orders.csv.\n"
    )
    told = "Dataset 'table@pandas', 'table@spark', an input of node 'a', 'b', is not here (data/table), and is at "
    assert f"{told}gs://shop/d/data/table already.\n" in done.stdout
    # The rest is there nevertheless.
    assert {"d/data/logs/2.csv", "d/data/raw/old.csv"} <= set(objects(storage))


def test_links_and_files_that_cannot_be(
    make_project: MakeProject, vertex: Vertex, storage: str, tmp_path: Path
) -> None:
    path = project(make_project)
    big = tmp_path / "another disk"
    big.mkdir()
    (path / "data/table").rename(big / "table")
    (path / "data/table").symlink_to(big / "table")  # the dataset's own place may be a link
    (path / "data/orders.csv").rename(big / "orders.csv")
    (path / "data/orders.csv").symlink_to(big / "orders.csv")
    push(vertex, path, storage)
    assert objects(storage) == UPLOADED

    (big / "table/loop").symlink_to(big)
    (big / "table/broken").symlink_to(big / "nothing")
    os.mkfifo(big / "table/pipe")
    (big / "table" / os.fsdecode(b"\xff")).write_text("")
    (big / "table/two\nlines").write_text("")
    done = push(vertex, path, storage, code=1)
    start = "Warning: Dataset 'table@pandas', 'table@spark', an input of node 'a', 'b', has a file that is left out: "
    assert sorted(line.removeprefix(start) for line in done.stderr.splitlines()) == [
        "'data/table/\\udcff' has a name that is no UTF-8, as Cloud Storage asks for.",
        "'data/table/two\\nlines' has a line break in its name, which Cloud Storage does not take.",
        "data/table/broken is a link that leads nowhere.",
        "data/table/loop is a link to a folder, which is not followed.",
        "data/table/pipe is no file that could be read.",
    ]
    assert objects(storage) == UPLOADED


def test_paths_that_parameters_and_the_run_set(make_project: MakeProject, vertex: Vertex, storage: str) -> None:
    catalog = CATALOG.replace("./data/orders.csv", '"${runtime_params:folder,data}/orders.csv"')
    catalog = catalog.replace("data/raw/", "data/${airflow:dag_id,raw}/")
    path = project(make_project, "'shop/${airflow:run_id,home}'", catalog)
    done = push(vertex, path, storage)
    assert {name.replace("home/", "d/") for name in objects(storage)} == set(UPLOADED)
    assert done.stderr.startswith(
        "Warning: data_root is gs://shop/${airflow:run_id,home}: these inputs go to gs://shop/home,"
    )

    (path / "other").mkdir()
    (path / "other/orders.csv").write_text("o")
    push(vertex, path, storage, "-p", "__default__", "--param", "folder=other", AIRFLOW_CTX_DAG_RUN_ID="run-1")
    assert objects(storage)["run-1/other/orders.csv"] == b"o"


def test_a_place_of_a_run_needs_its_value(make_project: MakeProject, vertex: Vertex, storage: str) -> None:
    done = push(vertex, project(make_project, "'shop/${airflow:logical_date}'"), storage, code=1)
    assert "has no value: this is no Airflow run" in done.stderr
    assert "or set AIRFLOW_CTX_LOGICAL_DATE" in done.stderr


def test_without_a_place_or_a_bucket(make_project: MakeProject, vertex: Vertex, storage: str) -> None:
    done = push(vertex, project(make_project, "null"), storage, code=1)
    assert "No data_root is set" in done.stderr
    done = push(vertex, project(make_project, "gs://no-such-bucket/d"), storage, code=1)
    assert "no-such-bucket" in done.stderr
    assert objects(storage) == {}


def test_a_checkpoint_of_another_name(make_project: MakeProject, vertex: Vertex, storage: str) -> None:
    catalog = CATALOG.replace("  filename_suffix: .json\n", "  checkpoint: {filepath: ./data/inbox/notes.txt}\n")
    push(vertex, project(make_project, catalog=catalog), storage, "-p", "rest")
    # What is called CHECKPOINT is a partition then.
    inbox = [name for name in objects(storage) if "inbox" in name]
    assert inbox == ["d/data/inbox/CHECKPOINT", "d/data/inbox/a.json"]


class _Stalling(BaseHTTPRequestHandler):
    """A Cloud Storage without objects, which takes one upload and stays silent at the second."""

    uploads: ClassVar[list[str]] = []
    stalled: ClassVar[threading.Event] = threading.Event()
    released: ClassVar[threading.Event] = threading.Event()

    def do_GET(self) -> None:
        self._answer(404 if "/o/" in self.path else 200)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.uploads:
            self.stalled.set()
            self.released.wait()
        self.uploads.append(re.findall(rb'"name": "(.+?)"', body)[0].decode())
        self._answer(200)

    def _answer(self, status: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_: object) -> None:
        pass


def test_an_interruption_is_told(make_project: MakeProject) -> None:
    path = project(make_project)
    with ThreadingHTTPServer(("127.0.0.1", 0), _Stalling) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        process = subprocess.Popen(
            [sys.executable, "-m", "kedro", "vertex", "push-data"],
            cwd=path,
            env={**os.environ, "DO_NOT_TRACK": "1", "STORAGE_EMULATOR_HOST": f"http://127.0.0.1:{server.server_port}"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # A shell that starts the tests in the background has all below it ignore the signal.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )
        try:
            assert _Stalling.stalled.wait(120)
            process.send_signal(signal.SIGINT)
            _, said = process.communicate(timeout=60)
        finally:
            process.kill()
            process.communicate()
            _Stalling.released.set()
            server.shutdown()
            thread.join()
    assert process.returncode == 130, said
    assert "Interrupted after 1 file. The same command uploads the rest." in said
    assert "Traceback" not in said


def test_nothing_to_push(make_project: MakeProject, vertex: Vertex, storage: str) -> None:
    path = project(make_project, catalog="orders: {type: pandas.CSVDataset, filepath: gs://other/orders.csv}\n")
    assert push(vertex, path, storage).stdout == "No input of these pipelines lies below data_root.\n"


def test_a_file_that_cannot_be_read(make_project: MakeProject, vertex: Vertex, storage: str) -> None:
    path = project(make_project)
    (path / "data/orders.csv").unlink()
    (path / "data/orders.csv").symlink_to("/proc/self/mem")  # also root cannot read its beginning
    done = push(vertex, path, storage, code=1)
    assert "data/orders.csv cannot be read: Input/output error. What was told before it, is uploaded." in done.stderr
