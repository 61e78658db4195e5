"""From `kedro new` to Vertex AI with a catalog that is all local, as Kedro's starters have it."""

from __future__ import annotations

import json
import re
import shutil
import urllib.request
from pathlib import Path
from urllib.parse import quote

from airflow_provider_kedro_vertex.emulator import VertexEmulator
from tests.fresh_project import environment, kedro_new, run
from tests.storage import storage_emulator, storage_variables

CATALOG = """
companies: {type: pandas.CSVDataset, filepath: data/01_raw/companies.csv}
reviews: {type: pandas.CSVDataset, filepath: data/01_raw/reviews.csv}
shuttles: {type: partitions.PartitionedDataset, path: data/01_raw/shuttles, dataset: pandas.CSVDataset}
preprocessed_companies: {type: pandas.ParquetDataset, filepath: data/02_intermediate/preprocessed_companies.parquet}
"preprocessed_{name}":
  type: pandas.ParquetDataset
  filepath: data/02_intermediate/preprocessed_{name}.parquet
model_input_table@pandas: {type: pandas.ParquetDataset, filepath: data/03_primary/model_input_table.parquet}
model_input_table@rows: {type: pandas.ParquetDataset, filepath: data/03_primary/model_input_table.parquet}
regressor: {type: pickle.PickleDataset, filepath: data/06_models/regressor.pickle, versioned: true}
metrics: {type: json.JSONDataset, filepath: data/08_reporting/metrics.json}
prices: {type: partitions.PartitionedDataset, path: data/08_reporting/prices/, dataset: json.JSONDataset}
"""
PIPELINE = """
import pandas as pd
from kedro.pipeline import Pipeline, node
from sklearn.linear_model import LinearRegression


def preprocess_companies(companies):
    companies["company_rating"] = companies["company_rating"].str.rstrip("%").astype(float) / 100
    return companies


def preprocess_shuttles(parts):
    shuttles = pd.concat([parts[name]() for name in sorted(parts)], ignore_index=True)
    shuttles["price"] = shuttles["price"].str.replace("[$,]", "", regex=True).astype(float)
    return shuttles


def model_input_table(shuttles, companies, reviews):
    rated = shuttles.merge(reviews, on="shuttle_id")
    return rated.merge(companies, left_on="company_id", right_on="id").dropna()


def split(table, features, seed):
    test = table.sample(frac=0.25, random_state=seed)
    train = table.drop(test.index)
    return train[features], test[features], train["price"], test["price"]


def train(x_train, y_train):
    return LinearRegression().fit(x_train, y_train)


def evaluate(regressor, x_test, y_test):
    return {"r2": regressor.score(x_test, y_test), "rows": len(x_test)}


def prices(table):
    return {f"{company}.json": float(price) for company, price in table.groupby("company_id")["price"].mean().items()}


def create_pipeline(**kwargs):
    return Pipeline(
        [
            node(preprocess_companies, "companies", "preprocessed_companies"),
            node(preprocess_shuttles, "shuttles", "preprocessed_shuttles"),
            node(
                model_input_table,
                ["preprocessed_shuttles", "preprocessed_companies", "reviews"],
                "model_input_table@pandas",
            ),
            node(
                split,
                ["model_input_table@rows", "params:features", "params:seed"],
                ["x_train", "x_test", "y_train", "y_test"],
            ),
            node(train, ["x_train", "y_train"], "regressor"),
            node(evaluate, ["regressor", "x_test", "y_test"], "metrics"),
            node(prices, "model_input_table@rows", "prices"),
        ]
    )
"""


def make_project(folder: Path) -> Path:
    project = kedro_new(folder, "spaceflights")
    shutil.rmtree(project / "src/spaceflights/pipelines/sums")
    files = {
        "src/spaceflights/pipelines/flights/__init__.py": PIPELINE,
        "conf/base/catalog.yml": CATALOG,
        "conf/base/parameters.yml": "features: [engines, review_scores_rating, company_rating]\nseed: 3\n",
        "data/01_raw/companies.csv": "id,company_rating\n" + "".join(f"{i},{50 + i}%\n" for i in range(9)),
        "data/01_raw/reviews.csv": "shuttle_id,review_scores_rating\n" + "".join(f"{i},{i % 7}\n" for i in range(200)),
    }
    for part in range(2):
        rows = (f'{i},{i % 9},{i % 4},"${1000 + 37 * i % 900:,}"\n' for i in range(part * 100, part * 100 + 100))
        files[f"data/01_raw/shuttles/{part}.csv"] = "shuttle_id,company_id,engines,price\n" + "".join(rows)
    for name, text in files.items():
        file = project / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return project


def contents(folder: Path) -> dict[str, bytes]:
    files = (file for file in folder.glob("data/**/*") if file.is_file() and file.name != ".gitkeep")
    return {_without_version(file.relative_to(folder).as_posix()): file.read_bytes() for file in files}


def objects(storage: str, bucket: str, below: str) -> dict[str, bytes]:
    place = f"{storage}/storage/v1/b/{bucket}/o"
    with urllib.request.urlopen(place, timeout=60) as answer:
        names = [each["name"] for each in json.load(answer)["items"]]
    found = {}
    for name in names:
        if name.startswith(f"{below}/data/"):
            with urllib.request.urlopen(f"{place}/{quote(name, safe='')}?alt=media", timeout=60) as answer:
                found[_without_version(name.removeprefix(f"{below}/"))] = answer.read()
    return found


def _without_version(path: str) -> str:
    return re.sub(r"/\d{4}-\d\d-\d\dT[^/]+/", "/VERSION/", path)


def test_a_local_catalog_runs_on_vertex_ai_as_at_home(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    home = tmp_path / "home"
    shutil.copytree(project, home)
    run(home, "kedro", "run")
    expected = contents(home)
    assert len(expected) == 8 + 9 + 1

    run(project, "kedro", "vertex", "init", "my-project", "europe-west1")
    config = project / "conf/base/vertexai.yml"
    config.write_text(config.read_text().replace("# data_root:", "data_root:"))
    image = tmp_path / "image"
    # As the .dockerignore that init writes has it.
    shutil.copytree(project, image, ignore=lambda folder, names: ["data"] if Path(folder) == project else [])
    (name,) = re.findall(r"^  image: (.+)$", config.read_text(), re.MULTILINE)
    name = name.replace("${oc.env:KEDRO_CONFIG_COMMIT_ID,v1}", "v1")

    with (
        storage_emulator("my-project-kedro") as storage,
        VertexEmulator({name: image}, env=storage_variables(storage), max_parallel=1) as emulator,
    ):
        variables = environment(STORAGE_EMULATOR_HOST=storage, KEDRO_VERTEX_API_ENDPOINT=emulator.url)
        pushed = run(project, "kedro", "vertex", "push-data", env=variables)
        assert "Uploaded 4 files" in pushed
        assert "0 errors, 0 warnings, 0 notes" in run(project, "kedro", "vertex", "check", "--strict")
        done = run(project, "kedro", "vertex", "run-once", "--wait", env=variables)
        assert done.rstrip().endswith("Succeeded.")
        there = objects(storage, "my-project-kedro", "spaceflights")
        assert set(there) == set(expected)
        assert there == expected
        assert [*image.glob("data/**/*")] == []
        again = run(project, "kedro", "vertex", "push-data", env=variables)
        assert "Uploaded 0 files (0 bytes); 4 there already." in again
