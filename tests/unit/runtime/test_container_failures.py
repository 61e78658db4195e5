"""How a container fails: its exit code, and a log that says why, with one JSON object as the last line."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from tests.unit.runtime.containers import Project, wait_for


def test_user_code_that_fails(shop: Project) -> None:
    shop.store("numbers", [0, 1, 2])
    result = shop.run("fail", pipeline="wrong")
    assert result.code == 1
    assert result.last["node"] == "fail"
    assert result.last["error"] == "ValueError: cannot work with [0, 1, 2]"
    assert 0 < result.last["seconds"] < 120
    traceback = result.log[result.log.index("Traceback") :]
    assert 'src/shop/nodes.py", line' in traceback.splitlines()[1], "it begins with the user's code"
    assert "raise ValueError" in traceback


def test_a_service_that_a_node_cannot_reach_is_the_node_s_failure(shop: Project) -> None:
    shop.store("numbers", [0, 1, 2])
    assert shop.run("unreachable", pipeline="wrong").code == 1


def test_a_node_that_ends_the_process_has_failed(shop: Project) -> None:
    shop.store("numbers", [0, 1, 2])
    result = shop.run("leave", pipeline="wrong")
    assert result.code == 1
    assert result.last["node"] == "leave"
    assert "sys.exit(0)" in result.last["error"]


@pytest.mark.parametrize(
    ("node", "kind"), [("generate", "with a generator"), ("pieces", "with a generator"), ("lock", "a dict, cannot be")]
)
def test_values_that_cannot_be_handed_over(shop: Project, node: str, kind: str) -> None:
    shop.store("numbers", [0, 1, 2])
    result = shop.run(node, pipeline="wrong")
    assert result.code == 1
    assert f"Dataset 'from_{node}'" in result.last["error"]
    assert kind in result.last["error"]
    assert f"Declare 'from_{node}' in the catalog" in result.last["error"]
    assert "Traceback" not in result.log
    assert shop.stored() == ["numbers.bin"], "nothing half-written is left"


@pytest.mark.parametrize("package", ["zstandard", "cloudpickle", "omegaconf"])
def test_an_image_without_the_packages_of_a_container(shop: Project, tmp_path: Path, package: str) -> None:
    (tmp_path / "sitecustomize.py").write_text(f"import sys; sys.modules[{package!r}] = None")
    result = shop.with_variables(PYTHONPATH=str(tmp_path)).run("numbers")
    assert result.code == 2
    assert result.last["error"] == (
        f"This image has no package '{package}'. Install airflow-provider-kedro-vertex[runtime] in it."
    )
    assert "Traceback" not in result.log
    assert shop.stored() == [], "it is found before any node runs"


def test_a_stored_input_that_is_missing(shop: Project) -> None:
    result = shop.run("double")
    assert result.code == 3
    assert result.last["node"] == "double"
    for word in ("'numbers'", "node 'numbers' should have saved it", shop.context.run_key, "numbers.bin"):
        assert word in result.last["error"]
    assert "Traceback" not in result.log


@pytest.mark.parametrize("dataset", ["pattern_file", "cached"])
def test_a_declared_input_that_is_missing(shop: Project, dataset: str) -> None:
    result = shop.run(f"use_{dataset}", pipeline="kinds")
    assert result.code == 3
    assert f"node 'make_{dataset}' should have saved it" in result.last["error"]


def test_a_stored_input_that_is_damaged(shop: Project) -> None:
    shop.store("numbers", [0, 1, 2])
    (stored,) = Path(shop.context.root).rglob("numbers.bin")
    stored.write_bytes(stored.read_bytes()[:-1])
    result = shop.run("double")
    assert result.code == 3
    assert "'numbers'" in result.last["error"]
    assert "damaged" in result.last["error"]


def test_storage_that_cannot_be_reached(shop: Project) -> None:
    Path(shop.context.root).write_text("a file where a folder should be")
    result = shop.run("numbers")
    assert result.code == 4
    assert result.last["node"] == "numbers"
    assert "NotADirectoryError" in result.last["error"] or "FileExistsError" in result.last["error"]


def _replaced(arguments: list[str], flag: str, value: str) -> list[str]:
    place = arguments.index(flag) + 1
    return [*arguments[:place], value, *arguments[place + 1 :]]


@pytest.mark.parametrize(
    ("flag", "value", "said"),
    [
        ("--params", "{", "--params is no JSON"),
        ("--params", "[1]", "--params must be a JSON object"),
        ("--params", "[" * 100_000, "--params is no JSON"),
        ("--context", "nonsense", "context is no JSON"),
        ("--context", "{}", "context lacks"),
        ("--pipeline", "loook", "Did you mean 'look'?"),
        ("--node", "doubel", "Did you mean 'double'?"),
    ],
)
def test_a_wrong_argument(shop: Project, flag: str, value: str, said: str) -> None:
    result = shop.command(*_replaced(shop.arguments("double"), flag, value))
    assert result.code == 2
    assert result.last["node"] is None
    assert said in result.last["error"]
    assert "Traceback" not in result.log


@pytest.mark.parametrize("arguments", [(), ("--pipeline", "x"), ("--nodes", "x")])
def test_an_argument_that_is_missing_or_unknown(shop: Project, arguments: tuple[str, ...]) -> None:
    result = shop.command(*arguments)
    assert (result.code, len(result.lines)) == (2, 1)
    assert "arguments" in result.last["error"]


def test_a_folder_without_a_project(shop: Project) -> None:
    (shop.path / "pyproject.toml").unlink()
    result = shop.run("double")
    assert result.code == 2
    assert "is no Kedro project" in result.last["error"]


def test_a_project_of_another_kedro(shop: Project) -> None:
    metadata = (shop.path / "pyproject.toml").read_text()
    (shop.path / "pyproject.toml").write_text(metadata.replace("1.0.0", "0.19.1"))
    result = shop.run("double")
    assert result.code == 2
    assert "0.19.1" in result.last["error"]


@pytest.mark.parametrize(
    ("catalog", "said"),
    [
        ("total: {type: no.such.Dataset}", "no.such.Dataset"),
        ("total: [", "YAML"),
        ("total: {type: json.JSONDataset, filepath: '${nowhere}'}", "nowhere"),
    ],
)
def test_a_catalog_that_is_wrong(shop: Project, catalog: str, said: str) -> None:
    (shop.path / "conf" / "base" / "catalog.yml").write_text(catalog)
    result = shop.run("total")
    assert result.code == 2, result.log
    assert said in result.last["error"]
    assert "Traceback" not in result.log


def test_an_input_that_nobody_declares_or_makes(shop: Project) -> None:
    result = shop.run("undeclared", pipeline="undeclared")
    assert result.code == 2
    assert "'nowhere'" in result.last["error"]


def test_a_project_that_cannot_be_imported(shop: Project) -> None:
    with (shop.path / "src" / "shop" / "nodes.py").open("a") as file:
        file.write("\nimport a_package_that_is_missing\n")
    result = shop.run("double")
    assert result.code == 1
    assert "a_package_that_is_missing" in result.last["error"]
    assert "nodes.py" in result.log


def test_compression_that_is_no_level(shop: Project) -> None:
    result = shop.with_variables(KEDRO_VERTEX_COMPRESSION="lots").run("double")
    assert result.code == 2
    assert "KEDRO_VERTEX_COMPRESSION" in result.last["error"]


THREADS = ("--settings", '{"runner": "thread"}')


@pytest.mark.parametrize(("pipeline", "more"), [("wrong", ()), ("threads", THREADS)])
def test_sigterm(shop: Project, pipeline: str, more: tuple[str, ...]) -> None:
    shop.store("numbers", [0, 1, 2])
    process = shop.start(*shop.arguments("rest", pipeline=pipeline), *more)
    wait_for((shop.path / "resting").exists, process)
    process.send_signal(signal.SIGTERM)
    log, _ = process.communicate(timeout=120)
    assert process.returncode == 143
    last = json.loads(log.splitlines()[-1])
    assert last["node"] == "rest"
    assert "SIGTERM" in last["error"]


def test_which_node_failed_among_those_in_threads(shop: Project) -> None:
    result = shop.command(*shop.arguments("fail", "go_on", pipeline="threads"), *THREADS)
    assert (result.code, result.last["node"]) == (1, "fail")
    assert "fails beside another one" in result.last["error"]


def test_a_slice_whose_input_nobody_keeps(shop: Project) -> None:
    result = shop.command(*shop.arguments("double"), "--free-input", "numbers")
    assert result.code == 2
    assert "Node 'numbers', which makes 'numbers', is not part of this run" in result.last["error"]
    assert "declare 'numbers' in the catalog" in result.last["error"]


def test_kill_9_during_a_save(shop: Project) -> None:
    shop.store("numbers", [0, 1, 2])
    process = shop.start(*shop.arguments("slow", pipeline="wrong"))
    wait_for((shop.path / "saving").exists, process)
    (part,) = Path(shop.context.root).rglob("from_slow.bin*")
    assert part.stat().st_size > 1_000_000, "it is in the middle of the save"
    process.kill()
    process.communicate(timeout=120)

    assert "from_slow.bin" not in shop.stored()
    assert shop.run("keep", pipeline="wrong").code == 3
    (shop.path / "go-on").touch()
    shop.succeed("slow", pipeline="wrong")
    shop.succeed("keep", pipeline="wrong")


def test_a_transcoded_dataset_that_is_kept_nowhere(shop: Project) -> None:
    registry = shop.path / "src" / "shop" / "pipeline_registry.py"
    registry.write_text(
        registry.read_text().replace(
            'node(nodes.keep, name, f"{name', 'node(nodes.keep, name.replace("@memory", "@other"), f"{name'
        )
    )
    shop.succeed("make_table", pipeline="kinds")
    for nodes in (("use_table",), ("make_table", "use_table")):
        result = shop.run(*nodes, pipeline="kinds")
        assert result.code == 2
        assert "Dataset 'table' is made as 'table@memory' and loaded as 'table@other'" in result.last["error"]
