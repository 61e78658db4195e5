"""``data_root``: where the manifest, and with it every check, says that datasets lie."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kedro.framework.context.context import _convert_paths_to_absolute_posix
from kedro.io import DataCatalog

from airflow_provider_kedro_vertex.configuration.data_root import below_data_root, places_of
from airflow_provider_kedro_vertex.core.checks.check import check_project
from airflow_provider_kedro_vertex.core.errors import ConfigError
from airflow_provider_kedro_vertex.core.plan.plan import build_plan
from airflow_provider_kedro_vertex.core.project import manifest as manifests
from airflow_provider_kedro_vertex.core.project.manifest import Manifest
from airflow_provider_kedro_vertex.core.settings.data_root import stays
from airflow_provider_kedro_vertex.project.catalog_check import check_catalog
from airflow_provider_kedro_vertex.project.datasets import resolve_configs, without_credentials
from airflow_provider_kedro_vertex.project.inspect import dataset_configs, inspect_project
from tests.unit.project.conftest import MakeProject, Vertex

ROOT = "gs://shop/d"
HOME = "/project"

PATHS = st.sampled_from(
    [
        *(
            "data/a.csv",
            "./data//a.csv",
            "data/{name}.csv",
            "../up/a.csv",
            "/mnt/a.csv",
            "gs://shop/own.csv",
            "s3://b/a",
        ),
        *("data/deep/a b.csv", "C:/a.csv", "file:///mnt/a.csv", "x/*.csv", "."),
    ]
)
NAMES = ["orders", "ns.orders", "table@pandas", "table@spark", "lookup_a", "raw_prices", "out_model"]


@st.composite
def entries(draw: st.DrawFn, depth: int = 0) -> dict[str, Any]:
    """One entry of a catalog: a file, a folder of partitions, something around another, or none with a path."""
    kind = draw(
        st.sampled_from(["file", "table", "partitions", "incremental", "cached", "metadata", "query", "memory"])
    )
    extra = {
        key: value
        for key, value in {
            "versioned": True,
            "credentials": "keys",
            "load_args": {"path": "data/not_a_place.csv"},
            "metadata": {"layer": "raw"},
        }.items()
        if draw(st.booleans())
    }
    if kind == "cached" and depth < 2:
        return {"type": "CachedDataset", "dataset": draw(entries(depth + 1)), **extra}
    if kind in ("partitions", "incremental"):
        behind = draw(st.sampled_from(["pandas.CSVDataset", {"type": "pandas.CSVDataset", "save_args": {"a": 1}}]))
        config = {"type": f"partitions.{kind.title()}Dataset", "path": draw(PATHS), "dataset": behind, **extra}
        if kind == "incremental":
            config["checkpoint"] = draw(st.sampled_from(["a", {"filepath": "data/CHECK"}, {"force_checkpoint": "b"}]))
        return config
    if kind == "metadata":
        args = {"filepath": draw(PATHS)}
        return {"type": "x.KedroVertexAIMetadataDataset", "base_dataset": "json.JSONDataset", "base_dataset_args": args}
    if kind == "table":
        return {"type": "pandas.SQLTableDataset", "table_name": "t", "con": "sqlite:///data/x.db"}
    if kind == "query":
        return {"type": "pandas.SQLQueryDataset", "filepath": "queries/a.sql", "con": "sqlite:///data/x.db"}
    if kind == "memory":
        return {"type": "MemoryDataset"}
    return {"type": "pandas.CSVDataset", "filepath": draw(PATHS), **extra}


@st.composite
def catalogs(draw: st.DrawFn) -> dict[str, Any]:
    catalog: dict[str, Any] = {}
    for name in draw(st.sets(st.sampled_from(NAMES))):
        catalog[name] = _without_names(draw(entries()))
    for pattern in draw(st.sets(st.sampled_from(["raw_{name}", "{kind}_{name}", "{name}"]))):
        catalog[pattern] = draw(entries())
    return catalog


def _without_names(config: Any) -> Any:
    if isinstance(config, dict):
        return {key: _without_names(value) for key, value in config.items()}
    return config.replace("{name}", "name") if isinstance(config, str) else config


def at_kedros(catalog: dict[str, Any], name: str) -> dict[str, Any]:
    """What Kedro makes of a dataset's entry, in a project that lies at HOME."""
    absolute = _convert_paths_to_absolute_posix(Path(HOME), copy.deepcopy(catalog))
    resolver = DataCatalog.from_config(absolute, {"keys": {"token": "t"}}).config_resolver
    return resolver.resolve_pattern(name)


