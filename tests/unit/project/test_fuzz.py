"""Files that nobody meant: whatever is in them ends as a KedroVertexError that says where, never as a traceback.

200 files each in the normal run; more with FUZZ_EXAMPLES.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from airflow_provider_kedro_vertex.core.checks.check import check_pipelines
from airflow_provider_kedro_vertex.core.errors import ConfigError, KedroVertexError, ManifestError
from airflow_provider_kedro_vertex.core.project import manifest as manifests
from airflow_provider_kedro_vertex.core.settings.legacy import IGNORED, OLD_KEYS
from airflow_provider_kedro_vertex.core.settings.run_config import RunConfig
from airflow_provider_kedro_vertex.core.settings.sections import fields_of
from airflow_provider_kedro_vertex.project.conf import open_conf
from airflow_provider_kedro_vertex.project.inspect import inspect_project
from airflow_provider_kedro_vertex.project.vertexai_yml import read_run_config

MakeProject = Callable[..., Path]

pytestmark = [
    pytest.mark.filterwarnings("ignore::airflow_provider_kedro_vertex.project.vertexai_yml.ConfigWarning"),
    # OmegaConf 2.4 says so of a call that each Kedro up to 1.7 makes.
    pytest.mark.filterwarnings("ignore:register_new_resolver"),
]

FUZZ = settings(
    max_examples=int(os.environ.get("FUZZ_EXAMPLES", "200")),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
GOLDEN = Path(__file__).parents[2] / "golden" / "small_shop.manifest.json"
MANIFEST = json.loads(GOLDEN.read_text(encoding="utf-8"))

IN_RUN_CONFIG = sorted({*fields_of(RunConfig), *(path[1] for path in (*OLD_KEYS, *IGNORED) if len(path) == 2)})
#: Names that mean something somewhere, so that what is made gets past the first key.
KEYS = sorted(
    {
        *("run_config", *IN_RUN_CONFIG),
        *(path[-1] for path in (*OLD_KEYS, *IGNORED)),
        *("__default__", "cpu", "memory", "gpu", "nvidia.com/gpu", "env", "secret_env", "scheduling", "timeout"),
        *("kind", "vpc", "host_aliases", "ip", "hostnames", "cls", "params", "tag_prefix", "callable", "airflow"),
        *("cron_expression", "num_retries", "disk", "reservation", "psc_interface", "strategy", "imgae", "a.b", ""),
    }
)
WORDS = ("none", "500m", "4Gi", "gs://b/c", "60s", "spot", "tag", "a.b:c", "${region}", "${nope|x}", "${", "10.0.0.1")
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.sampled_from(WORDS),
    st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=12),
    st.dates(),
)
known = st.sampled_from(KEYS)
keys = st.one_of(known, known, st.integers(), st.none(), st.text("ab_-.*$ {", max_size=5))
values = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(keys, inner, max_size=4)),
    max_leaves=12,
)
sections = st.dictionaries(st.sampled_from(IN_RUN_CONFIG), values, max_size=5)
files = st.one_of(values, st.dictionaries(known, values, max_size=4), st.fixed_dictionaries({"run_config": sections}))

PLACE = re.compile(
    r"conf/base/vertexai\.yml(, line \d+(, column \d+)?)?: \S|The vertexai configuration cannot be loaded: \S"
)


@pytest.fixture
def project(make_project: MakeProject) -> Path:
    """A project that is inspected once; its ``vertexai.yml`` is written anew for each example."""
    made = make_project()
    inspect_project(made)
    return made


def read(project: Path, text: str) -> RunConfig:
    (project / "conf/base/vertexai.yml").write_text(text, encoding="utf-8", errors="surrogateescape")
    conf = open_conf(project, None)
    return read_run_config(conf.load("vertexai"), lambda path: conf.locate("vertexai", path))


def refusal(kind: type[KedroVertexError], function: Callable[[], object]) -> str | None:
    """What the error says that a function raises; None if it raises none. Any other error ends the test."""
    try:
        function()
    except kind as error:
        return str(error)
    return None


def is_read_or_refused(project: Path, text: str) -> None:
    said = refusal(ConfigError, lambda: read(project, text))
    assert said != ""
    assert all(PLACE.match(line) for line in (said or "").splitlines()), said
    if said is None:
        config = read(project, text)
        # What is accepted survives a manifest and being laid over itself, and can be checked.
        assert RunConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config
        assert config.overridden(config.to_dict()) == config
        check_pipelines(manifests.read(GOLDEN), config=config)


@FUZZ
@example(content="0")
@example(content={" ": {None: None}})
@example(content={7: {None: 1}})
@example(content={" ": 1})
@given(content=files)
def test_any_content_of_vertexai_yml(project: Path, content: Any) -> None:
    is_read_or_refused(project, yaml.safe_dump(content, sort_keys=False, allow_unicode=True))


@FUZZ
@example(text="1\n\n\n1")
@example(text="run_config: " + "[" * 900 + "]" * 900)
@given(text=st.text(st.sampled_from("run_config: {}[]\n -image|>&*!%@`\"'#$,.?\t\0\ufeff\udcff1é"), max_size=80))
def test_any_text_as_vertexai_yml(project: Path, text: str) -> None:
    is_read_or_refused(project, text)


@FUZZ
@given(content=values)
def test_any_run_config_argument(content: Any) -> None:
    said = refusal(ConfigError, lambda: RunConfig.from_dict(content))
    assert said != ""
    if said is None:
        config = RunConfig.from_dict(content)
        assert RunConfig.from_dict(config.to_dict()) == config


def places(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [at, *(place for key, item in children for place in places(item, (*at, key)))]


@FUZZ
@given(place=st.sampled_from(places(MANIFEST)[1:]), new=values, drop=st.booleans(), sign=st.booleans())
def test_any_change_of_a_manifest(place: tuple[Any, ...], new: Any, drop: bool, sign: bool) -> None:
    """One value is replaced or dropped; with a right digest too, so that the change is read and not only noticed."""
    content = json.loads(json.dumps(MANIFEST))
    *parents, last = place
    target = content
    for key in parents:
        target = target[key]
    if drop:
        del target[last]
    else:
        target[last] = new
    if sign and place[0] != "digest":
        del content["digest"]
        content["digest"] = manifests._digest(json.loads(json.dumps(content, default=str)))
    text = json.dumps(content, default=str)
    said = refusal(ManifestError, lambda: manifests.loads(text, "x.json"))
    assert said is None or "x.json" in said
    if said is None:
        manifest = manifests.loads(text, "x.json")
        check_pipelines(manifest, manifest.pipelines)


cut_short = st.integers(0, GOLDEN.stat().st_size).map(lambda size: GOLDEN.read_bytes()[:size])


@FUZZ
@given(data=st.binary(max_size=200) | cut_short)
def test_any_bytes_as_a_manifest(data: bytes, tmp_path: Path) -> None:
    file = tmp_path / "x.manifest.json"
    file.write_bytes(data)
    said = refusal(ManifestError, lambda: manifests.read(file))
    if said is None:
        assert json.loads(data) == MANIFEST
    else:
        assert "x.manifest.json" in said
