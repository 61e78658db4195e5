"""Parameters of any kind: what the node gets on Vertex AI is what it gets where Kedro runs by itself."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from airflow_provider_kedro_vertex.core import manifest as manifests
from airflow_provider_kedro_vertex.core import parameters
from airflow_provider_kedro_vertex.core.config import RunConfig
from airflow_provider_kedro_vertex.core.pipeline_spec import pipeline_job
from airflow_provider_kedro_vertex.core.plan import build_plan
from airflow_provider_kedro_vertex.emulator.server import VertexEmulator
from tests.unit.runtime.containers import Project

PARENT = "v1/projects/demo-project/locations/europe-west1/pipelineJobs"
# Values that are asked for by name; each example adds many more.
NAMED = {
    "quotes": """'one' "two" `three`""",
    "lines": "one\ntwo\r\n\tthree",
    "shell": "$(X) $X $$(X) ; | & > * ~ \\ \\n",
    "placeholder": "{{$}} {{$.inputs.parameters['runtime_params']}} {{ ds }}",
    "unicode": "żółć 日本語 🛩 \u2028 \ufeff",
    "long": "é\"'$(X)\n" * 2_000,
    "nan": float("nan"),
    "infinite": [float("inf"), -float("inf"), -0.0],
    "nested": [[1, [2.0, [True, [None, {"a": [{}]}]]]], []],
    "like numbers": ["1", "1.0", "true", "null", "2013-01-01", "1e3", "0x1", ""],
    "date": date(2013, 1, 1),
}
# No lone surrogates, which are no text; no "${", which OmegaConf takes for an interpolation wherever Kedro runs.
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20).filter(lambda text: "${" not in text)
SCALARS = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | TEXTS | st.dates()
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=3))

# Where `kedro run --params` ends, with the values as they are.
JUDGE = """
import pickle, sys
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project
bootstrap_project(".")
with open("params.pickle", "rb") as file:
    params = pickle.load(file)
with KedroSession.create(project_path=".", runtime_params=params) as session:
    session.run("look")
"""


@pytest.fixture
def vertex(shop: Project) -> Iterator[VertexEmulator]:
    catalog = shop.path / "conf" / "base" / "catalog.yml"
    catalog.write_text(catalog.read_text().replace("data/seen.json", str(shop.path / "data" / "seen.json")))
    with VertexEmulator({"shop": shop.path}, env={"PYTHONWARNINGS": "ignore"}) as emulator:
        yield emulator


def _on_vertex(vertex: VertexEmulator, shop: Project, params: dict[str, Any], number: int) -> str:
    node = manifests.Node("look", inputs=("parameters",), outputs=("seen",))
    manifest = manifests.Manifest(
        project=manifests.Project("Shop", "shop", "1.0.0"),
        env=None,
        config=RunConfig.from_dict({"image": "shop", "root": "bucket/root"}),
        parameters={},
        datasets={},
        pipelines={"look": manifests.Pipeline("look", (node,))},
    )
    context = replace(shop.context, root="gs://bucket/root")
    body = pipeline_job(build_plan(manifest, "look"), context, parameters.to_json(params), "look", {})
    url = f"{vertex.url}/{PARENT}"
    data = json.dumps(body).encode()
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"{url}?pipelineJobId=look-{number}", data, headers)
    try:
        urllib.request.urlopen(request, timeout=60).close()
    except urllib.error.HTTPError as error:
        pytest.fail(error.read().decode())
    deadline = time.monotonic() + 120
    while True:
        with urllib.request.urlopen(f"{url}/look-{number}", timeout=60) as answer:
            job = json.load(answer)
        if job["state"] not in ("PIPELINE_STATE_PENDING", "PIPELINE_STATE_QUEUED", "PIPELINE_STATE_RUNNING"):
            assert job["state"] == "PIPELINE_STATE_SUCCEEDED", _log(vertex)
            return (shop.path / "data" / "seen.json").read_text()
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _log(vertex: VertexEmulator) -> str:
    request = urllib.request.Request(f"{vertex.url}/v2/entries:list", b'{"resourceNames": ["projects/demo-project"]}')
    request.add_header("Content-Type", "application/json")
    with urllib.request.urlopen(request, timeout=60) as answer:
        return answer.read().decode()[-3000:]


def _with_kedro(shop: Project, params: dict[str, Any]) -> str:
    (shop.path / "params.pickle").write_bytes(pickle.dumps(_dates_as_text(params)))
    judge = [sys.executable, "-c", JUDGE]
    subprocess.run(judge, cwd=shop.path, env=shop.environment(), check=True, capture_output=True, timeout=120)
    return Path(shop.path / "data" / "seen.json").read_text()


def _dates_as_text(value: Any) -> Any:
    """As `kedro run --params` takes them: it makes no dates."""
    if isinstance(value, dict):
        return {key: _dates_as_text(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_dates_as_text(item) for item in value]
    return value.isoformat() if isinstance(value, date) else value


_numbers = iter(range(1, 1000))


# Each example is a job of its own with hundreds of values, so there are few, and none is made smaller.
@settings(
    max_examples=2,
    phases=[Phase.generate],
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.large_base_example],
)
@given(values=st.lists(VALUES, min_size=30, max_size=60))
def test_what_the_node_gets(vertex: VertexEmulator, shop: Project, values: list[Any]) -> None:
    params = {**NAMED, "values": values}
    seen = _on_vertex(vertex, shop, params, next(_numbers))
    # As text, since NaN is not itself, and 1 == 1.0 == True in Python.
    theirs = json.loads(_with_kedro(shop, params))
    assert json.dumps(json.loads(seen), sort_keys=True) == json.dumps(theirs, sort_keys=True)
    assert theirs["quotes"] == NAMED["quotes"]