def moved(config: Any, key: str = "", parent: str = "") -> Any:
    """What is expected: places of data below HOME are below ROOT."""
    if isinstance(config, dict):
        if "Query" in str(config.get("type")):
            return config
        return {
            each: value if each in ("load_args", "save_args", "metadata", "credentials") else moved(value, each)
            for each, value in config.items()
        }
    if key in ("filepath", "path") and isinstance(config, str):
        real = Path(config).resolve() if config.startswith(HOME) else None
        if real and real.is_relative_to(HOME) and real != Path(HOME):
            return f"{ROOT}/{real.relative_to(HOME).as_posix()}"
    return config


@given(catalogs(), st.sets(st.sampled_from(["orders", "*.orders", "table", "raw_*", "out_model"])))
def test_kedro_finds_each_dataset_below_the_root(catalog: dict[str, Any], local: set[str]) -> None:
    before = copy.deepcopy(catalog)
    below = below_data_root(catalog, ROOT, sorted(local), NAMES)
    assert catalog == before
    for name in NAMES:
        home = at_kedros(catalog, name)
        assert at_kedros(below, name) == (home if stays(name, local) else moved(home))


@given(catalogs())
def test_inputs_are_pushed_to_where_the_containers_read_them(catalog: dict[str, Any]) -> None:
    below = below_data_root(catalog, ROOT, [], NAMES)
    for name in NAMES:
        entry = resolve_configs([name], without_credentials(catalog), lambda path: "x")[name]
        read = {text for text in _texts(at_kedros(below, name), without="checkpoint") if text.startswith(ROOT)}
        assert {place.url for place in places_of(entry, ROOT)} == read
        for place in places_of(entry, ROOT):
            assert place.url == f"{ROOT}/{Path(HOME, place.path).resolve().relative_to(HOME).as_posix()}"


def _texts(config: Any, without: str) -> Iterator[str]:
    if isinstance(config, dict):
        for key, value in config.items():
            if key != without:
                yield from _texts(value, without)
    elif isinstance(config, str):
        yield config


def test_a_pattern_that_is_wrong() -> None:
    with pytest.raises(ConfigError, match="The catalog is wrong: Incorrect dataset configuration"):
        below_data_root({"{a}_x": {"type": "T", "filepath": "{b}"}}, ROOT, ["raw_x"], ["raw_x"])


# In a project.

VERTEXAI = """
project_id: shop-project
region: europe-west1
run_config:
  image: registry.test/shop:1
  root: shop/runs
  service_account: a@shop.test
"""
CATALOG = """
raw: {type: pandas.CSVDataset, filepath: "data/01_raw/raw.csv"}
clean: {type: pandas.ParquetDataset, filepath: "data/02_clean/clean.parquet", versioned: true}
parts:
  type: partitions.IncrementalDataset
  path: data/parts
  dataset: json.JSONDataset
  checkpoint: {filepath: data/parts/C}
rates: {type: pandas.CSVDataset, filepath: conf/rates.csv}
sold: {type: pandas.SQLTableDataset, table_name: t, con: "sqlite:///data/x.db"}
"{name}_model": {type: pickle.PickleDataset, filepath: "data/06_models/{name}.pkl"}
"""
REGISTRY = """
from kedro.pipeline import node, pipeline

def copy(*values):
    return values[0]

def register_pipelines():
    return {
        "__default__": pipeline(
            [
                node(copy, ["raw", "rates"], "clean", name="clean"),
                node(copy, ["clean", "parts"], "small_model", name="train"),
                node(copy, "small_model", "sold", name="sell"),
            ]
        )
    }
"""


