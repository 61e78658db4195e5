"""Compare the day's predictions with what happened. A flight that never arrived has no delay to compare."""

from __future__ import annotations

import logging
from typing import Any

import pandas as pd

logger = logging.getLogger(__name__)


def evaluate(predictions: pd.DataFrame, baseline: dict[str, Any], run_date: str) -> dict[str, Any]:
    """Mean absolute errors in minutes of the model and of the baseline, over the flights that arrived."""
    arrived = predictions.dropna(subset="arr_delay")
    metrics = {
        "run_date": run_date,
        "flights": len(predictions),
        "arrived_flights": len(arrived),
        "trained_on_flights": baseline["trained_on_flights"],
        "mae_minutes": _mean_absolute_error(arrived, "predicted_delay"),
        "baseline_mae_minutes": _mean_absolute_error(arrived, "baseline_delay"),
    }
    logger.info(
        "%s: mean absolute error %.1f minutes, baseline %.1f minutes, over %d flights",
        run_date,
        metrics["mae_minutes"],
        metrics["baseline_mae_minutes"],
        len(arrived),
    )
    return metrics


def summarise_airlines(predictions: pd.DataFrame, airlines: pd.DataFrame) -> list[dict[str, Any]]:
    """For each airline: its flights that arrived, their mean delay and the model's error, both in minutes."""
    names = airlines.set_index("carrier")["name"]
    return [
        {
            "airline": names[carrier],
            "arrived_flights": len(flights),
            "mean_delay_minutes": round(float(flights["arr_delay"].mean()), 3),
            "mae_minutes": _mean_absolute_error(flights, "predicted_delay"),
        }
        for carrier, flights in predictions.dropna(subset="arr_delay").groupby("carrier")
    ]


def plot_delays(predictions: pd.DataFrame, run_date: str) -> Any:
    """A Matplotlib figure of the day, hour by hour: mean true, predicted and baseline delay of flights that arrived."""
    # Imported here, so that the processes of the other nodes start without Matplotlib.
    from matplotlib.figure import Figure

    arrived = predictions.dropna(subset="arr_delay")
    hourly = arrived.groupby(arrived["departure_minute"] // 60)[
        ["arr_delay", "predicted_delay", "baseline_delay"]
    ].mean()
    figure = Figure(figsize=(8, 4), layout="constrained")
    axes = figure.subplots()
    axes.plot(hourly.index, hourly["arr_delay"], color="black", marker="o", label="true")
    axes.plot(hourly.index, hourly["predicted_delay"], color="tab:blue", marker="o", label="predicted")
    axes.plot(hourly.index, hourly["baseline_delay"], color="tab:gray", linestyle="--", label="baseline")
    axes.set(
        xticks=hourly.index[::2],
        title=f"Flights from New York on {run_date}",
        xlabel="hour of the scheduled departure",
        ylabel="mean arrival delay in minutes",
    )
    axes.legend(frameon=False)
    return figure


def _mean_absolute_error(flights: pd.DataFrame, prediction: str) -> float:
    """In minutes; rounded, so that the order in which a machine's threads add numbers does not show."""
    return round(float((flights["arr_delay"] - flights[prediction]).abs().mean()), 3)
