"""Fit a baseline and a model on the days before, and predict the day with both."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import pandas as pd

CATEGORIES = ["carrier", "origin", "dest"]
NOT_FEATURES = ["date", "flight", "arr_delay"]


class Regressor(Protocol):
    """What is used of a fitted scikit-learn regressor. Kedro reads annotations: the real one's would import it."""

    def predict(self, X: pd.DataFrame) -> np.ndarray: ...  # noqa: N803 - the name that scikit-learn gives it


def split_days(flight_features: pd.DataFrame, run_date: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Part the flights of the days before, if they arrived, from all flights of the day."""
    day = pd.Timestamp(run_date)
    before = flight_features[(flight_features["date"] < day) & flight_features["arr_delay"].notna()]
    return before, flight_features[flight_features["date"] == day]


def fit_baseline(training_flights: pd.DataFrame) -> dict[str, Any]:
    """The baseline knows one thing: the mean arrival delay of the days before, in minutes."""
    return {
        "mean_delay_minutes": float(training_flights["arr_delay"].mean()),
        "trained_on_flights": len(training_flights),
        "first_day": training_flights["date"].min().date().isoformat(),
        "last_day": training_flights["date"].max().date().isoformat(),
    }


def train_regressor(training_flights: pd.DataFrame, settings: dict[str, Any]) -> Regressor:
    """Fit gradient-boosted trees; ``settings`` are the arguments of ``HistGradientBoostingRegressor``."""
    # Imported here, so that the processes of the other nodes start without scikit-learn.
    from sklearn.compose import make_column_transformer
    from sklearn.ensemble import HistGradientBoostingRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OrdinalEncoder

    # An airport that the days before did not have counts as unknown.
    encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=float("nan"))
    regressor = make_pipeline(
        make_column_transformer((encoder, CATEGORIES), remainder="passthrough"),
        # The encoder puts its columns first.
        HistGradientBoostingRegressor(categorical_features=range(len(CATEGORIES)), **settings),
    )
    fitted: Regressor = regressor.fit(training_flights.drop(columns=NOT_FEATURES), training_flights["arr_delay"])
    return fitted


def predict_delays(regressor: Regressor, baseline: dict[str, Any], day_flights: pd.DataFrame) -> pd.DataFrame:
    """Predict the arrival delay of each flight of the day, in minutes, beside the true one where there is one."""
    known = ["date", "carrier", "flight", "origin", "dest", "departure_minute", "arr_delay"]
    return (
        day_flights[known]
        .assign(
            predicted_delay=regressor.predict(day_flights.drop(columns=NOT_FEATURES)),
            baseline_delay=baseline["mean_delay_minutes"],
        )
        .reset_index(drop=True)
    )