def project(make: MakeProject, vertexai: str = "", **files: str) -> Path:
    return make(
        {
            "src/{package}/pipeline_registry.py": REGISTRY,
            "conf/base/catalog.yml": CATALOG,
            "conf/base/vertexai.yml": VERTEXAI + vertexai,
            **{f"conf/base/{name}.yml": text for name, text in files.items()},
        }
    )


def locations(manifest: Manifest) -> dict[str, tuple[str | None, str]]:
    return {name: (each.location, each.scope) for name, each in manifest.datasets.items()}


def findings(manifest: Manifest) -> list[str]:
    return [f"{each.code} {each.level} {each.dataset}: {each.fix}" for each in check_project(manifest)]


def test_the_manifest_tells_where_datasets_lie_on_vertex_ai(make_project: MakeProject) -> None:
    manifest = inspect_project(project(make_project, "  data_root: gs://shop/data\n  local_datasets: [rates]\n"))
    assert locations(manifest) == {
        "clean": ("gs://shop/data/data/02_clean/clean.parquet", "remote"),
        "parts": ("gs://shop/data/data/parts", "remote"),
        "rates": ("conf/rates.csv", "local"),
        "raw": ("gs://shop/data/data/01_raw/raw.csv", "remote"),
        "small_model": ("gs://shop/data/data/06_models/small.pkl", "remote"),
        "sold": ("data/x.db", "local"),
    }
    assert manifest.datasets["clean"].versioned
    assert manifests.loads(manifests.dumps(manifest), "m.json") == manifest
    # The database is no file that could lie there, and rates is said to be in the image.
    assert findings(manifest) == [
        "KV004 warning sold: data_root does not hold it: it has no relative filepath or path in the catalog. Give it a "
        "database on a server that the containers reach."
    ]
    # Each container is told.
    arguments = [group.arguments for group in build_plan(manifest).groups]
    assert all('"data_root": "gs://shop/data"' in each[each.index("--settings") + 1] for each in arguments)
    assert all('"local_datasets": ["rates"]' in each[each.index("--settings") + 1] for each in arguments)


def test_without_it_the_findings_name_it(make_project: MakeProject) -> None:
    manifest = inspect_project(project(make_project))
    told = findings(manifest)
    share = "take it out of the catalog so that it is handed on below root, or group these nodes."
    assert told == [
        f"KV001 error clean: Set run_config.data_root, or give it a gs:// path, {share}",
        f"KV001 error small_model: Set run_config.data_root, or give it a gs:// path, {share}",
        "KV004 warning sold: Give it a database on a server that the containers reach.",
        *(
            f"KV005 note {name}: Set run_config.data_root, or give it a gs:// path if it changes more often than the "
            "image."
            for name in ("parts", "rates", "raw")
        ),
    ]
    assert not any("--settings" in group.arguments for group in build_plan(manifest, config=manifest.config).groups)


