"""Two models of made-up rows, each trained by however many processes there are."""

import json
import os

from kedro.pipeline import node, pipeline

RANK, SIZE = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))


def make_rows(machines):
    """3,000 rows of four small whole numbers and a target that they nearly give."""
    import numpy as np

    random = np.random.default_rng(7)
    features = random.integers(0, 8, size=(3000, 4)).astype("float64")
    noise = random.normal(size=3000) / 10
    return {"x": features.tolist(), "y": (features @ [0.5, -1.0, 2.0, 0.0] + noise).tolist()}


def fit_torch(rows):
    """Least squares by gradient descent, of which each process knows a part of the rows."""
    import torch
    import torch.distributed as dist

    if SIZE > 1:
        dist.init_process_group("gloo")
    x, y = (
        torch.tensor(rows["x"], dtype=torch.float64)[RANK::SIZE],
        torch.tensor(rows["y"], dtype=torch.float64)[RANK::SIZE],
    )
    weights = torch.zeros(4, dtype=torch.float64)
    for _ in range(200):
        gradient = x.T @ (x @ weights - y)
        if SIZE > 1:
            dist.all_reduce(gradient)
        weights -= 2e-2 * gradient / len(rows["y"])
    if SIZE > 1:
        dist.destroy_process_group()
    return {"weights": weights.tolist(), "processes": SIZE}


def machines():
    """LightGBM's parameters for its own sockets."""
    spec = json.loads(os.environ["CLUSTER_SPEC"])
    addresses = [address for pool in sorted(spec["cluster"]) for address in spec["cluster"][pool]]
    port = addresses[RANK].rpartition(":")[2]
    return {
        "machines": ",".join(addresses),
        "num_machines": SIZE,
        "local_listen_port": int(port),
        "pre_partition": True,
    }


def fit_lightgbm(rows):
    """Boosted trees; the features have few values, so that each process finds the same bins in its part of the rows."""
    import lightgbm
    import numpy as np

    x, y = np.array(rows["x"]), np.array(rows["y"])
    settings = {"objective": "regression", "num_threads": 1, "seed": 1, "verbose": -1, "min_data_in_bin": 1}
    if SIZE > 1:
        settings |= {"tree_learner": "data", **machines()}
    data = lightgbm.Dataset(x[RANK::SIZE], y[RANK::SIZE], params=settings)
    model = lightgbm.train(settings, data, num_boost_round=20)
    return {"predictions": model.predict(x[:200]).tolist(), "processes": SIZE}


def register_pipelines():
    return {
        "__default__": pipeline(
            [
                node(make_rows, "params:machines", "rows", name="make_rows"),
                node(fit_torch, "rows", "torch_fitted", name="fit_torch"),
                node(fit_lightgbm, "rows", "lightgbm_fitted", name="fit_lightgbm"),
            ]
        )
    }
