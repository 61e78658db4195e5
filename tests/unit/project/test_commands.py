"""The commands beside ``manifest`` and ``compile``; how a DAG file and a cron expression are read is told elsewhere."""

from __future__ import annotations

import ast
import hashlib
import json
import re
import socket
import threading
import time
import webbrowser
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from airflow_provider_kedro_vertex.core.checks.findings import CODES
from airflow_provider_kedro_vertex.core.project import manifest as manifests
from airflow_provider_kedro_vertex.emulator import VertexEmulator
from airflow_provider_kedro_vertex.emulator.executors.images import Noop

MakeProject = Callable[..., Path]
Vertex = Callable[..., Any]

REGISTRY = """
from kedro.pipeline import node, pipeline

def copy(*values):
    return values

def register_pipelines():
    both = pipeline([
        node(copy, ["raw", "params:ratio"], "clean", name="clean_up", tags=["wide"]),
        node(copy, "clean", "model", name="train"),
    ])
    return {"__default__": both, "other": both.only_nodes("clean_up"), "empty": pipeline([])}
"""
PROJECT = {
    "src/{package}/pipeline_registry.py": REGISTRY,
    "conf/base/catalog.yml": "raw: {type: pandas.CSVDataset, filepath: gs://shop/raw.csv}\n"
    "model: {type: pickle.PickleDataset, filepath: gs://shop/model.pkl}\n",
    "conf/base/parameters.yml": "ratio: 0.25\ncount: 3\nmode: fast\nnested: {deep: [1], flag: true}\nnothing: null\n",
}
VERTEXAI = "conf/base/vertexai.yml"
LEFT_OUT = "KV021 note: Pipeline 'empty' has no nodes, so it is left out. Give it some, or do not register it."
CONFIGURED = {
    **PROJECT,
    VERTEXAI: "project_id: shop-project\nregion: europe-west1\nrun_config:\n  image: r.test/shop:1\n  root: shop\n",
}


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """No connection, no credentials."""

    def refuse(*arguments: object) -> None:
        raise AssertionError(f"a connection to {arguments[1:]}")

    for name in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr(socket.socket, name, refuse)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/no/such/file")


@pytest.mark.usefixtures("no_network")
def test_init_check_and_compile_pass_without_an_edit(make_project: MakeProject, vertex: Vertex, tmp_path: Path) -> None:
    project = make_project(PROJECT)
    done = vertex(project, "init", "shop-project", "europe-west1")
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout.startswith(f"Wrote {VERTEXAI}\nWrote Dockerfile\nWrote .dockerignore\nNext:\n")
    done = vertex(project, "check", "--strict")
    assert (done.exit_code, done.stderr) == (0, f"{LEFT_OUT}\n")
    assert done.stdout == "Passed: 0 errors, 0 warnings, 1 note. To understand one: kedro vertex explain KV021\n"
    done = vertex(project, "compile", "-o", str(tmp_path / "p.yaml"))
    assert (done.exit_code, done.stderr) == (0, "")
    spec = yaml.safe_load((tmp_path / "p.yaml").read_text())
    assert spec["defaultPipelineRoot"] == f"gs://shop-project-kedro/{project.name.replace('_', '-')}"

    # Never over what is there, in either spelling, without --force.
    done = vertex(project, "init", "other-project", "europe-west1")
    assert (done.exit_code, done.stderr) == (1, f"Error: {VERTEXAI}: already there. Write over it with --force.\n")
    assert "shop-project" in (project / VERTEXAI).read_text()
    assert vertex(project, "init", "other-project", "europe-west1", "--force").exit_code == 0
    assert "other-project" in (project / VERTEXAI).read_text()
    (project / VERTEXAI).rename(project / "conf/base/vertexai.yaml")
    assert vertex(project, "init", "other-project", "europe-west1").exit_code == 1


