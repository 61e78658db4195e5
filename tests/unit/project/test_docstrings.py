from __future__ import annotations

import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_kedro_vertex.project.docstrings import LENGTH, description_of

HERE = Path(__file__).parent


def plain(rows: int) -> int:
    """Count the rows
    of a table.

    Returns:
        how many.
    """
    return rows


def without(rows: int) -> int:
    return rows


def decorated(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapper(*args: Any) -> Any:
        """Of the decorator."""
        return function(*args)

    return wrapper


class Model:
    """A model."""

    def fit(self, rows: int) -> int:
        """Fit it."""
        return rows


@pytest.mark.parametrize(
    ("function", "description"),
    [
        (plain, "Count the rows of a table."),
        (functools.partial(functools.partial(plain), rows=3), "Count the rows of a table."),
        (decorated(plain), "Count the rows of a table."),
        (Model().fit, "Fit it."),
        (without, None),
        (lambda rows: rows, None),
        (len, None),
        (json.dumps, None),
    ],
)
def test_the_first_paragraph_of_the_projects_own_functions_is_told(
    function: Callable[..., Any], description: str | None
) -> None:
    assert description_of(function, HERE) == description


def test_a_library_in_the_projects_own_environment_is_none_of_its_code(tmp_path: Path) -> None:
    for folder, description in (("src", "Tell."), (".venv/lib/site-packages", None)):
        file = tmp_path / folder / "module.py"
        file.parent.mkdir(parents=True)
        file.write_text('def tell():\n    """Tell."""\n')
        namespace: dict[str, Any] = {}
        exec(compile(file.read_text(), str(file), "exec"), namespace)
        assert description_of(namespace["tell"], tmp_path) == description


def test_it_is_short_and_its_addresses_are_as_they_may_be_shown() -> None:
    def wordy() -> None: ...

    wordy.__doc__ = "Ask https://me:secret@host/rows?sig=abc for rows. " + "word " * 100

    text = description_of(wordy, HERE) or ""
    assert text.startswith("Ask https://host/rows for rows. word")
    assert text.endswith(" word…")
    assert LENGTH - 10 < len(text) <= LENGTH
