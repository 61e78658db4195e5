"""A project's configuration means the same beside the project, where it is inspected, and in a node's container."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from kedro.config import MissingConfigException, OmegaConfigLoader

from airflow_provider_kedro_vertex.configuration.reader import MLFLOW, load
from tests.unit.runtime.containers import Project

INSPECT = (sys.executable, "-m", "airflow_provider_kedro_vertex.project", "manifest", "--project")
RUN_KEY = "shop-run-1-0123456789"


def read_project(project: Project) -> dict[str, Any]:
    """The manifest's content, and what the command said beside it."""
    done = subprocess.run(
        [*INSPECT, str(project.path), "-o", str(project.path / "m.json")],
        env=project.environment(),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    content: dict[str, Any] = json.loads((project.path / "m.json").read_text())
    return content


def with_files(project: Project, files: dict[str, str]) -> Project:
    for name, text in files.items():
        file = project.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return project


def seen_at(place: str) -> str:
    return f"seen:\n  type: json.JSONDataset\n  filepath: data/{place}/seen.json\n"


#: What a catalog may say, what the manifest then has of it, and where the container saves.
PLACES = {
    "run id": ("${run_id}", "<run_id>", RUN_KEY),
    "run id in other words": ("${oc.env:KEDRO_CONFIG_RUN_ID}", "<run_id>", RUN_KEY),
    "run id with a default": ("${oc.env:KEDRO_CONFIG_RUN_ID,local}", "<run_id>", RUN_KEY),
    "job name": ("${job_name}", "<job_name>", "shop-run-1-job-1"),
    "a variable with a default": ("${oc.env:NO_SUCH_PLACE,here}", "here", "here"),
    "a variable": ("${commit_id}", "c0ffee", "c0ffee"),
    "a variable with the old default": ("${commit_id|dirty}", "c0ffee", "c0ffee"),
    "the old default": ("${branch_name|main}", "main", "main"),
    "an empty default": ("x${branch_name|}", "x", "x"),
    "airflow's run": ("${airflow:run_id,manual}", "manual", "run-1"),
    "all of them": ("${run_id}/${commit_id}/${oc.env:NO_SUCH_PLACE,x}", "<run_id>/c0ffee/x", f"{RUN_KEY}/c0ffee/x"),
}


@pytest.mark.parametrize("case", PLACES)
def test_the_catalog(shop: Project, case: str) -> None:
    written, told, saved = PLACES[case]
    project = with_files(shop, {"conf/base/catalog.yml": seen_at(written)})
    project = project.with_variables(KEDRO_CONFIG_COMMIT_ID="c0ffee")
    assert read_project(project)["datasets"]["seen"]["location"] == f"data/{told}/seen.json"
    project.succeed("look", pipeline="look")
    assert project.json(f"data/{saved}/seen.json")["size"] == 3


def test_what_a_file_itself_defines_is_no_variable(shop: Project) -> None:
    project = with_files(shop, {"conf/base/catalog.yml": "_region: here\n" + seen_at("${_region}")})
    project = project.with_variables(KEDRO_CONFIG__REGION="there")
    assert read_project(project)["datasets"]["seen"]["location"] == "data/here/seen.json"
    project.succeed("look", pipeline="look")
    assert project.json("data/here/seen.json")["size"] == 3


def test_parameters_and_globals(shop: Project) -> None:
    project = with_files(
        shop,
        {
            "conf/base/catalog.yml": seen_at("${globals:place}"),
            "conf/base/globals.yml": "place: ${oc.env:NO_SUCH_PLACE,g}-${commit_id|dirty}\n",
            "conf/base/parameters.yml": "run: ${run_id}\ncommit: ${commit_id|1e3}\nsize: 3\n",
        },
    )
    assert read_project(project)["datasets"]["seen"]["location"] == "data/g-dirty/seen.json"
    project.succeed("look", pipeline="look")
    assert project.json("data/g-dirty/seen.json") == {"run": RUN_KEY, "commit": 1e3, "size": 3}
    project.with_variables(KEDRO_CONFIG_COMMIT_ID="1e3: {[").succeed("look", pipeline="look")
    assert project.json("data/g-1e3: {[/seen.json")["commit"] == "1e3: {["  # a value is never read as YAML


def test_a_resolver_of_the_project_is_kept(shop: Project) -> None:
    settings = (shop.path / "src/shop/settings.py").read_text()
    args = '{"base_env": "base", "default_run_env": "local", "custom_resolvers": {"oc.env": lambda *words: "own"}}'
    project = with_files(
        shop,
        {
            "src/shop/settings.py": f"{settings}\nCONFIG_LOADER_ARGS = {args}\n",
            "conf/base/catalog.yml": seen_at("${oc.env:KEDRO_CONFIG_RUN_ID}/${run_id}"),
        },
    )
    assert read_project(project)["datasets"]["seen"]["location"] == "data/own/<run_id>/seen.json"
    project.succeed("look", pipeline="look")
    assert project.json(f"data/own/{RUN_KEY}/seen.json")


PROVIDER = """
class Place:
    target_env = "base"
    target_config_file = "catalog.yml"

    def __init__(self, config, **params):
        self.config = config

    def generate_config(self):
        run = self.config.run_config
        told = [run.image, run.description, run.ttl, run.network.vpc, run.schedules, self.config.region]
        made = {"type": "json.JSONDataset", "filepath": "data/made/seen.json", "metadata": {"told": str(told)}}
        return {"seen": made}

    def merge_with_existing(self, existing, generated):
        return {**existing, **generated}
"""

#: The interpolations of kedro-vertexai's documents, and a key that is ignored.
TEMPLATES = """
project_id: ${google_project_id|demo}
region: europe-west1
run_config:
  image: registry.test/shop:${commit_id|dirty}
  description: ${oc.env:NO_SUCH_TEXT,none said}
  run_name: shop-${run_id}
  root: bucket/${commit_id}
  dynamic_config_providers:
    - {cls: shop.places.Place}
"""


def test_a_dynamic_config_provider_beside_interpolations(shop: Project) -> None:
    project = with_files(shop, {"conf/base/vertexai.yml": TEMPLATES, "src/shop/places.py": PROVIDER})
    project = project.with_variables(KEDRO_CONFIG_COMMIT_ID="c0ffee")
    config = read_project(project)["config"]
    assert (config["project_id"], config["image"]) == ("demo", "registry.test/shop:c0ffee")
    assert (config["description"], config["root"]) == ("none said", "gs://bucket/c0ffee")
    told = json.dumps({"dynamic_config_providers": config["dynamic_config_providers"]})
    result = project.command(*project.arguments("look", pipeline="look"), "--settings", told)
    assert result.code == 0, result.log
    assert project.json("data/made/seen.json")["size"] == 3


def test_a_provider_finds_the_defaults_of_what_the_file_does_not_say(shop: Project) -> None:
    asks = PROVIDER.replace('{"told": str(told)}', '{"told": open("told.txt", "w").write(str(told))}')
    project = with_files(
        shop, {"conf/base/vertexai.yml": "region: r\nrun_config: {image: i}\n", "src/shop/places.py": asks}
    )
    told = json.dumps({"dynamic_config_providers": [{"cls": "shop.places.Place"}]})
    result = project.command(*project.arguments("look", pipeline="look"), "--settings", told)
    assert result.code == 0, result.log
    assert (project.path / "told.txt").read_text() == "['i', None, None, None, {}, 'r']"


@pytest.mark.parametrize("own_patterns", ["", ', "config_patterns": {"vertexai": ["vertexai*"]}'])
def test_settings_without_environments(shop: Project, own_patterns: str) -> None:
    """Kedro then reads every folder below conf as one, and so is vertexai.yml read."""
    settings = (shop.path / "src/shop/settings.py").read_text()
    for unused in ("prod", "local"):
        for file in (shop.path / "conf" / unused).glob("*.yml"):
            file.unlink()
    project = with_files(
        shop,
        {
            "src/shop/settings.py": f'{settings}\nCONFIG_LOADER_ARGS = {{"custom_resolvers": {{}}{own_patterns}}}\n',
            "conf/base/catalog.yml": seen_at("here"),
            "conf/base/vertexai.yml": "run_config: {image: registry.test/shop:1, root: bucket/x}\n",
        },
    )
    project.kedro("run", "--pipeline", "look")
    assert project.json("data/here/seen.json")["size"] == 3
    config = read_project(project)["config"]
    assert (config["image"], config["root"]) == ("registry.test/shop:1", "gs://bucket/x")
    project.succeed("look", pipeline="look")


# OmegaConf 2.4 says so of a call that each Kedro up to 1.7 makes.
@pytest.mark.filterwarnings("ignore:register_new_resolver")
@pytest.mark.parametrize(
    ("args", "files", "found"),
    [
        ({}, {}, False),
        ({}, {"conf/base/mlflow.yml": ""}, True),
        ({}, {"conf/deep/er/mlflow_ours.json": "{}"}, True),
        ({"base_env": "base", "default_run_env": "base"}, {}, False),
        ({"base_env": "base", "default_run_env": "local"}, {}, False),
        ({"base_env": "base", "default_run_env": "local"}, {"conf/local/mlflow.yml": ""}, True),
    ],
)
def test_an_empty_file_is_there_and_no_file_is_not(
    tmp_path: Path, args: dict[str, str], files: dict[str, str], found: bool
) -> None:
    for name, text in {"conf/base/.gitkeep": "", "conf/local/.gitkeep": "", **files}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    loader = OmegaConfigLoader(str(tmp_path / "conf"), **args)
    if found:
        assert load(loader, MLFLOW) == {}
    else:
        with pytest.raises(MissingConfigException):
            load(loader, MLFLOW)


def test_variables_that_the_containers_need(shop: Project) -> None:
    catalog = seen_at("${oc.env:PLACE}/${oc.env:SET,x}/${oc.env:UNSET,y}")
    files = {
        "conf/base/catalog.yml": f"# ${{oc.env:OLD_PLACE}}\n{catalog}",
        "conf/base/credentials.yml": "db: {password: '${oc.env:DB_PASSWORD}'}\n",
        "conf/local/credentials.yml": "mine: {password: '${oc.env:MY_PASSWORD}'}\n",
        "conf/base/vertexai.yml": "region: ${oc.env:REGION_OF_CI}\n",
    }
    project = with_files(shop, files).with_variables(PLACE="a", SET="b", REGION_OF_CI="r")
    assert read_project(project)["variables"] == ["DB_PASSWORD", "PLACE", "SET"]
    vertexai = {"region": "${oc.env:REGION_OF_CI}", "run_config": {"dynamic_config_providers": [{"cls": "a.B"}]}}
    with_files(project, {"conf/base/vertexai.yml": yaml.safe_dump(vertexai)})
    assert read_project(project)["variables"] == ["DB_PASSWORD", "PLACE", "REGION_OF_CI", "SET"]


def test_a_container_without_the_variable_says_which(shop: Project) -> None:
    result = with_files(shop, {"conf/base/catalog.yml": seen_at("${oc.env:PLACE}")}).run("look", pipeline="look")
    assert result.code == 2
    assert "Environment variable 'PLACE' not found" in result.last["error"]


def test_code_of_the_project_reads_its_own_files_as_they_are(shop: Project) -> None:
    """Only what Kedro's loader reads is changed: a node's own YAML with ${run_id} in it stays."""
    node = (
        "def told(params):\n    from omegaconf import OmegaConf\n"
        "    return {'own': OmegaConf.to_container(OmegaConf.load('own.yml'))['a']}\n"
    )
    nodes = (shop.path / "src/shop/nodes.py").read_text()
    project = with_files(
        shop,
        {
            "src/shop/nodes.py": f"{nodes}\n\n{node}",
            "own.yml": "a: ${run_id}\n",
            "conf/base/catalog.yml": seen_at("x"),
        },
    )
    project.succeed("look", pipeline="told")
    assert project.json("data/x/seen.json") == {"own": "${run_id}"}
