from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from airflow_provider_kedro_vertex.core.jobs.pipeline_spec import pipeline_spec
from airflow_provider_kedro_vertex.core.plan.plan import build_plan
from airflow_provider_kedro_vertex.core.project import manifest as manifests
from airflow_provider_kedro_vertex.version import __version__

MakeProject = Callable[..., Path]
Run = Callable[..., subprocess.CompletedProcess[str]]

Vertex = Callable[..., Any]

INSPECT = ("-m", "airflow_provider_kedro_vertex.project", "manifest", "--project")


def test_the_commands_of_kedros_own_command_line(shop: Path, run: Run, tmp_path: Path) -> None:
    file, spec_file = tmp_path / "shop.manifest.json", tmp_path / "shop.yaml"

    done = run("-m", "kedro", "vertex", "manifest", "-o", str(file), cwd=shop)
    assert (done.returncode, done.stderr.splitlines()[-1:]) == (0, ["a project may print when it is imported"])
    manifest = manifests.read(file)
    assert done.stdout == f"Wrote {file}: 3 pipelines, 6 nodes, {manifest.digest[:19]}\n"

    done = run("-m", "kedro", "vertex", "compile", "-p", "training", "-o", str(spec_file), cwd=shop)
    assert done.returncode == 0
    assert done.stdout == f"Wrote {spec_file}: pipeline 'training' with 3 tasks, from manifest {manifest.digest[:19]}\n"
    assert yaml.safe_load(spec_file.read_text(encoding="utf-8")) == pipeline_spec(build_plan(manifest, "training"))

    done = run("-m", "kedro", "vertex", "compile", "-p", "trainig", "-o", str(spec_file), cwd=shop)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines()[-1] == (
        "Error: Project 'Small Shop' has no registered pipeline 'trainig'. Did you mean 'training'?"
    )
    assert "Traceback" not in done.stderr


def test_kedros_help_lists_the_commands(make_project: MakeProject, run: Run) -> None:
    done = run("-m", "kedro", "vertex", "--help", cwd=make_project())
    assert done.returncode == 0
    assert "Run the project's pipelines on Vertex AI from Airflow." in done.stdout
    for command in ("compile", "manifest"):
        assert f"  {command} " in done.stdout


def test_the_group_costs_kedro_next_to_nothing(run: Run, tmp_path: Path) -> None:
    """`kedro --help` may pay 30 ms; processor time and the best of three leave out what else the machine does."""
    code = (
        "import click, importlib.metadata, sys, time\n"
        "before = set(sys.modules)\n"
        "start = time.process_time()\n"
        "import airflow_provider_kedro_vertex.project.cli\n"
        "print(time.process_time() - start, *sorted(set(sys.modules) - before))\n"
    )
    outputs = [run("-c", code, cwd=tmp_path).stdout.split() for _ in range(3)]
    assert min(float(seconds) for seconds, *_ in outputs) <= 0.03
    for _, *modules in outputs:
        assert not {name.partition(".")[0] for name in modules} & {"kedro", "pydantic", "yaml", "omegaconf", "kfp"}


@pytest.mark.parametrize("suffix", [".json", ".yaml", ".yml"])
def test_a_spec_is_written_as_its_suffix_says(shop: Path, tmp_path: Path, suffix: str, vertex: Vertex) -> None:
    file = tmp_path / f"spec{suffix}"
    assert vertex(shop, "compile", "-o", str(file)).exit_code == 0
    text = file.read_text(encoding="utf-8")
    spec = yaml.safe_load(text)
    assert text.startswith("{") == (suffix == ".json")
    assert spec["pipelineInfo"]["name"] == "small-shop"
    assert len(spec["root"]["dag"]["tasks"]) == 5
    assert sorted(os.listdir(tmp_path)) == sorted([shop.name, file.name])


def test_a_suffix_that_says_nothing_is_a_wrong_use(shop: Path, tmp_path: Path, vertex: Vertex) -> None:
    result = vertex(shop, "compile", "-o", str(tmp_path / "spec.txt"))
    assert result.exit_code == 2
    assert result.stderr.splitlines()[-1] == (
        f"Error: Invalid value for --output: {tmp_path}/spec.txt must end in .json, .yaml, .yml."
    )


def test_stdout_holds_the_file_and_nothing_else(shop: Path, run: Run, vertex: Vertex) -> None:
    result = vertex(shop, "manifest", "-o", "-")
    assert result.exit_code == 0
    manifest = manifests.loads(result.stdout, "stdout")
    assert result.stderr.splitlines()[-1] == f"Wrote stdout: 3 pipelines, 6 nodes, {manifest.digest[:19]}"
    assert json.loads(vertex(shop, "compile", "-o", "-").stdout) == pipeline_spec(build_plan(manifest))

    done = run(*INSPECT, str(shop), "-o", "-", cwd=shop.parent, KEDRO_LOGGING_CONFIG="")
    assert done.stdout == result.stdout


