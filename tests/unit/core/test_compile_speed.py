"""The times that issue 2 asks for, of a generated project; tests/benchmarks/bench_compile.py prints them."""

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
