from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_kedro_vertex.emulator.storage.logs import LONGEST_PART, LogWriter, read_log


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "1.log"


def test_lines_with_their_stream_and_time(path: Path) -> None:
    with LogWriter(path) as log:
        log.feed("stdout", b"one\ntw")
        log.feed("stderr", b"err\n")
        log.feed("stdout", b"o\r\n\nlast")
        log.note("note")
    entries, offset = read_log(path)
    assert [(entry.stream, entry.text) for entry in entries] == [
        ("stdout", "one"),
        ("stderr", "err"),
        ("stdout", "two"),
        ("stdout", ""),
        ("emulator", "note"),
        ("stdout", "last"),
    ]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", entry.time) for entry in entries)
    assert offset == path.stat().st_size


def test_a_log_is_read_on_from_where_it_was_left(path: Path) -> None:
    with LogWriter(path) as log:
        log.feed("stdout", b"one\n")
        _, offset = read_log(path)
        log.feed("stdout", b"two\n")
        entries, offset = read_log(path, offset)
        assert [entry.text for entry in entries] == ["two"]
        assert read_log(path, offset) == ([], offset)


def test_no_log_is_an_empty_one(path: Path) -> None:
    assert read_log(path) == ([], 0)


def test_a_log_is_limited_and_says_so(path: Path) -> None:
    with LogWriter(path, limit=500) as log:
        log.feed("stdout", b"x" * 50 + b"\n")
        for _ in range(100):
            log.feed("stdout", b"y" * 50 + b"\n")
    entries, _ = read_log(path)
    assert path.stat().st_size < 1000
    dropped = 101 - (len(entries) - 1)
    assert entries[-1].text == f"The log is full (500 bytes); {dropped * 51} more were dropped."


def test_a_line_without_end_is_cut_into_parts(path: Path) -> None:
    with LogWriter(path) as log:
        for _ in range(10):
            log.feed("stdout", b"z" * LONGEST_PART)
    entries, _ = read_log(path)
    assert "".join(entry.text for entry in entries) == "z" * (10 * LONGEST_PART)
    assert max(len(entry.text) for entry in entries) == LONGEST_PART


def test_a_second_try_of_the_same_job_is_appended(path: Path) -> None:
    for text in (b"one\n", b"two\n"):
        with LogWriter(path) as log:
            log.feed("stdout", text)
    assert [entry.text for entry in read_log(path)[0]] == ["one", "two"]


@given(st.lists(st.binary(max_size=40), max_size=10))
def test_any_bytes_come_out_as_the_same_lines(tmp_path_factory: pytest.TempPathFactory, chunks: list[bytes]) -> None:
    path = tmp_path_factory.mktemp("log") / "1.log"
    with LogWriter(path) as log:
        for chunk in chunks:
            log.feed("stdout", chunk)
    whole = b"".join(chunks)
    lines = whole.split(b"\n")
    if not lines[-1]:
        lines.pop()
    assert [entry.text for entry in read_log(path)[0]] == [
        line.removesuffix(b"\r").decode(errors="replace") for line in lines
    ]
