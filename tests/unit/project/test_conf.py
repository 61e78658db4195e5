from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from airflow_provider_kedro_vertex.core.errors import ConfigError, ProjectError
from airflow_provider_kedro_vertex.project.inspect import inspect_project

MakeProject = Callable[..., Path]

CATALOG, GLOBALS, VERTEXAI = "conf/base/catalog.yml", "conf/base/globals.yml", "conf/base/vertexai.yml"
SETTINGS = "src/{package}/settings.py"
LOADER = 'CONFIG_LOADER_ARGS = {"base_env": "base", "default_run_env": "local", %s}\n'

BROKEN = {
    "cut short": ({CATALOG: "a: {\n"}, f"{CATALOG}, line 2, column 1: this is no valid YAML: "),
    "a key twice": (
        {CATALOG: "a: {type: x}\na: {type: y}\n"},
        f"{CATALOG}, line 2, column 1: this is no valid YAML: found duplicate key a.",
    ),
    "a list": ({CATALOG: "- a\n"}, f"{CATALOG}: the top level must be a mapping."),
    "a control character": (
        {CATALOG: "a: {type: x}\x00\n"},
        f"{CATALOG}: this is no valid YAML: unacceptable character #x0000: control characters are not allowed.",
    ),
    "an endless number": (
        {CATALOG: "a:\n  type: x\n  b:\n  - 0x" + 5000 * "f" + "\n"},
        f"{CATALOG}, line 4: a.b.0 is an integer of more digits than Python writes.",
    ),
    "a key in two files": (
        {CATALOG: "a: {type: x}\n", "conf/base/catalog_more.yml": "a: {type: y}\n"},
        "The catalog configuration cannot be loaded: Duplicate keys found in conf/base/catalog",
    ),
    "no such key": (
        {CATALOG: "a:\n  type: x\n  filepath: ${nope}/x\n"},
        f"{CATALOG}, line 3: a.filepath cannot be resolved: Interpolation key 'nope' not found. If it stands for an "
        "environment variable, set KEDRO_CONFIG_NOPE.",
    ),
    "environment": (
        {CATALOG: "a: {type: x, filepath: '${oc.env:NO_SUCH_PLACE}'}\n"},
        f"{CATALOG}, line 1: a.filepath cannot be resolved: KeyError raised while resolving interpolation: "
        "\"Environment variable 'NO_SUCH_PLACE' not found\". Set it, or write a default: ${oc.env:NAME,default}.",
    ),
    "environment variable": (
        {VERTEXAI: "run_config:\n  root: b\n  image: x:${oc.env:NO_SUCH_TAG}\n"},
        f"{VERTEXAI}, line 3: run_config.image cannot be resolved: KeyError raised while resolving interpolation: "
        "\"Environment variable 'NO_SUCH_TAG' not found\". Set it, or write a default: ${oc.env:NAME,default}.",
    ),
    "globals": ({GLOBALS: "a: {\n"}, f"{GLOBALS}, line 2, column 1: this is no valid YAML: "),
    "a global": (
        {GLOBALS: "a: ${nope}\n"},
        "The project's config loader does not start: a cannot be resolved: Interpolation key 'nope' not found.",
    ),
    "loader": (
        {SETTINGS: LOADER % '"no_such_argument": 1'},
        "The project's config loader does not start: OmegaConfigLoader.__init__() got an unexpected keyword argument "
        "'no_such_argument'.",
    ),
    "schema": (
        {VERTEXAI: "region: r\nrun_config:\n  imgae: x\n  resources:\n    train:\n      cpu: two\n"},
        f"{VERTEXAI}, line 3: unknown key run_config.imgae. Did you mean 'image'?\n"
        f"{VERTEXAI}, line 6: run_config.resources.train.cpu must be a number of cores such as 2 or 500m, not 'two'.",
    ),
    "schema in the environment's file": (
        {VERTEXAI: "region: r\nrun_config: {image: x}\n", "conf/local/vertexai.yml": "\n\nregion: [1]\n"},
        "conf/local/vertexai.yml, line 3: region must be a string, not [1].",
    ),
    "schema in a folder": (
        {"conf/base/vertexai/more/run.yaml": "run_config:\n  root: s3://x\n"},
        "conf/base/vertexai/more/run.yaml, line 2: run_config.root must be a Cloud Storage place such as "
        "gs://bucket/prefix, not 's3://x'.",
    ),
    "no text": ({CATALOG: "\udcff"}, f"{CATALOG}: this is no valid YAML: 'utf-8' codec can't decode byte 0xff"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_wrong_configuration_is_told_with_file_and_line(make_project: MakeProject, case: str) -> None:
    files, said = BROKEN[case]
    with pytest.raises(ConfigError) as caught:
        inspect_project(make_project(files))
    # The words of the YAML reader itself differ between its releases.
    assert str(caught.value).startswith(said)
    if not said.endswith((": ", "catalog", "0xff")):
        assert str(caught.value) == said


@pytest.mark.parametrize(
    ("env", "said"),
    [
        ("stagin", "The Kedro environment 'stagin' has no folder conf/stagin. Did you mean 'staging'?"),
        ("zzz", "The Kedro environment 'zzz' has no folder conf/zzz. Known: base, local, staging."),
    ],
)
def test_an_unknown_environment(make_project: MakeProject, env: str, said: str) -> None:
    with pytest.raises(ProjectError) as caught:
        inspect_project(make_project({"conf/staging/.gitkeep": ""}), env)
    assert str(caught.value) == said


def test_a_catalog_must_be_there_and_may_be_empty(make_project: MakeProject) -> None:
    project = make_project({CATALOG: "# nothing yet\n"})
    assert {dataset.scope for dataset in inspect_project(project).datasets.values()} == {"memory"}
    (project / CATALOG).unlink()
    with pytest.raises(ConfigError) as caught:
        inspect_project(project)
    assert str(caught.value) == (
        "The project has no catalog configuration, and Kedro does not run without one. "
        "Make conf/base/catalog.yml; it may be empty."
    )


def test_a_project_without_the_base_folder(make_project: MakeProject) -> None:
    project = make_project()
    (project / "conf/base/catalog.yml").unlink()
    (project / "conf/base").rmdir()
    with pytest.raises(ProjectError) as caught:
        inspect_project(project)
    assert str(caught.value) == "The Kedro environment 'base' has no folder conf/base. Known: local."


def test_an_own_loader_needs_no_folder_of_kedros(make_project: MakeProject) -> None:
    loader = """
from kedro.config import AbstractConfigLoader

class OneFolder(AbstractConfigLoader):
    def __init__(self, conf_source, env=None, runtime_params=None, **kwargs):
        super().__init__(conf_source, env, runtime_params)
        self["catalog"] = self["parameters"] = {}

CONFIG_LOADER_CLASS = OneFolder
"""
    project = make_project({SETTINGS: loader})
    shutil.rmtree(project / "conf/base")
    assert inspect_project(project, "anything").env == "anything"


def test_a_project_without_conf(make_project: MakeProject) -> None:
    project = make_project({SETTINGS: 'CONF_SOURCE = "settings"\n'})
    with pytest.raises(ProjectError) as caught:
        inspect_project(project)
    assert str(caught.value) == f"The project {project} has no configuration folder settings."


@pytest.mark.parametrize(
    "file", ["vertexai.yml", "vertexai.yaml", "vertexai.json", "vertexai_run.yml", "vertexai/run.yml"]
)
def test_vertexai_is_read_from_each_place_of_kedro_vertexai(make_project: MakeProject, file: str) -> None:
    project = make_project({f"conf/base/{file}": '{"region": "europe-west1"}\n'})
    assert inspect_project(project).config.region == "europe-west1"


def test_patterns_that_the_project_sets_itself_are_kept(make_project: MakeProject) -> None:
    project = make_project(
        {SETTINGS: LOADER % '"config_patterns": {"vertexai": ["cloud*"]}', "conf/base/cloud.yml": "region: r\n"}
    )
    assert inspect_project(project).config.region == "r"


def test_globals_and_resolvers_work_in_vertexai(make_project: MakeProject) -> None:
    project = make_project(
        {
            SETTINGS: LOADER % '"custom_resolvers": {"double_it": lambda text: text * 2}',
            GLOBALS: "bucket: shop\n",
            VERTEXAI: "_tag: '1.0'\nrun_config: {root: '${globals:bucket}/runs', image: 'x:${_tag}${double_it:b}'}\n",
        }
    )
    config = inspect_project(project).config
    assert (config.root, config.image) == ("gs://shop/runs", "x:1.0bb")


def test_environment_variables_stay_closed_to_the_rest(make_project: MakeProject) -> None:
    inspect_project(make_project({VERTEXAI: "region: ${oc.env:NO_SUCH_REGION,r}\n"}))
    assert not OmegaConf.has_resolver("oc.env")


def test_a_resolver_for_environment_variables_of_the_project_is_kept(
    make_project: MakeProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_BUCKET", "shop")
    project = make_project(
        {
            SETTINGS: "from omegaconf.resolvers import oc\n" + LOADER % '"custom_resolvers": {"oc.env": oc.env}',
            VERTEXAI: "run_config: {root: '${oc.env:SHOP_BUCKET}/runs'}\n",
            CATALOG: "raw: {type: pandas.CSVDataset, filepath: 'gs://${oc.env:SHOP_BUCKET}/raw.csv'}\n",
        }
    )
    try:
        manifest = inspect_project(project)
    finally:
        OmegaConf.clear_resolver("oc.env")
    assert manifest.config.root == "gs://shop/runs"
    assert manifest.datasets["raw"].location == "gs://shop/raw.csv"


def test_one_folder_may_serve_as_every_environment(make_project: MakeProject) -> None:
    project = make_project(
        {SETTINGS: 'CONFIG_LOADER_ARGS = {"base_env": "base", "default_run_env": "base"}\n', VERTEXAI: "region: r\n"}
    )
    assert inspect_project(project).config.region == "r"
