"""What ``kedro vertex schedule`` writes, read by Airflow itself; and the cron expressions that it takes."""

from __future__ import annotations

import runpy
from dataclasses import asdict, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_kedro_vertex.core.errors import ConfigError
from airflow_provider_kedro_vertex.core.project import manifest as manifests
from airflow_provider_kedro_vertex.core.settings.cron import five_fields
from airflow_provider_kedro_vertex.project.dag_file import Entry, entries_of, new, updated

GOLDEN = Path(__file__).parents[2] / "golden" / "small_shop.manifest.json"

DEFAULT = Entry("__default__", "0 4 * * *", "Europe/Warsaw", "2026-01-01", None, 2, {"ratio": 0.5, "it's": ['"', None]})
ORDERS = Entry("orders", "@daily", "Etc/UTC", "2026-01-01T05:00:00Z", "2027-01-01", 1, {})


def test_airflow_reads_the_file(tmp_path: Path) -> None:
    read_in_a_run = dict.fromkeys(DEFAULT.params, False)
    manifests.write(replace(manifests.read(GOLDEN), runtime_params=read_in_a_run), tmp_path / "m.json")
    file = tmp_path / "shop.py"
    file.write_text(new('Small "Shop\\', "m.json", (DEFAULT, ORDERS)), encoding="utf-8")
    found: dict[str, Any] = runpy.run_path(str(file))
    default, orders = found["small_shop"], found["small_shop_orders"]
    assert default.timezone.name == "Europe/Warsaw"
    assert (default.max_active_runs, default.catchup, default.end_date) == (2, False, None)
    assert default.params["ratio"] == 0.5
    assert default.params["it's"] == ['"', None]
    assert (getattr(default, "schedule", None) or default.schedule_interval) == "0 4 * * *"  # Airflow 3 or 2
    assert default.start_date == datetime(2025, 12, 31, 23, tzinfo=timezone.utc)  # midnight in Warsaw
    assert orders.start_date == datetime(2026, 1, 1, 5, tzinfo=timezone.utc)
    assert orders.end_date is not None


text = st.text(st.characters(exclude_categories=["Cs"]), max_size=10)
params = st.dictionaries(
    text,
    st.one_of(text, st.integers(), st.booleans(), st.none(), st.floats(allow_nan=False, allow_infinity=False)),
    max_size=3,
)
entries = st.lists(
    st.builds(Entry, text, text, text, text, st.none() | text, st.integers(1, 9), params), max_size=3
).map(tuple)


@given(first=entries, second=entries)
def test_what_is_written_is_read_again_and_the_rest_stays(first: tuple[Entry, ...], second: tuple[Entry, ...]) -> None:
    # Ends of lines that Python does not know for such, and Windows' own.
    file = "# mine\f \x85 \u2028 \r\nbefore = '\x0b'\r\n" + new("Shop", "m.json", first) + "\nafter = 2\n"
    assert entries_of(file, "x.py") == first
    again = updated(file, second)
    assert entries_of(again, "x.py") == second
    assert updated(again, first) == file


@pytest.mark.parametrize(
    "content",
    [
        *("", "SCHEDULES = 1\n", "SCHEDULES = [{'a': 1}]\n", "def (:\n", "SCHEDULES = f()\n"),
        f"SCHEDULES = [{ {**asdict(ORDERS), 'pipeline': None} }]\n",
    ],
)
def test_another_file_is_refused(content: str) -> None:
    with pytest.raises(ConfigError, match=r"^x.py is not a file that `kedro vertex schedule` wrote"):
        entries_of(content, "x.py")


@pytest.mark.parametrize(
    ("written", "expression", "timezone"),
    [
        ("0 4 * * *", "0 4 * * *", None),
        ("0 0 4 * * *", "0 4 * * *", None),
        ("00 */15 0-6,22 1 jan,jul ?", "*/15 0-6,22 1 jan,jul *", None),
        ("  5  4 * * MON-FRI ", "5 4 * * MON-FRI", None),
        ("TZ=Europe/Warsaw 0 4 * * 7", "0 4 * * 7", "Europe/Warsaw"),
        ("CRON_TZ=Etc/UTC @daily", "@daily", "Etc/UTC"),
    ],
)
def test_cron_expressions(written: str, expression: str, timezone: str | None) -> None:
    assert five_fields(written, "x") == (expression, timezone)


@pytest.mark.parametrize(
    "written",
    ["", "* * * *", "1 0 4 * * *", "* * * * * *", "60 * * * *", "* * 0 * *", "* * * 13 *", "* * * * 8", "a * * * *",
     "1-2-3 * * * *", "*/0 * * * *", "*/x * * * *", "*/\u0663 * * * *", "* * * */jan *", "@sometimes",
     "0 4 * * *; rm", "* * * foo *", "9" * 5000 + " * * * *", "*/" + "9" * 5000 + " * * * *"],
)  # fmt: skip
def test_what_is_no_cron_expression(written: str) -> None:
    with pytest.raises(ConfigError, match=r"^schedules.x: "):
        five_fields(written, "schedules.x")


@given(st.text(max_size=20))
def test_any_text_is_an_expression_or_an_error(written: str) -> None:
    try:
        expression, _ = five_fields(written, "x")
    except ConfigError:
        return
    assert five_fields(expression, "x") == (expression, None)
