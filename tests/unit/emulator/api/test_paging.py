from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_kedro_vertex.emulator.api.filters import Row
from airflow_provider_kedro_vertex.emulator.api.paging import LARGEST_PAGE, page, page_size, parse_order
from airflow_provider_kedro_vertex.emulator.resources.errors import ApiError
from airflow_provider_kedro_vertex.emulator.storage.store import TIMES

QUESTION = ("parent", "", "")


def everything(row: Row) -> bool:
    return True


def rows(*times: int | None) -> list[Row]:
    return [{"name": f"job-{at}", "create_time": time, "end_time": time} for at, time in enumerate(times)]


def pages(found: list[Row], size: int, order: str = "") -> list[list[str]]:
    given, token = [], ""
    while True:
        chosen, token = page(found, everything, parse_order(order, TIMES), size, token, QUESTION)
        given.append([row["name"] for row in chosen])
        if not token:
            return given


def test_the_newest_come_first() -> None:
    assert pages(rows(1, 3, 2), 10) == [["job-1", "job-2", "job-0"]]


def test_orders_by_several_fields_and_directions() -> None:
    assert pages(rows(1, None, 2), 10, "end_time desc, create_time") == [["job-2", "job-0", "job-1"]]
    assert pages(rows(1, None, 2), 10, "end_time") == [["job-1", "job-0", "job-2"]]


@given(
    st.lists(st.integers(1, 5) | st.none(), max_size=30),
    st.integers(1, 7),
    st.sampled_from(["", "end_time", "create_time desc"]),
)
def test_pages_give_each_job_once_and_in_order(times: list[int | None], size: int, order: str) -> None:
    found = rows(*times)
    all_at_once = pages(found, 1000, order)[0]
    given_pages = pages(found, size, order)
    assert [name for names in given_pages for name in names] == all_at_once
    assert all(len(names) == size for names in given_pages[:-1])


def test_a_new_job_does_not_shift_the_pages() -> None:
    found = rows(5, 4, 3, 2)
    first, token = page(found, everything, parse_order("", TIMES), 2, "", QUESTION)
    found = [*found, {"name": "job-new", "create_time": 9, "end_time": 9}]
    second, _ = page(found, everything, parse_order("", TIMES), 2, token, QUESTION)
    assert [row["name"] for row in (*first, *second)] == ["job-0", "job-1", "job-2", "job-3"]


def test_a_token_serves_only_its_question() -> None:
    _, token = page(rows(1, 2), everything, parse_order("", TIMES), 1, "", QUESTION)
    with pytest.raises(ApiError, match="another parent, filter or order"):
        page(rows(1, 2), everything, parse_order("", TIMES), 1, token, ("parent", "state=X", ""))


@pytest.mark.parametrize("token", ["x", "####", "bnVsbA", "WzFd", "eyJhIjoxfQ", "\u00e9"])
def test_a_made_up_token_is_refused(token: str) -> None:
    with pytest.raises(ApiError, match="page_token"):
        page(rows(1, 2), everything, parse_order("", TIMES), 1, token, QUESTION)


@pytest.mark.parametrize("text", ["name", "create_time down", "create_time desc desc", ","])
def test_an_unknown_order_is_refused(text: str) -> None:
    with pytest.raises(ApiError, match="order_by"):
        parse_order(text, TIMES)


def test_page_size() -> None:
    assert page_size(0) == page_size(10_000) == LARGEST_PAGE
    assert page_size(7) == 7
    with pytest.raises(ApiError, match="page_size"):
        page_size(-1)