def test_init_writes_both_workflows(make_project: MakeProject, vertex: Vertex) -> None:
    project = make_project(PROJECT)
    assert vertex(project, "init", "shop-project", "europe-west1", "--with-github-actions").exit_code == 0
    for name, command in (("on-push", "run-once --wait"), ("on-merge", 'vertex deploy "${{ vars.DAGS_FOLDER }}"')):
        text = (project / f".github/workflows/kedro-vertex-{name}.yml").read_text()
        workflow = yaml.safe_load(text)
        (job,) = workflow["jobs"].values()
        commands = "\n".join(item.get("run", "") for item in job["steps"])
        assert "kedro vertex build --push" in commands
        assert commands.endswith(command)
        assert re.search(r"@\w+@", text) is None


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("Shop!", "europe-west1"), "'Shop!' is no id of a Google Cloud project."),
        (("shop-project", "Europe"), "'Europe' is no region such as europe-west1."),
    ],
)
def test_init_checks_its_arguments(
    make_project: MakeProject, vertex: Vertex, arguments: tuple[str, str], said: str
) -> None:
    project = make_project(PROJECT)
    done = vertex(project, "init", *arguments)
    assert (done.exit_code, said in done.stderr, (project / VERTEXAI).exists()) == (2, True, False)


WRONG = """
project_id: shop-project
region: europe-west1
run_config:
  image: r.test/shop
  root: shop
  resources:
    clean_pu: {memory: 2Gi}
"""


@pytest.mark.parametrize("code", ["KV007", "kv026"])
def test_explain_prints_the_section_of_a_code(code: str, make_project: MakeProject, vertex: Vertex) -> None:
    done = vertex(make_project(PROJECT), "explain", code)
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout.startswith(f"{code.upper()}\n\n**{CODES[code.upper()]}**")
    assert "## " not in done.stdout


def test_explain_names_the_closest_code(make_project: MakeProject, vertex: Vertex) -> None:
    done = vertex(make_project(PROJECT), "explain", "KV07")
    assert (done.exit_code, "There is no code 'KV07'. Did you mean 'KV" in done.stderr) == (2, True)


COUNTS = "0 errors, 2 warnings, 1 note. To understand one: kedro vertex explain KV007"


def test_check_tells_levels_by_lines_json_and_exit_codes(make_project: MakeProject, vertex: Vertex) -> None:
    project = make_project({**PROJECT, VERTEXAI: WRONG})
    done = vertex(project, "check")
    assert (done.exit_code, done.stdout) == (
        0,
        f"Passed: {COUNTS}\n",
    )
    image, selector, left_out = done.stderr.splitlines()
    assert left_out == LEFT_OUT
    assert image.startswith("KV007 warning: The image 'r.test/shop' of 'clean_up'")
    assert selector == (
        "KV014 warning: resources.clean_pu matches no node and no tag of any registered pipeline. Did you mean "
        "'clean_up'?"
    )
    done = vertex(project, "check", "--strict")
    assert (done.exit_code, done.stdout, done.stderr.splitlines()[-1]) == (
        1,
        "",
        f"Failed: {COUNTS}",
    )
    done = vertex(project, "check", "--strict", "--format", "json", "--image", "r.test/shop:1")
    report = json.loads(done.stdout)
    assert (done.exit_code, report["ok"], report["strict"]) == (1, False, True)
    assert [finding["code"] for finding in report["findings"]] == ["KV014", "KV021"]
    assert (
        report["findings"][0]["page"] == "https://airflow-provider-kedro-vertex.readthedocs.io/en/stable/checks/#kv014"
    )

    # The manifest is written all the same, and warns.
    done = vertex(project, "manifest", "-o", str(project / "m.json"))
    assert (done.exit_code, done.stderr.splitlines()) == (0, [selector])


PARTS = """
from kedro.pipeline import node, pipeline

def copy(*values):
    return values

def register_pipelines():
    load = pipeline([node(copy, "raw", "rows", name="load"), node(copy, "rows", "table", name="tabulate")])
    train = pipeline([node(copy, ["table", "rows"], "model", name="train")])
    return {"train": train, "__default__": load + train, "unfinished": pipeline([])}
"""


