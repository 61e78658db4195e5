from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from flights.pipelines.features import nodes


def flights_of(*rows: tuple[str, str, str, str, float]) -> pd.DataFrame:
    """Flights by date, origin, carrier, destination and arrival delay; the rest is the same for all."""
    table = pd.DataFrame(rows, columns=["date", "origin", "carrier", "dest", "arr_delay"])
    table["date"] = pd.to_datetime(table["date"])
    return table.assign(
        flight=range(len(table)),
        tailnum="N1",
        sched_dep_time=905,
        sched_arr_time=1110,
        distance=500,
        time_hour=table["date"].dt.strftime("%Y-%m-%dT14:00:00Z"),
    )


def raw(window: pd.DataFrame) -> pd.DataFrame:
    """The same flights as they are in the raw table."""
    date = window["date"].dt
    return window.assign(year=date.year, month=date.month, day=date.day).drop(columns="date")


def all_features(window: pd.DataFrame, history_days: int = 2) -> pd.DataFrame:
    planes = pd.DataFrame({"tailnum": ["N1"], "seats": [150], "engines": [2], "year": [1999]})
    weather = window[["origin", "time_hour"]].drop_duplicates().assign(**dict.fromkeys(nodes.WEATHER, 1.0))
    return nodes.assemble_features(
        window,
        nodes.schedule_features(window),
        nodes.plane_features(window, planes),
        nodes.weather_features(window, nodes.select_weather(weather, window)),
        nodes.history_features(window, history_days),
        history_days,
    )


@pytest.fixture
def ten_days() -> pd.DataFrame:
    """Two airlines from two airports on ten days, with a delay of its own for each flight."""
    return flights_of(
        *(
            (f"2013-05-{day:02}", origin, carrier, "BOS", float(10 * day + number))
            for day in range(1, 11)
            for number, (origin, carrier) in enumerate([("JFK", "AA"), ("JFK", "UA"), ("EWR", "AA"), ("EWR", "UA")])
        )
    )


@pytest.mark.parametrize("changed", range(40))
def test_the_features_of_a_flight_and_its_day_do_not_change_with_its_own_delay(
    ten_days: pd.DataFrame, changed: int
) -> None:
    before = all_features(ten_days)
    after = all_features(ten_days.assign(arr_delay=ten_days["arr_delay"].where(ten_days.index != changed, 999.0)))

    same = before["date"] <= ten_days.loc[changed, "date"]
    features = before.columns.drop("arr_delay")
    pd.testing.assert_frame_equal(before.loc[same, features], after.loc[same, features])


def test_the_history_of_the_next_day_does_change(ten_days: pd.DataFrame) -> None:
    first_of_ninth = ten_days.index[ten_days["date"] == "2013-05-09"][0]
    late = ten_days["arr_delay"].where(ten_days.index != first_of_ninth, 999.0)
    before, after = all_features(ten_days), all_features(ten_days.assign(arr_delay=late))

    tenth = before["date"] == "2013-05-10"
    differs = before.loc[tenth, "origin_delay_1d"] != after.loc[tenth, "origin_delay_1d"]
    assert before.loc[tenth, "origin"][differs].unique().tolist() == ["JFK"]


def test_there_are_no_features_but_those_known_before_departure(ten_days: pd.DataFrame) -> None:
    schedule = ["departure_minute", "arrival_minute", "planned_minutes", "weekday", "distance"]
    history = [f"{key}_delay_{days}d" for key in ("origin", "carrier", "dest") for days in (1, 2)]
    assert all_features(ten_days).columns.tolist() == [
        *("date", "carrier", "flight", "origin", "dest", "arr_delay"),
        *schedule,
        "departures_in_hour",
        *("seats", "engines", "year_built"),
        *nodes.WEATHER,
        *history,
    ]


