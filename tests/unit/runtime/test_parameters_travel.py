"""Parameters of any kind: what a node gets on Vertex AI, in every mode, is what `kedro run` gives it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from datetime import date, datetime, timezone
from types import SimpleNamespace
from typing import Any

import click
import pytest
import yaml
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from kedro.framework.cli.utils import _split_params

from airflow_provider_kedro_vertex import kedro_vertex_dag
from airflow_provider_kedro_vertex.core.jobs.identity import run_key
from airflow_provider_kedro_vertex.core.jobs.states import is_over, succeeded
from airflow_provider_kedro_vertex.core.project import manifest as manifests
from airflow_provider_kedro_vertex.core.settings.run_config import RunConfig
from airflow_provider_kedro_vertex.emulator import VertexEmulator
from airflow_provider_kedro_vertex.task.run import rendered
from airflow_provider_kedro_vertex.vertex.client import VertexClient
from airflow_provider_kedro_vertex.vertex.submission import submit_job
from tests.storage import storage_emulator, storage_variables
from tests.unit.runtime.containers import Project

# Values that are asked for by name; each run has many more.
NAMED = {
    "quotes": """'one' "two" `three`""",
    "lines": "one\ntwo\r\n\tthree",
    "shell": "$(X) $X $$(X) ; | & > * ~ \\ \\n",
    "placeholder": "{{$}} {{$.inputs.parameters['runtime_params']}} {{ ds }}",
    "unicode": "żółć 日本語 🛩 \u2028 \ufeff",
    "nan": float("nan"),
    "infinite": [float("inf"), -float("inf"), -0.0],
    "nested": [[1, [2.0, [True, [None, {"a": [{}]}]]]], []],
    "like numbers": ["1", "1.0", "true", "null", "2013-01-01", "1e3", "0x1", ""],
    "date": date(2013, 1, 1),
}
PIECE = "é\"'$(X)\n"
# How often a text has it. The first travels in the container's command, and the second, of 1 MB, as an object.
PIECES = {"argument": 1_000, "object": 130_000}
RUN = "manual"
# A DAG's arguments, and the task of it that submits the job in which the node runs.
MODES: dict[str, tuple[dict[str, Any], str]] = {
    "one_job": ({}, "submit"),
    "watched": ({"watch": "nodes"}, "submit"),
    "custom_jobs": ({"mode": "custom_job"}, "look"),
}

# No lone surrogates, which are no text; no "${", which OmegaConf takes for an interpolation wherever Kedro runs.
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20).filter(lambda text: "${" not in text)
SCALARS = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | TEXTS | st.dates()
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=3), max_leaves=20
)


class Quoted(yaml.SafeDumper):
    """Writes each text in quotes, as a person must where it looks like a number, and dates without."""


Quoted.add_representer(str, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"'))


@pytest.fixture
def vertex(shop: Project, monkeypatch: pytest.MonkeyPatch) -> Iterator[VertexEmulator]:
    """Vertex AI and Cloud Storage, which Airflow's connection and the containers reach."""
    catalog = shop.path / "conf" / "base" / "catalog.yml"
    catalog.write_text(catalog.read_text().replace("data/seen.json", f"{shop.path}/data/${{airflow:dag_id,seen}}.json"))
    with storage_emulator("bucket") as storage:
        variables = {**storage_variables(storage), "PYTHONWARNINGS": "ignore"}
        with VertexEmulator({"shop": shop.path}, env=variables) as emulator:
            extra = {"is_anonymous": True, "api_endpoint": emulator.url, "logging_endpoint": emulator.url}
            connection = {"conn_type": "google_cloud_platform", "extra": {**extra, "storage_endpoint": storage}}
            monkeypatch.setenv("AIRFLOW_CONN_GOOGLE_CLOUD_DEFAULT", json.dumps(connection))
            yield emulator


@pytest.fixture
def manifest(shop: Project) -> str:
    path = shop.path.parent / "shop.manifest.json"
    config = {"project_id": "demo-project", "region": "europe-west1", "image": "shop", "root": "bucket/root"}
    node = manifests.Node("look", inputs=("parameters",), outputs=("seen",))
    made = manifests.Manifest(
        project=manifests.Project("Shop", "shop", "1.0.0"),
        env=None,
        config=RunConfig.from_dict(config),
        parameters={},
        datasets={"seen": manifests.Dataset("seen", "json.JSONDataset", f"{shop.path}/data", "remote")},
        pipelines={"told": manifests.Pipeline("told", (node,))},
    )
    manifests.write(made, path)
    return str(path)


