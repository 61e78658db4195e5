from __future__ import annotations

import json
import os
import stat
import string
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_kedro_vertex.core.errors import ManifestError, PlanError
from airflow_provider_kedro_vertex.core.project import manifest as manifests
from airflow_provider_kedro_vertex.core.project.manifest import Dataset, Manifest, Node, Parameter, Pipeline, Project
from airflow_provider_kedro_vertex.core.settings.nodes import Resources
from airflow_provider_kedro_vertex.core.settings.run_config import RunConfig

names = st.text(min_size=1, max_size=8)
optional = st.none() | names
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=8,
)
resources = st.builds(
    Resources,
    cpu=st.none() | st.sampled_from(["1", "500m", "0.5"]),
    memory=st.none() | st.sampled_from(["1Gi", "512Mi", "4G", "1000"]),
    gpu=st.none() | st.sampled_from(["0", "2"]),
    accelerator_type=st.none() | st.just("NVIDIA_TESLA_T4"),
)
configs = st.builds(
    RunConfig,
    project_id=optional,
    region=optional,
    image=optional,
    root=st.none() | st.just("gs://bucket/prefix"),
    experiment_name=optional,
    description=optional,
    service_account=optional,
    resources=st.dictionaries(names, resources, max_size=4),
)
nodes = st.builds(
    Node,
    name=names,
    inputs=st.lists(names, max_size=3).map(tuple),
    outputs=st.lists(names, max_size=3).map(tuple),
    tags=st.lists(names, max_size=3).map(tuple),
    namespace=optional,
    description=optional,
)


@st.composite
def manifest_values(draw: st.DrawFn) -> Manifest:
    datasets = draw(
        st.lists(
            st.builds(
                Dataset,
                name=names,
                type=names,
                location=optional,
                scope=st.sampled_from(["memory", "local", "remote"]),
                versioned=st.booleans(),
                runtime_params=st.lists(names, max_size=2).map(tuple),
            ),
            max_size=3,
        )
    )
    pipelines = draw(st.dictionaries(names, st.lists(nodes, max_size=3).map(tuple), max_size=3))
    return Manifest(
        project=Project(*draw(st.tuples(names, names, names))),
        env=draw(optional),
        config=draw(configs),
        parameters=draw(st.dictionaries(names, st.builds(Parameter, names, json_values), max_size=3)),
        datasets={dataset.name: dataset for dataset in datasets},
        pipelines={name: Pipeline(name, value) for name, value in pipelines.items()},
        runtime_params=draw(st.dictionaries(names, st.booleans(), max_size=2)),
    )


@given(manifest_values())
def test_what_is_written_is_read_back(value: Manifest) -> None:
    text = manifests.dumps(value)
    again = manifests.loads(text, "x.json")
    assert again == value
    assert again.digest == value.digest
    assert manifests.dumps(again) == text
    # The order of the file decides which tag wins, and JSON objects are sorted.
    assert list(again.config.resources) == list(value.config.resources)


def test_a_description_is_no_part_of_the_definition() -> None:
    def described(text: str | None) -> Manifest:
        pipelines = {"a": Pipeline("a", (Node("n", (), ("x",), description=text),))}
        return Manifest(Project("P", "p", "1"), None, RunConfig(), {}, {}, pipelines)

    assert described("One.").digest != described("Two.").digest
    assert described("One.").definition_digest == described(None).definition_digest


@given(manifest_values(), st.data())
def test_a_manifest_that_is_cut_short_is_refused(value: Manifest, data: st.DataObject) -> None:
    text = manifests.dumps(value)
    cut = data.draw(st.integers(0, len(text) - 3))  # the last two characters are the closing brace and a newline
    with pytest.raises(ManifestError, match=r"^The manifest x\.json is damaged or cut short \("):
        manifests.loads(text[:cut], "x.json")


KEYS = ["schema_version", "project", "env", "config", "parameters", "datasets", "pipelines", "runtime_params", "digest"]


