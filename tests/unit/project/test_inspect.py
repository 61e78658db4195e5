from __future__ import annotations

import socket
import sys
from collections.abc import Callable
from pathlib import Path

import kedro
import pytest

from airflow_provider_kedro_vertex.core.errors import ConfigError, PlanError, ProjectError
from airflow_provider_kedro_vertex.core.plan.plan import build_plan
from airflow_provider_kedro_vertex.core.project import manifest as manifests
from airflow_provider_kedro_vertex.core.project.manifest import Dataset, Node, Parameter, Project
from airflow_provider_kedro_vertex.project.inspect import inspect_project, pipelines_without_nodes
from airflow_provider_kedro_vertex.project.vertexai_yml import ConfigWarning

MakeProject = Callable[..., Path]

REGISTRY = "src/{package}/pipeline_registry.py"
SETTINGS = "src/{package}/settings.py"
FIND = """
from kedro.framework.project import find_pipelines

def register_pipelines():
    return find_pipelines(%s)
"""


def test_everything_of_a_project_is_in_its_manifest(shop: Path) -> None:
    manifest = inspect_project(shop)
    assert manifest.project == Project("Small Shop", shop.name, kedro.__version__)
    assert manifest.env is None

    assert sorted(manifest.pipelines) == ["__default__", "nowhere", "training"]
    assert manifest.pipelines["__default__"].nodes == (
        Node(
            "features.daily.join",
            ("orders", "params:split.ratio", "parameters"),
            ("features.daily.joined",),
            ("a", "wide"),
            "features.daily",
        ),
        Node(
            "features.daily.enrich",
            ("features.daily.joined", "params:features.daily.mode"),
            ("table@spark", "features.daily.notes"),
            ("wide",),
            "features.daily",
        ),
        Node("train", ("table@pandas", "prices", "cached"), ("model",)),
        Node("score", ("model",), ("scratch",), ("a",)),
        Node("report", ("scratch", "partitions", "service", "lake"), ()),
    )
    assert manifest.pipelines["training"].nodes == manifest.pipelines["__default__"].nodes[2:]

    assert list(manifest.datasets.values()) == [
        Dataset("cached", "CachedDataset", "s3://shop/c.csv", "remote", True),
        Dataset("features.daily.joined", "pandas.ParquetDataset", "gs://shop/data/daily/joined.parquet", "remote"),
        Dataset("features.daily.notes", "pandas.ParquetDataset", "gs://shop/data/daily/notes.parquet", "remote"),
        Dataset("lake", "pandas.CSVDataset", "abfss://container@shop.test/lake.csv", "remote"),
        Dataset("model", "pickle.PickleDataset", "gs://shop/data/model.pkl", "remote", True),
        Dataset("orders", "pandas.CSVDataset", "data/01_raw/orders.csv", "local"),
        Dataset("partitions", "partitions.PartitionedDataset", "data/parts", "local"),
        Dataset("prices", "pandas.SQLTableDataset", None, "remote", table="prices"),
        Dataset("rows", "pandas.CSVDataset", "memory://rows.csv", "memory"),
        Dataset("scratch", "MemoryDataset", None, "memory"),
        Dataset("service", "api.APIDataset", "https://shop.test/rows", "remote"),
        Dataset("shared", "kedro.io.SharedMemoryDataset", None, "memory"),
        Dataset("table@pandas", "pandas.ParquetDataset", "gs://shop/data/table", "remote"),
        Dataset("table@spark", "spark.SparkDataset", "gs://shop/data/table", "remote"),
        Dataset("undeclared", "kedro.io.MemoryDataset", None, "memory"),
    ]
    assert manifest.parameters == {
        "split.ratio": Parameter("number", 0.25),
        "split.seed": Parameter("integer", 7),
        "features.daily.mode": Parameter("string", "fast"),
        "horizons.1": Parameter("string", "one"),
        "horizons.7": Parameter("string", "week"),
        "names": Parameter("array", ["ä", 'it\'s "quoted"']),
        "nothing": Parameter("null"),
        "since": Parameter("string", "2013-06-01"),
    }
    assert manifest.config.to_dict() == {
        "project_id": "shop-project",
        "region": "europe-west1",
        "image": "registry.test/shop:latest",
        "root": "gs://shop/runs",
        "experiment_name": "shop",
        "resources": [
            ["__default__", {"cpu": "1", "memory": "2Gi"}],
            ["wide", {"memory": "8Gi"}],
            ["train", {"cpu": "8", "gpu": "1", "accelerator_type": "NVIDIA_TESLA_T4"}],
        ],
    }
    assert manifests.loads(manifests.dumps(manifest), "x") == manifest
    assert len(build_plan(manifest).groups) == 5