def test_check_groups_what_pipelines_have_in_common(make_project: MakeProject, vertex: Vertex, tmp_path: Path) -> None:
    catalog = "".join(f"{name}: {{type: pandas.CSVDataset, filepath: data/{name}.csv}}\n" for name in ("raw", "rows"))
    parts = {"src/{package}/pipeline_registry.py": PARTS, "conf/base/catalog.yml": catalog}
    project, file = make_project({**CONFIGURED, **parts}), tmp_path / "check.json"
    done = vertex(project, "check", "--format", "json", "-o", str(file))
    assert (done.exit_code, done.stdout) == (1, "")
    found = json.loads(file.read_text(encoding="utf-8"))["findings"]
    assert [(each["code"], each["level"], each["dataset"], each["nodes"], each["pipelines"]) for each in found] == [
        ("KV001", "error", "rows", ["load", "tabulate", "train"], ["__default__"]),
        ("KV005", "note", "raw", ["load"], ["__default__"]),
        ("KV027", "warning", None, ["train"], ["train"]),
        ("KV021", "note", None, [], ["unfinished"]),
    ]
    lines = done.stderr.splitlines()
    assert len(lines) == 5
    assert lines[0].endswith("or group these nodes. In '__default__'.")
    assert "'unfinished' has no nodes" in lines[3]
    done = vertex(project, "check", "-p", "train")
    assert [line[:11] for line in done.stderr.splitlines()] == ["KV003 error", "KV005 note:", "Failed: 1 e"]
    done = vertex(project, "check", "-o", str(tmp_path / "none" / "x"))
    assert (done.exit_code, "Cannot write" in done.stderr, "Traceback" in done.stderr) == (1, True, False)


def test_a_plan_may_go_to_a_file(make_project: MakeProject, vertex: Vertex, tmp_path: Path) -> None:
    project, file = make_project(CONFIGURED), tmp_path / "plan.json"
    done = vertex(project, "plan", "--format", "json", "-o", str(file))
    assert (done.exit_code, done.stdout) == (
        0,
        f"Wrote {file}: {len(json.loads(file.read_text())['groups'])} node groups\n",
    )
    assert vertex(project, "plan", "--format", "json").stdout == file.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("files", "code", "said"),
    [
        ({VERTEXAI: "region: [1]\n"}, "KV022", f"{VERTEXAI}, line 1: region must be a string, not [1]."),
        ({"src/{package}/pipeline_registry.py": "import nothing_like_it\n"}, "KV023", "ModuleNotFoundError"),
        ({VERTEXAI: "run_config: {image: 'r.test/shop:1'}"}, "KV008", "No root is set"),
    ],
)
def test_check_makes_a_finding_of_whatever_goes_wrong(
    make_project: MakeProject, vertex: Vertex, files: dict[str, str], code: str, said: str
) -> None:
    done = vertex(make_project({**CONFIGURED, **files}), "check", "--format", "json")
    findings = json.loads(done.stdout)["findings"]
    assert done.exit_code == 1
    assert findings[0]["code"] == code
    assert said in findings[0]["message"]


def test_an_error_of_the_checks_ends_compiling(make_project: MakeProject, vertex: Vertex, tmp_path: Path) -> None:
    local = {"conf/base/catalog.yml": "clean: {type: pandas.CSVDataset, filepath: data/c.csv}\n"}
    done = vertex(make_project({**CONFIGURED, **local}), "compile", "-o", str(tmp_path / "p.json"))
    assert done.exit_code == 1
    assert [line[:12] for line in done.stderr.removeprefix("Error: ").splitlines()] == ["KV001 error:", "KV003 error:"]
    assert not (tmp_path / "p.json").exists()


def test_a_slice_an_image_and_kedro_vertexais_params(make_project: MakeProject, vertex: Vertex, tmp_path: Path) -> None:
    project, file = make_project(CONFIGURED), tmp_path / "p.json"
    done = vertex(project, "compile", "-o", str(file), "-i", "r.test/own:2", "--tags=wide", "--params", "a:int,b:str")
    assert done.exit_code == 0
    assert done.stderr == (
        "Warning: --params is ignored: every parameter of the project can be set for each run, without being "
        "declared.\n"
    )
    (executor,) = json.loads(file.read_text())["deploymentSpec"]["executors"].values()
    assert executor["container"]["image"] == "r.test/own:2"
    assert vertex(project, "compile", "-o", str(file), "--params", "a").exit_code == 2


def test_unknown_and_old_commands_are_answered(make_project: MakeProject, vertex: Vertex) -> None:
    project = make_project(PROJECT)
    done = vertex(project, "chekc")
    assert (done.exit_code, done.stderr.splitlines()[-1]) == (
        2,
        "Error: There is no command 'chekc'. Did you mean 'check'?",
    )
    for old in ("mlflow-start", "initialize-job"):
        done = vertex(project, old)
        assert done.exit_code == 2
        assert f"There is no command {old!r} any more: nothing calls it." in done.stderr