def test_the_environment_is_the_options_or_kedros_variable(
    shop: Path, tmp_path: Path, run: Run, vertex: Vertex
) -> None:
    file = tmp_path / "m.json"

    def env_of(*arguments: str, **environment: str) -> str | None:
        assert vertex(shop, "manifest", "-o", str(file), *arguments, **environment).exit_code == 0
        return manifests.read(file).env

    assert env_of() is None
    assert env_of("-e", "prod") == "prod"
    assert env_of(KEDRO_ENV="prod") == "prod"
    assert env_of("--env", "local", KEDRO_ENV="prod") == "local"

    # As kedro-vertexai has it: before the command's name. The command's own option wins.
    def env_before(*arguments: str, **environment: str) -> str | None:
        assert vertex(shop, "-e", "prod", "manifest", "-o", str(file), *arguments, **environment).exit_code == 0
        return manifests.read(file).env

    assert env_before() == "prod"
    assert env_before(KEDRO_ENV="local") == "prod"
    assert env_before("-e", "local") == "local"

    # What Airflow runs: its own process's variable says nothing about the project.
    run(*INSPECT, str(shop), "-o", str(file), cwd=tmp_path, KEDRO_ENV="prod")
    assert manifests.read(file).env is None
    run(*INSPECT, str(shop), "--env", "prod", "-o", str(file), cwd=tmp_path)
    assert manifests.read(file).env == "prod"


def test_the_version(shop: Path, vertex: Vertex) -> None:
    result = vertex(shop, "--version")
    assert (result.exit_code, result.stdout) == (0, f"airflow-provider-kedro-vertex, version {__version__}\n")


def test_warnings_are_lines_on_stderr(make_project: MakeProject, tmp_path: Path, vertex: Vertex) -> None:
    project = make_project({"conf/base/vertexai.yml": "host: x\nrun_config:\n  volume: {}\n"})
    result = vertex(project, "manifest", "-o", str(tmp_path / "m.json"))
    assert (result.exit_code, result.stderr.splitlines()) == (
        0,
        [
            "Warning: conf/base/vertexai.yml, line 1: host is ignored: there is no server of one's own to name; "
            "project_id and region say where.",
            "Warning: conf/base/vertexai.yml, line 3: run_config.volume is ignored: nodes share no volume; "
            "intermediate data is stored below root.",
        ],
    )


ERRORS = {
    "no image": (
        {"conf/base/vertexai.yml": "run_config: {root: b}\n"},
        "No image is set: the container image that holds the Kedro project. Set run_config.image in "
        "conf/base/vertexai.yml and write the manifest again, or pass run_config={'image': ...}.",
    ),
    "no root": (
        {"conf/base/vertexai.yml": "run_config: {image: i}\n"},
        "No root is set: the Cloud Storage place where runs keep their data, gs://bucket/prefix. Set run_config.root "
        "in conf/base/vertexai.yml and write the manifest again, or pass run_config={'root': ...}.",
    ),
}


@pytest.mark.parametrize("case", ERRORS)
def test_an_error_is_one_line_and_leaves_the_old_file(
    make_project: MakeProject, tmp_path: Path, case: str, vertex: Vertex
) -> None:
    files, said = ERRORS[case]
    file = tmp_path / "spec.json"
    file.write_text("old")
    result = vertex(make_project(files), "compile", "-o", str(file))
    assert (result.exit_code, result.stdout, result.stderr) == (1, "", f"Error: {said}\n")
    assert file.read_text() == "old"