def test_why_a_dataset_does_not_lie_there(make_project: MakeProject) -> None:
    catalog = """
raw: {type: pandas.CSVDataset, filepath: ../elsewhere/raw.csv}
rates: {type: pandas.SQLQueryDataset, filepath: queries/rates.sql, credentials: db}
parts: {type: partitions.PartitionedDataset, path: /mnt/parts, dataset: json.JSONDataset}
clean: {type: ibis.FileDataset, filepath: data/clean.parquet}
small_model: {type: pickle.PickleDataset, filepath: data/model.pkl}
"""
    vertexai = "  data_root: gs://shop/data\n  local_datasets: ['*_model']\n"
    manifest = inspect_project(project(make_project, vertexai, catalog=catalog))
    told = {each.dataset: (each.code, each.fix) for each in check_project(manifest)}
    reasons = {name: fix.partition(". ")[0] for name, (_, fix) in told.items()}
    assert reasons == {
        "raw": "data_root does not hold it: its path leads out of the project",
        "rates": "data_root does not hold it: its file is a query, which belongs to the code in the image",
        "parts": "data_root does not hold it: its path is absolute",
        "clean": "data_root does not hold it: DuckDB reads gs:// with HMAC keys of its own alone",
        "small_model": "data_root does not hold it: run_config.local_datasets names it",
    }
    assert {name: code for name, (code, _) in told.items()} == {
        "raw": "KV005",
        "rates": "KV005",
        "parts": "KV005",
        "clean": "KV001",
        "small_model": "KV001",
    }


def test_a_name_that_matches_no_dataset(make_project: MakeProject) -> None:
    manifest = inspect_project(project(make_project, "  data_root: shop/data\n  local_datasets: [rate, 'x_*']\n"))
    told = [f"{each.message} {each.fix}" for each in check_project(manifest) if each.code == "KV014"]
    assert told == [
        "local_datasets names 'rate', which matches no dataset of any pipeline. Did you mean 'rates'?",
        "local_datasets names 'x_*', which matches no dataset of any pipeline. Known: clean, parts, rates, raw, "
        "small_model, sold.",
    ]


