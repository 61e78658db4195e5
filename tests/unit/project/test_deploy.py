"""``kedro vertex deploy``: what it writes, in which order, and what Airflow reads if it is killed."""

from __future__ import annotations

import json
import os
import runpy
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest
from google.auth.credentials import AnonymousCredentials

from airflow_provider_kedro_vertex.compat import DAG
from airflow_provider_kedro_vertex.core.errors import ConfigError, UnavailableError
from airflow_provider_kedro_vertex.core.project import manifest as manifests
from airflow_provider_kedro_vertex.core.project.manifest import Manifest, Pipeline
from airflow_provider_kedro_vertex.project.deployment import Bucket, LocalFolder, deployment, named_pipelines
from airflow_provider_kedro_vertex.vertex.client import Endpoints, VertexClient
from tests.storage import storage_emulator
from tests.unit.conftest import small_manifest
from tests.unit.project.test_commands import CONFIGURED, REGISTRY, VERTEXAI

MakeProject = Callable[..., Path]
Vertex = Callable[..., Any]

OWN = """
from airflow_provider_kedro_vertex import kedro_vertex_dag
for name in {names}:
    dag = kedro_vertex_dag(pipeline=name, manifest="small.manifest.json", schedule=None)
    globals()[dag.dag_id] = dag
KNOWN = dict(pipelines={names})
"""

ALL = """
from airflow_provider_kedro_vertex import kedro_vertex_dags
kedro_vertex_dags(globals(), manifest="small.manifest.json")
"""


def dag_ids(folder: Path) -> set[str]:
    """The DAGs that Airflow finds in a folder."""
    found = [value for file in sorted(folder.glob("*.py")) for value in runpy.run_path(str(file)).values()]
    return {value.dag_id for value in found if isinstance(value, DAG)}


def of(*pipelines: str) -> Manifest:
    """A manifest with these pipelines."""
    small = small_manifest()
    nodes = small.pipelines["__default__"].nodes
    return replace(small, pipelines={name: Pipeline(name, nodes) for name in pipelines})


@pytest.fixture(scope="module")
def storage() -> Iterator[str]:
    with storage_emulator("composer") as url:
        yield url


def test_the_first_deployment_and_the_next_ones(make_project: MakeProject, vertex: Vertex, tmp_path: Path) -> None:
    project, folder = make_project(CONFIGURED), tmp_path / "dags"
    data, code = (folder / f"{project.name}{suffix}" for suffix in (".manifest.json", ".py"))

    done = vertex(project, "deploy", str(folder), "--dry-run")
    assert (done.exit_code, folder.exists()) == (0, False)
    assert f"Would write {data}\nWould write {code}\n" in done.stdout
    done = vertex(project, "deploy", str(folder))
    assert done.exit_code == 0, done.stderr
    assert "the first one" in done.stdout
    assert "+ pipeline '__default__': 2 nodes, " in done.stdout
    assert done.stdout.endswith(f"Wrote {data}\nWrote {code}\n")
    assert dag_ids(folder) == {project.name, f"{project.name}_other"}
    assert sorted(file.name for file in folder.iterdir()) == sorted([data.name, code.name])

    code.write_text(code.read_text().replace(")\n", ', schedule="@daily")\n'))
    mine = code.read_text()
    done = vertex(project, "deploy", str(folder))
    assert (done.exit_code, done.stdout.splitlines()[-1]) == (0, f"{folder} is up to date.")

    (project / VERTEXAI).write_text(CONFIGURED[VERTEXAI].replace("shop:1", "shop:2"))
    done = vertex(project, "deploy", str(folder), "--format", "json")
    assert (done.exit_code, code.read_text()) == (0, mine)
    assert {"what": "config.image", "old": "r.test/shop:1", "new": "r.test/shop:2"} in json.loads(done.stdout)[
        "settings"
    ]
    assert done.stderr.endswith(f"Wrote {data}\n")
    done = vertex(project, "deploy", str(folder), "--image", "r.test/shop:3")
    assert "config.image: r.test/shop:2 -> r.test/shop:3" in done.stdout
    assert manifests.read(data).config.image == "r.test/shop:3"


def test_what_is_written_is_what_the_manifest_command_writes(
    make_project: MakeProject, vertex: Vertex, tmp_path: Path
) -> None:
    project = make_project(CONFIGURED)
    assert vertex(project, "deploy", str(tmp_path / "dags")).exit_code == 0
    assert vertex(project, "manifest", "-o", str(tmp_path / "m.json")).exit_code == 0
    assert (tmp_path / f"dags/{project.name}.manifest.json").read_text() == (tmp_path / "m.json").read_text()


