"""The times that issues 2 and 4 ask for, of a generated project; tests/benchmarks/bench_compile.py prints them."""

from __future__ import annotations

import runpy
from pathlib import Path

bench = runpy.run_path(str(Path(__file__).parents[2] / "benchmarks" / "bench_compile.py"))


def test_compiling_is_quick_and_grows_with_the_nodes_alone() -> None:
    small, large = (bench["compile_times"](nodes)["all"] for nodes in (400, 4000))
    assert small <= 0.1
    assert large <= 10 * 0.1
    # Ten times the nodes touch ten times the memory, which caches like less; a quadratic part would show as 100.
    assert large <= 25 * small


def test_select_group_check_and_compile_grow_with_the_nodes_alone() -> None:
    small, large = (
        bench["_best"](lambda size=size: bench["together"](bench["generated"](size))) for size in (400, 4000)
    )
    assert large <= 2
    assert large <= 25 * small
    assert bench["taken_bytes"](4000) <= 300e6
