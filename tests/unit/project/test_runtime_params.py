"""Values that exist in a run alone: left open and told where a project is inspected, and given by ``--param``."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_kedro_vertex.core.project import manifest as manifests
from airflow_provider_kedro_vertex.core.project.manifest import Dataset, Parameter
from airflow_provider_kedro_vertex.emulator import VertexEmulator
from airflow_provider_kedro_vertex.emulator.executors.images import Noop
from airflow_provider_kedro_vertex.project.inspect import inspect_project

MakeProject = Callable[..., Path]
Vertex = Callable[..., Any]

FILES = {
    "src/{package}/pipeline_registry.py": """
from kedro.pipeline import node, pipeline

def copy(*values):
    return values

def register_pipelines():
    nodes = [node(copy, ["params:day", "params:only_here"], "rows", name="make"), node(copy, "rows", "out", name="use")]
    return {"__default__": pipeline(nodes)}
""",
    "conf/base/vertexai.yml": """
project_id: shop-project
region: europe-west1
run_config: {image: 'r.test/shop:1', root: shop/runs, service_account: a@b.iam.gserviceaccount.com}
""",
    "conf/base/parameters.yml": "day: ${runtime_params:day}\nweeks: 4\n",
    "conf/base/catalog.yml": """
_root: ${runtime_params:place.root}
rows: {type: json.JSONDataset, filepath: "${runtime_params:storage,data}/rows.json"}
out: {type: json.JSONDataset, filepath: "${_root}/${runtime_params:day}/out.json"}
# also: {type: x, filepath: "${runtime_params:commented_out}"}
""",
}


def test_what_only_a_run_knows_is_left_open(make_project: MakeProject) -> None:
    manifest = inspect_project(make_project(FILES))
    assert manifest.runtime_params == {"day": True, "place.root": True, "storage": False}
    assert manifest.parameters["day"] == Parameter("any")
    assert manifest.parameters["weeks"] == Parameter("integer", 4)
    kind, place = "json.JSONDataset", "<place.root>/<day>/out.json"
    assert manifest.datasets == {
        "out": Dataset("out", kind, place, "local", runtime_params=("place.root", "day"), pattern=place),
        "rows": Dataset(
            "rows", kind, "data/rows.json", "local", runtime_params=("storage",), pattern="<storage>/rows.json"
        ),
    }
    assert manifests.loads(manifests.dumps(manifest), "x") == manifest


def test_what_is_given_is_read_as_a_run_reads_it(make_project: MakeProject) -> None:
    given = {"day": "2024-01-01", "storage": "gs://b", "place": {"root": "gs://b"}}
    manifest = inspect_project(make_project(FILES), None, given)
    assert manifest.runtime_params == {"day": False, "place.root": False, "storage": False}
    kind = "json.JSONDataset"
    assert manifest.datasets == {
        "out": Dataset("out", kind, "gs://b/2024-01-01/out.json", "remote"),
        "rows": Dataset("rows", kind, "gs://b/rows.json", "remote"),
    }
    assert manifest.parameters["day"] == Parameter("string")


@pytest.mark.parametrize(
    "command", [("check",), ("plan",), ("manifest", "-o", "m.json"), ("compile", "-o", "p.json")], ids=lambda c: c[0]
)
def test_each_command_tells_what_is_open_and_takes_it(
    make_project: MakeProject,
    vertex: Vertex,
    command: tuple[str, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    project = make_project(FILES)
    done = vertex(project, *command)
    assert done.exit_code == 0
    assert "KV013 note: The configuration reads day, place.root as runtime parameters without a default" in done.stderr
    values = ("day=2024-01-01", "place.root=gs://b", "storage=gs://b", "only_here=1")
    given = [argument for value in values for argument in ("--param", value)]
    done = vertex(project, *command, *given)
    assert (done.exit_code, "KV0" in done.stderr) == (0, False)
    done = vertex(project, *command, "--param", "stroage=gs://b")
    assert done.exit_code == 1
    assert "The project has no parameter 'stroage': 'stroage' is not there. Did you mean 'storage'?" in done.stderr


def test_a_local_default_that_a_run_may_replace_is_a_warning(make_project: MakeProject, vertex: Vertex) -> None:
    project = make_project(FILES)
    found = json.loads(vertex(project, "check", "--format", "json").stdout)["findings"]
    assert [(each["code"], each["level"]) for each in found if "'rows'" in each["message"]] == [("KV001", "warning")]
    found = json.loads(vertex(project, "check", "--format", "json", "--param", "storage=data").stdout)["findings"]
    assert [(each["code"], each["level"]) for each in found if "'rows'" in each["message"]] == [("KV001", "error")]


def test_run_once_takes_what_no_file_has(make_project: MakeProject, vertex: Vertex) -> None:
    import requests

    given = ["day=2024-01-01", "place.root=gs://b", "storage=gs://b", "only_here=3"]
    options = [word for item in given for word in ("--param", item)]
    with VertexEmulator({"r.test/shop:1": Noop(0.05)}) as emulator:
        done = vertex(make_project(FILES), "run-once", "--api-endpoint", emulator.url, *options)
        assert (done.exit_code, done.stderr) == (0, "")
        job = requests.get(f"{emulator.url}/v1/{done.stdout.split()[1].rstrip(':')}", timeout=120).json()
    assert json.loads(job["runtimeConfig"]["parameterValues"]["runtime_params"]) == {
        "day": "2024-01-01",
        "only_here": 3,
        "place": {"root": "gs://b"},
        "storage": "gs://b",
    }