def test_an_error_of_the_checks_deploys_nothing(make_project: MakeProject, vertex: Vertex, tmp_path: Path) -> None:
    catalog = "model: {type: pickle.PickleDataset, filepath: gs://shop/model.pkl}\n"
    project = make_project({**CONFIGURED, "conf/base/catalog.yml": catalog})
    done = vertex(project, "deploy", str(tmp_path / "dags"))
    assert (done.exit_code, "'raw'" in done.stderr, (tmp_path / "dags").exists()) == (1, True, False)
    assert "Traceback" not in done.stderr


def test_some_of_the_pipelines(make_project: MakeProject, vertex: Vertex, tmp_path: Path) -> None:
    """Those that are not asked for need not pass the checks, and get no DAG."""
    registry = REGISTRY.replace('"empty"', '"broken": pipeline([node(copy, "nowhere", "x", name="n")]), "empty"')
    project = make_project({**CONFIGURED, "src/{package}/pipeline_registry.py": registry})
    assert vertex(project, "deploy", str(tmp_path / "dags")).exit_code == 1
    done = vertex(project, "deploy", str(tmp_path / "dags"), "-p", "other", "-p", "__default__")
    assert done.exit_code == 0, done.stderr
    assert dag_ids(tmp_path / "dags") == {project.name, f"{project.name}_other"}
    done = vertex(project, "deploy", str(tmp_path / "dags"), "-p", "othr")
    assert (done.exit_code, "Did you mean 'other'?" in done.stderr) == (1, True)


def test_to_a_bucket(make_project: MakeProject, vertex: Vertex, tmp_path: Path, storage: str) -> None:
    project, url = make_project(CONFIGURED), "gs://composer/eu/dags"
    address = {"STORAGE_EMULATOR_HOST": storage}
    # No credentials: the commands of this test reach the emulator of this machine alone.
    environment = {**address, "KEDRO_VERTEX_API_ENDPOINT": "http://127.0.0.1:9"}
    done = vertex(project, "deploy", f"{url}/", **environment)
    assert done.exit_code == 0, done.stderr
    assert done.stdout.endswith(f"Wrote {url}/{project.name}.manifest.json\nWrote {url}/{project.name}.py\n")
    done = vertex(project, "deploy", url, **environment)
    assert done.stdout.splitlines()[-1] == f"{url} is up to date."

    bucket = Bucket(VertexClient("p", "europe-west1", AnonymousCredentials(), Endpoints(storage=storage)), url)
    for name in (f"{project.name}.manifest.json", f"{project.name}.py"):
        LocalFolder(tmp_path / "dags").write(name, bucket.read(name) or "")
    assert dag_ids(tmp_path / "dags") == {project.name, f"{project.name}_other"}


@pytest.mark.parametrize("target", ["gs://", "gs://bucket", "gs:///dags", "s3://bucket/dags", "https://x.test/dags"])
def test_what_is_no_folder(make_project: MakeProject, vertex: Vertex, target: str) -> None:
    project = make_project(CONFIGURED)
    done = vertex(project, "deploy", target)
    assert (done.exit_code, f"{target} is no DAGs folder." in done.stderr) == (1, True), done.stderr


def test_a_bucket_that_is_not_there(make_project: MakeProject, vertex: Vertex, storage: str) -> None:
    project = make_project(CONFIGURED)
    done = vertex(project, "deploy", "gs://none/dags", STORAGE_EMULATOR_HOST=storage)
    assert (done.exit_code, "Traceback" in done.stderr) == (1, False), done.stderr
    assert "Cloud Storage refused" in done.stderr


def test_the_projects_own_dag_file(tmp_path: Path) -> None:
    folder, own = LocalFolder(tmp_path / "there"), tmp_path / "dags" / "small.py"
    LocalFolder(own.parent).write(own.name, OWN.format(names='["first"]'))
    todo = deployment(of("__default__", "first"), folder, own)
    assert [file.name for file in todo.files] == ["small.manifest.json", "small.py"]
    for file in todo.files:
        folder.write(file.name, file.text)
    assert dag_ids(folder.path) == {"small_first"}
    own.write_text(OWN.format(names='["__default__"]'))
    assert [file.name for file in deployment(of("__default__", "first"), folder, own).files] == ["small.py"]

    own.write_text("def dag(:\n")
    with pytest.raises(ConfigError, match=r"small.py, line 1 is no Python"):
        deployment(of("first"), folder, own)
    own.write_text("import other_dags\n")
    (remark,) = deployment(of("__default__", "first"), folder, own).remarks
    assert "does not name small.manifest.json" in remark