@pytest.fixture
def emulator() -> Iterator[VertexEmulator]:
    """One without any job, whatever ran before."""
    images = {"r.test/shop:1": Noop(0.05), "r.test/shop:bad": Noop(0.05, 1), "r.test/shop:slow": Noop(600)}
    with VertexEmulator(images) as running:
        yield running


def test_run_once_waits_and_its_exit_code_tells_the_end(
    make_project: MakeProject, vertex: Vertex, emulator: VertexEmulator
) -> None:
    project = make_project(CONFIGURED)
    done = vertex(
        project, "run-once", "--wait", "--api-endpoint", emulator.url, "--param", "ratio=1", "--param", "mode=1"
    )
    assert (done.exit_code, done.stderr) == (0, "")
    first, see, *table, cost, last = done.stdout.splitlines()
    assert first.startswith("Submitted projects/shop-project/locations/europe-west1/pipelineJobs/small-shop-")
    assert first.endswith(": pipeline '__default__' with 2 tasks.")
    assert see.startswith(f"See {emulator.url}/vertex-ai/locations/europe-west1/pipelines/runs/")
    assert [line.split()[2:] for line in table if "train" in line][-1] == ["train", "SUCCEEDED"]
    assert cost.startswith("It has cost about $0.0")
    assert last == "Succeeded."

    done = vertex(project, "run-once", "--wait", "--api-endpoint", emulator.url, "-i", "r.test/shop:bad")
    assert done.exit_code == 1
    assert "clean-up: " in done.stderr

    done = vertex(
        project,
        "run-once",
        "--wait",
        "--timeout-seconds",
        "1",
        "--api-endpoint",
        emulator.url,
        "-i",
        "r.test/shop:slow",
    )
    assert (done.exit_code, done.stderr.startswith("Stopped waiting after 1 s; the job goes on: ")) == (4, True)

    def states() -> list[str]:
        done = vertex(project, "list-pipelines", "--api-endpoint", emulator.url, "--format", "json")
        assert done.stderr == ""
        return [row["state"] for row in json.loads(done.stdout)]

    give_up = time.monotonic() + 60
    while states()[0] == "PENDING" and time.monotonic() < give_up:
        pass  # a busy machine may take longer than the second to start it
    assert states() == ["RUNNING", "FAILED", "SUCCEEDED"]
    lines = vertex(project, "list-pipelines", "--api-endpoint", emulator.url, "--limit", "1").stdout.splitlines()
    assert [lines[0].split(), len(lines)] == [["CREATED", "STATE", "PIPELINE", "ID"], 2]
    none = vertex(project, "list-pipelines", "--api-endpoint", emulator.url, "--project-id", "other-project")
    assert none.stdout == "No pipeline jobs of 'Small Shop' in projects/other-project/locations/europe-west1.\n"


def test_run_once_shows_the_end_of_the_failed_nodes_log(make_project: MakeProject, vertex: Vertex) -> None:
    registry = """
from kedro.pipeline import node, pipeline

def use(days):
    return days

def register_pipelines():
    return {"__default__": pipeline([node(use, "params:trainig.days", "y", name="use")])}
"""
    parameters = {"conf/base/parameters.yml": "training: {days: 3}\n"}
    project = make_project({**CONFIGURED, "src/{package}/pipeline_registry.py": registry, **parameters})
    with VertexEmulator({"r.test/shop:1": project}) as emulator:
        done = vertex(project, "run-once", "--wait", "--api-endpoint", emulator.url)

    assert done.exit_code == 1
    warning, _, failed, *lines = done.stderr.splitlines()
    assert warning.startswith("KV028 warning: Node 'use' takes params:trainig.days, which the project's parameters do ")
    assert warning.endswith("Did you mean 'training.days'?")
    assert failed.startswith("  use: The container of image r.test/shop:1 ")
    assert lines[0].startswith("    Error of node None after ")
    assert "Did you mean 'params:training.days'?" in lines[0]
    assert lines[1].startswith("    The end of its log (")


