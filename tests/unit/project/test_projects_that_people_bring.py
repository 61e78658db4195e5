"""Projects as people have them, each run once with real containers: what `kedro run` takes is checked, and runs.

Each stands for a kind that was refused or lost something once. What needs a DAG file is in `tests/airflow`, what a
catalog alone says in `test_catalog_check.py`, and MLflow in `tests/mlflow`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_kedro_vertex.emulator import VertexEmulator
from tests.storage import storage_emulator, storage_variables

MakeProject = Callable[..., Path]
Vertex = Callable[..., Any]

IMAGE = "r.test/shop:1"
SETTINGS = f"""
project_id: shop-project
region: europe-west1
run_config: {{image: "{IMAGE}", root: bucket/runs, service_account: a@b.iam.gserviceaccount.com}}
"""
NODES = """
from kedro.pipeline import node, pipeline

def one():
    return 1

def add(value):
    return value + 1

def show(*values):
    print("SHOW", *map(repr, values))
    return 1
"""


@dataclass(frozen=True)
class Brought:
    """A project that somebody brings.

    :param nodes: the nodes of its one pipeline, as Python.
    :param shown: what its nodes print, sorted.
    :param warned: the codes of warnings that check has of it.
    :param given: ``--param`` of the run.
    """

    nodes: str
    shown: tuple[str, ...]
    files: dict[str, str] = field(default_factory=dict)
    warned: tuple[str, ...] = ()
    given: tuple[str, ...] = ()


HOOKS = """
from kedro.framework.hooks import hook_impl
from kedro.io import MemoryDataset

class AddRates:
    @hook_impl
    def after_catalog_created(self, catalog):
        catalog["rates"] = MemoryDataset(41)

HOOKS = (AddRates(),)
"""
MAILS = """
from kedro.framework.hooks import hook_impl

class Mail:
    @hook_impl
    def after_pipeline_run(self, run_params):
        print("SHOW mail of", *run_params["node_names"])

HOOKS = (Mail(),)
"""
OBJECTS = """
from datetime import timedelta

