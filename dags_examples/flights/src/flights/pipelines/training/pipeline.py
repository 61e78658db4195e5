"""Pipeline ``training``: features to a model and the day's predictions."""

from __future__ import annotations

from kedro.pipeline import Node, Pipeline

from flights.pipelines.training import nodes


def create_pipeline() -> Pipeline:
    """In the namespace ``model``, but for what comes from one pipeline and goes to the next."""
    return Pipeline(
        [
            Node(
                nodes.split_days,
                ["flight_features", "params:run_date"],
                ["training_flights", "day_flights"],
                name="split_days",
            ),
            Node(
                nodes.fit_baseline,
                "training_flights",
                "baseline#json",
                name="fit_baseline",
                tags="fit",
            ),
            Node(
                nodes.train_regressor,
                ["training_flights", "params:regressor"],
                "regressor",
                name="train_regressor",
                tags="fit",
            ),
            Node(
                nodes.predict_delays,
                ["regressor", "baseline#json", "day_flights"],
                "predictions",
                name="predict_delays",
            ),
        ],
        namespace="model",
        inputs={"flight_features"},
        outputs={"baseline#json", "predictions"},
        parameters={"run_date"},
    )
