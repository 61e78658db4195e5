from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from flights.pipeline_registry import register_pipelines
from kedro.config import OmegaConfigLoader
from kedro.io import CatalogConfigResolver

from tests.storage import storage_emulator, storage_variables

RUN_DATE = "2013-06-02"
BUCKET = "flights-demo"
FILES = {"airline_errors.json", "baseline.json", "delays.png", "flight_features.parquet", "metrics.json"}
FILES |= {"predictions.parquet", "regressor.pkl"}


@pytest.fixture(scope="module")
def laptop_run(kedro_run: Callable[..., Path]) -> Path:
    """The folder of results of a whole run without a bucket."""
    return kedro_run("--env", "laptop", "--params", f"run_date={RUN_DATE}") / "data" / RUN_DATE


@pytest.fixture(scope="module")
def storage() -> Iterator[str]:
    """The URL of a storage emulator that has the project's bucket."""
    with storage_emulator(BUCKET) as url:
        yield url


def catalog_of(project: Path, env: str | None, run_date: str) -> CatalogConfigResolver:
    loader = OmegaConfigLoader(
        str(project / "conf"),
        env=env,
        base_env="base",
        default_run_env="base",
        runtime_params={"run_date": run_date},
    )
    return CatalogConfigResolver(loader["catalog"])


def declared(resolver: CatalogConfigResolver, name: str) -> dict[str, Any]:
    """A dataset's settings, from its own entry or from a pattern; empty when it is undeclared."""
    return resolver.config.get(name) or (resolver.resolve_pattern(name) if resolver.match_dataset_pattern(name) else {})


def test_pipelines_nodes_namespaces_and_tags() -> None:
    pipelines = register_pipelines()
    everything = pipelines["__default__"].nodes

    assert {name: len(pipeline.nodes) for name, pipeline in pipelines.items()} == {
        "features": 7,
        "training": 4,
        "reporting": 3,
        "__default__": 14,
    }
    assert {node.namespace for node in everything} == {"features", "model", None}
    assert set().union(*(node.tags for node in everything)) == {"raw", "fit", "report"}


@pytest.mark.filterwarnings("ignore:register_new_resolver:UserWarning")
def test_every_kind_of_dataset_is_there_and_what_is_stored_is_in_the_bucket_under_its_day(project: Path) -> None:
    catalog = catalog_of(project, None, "2013-07-04")
    pipeline = register_pipelines()["__default__"]
    made = {name: declared(catalog, name) for name in sorted(pipeline.all_outputs())}

    undeclared = {name for name, settings in made.items() if not settings}
    assert undeclared == {
        "features.window",
        "features.window_weather",
        "features.schedule_features",
        "features.plane_features",
        "features.weather_features",
        "features.history_features",
        "model.training_flights",
        "model.day_flights",
    }
    paths = [settings["filepath"] for settings in made.values() if settings]
    assert all(path.startswith(f"gs://{BUCKET}/2013-07-04/") for path in paths)
    assert len(set(paths)) == len(paths) == len(FILES)
    assert [name for name, settings in made.items() if settings.get("versioned")] == ["model.regressor"]
    assert {name for name in made if catalog.match_dataset_pattern(name)} == {
        "airline_errors#json",
        "baseline#json",
        "metrics#json",
    }


@pytest.mark.filterwarnings("ignore:register_new_resolver:UserWarning")
def test_each_pipeline_needs_only_what_is_raw_or_stored(project: Path) -> None:
    catalog = catalog_of(project, "laptop", RUN_DATE)
    for name, pipeline in register_pipelines().items():
        inputs = {i for i in pipeline.inputs() if i != "parameters" and not i.startswith("params:")}
        assert all(declared(catalog, i) for i in inputs), name


@pytest.mark.filterwarnings("ignore:register_new_resolver:UserWarning")
def test_true_times_of_a_flight_are_never_loaded(project: Path) -> None:
    columns = declared(catalog_of(project, None, RUN_DATE), "flights")["load_args"]["usecols"]
    assert not {"dep_time", "dep_delay", "arr_time", "air_time"} & set(columns)


def test_importing_the_pipelines_does_not_import_what_only_some_nodes_need(project: Path) -> None:
    code = (
        "import sys; from flights.pipeline_registry import register_pipelines; register_pipelines();"
        "print(*(m for m in ('sklearn', 'scipy', 'matplotlib', 'gcsfs') if m in sys.modules))"
    )
    found = subprocess.run(
        [sys.executable, "-c", code], cwd=project / "src", capture_output=True, text=True, check=True, timeout=60
    )
    assert found.stdout.strip() == ""


def test_a_run_on_a_laptop_makes_every_file(laptop_run: Path) -> None:
    assert {path.name for path in laptop_run.iterdir()} == FILES
    assert (laptop_run / "delays.png").read_bytes().startswith(b"\x89PNG")

    metrics = json.loads((laptop_run / "metrics.json").read_text())
    assert metrics["run_date"] == RUN_DATE
    assert metrics["mae_minutes"] < metrics["baseline_mae_minutes"]

    predictions = pd.read_parquet(laptop_run / "predictions.parquet")
    assert len(predictions) == metrics["flights"] == 911
    assert predictions["arr_delay"].notna().sum() == metrics["arrived_flights"] == 821
    assert (predictions["date"] == RUN_DATE).all()
    assert predictions["predicted_delay"].notna().all()


def test_pipelines_run_one_after_another_in_fresh_copies_give_the_same_bytes_from_a_bucket(
    laptop_run: Path, storage: str, kedro_run: Callable[..., Path]
) -> None:
    environ = storage_variables(storage)
    for pipeline in ("features", "training", "reporting"):
        folder = kedro_run("--pipelines", pipeline, "--params", f"run_date={RUN_DATE}", environ=environ)
        assert not (folder / "data").exists()

    for name in ("metrics.json", "airline_errors.json", "baseline.json"):
        with urllib.request.urlopen(f"{storage}/{BUCKET}/{RUN_DATE}/{name}", timeout=120) as response:
            assert response.read() == (laptop_run / name).read_bytes(), name
