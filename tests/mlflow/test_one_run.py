"""One MLflow run for each DAG run, whatever its containers do, and its true status."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from airflow_provider_kedro_vertex.core.jobs.identity import run_key
from tests.mlflow.servers import PYTHON, Mlflow, Run
from tests.unit.runtime.containers import Project, wait_for

JUDGE = "judge.strict"


def the_run(server: Mlflow, project: Project) -> Run:
    """The only one there is, counting those that were deleted."""
    (run,) = server.runs(project.context.run_key)
    return run


def attempt(project: Project, number: int) -> Project:
    """The next job of the same DAG run, as clearing its task makes one."""
    return project.in_run(replace(project.context, job_id=f"{project.context.run_key}-job-{number}"))


def hold(project: Project) -> subprocess.Popen[str]:
    """Start a container whose node waits until the file `hold` has gone."""
    project.store("numbers", [1, 2, 3])
    (project.path / "hold").touch()
    held = project.start(*project.arguments(JUDGE))
    wait_for((project.path / "waiting").exists, held)
    return held


def test_the_runs_tags_and_name_tell_which_dag_run_it_is(server: Mlflow, tracked: Project) -> None:
    log = tracked.succeed("numbers").log
    run = the_run(server, tracked)
    context = tracked.context
    expected = {
        "vertexai_run_id": context.run_key,
        "vertexai_job_name": context.job_id,
        "airflow_dag_id": context.dag_id,
        "airflow_run_id": context.run_id,
        "airflow_logical_date": context.logical_date,
        "kedro_command": "kedro run --pipelines=__default__",
    }
    assert {name: run.tags.get(name) for name in expected} == expected
    assert run.name == f"{context.dag_id} {context.run_id}"

    (line,) = [json.loads(line) for line in log.splitlines() if line.startswith('{"mlflow_run_id"')]
    assert line == {
        "mlflow_run_id": run.id,
        "mlflow_url": f"{server.url}/#/experiments/{run.body['info']['experiment_id']}/runs/{run.id}",
    }
    (kept,) = (tracked.path.parent / "root").rglob("mlflow-run.json")
    assert json.loads(kept.read_text()) == {"run_id": run.id, "url": line["mlflow_url"]}
    # kedro-mlflow's advice to end the run by hand would be wrong here.
    assert "close it manually" not in log


def test_containers_that_start_together_make_one_run(server: Mlflow, tracked: Project) -> None:
    def together(project: Project, node: str) -> subprocess.Popen[str]:
        return project.start(*project.arguments(node))

    # An experiment that is new as well.
    (tracked.path / "conf/base/mlflow.yml").write_text(
        f"tracking: {{experiment: {{name: {tracked.context.run_id}}}}}\n"
    )
    tracked.store("numbers", [1, 2, 3])
    processes = [together(tracked, node) for node in ("numbers", "train", JUDGE)]
    for process in processes:
        log, _ = process.communicate(timeout=120)
        assert process.returncode == 0, log
    active = server.runs(tracked.context.run_key, "ACTIVE_ONLY")
    assert len(active) == 1
    assert active[0].params == {"size": "3", "rate": "0.25", "threshold": "1"}
    assert active[0].status == "RUNNING"


def test_a_container_that_ends_well_does_not_hide_that_another_failed(server: Mlflow, tracked: Project) -> None:
    held = hold(tracked)
    assert tracked.run("report").code == 3
    assert the_run(server, tracked).status == "FAILED"
    (tracked.path / "hold").unlink()
    log, _ = held.communicate(timeout=60)
    assert held.returncode == 0, log
    assert the_run(server, tracked).status == "FAILED"


def test_sigterm_is_told_as_killed_and_the_next_try_goes_on(server: Mlflow, tracked: Project) -> None:
    held = hold(tracked)
    assert the_run(server, tracked).status == "RUNNING"
    held.terminate()
    log, _ = held.communicate(timeout=60)
    assert held.returncode == 143, log
    assert the_run(server, tracked).status == "KILLED"
    (tracked.path / "hold").unlink()
    tracked.succeed(JUDGE)
    assert the_run(server, tracked).status == "RUNNING"


def test_the_exit_pipeline_tells_of_a_container_that_could_not(server: Mlflow, tracked: Project) -> None:
    held = hold(tracked)
    held.kill()
    held.communicate(timeout=60)
    assert the_run(server, tracked).status == "RUNNING"
    outcome = {"run_outcome": {"state": "FAILED", "failed_nodes": [JUDGE], "errors": []}}
    tracked.succeed("tell", pipeline="on_exit", params=outcome)
    assert the_run(server, tracked).status == "FAILED"
    # A new attempt is not bound by what was said of the one before.
    (tracked.path / "hold").unlink()
    attempt(tracked, 2).succeed(JUDGE)
    assert the_run(server, tracked).status == "RUNNING"


def test_a_run_that_was_deleted_is_followed_by_a_new_one(server: Mlflow, tracked: Project) -> None:
    tracked.succeed("numbers")
    first = the_run(server, tracked)
    changed = {"size": 4}
    refused = tracked.run("numbers", params=changed)
    assert refused.code == 2
    assert "A parameter has changed since MLflow run" in refused.last["error"]
    server.call("runs/delete", {"run_id": first.id})
    tracked.succeed("numbers", params=changed)
    (second,) = server.runs(tracked.context.run_key, "ACTIVE_ONLY")
    assert second.id != first.id
    assert second.params == {"size": "4"}


def test_a_slice_is_finished_when_its_own_last_nodes_are(server: Mlflow, tracked: Project) -> None:
    settings = {"mlflow": {"selection": {"to_nodes": ["train"]}}}
    result = tracked.command(*tracked.arguments("numbers"), "--settings", json.dumps(settings))
    assert result.code == 0, result.log
    assert the_run(server, tracked).status == "RUNNING"
    # Without the file, too, the run is found.
    (kept,) = (tracked.path.parent / "root").rglob("mlflow-run.json")
    kept.unlink()
    result = tracked.command(*tracked.arguments("train"), "--settings", json.dumps(settings))
    assert result.code == 0, result.log
    run = the_run(server, tracked)
    assert (run.status, run.params) == ("FINISHED", {"size": "3", "rate": "0.25"})


def test_a_pipeline_whose_tracking_is_disabled_makes_no_run(server: Mlflow, tracked: Project) -> None:
    tracked.succeed("untracked", pipeline="untracked")
    assert server.runs(tracked.context.run_key) == []


@pytest.mark.parametrize("way", ["no mlflow.yml", "disabled"])
def test_installed_is_not_enabled_nor_imported(server: Mlflow, tracked: Project, way: str) -> None:
    nodes = tracked.path / "src/tracked/nodes.py"
    nodes.write_text("import sys\ndef numbers(size):\n    return sorted(sys.modules)\n")
    (tracked.path / "src/tracked/pipeline_registry.py").write_text(
        "from kedro.pipeline import Pipeline, node\nfrom tracked import nodes\n"
        "def register_pipelines():\n"
        "    return {'__default__': Pipeline([node(nodes.numbers, 'params:size', 'seen', name='numbers')])}\n"
    )
    (tracked.path / "conf/base/catalog.yml").write_text("seen: {type: json.JSONDataset, filepath: data/seen.json}\n")
    if way == "disabled":
        (tracked.path / "src/tracked/settings.py").write_text("DISABLE_HOOKS_FOR_PLUGINS = ('kedro_mlflow',)\n")
    else:
        (tracked.path / "conf/base/mlflow.yml").unlink()
    tracked.succeed("numbers")
    assert not {"mlflow", "kedro_mlflow"} & set(tracked.json("data/seen.json"))
    assert server.runs(tracked.context.run_key) == []


def test_a_server_that_is_away_is_infrastructure(tracked: Project) -> None:
    away = tracked.with_variables(MLFLOW_TRACKING_URI="http://me:p@ss@127.0.0.1:9", MLFLOW_HTTP_REQUEST_MAX_RETRIES="0")
    result = away.run("numbers")
    assert result.code == 4, result.log
    assert "MLflow at http://127.0.0.1:9 (" in result.last["error"]
    assert "p@ss" not in result.log


def test_a_storage_that_fails_is_infrastructure(server: Mlflow, tracked: Project, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    result = tracked.in_run(replace(tracked.context, root=f"{tmp_path}/file")).run("numbers")
    assert result.code == 4, result.log
    assert result.last["error"].startswith(f"The storage at {tmp_path}/file/")


def test_a_wrong_mlflow_yml_is_told_as_such(tracked: Project) -> None:
    (tracked.path / "conf/base/mlflow.yml").write_text("trakcing: {}\n")
    result = tracked.run("numbers")
    assert result.code == 2, result.log
    assert "mlflow.yml is wrong" in result.last["error"]
    assert "trakcing" in result.last["error"]


def test_the_runs_of_several_data_scopes_stand_below_one_that_shows_how_all_ended(
    server: Mlflow, tracked: Project
) -> None:
    context = tracked.context
    whole = run_key(context.dag_id, context.run_id)
    scopes = {
        title: tracked.in_run(replace(context, run_key=f"{context.run_key}-{number}", data_scope=title))
        for number, title in enumerate(["report[0]", "report[1]"])
    }

    def statuses() -> tuple[str, list[str]]:
        (parent,) = server.runs(whole, "ACTIVE_ONLY")
        return parent.status, [the_run(server, project).status for project in scopes.values()]

    # Two that start together find one parent.
    started = [project.start(*project.arguments("numbers")) for project in scopes.values()]
    for process in started:
        log, _ = process.communicate(timeout=240)
        assert process.returncode == 0, log
    (parent,) = server.runs(whole, "ACTIVE_ONLY")
    assert parent.name == f"{context.dag_id} {context.run_id}"
    assert parent.params == {}
    assert parent.tags["airflow_run_id"] == context.run_id
    for title, project in scopes.items():
        run = the_run(server, project)
        assert run.name == f"{context.dag_id} {title} {context.run_id}"
        assert (run.tags["mlflow.parentRunId"], run.tags["airflow_data_scope"]) == (parent.id, title)
        assert run.params == {"size": "3"}
    assert statuses() == ("RUNNING", ["RUNNING", "RUNNING"])

    first, second = scopes.values()
    for node in ("train", JUDGE, "report"):
        first.succeed(node)
    assert statuses() == ("RUNNING", ["FINISHED", "RUNNING"])
    assert second.run("report").code == 3
    assert statuses() == ("FAILED", ["FINISHED", "FAILED"])
    for node in ("train", JUDGE, "report"):
        second.succeed(node)
    assert statuses() == ("FINISHED", ["FINISHED", "FINISHED"])


def test_processes_that_a_node_starts_log_into_the_run(server: Mlflow, tracked: Project) -> None:
    tracked.succeed("log_apart", pipeline="apart", params={"size": 7})
    run = the_run(server, tracked)
    assert run.metrics["apart"] == 7
    assert run.status == "FINISHED"
    assert tracked.stored_value("apart") != run.id, "a run inside of the node is one of its own"


def test_a_pipeline_that_logs_a_model_needs_one_container(server: Mlflow, tracked: Project) -> None:
    inspected = (
        "from pathlib import Path; from airflow_provider_kedro_vertex.project.inspect import inspect_project\n"
        "print(sorted(name for name, each in inspect_project(Path()).pipelines.items() if each.logs_model))"
    )
    told = subprocess.check_output([PYTHON, "-c", inspected], cwd=tracked.path, text=True)
    assert told.splitlines()[-1] == "['ml']"

    part = tracked.run("instances", pipeline="ml")
    assert part.code == 2
    assert "pipeline_ml_factory" in part.last["error"]
    assert "but fit run elsewhere. Set run_config.grouping to pipeline" in part.last["error"]
    assert server.runs(tracked.context.run_key) == []

    with (tracked.path / "conf/base/catalog.yml").open("a") as catalog:
        for name in ("instances", "fitted"):
            catalog.write(f"{name}:\n  type: json.JSONDataset\n  filepath: data/{name}.json\n")
    tracked.succeed("instances", "fit", pipeline="ml")
    run = the_run(server, tracked)
    assert run.status == "FINISHED"
    models = server.call("logged-models/search", {"experiment_ids": [run.body["info"]["experiment_id"]]})["models"]
    assert ("tracked_model", run.id) in [(each["info"]["name"], each["info"]["source_run_id"]) for each in models]
