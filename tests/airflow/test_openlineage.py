"""OpenLineage's events of a real Airflow with OpenLineage's own provider, which writes them into a file."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

import jsonschema
import pytest

from airflow_provider_kedro_vertex.core.jobs.saved import Saved, to_line
from airflow_provider_kedro_vertex.core.project import manifest as manifests
from airflow_provider_kedro_vertex.core.project.manifest import Dataset, Manifest, Node, Parameter, Pipeline, Project
from airflow_provider_kedro_vertex.core.settings.run_config import RunConfig
from tests.airflow.control import RunningAirflow, start_emulator
from tests.airflow.test_node_runs import IMAGE, RUNTIME, Vertex
from tools.demo.processes import Processes
from tools.demo.stack import environment

pytest.importorskip("airflow.providers.openlineage", reason="without OpenLineage's provider there are no events")
generated = import_module("openlineage.client.generated")

pytestmark = [pytest.mark.airflow]

RUN = "manual__one"
MODES = ("one_job", "watched", "custom_jobs")
COMMIT = "0123456789abcdef0123456789abcdef01234567"
SECRET = "s3cr3t"
SAVED = {"make": {"table": Saved(3, (("day", "int64"), ("mean", "float64")))}, "report": {"result": Saved(1)}}
FACETS = Path(__file__).parents[2] / "docs" / "facets" / "1-0-0"

#: Beside what the other tests' containers do, these tell what they saved.
TELLING = RUNTIME + f"\nprint({ {node: to_line(saved) for node, saved in SAVED.items()}!r}[told['node']])\n"


TEXT, WHOLE_NUMBER = {"type": "string"}, {"type": "integer"}
ADDRESS = {"type": "string", "pattern": "^[a-z][a-z0-9+.-]*:"}
COLUMN = {"type": "object", "properties": {"name": TEXT, "type": TEXT}, "required": ["name"]}
#: What OpenLineage's own JSON schemas ask of the facets that are made here, in the words of this test: the fields with
#: their types, and those that must be there. https://github.com/OpenLineage/OpenLineage/tree/main/spec/facets
FIELDS: Mapping[str, tuple[Mapping[str, Any], tuple[str, ...]]] = {
    "schema": ({"fields": {"type": "array", "items": COLUMN}}, ()),
    "version": ({"datasetVersion": TEXT}, ("datasetVersion",)),
    "outputStatistics": ({"rowCount": WHOLE_NUMBER, "size": WHOLE_NUMBER}, ()),
    "sourceCodeLocation": ({"type": TEXT, "url": ADDRESS, "repoUrl": TEXT, "version": TEXT}, ("type", "url")),
    "jobType": ({"processingType": TEXT, "integration": TEXT, "jobType": TEXT}, ("processingType", "integration")),
    "errorMessage": ({"message": TEXT, "programmingLanguage": TEXT}, ("message", "programmingLanguage")),
}
DATASETS = {
    "type": "array",
    "items": {"properties": {"namespace": TEXT, "name": TEXT}, "required": ["namespace", "name"]},
}
#: The same of an event.
EVENT = {
    "type": "object",
    "properties": {
        "eventType": {"enum": ["START", "RUNNING", "COMPLETE", "ABORT", "FAIL", "OTHER"]},
        "eventTime": {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$"},
        "producer": ADDRESS,
        "schemaURL": ADDRESS,
        "run": {"properties": {"runId": {"type": "string", "pattern": "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"}}},
        "job": {"properties": {"namespace": TEXT, "name": TEXT}, "required": ["namespace", "name"]},
        "inputs": DATASETS,
        "outputs": DATASETS,
    },
    "required": ["run", "job", "eventTime", "producer", "schemaURL"],
}


def shop() -> Manifest:
    """Its catalog has a user and a password in each address, and a version; what a run gives says where."""
    nodes = (
        Node("make", ("params:place", "orders"), ("table", "notes")),
        Node("report", ("table", "notes"), ("result",)),
    )
    settings = {
        "project_id": "demo-project",
        "region": "europe-west1",
        "image": IMAGE,
        "root": "bucket/runs",
        "nodes": {"__default__": {"env": {"KEDRO_CONFIG_COMMIT_ID": COMMIT}}},
        "lineage": {"report_data": True, "repository": "https://git.test/org/shop"},
    }
    place = {"scope": "remote", "runtime_params": ("place",)}
    return Manifest(
        project=Project("Shop", "shop", "1.7.0"),
        env=None,
        config=RunConfig.from_dict(settings),
        parameters={"place": Parameter("string", "base")},
        datasets={
            "orders": Dataset(
                "orders", "pandas.SQLTableDataset", "postgresql://db.test/sales", "remote", table="orders"
            ),
            "table": Dataset(
                "table",
                "p.CSVDataset",
                "gs://data/base/table",
                versioned=True,
                pattern="gs://data/<place>/table",
                **place,
            ),
            "result": Dataset("result", "p.CSVDataset", "gs://data/base/x", pattern="gs://data/<place>/x", **place),
            "notes": Dataset("notes", "MemoryDataset"),
        },
        pipelines={"__default__": Pipeline("__default__", nodes)},
        runtime_params={"place": False},
    )


def reports() -> Manifest:
    return replace(
        shop(),
        project=Project("Reports", "reports", "1.7.0"),
        config=shop().config.overridden({"lineage": {"report_data": False}}),
        parameters={},
        runtime_params={},
        datasets={
            "shop_result": Dataset("shop_result", "p.CSVDataset", "gcs://data//one_job/x", "remote"),
            "told": Dataset("told", "pandas.GBQTableDataset", None, "remote", table="sales.told"),
        },
        pipelines={"__default__": Pipeline("__default__", (Node("report", ("shop_result",), ("told",)),))},
    )


@pytest.fixture(scope="module")
def vertex(processes: Processes, tmp_path_factory: pytest.TempPathFactory) -> Vertex:
    data, folder, image = (tmp_path_factory.mktemp(name) for name in ("vertex", "containers", "image"))
    package = image / "airflow_provider_kedro_vertex"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "runtime.py").write_text(TELLING)
    arguments = [f"--image={IMAGE}={image}"]
    arguments += [f"--env=RECORD={folder / 'record'}", f"--env=FAILING={folder / 'failing'}"]
    return Vertex(start_emulator(processes, data, *arguments), folder)


@pytest.fixture(scope="module")
def events(processes: Processes, vertex: Vertex, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """Every event of one run of each DAG."""
    home = tmp_path_factory.mktemp("airflow")
    dags, file = home / "dags", home / "events.json"
    dags.mkdir()
    shutil.copy(Path(__file__).parent / "dags" / "lineage_runs.py", dags)
    manifests.write(shop(), dags / "shop.manifest.json")
    manifests.write(reports(), dags / "reports.manifest.json")
    transport = {"type": "file", "log_file_path": str(file), "append": True}
    own = {"AIRFLOW__OPENLINEAGE__TRANSPORT": json.dumps(transport), "AIRFLOW__OPENLINEAGE__NAMESPACE": "tests"}
    # What a busy machine needs to fork and import; a task does not wait for more than it takes.
    own["AIRFLOW__OPENLINEAGE__EXECUTION_TIMEOUT"] = "120"
    running = RunningAirflow(home, dags, processes, vertex.url, {**environment(), **own})
    ends = dict.fromkeys((*MODES, "alone", "reports"), "success") | {"failing": "failed"}
    vertex.fail("failing", "report")
    running.start(*ends)
    for dag_id in ends:
        running.trigger(dag_id, RUN)
    for dag_id, state in ends.items():
        running.until(lambda dag_id=dag_id: running.run_state(dag_id, RUN) in ("success", "failed"), dag_id, 600)
        assert running.run_state(dag_id, RUN) == state
    return [json.loads(line) for line in file.read_text().splitlines()]


def last(events: list[dict[str, Any]], task: str, kind: str = "COMPLETE") -> dict[str, Any]:
    """The last event of a kind that a task has."""
    return [event for event in events if event["job"]["name"] == task and event["eventType"] == kind][-1]


def names(datasets: list[dict[str, Any]]) -> set[tuple[str, str]]:
    return {(dataset["namespace"], dataset["name"]) for dataset in datasets}


ORDERS = ("postgres://db.test:5432", "sales.public.orders")


@pytest.mark.parametrize("mode", MODES)
def test_a_run_tells_what_it_read_and_wrote(events: list[dict[str, Any]], mode: str) -> None:
    table, result = ("gs://data", f"{mode}/table"), ("gs://data", f"{mode}/x")
    if mode == "one_job":
        wait = last(events, "one_job.wait")
        assert (names(wait["inputs"]), names(wait["outputs"])) == ({ORDERS}, {table, result})
        outputs = wait["outputs"]
        assert (last(events, "one_job.submit")["inputs"], last(events, "one_job.submit")["outputs"]) == ([], [])
    else:
        make, report = last(events, f"{mode}.make"), last(events, f"{mode}.report")
        assert (names(make["inputs"]), names(make["outputs"])) == ({ORDERS}, {table})
        assert (names(report["inputs"]), names(report["outputs"])) == ({table}, {result})
        outputs = [*make["outputs"], *report["outputs"]]
    by_name = {dataset["name"]: dataset for dataset in outputs}
    written = by_name[table[1]]
    assert [(field["name"], field["type"]) for field in written["facets"]["schema"]["fields"]] == [
        ("day", "int64"),
        ("mean", "float64"),
    ]
    assert written["outputFacets"]["outputStatistics"]["rowCount"] == 3
    assert by_name[result[1]]["outputFacets"]["outputStatistics"]["rowCount"] == 1
    assert "schema" not in by_name[result[1]]["facets"]
    # The version is no part of the name.
    assert written["facets"]["version"]["datasetVersion"].endswith("Z-" + facet(events, mode)["runKey"][-10:])
    assert "version" not in by_name[result[1]]["facets"]


def facet(events: list[dict[str, Any]], mode: str) -> dict[str, Any]:
    found: dict[str, Any] = last(events, f"{mode}.wait" if mode == "one_job" else f"{mode}.make")["run"]["facets"]
    return dict(found["kedroVertex_job"])


@pytest.mark.parametrize("mode", MODES)
def test_a_run_tells_its_job_and_the_source(events: list[dict[str, Any]], mode: str) -> None:
    told = facet(events, mode)
    assert told["pipeline"] == "__default__"
    assert told["nodes"] == (["make", "report"] if mode == "one_job" else ["make"])
    assert ("/customJobs/" if mode == "custom_jobs" else "/pipelineJobs/") in told["name"]
    assert told["name"].rpartition("/")[2] in told["url"]
    assert told["commit"] == COMMIT
    job = last(events, f"{mode}.wait" if mode == "one_job" else f"{mode}.make")["job"]
    source = job["facets"]["sourceCodeLocation"]
    assert (source["type"], source["repoUrl"], source["version"]) == ("git", "https://git.test/org/shop", COMMIT)
    assert (job["facets"]["jobType"]["processingType"], job["facets"]["jobType"]["jobType"]) == ("BATCH", "TASK")


def test_an_operator_by_itself_tells_the_same(events: list[dict[str, Any]]) -> None:
    told = last(events, "alone.run")
    written = {("gs://data", "alone/table"), ("gs://data", "alone/x")}
    assert (names(told["inputs"]), names(told["outputs"])) == ({ORDERS}, written)


def test_a_dataset_has_one_name_for_who_writes_and_who_reads_it(events: list[dict[str, Any]]) -> None:
    read = last(events, "reports.report")
    assert names(read["inputs"]) == {("gs://data", "one_job/x")} <= names(last(events, "one_job.wait")["outputs"])
    assert names(read["outputs"]) == {("bigquery", "demo-project.sales.told")}
    # Its containers told what they saved, and nobody asked for it.
    assert [dataset["outputFacets"] for dataset in read["outputs"]] == [{}]


def test_a_failed_run_wrote_nothing_and_tells_why(events: list[dict[str, Any]]) -> None:
    failed = last(events, "failing.wait", "FAIL")
    assert (names(failed["inputs"]), failed["outputs"]) == ({ORDERS}, [])
    told = failed["run"]["facets"]["kedroVertex_job"]
    assert (told["state"], told["failureClass"], told["failedGroups"]) == ("FAILED", "user code", ["report"])
    assert "ValueError: not yet" in failed["run"]["facets"]["errorMessage"]["message"]


def test_the_events_are_as_openlineages_schemas_say(events: list[dict[str, Any]]) -> None:
    """Judged by the classes that OpenLineage generates from its JSON schemas, which are in no package, and by types."""
    schema = json.loads((FACETS / "KedroVertexJobRunFacet.json").read_text())
    (own,) = [part for part in schema["$defs"]["KedroVertexJobRunFacet"]["allOf"] if "properties" in part]
    known = generated_classes()
    judged = set()
    for event in events:
        run, job = known["Run"](event["run"]["runId"]), known["Job"](event["job"]["namespace"], event["job"]["name"])
        rest = {key: event[key] for key in ("eventTime", "producer")}
        assert known["RunEvent"](run=run, job=job, eventType=known["EventType"](event["eventType"]), **rest)
        assert event["schemaURL"].endswith("OpenLineage.json#/$defs/RunEvent")
        jsonschema.validate(event, EVENT)
        for key, facet in facets_of(event):
            properties, required = FIELDS.get(key, ({}, ()))
            both = {"_producer": ADDRESS, "_schemaURL": ADDRESS}
            jsonschema.validate(facet, {"properties": {**properties, **both}, "required": [*required, *both]})
            kind = facet["_schemaURL"].rpartition("/")[2]
            if key == "kedroVertex_job":
                assert facet["_schemaURL"] == f"{schema['$id']}#/$defs/{kind}"
                jsonschema.validate(facet, own)
            if key == "schema":
                assert [known["SchemaDatasetFacetFields"](**field) for field in facet["fields"]]
            if kind in known and kind not in ("RunFacet", "JobFacet"):  # which take any key
                values = {name: value for name, value in facet.items() if not name.startswith("_")}
                assert known[kind](**values, producer=facet["_producer"])
                judged.add(key)
    assert {"schema", "version", "outputStatistics", "sourceCodeLocation", "jobType", "errorMessage"} <= judged


def generated_classes() -> dict[str, Any]:
    """By name, as the addresses of the schemas end."""
    modules = [import_module(f"{generated.__name__}.{each.name}") for each in iter_modules(generated.__path__)]
    return {name: value for module in modules for name, value in vars(module).items() if isinstance(value, type)}


def facets_of(event: Mapping[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    holders = [event["run"], event["job"], *event.get("inputs", []), *event.get("outputs", [])]
    found = [holder.get(kind) or {} for holder in holders for kind in ("facets", "inputFacets", "outputFacets")]
    return [item for facets in found for item in facets.items()]