def test_each_problem_of_the_file_is_a_line(
    make_project: MakeProject, tmp_path: Path, run: Run, vertex: Vertex
) -> None:
    project = make_project({"conf/base/vertexai.yml": "regoin: x\nproject_id: []\n"})
    result = vertex(project, "manifest", "-o", str(tmp_path / "m.json"))
    assert (result.exit_code, result.stderr) == (
        1,
        "Error: conf/base/vertexai.yml, line 1: unknown key regoin. Did you mean 'region'?\n"
        "conf/base/vertexai.yml, line 2: project_id must be a string, not [].\n",
    )
    # Airflow shows the last line of what this writes, so it is one.
    done = run(*INSPECT, str(project), "-o", str(tmp_path / "m.json"), cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (
        1,
        "",
        "conf/base/vertexai.yml, line 1: unknown key regoin. Did you mean 'region'? "
        "conf/base/vertexai.yml, line 2: project_id must be a string, not [].\n",
    )
    assert not (tmp_path / "m.json").exists()


def test_a_file_that_cannot_be_written(shop: Path, tmp_path: Path, vertex: Vertex) -> None:
    for command in ("manifest", "compile"):
        result = vertex(shop, command, "-o", str(tmp_path / "none" / "x.json"))
        assert (result.exit_code, result.stderr.splitlines()[-1]) == (
            1,
            f"Error: Cannot write {tmp_path}/none/x.json: No such file or directory.",
        )


def test_a_missing_option_is_a_wrong_use(shop: Path, tmp_path: Path, run: Run, vertex: Vertex) -> None:
    result = vertex(shop, "manifest")
    done = run(*INSPECT, str(shop), cwd=tmp_path)
    for code, stderr in ((result.exit_code, result.stderr), (done.returncode, done.stderr)):
        assert (code, stderr.splitlines()[-1]) == (2, "Error: Missing option '--output' / '-o'.")


def test_the_folder_to_inspect_may_be_anywhere(shop: Path, tmp_path: Path, run: Run) -> None:
    done = run(*INSPECT, shop.name, "-o", "m.json", cwd=shop.parent)
    assert done.returncode == 0
    assert done.stdout.startswith(f"Wrote {tmp_path}/m.json: 3 pipelines, 6 nodes, sha256:")
    assert manifests.read(tmp_path / "m.json").project.name == "Small Shop"


@pytest.mark.parametrize(
    ("project", "said"),
    [
        ("none", "{cwd}/none is no Kedro project: it has no pyproject.toml."),
        ("", "{cwd} is no Kedro project: it has no pyproject.toml."),
    ],
)
def test_a_folder_that_is_no_project(tmp_path: Path, run: Run, project: str, said: str) -> None:
    done = run(*INSPECT, project, "-o", "m.json", cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", said.replace("{cwd}", str(tmp_path)) + "\n")


def test_an_environment_without_the_extra_is_told_what_to_install(
    make_project: MakeProject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, vertex: Vertex
) -> None:
    monkeypatch.setitem(sys.modules, "airflow_provider_kedro_vertex.project.inspect", None)
    result = vertex(make_project(), "manifest", "-o", str(tmp_path / "m.json"))
    assert result.exit_code == 1
    assert result.stderr.endswith("Install airflow-provider-kedro-vertex[kedro] beside the project.\n")


def test_the_bytes_are_the_same_on_every_machine(
    make_project: MakeProject, shop: Path, tmp_path: Path, run: Run
) -> None:
    """Another hash seed, another folder, another time: what a second machine would have."""
    elsewhere = tmp_path / "another place" / "ä"
    shutil.copytree(shop, elsewhere)
    contents = set()
    for number, project in enumerate((shop, shop, elsewhere, elsewhere)):
        file = tmp_path / f"{number}.json"
        done = run(*INSPECT, str(project), "-o", str(file), cwd=tmp_path, PYTHONHASHSEED=str(number))
        assert done.returncode == 0, done.stderr
        contents.add(file.read_bytes())
    assert len(contents) == 1
    assert str(tmp_path).encode() not in contents.pop()


def test_plan_shows_groups_machines_edges_and_price(shop: Path, vertex: Vertex) -> None:
    done = vertex(shop, "plan", "--grouping", "pipeline", "--to-nodes", "train")
    assert done.exit_code == 0, done.stderr
    assert done.stdout.splitlines()[0].split() == ["GROUP", "NODES", "MACHINE", "$/HOUR", "AFTER"]
    assert "n1-standard-8 + 1 x NVIDIA_TESLA_T4" in done.stdout
    assert "1 container for 3 nodes, 0 edges; at most 1 one after another." in done.stdout
    assert "With a container for each node: 3 containers" in done.stdout
    found = json.loads(vertex(shop, "plan", "--format", "json", "-p", "training").stdout)
    assert [group["nodes"] for group in found["groups"]] == [["train"], ["score"], ["report"]]
    assert found["with_a_container_for_each_node"] is None


def test_plan_tells_what_is_wrong(shop: Path, vertex: Vertex) -> None:
    done = vertex(shop, "plan", "--grouping", "nmae")
    assert (done.exit_code, done.stdout) == (1, "")
    assert "grouping.kind must be one of none, namespace, tag, memory, pipeline, auto, callable" in done.stderr
    done = vertex(shop, "plan", "--nodes", "trian")
    assert "Pipeline '__default__' has no node 'trian'. Did you mean 'train'?" in done.stderr
