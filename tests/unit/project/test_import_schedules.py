"""``kedro vertex import-schedules``: the schedules that kedro-vertexai made, on the emulator."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_kedro_vertex.emulator import VertexEmulator
from airflow_provider_kedro_vertex.emulator.executors.images import Noop
from airflow_provider_kedro_vertex.project.old_schedules import old_schedules
from airflow_provider_kedro_vertex.project.schedules_file import as_yaml, with_schedules
from tests.unit.emulator.specs import body, container_spec
from tests.unit.project.test_commands import CONFIGURED, VERTEXAI

MakeProject = Callable[..., Path]
Vertex = Callable[..., Any]

PARENT = "projects/shop-project/locations/europe-west1"
COMMENTED = """# Ours.
project_id: shop-project
region: europe-west1

run_config:
  image: r.test/shop:1 # built by CI
  root: shop
  labels:
    team: "a"

  # The end.
# Below.
"""


@pytest.fixture
def emulator() -> Iterator[VertexEmulator]:
    with VertexEmulator(noop=Noop(0)) as running:
        yield running


def add(emulator: VertexEmulator, pipeline: str, project: str = "small-shop", **fields: Any) -> str:
    """Make a schedule as kedro-vertexai does: its containers run a line of bash."""
    line = (
        "KEDRO_CONFIG_RUN_ID={{$.pipeline_job_uuid}} GCP_PROJECT_ID=p kedro run -e base "
        f'--pipeline {pipeline} --nodes "clean_up,train" --runner kedro_vertexai.runner --config config.yaml'
    )
    spec = container_spec({"a": []}, args={"a": [line]})
    spec["pipelineInfo"]["name"] = project
    runtime = {"gcsOutputDirectory": "gs://shop", **fields.pop("runtimeConfig", {})}
    request = {"parent": PARENT, "pipelineJob": {**body(spec), "runtimeConfig": runtime}}
    given_ = {
        "displayName": f"{project} {pipeline}",
        "cron": "TZ=Europe/Warsaw 0 4 * * *",
        "maxConcurrentRunCount": "2",
    }
    schedule = {**given_, "createPipelineJobRequest": request, **fields}
    answer = requests.post(f"{emulator.url}/v1/{PARENT}/schedules", json=schedule, timeout=60)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["name"])


def state(emulator: VertexEmulator, name: str) -> str:
    return str(requests.get(f"{emulator.url}/v1/{name}", timeout=60).json().get("state", "gone"))


@pytest.fixture
def project(make_project: MakeProject) -> Path:
    return make_project({**CONFIGURED, VERTEXAI: COMMENTED})


@pytest.fixture
def run(vertex: Vertex, project: Path, emulator: VertexEmulator) -> Callable[..., Any]:
    def command(*arguments: str) -> Any:
        return vertex(project, "import-schedules", "--api-endpoint", emulator.url, *arguments)

    return command


def test_they_are_written_and_go_on(run: Callable[..., Any], project: Path, emulator: VertexEmulator) -> None:
    default = add(emulator, "__default__")
    add(emulator, "other", cron="30 5 * * mon", endTime="2100-01-01T00:00:00Z", startTime="2030-01-01T00:00:00Z")
    add(emulator, "other", project="another-shop")
    done = run()
    assert done.exit_code == 0, done.stderr
    text = (project / VERTEXAI).read_text()
    assert text == COMMENTED.replace(
        '    team: "a"\n',
        """    team: "a"
  schedules:
    __default__:
      cron_expression: 0 4 * * *
      timezone: Europe/Warsaw
      max_concurrent_run_count: 2
    other:
      cron_expression: 30 5 * * mon
      timezone: Etc/UTC
      start_time: '2030-01-01T00:00:00Z'
      end_time: '2100-01-01T00:00:00Z'
      max_concurrent_run_count: 2