def _values(count: int) -> list[Any]:
    """As many values as are asked for, of all kinds: they share a container, which takes a second to start."""
    found: list[Any] = []

    @settings(max_examples=count, phases=[Phase.generate], database=None)
    @given(VALUES)
    def collect(value: Any) -> None:
        found.append(value)

    collect()
    return found


def _submit(name: str, mode: str, manifest: str, params: Mapping[str, Any]) -> tuple[VertexClient, str]:
    """Do what Airflow does in a DAG of this name that was triggered with these params, until the job is there."""
    arguments, task_id = MODES[mode]
    dag = kedro_vertex_dag(name, pipeline="told", manifest=manifest, schedule=None, **arguments)
    moment = datetime(2013, 1, 1, tzinfo=timezone.utc)
    # What is read of it; the rest takes a database.
    context: Any = {
        "ti": SimpleNamespace(dag_id=name, run_id=RUN, task_id=task_id, map_index=-1, try_number=1, max_tries=0),
        "dag_run": SimpleNamespace(conf=params, start_date=moment, run_after=moment),
        "params": params,
        "logical_date": moment,
    }
    task: Any = dag.get_task(task_id)
    made = rendered(task, context).submission(context)
    return made.client, submit_job(made.client, made.request.collection, made.task, made.request.body).job["name"]


def _success(client: VertexClient, name: str) -> None:
    """Wait until a job has ended well."""
    deadline = time.monotonic() + 120
    while not is_over((job := client.get_job(name))["state"]):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    log = client.log_entries('resource.type="ml_job"', 100)
    assert succeeded(job["state"]), [job.get("error"), *(entry.get("jsonPayload") for entry in log)]


def _with_kedro(shop: Project, params: Mapping[str, Any]) -> dict[str, Any]:
    """Run Kedro itself; its command line takes from a file what is too long for it, or has a comma."""
    file = shop.path / "run.yml"
    file.write_text(yaml.dump({"run": {"params": dict(params)}}, Dumper=Quoted))
    shop.kedro("run", "--pipeline", "told", "--config", str(file))
    return dict(shop.json("data/seen.json")["params"])


def _as_text(params: Mapping[str, Any]) -> dict[str, str]:
    """For comparing: NaN is not itself, and 1 == 1.0 == True in Python."""
    return {name: json.dumps(value, sort_keys=True) for name, value in params.items()}


def test_what_the_node_gets_in_every_mode(vertex: VertexEmulator, shop: Project, manifest: str) -> None:
    params = {**NAMED, **{f"value {number}": value for number, value in enumerate(_values(300))}}
    texts = {way: PIECE * count for way, count in PIECES.items()}
    jobs = {
        (way, mode): _submit(f"{way}_{mode}", mode, manifest, {**params, "text": text})
        for way, text in texts.items()
        for mode in MODES
    }
    theirs = _with_kedro(shop, {**params, "text": texts["object"]})
    assert (theirs["quotes"], theirs["nested"], theirs["text"]) == (NAMED["quotes"], NAMED["nested"], texts["object"])
    option = click.Option(["--params"])
    assert _split_params(click.Context(click.Command("run")), option, "date=2013-01-01") == {"date": theirs["date"]}

    commands: dict[tuple[str, str], list[str]] = {}
    for (way, mode), job in jobs.items():
        _success(*job)
        seen = shop.json(f"data/{way}_{mode}.json")
        assert _as_text(seen["params"]) == _as_text({**theirs, "text": texts[way]}), (way, mode)
        own_key = run_key(f"{way}_{mode}", RUN)
        commands[way, mode] = [word.replace(own_key, "KEY") for word in seen["command"]]
    # Around the container the modes differ; what it gets does not, but for the names of the run and the job.
    for way in texts:
        ours = {mode: dict(zip(commands[way, mode][1::2], commands[way, mode][2::2], strict=True)) for mode in MODES}
        first, *others = [{**words, "--context": None} for words in ours.values()]
        assert all(other == first for other in others)
        assert ours["one_job"]["--params"].startswith("@gs://bucket/root/") is (way == "object")
