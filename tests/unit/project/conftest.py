"""Real small Kedro projects, made in a temporary folder."""

from __future__ import annotations

import itertools
import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest

from airflow_provider_kedro_vertex import project as kedro_side

QUIET_LOGGING = str(Path(kedro_side.__file__).with_name("logging.yml"))
# Kedro reads it when it is first imported; its default writes to stdout and takes over pytest's own handlers.
os.environ.setdefault("KEDRO_LOGGING_CONFIG", QUIET_LOGGING)

_numbers = itertools.count(1)

MakeProject = Callable[..., Path]
Run = Callable[..., subprocess.CompletedProcess[str]]

Vertex = Callable[..., "Result"]


@dataclass(frozen=True)
class Result:
    """How a command ended."""

    exit_code: object
    stdout: str
    stderr: str


REGISTRY = """
from kedro.pipeline import node, pipeline

def copy(value):
    return value

def register_pipelines():
    return {"__default__": pipeline([node(copy, "raw", "clean", name="clean_up")])}
"""

SECRET = "hunter2-of-the-small-shop"

#: A project with something of everything that a manifest must hold.
SHOP = {
    "src/{package}/pipeline_registry.py": """
from kedro.pipeline import node, pipeline

print("a project may print when it is imported")

def first(*values, **named):
    return values

def register_pipelines():
    features = pipeline(
        [
            node(first, ["orders", "params:split.ratio", "parameters"], "joined", name="join", tags=["wide", "a"]),
            node(first, {"rows": "joined", "how": "params:mode"}, ["table@spark", "notes"], name="enrich", tags="wide"),
        ],
        namespace="features.daily",
        inputs={"orders": "orders"},
        outputs={"table@spark": "table@spark"},
        parameters={"params:split.ratio"},
    )
    training = pipeline(
        [
            node(first, ["table@pandas", "prices", "cached"], "model", name="train"),
            node(first, "model", "scratch", name="score", tags=["a"]),
            node(first, ["scratch", "partitions", "service", "lake"], None, name="report"),
        ]
    )
    nowhere = pipeline([node(first, ["shared", "rows", "undeclared"], None, name="look")])
    return {
        "__default__": features + training,
        "training": training,
        "nowhere": nowhere,
        "empty": pipeline([]),
        "none": None,
    }
""",
    "conf/base/catalog.yml": """
_storage: gs://shop/data
orders: {type: pandas.CSVDataset, filepath: ./data/01_raw/orders.csv}
table@pandas: {type: pandas.ParquetDataset, filepath: "${_storage}/table"}
table@spark: {type: spark.SparkDataset, filepath: "${_storage}/table"}
prices: {type: pandas.SQLTableDataset, table_name: prices, credentials: database}
model: {type: pickle.PickleDataset, filepath: "${_storage}/model.pkl", versioned: true}
scratch: {type: MemoryDataset}
shared: {type: kedro.io.SharedMemoryDataset}
cached: {type: CachedDataset, dataset: {type: pandas.CSVDataset, filepath: s3://shop/c.csv, versioned: true}}
partitions: {type: partitions.PartitionedDataset, path: data/parts, dataset: {type: pandas.CSVDataset}}
service: {type: api.APIDataset, url: "https://clerk:hunter2-of-the-small-shop@shop.test/rows?key=hunter2-of-the-small-shop"}
lake: {type: pandas.CSVDataset, filepath: abfss://container@shop.test/lake.csv}
rows: {type: pandas.CSVDataset, filepath: "memory://rows.csv"}
unused: {type: pandas.CSVDataset, filepath: data/unused.csv, credentials: {token: hunter2-of-the-small-shop}}
"features.{window}.{name}": {type: "pandas.ParquetDataset", filepath: "${_storage}/{window}/{name}.parquet"}
""",
    "conf/base/parameters.yml": """
split: {ratio: 0.25, seed: 7}
features: {daily: {mode: fast}}
horizons: {1: one, 7: week}
names: [ä, "it's \\"quoted\\""]
nothing: null
since: 2013-06-01
""",
    "conf/base/vertexai.yml": """
project_id: shop-project
region: europe-west1
run_config:
  image: registry.test/shop:${oc.env:SHOP_TAG,latest}
  root: shop/runs/
  experiment_name: shop
  resources:
    __default__: {cpu: 1, memory: 2Gi}
    wide: {memory: 8Gi}
    train: {cpu: 8, nvidia.com/gpu: 1, accelerator_type: NVIDIA_TESLA_T4}
""",
    "conf/local/credentials.yml": f"database: {{con: 'postgresql://clerk:{SECRET}@db/shop'}}\n",
    "conf/prod/catalog.yml": "orders: {type: pandas.CSVDataset, filepath: gs://shop-prod/orders.csv}\n",
    "conf/prod/parameters.yml": "split: {ratio: 0.5}\n",
    "conf/prod/vertexai.yml": "region: us-central1\n",
}


