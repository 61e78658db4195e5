"""Versioned datasets: one version for each run, in every container and every try."""

from __future__ import annotations

from tests.unit.runtime.containers import Project, context


def _later(shop: Project) -> Project:
    return shop.in_run(context(shop.context.root, "run-2", day=2))


def test_a_run_loads_what_it_saved_beside_a_later_one(shop: Project) -> None:
    later = _later(shop)
    for project, values in ((shop, [0, 2, 4]), (later, [20])):
        project.store("doubled", values)
        project.succeed("total")
    assert (shop.total(), later.total()) == ({"total": 6}, {"total": 20})
    shop.store("numbers", [0, 1, 2])
    shop.succeed("report")
    hooks = (shop.path / "hooks.log").read_text()
    assert "after load total {'total': 6}" in hooks
    assert "{'total': 20}" not in hooks.partition("before load total")[2]


def test_within_a_group_too(shop: Project) -> None:
    later = _later(shop)
    later.store("doubled", [20])
    later.succeed("total")
    shop.succeed("numbers", "double", "total", "report")
    assert "after load total {'total': 6}" in (shop.path / "hooks.log").read_text()


def test_another_run_s_version_does_not_stand_in_for_a_missing_one(shop: Project) -> None:
    later = _later(shop)
    later.store("doubled", [20])
    later.succeed("total")
    shop.store("numbers", [0, 1, 2])
    result = shop.run("report")
    assert result.code == 3
    assert "node 'total' should have saved it" in result.last["error"]


def test_two_runs_side_by_side(shop: Project) -> None:
    runs = [shop, _later(shop)]
    groups = (("numbers", "double"), ("total",), ("report",))
    for group in groups:
        processes = [
            project.start(*project.arguments(*group, params={"size": size}))
            for project, size in zip(runs, (3, 5), strict=True)
        ]
        for process in processes:
            log, _ = process.communicate(timeout=120)
            assert process.returncode == 0, log
    assert [project.total() for project in runs] == [{"total": 6}, {"total": 20}]
    for project, text in zip(runs, ("6 from 3", "20 from 5"), strict=True):
        assert project.stored_value("report") == {"text": text}, "the report was made from the run's own version"


def test_a_slice_loads_the_latest_version_of_what_it_does_not_make(shop: Project) -> None:
    later = _later(shop)
    later.store("doubled", [20])
    later.succeed("total")
    shop.store("numbers", [0, 1, 2])
    result = shop.command(*shop.arguments("report"), "--free-input", "total")
    assert result.code == 0, result.log
    assert shop.stored_value("report") == {"text": "20 from 3"}


def test_what_no_node_makes_is_loaded_in_its_latest_version(shop: Project) -> None:
    for version, price in (("2013-01-01T00.00.00.000Z", 1), ("2013-06-01T00.00.00.000Z", 2)):
        folder = shop.path / "data" / "prices.json" / version
        folder.mkdir(parents=True)
        (folder / "prices.json").write_text(str(price))
    shop.succeed("prices", pipeline="prices")
    assert shop.json("data/seen.json") == 2


def test_a_second_try_replaces_what_the_first_one_saved(shop: Project) -> None:
    shop.succeed("numbers", "double", "total", params={"size": 3})
    shop.succeed("numbers", "double", "total", params={"size": 4})
    assert shop.total() == {"total": 12}
    (version,) = (shop.path / "data" / "total.json").iterdir()
    assert [path.name for path in version.iterdir()] == ["total.json"], "nothing else is left"


def test_a_second_try_that_cannot_save_keeps_what_the_first_one_saved(shop: Project) -> None:
    shop.succeed("numbers", "total", pipeline="spoiled")
    (shop.path / "spoil").touch()
    result = shop.run("numbers", "total", pipeline="spoiled")
    assert result.code == 1
    assert result.last["node"] == "total"
    assert "not JSON serializable" in result.last["error"]
    assert shop.total() == {"total": 3}
    (version,) = (shop.path / "data" / "total.json").iterdir()
    assert [path.name for path in version.iterdir()] == ["total.json"]