RESOLVERS = {"days": lambda n: timedelta(days=n), "type": lambda n: {"int": int}[n]}
CONFIG_LOADER_ARGS = {"base_env": "base", "default_run_env": "local", "custom_resolvers": RESOLVERS}
"""
REMOTE = "type: json.JSONDataset, filepath:"
CATALOG, PARAMETERS, OWN = "conf/base/catalog.yml", "conf/base/parameters.yml", "src/{package}/settings.py"

PROJECTS = {
    "a hook adds a dataset": Brought(
        'node(add, "rates", "y", name="use"), node(show, "y", "z", name="print_it")',
        ("42",),
        {OWN: HOOKS, CATALOG: ""},
        warned=("KV003",),
    ),
    "a memory dataset has its data": Brought(
        'node(add, "start", "y", name="use"), node(show, ["y", "zero"], "z", name="print_it")',
        ("42 0",),
        {CATALOG: "start: {type: MemoryDataset, data: 41}\nzero: {type: kedro.io.MemoryDataset, data: 0}\n"},
    ),
    "a resolver gives objects": Brought(
        'node(show, ["params:schema", "params:window", "params:n", "params:far"], "z", name="use")',
        ("{'id': <class 'int'>} datetime.timedelta(days=7) 1 inf",),
        {OWN: OBJECTS, PARAMETERS: 'n: 1\nschema: {id: "${type:int}"}\nwindow: ${days:7}\nfar: .inf\n'},
    ),
    "a parameter exists at run time alone": Brought(
        'node(show, ["params:run_date", "params:deep.er"], "y", name="use")',
        ("'2024-01-01' 7",),
        {CATALOG: f'y: {{{REMOTE} "gs://bucket/${{runtime_params:folder}}/y.json"}}\n', PARAMETERS: ""},
        warned=("KV028", "KV028"),
        given=("run_date=2024-01-01", "deep.er=7", "folder=x"),
    ),
    "a parameter takes the place of a local default": Brought(
        'node(one, None, "y", name="make"), node(show, "y", "z", name="use")',
        ("1",),
        {CATALOG: f'y: {{{REMOTE} "${{runtime_params:storage,data}}/y.json"}}\n', PARAMETERS: "storage: data\n"},
        warned=("KV001",),
        given=("storage=gs://bucket/placed",),
    ),
    "names of any script": Brought(
        'node(one, None, "原始", name="加载数据"), node(show, "原始", "结果", name="训练模型"), '
        'node(show, "原始", "b", name="ładowanie"), node(show, "原始", "c", name="адов")',
        ("1", "1", "1"),
        {CATALOG: ""},
    ),
    "namespaces of any depth": Brought(
        '*pipeline([node(one, None, "a", name="m" * 200), node(show, "a", "b", name="train")], '
        'namespace=".".join(["n" * 60] * 5)).nodes',
        ("1",),
        {CATALOG: ""},
    ),
    "hooks run in each container": Brought(
        'node(one, None, "a", name="make"), node(show, "a", "b", name="use")',
        ("1", "mail of make", "mail of use"),
        {OWN: MAILS, CATALOG: ""},
    ),
    "keys that are numbers": Brought(
        'node(show, "params:horizons", "a", name="use"), node(show, "params:horizons.7", "b", name="seven")',
        ("'fortnight'", "{0: 'day', 7: 'fortnight', True: 'yes'}"),
        {PARAMETERS: "horizons: {0: day, 7: week, true: 'yes'}\n", CATALOG: ""},
        given=("horizons.7=fortnight",),
    ),
}


@pytest.fixture(scope="module")
def storage() -> Iterator[str]:
    with storage_emulator("bucket") as url:
        yield url


@pytest.fixture
def brought(make_project: MakeProject) -> Callable[[Brought], Path]:
    def make(project: Brought) -> Path:
        registry = f"{NODES}\ndef register_pipelines():\n    return {{'__default__': pipeline([{project.nodes}])}}\n"
        files = {"conf/base/vertexai.yml": SETTINGS, "src/{package}/pipeline_registry.py": registry, **project.files}
        return make_project(files)

    return make


@pytest.mark.parametrize("kind", PROJECTS)
def test_it_is_checked_and_runs(
    brought: Callable[[Brought], Path], vertex: Vertex, storage: str, tmp_path: Path, kind: str
) -> None:
    asked = PROJECTS[kind]
    project = brought(asked)
    done = vertex(project, "check", "--format", "json")
    findings = json.loads(done.stdout)["findings"]
    assert (done.exit_code, tuple(found["code"] for found in findings if found["level"] != "note")) == (0, asked.warned)
    done = vertex(project, "manifest", "-o", str(tmp_path / "m.json"))
    assert done.exit_code == 0

    data = tmp_path / "vertex"
    given = [part for item in asked.given for part in ("--param", item)]
    variables = storage_variables(storage)
    with VertexEmulator({IMAGE: project}, data=data, env={**variables, "PYTHONWARNINGS": "ignore"}) as emulator:
        done = vertex(project, "run-once", "--wait", "--api-endpoint", emulator.url, *given)
    logs = "\n".join(file.read_text() for file in sorted((data / "logs").iterdir()))
    assert done.exit_code == 0, f"{done.stderr}\n{logs}"
    assert tuple(sorted(re.findall(r"SHOW (.*)", logs))) == asked.shown


def test_what_an_environment_variable_holds_is_in_no_manifest(
    brought: Callable[[Brought], Path], vertex: Vertex
) -> None:
    parameters = "api: {url: 'https://rates.test', api_key: '${oc.env:RATES_KEY}'}\ndb_password: ${oc.env:DB}\n"
    project = brought(Brought('node(show, "params:api", "y", name="use")', (), {CATALOG: "", PARAMETERS: parameters}))
    done = vertex(project, "manifest", "-o", "-", RATES_KEY="sk-live-abc", DB="hunter2")
    assert done.exit_code == 0
    assert json.loads(done.stdout)["parameters"]["api.api_key"] == {"type": "string"}
    assert "sk-live" not in done.stdout + done.stderr
    assert "hunter2" not in done.stdout + done.stderr


def test_a_variable_that_no_container_has_is_told(brought: Callable[[Brought], Path], vertex: Vertex) -> None:
    catalog = f'y: {{{REMOTE} "gs://${{oc.env:DATA_BUCKET}}/y.json"}}\n'
    project = brought(Brought('node(one, None, "y", name="make")', (), {CATALOG: catalog}))
    done = vertex(project, "check", DATA_BUCKET="bucket")
    assert done.exit_code == 0
    assert (
        "KV017 warning: The configuration reads the environment variable DATA_BUCKET, which no container" in done.stderr
    )


@pytest.mark.parametrize("names", ["a@json a@text", "b@pandas b@spark"])
def test_half_a_transcoded_dataset(brought: Callable[[Brought], Path], vertex: Vertex, names: str) -> None:
    catalog = (
        f"a@json: {{{REMOTE} gs://bucket/a.json}}\na@text: {{type: text.TextDataset, filepath: gs://bucket/a.json}}\n"
    )
    made, loaded = names.split()
    nodes = f'node(one, None, "{made}", name="make"), node(show, "{loaded}", "out", name="use")'
    done = vertex(brought(Brought(nodes, (), {CATALOG: catalog})), "check", "--format", "json")
    found = [each for each in json.loads(done.stdout)["findings"] if each["level"] == "error"]
    assert [(each["code"], each["dataset"]) for each in found] == ([("KV003", "b")] if made == "b@pandas" else [])