@pytest.mark.parametrize(
    ("written", "root", "shown"),
    [
        ("gs://shop/${airflow:logical_date}", "gs://shop/${airflow:logical_date}", "gs://shop/<logical_date>"),
        ("shop/${airflow:run_id,home}/x", "gs://shop/${airflow:run_id,home}/x", "gs://shop/<run_id>/x"),
        ("shop/${run_id}", "gs://shop/${airflow:run_key}", "gs://shop/<run_key>"),
        ("${globals:place}", "gs://shop/${airflow:dag_id,none}/g", "gs://shop/<dag_id>/g"),
        ("shop/${oc.env:NO_SUCH_STAGE,dev}", "gs://shop/dev", "gs://shop/dev"),
    ],
)
def test_what_depends_on_the_run_is_left_to_the_run(
    make_project: MakeProject, written: str, root: str, shown: str
) -> None:
    files = {"globals": "place: gs://shop/${airflow:dag_id,none}/g\nfolder: ${airflow:dag_id,f}\n"}
    catalog = CATALOG.replace("data/01_raw/raw.csv", "data/${globals:folder}/${airflow:run_id,r}.csv")
    manifest = inspect_project(project(make_project, f"  data_root: {written}\n", catalog=catalog, **files))
    assert manifest.config.data_root == root
    # The rest of the configuration is read as ever: with defaults.
    assert manifest.datasets["raw"].location == f"{shown}/data/f/r.csv"


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("shop/${runtime_params:country,de}", "depends on the runtime parameter country"),
        ("shop/${runtime_params:country}", "depends on the runtime parameter country"),
        ("shop/${job_name}", "depends on the id of a job"),
    ],
)
def test_one_place_for_all_containers_of_a_run(make_project: MakeProject, written: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        inspect_project(project(make_project, f"  data_root: {written}\n"))
    assert str(caught.value) == (
        f"conf/base/vertexai.yml, line 8: run_config.data_root {said}, and it must be one place for all runs, or "
        "differ by ${airflow:..} alone. Put what differs into the paths of the catalog."
    )


def test_a_date_that_is_computed_is_refused(make_project: MakeProject) -> None:
    settings = {
        "src/{package}/settings.py": 'CONFIG_LOADER_ARGS = {"base_env": "base", "default_run_env": "local", '
        '"custom_resolvers": {"day_of": lambda text: text[:10]}}\n'
    }
    vertexai = VERTEXAI + "  data_root: shop/${day_of:${airflow:logical_date}}\n"
    with pytest.raises(ConfigError, match="and nothing else that depends on the run"):
        inspect_project(make_project({**settings, "conf/base/vertexai.yml": vertexai}))


def test_an_unknown_key_of_airflow(make_project: MakeProject) -> None:
    with pytest.raises(ConfigError, match=r"\$\{airflow:ds\} is unknown. Known: dag_id, run_id, run_key, logical_date"):
        inspect_project(project(make_project, "  data_root: shop/${airflow:ds}\n"))


def test_paths_that_runtime_parameters_set(make_project: MakeProject) -> None:
    catalog = CATALOG.replace("data/02_clean", "${runtime_params:folder,data}/02_clean")
    path = project(make_project, "  data_root: shop/data\n", catalog=catalog)
    manifest = inspect_project(path)
    assert manifest.datasets["clean"].location == "gs://shop/data/data/02_clean/clean.parquet"
    assert manifest.datasets["clean"].runtime_params == ("folder",)
    assert "KV001" not in {each.code for each in check_project(manifest)}
    given = inspect_project(path, runtime_params={"folder": "gs://other"})
    assert given.datasets["clean"].location == "gs://other/02_clean/clean.parquet"


def test_one_run_has_no_place_of_its_own(make_project: MakeProject) -> None:
    manifest = inspect_project(project(make_project, "  data_root: shop/data\n"))
    with pytest.raises(ConfigError, match="data_root and local_datasets cannot be set for one run"):
        build_plan(manifest, config=manifest.config.overridden({"data_root": "shop/other"}))
    assert build_plan(manifest, config=manifest.config.overridden({"image": "r.test/shop:2"})).groups


def test_check_passes(make_project: MakeProject, vertex: Vertex) -> None:
    catalog = CATALOG.replace("sold:", "unused:")
    path = project(make_project, "  data_root: shop/data\n  local_datasets: [rates]\n", catalog=catalog)
    done = vertex(path, "check", "--strict")
    assert done.exit_code == 0, done.stderr
    assert "0 errors, 0 warnings, 0 notes" in done.stdout


OWN = """
from pathlib import Path
from kedro.io import AbstractDataset

class Own(AbstractDataset):
    def __init__(self, filepath):
        self._filepath = filepath

    def load(self):
        return Path(self._filepath).read_text()

    def save(self, data):
        pass

    def _describe(self):
        return {}
"""


@pytest.mark.parametrize(
    ("text", "root", "warned"),
    [
        (OWN, "gs://shop/data", ["raw"]),
        (OWN, "gs://shop/${airflow:run_id}", ["raw"]),
        (OWN.replace("from pathlib", "import fsspec\nfrom pathlib"), "gs://shop/data", []),
        (OWN.replace("Path(self._filepath).read_text()", "read(self._filepath)"), "gs://shop/data", []),
    ],
)
def test_classes_that_seem_to_take_no_url(make_project: MakeProject, text: str, root: str, warned: list[str]) -> None:
    catalog = CATALOG.replace("raw: {type: pandas.CSVDataset", "raw: {type: {package}.own.Own")
    path = project(make_project, f"  data_root: {root}\n")
    (path / "src" / path.name / "own.py").write_text(text)
    (path / "conf/base/catalog.yml").write_text(catalog.replace("{package}", path.name))
    manifest = inspect_project(path)
    found = [*check_catalog(manifest, dataset_configs(path, None, manifest.datasets), deep=True)]
    told = [each for each in found if "seems to open" in each.message]
    assert [each.dataset for each in told] == warned
    assert all((each.code, each.level, each.nodes) == ("KV030", "warning", ("clean",)) for each in told)


def test_the_plan_shows_the_place(make_project: MakeProject, vertex: Vertex) -> None:
    path = project(make_project, "  data_root: shop/${airflow:dag_id}\n")
    done = vertex(path, "plan")
    assert done.exit_code == 0, done.stderr
    assert "Datasets with a relative path lie below gs://shop/<dag_id>/.\n" in done.stdout