def test_run_once_submits_typed_parameters(make_project: MakeProject, vertex: Vertex, emulator: VertexEmulator) -> None:
    import requests

    given = ("count=7", "nested.deep=[2, 3]", "mode=007", "nothing=x", "nested.flag:false")
    arguments = [part for item in given for part in ("--param", item)]
    commit = {"KEDRO_CONFIG_COMMIT_ID": "C0FFEE+dirty"}
    done = vertex(make_project(CONFIGURED), "run-once", "--api-endpoint", emulator.url, *arguments, **commit)
    assert done.exit_code == 0
    name = done.stdout.split()[1].rstrip(":")
    job = requests.get(f"{emulator.url}/v1/{name}", timeout=60).json()
    assert json.loads(job["runtimeConfig"]["parameterValues"]["runtime_params"]) == {
        "count": 7,
        "nested": {"deep": [2, 3], "flag": False},
        "mode": "007",
        "nothing": "x",
    }
    assert job["labels"]["kedro-project"] == "small-shop"
    assert job["labels"]["kedro-commit"] == "c0ffee-dirty"
    # Without it the clean-up of intermediate data keeps what this run stored for ever.
    assert job["labels"]["airflow-run-key"] == name.rpartition("/")[2]


def test_run_once_stores_parameters_that_no_argument_holds(
    make_project: MakeProject,
    vertex: Vertex,
    emulator: VertexEmulator,
    registry: tuple[str, list[bytes]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import requests

    url, bodies = registry
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", url)
    long = "x" * 300_000  # above what Linux takes for one argument
    done = vertex(make_project(CONFIGURED), "run-once", "--api-endpoint", emulator.url, "--param", f"mode={long}")
    assert (done.exit_code, done.stderr) == (0, "")
    name = done.stdout.split()[1].rstrip(":")
    given = requests.get(f"{emulator.url}/v1/{name}", timeout=60).json()["runtimeConfig"]["parameterValues"]
    assert [json.loads(body) for body in bodies] == [{"mode": long}]
    digest = hashlib.sha256(bodies[0]).hexdigest()
    run_key = name.rpartition("/")[2]
    assert given["runtime_params"] == f"@gs://shop/kedro-vertexai-temp/{run_key}/params-{digest}.json"


@pytest.mark.parametrize(
    ("param", "said"),
    [
        ("ratio", "--param 'ratio' must be key=value."),
        ("ratoi=1", "The project has no parameter 'ratoi': 'ratoi' is not there. Did you mean 'ratio'?"),
        (
            "nested.dep=1",
            "The project has no parameter 'nested.dep': 'dep' is not in 'nested'. Did you mean 'deep'?",
        ),
        ("ratio=much", "Parameter 'ratio' is 0.25 in the project: give a number for it, not 'much'."),
        ("count=1.5", "Parameter 'count' is 3 in the project: give a number for it, not '1.5'."),
        ("nested.flag=yes", "Parameter 'nested.flag' is true in the project: give true or false for it, not 'yes'."),
        ("nested.deep={}", "Parameter 'nested.deep' is [1] in the project: give a JSON list for it, not '{}'."),
        (
            "nested.deep=" + "[" * 9999,
            "Parameter 'nested.deep' is [1] in the project: give a JSON list for it, not '" + "[" * 59 + ".",
        ),
        ("ratio=NaN", "Parameter 'ratio' is 0.25 in the project: give a number for it, not 'NaN'."),
    ],
)
def test_a_wrong_parameter_makes_no_job(make_project: MakeProject, vertex: Vertex, param: str, said: str) -> None:
    done = vertex(make_project(CONFIGURED), "run-once", "--api-endpoint", "http://127.0.0.1:1", "--param", param)
    assert (done.exit_code, done.stdout, done.stderr) == (1, "", f"Error: {said}\n")


def test_run_once_without_credentials_or_place(
    make_project: MakeProject, vertex: Vertex, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/no/such/file")
    done = vertex(make_project(CONFIGURED), "run-once")
    assert (done.exit_code, done.stderr) == (
        1,
        "Error: There are no Google credentials here. Run: gcloud auth application-default login\n",
    )
    done = vertex(make_project(CONFIGURED), "run-once", "--api-endpoint", "127.0.0.1:8787")
    assert (done.exit_code, done.stderr) == (
        1,
        "Error: There are no Google credentials here. Run: gcloud auth application-default login. (An emulator needs "
        "none, at http://127.0.0.1:PORT; that is not 127.0.0.1:8787.)\n",
    )
    project = make_project({**CONFIGURED, VERTEXAI: "run_config: {image: 'r.test/shop:1', root: shop}\n"})
    done = vertex(project, "run-once", "--api-endpoint", "http://127.0.0.1:1")
    assert done.stderr == "Error: No region is set. Set it in conf/base/vertexai.yml, or pass --region.\n"
    done = vertex(project, "run-once", "--api-endpoint", "http://vertex.test", "--region", "r")
    assert (done.exit_code, done.stderr.partition(" in plain text.")[0]) == (
        1,
        "Error: http://vertex.test would be sent your credentials",
    )
    done = vertex(project, "run-once", "--api-endpoint", "http://[vertex", "--region", "r")
    assert (done.exit_code, done.stderr) == (1, "Error: 'http://[vertex' is no address: Invalid IPv6 URL.\n")
    done = vertex(project, "run-once", "--api-endpoint", "http://127.0.0.1:1", "--region", "r")
    assert done.stderr == "Error: No project_id is set. Set it in conf/base/vertexai.yml, or pass --project-id.\n"


class _Registry(BaseHTTPRequestHandler):
    """Answers as a KFP repository does."""

    bodies: list[bytes]

    def do_POST(self) -> None:
        self.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(200 if "forbidden" not in self.path else 403)
        self.end_headers()
        self.wfile.write(b"{}" if "/upload/" in self.path else b"small-shop/sha256:abc")

    def log_message(self, *arguments: object) -> None:
        """Nothing on stderr."""


@pytest.fixture
def registry() -> Iterator[tuple[str, list[bytes]]]:
    bodies: list[bytes] = []
    server = HTTPServer(("127.0.0.1", 0), type("Registry", (_Registry,), {"bodies": bodies}))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", bodies
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")  # kfp's own
def test_a_pipeline_goes_to_a_registry(
    make_project: MakeProject, vertex: Vertex, registry: tuple[str, list[bytes]]
) -> None:
    url, bodies = registry
    project = make_project(CONFIGURED)
    done = vertex(project, "upload-pipeline", url, "-t", "latest", "-t", "v1")
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout.startswith(f"Uploaded {url}/small-shop/sha256:abc: pipeline '__default__' with 2 tasks, from ")
    assert b"latest,v1" in bodies[0]
    assert b"schemaVersion: 2.1.0" in bodies[0]
    done = vertex(project, "upload-pipeline", f"{url}/forbidden")
    assert (done.exit_code, "did not take the pipeline: 403" in done.stderr) == (1, True)


def test_a_pipeline_goes_to_storage(
    make_project: MakeProject, vertex: Vertex, registry: tuple[str, list[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, bodies = registry
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", url)
    project = make_project(CONFIGURED)
    done = vertex(project, "upload-pipeline", "gs://shop/specs/shop.json")
    assert done.exit_code == 0
    assert json.loads(bodies[0])["schemaVersion"] == "2.1.0"
    for target in ("gs://shop", "gs://shop/spec.txt", "ftp://shop/x.json"):
        assert vertex(project, "upload-pipeline", target).exit_code == 2
    assert vertex(project, "upload-pipeline", "gs://shop/x.json", "-t", "a").exit_code == 2


def test_ui_opens_the_console(make_project: MakeProject, vertex: Vertex, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr(webbrowser, "open", lambda url: opened.append(url) or len(opened) == 1)
    project, url = (
        make_project(CONFIGURED),
        "https://console.cloud.google.com/vertex-ai/pipelines/runs?project=shop-project",
    )
    assert vertex(project, "ui").stdout == f"{url}\n"
    assert "No browser can be opened here" in vertex(project, "ui").stderr
    assert vertex(project, "ui", "--print", "--project-id", "p").stdout == url.replace("shop-project", "p") + "\n"
    assert len(opened) == 2


SCHEDULED = f"""{CONFIGURED[VERTEXAI]}  schedules:
    default_schedule: {{cron_expression: "0 4 * * *", timezone: Europe/Warsaw, max_concurrent_run_count: 2}}
    other: {{cron_expression: "0 0 5 ? * mon-fri", start_time: "2026-01-01"}}
"""


@pytest.mark.usefixtures("no_network")
def test_schedule_writes_and_updates_a_dag_file(make_project: MakeProject, vertex: Vertex) -> None:
    project = make_project({**CONFIGURED, VERTEXAI: SCHEDULED})
    file = project / "dags" / f"{project.name}.py"
    done = vertex(project, "schedule")
    assert done.exit_code == 0, done
    assert manifests.read(file.with_name(f"{project.name}.manifest.json")).project.package_name == project.name
    (other,) = _schedules(file)
    assert other == {
        "pipeline": "other",
        "schedule": "0 5 * * mon-fri",
        "timezone": "Etc/UTC",
        "start": "2026-01-01",
        "end": None,
        "max_active_runs": 1,
        "params": {},
    }
    file.write_text(file.read_text() + "\n# my own line\n")
    done = vertex(project, "schedule", "-p", "__default__", "--param", "count=9", "--end-time", "2027-01-01")
    default, again = _schedules(file)
    assert again == other
    assert (default["schedule"], default["timezone"], default["max_active_runs"]) == ("0 4 * * *", "Europe/Warsaw", 2)
    assert (default["params"], default["end"]) == ({"count": 9}, "2027-01-01")
    assert file.read_text().endswith("# my own line\n")

    done = vertex(project, "schedule", "-p", "other", "-p", "__default__", "--param", "count=9")
    assert (done.exit_code, [entry["params"] for entry in _schedules(file)]) == (0, [{"count": 9}, {"count": 9}])
    vertex(project, "schedule", "-p", "__default__", "--end-time", "2027-01-01")

    # The same again changes nothing, not even the start.
    text = file.read_text().replace(default["start"], "2020-02-02")
    file.write_text(text)
    assert vertex(project, "schedule", "-p", "__default__", "--end-time", "2027-01-01").exit_code == 0
    assert file.read_text() == text


def _schedules(file: Path) -> list[dict[str, Any]]:
    (found,) = [item for item in ast.parse(file.read_text()).body if isinstance(item, ast.Assign)]
    return list(ast.literal_eval(found.value))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ("-c", "30 0 4 * * *"),
            "schedules.__default__.cron_expression: '30 0 4 * * *' has six fields, and its",
        ),
        (("-c", "0 4 * *"), "schedules.__default__.cron_expression: '0 4 * *' has 4 fields. Write five"),
        (("-c", "0 25 * * *"), "'25' is no hour: numbers from 0 to 23, ranges, steps or *."),
        (
            ("-c", "0 4 * * *", "-t", "Europe/Warsav"),
            "'Europe/Warsav'. Did you mean 'Europe/Warsaw'?",
        ),
        (("-c", "0 4 * * *", "--start-time", "soon"), "schedules.__default__.start_time must be ISO 8601"),
        (("-p", "othr", "-c", "0 4 * * *"), "has no registered pipeline 'othr'. Did you mean 'other'?"),
        (
            ("-p", "other, empty", "-c", "0 4 * * *"),
            "--pipeline other, empty names 2 pipelines, and each DAG runs one. Give --pipeline for each of them",
        ),
        ((), "Pipeline '__default__' has no schedule. Give --cron-expression, or set schedules.__default__"),
    ],
)
def test_a_wrong_schedule_writes_nothing(
    make_project: MakeProject, vertex: Vertex, arguments: tuple[str, ...], said: str
) -> None:
    project = make_project(CONFIGURED)
    done = vertex(project, "schedule", *arguments)
    assert (done.exit_code, said in done.stderr) == (1, True), done.stderr
    assert not (project / "dags").exists()


def test_a_file_of_ones_own_is_not_written_over(make_project: MakeProject, vertex: Vertex) -> None:
    project = make_project(CONFIGURED)
    file = project / "mine.py"
    file.write_text("print(1)\n")
    done = vertex(project, "schedule", "-c", "@daily", "-o", str(file))
    assert (done.exit_code, file.read_text()) == (1, "print(1)\n")
    assert "is not a file that `kedro vertex schedule` wrote" in done.stderr
    done = vertex(project, "schedule", "-c", "TZ=Asia/Tokyo @daily", "-o", str(file), "--force", "--allow-queueing")
    assert (done.exit_code, "SCHEDULES" in file.read_text()) == (0, True)
    assert "--allow-queueing is ignored" in done.stderr
    for said, warned in (("true", True), ("false", False)):  # as kedro-vertexai has it
        options = ("-o", str(file), "--force", "--allow-queueing", said, "-t", "Asia/Tokyo")
        done = vertex(project, "schedule", "-c", "@daily", *options)
        assert (done.exit_code, "--allow-queueing is ignored" in done.stderr) == (0, warned), done.stderr
    assert _schedules(file)[0]["timezone"] == "Asia/Tokyo"
