"""Pipeline ``reporting``: the day's predictions to metrics, a table of airlines and a plot."""

from __future__ import annotations

from kedro.pipeline import Node, Pipeline

from flights.pipelines.reporting import nodes


def create_pipeline() -> Pipeline:
    """It reads only stored datasets, so it can run again on its own."""
    return Pipeline(
        [
            Node(
                nodes.evaluate,
                ["predictions", "baseline#json", "params:run_date"],
                "metrics#json",
                name="evaluate",
            ),
            Node(
                nodes.summarise_airlines,
                ["predictions", "airlines"],
                "airline_errors#json",
                name="summarise_airlines",
                tags="raw",
            ),
            Node(nodes.plot_delays, ["predictions", "params:run_date"], "delays_plot", name="plot_delays"),
        ],
        tags="report",
    )
