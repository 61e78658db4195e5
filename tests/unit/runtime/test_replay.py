"""The command `replay`: nodes run as in their container, and nothing of what they make is kept."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.unit.runtime.containers import Project, Result

COMMAND = ("-m", "airflow_provider_kedro_vertex.runtime", "replay")


def replay(
    project: Project,
    *nodes: str,
    pipeline: str = "__default__",
    more: tuple[str, ...] = (),
    params: object = None,
) -> Result:
    done = subprocess.run(
        [project.python, *COMMAND, *project.arguments(*nodes, pipeline=pipeline, params=params), *more],
        cwd=project.path,
        env=project.environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
    )
    return Result(done.returncode, done.stdout)


def files(project: Project) -> dict[str, tuple[bytes, int]]:
    """What lies in the project's data and in the run's place, and when it was written."""
    places = [project.path / "data", Path(project.context.root)]
    found = [path for place in places for path in place.rglob("*") if path.is_file()]
    return {str(path): (path.read_bytes(), path.stat().st_mtime_ns) for path in found}


def test_no_dataset_of_any_kind_is_saved(shop: Project) -> None:
    shop.succeed("numbers", params={"size": 4})
    shop.succeed("double")
    shop.succeed("total")
    before = files(shop)
    assert len(before) >= 3, "two undeclared ones, and a versioned one"

    for node in ("double", "total", "report"):
        done = replay(shop, node)
        assert done.code == 0, done.log
    # The versioned one that its node saved in this very run has no other version now, nor one put aside.
    assert files(shop) == before
    assert shop.total() == {"total": 12}


def test_of_a_container_the_nodes_run_that_the_last_one_needs(shop: Project) -> None:
    nodes = ("numbers", "fail", "leave")
    done = replay(shop, *nodes, pipeline="wrong", more=("--up-to", "numbers"), params={"size": 3})
    assert done.code == 0, done.log
    # What the first one makes is in memory, since both were in one container.
    done = replay(shop, *nodes, pipeline="wrong", more=("--up-to", "fail"), params={"size": 3})
    assert (done.code, done.last["node"]) == (1, "fail")
    assert done.last["error"] == "ValueError: cannot work with [0, 1, 2]"
    assert files(shop) == {}


def test_a_node_that_the_container_had_not_is_refused(shop: Project) -> None:
    done = replay(shop, "numbers", "double", more=("--up-to", "total"))
    assert done.code == 2
    assert done.last["error"].startswith("Node 'total' is not one of those that this container ran.")


def test_a_run_takes_no_option_of_a_replay(shop: Project) -> None:
    done = shop.command(*shop.arguments("numbers"), "--up-to", "numbers")
    assert done.code == 2
    assert "--up-to" in done.last["error"]
    assert shop.stored() == []
