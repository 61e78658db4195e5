"""What a manifest takes from the environment and from files beside ``vertexai.yml``, and what it must never take."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from airflow_provider_kedro_vertex.core.errors import ConfigError
from airflow_provider_kedro_vertex.core.plan.plan import build_plan
from airflow_provider_kedro_vertex.core.project import manifest as manifests
from airflow_provider_kedro_vertex.core.settings.run_config import RunConfig
from airflow_provider_kedro_vertex.project.environment import forwarded
from airflow_provider_kedro_vertex.project.inspect import inspect_project
from airflow_provider_kedro_vertex.project.vertexai_yml import ConfigWarning

MakeProject = Callable[..., Path]
Run = Callable[..., subprocess.CompletedProcess[str]]

VERTEXAI, MLFLOW = "conf/base/vertexai.yml", "conf/base/mlflow.yml"
SECRET = "hunter2-of-the-planted-shop"


def test_every_variable_of_kedro_config_is_handed_on(
    make_project: MakeProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"COMMIT_ID": "abc", "BUCKET": "it's $(HOME)", "RUN_ID": "7", "JOB_NAME": "j"}.items():
        monkeypatch.setenv(f"KEDRO_CONFIG_{name}", value)
    manifest = inspect_project(
        make_project(
            {
                VERTEXAI: "run_config:\n  image: r.test/shop:${oc.env:KEDRO_CONFIG_COMMIT_ID}\n  root: b\n"
                "  nodes: {__default__: {env: {KEDRO_CONFIG_BUCKET: own}}, clean_up: {env: {MORE: '1'}}}\n"
            }
        )
    )
    assert manifest.config.image == "r.test/shop:abc"
    (group,) = build_plan(manifest).groups
    assert group.settings.env == {"KEDRO_CONFIG_BUCKET": "own", "KEDRO_CONFIG_COMMIT_ID": "abc", "MORE": "1"}


def test_a_variable_that_may_hold_a_secret_is_not_handed_on() -> None:
    environment = {"KEDRO_CONFIG_DB_PASSWORD": SECRET, "KEDRO_CONFIG_DB": f"postgresql://u:{SECRET}@db", "OTHER": "x"}
    with pytest.warns(ConfigWarning) as caught:
        assert forwarded(RunConfig(), environment) == RunConfig()
    said = [str(item.message) for item in caught]
    assert [line.split()[3] for line in said] == ["KEDRO_CONFIG_DB", "KEDRO_CONFIG_DB_PASSWORD"]
    assert SECRET not in "".join(said)
    named = RunConfig.from_dict(
        {"nodes": {"__default__": {"secret_env": {"KEDRO_CONFIG_DB_PASSWORD": "projects/p/secrets/s"}}}}
    )
    assert forwarded(named, {"KEDRO_CONFIG_DB_PASSWORD": SECRET}) == named


TEMPLATES = """
region: europe-west1
run_config:
  image: r.test/${google_project_id}/shop:${commit_id|dirty}
  description: ${region}
  root: b/${branch_name|}x
"""


def test_the_old_templates(make_project: MakeProject, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEDRO_CONFIG_GOOGLE_PROJECT_ID", "gp")
    monkeypatch.setenv("KEDRO_CONFIG_REGION", "not this one: the file itself has it")
    project = make_project({VERTEXAI: TEMPLATES})
    config = inspect_project(project).config
    assert (config.image, config.description, config.root) == ("r.test/gp/shop:dirty", "europe-west1", "gs://b/x")
    monkeypatch.setenv("KEDRO_CONFIG_COMMIT_ID", "1e3: {[")  # a value is never read as YAML
    monkeypatch.setenv("KEDRO_CONFIG_BRANCH_NAME", "main")
    config = inspect_project(project).config
    assert (config.image, config.root) == ("r.test/gp/shop:1e3: {[", "gs://b/mainx")


def test_an_old_template_without_a_value_names_its_variable(make_project: MakeProject) -> None:
    project = make_project({VERTEXAI: "run_config:\n  image: shop:${commit_id}\n"})
    with pytest.raises(ConfigError) as caught:
        inspect_project(project)
    assert str(caught.value) == (
        f"{VERTEXAI}, line 2: run_config.image cannot be resolved: Interpolation key 'commit_id' not found. If it "
        "stands "
        "for an environment variable, set KEDRO_CONFIG_COMMIT_ID."
    )


@pytest.mark.parametrize(
    ("content", "uri"),
    [
        ("server: {mlflow_tracking_uri: mlruns}\n", "mlruns"),
        (f"server: {{mlflow_tracking_uri: 'https://u:{SECRET}@mlflow.test/x'}}\n", "https://mlflow.test/x"),
        ("server: {mlflow_tracking_uri: null}\n", "mlruns"),
        ("server: {mlflow_tracking_uri: databricks}\n", "databricks"),
        ("server: {mlflow_tracking_uri: databricks-uc}\n", "databricks-uc"),
        ("tracking: {}\n", "mlruns"),
        ("server: {mlflow_tracking_uri: '${oc.env:NO_SUCH_VARIABLE}'}\n", None),
    ],
)
def test_where_mlflow_tracks_is_known_to_the_checks(make_project: MakeProject, content: str, uri: str | None) -> None:
    config = inspect_project(make_project({MLFLOW: content})).config
    assert (config.mlflow.tracking_uri if config.mlflow else None) == uri


def test_an_old_mlflow_yml_is_told(make_project: MakeProject) -> None:
    project = make_project({MLFLOW: "hooks: {}\nmlflow_tracking_uri: https://old.test\n"})
    with pytest.warns(ConfigWarning, match=r"mlflow.yml, line 2: mlflow_tracking_uri at the top .+ write server: \{"):
        config = inspect_project(project).config
    assert config.mlflow is not None
    assert config.mlflow.tracking_uri == "https://old.test"


def test_without_kedro_mlflow_nothing_is_known(make_project: MakeProject) -> None:
    assert inspect_project(make_project()).config.mlflow is None


PLANTED = {
    "conf/base/credentials.yml": f"database: {{con: '{SECRET}-1'}}\n",
    "conf/local/credentials.yml": f"bucket: {{token: '{SECRET}-2'}}\n",
    "conf/base/catalog.yml": f"""
