"""The project's own grouping function, called while a manifest is written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from airflow_provider_kedro_vertex.core.errors import ConfigError, ProjectError
from airflow_provider_kedro_vertex.core.plan.plan import build_plan
from airflow_provider_kedro_vertex.core.project import manifest as manifests
from airflow_provider_kedro_vertex.project.inspect import inspect_project

MakeProject = Callable[..., Path]

GROUPS = """
def by_prefix(nodes, length=1):
    return {node.name: "all-" + node.name[:length] for node in nodes if node.name != "alone"}

def of_strangers(nodes):
    return {"nobody": "x"}

def of_numbers(nodes):
    return {nodes[0].name: 7}

def nothing(nodes):
    return None

def failing(nodes):
    raise ValueError("no idea")
"""

REGISTRY = """
from kedro.pipeline import node, pipeline

def copy(value):
    return value

def register_pipelines():
    return {
        "__default__": pipeline(
            [
                node(copy, "raw", "one", name="ab"),
                node(copy, "one", "two", name="ac"),
                node(copy, "two", "three", name="alone"),
            ]
        )
    }
"""


def read_project(make_project: MakeProject, function: str, params: str = "{}") -> manifests.Manifest:
    project = make_project(
        {
            "src/{package}/pipeline_registry.py": REGISTRY,
            "src/{package}/groups.py": GROUPS,
            "conf/base/vertexai.yml": "run_config: {image: i, root: b}\n",
        }
    )
    package = next((project / "src").iterdir()).name
    (project / "conf/base/vertexai.yml").write_text(
        "run_config:\n  image: i\n  root: b\n"
        f"  grouping: {{kind: callable, callable: '{package}.groups:{function}', params: {params}}}\n",
        encoding="utf-8",
    )
    return inspect_project(project)


def test_its_answer_is_in_the_manifest_and_in_the_plan(make_project: MakeProject) -> None:
    manifest = read_project(make_project, "by_prefix")
    assert [node.group for node in manifest.pipelines["__default__"].nodes] == ["all-a", "all-a", None]
    read = manifests.loads(manifests.dumps(manifest), "a test")
    assert read == manifest
    assert {group.name: group.nodes for group in build_plan(read).groups} == {
        "all-a": ("ab", "ac"),
        "alone": ("alone",),
    }


def test_its_params_are_keyword_arguments(make_project: MakeProject) -> None:
    manifest = read_project(make_project, "by_prefix", "{length: 2}")
    assert [node.group for node in manifest.pipelines["__default__"].nodes] == ["all-ab", "all-ac", None]


@pytest.mark.parametrize(
    ("function", "error", "message"),
    [
        ("of_strangers", ConfigError, "names node 'nobody', which pipeline '__default__' does not have."),
        ("of_numbers", ConfigError, "gives node 'ab' the group 7, which is no name."),
        ("nothing", ConfigError, "must answer with a mapping of node names to group names for pipeline '__default__'"),
        ("missing", ConfigError, "has no function 'missing'."),
        ("failing", ProjectError, "groups.py, line 15: ValueError: no idea."),
    ],
)
def test_a_wrong_answer_is_told(make_project: MakeProject, function: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        read_project(make_project, function)
    assert message in str(caught.value)
