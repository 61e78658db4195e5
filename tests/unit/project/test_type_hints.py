"""What the nodes' type hints tell of the project's parameters, in a real project."""

from __future__ import annotations

from airflow_provider_kedro_vertex.core.project.manifest import Parameter
from airflow_provider_kedro_vertex.project.inspect import inspect_project
from tests.unit.project.conftest import MakeProject

REGISTRY = """
import enum
from dataclasses import dataclass
from typing import Annotated, Literal, Optional

from kedro.pipeline import node, pipeline
from pydantic import BaseModel, Field


class Loss(enum.Enum):
    ABSOLUTE = "absolute"
    SQUARED = "squared"


class Tree(BaseModel):
    depth: int = Field(gt=0, le=10, description="Levels of the tree.")
    parent: Optional["Tree"] = None


class Model(BaseModel):
    loss: Loss
    kind: Literal["tree", "line"] = "tree"
    rate: Annotated[float, Field(ge=0, le=1)]
    seed: int | None = None
    tree: Tree


@dataclass
class Split:
    by: Literal["day", "week"]
    share: float


def fit(options: Model, split: Split, mode: Literal["fast", "slow"], limit: "int | None"):
    return options


def tell(mode: str, *, how: Literal["short", "long"], odd: Literal["a"], broken: int):
    return mode


def wrong(mode: "no.such.Name"):
    return mode


def register_pipelines():
    inputs = ["params:model", "params:split", "params:mode", "params:limit"]
    named = {"mode": "params:title", "how": "params:how", "odd": "params:odd", "broken": "params:title"}
    return {
        "__default__": pipeline([
            node(fit, inputs, "fitted", name="fit"),
            node(tell, named, "told", name="tell"),
            node(wrong, "params:untold", "gone", name="wrong"),
        ])
    }
"""

PARAMETERS = """
model:
  loss: absolute
  kind: tree
  rate: 1
  seed: null
  tree: {depth: 3, parent: null}
split: {by: day, share: 0.5}
mode: fast
limit: null
title: x
how: short
odd: b
untold: 1
"""


def test_models_dataclasses_and_plain_hints_tell_of_parameters(make_project: MakeProject) -> None:
    project = make_project({"src/{package}/pipeline_registry.py": REGISTRY, "conf/base/parameters.yml": PARAMETERS})
    assert inspect_project(project).parameters == {
        "model.loss": Parameter("string", "absolute", {"enum": ["absolute", "squared"]}),
        "model.kind": Parameter("string", "tree", {"enum": ["tree", "line"]}),
        # 1.5 may be given as well.
        "model.rate": Parameter("integer", 1, {"maximum": 1, "minimum": 0, "type": "number"}),
        "model.seed": Parameter("null", None, {"type": "integer"}),
        "model.tree.depth": Parameter(
            "integer", 3, {"description": "Levels of the tree.", "maximum": 10, "minimum": 1}
        ),
        "model.tree.parent": Parameter("null"),
        "split.by": Parameter("string", "day", {"enum": ["day", "week"]}),
        "split.share": Parameter("number", 0.5),
        "mode": Parameter("string", "fast", {"enum": ["fast", "slow"]}),
        "limit": Parameter("null", None, {"type": "integer"}),
        # Two hints disagree.
        "title": Parameter("string", "x"),
        "how": Parameter("string", "short", {"enum": ["short", "long"]}),
        # The project's own value is against the hint: Kedro says so, where it says so at all.
        "odd": Parameter("string", "b"),
        "untold": Parameter("integer", 1),
    }
