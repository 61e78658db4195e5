"""The limits of malloc in a job's body, counted in the pages that the kernel has to hand over to its container."""

from __future__ import annotations

import ctypes

import pytest

from airflow_provider_kedro_vertex.core.jobs.job_body import environment
from airflow_provider_kedro_vertex.core.settings.run_config import NodeSettings
from tests.unit.runtime.containers import Project

pytestmark = pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="this C library has no mallopt")

# Each block is larger than all before it, so glibc, left alone, takes each from the kernel. A block above the largest
# limit is given back in either case.
COUNTS_PAGES = """
import os, resource

def pages(*mebibytes):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for size in mebibytes:
        b"x" * (size << 20)
    return (resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) * os.sysconf("SC_PAGE_SIZE") >> 20

class CountsPages:
    @hook_impl
    def before_pipeline_run(self):
        with open("pages.txt", "w") as file:
            print(pages(*range(1, 30)), pages(40, 40, 40), file=file)

HOOKS = (*HOOKS, CountsPages())
"""


def taken(shop: Project, env: dict[str, str]) -> tuple[int, int]:
    """MiB that the process took from the kernel: for blocks of 1 to 29 MiB after each other, and three of 40 MiB."""
    variables = {variable["name"]: variable["value"] for variable in environment(NodeSettings(env=env))}
    shop.with_variables(**variables).succeed("numbers")
    growing, large = (shop.path / "pages.txt").read_text().split()
    return int(growing), int(large)


@pytest.fixture
def counting(shop: Project) -> Project:
    with (shop.path / "src" / "shop" / "settings.py").open("a") as settings:
        settings.write("from kedro.framework.hooks import hook_impl\n" + COUNTS_PAGES)
    return shop


def test_blocks_are_used_again_and_large_ones_given_back(counting: Project) -> None:
    growing, large = taken(counting, {})
    assert growing <= 32, "the largest of them, 29 MiB, and not all together, 435"
    assert large >= 120


@pytest.mark.parametrize(
    "setting", [{"MALLOC_TRIM_THRESHOLD_": "131072"}, {"GLIBC_TUNABLES": "glibc.malloc.trim_threshold=131072"}]
)
def test_what_the_settings_say_of_malloc_holds(counting: Project, setting: dict[str, str]) -> None:
    growing, _ = taken(counting, setting)
    assert growing >= 400


def test_a_container_with_as_many_variables_as_vertex_ai_takes_gets_no_more() -> None:
    assert len(environment(NodeSettings(env={f"V{index}": "" for index in range(98)}))) == 100
    assert len(environment(NodeSettings(env={f"V{index}": "" for index in range(99)}))) == 99