raw: {{type: pandas.CSVDataset, filepath: "https://clerk:{SECRET}-3@shop.test/raw.csv?sig={SECRET}-4#{SECRET}-5"}}
clean: {{type: pandas.SQLTableDataset, table_name: t, credentials: {{con: "postgresql://u:{SECRET}-6@db"}}}}
"{{name}}_url": {{type: api.APIDataset, url: "https://{SECRET}-7@shop.test/{{name}}"}}
""",
    "src/{package}/pipeline_registry.py": """
from kedro.pipeline import node, pipeline

def copy(*values):
    return values

def register_pipelines():
    return {"__default__": pipeline([node(copy, ["raw", "some_url"], "clean", name="clean_up")])}
""",
    VERTEXAI: "run_config: {image: 'r.test/shop:1', root: b}\n",
    MLFLOW: f"server: {{mlflow_tracking_uri: 'https://u:{SECRET}-8@mlflow.test', credentials: '{SECRET}-9'}}\n",
}


def test_no_credential_is_in_the_bytes_wherever_it_is_planted(make_project: MakeProject, run: Run) -> None:
    project = make_project(PLANTED)
    environment = {
        "MLFLOW_TRACKING_TOKEN": SECRET,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "KEDRO_CONFIG_API_TOKEN": SECRET,
        "KEDRO_CONFIG_DATABASE": f"postgresql://u:{SECRET}@db/shop",
        "KEDRO_CONFIG_COMMIT_ID": "1e3",
    }
    done = run("-m", "airflow_provider_kedro_vertex.project", "manifest", "--project", str(project), "-o", "m.json",
               cwd=project, **environment)  # fmt: skip
    assert done.returncode == 0, done.stderr
    written = (project / "m.json").read_bytes()
    assert SECRET.encode() not in written
    assert b"KEDRO_CONFIG_COMMIT_ID" in written
    assert SECRET not in done.stdout + done.stderr
    assert manifests.read(project / "m.json").datasets["raw"].location == "https://shop.test/raw.csv"


def test_equal_bytes_whatever_the_hash_seed_and_the_folder(make_project: MakeProject, run: Run, tmp_path: Path) -> None:
    project = make_project({**PLANTED, "conf/base/parameters.yml": "b: {d: 1, c: 2}\na: 1\n"}, package="shop_twice")
    moved = tmp_path / "elsewhere"
    shutil.copytree(project, moved)
    texts = set()
    for folder, seed in ((project, "1"), (moved, "2"), (project, "3")):
        done = run("-m", "airflow_provider_kedro_vertex.project", "manifest", "--project", str(folder), "-o", "-",
                   cwd=folder, PYTHONHASHSEED=seed)  # fmt: skip
        texts.add(done.stdout)
    assert len(texts) == 1


# Calls of functions, which are as many on a busy machine.
CALLS = """
import sys
from pathlib import Path
from kedro.framework.startup import bootstrap_project
from airflow_provider_kedro_vertex.project.inspect import inspect_project
project, calls = Path(sys.argv[1]), 0
def count(*_):
    global calls
    calls += 1
sys.setprofile(count)
if sys.argv[2] == "import":
    bootstrap_project(project)
    from kedro.framework.project import pipelines
    dict(pipelines)
else:
    inspect_project(project)
sys.setprofile(None)
print(calls)
"""

# A project that imports what real ones do: its own time is what inspecting must not add much to.
HEAVY = {
    **PLANTED,
    "src/{package}/pipeline_registry.py": "import pandas\n" + PLANTED["src/{package}/pipeline_registry.py"],
}


def test_inspecting_costs_little_more_than_importing(make_project: MakeProject, run: Run) -> None:
    project = make_project(HEAVY)

    def calls(what: str) -> int:
        return int(run("-W", "ignore", "-c", CALLS, str(project), what, cwd=project).stdout)

    # 1.23 to 1.30 with Kedro 1.0 to 1.7; in processor time, which depends on what else runs, it is 1.13 to 1.19.
    assert calls("inspect") <= 1.35 * calls("import")