""",
    )
    assert "2 of them go on beside the DAGs. Pause them with --pause, or delete them with --delete." in done.stderr
    assert "another-shop" not in done.stdout
    assert state(emulator, default) == "ACTIVE"

    done = run("--pause")
    assert ("vertexai.yml has all of them." in done.stdout, state(emulator, default)) == (True, "PAUSED")
    assert (project / VERTEXAI).read_text() == text
    done = run("--delete")
    assert (done.exit_code, state(emulator, default)) == (0, "gone")
    assert "has no schedules of this project" in run().stdout


def test_the_newest_active_one_of_a_pipeline(run: Callable[..., Any], project: Path, emulator: VertexEmulator) -> None:
    add(emulator, "__default__", cron="1 1 * * *")
    add(emulator, "__default__", cron="2 2 * * *")
    paused = add(emulator, "__default__", cron="3 3 * * *")
    requests.post(f"{emulator.url}/v1/{paused}:pause", json={}, timeout=60).raise_for_status()
    assert run("--pause").exit_code == 0
    schedules = yaml.safe_load((project / VERTEXAI).read_text())["run_config"]["schedules"]
    assert {name: each["cron_expression"] for name, each in schedules.items()} == {"__default__": "2 2 * * *"}


def test_what_is_left_behind_is_told(run: Callable[..., Any], emulator: VertexEmulator, project: Path) -> None:
    add(emulator, "__default__", maxRunCount="9")
    add(emulator, "gone_pipeline")
    done = run()
    assert "it ends after 9 runs, and Airflow counts none: give end_time." in done.stderr
    assert "runs pipeline 'gone_pipeline', which the project does not register; it is left out." in done.stderr
    assert "gone_pipeline" not in (project / VERTEXAI).read_text()


def test_parameters_are_told_by_their_names() -> None:
    container = {"args": ["cd /app && kedro run -e base --pipeline=other --nodes a"]}
    spec = {"pipelineInfo": {"name": "small-shop"}, "deploymentSpec": {"executors": {"a": {"container": container}}}}
    job = {"pipelineSpec": spec, "runtimeConfig": {"parameterValues": {"token": "hunter2", "day": "x"}}}
    schedule = {"name": "n", "cron": "0 4 * * *", "createPipelineJobRequest": {"pipelineJob": job}}
    (found,) = old_schedules([schedule, {"name": "of a notebook"}], ["Small_Shop"])
    assert found.pipeline == "other"
    assert found.left_behind == ("it sets the parameters day, token: give them to the DAG, as params=",)


def test_another_schedule_in_the_file_stays(run: Callable[..., Any], project: Path, emulator: VertexEmulator) -> None:
    own = f"{COMMENTED}  schedules:\n    __default__: {{cron_expression: '@daily'}}\n"
    (project / VERTEXAI).write_text(own)
    add(emulator, "__default__")
    done = run()
    assert (done.exit_code, (project / VERTEXAI).read_text()) == (0, own)
    assert "vertexai.yml has another schedule of pipeline '__default__', which stays as it is." in done.stderr


def test_a_file_of_another_form_is_left_to_a_person(
    run: Callable[..., Any], project: Path, emulator: VertexEmulator
) -> None:
    own = "project_id: shop-project\nregion: europe-west1\nrun_config: {image: r.test/shop, root: shop}\n"
    (project / VERTEXAI).write_text(own)
    name = add(emulator, "__default__")
    done = run()
    assert (done.exit_code, (project / VERTEXAI).read_text()) == (0, own)
    printed = yaml.safe_load(done.stdout.partition("\n\n")[2])
    assert printed["run_config"]["schedules"]["__default__"]["timezone"] == "Europe/Warsaw"
    done = run("--delete")
    assert (done.exit_code, state(emulator, name)) == (1, "ACTIVE")
    assert "Nothing was deleted, since the schedules are not in vertexai.yml yet." in done.stderr


def test_both_are_too_much(run: Callable[..., Any]) -> None:
    assert run("--pause", "--delete").exit_code == 2


@pytest.mark.parametrize(
    "text",
    [
        "run_config:\n  schedules:\n    other: {cron_expression: '@daily'}\n\n  # A comment.\n  root: shop\n",
        "run_config:\n  schedules:\n  root: shop\n",
        "run_config:\n  schedules: null\n",
        "run_config:\n    root: shop",
        "run_config:\r\n  root: shop\r\n# end\r\n",
        "run_config:\n  description: |\n    two\n    lines\n\nregion: x\n",
        "run_config:\n  labels: {a: b,\n    c: d}\nregion: x\n",
    ],
)
def test_forms_that_are_taken(text: str) -> None:
    changed = with_schedules(text, {"__default__": {"cron_expression": "*/5 * * * *"}})
    assert changed is not None
    before, after = yaml.safe_load(text), yaml.safe_load(changed)
    expected = {
        **(before["run_config"].pop("schedules", None) or {}),
        "__default__": {"cron_expression": "*/5 * * * *"},
    }
    assert after["run_config"].pop("schedules") == expected
    assert after == before
    assert [line for line in text.splitlines() if "#" in line] == [line for line in changed.splitlines() if "#" in line]
    assert ("\r\n" in text) == ("\r\n" in changed)
    assert "\n" not in changed.replace("\r\n", "") or "\r\n" not in text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "region: x\n",
        "run_config: {root: shop}\n",
        "run_config:\n",
        "run_config:\n  schedules: # none\n",
        "a: [",
        "- 1\n",
    ],
)
def test_forms_that_are_not(text: str) -> None:
    assert with_schedules(text, {"__default__": {"cron_expression": "@daily"}}) is None


names = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=8)


@given(
    keys=st.lists(names, unique=True, max_size=4),
    values=st.lists(
        st.one_of(names, st.dictionaries(names, names, max_size=2), st.lists(names)), min_size=4, max_size=4
    ),
    pipeline=names,
)
def test_nothing_else_changes(keys: list[str], values: list[Any], pipeline: str) -> None:
    content = {"region": "x", "run_config": dict(zip(keys, values, strict=False)), "last": {"a": 1}}
    text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True)
    changed = with_schedules(text, {pipeline: {"timezone": "Etc/UTC"}})
    if changed is not None:
        found = yaml.safe_load(changed)
        assert found["run_config"].pop("schedules")[pipeline] == {"timezone": "Etc/UTC"}
        content["run_config"] = {key: value for key, value in dict(content["run_config"]).items() if key != "schedules"}
        assert found == content


def test_what_is_printed_is_what_is_read() -> None:
    schedules = {"a: b": {"cron_expression": "* * * * *", "max_concurrent_run_count": 1}}
    assert yaml.safe_load(as_yaml(schedules)) == {"run_config": {"schedules": schedules}}