def write_project(folder: Path, files: Mapping[str, str], package: str) -> Path:
    """Write a project of one node; ``files`` replace or add to it, and ``{package}`` in a path is its package."""
    content = {
        "pyproject.toml": (
            f'[tool.kedro]\npackage_name = "{package}"\nproject_name = "Small Shop"\nkedro_init_version = "1.0.0"\n'
        ),
        "src/{package}/__init__.py": "",
        "src/{package}/settings.py": "",
        "src/{package}/pipeline_registry.py": REGISTRY,
        "conf/base/catalog.yml": "raw: {type: pandas.CSVDataset, filepath: data/raw.csv}\n",
        "conf/local/.gitkeep": "",
        **files,
    }
    for name, text in content.items():
        path = folder / name.replace("{package}", package)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", errors="surrogateescape")
    return folder


@pytest.fixture
def make_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MakeProject:
    """Make a project that this process may inspect: a package name of its own, and Kedro's traces undone."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setenv("PYTHONPATH", os.environ.get("PYTHONPATH", ""))

    def make(files: Mapping[str, str] | None = None, package: str | None = None) -> Path:
        package = package or f"shop_{next(_numbers)}"
        return write_project(tmp_path / package, files or {}, package)

    return make


@pytest.fixture
def shop(make_project: MakeProject) -> Path:
    """A project with something of everything."""
    return make_project(SHOP)


@pytest.fixture
def shop_secret() -> str:
    """What the shop's credentials and URLs hide."""
    return SECRET


@pytest.fixture(scope="session")
def run() -> Run:
    """Run a Python command in a folder, without telemetry and with Kedro's own logging off stdout."""

    def python(*arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
        inherited = {name: value for name, value in os.environ.items() if name not in ("KEDRO_ENV", "PYTHONPATH")}
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=cwd,
            env={
                **inherited,
                "DO_NOT_TRACK": "1",
                "KEDRO_DISABLE_TELEMETRY": "1",
                "KEDRO_LOGGING_CONFIG": QUIET_LOGGING,
                **environment,
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    return python


@pytest.fixture
def vertex(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Vertex:
    """``kedro vertex ...`` in this process, as Kedro calls it."""
    from airflow_provider_kedro_vertex.project.cli import commands

    monkeypatch.delenv("KEDRO_ENV", raising=False)

    def command(project: Path, *arguments: str, **environment: str) -> Result:
        (package,) = re.findall(r'^package_name = "(.+)"$', (project / "pyproject.toml").read_text(), re.MULTILINE)
        with monkeypatch.context() as patch:
            for name, value in environment.items():
                patch.setenv(name, value)
            capsys.readouterr()  # what was written before is not the command's
            with pytest.raises(SystemExit) as caught:
                commands.main(["vertex", *arguments], obj=SimpleNamespace(project_path=project, package_name=package))
        return Result(caught.value.code, *capsys.readouterr())

    return command
