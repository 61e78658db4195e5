from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_kedro_vertex.project.spec_file import spec_text

# As a spec's own keys: words, and task ids with a prefix.
keys = st.text("abcXYZ019_-", min_size=1, max_size=90)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from([0.5, "1", "no", "a: b # c", "x" * 300]) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=10,
)
specs = st.dictionaries(keys, values, max_size=4)


@pytest.mark.parametrize("name", ["x.yaml", "x.yml"])
@given(spec=specs)
def test_yaml_says_the_same_as_json(name: str, spec: dict[str, Any]) -> None:
    assert yaml.safe_load(spec_text(spec, Path(name))) == json.loads(spec_text(spec, Path("x.json"))) == spec


@pytest.mark.skipif(not hasattr(yaml, "CSafeDumper"), reason="PyYAML was built without libyaml")
@given(spec=specs)
def test_yaml_is_the_same_without_libyaml(spec: dict[str, Any]) -> None:
    fast = spec_text(spec, Path("x.yaml"))
    with pytest.MonkeyPatch.context() as patch:
        patch.delattr(yaml, "CSafeDumper")
        assert spec_text(spec, Path("x.yaml")) == fast


def test_the_order_of_keys_is_kept() -> None:
    assert spec_text({"b": 1, "a": 2}, Path("x.yaml")) == "b: 1\na: 2\n"
    assert spec_text({"b": 1, "a": 2}, Path("-")) == '{\n "b": 1,\n "a": 2\n}\n'