def test_no_second_dag_file_beside_one_of_another_name(tmp_path: Path) -> None:
    folder = LocalFolder(tmp_path)
    folder.write("ours.py", OWN.format(names='["first"]'))
    (file,) = deployment(of("first"), folder, tmp_path / "none" / "small.py").files
    assert file.name == "small.manifest.json"


def test_what_else_is_in_the_folder_is_in_nobodys_way(tmp_path: Path) -> None:
    (tmp_path / "package.py").mkdir()
    (tmp_path / ".#small.py").symlink_to("someone@host.1234")  # an editor's lock
    (tmp_path / "theirs.py").write_bytes("# coding: latin-1\nname = 'Zoé'\n".encode("latin-1"))
    todo = deployment(of("first"), LocalFolder(tmp_path), tmp_path / "none" / "small.py")
    assert [file.name for file in todo.files] == ["small.manifest.json", "small.py"]
    # It is looked into all the same.
    theirs = "# coding: latin-1\n# Zoé\n" + OWN.format(names='["first"]')
    (tmp_path / "theirs.py").write_bytes(theirs.encode("latin-1"))
    todo = deployment(of("first"), LocalFolder(tmp_path), tmp_path / "none" / "small.py")
    assert [file.name for file in todo.files] == ["small.manifest.json"]


def test_a_dags_folder_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "dags").touch()
    with pytest.raises(ConfigError, match=r"^Cannot read \S+/dags/small\.manifest\.json: Not a directory\.$"):
        deployment(of("first"), LocalFolder(tmp_path / "dags"), tmp_path / "none" / "small.py")


def test_a_dag_file_of_something_else_is_not_written_over(tmp_path: Path) -> None:
    folder = LocalFolder(tmp_path)
    folder.write("small.py", "print('mine')\n")
    with pytest.raises(ConfigError, match=r"small.py is there and does not read small.manifest.json"):
        deployment(of("first"), folder, tmp_path / "none" / "small.py")


def test_a_damaged_manifest_is_replaced_and_told(tmp_path: Path) -> None:
    LocalFolder(tmp_path).write("small.manifest.json", "{")
    todo = deployment(of("first"), LocalFolder(tmp_path), tmp_path / "none" / "small.py")
    assert [file.name for file in todo.files] == ["small.manifest.json", "small.py"]
    assert "damaged" in todo.remarks[0]


@pytest.mark.parametrize("where", ["there", "own"])
def test_a_dag_file_that_names_a_pipeline_that_is_gone(tmp_path: Path, where: str) -> None:
    folder, own = LocalFolder(tmp_path / "there"), tmp_path / "dags" / "small.py"
    folder.write("small.manifest.json", manifests.dumps(of("__default__", "old")))
    (folder if where == "there" else LocalFolder(own.parent)).write("small.py", OWN.format(names='["old"]'))
    with pytest.raises(ConfigError, match=rf"{where if where == 'there' else 'dags'}/small.py names pipeline 'old'"):
        deployment(of("__default__"), folder, own)


def test_named_pipelines() -> None:
    text = """
kedro_vertex_dag("a", pipeline="b", tags=["c"])
kedro_vertex_dags(globals(), pipelines=["d", name], manifest="e")
S = [{"pipeline": "f", "other": "g"}, {**S, 1: "h"}]
Operator(pipeline="i,j")
"""
    assert named_pipelines(text) == {"b", "d", "f", "i", "j"}
    assert named_pipelines("def (") == set()


#: Works out a deployment and is killed when it does the n-th thing to the folder.
KILLED = """
import os, signal, sys
from pathlib import Path
from airflow_provider_kedro_vertex.core.project import manifest as manifests
from airflow_provider_kedro_vertex.project.deployment import LocalFolder, deployment

folder, new, own, left = Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4])
todo = deployment(manifests.read(new), LocalFolder(folder), own)

def count(event, arguments):
    global left
    if any(str(folder) in str(argument) for argument in arguments[:2]):
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        left -= 1

sys.addaudithook(count)
for file in todo.files:
    LocalFolder(folder).write(file.name, file.text)
"""

