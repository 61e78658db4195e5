from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_kedro_vertex.core.settings.data_root import (
    AIRFLOW_VARIABLES,
    filled,
    place_of,
    shown,
    stays,
    why_type_stays,
)
from airflow_provider_kedro_vertex.core.settings.run_config import RunConfig
from airflow_provider_kedro_vertex.core.settings.runtime_settings import RuntimeSettings
from airflow_provider_kedro_vertex.core.settings.sections import SettingsError

DATE = "${airflow:logical_date,2013-01-01}"


@pytest.mark.parametrize(
    ("written", "root"),
    [
        ("gs://shop/data", "gs://shop/data"),
        ("shop/data/", "gs://shop/data"),
        ("gs://shop", "gs://shop"),
        (f"gs://shop/{DATE}/data", f"gs://shop/{DATE}/data"),
        ("gs://shop/${airflow:run_key}", "gs://shop/${airflow:run_key}"),
        ("gs://shop/a-${airflow:dag_id}-${airflow:run_id,}", "gs://shop/a-${airflow:dag_id}-${airflow:run_id,}"),
    ],
)
def test_places(written: str, root: str) -> None:
    config = RunConfig.from_dict({"data_root": written})
    assert config.data_root == root
    assert RunConfig.from_dict(config.to_dict()) == config
    settings = RuntimeSettings(data_root=root, local_datasets=("a",))
    assert RuntimeSettings.from_json(settings.to_json()) == settings


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("s3://shop/data", "must be a Cloud Storage place"),
        ("gs://", "must be a Cloud Storage place"),
        ("gs://shop/${run_key}", "and nothing else that depends on the run"),
        ("gs://shop/<country>", "and nothing else that depends on the run"),
        ("gs://shop/${airflow:logical_", "and nothing else that depends on the run"),
        ("gs://shop/{name}", "and nothing else that depends on the run"),
        ("gs://shop/two words", "and nothing else that depends on the run"),
        ("gs://shop/data?x=1", "and nothing else that depends on the run"),
        ("gs://shop/${airflow:ds}", "${airflow:ds}, which is unknown. Known: dag_id, run_id,"),
        ("gs://${airflow:dag_id}/data", "must name one bucket for all runs"),
        ("gs://user:secret@shop/data", "must name one bucket for all runs"),
    ],
)
def test_what_is_no_place(written: str, said: str) -> None:
    with pytest.raises(SettingsError) as caught:
        RunConfig.from_dict({"data_root": written}, "run_config")
    assert said in str(caught.value)


def test_what_a_run_fills_in() -> None:
    values = {"logical_date": "2026-11-28"}
    root = f"gs://shop/{DATE}/${{airflow:run_id,by-hand}}"
    assert filled(root, lambda key, *default: values.get(key, *default)) == "gs://shop/2026-11-28/by-hand"
    assert shown(root) == "gs://shop/<logical_date>/<run_id>"
    assert shown("gs://shop/data") == "gs://shop/data"
    assert set(AIRFLOW_VARIABLES) >= {"dag_id", "run_id", "logical_date"}


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("data/a.csv", "data/a.csv"),
        ("./data//a.csv", "data/a.csv"),
        ("data/parts/", "data/parts"),
        ("data/x/../a.csv", "data/a.csv"),
        ("a b/ü#.csv", "a b/ü#.csv"),
        ("data/*.csv", "data/*.csv"),
        ("..data/a.csv", "..data/a.csv"),
        ("~/a.csv", "~/a.csv"),  # Kedro knows no home folder
    ],
)
def test_a_relative_path(path: str, place: str) -> None:
    assert place_of(path, "gs://shop/d") == f"gs://shop/d/{place}"


@pytest.mark.parametrize(
    "path",
    [
        *("", ".", "./", "../a.csv", "data/../../a.csv", "/data/a.csv", "gs://b/a.csv", "file:///a.csv", "C:\\a.csv"),
        *("c:/a", "sqlite:///a.db", "https://[broken/a", "simplecache::gs://b/a"),
    ],
)
def test_a_path_that_stays(path: str) -> None:
    assert place_of(path, "gs://shop/d") is None


@given(st.lists(st.sampled_from(["..", ".", "", "a", "b.csv", "~", "ä ö"]), max_size=6).map("/".join))
def test_nothing_leaves_the_place(path: str) -> None:
    place = place_of(path, "gs://shop/d")
    at_home = (Path("/project") / path).resolve()
    inside = at_home.is_relative_to("/project") and at_home != Path("/project") and not path.startswith("/")
    assert place == (f"gs://shop/d/{at_home.relative_to('/project').as_posix()}" if inside else None)


@pytest.mark.parametrize(
    ("name", "patterns", "local"),
    [
        ("rates", ["rates"], True),
        ("rates", ["rate"], False),
        ("ns.rates", ["*.rates"], True),
        ("lookup_a", ["x", "lookup_*"], True),
        ("rates@pandas", ["rates"], True),
        ("rates@pandas", ["rates@spark"], True),
        ("rates", [], False),
    ],
)
def test_datasets_that_are_said_to_stay(name: str, patterns: list[str], local: bool) -> None:
    assert stays(name, patterns) is local


@pytest.mark.parametrize(
    ("kind", "has_reason"),
    [
        ("pandas.CSVDataset", False),
        ("kedro_datasets.pandas.SQLQueryDataset", True),
        ("pandas.GBQQueryDataset", True),
        ("pandas.SQLTableDataset", False),
        ("kedro_mlflow.io.artifacts.MlflowArtifactDataset", True),
        ("ibis.FileDataset", True),
        ("kedro_datasets.ibis.file_dataset.FileDataset", True),
        ("shop.FileDataset", False),
    ],
)
def test_types_that_stay(kind: str, has_reason: bool) -> None:
    assert (why_type_stays(kind) is not None) is has_reason
