from __future__ import annotations

from datetime import datetime, timezone

import pytest

from airflow_provider_kedro_vertex.core.times import moment


@pytest.mark.parametrize(
    ("text", "microsecond"),
    [("2013-01-02T03:04:05Z", 0), ("2013-01-02T03:04:05.123Z", 123000), ("2013-01-02T03:04:05.123456789Z", 123456)],
)
def test_times_of_googles_apis_are_read(text: str, microsecond: int) -> None:
    assert moment(text) == datetime(2013, 1, 2, 3, 4, 5, microsecond, timezone.utc)