#: The pipelines and the project's own DAG file before and after; None is no DAG file of its own.
CHANGES = [
    pytest.param((), None, ("__default__", "first"), None, id="the first deployment"),
    pytest.param(("__default__", "old"), None, ("__default__", "new"), None, id="another pipeline"),
    pytest.param(("__default__",), '["__default__"]', ("__default__", "new"), '["new"]', id="a DAG file for a new one"),
    pytest.param(
        ("__default__", "old"), '["old"]', ("__default__",), '["__default__"]', id="no DAG file for an old one"
    ),
]


def states_of(
    before: tuple[str, ...], own_before: str | None, after: tuple[str, ...], own_after: str | None
) -> set[frozenset[str]]:
    """The ids of the DAGs before and after."""
    ids = {name: "small" if name == "__default__" else f"small_{name}" for name in (*before, *after)}
    return {
        frozenset(ids[name] for name in names if own is None or f'"{name}"' in own)
        for names, own in ((before, own_before), (after, own_after))
    }


@pytest.mark.parametrize(("before", "own_before", "after", "own_after"), CHANGES)
def test_killed_at_any_point_it_leaves_the_old_state_or_the_new_one(
    tmp_path: Path, before: tuple[str, ...], own_before: str | None, after: tuple[str, ...], own_after: str | None
) -> None:
    states = states_of(before, own_before, after, own_after)
    new = tmp_path / "new.json"
    manifests.write(of(*after), new)
    own = tmp_path / "dags" / "small.py"
    own.parent.mkdir()
    seen = set()
    for at in range(100):
        folder = LocalFolder(tmp_path / f"there_{at}")
        folder.path.mkdir()
        if before:
            folder.write("small.manifest.json", manifests.dumps(of(*before)))
            folder.write("small.py", OWN.format(names=own_before) if own_before else ALL)
        if own_after:
            own.write_text(OWN.format(names=own_after))
        command = [sys.executable, "-c", KILLED, str(folder.path), str(new), str(own), str(at)]
        done = subprocess.run(command, env={**os.environ}, capture_output=True, text=True)
        assert done.returncode in (0, -9), done.stderr
        found = frozenset(dag_ids(folder.path))
        assert found in states, f"killed at {at}: {sorted(path.name for path in folder.path.iterdir())}"
        seen.add(found)
        if done.returncode == 0:
            break
    assert at >= 4
    assert seen == states


class Failing(Bucket):
    """A bucket that cannot be reached any more after some writes."""

    left: ClassVar[int] = 0

    def write(self, name: str, text: str) -> None:
        if Failing.left == 0:
            raise UnavailableError("Cloud Storage does not answer.")
        Failing.left -= 1
        super().write(name, text)


@pytest.mark.parametrize(("before", "own_before", "after", "own_after"), CHANGES)
def test_a_bucket_that_fails_after_any_write_has_the_old_state_or_the_new_one(
    tmp_path: Path,
    storage: str,
    before: tuple[str, ...],
    own_before: str | None,
    after: tuple[str, ...],
    own_after: str | None,
) -> None:
    client = VertexClient("p", "europe-west1", AnonymousCredentials(), Endpoints(storage=storage))
    states, seen = states_of(before, own_before, after, own_after), set()
    own = tmp_path / "dags" / "small.py"
    if own_after:
        LocalFolder(own.parent).write(own.name, OWN.format(names=own_after))
    for writes in range(3):
        bucket = Failing(client, f"gs://composer/{tmp_path.name}/{writes}")
        Failing.left = 2
        if before:
            bucket.write("small.manifest.json", manifests.dumps(of(*before)))
            bucket.write("small.py", OWN.format(names=own_before) if own_before else ALL)
        Failing.left = writes
        with suppress(UnavailableError):
            for file in deployment(of(*after), bucket, own).files:
                bucket.write(file.name, file.text)
        read = LocalFolder(tmp_path / f"there_{writes}")
        for name in ("small.manifest.json", "small.py"):
            if (text := bucket.read(name)) is not None:
                read.write(name, text)
        found = frozenset(dag_ids(read.path)) if read.path.exists() else frozenset()
        assert found in states
        seen.add(found)
    assert seen == states


def test_neither_order_is_safe(tmp_path: Path) -> None:
    """The DAG file gives up a pipeline that is gone, and takes one that is new."""
    folder, own = LocalFolder(tmp_path / "there"), tmp_path / "dags" / "small.py"
    folder.write("small.manifest.json", manifests.dumps(of("old")))
    folder.write("small.py", OWN.format(names='["old"]'))
    LocalFolder(own.parent).write("small.py", OWN.format(names='["new"]'))
    with pytest.raises(ConfigError, match="Deploy twice"):
        deployment(of("new"), folder, own)