@given(
    json_values | st.fixed_dictionaries({"schema_version": st.just(2)}, optional=dict.fromkeys(KEYS[1:], json_values))
)
def test_any_other_json_is_refused_with_its_place(value: Any) -> None:
    with pytest.raises(ManifestError, match=r"^The manifest x\.json is wrong at "):
        manifests.loads(json.dumps(value), "x.json")


def test_the_bytes_do_not_depend_on_the_order_in_which_things_were_found(manifest: Manifest) -> None:
    turned = replace(
        manifest,
        datasets=dict(reversed(manifest.datasets.items())),
        pipelines=dict(reversed(manifest.pipelines.items())),
    )
    assert manifests.dumps(turned) == manifests.dumps(manifest)


def test_the_digest_is_of_the_content(manifest: Manifest) -> None:
    assert manifest.digest.startswith("sha256:")
    assert len(manifest.digest) == 71
    assert set(manifest.digest[7:]) <= set(string.hexdigits.lower())
    assert replace(manifest, env="prod").digest != manifest.digest


def test_writing_and_reading_a_file(manifest: Manifest, tmp_path: Path) -> None:
    file = tmp_path / "shop.manifest.json"
    manifests.write(manifest, file)
    assert manifests.read(file) == manifest
    assert os.listdir(tmp_path) == ["shop.manifest.json"]
    assert stat.S_IMODE(file.stat().st_mode) == 0o644


def test_a_file_that_cannot_be_written_leaves_nothing_behind(manifest: Manifest, tmp_path: Path) -> None:
    with pytest.raises(ManifestError) as caught:
        manifests.write(manifest, tmp_path / "none" / "x.json")
    assert str(caught.value) == f"Cannot write the manifest {tmp_path}/none/x.json: No such file or directory."
    (tmp_path / "folder").mkdir()
    with pytest.raises(ManifestError) as caught:
        manifests.write(manifest, tmp_path / "folder")
    assert str(caught.value) == f"Cannot write the manifest {tmp_path}/folder: Is a directory."
    assert os.listdir(tmp_path) == ["folder"]


def test_a_missing_file_is_told_with_the_command_that_makes_it(tmp_path: Path) -> None:
    with pytest.raises(ManifestError) as caught:
        manifests.read(tmp_path / "shop.manifest.json")
    assert str(caught.value) == (
        f"There is no manifest at {tmp_path}/shop.manifest.json. "
        "Make it in the Kedro project with: kedro vertex manifest -o shop.manifest.json"
    )


def test_a_truncated_file_is_told_with_the_command_that_makes_it(manifest: Manifest, tmp_path: Path) -> None:
    file = tmp_path / "x.json"
    file.write_text(manifests.dumps(manifest)[:300])
    with pytest.raises(ManifestError) as caught:
        manifests.read(file)
    message = str(caught.value)
    assert message.startswith(f"The manifest {file} is damaged or cut short (")
    assert message.endswith("Make it in the Kedro project with: kedro vertex manifest -o x.json")
    assert "\n" not in message


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    file = tmp_path / "x.json"
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(ManifestError, match=r"^Cannot read the manifest .*x\.json: .*can't decode byte 0xff"):
        manifests.read(file)


def test_a_file_beyond_all_bounds_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "x.json"
    file.write_text("{" + " " * 100)
    monkeypatch.setattr(manifests, "MAX_BYTES", 100)
    with pytest.raises(ManifestError) as caught:
        manifests.read(file)
    assert str(caught.value) == (
        f"{file} has more than 100 bytes, so it is no manifest. "
        "Make it in the Kedro project with: kedro vertex manifest -o x.json"
    )


def test_json_that_is_nested_without_end() -> None:
    with pytest.raises(ManifestError, match="is damaged or cut short"):
        manifests.loads("[" * 200_000, "x.json")


