"""Pipeline ``features``: raw tables to one row of features for each flight."""

from __future__ import annotations

from kedro.pipeline import Node, Pipeline

from flights.pipelines.features import nodes


def create_pipeline() -> Pipeline:
    """In the namespace ``features``, but for the raw tables, the result and what all pipelines are told."""
    return Pipeline(
        [
            Node(
                nodes.select_flights,
                ["flights", "params:run_date", "params:training.days", "params:history_days"],
                "window",
                name="select_flights",
                tags="raw",
            ),
            Node(
                nodes.select_weather,
                ["weather", "window"],
                "window_weather",
                name="select_weather",
                tags="raw",
            ),
            Node(
                nodes.weather_features,
                ["window", "window_weather"],
                "weather_features",
                name="weather_features",
            ),
            Node(nodes.schedule_features, "window", "schedule_features", name="schedule_features"),
            Node(
                nodes.plane_features,
                ["window", "planes"],
                "plane_features",
                name="plane_features",
                tags="raw",
            ),
            Node(
                nodes.history_features,
                ["window", "params:history_days"],
                "history_features",
                name="history_features",
            ),
            Node(
                nodes.assemble_features,
                [
                    "window",
                    "schedule_features",
                    "plane_features",
                    "weather_features",
                    "history_features",
                    "params:history_days",
                ],
                "flight_features",
                name="assemble_features",
            ),
        ],
        namespace="features",
        inputs={"flights", "weather", "planes"},
        outputs={"flight_features"},
        parameters={"run_date", "training.days"},
    )
