"""Resources are changed in the text of vertexai.yml, and all else in it stays."""

from __future__ import annotations

import pytest

from airflow_provider_kedro_vertex.project.resources_file import as_yaml, with_resources

FILE = """\
# How it runs.
project_id: shop
run_config:
  image: shop:1   # the image
  resources:
    # All nodes.
    __default__: {cpu: "1", memory: 2Gi}  # small
    train:
      # Measured in May.
      cpu: "8"   # all of them
      memory: 32Gi

    'load data': {gpu: "1"}
  # The end.
  labels: {team: a}
"""


def changed(before: str, after: str, **resources: dict[str, str]) -> None:
    """A change of one line, or of a few, and of nothing else."""
    assert before in FILE
    assert with_resources(FILE, resources) == FILE.replace(before, after)


def test_a_value_is_changed_where_it_stands() -> None:
    changed("memory: 32Gi", "memory: 4Gi", train={"memory": "4Gi"})
    changed('cpu: "8"   #', "cpu: '2'   #", train={"cpu": "2"})
    changed('{cpu: "1", memory: 2Gi}', '{cpu: "1", memory: 1Gi}', __default__={"memory": "1Gi"})
    changed(
        'cpu: "8"   # all of them\n      memory: 32Gi',
        "cpu: 500m   # all of them\n      memory: 512Mi",
        train={"cpu": "500m", "memory": "512Mi"},
    )


def test_a_setting_is_added_to_an_entry() -> None:
    resources = {"load data": {"memory": "4Gi"}}
    assert with_resources(FILE, resources) == FILE.replace('{gpu: "1"}', '{gpu: "1", memory: 4Gi}')
    text = "run_config:\n  resources:\n    train:\n      cpu: '1'\n\n    # more\n    other: {}\n"
    added = text.replace("cpu: '1'\n", "cpu: '1'\n      memory: 4Gi\n")
    assert with_resources(text, {"train": {"memory": "4Gi"}}) == added
    assert with_resources(text, {"other": {"cpu": "2"}}) == text.replace("{}", "{cpu: '2'}")


def test_an_entry_is_added() -> None:
    new = {"a.b: c": {"cpu": "2", "memory": "4Gi"}}
    added = "    'a.b: c':\n      cpu: '2'\n      memory: 4Gi\n"
    assert with_resources(FILE, new) == FILE.replace('{gpu: "1"}\n', '{gpu: "1"}\n' + added)
    braces = "run_config: {image: a, resources: {train: {cpu: '1'}}}\n"
    assert with_resources(braces, {"load": {"cpu": "2"}}) == braces.replace("'1'}}}", "'1'}, load: {cpu: '2'}}}")
    without = "run_config:\n  image: a\n# end"
    assert with_resources(without, {"load": {"cpu": "2"}}) == (
        "run_config:\n  image: a\n  resources:\n    load:\n      cpu: '2'\n# end"
    )


def test_ends_of_lines_stay() -> None:
    text = FILE.replace("\n", "\r\n")
    assert with_resources(text, {"new": {"cpu": "2"}}) == text.replace(
        '{gpu: "1"}\r\n', "{gpu: \"1\"}\r\n    new:\r\n      cpu: '2'\r\n"
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "project_id: a\n",
        "run_config: [\n",
        "run_config:\n  resources:\n",
        "run_config:\n  resources: 5\n",
        "run_config:\n  resources:\n    train: &big {memory: 2Gi}\n    load: *big\n",
        "run_config:\n  resources:\n    train: {memory: >-\n      2Gi}\n",
        "run_config:\n  resources:\n    train: {memory: {a: b}}\n",
    ],
)
def test_a_form_that_cannot_be_changed_stays(text: str) -> None:
    assert with_resources(text, {"train": {"memory": "4Gi"}}) is None


def test_a_person_is_shown_what_to_put_there() -> None:
    assert as_yaml({"train": {"memory": "4Gi"}}) == "run_config:\n  resources:\n    train:\n      memory: 4Gi\n"
