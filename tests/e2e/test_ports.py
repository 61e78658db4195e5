"""Stacks that start at the same time keep off each other's ports."""

from __future__ import annotations

import socket
import tempfile
from pathlib import Path

import pytest

from tools.demo.ports import Ports


@pytest.fixture(autouse=True)
def locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def test_the_usual_port_goes_to_one_stack() -> None:
    first, second = Ports(), Ports()
    usual = first.take()
    first.release()
    try:
        assert first.take(usual) == usual
        assert second.take(usual) != usual
        first.release()
        assert second.take(usual) == usual
    finally:
        first.release()
        second.release()


def test_a_port_that_someone_listens_on_is_left_alone() -> None:
    ports = Ports()
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken = server.getsockname()[1]
        try:
            assert ports.take(taken) != taken
        finally:
            ports.release()
