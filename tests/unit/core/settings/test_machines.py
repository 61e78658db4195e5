from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from google.cloud.aiplatform_v1.types import AcceleratorType
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_kedro_vertex.core.errors import ConfigError
from airflow_provider_kedro_vertex.core.settings.machine_prices import ACCELERATOR_DOLLARS, AS_OF
from airflow_provider_kedro_vertex.core.settings.machine_types import ACCELERATORS, ATTACHED, REGIONS
from airflow_provider_kedro_vertex.core.settings.machines import TABLE, Machine, choose
from airflow_provider_kedro_vertex.core.settings.nodes import Resources
from tools import machine_prices


def chosen(region: str | None = "us-central1", **asked: str) -> Machine:
    return choose(Resources(**asked), region, "Node 'x'")


@pytest.mark.parametrize(
    ("asked", "machine"),
    [
        ({}, "e2-highmem-2"),
        ({"cpu": "500m", "memory": "1024Mi"}, "e2-highmem-2"),
        ({"cpu": "4", "memory": "16Gi"}, "e2-standard-4"),
        ({"cpu": "3", "memory": "17Gi"}, "e2-highmem-4"),
        ({"cpu": "33"}, "n2-highcpu-48"),
        ({"cpu": "90"}, "n1-highcpu-96"),
        ({"memory": "700Gi"}, "m1-ultramem-40"),
        ({"memory": "3000Gi"}, "m1-ultramem-160"),
        ({"gpu": "0", "accelerator_type": "NVIDIA_L4", "cpu": "2"}, "e2-highmem-2"),
        ({"gpu": "1", "accelerator_type": "NVIDIA_TESLA_T4"}, "n1-highmem-2 + 1 x NVIDIA_TESLA_T4"),
        ({"gpu": "2", "accelerator_type": "NVIDIA_TESLA_V100", "cpu": "16"}, "n1-highcpu-16 + 2 x NVIDIA_TESLA_V100"),
        ({"accelerator_type": "NVIDIA_L4"}, "g2-standard-4 + 1 x NVIDIA_L4"),
        ({"gpu": "1", "accelerator_type": "NVIDIA_L4", "memory": "100Gi"}, "g2-standard-32 + 1 x NVIDIA_L4"),
        ({"gpu": "8", "accelerator_type": "NVIDIA_H100_80GB"}, "a3-highgpu-8g + 8 x NVIDIA_H100_80GB"),
        # An explicit type wins, also over what the node asks for, and also if nobody has heard of it.
        ({"machine_type": "n2-standard-4", "cpu": "64"}, "n2-standard-4"),
        ({"machine_type": "a2-highgpu-2g"}, "a2-highgpu-2g + 2 x NVIDIA_TESLA_A100"),
        ({"machine_type": "z9-wonder-8", "cpu": "64"}, "z9-wonder-8"),
        (
            {"machine_type": "a4-highgpu-8g", "gpu": "8", "accelerator_type": "NVIDIA_B200"},
            "a4-highgpu-8g + 8 x NVIDIA_B200",
        ),
        (
            {"machine_type": "ct5lp-hightpu-4t", "gpu": "4", "accelerator_type": "TPU_V5_LITEPOD"},
            "ct5lp-hightpu-4t + 4 x TPU_V5_LITEPOD",
        ),
    ],
)
def test_the_machine_that_is_taken(asked: dict[str, str], machine: str) -> None:
    assert str(chosen(**asked)) == machine


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (
            {"cpu": "500"},
            "Node 'x': No machine type of Vertex AI has cpu 500. The nearest is m1-ultramem-160 with 160 vCPUs and "
            "3844 GiB. Ask for less, or name a machine_type that is newer than ",
        ),
        (
            {"cpu": "64", "memory": "300Gi", "gpu": "1", "accelerator_type": "NVIDIA_H100_80GB"},
            "Node 'x': No machine type of Vertex AI has cpu 64 and memory 300Gi and 1 NVIDIA_H100_80GB. The nearest is "
            "a3-highgpu-1g + 1 x NVIDIA_H100_80GB with 26 vCPUs and 234 GiB.",
        ),
        (
            {"gpu": "3", "accelerator_type": "NVIDIA_L4"},
            "Node 'x': No machine type of Vertex AI has 3 NVIDIA_L4. Set gpu to 1, 2, 4, 8.",
        ),
        (
            {"gpu": "3", "accelerator_type": "NVIDIA_TESLA_T4"},
            "Node 'x': No machine type of Vertex AI has 3 NVIDIA_TESLA_T4. Set gpu to 1, 2, 4.",
        ),
        (
            {"gpu": "1", "accelerator_type": "NVIDIA_TESLA_T40"},
            "Node 'x': There is no accelerator_type 'NVIDIA_TESLA_T40'. Did you mean 'NVIDIA_TESLA_T4'?",
        ),
        ({"gpu": "1"}, "Node 'x': gpu is 1, but no accelerator_type is named. Name one, such as NVIDIA_TESLA_T4."),
        ({"gpu": "1", "accelerator_type": "TPU_V3"}, " has none with TPU_V3. Name the machine_type too."),
        (
            {"machine_type": "a2-highgpu-1g", "gpu": "2", "accelerator_type": "NVIDIA_TESLA_A100"},
            "Node 'x': machine_type a2-highgpu-1g has 1 NVIDIA_TESLA_A100, but 2 NVIDIA_TESLA_A100 is asked for. Leave "
            "gpu and accelerator_type out, or name another machine_type.",
        ),
    ],
)
def test_what_no_machine_gives(asked: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        chosen(**asked)
    assert message in str(caught.value)


def test_an_accelerator_that_the_region_does_not_have() -> None:
    asked = {"gpu": "1", "accelerator_type": "NVIDIA_TESLA_V100"}
    with pytest.raises(ConfigError) as caught:
        chosen("europe-west1", **asked)
    assert re.sub(r"\d{4}-\d\d-\d\d", "DATE", str(caught.value)) == (
        "Node 'x': Region europe-west1 has no NVIDIA_TESLA_V100, as of DATE; asia-east1, europe-west4, us-central1, "
        "us-east1, us-west1 have it. If it has come since, name the machine_type too."
    )
    assert chosen(None, **asked) == chosen("europe-west4", **asked)
    assert str(chosen("europe-west1", machine_type="n1-standard-8", **asked)) == "n1-standard-8 + 1 x NVIDIA_TESLA_V100"


def test_prices_are_those_of_the_price_page_where_it_was_read() -> None:
    # Vertex AI's price page, us-central1: n1-standard-4, 0.21849885 dollars an hour; one T4, 0.4025.
    assert chosen(machine_type="n1-standard-4").dollars_an_hour == pytest.approx(0.21849885)
    with_card = chosen(machine_type="n1-standard-4", gpu="1", accelerator_type="NVIDIA_TESLA_T4").dollars_an_hour
    assert with_card == pytest.approx(0.21849885 + 0.4025)
    assert chosen(machine_type="z9-wonder-8").dollars_an_hour is None


def test_the_prices_are_those_of_the_file_of_prices() -> None:
    prices = machine_prices.read()
    assert machine_prices.MODULE.read_text(encoding="utf-8") == machine_prices.module(prices), "Write it: make prices"
    assert all(re.fullmatch(r"20\d\d-\d\d-\d\d", price.date) for price in prices)
    assert min(price.date for price in prices) == AS_OF


def test_a_price_without_a_source_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = machine_prices.PRICES.read_text(encoding="utf-8")
    file = tmp_path / "prices.csv"
    monkeypatch.setattr(machine_prices, "PRICES", file)
    for wrong in (text.replace(",catalog\n", ",hearsay\n", 1), text.replace(",0.35,", ",0,", 1)):
        file.write_text(wrong, encoding="utf-8")
        with pytest.raises(ValueError, match=r"prices\.csv: .* has no price, or a source that is none of general"):
            machine_prices.read()


def test_the_tables_agree_with_one_another_and_with_the_api() -> None:
    known = {kind.name for kind in AcceleratorType}
    assert set(ACCELERATORS) == known - {"ACCELERATOR_TYPE_UNSPECIFIED"}
    assert len(set(ACCELERATORS)) == len(ACCELERATORS)
    assert {*ATTACHED, *REGIONS, *ACCELERATOR_DOLLARS} <= known
    for family in ("e2", "n1", "n2", "c2", "m1", "g2", "a2", "a3"):
        assert any(name.startswith(f"{family}-") for name in TABLE), family
    for machine in TABLE.values():
        assert machine.vcpus
        assert machine.memory_gib
        assert machine.dollars_an_hour
        assert machine.accelerator_type is None or machine.accelerator_type in ACCELERATOR_DOLLARS


@given(
    st.floats(0.1, 200),
    st.floats(0.1, 4000),
    st.sampled_from([None, *ACCELERATOR_DOLLARS]),
    st.sampled_from([1, 2, 4, 8]),
)
def test_no_machine_that_fits_is_cheaper(cpu: float, memory: float, kind: str | None, count: int) -> None:
    asked: dict[str, Any] = {"cpu": f"{cpu:.3f}", "memory": f"{memory:.3f}Gi"}
    if kind:
        asked |= {"gpu": str(count), "accelerator_type": kind}
    try:
        machine = chosen(None, **asked)
    except ConfigError:
        machine = None
    fitting = []
    for name, each in TABLE.items():
        attached = kind in ATTACHED and name.startswith("n1-") and count in ATTACHED[kind][0]
        if (attached and (each.vcpus or 0) <= ATTACHED[kind][1] * count) or each.accelerator_type == kind:
            full = (
                choose(Resources(machine_type=name, gpu=asked.get("gpu"), accelerator_type=kind), None, "x")
                if (kind is None or attached or each.accelerator_count == count)
                else None
            )
            if (
                full
                and float(asked["cpu"]) <= (full.vcpus or 0)
                and float(asked["memory"][:-2]) <= (full.memory_gib or 0)
            ):
                fitting.append(full.dollars_an_hour)
    assert (machine and machine.dollars_an_hour) == min(fitting, default=None)
