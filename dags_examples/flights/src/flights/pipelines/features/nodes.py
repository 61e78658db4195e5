"""Features of a flight: only what is known before it leaves.

The schedule, the plane, the weather of the hour of departure (it stands for a good forecast), and how late
flights arrived on the days before. The catalog does not even load the flights' true times; ``arr_delay`` is
here as the target, and a flight's own never reaches its features.

Each function that makes features returns one row for each flight, in the order of the flights.
"""

from __future__ import annotations

from datetime import date

import pandas as pd

WEATHER = ["temp", "dewp", "humid", "wind_speed", "wind_gust", "precip", "pressure", "visib"]
CARRIED = ["date", "carrier", "flight", "origin", "dest", "arr_delay"]


def select_flights(flights: pd.DataFrame, run_date: str, training_days: int, history_days: int) -> pd.DataFrame:
    """Keep the flights of the day, of the days to train on, and of the days that their history needs.

    Raises:
        ValueError: ``run_date`` is no date, there are no flights on that day, or too few days before it.
    """
    try:
        day = pd.Timestamp(date.fromisoformat(run_date))
    except (TypeError, ValueError):
        raise ValueError(f"run_date must be a date like 2013-06-01, not {run_date!r}.") from None
    dates = pd.to_datetime(flights[["year", "month", "day"]])
    chosen = dates.between(day - pd.Timedelta(days=training_days + history_days), day)
    days = dates[chosen]
    if days.empty or days.max() != day:
        raise ValueError(
            f"There are no flights on {run_date}; the data has {dates.min().date()} to {dates.max().date()}."
        )
    if days.min() + pd.Timedelta(days=history_days) >= day:
        raise ValueError(
            f"There are too few days of flights before {run_date}: {history_days} are needed for history and at "
            "least one more to train on. Choose a later run_date."
        )
    return flights[chosen].drop(columns=["year", "month", "day"]).assign(date=days).reset_index(drop=True)


def select_weather(weather: pd.DataFrame, window: pd.DataFrame) -> pd.DataFrame:
    """Keep the hours of weather in which a flight of the window was to leave."""
    hours = window[["origin", "time_hour"]].drop_duplicates()
    return weather[["origin", "time_hour", *WEATHER]].merge(hours, on=["origin", "time_hour"])


def weather_features(window: pd.DataFrame, window_weather: pd.DataFrame) -> pd.DataFrame:
    """Give each flight the weather of its airport, in the hour in which it is to leave."""
    joined = window[["origin", "time_hour"]].merge(window_weather, on=["origin", "time_hour"], how="left")
    return joined.drop(columns=["origin", "time_hour"])


def schedule_features(window: pd.DataFrame) -> pd.DataFrame:
    """Say when, how far and how long each flight is to fly, and how many leave its airport in that hour."""
    departure = _minute_of_day(window["sched_dep_time"])
    arrival = _minute_of_day(window["sched_arr_time"])
    return pd.DataFrame(
        {
            "departure_minute": departure,
            "arrival_minute": arrival,
            # In local times: a flight to the west seems shorter, the same way every day.
            "planned_minutes": (arrival - departure) % (24 * 60),
            "weekday": window["date"].dt.day_of_week,
            "distance": window["distance"],
            "departures_in_hour": window.groupby(["origin", "time_hour"])["flight"].transform("size"),
        }
    )


def plane_features(window: pd.DataFrame, planes: pd.DataFrame) -> pd.DataFrame:
    """Say how big and how old each flight's plane is, where the plane is known."""
    known = planes[["tailnum", "seats", "engines", "year"]].rename(columns={"year": "year_built"})
    joined = window[["tailnum"]].merge(known, on="tailnum", how="left")
    return joined.drop(columns="tailnum")


def history_features(window: pd.DataFrame, history_days: int) -> pd.DataFrame:
    """Say how late flights of the same airport, airline and destination arrived on the days before."""
    return pd.DataFrame(
        {
            f"{key}_delay_{days}d": _mean_delay_before(window, key, days)
            for key in ("origin", "carrier", "dest")
            for days in (1, history_days)
        }
    )


def assemble_features(
    window: pd.DataFrame,
    schedule: pd.DataFrame,
    plane: pd.DataFrame,
    weather: pd.DataFrame,
    history: pd.DataFrame,
    history_days: int,
) -> pd.DataFrame:
    """Put the features of each flight side by side; drop the days that only served as history."""
    table = pd.concat([window[CARRIED], schedule, plane, weather, history], axis="columns")
    first = table["date"].min() + pd.Timedelta(days=history_days)
    recent: pd.DataFrame = table[table["date"] >= first]
    return recent.reset_index(drop=True)


def _minute_of_day(clock: pd.Series) -> pd.Series:
    """Turn a time written as the number 1435 into minutes since midnight."""
    return clock // 100 * 60 + clock % 100


def _mean_delay_before(window: pd.DataFrame, key: str, days: int) -> pd.Series:
    """Mean arrival delay in minutes over the given number of days before each flight's own day."""
    daily = window.groupby([key, "date"])["arr_delay"].agg(["sum", "count"])
    every_day = pd.date_range(window["date"].min(), window["date"].max(), name="date")
    before = daily.unstack(key).reindex(every_day).fillna(0).rolling(days).sum().shift(1)
    mean = before["sum"] / before["count"]
    rows = mean.index.get_indexer(pd.Index(window["date"]))
    columns = mean.columns.get_indexer(pd.Index(window[key]))
    return pd.Series(mean.to_numpy()[rows, columns], index=window.index)
