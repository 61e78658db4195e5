from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from flights.pipelines.reporting import nodes as reporting
from flights.pipelines.training import nodes as training

SETTINGS = {"loss": "absolute_error", "max_iter": 20, "min_samples_leaf": 5, "random_state": 1}


@pytest.fixture
def flight_features() -> pd.DataFrame:
    """Two days of flights: those from JFK arrive 30 minutes late, those from EWR 10 early."""
    rows = 100
    origin = np.where(np.arange(rows) % 2 == 0, "JFK", "EWR")
    return pd.DataFrame(
        {
            "date": pd.to_datetime(np.where(np.arange(rows) < 80, "2013-05-01", "2013-05-02")),
            "carrier": "AA",
            "flight": range(rows),
            "origin": origin,
            "dest": "BOS",
            "arr_delay": np.where(origin == "JFK", 30.0, -10.0),
            "departure_minute": np.arange(rows) * 14,
        }
    )


def test_only_flights_that_arrived_are_learned_from_but_all_are_predicted(flight_features: pd.DataFrame) -> None:
    flight_features.loc[[0, 99], "arr_delay"] = np.nan
    before, day = training.split_days(flight_features, "2013-05-02")
    assert (len(before), len(day)) == (79, 20)


def test_the_baseline_is_the_mean_delay(flight_features: pd.DataFrame) -> None:
    before, _ = training.split_days(flight_features, "2013-05-02")
    assert training.fit_baseline(before) == {
        "mean_delay_minutes": 10.0,
        "trained_on_flights": 80,
        "first_day": "2013-05-01",
        "last_day": "2013-05-01",
    }


def test_the_model_learns_and_two_fits_are_equal(flight_features: pd.DataFrame) -> None:
    before, day = training.split_days(flight_features, "2013-05-02")
    baseline = training.fit_baseline(before)
    first, second = (
        training.predict_delays(training.train_regressor(before, SETTINGS), baseline, day) for _ in range(2)
    )
    pd.testing.assert_frame_equal(first, second)

    metrics = reporting.evaluate(first, baseline, "2013-05-02")
    assert metrics["flights"] == metrics["arrived_flights"] == 20
    assert metrics["baseline_mae_minutes"] == 20.0
    assert metrics["mae_minutes"] < 10.0


def test_an_airport_that_the_days_before_did_not_have_is_predicted(flight_features: pd.DataFrame) -> None:
    before, day = training.split_days(flight_features, "2013-05-02")
    regressor = training.train_regressor(before, SETTINGS)
    predictions = training.predict_delays(regressor, training.fit_baseline(before), day.assign(dest="ANC"))
    assert predictions["predicted_delay"].notna().all()


def test_flights_that_never_arrived_are_counted_but_not_compared() -> None:
    predictions = pd.DataFrame(
        {"arr_delay": [10.0, np.nan], "predicted_delay": [4.0, 900.0], "baseline_delay": [12.0, 12.0]}
    )
    assert reporting.evaluate(predictions, {"trained_on_flights": 7}, "2013-05-02") == {
        "run_date": "2013-05-02",
        "flights": 2,
        "arrived_flights": 1,
        "trained_on_flights": 7,
        "mae_minutes": 6.0,
        "baseline_mae_minutes": 2.0,
    }


def test_airlines_are_summarised_by_name() -> None:
    predictions = pd.DataFrame(
        {
            "carrier": ["UA", "AA", "AA", "AA"],
            "arr_delay": [5.0, 10.0, 20.0, np.nan],
            "predicted_delay": [5.0, 12.0, 16.0, 0.0],
        }
    )
    airlines = pd.DataFrame({"carrier": ["AA", "UA"], "name": ["American", "United"]})
    assert reporting.summarise_airlines(predictions, airlines) == [
        {"airline": "American", "arrived_flights": 2, "mean_delay_minutes": 15.0, "mae_minutes": 3.0},
        {"airline": "United", "arrived_flights": 1, "mean_delay_minutes": 5.0, "mae_minutes": 0.0},
    ]