def test_an_environment_overrides_the_base(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_TAG", "2.0")
    manifest = inspect_project(shop, "prod")
    assert manifest.env == "prod"
    assert manifest.datasets["orders"] == Dataset(
        "orders", "pandas.CSVDataset", "gs://shop-prod/orders.csv", "remote", False
    )
    assert manifest.parameters["split.ratio"] == Parameter("number", 0.5)
    assert "split.seed" not in manifest.parameters
    assert (manifest.config.region, manifest.config.image) == ("us-central1", "registry.test/shop:2.0")


def test_no_secret_is_in_the_bytes(shop: Path, shop_secret: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_PASSWORD", shop_secret)
    planted = [file for file in (shop / "conf").rglob("*.yml") if shop_secret in file.read_text(encoding="utf-8")]
    assert [file.name for file in sorted(planted)] == ["catalog.yml", "credentials.yml"]
    assert shop_secret not in manifests.dumps(inspect_project(shop))


def test_what_a_project_prints_does_not_reach_stdout(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    inspect_project(shop)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "a project may print when it is imported\n"


def test_no_dataset_class_is_imported(shop: Path) -> None:
    before = set(sys.modules)
    inspect_project(shop)
    assert not {name for name in set(sys.modules) - before if name.startswith(("kedro_datasets", "pandas"))}


def test_no_network_is_used(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object) -> None:
        raise AssertionError(f"a connection to {arguments[1:]}")

    for name in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr(socket.socket, name, refuse)
    assert len(inspect_project(shop).pipelines) == 3


def test_a_project_without_configuration_of_ours(make_project: MakeProject) -> None:
    manifest = inspect_project(make_project())
    assert manifest.parameters == {}
    assert manifest.config.image is None
    with pytest.raises(ConfigError, match=r"^No root is set"):
        build_plan(manifest, config=manifest.config.overridden({"image": "x"}))
    with pytest.raises(ConfigError, match=r"^No image is set"):
        build_plan(manifest, config=manifest.config.overridden({"root": "x"}))


def test_ignored_keys_warn_with_their_place(make_project: MakeProject) -> None:
    project = make_project({"conf/base/vertexai.yml": "run_config:\n  image: x\n  volume: {}\n"})
    with pytest.warns(ConfigWarning) as caught:
        inspect_project(project)
    assert [str(item.message) for item in caught] == [
        "conf/base/vertexai.yml, line 3: run_config.volume is ignored: nodes share no volume; intermediate data is "
        "stored below root."
    ]


def test_values_of_an_airflow_run_are_open_when_a_project_is_inspected(make_project: MakeProject) -> None:
    path = "gs://shop/${airflow:run_id}/${airflow:logical_date,2013-01-01}"
    catalog = f"b: {{type: pandas.CSVDataset, filepath: '{path}'}}\n"
    registry = """
from kedro.pipeline import node, pipeline
def copy(value):
    return value
def register_pipelines():
    return {"__default__": pipeline([node(copy, "a", "b", name="copy")])}
"""
    manifest = inspect_project(make_project({REGISTRY: registry, "conf/base/catalog.yml": catalog}))
    assert manifest.datasets["b"].location == "gs://shop/<run_id>/2013-01-01"


@pytest.mark.parametrize(
    "line", ["from kedro.extras.datasets.pandas import CSVDataSet", "from kedro.io import DataCatalogWithDefault"]
)
def test_what_kedro_removed_is_not_to_be_installed(make_project: MakeProject, line: str) -> None:
    project = make_project({REGISTRY: line})
    with pytest.raises(ProjectError, match=r"line 1: (ModuleNotFound|Import)Error") as caught:
        inspect_project(project)
    assert caught.value.fix.startswith(f"Kedro {kedro.__version__} is installed, which does not have it")


def test_a_subpackage_without_pipelines_stays_a_warning(make_project: MakeProject) -> None:
    project = make_project({REGISTRY: FIND % "", "src/{package}/pipelines/common/__init__.py": ""})
    with pytest.warns(UserWarning, match="does not expose a 'create_pipeline' function"):
        assert set(inspect_project(project).pipelines) == set()
    assert pipelines_without_nodes() == ("__default__",)


def test_names_that_collide_are_told_when_they_are_planned(make_project: MakeProject) -> None:
    registry = """
from kedro.pipeline import node, pipeline
def copy(value):
    return value
def register_pipelines():
    return {"__default__": pipeline([node(copy, "a", "b", name="x_y"), node(copy, "b", "c", name="x-y")])}
"""
    vertexai = "run_config: {image: i, root: b}\n"
    manifest = inspect_project(make_project({REGISTRY: registry, "conf/base/vertexai.yml": vertexai}))
    with pytest.raises(PlanError) as caught:
        build_plan(manifest)
    assert str(caught.value) == ("Nodes 'x_y' and 'x-y' would both be named 'x-y' on Vertex AI. Rename one of them.")
    with pytest.raises(PlanError) as caught:
        build_plan(manifest, "__defalt__")
    assert str(caught.value) == (
        "Project 'Small Shop' has no registered pipeline '__defalt__'. Did you mean '__default__'?"
    )


# {project} stands for the project's folder, {package} for its package.
BROKEN_CODE = {
    "module": (
        {REGISTRY: "\nimport no_such_module\n"},
        "The pipelines of {project} cannot be loaded: src/{package}/pipeline_registry.py, line 2: "
        "ModuleNotFoundError: No module named 'no_such_module'. Install what the project requires beside this command.",
    ),
    "syntax": (
        {REGISTRY: "def register_pipelines(:\n"},
        "The pipelines of {project} cannot be loaded: src/{package}/pipeline_registry.py, line 1: "
        "SyntaxError: invalid syntax (pipeline_registry.py, line 1).",
    ),
    "raises": (
        {REGISTRY: "def register_pipelines():\n    raise RuntimeError('no\\nluck.')\n"},
        "The pipelines of {project} cannot be loaded: src/{package}/pipeline_registry.py, line 2: "
        "RuntimeError: no luck.",
    ),
    "exits": (
        {REGISTRY: "import sys\nsys.exit('bye')\n"},
        "The pipelines of {project} cannot be loaded: src/{package}/pipeline_registry.py, line 2: SystemExit: bye.",
    ),
    "no function": (
        {REGISTRY: ""},
        "The pipelines of {project} cannot be loaded: AttributeError: module '{package}.pipeline_registry' has no "
        "attribute 'register_pipelines'.",
    ),
    "no pipeline": (
        {REGISTRY: "def register_pipelines():\n    return {'a': 1}\n"},
        "The registered pipeline 'a' is no Kedro Pipeline but of type int.",
    ),
    # Kedro's find_pipelines only warns: without an error the DAG of that pipeline would vanish from Airflow.
    "found": (
        {REGISTRY: FIND % "", "src/{package}/pipelines/bad/__init__.py": "\nimport no_such_module\n"},
        "The pipelines of {project} cannot be loaded: src/{package}/pipelines/bad/__init__.py, line 2: "
        "ModuleNotFoundError: No module named 'no_such_module'. Install what the project requires beside this command.",
    ),
    # Here the second import goes well; the pipeline is missing all the same.
    "found, once": (
        {
            REGISTRY: FIND % "",
            "src/{package}/state.py": "seen = []\n",
            "src/{package}/pipelines/bad/__init__.py": (
                "from ...state import seen\nseen.append(1)\nif len(seen) == 1:\n    raise RuntimeError('not yet')\n"
            ),
        },
        "The pipelines of {project} cannot be loaded: ImportError: RuntimeError: not yet.",
    ),
    "found, strict": (
        {REGISTRY: FIND % "raise_errors=True", "src/{package}/pipelines/bad/__init__.py": "1 / 0\n"},
        "The pipelines of {project} cannot be loaded: src/{package}/pipelines/bad/__init__.py, line 1: "
        "ZeroDivisionError: division by zero.",
    ),
    "settings": (
        {SETTINGS: "1 / 0\n"},
        "The project {project} cannot be loaded: src/{package}/settings.py, line 1: ZeroDivisionError: "
        "division by zero.",
    ),
    "setting": (
        {SETTINGS: "CONFIG_LOADER_CLASS = int\n"},
        "The project {project} cannot be loaded: ValidationError: Invalid value 'builtins.int' received for setting "
        "'CONFIG_LOADER_CLASS'. It must be a subclass of 'kedro.config.abstract_config.AbstractConfigLoader'.",
    ),
    "no package": (
        {
            "pyproject.toml": '[tool.kedro]\npackage_name = "gone_away"\nproject_name = "x"\n'
            'kedro_init_version = "1.0.0"\n'
        },
        "The project {project} cannot be loaded: ModuleNotFoundError: No module named 'gone_away'. "
        "Install what the project requires beside this command.",
    ),
    "no section": (
        {"pyproject.toml": "[project]\n"},
        "The project {project} cannot be loaded: RuntimeError: There's no '[tool.kedro]' section in the "
        "'pyproject.toml'. Please add '[tool.kedro]' section to the file with appropriate configuration parameters.",
    ),
}


@pytest.mark.parametrize("case", BROKEN_CODE)
def test_broken_code_is_one_line_with_its_place(make_project: MakeProject, case: str) -> None:
    files, said = BROKEN_CODE[case]
    project = make_project(files)
    with pytest.raises(ProjectError) as caught:
        inspect_project(project)
    assert str(caught.value) == said.replace("{project}", str(project)).replace("{package}", project.name)


def test_a_folder_that_is_no_project(tmp_path: Path) -> None:
    with pytest.raises(ProjectError) as caught:
        inspect_project(tmp_path)
    assert str(caught.value) == f"{tmp_path} is no Kedro project: it has no pyproject.toml."


BROKEN_PARAMETERS = {
    "day: ${runtime_params:${name}}\nname: x\n": (
        "conf/base/parameters.yml, line 1: day cannot be resolved: Runtime parameter 'x' not found and no default "
        "value provided. Write a default: ${runtime_params:NAME,default}."
    ),
}


@pytest.mark.parametrize("text", BROKEN_PARAMETERS)
def test_a_parameter_that_cannot_be_resolved(make_project: MakeProject, text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        inspect_project(make_project({"conf/base/parameters.yml": text}))
    assert str(caught.value) == BROKEN_PARAMETERS[text]


def test_values_that_a_projects_own_loader_makes(make_project: MakeProject) -> None:
    """A loader of Python code may give what YAML cannot: dates, tuples, keys that are no strings."""
    settings = """
from datetime import date, datetime
from kedro.config import AbstractConfigLoader

class OwnLoader(AbstractConfigLoader):
    def __init__(self, conf_source, env=None, runtime_params=None, **kwargs):
        super().__init__(conf_source, env, runtime_params)
        self["parameters"] = %s
        self["catalog"] = {"raw": {"type": "pandas.CSVDataset", "filepath": f"{conf_source}/raw.csv"}}

CONFIG_LOADER_CLASS = OwnLoader
"""
    good = '{"day": date(2013, 6, 1), "at": (datetime(2013, 6, 1, 12), True), 3: 0.5}'
    vertexai = "run_config:\n  image: registry.test/own:${oc.env:NO_SUCH_TAG,1}\n"
    project = make_project({SETTINGS: settings % good, "conf/base/vertexai.yml": vertexai})
    manifest = inspect_project(project)
    # What no file has as a literal is told by its type alone.
    assert manifest.parameters == {"day": Parameter("date"), "at": Parameter("array"), "3": Parameter("number")}
    # An absolute path inside of the project is told from the project on: bytes do not depend on where it lies.
    assert manifest.datasets["raw"].location == "conf/raw.csv"
    # The loader knows no vertexai.yml, so Kedro's own loader reads it.
    assert manifest.config.image == "registry.test/own:1"
    assert manifests.loads(manifests.dumps(manifest), "x") == manifest
