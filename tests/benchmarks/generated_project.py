"""Kedro projects of any size, for benchmarks: every tool gets the same one.

Run it with ``python tests/benchmarks/generated_project.py FOLDER NODES``.
"""

from __future__ import annotations

import sys
from pathlib import Path

REGISTRY = """
from kedro.pipeline import node, pipeline


def work(*values):
    return values


def register_pipelines():
    nodes = [
        node(
            work,
            [*(f"data_{{index - back}}" for back in (1, 2, 7) if index >= back), "params:rows"],
            f"data_{{index}}",
            name=f"node_{{index}}",
            tags=[f"tag_{{index % 7}}", "weekly"],
        )
        for index in range({nodes})
    ]
    return {{"__default__": pipeline(nodes)}}
"""

VERTEXAI = """
project_id: generated-project
region: europe-west1
run_config:
  image: registry.test/generated:1
  root: bucket/prefix
  experiment_name: generated
  resources:
    __default__: {cpu: "1", memory: 2Gi}
    tag_3: {cpu: "4"}
    node-5: {cpu: "8"}
"""


def write_project(folder: Path, nodes: int) -> None:
    """Write a project: each node takes up to three earlier outputs and a parameter, and has two tags.

    Its ``vertexai.yml`` is one that kedro-vertexai 1.0.0 takes too.
    """
    files = {
        "pyproject.toml": (
            '[tool.kedro]\npackage_name = "generated"\nproject_name = "Generated"\nkedro_init_version = "1.0.0"\n'
        ),
        "src/generated/__init__.py": "",
        "src/generated/settings.py": "",
        "src/generated/pipeline_registry.py": REGISTRY.format(nodes=nodes),
        "conf/base/parameters.yml": "rows: 7\n",
        "conf/base/vertexai.yml": VERTEXAI,
        "conf/base/catalog.yml": "".join(
            f"data_{index}: {{type: pickle.PickleDataset, filepath: gs://bucket/data_{index}.pkl}}\n"
            for index in range(nodes)
        ),
        "conf/local/.gitkeep": "",
    }
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write_project(Path(sys.argv[1]), int(sys.argv[2]))
