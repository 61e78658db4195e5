"""docs/emulator-api.md is written from the code. After a change: make docs."""

from __future__ import annotations

import re

import pytest

from airflow_provider_kedro_vertex.emulator.api.methods import SERVED
from tools.emulator_api_page import CLIENT_VERSION, PAGE, page


def test_the_page_is_that_of_the_code() -> None:
    committed = PAGE.read_text(encoding="utf-8")
    if f"google-cloud-aiplatform {CLIENT_VERSION} " not in committed:
        pytest.skip(f"the page names the RPCs of another google-cloud-aiplatform than {CLIENT_VERSION}")
    assert committed == page(), "Write it again: make docs"


def test_the_page_tells_of_each_rpc_that_is_served() -> None:
    served = {
        f"{service.split()[0]}.{name}"
        for service, names in re.findall(
            r"^\| (\w+Service|Operations|Locations|Projects[^|]*) \| ([^|]*) \|", page(), re.M
        )
        for name in names.split(", ")
        if name != "-"
    }
    assert served == set(SERVED)
