"""The Dockerfile of ``kedro vertex init``; the tests of containers build it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.unit.project.conftest import MakeProject, Vertex
from tests.workflows import commit_all

PACKAGE = "airflow-provider-kedro-vertex"


def dockerfile(project: Path, vertex: Vertex) -> str:
    assert vertex(project, "init", "shop-project", "europe-west1").exit_code == 0
    text = (project / "Dockerfile").read_text()
    assert "@" not in text
    assert text.endswith("\nUSER kedro\n")
    return text


def test_the_dockerfile_has_the_python_that_wrote_it(make_project: MakeProject, vertex: Vertex) -> None:
    text = dockerfile(make_project(), vertex)
    assert f"\nFROM python:{sys.version_info.major}.{sys.version_info.minor}-slim\n" in text


@pytest.mark.parametrize("folder", ["", "src/"])
def test_requirements_are_a_layer_before_the_project(folder: str, make_project: MakeProject, vertex: Vertex) -> None:
    text = dockerfile(make_project({f"{folder}requirements.txt": "kedro\n"}), vertex)
    assert f"\nCOPY {folder}requirements*.txt ./\n" in text
    assert f'pip install --no-cache-dir --requirement requirements.txt "{PACKAGE}[runtime]"\n' in text
    assert text.index("pip install") < text.index("COPY --chown=kedro . .")


def test_without_requirements_the_project_itself_names_its_packages(make_project: MakeProject, vertex: Vertex) -> None:
    kedro = '[tool.kedro]\npackage_name = "{}"\nproject_name = "x"\nkedro_init_version = "1.0.0"\n'
    plain = make_project({"pyproject.toml": kedro.format("plain_shop")}, "plain_shop")
    text = dockerfile(plain, vertex)
    assert f'\nRUN pip install --no-cache-dir "{PACKAGE}[runtime]"\n' in text
    built = {"pyproject.toml": kedro.format("built_shop") + '[build-system]\nrequires = ["setuptools"]\n'}
    text = dockerfile(make_project(built, "built_shop"), vertex)
    assert f'\nRUN pip install --no-cache-dir . "{PACKAGE}[runtime]"\n' in text
    assert text.index("COPY --chown=kedro . .") < text.index("pip install")


def test_a_project_with_mlflow_gets_it_in_its_image(make_project: MakeProject, vertex: Vertex) -> None:
    text = dockerfile(make_project({"conf/base/mlflow.yml": "server: {}\n", "requirements.txt": "kedro\n"}), vertex)
    assert f'"{PACKAGE}[runtime,mlflow]"\n' in text


def test_a_projects_own_dockerfile_stays_also_with_force(make_project: MakeProject, vertex: Vertex) -> None:
    project = make_project({"Dockerfile": "FROM mine\n"})
    done = vertex(project, "init", "shop-project", "europe-west1")
    assert (done.exit_code, done.stderr) == (0, "")
    assert "Kept Dockerfile, which was there\n" in done.stdout
    (project / ".dockerignore").write_text("mine\n")
    done = vertex(project, "init", "shop-project", "europe-west1", "--force")
    assert "Kept Dockerfile, which was there\nKept .dockerignore, which was there\n" in done.stdout
    assert (project / "Dockerfile").read_text() == "FROM mine\n"
    assert (project / ".dockerignore").read_text() == "mine\n"


def test_in_a_repository_the_next_commands_begin_with_the_images_tag(make_project: MakeProject, vertex: Vertex) -> None:
    done = vertex(make_project(), "init", "shop-project", "europe-west1")
    following = ["  kedro vertex check", "  kedro vertex build --push", "  kedro vertex run-once --wait"]
    assert done.stdout.splitlines()[-4:] == ["Next:", *following]
    project = make_project()
    commit_all(project)
    done = vertex(project, "init", "shop-project", "europe-west1")
    first = "  export KEDRO_CONFIG_COMMIT_ID=$(git rev-parse HEAD)"
    assert done.stdout.splitlines()[-5:] == ["Next:", first, *following]


def test_a_project_with_data_at_home_is_told_how_it_gets_to_vertex_ai(
    make_project: MakeProject, vertex: Vertex
) -> None:
    push = "  kedro vertex push-data  # once run_config.data_root is set in conf/base/vertexai.yml"
    project = make_project({"data/01_raw/.gitkeep": ""})
    assert push not in vertex(project, "init", "shop-project", "europe-west1").stdout.splitlines()
    project = make_project({"data/01_raw/trips.csv": "day,trips\n"})
    done = vertex(project, "init", "shop-project", "europe-west1")
    assert done.stdout.splitlines()[-5:-3] == ["Next:", push]