REMEDY = " Make it in the Kedro project with: kedro vertex manifest -o x.json"
FAULTS = [
    (
        {"schema_version": 3},
        "at schema_version: 3 is newer than 2, the newest that this airflow-provider-kedro-vertex reads; upgrade the "
        "package here, or write the manifest with this version.",
    ),
    (
        {"schema_version": 1},
        "at schema_version: 1 is older than 2, the only one that is read here; write the manifest anew.",
    ),
    ({"schema_version": "2"}, "at schema_version: it must be 2, not '2'."),
    ({"env": 5}, "at env: it must be a string or null."),
    ({"project": None}, "at project: it must be an object."),
    ({"project": {"name": "x"}}, "at project.package_name: it must be a string."),
    ({"parameters": []}, "at parameters: it must be an object."),
    ({"parameters": {"a": 1}}, "at parameters.a: it must be an object."),
    ({"parameters": {"a": {"default": 1}}}, "at parameters.a.type: it must be a string."),
    ({"datasets": {"a": 1}}, "at datasets.a: it must be an object."),
    ({"datasets": {"a": {"scope": "here"}}}, "at datasets.a.scope: it must be one of memory, local, remote."),
    ({"datasets": {"a": {"scope": "local"}}}, "at datasets.a.versioned: it must be true or false."),
    (
        {"datasets": {"a": {"scope": "local", "versioned": False, "location": 3}}},
        "at datasets.a.location: it must be a string or null.",
    ),
    ({"datasets": {"a": {"scope": "local", "versioned": False}}}, "at datasets.a.type: it must be a string."),
    ({"pipelines": {"p": {}}}, "at pipelines.p.nodes: it must be a list."),
    ({"pipelines": {"p": {"nodes": [1]}}}, "at pipelines.p.nodes[0]: it must be an object."),
    ({"pipelines": {"p": {"nodes": [{}]}}}, "at pipelines.p.nodes[0].name: it must be a string."),
    (
        {"pipelines": {"p": {"nodes": [{"name": "n", "inputs": [1]}]}}},
        "at pipelines.p.nodes[0].inputs: it must be a list of strings.",
    ),
    (
        {"pipelines": {"p": {"nodes": [{"name": "n", "namespace": 1}]}}},
        "at pipelines.p.nodes[0].namespace: it must be a string or null.",
    ),
    ({"config": {"imgae": "x"}}, "at config: unknown key imgae. Did you mean 'image'?"),
    ({"config": {"image": []}}, "at config: image must be a string, not []."),
    ({"env": "prod"}, "at digest: it does not match the content, so the file was edited or damaged."),
    ({"digest": "sha256:0"}, "at digest: it does not match the content, so the file was edited or damaged."),
]


@pytest.mark.parametrize(
    ("change", "said"), FAULTS, ids=[said.split(":")[0] + str(i) for i, (_, said) in enumerate(FAULTS)]
)
def test_a_wrong_manifest_is_told_with_the_place(manifest: Manifest, change: dict[str, Any], said: str) -> None:
    value = {**json.loads(manifests.dumps(manifest)), **change}
    with pytest.raises(ManifestError) as caught:
        manifests.loads(json.dumps(value), "x.json")
    assert str(caught.value) == f"The manifest x.json is wrong {said}{REMEDY}"


def test_a_manifest_that_is_no_object() -> None:
    with pytest.raises(ManifestError) as caught:
        manifests.loads("[]", "x.json")
    assert str(caught.value) == f"The manifest x.json is wrong at the top: it must be a JSON object.{REMEDY}"


def test_an_unknown_pipeline_is_told_with_the_closest_one(manifest: Manifest) -> None:
    with pytest.raises(PlanError) as caught:
        manifest.pipeline("oders")
    assert str(caught.value) == "Project 'Small Shop' has no registered pipeline 'oders'. Did you mean 'orders'?"
    with pytest.raises(PlanError) as caught:
        manifest.pipeline("zzz")
    assert str(caught.value) == (
        "Project 'Small Shop' has no registered pipeline 'zzz'. Known: __default__, empty, orders."
    )