def test_history_is_the_mean_of_the_flights_that_arrived_on_the_days_before() -> None:
    window = flights_of(
        ("2013-05-01", "JFK", "AA", "BOS", 10.0),
        ("2013-05-01", "JFK", "AA", "BOS", 20.0),
        ("2013-05-02", "JFK", "AA", "BOS", np.nan),
        ("2013-05-02", "JFK", "AA", "BOS", 60.0),
        ("2013-05-02", "EWR", "UA", "BOS", 0.0),
        ("2013-05-03", "JFK", "AA", "BOS", 500.0),
        ("2013-05-03", "EWR", "B6", "BOS", 500.0),
    )
    history = nodes.history_features(window, history_days=2).tail(2).reset_index(drop=True)

    assert history.loc[0].to_dict() == {
        "origin_delay_1d": 60.0,
        "origin_delay_2d": 30.0,
        "carrier_delay_1d": 60.0,
        "carrier_delay_2d": 30.0,
        "dest_delay_1d": 30.0,
        "dest_delay_2d": 22.5,
    }
    assert history.loc[1, ["carrier_delay_1d", "carrier_delay_2d"]].isna().all()


def test_history_counts_days_and_not_the_days_that_had_flights() -> None:
    window = flights_of(
        ("2013-05-01", "JFK", "AA", "BOS", 90.0),
        ("2013-05-03", "JFK", "AA", "BOS", 10.0),
        ("2013-05-04", "JFK", "AA", "BOS", 0.0),
    )
    assert nodes.history_features(window, history_days=2)["origin_delay_2d"].tolist()[2] == 10.0


def test_days_that_only_serve_as_history_are_left_out(ten_days: pd.DataFrame) -> None:
    assert all_features(ten_days, history_days=3)["date"].min() == pd.Timestamp("2013-05-04")


def test_schedule_is_in_minutes_and_flies_over_midnight() -> None:
    window = flights_of(("2013-05-06", "JFK", "AA", "BOS", 0.0), ("2013-05-06", "JFK", "UA", "BOS", 0.0))
    window["sched_dep_time"], window["sched_arr_time"] = [517, 2250], [819, 105]
    schedule = nodes.schedule_features(window)

    assert schedule["departure_minute"].tolist() == [5 * 60 + 17, 22 * 60 + 50]
    assert schedule["planned_minutes"].tolist() == [182, 135]
    assert schedule["weekday"].tolist() == [0, 0]
    assert schedule["departures_in_hour"].tolist() == [2, 2]


def test_weather_and_planes_keep_the_order_of_the_flights_and_leave_gaps_empty() -> None:
    window = flights_of(("2013-05-06", "LGA", "AA", "BOS", 0.0), ("2013-05-06", "JFK", "AA", "BOS", 0.0))
    window["tailnum"] = ["N2", "unknown"]
    hour = window.loc[0, "time_hour"]
    weather = pd.DataFrame(
        {"origin": ["JFK", "EWR"], "time_hour": hour, **{column: [7, 8] for column in nodes.WEATHER}}
    )
    planes = pd.DataFrame({"tailnum": ["N1", "N2"], "seats": [1, 2], "engines": [1, 2], "year": [2001, 2002]})

    chosen = nodes.select_weather(weather, window)
    assert chosen["origin"].tolist() == ["JFK"]
    assert nodes.weather_features(window, chosen)["temp"].fillna(-1).tolist() == [-1, 7]
    assert nodes.plane_features(window, planes)["year_built"].fillna(-1).tolist() == [2002, -1]


def test_the_window_is_the_day_and_the_days_it_needs_before_it(ten_days: pd.DataFrame) -> None:
    window = nodes.select_flights(raw(ten_days), "2013-05-09", training_days=3, history_days=2)

    assert window["date"].dt.day.unique().tolist() == [4, 5, 6, 7, 8, 9]
    assert window.index.tolist() == list(range(24))


@pytest.mark.parametrize(
    ("run_date", "message"),
    [
        ("1 May", "run_date must be a date like 2013-06-01, not '1 May'"),
        (20130501, "run_date must be a date like 2013-06-01, not 20130501"),
        ("2013-05-11", "no flights on 2013-05-11; the data has 2013-05-01 to 2013-05-10"),
        ("2012-12-31", "no flights on 2012-12-31; the data has 2013-05-01 to 2013-05-10"),
        ("2013-05-03", "too few days of flights before 2013-05-03: 2 are needed for history"),
    ],
)
def test_a_run_date_that_cannot_work_is_refused(ten_days: pd.DataFrame, run_date: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        nodes.select_flights(raw(ten_days), run_date, training_days=3, history_days=2)
