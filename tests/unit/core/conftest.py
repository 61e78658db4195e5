from __future__ import annotations

import pytest

from airflow_provider_kedro_vertex.core.project.manifest import Dataset, Manifest, Node, Parameter, Pipeline, Project
from airflow_provider_kedro_vertex.core.settings.run_config import RunConfig

NODES = (
    Node("clean_orders", ("orders", "params:split.ratio"), ("clean",), ("daily", "wide")),
    Node("features.daily.join", ("clean", "parameters"), ("features.daily.joined",), ("wide",), "features.daily"),
    Node("Train Model", ("features.daily.joined", "table@pandas"), ("model",), ("gpu",)),
    Node("write_table", ("clean",), ("table@spark",)),
    Node("report", ("model", "clean"), ()),
)


@pytest.fixture
def manifest() -> Manifest:
    """A small shop: five nodes, transcoding, tags, a namespace, a free output."""
    order = [NODES[index] for index in (0, 1, 3, 2, 4)]
    return Manifest(
        project=Project("Small Shop", "small_shop", "1.0.0"),
        env=None,
        config=RunConfig.from_dict(
            {
                "project_id": "shop-project",
                "region": "europe-west1",
                "image": "registry.test/shop:1.0.0",
                "root": "shop/runs",
                "experiment_name": "shop",
                "description": "Sells things.",
                "resources": {
                    "__default__": {"cpu": "500m", "memory": "1Gi"},
                    "wide": {"memory": "4Gi"},
                    "gpu": {"gpu": "1", "accelerator_type": "NVIDIA_TESLA_T4"},
                    "report": {"cpu": 2},
                },
            }
        ),
        parameters={"split.ratio": Parameter("number", 0.25)},
        datasets={
            "orders": Dataset("orders", "pandas.CSVDataset", "data/orders.csv", "local"),
            "model": Dataset("model", "pickle.PickleDataset", "gs://shop/model.pkl", "remote", True),
        },
        pipelines={
            "__default__": Pipeline("__default__", tuple(order)),
            "empty": Pipeline("empty", ()),
            "orders": Pipeline("orders", tuple(order[:3])),
        },
    )
