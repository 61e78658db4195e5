from __future__ import annotations

import pytest

from airflow_provider_kedro_vertex.emulator.resources.quantities import cpus, memory


@pytest.mark.parametrize(("text", "number"), [("2", 2.0), ("0.5", 0.5), (".5", 0.5), ("500m", 0.5), ("1.0", 1.0)])
def test_cpus(text: str, number: float) -> None:
    assert cpus(text) == number


@pytest.mark.parametrize(
    ("text", "number"),
    [("1000", 1000), ("2G", 2 * 10**9), ("512Mi", 512 * 2**20), ("1.5K", 1500), ("1Ki", 1024), ("1E", 10**18)],
)
def test_memory(text: str, number: int) -> None:
    assert memory(text) == number


@pytest.mark.parametrize("text", ["", "0", "0m", "-1", "1 ", "2c", "1e3", "abc", "1.2.3", "NaN"])
def test_what_is_no_number_of_cpus_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no number of CPUs"):
        cpus(text)


@pytest.mark.parametrize("text", ["", "0", "0G", "-1G", "4 gigs", "1g", "1GB", "Mi", "inf"])
def test_what_is_no_amount_of_memory_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no amount of memory"):
        memory(text)
