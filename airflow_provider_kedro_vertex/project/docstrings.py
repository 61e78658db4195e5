"""What the docstrings of a project's functions say of its nodes."""

from __future__ import annotations

import inspect
from functools import partial
from pathlib import Path
from typing import Any

from airflow_provider_kedro_vertex.core.project.locations import without_secrets

#: The most characters of a description: Airflow stores it with each task.
LENGTH = 300


def description_of(function: Any, project_path: Path) -> str | None:
    """Tell the first paragraph of a function's docstring, on one line of at most :data:`LENGTH` characters.

    :return: None without a docstring, and for a function that is not the project's own: a library's text would be
        another one with another version of it. URLs in it are as they may be shown.
    """
    while isinstance(function, partial):
        function = function.func
    function = inspect.unwrap(function)
    if inspect.ismethod(function):
        function = function.__func__
    if not inspect.isfunction(function) or not function.__doc__:
        return None
    file = Path(function.__code__.co_filename)
    # A project may hold its environment too, whose packages are not its own code.
    if not file.is_relative_to(project_path.resolve()) or "site-packages" in file.parts:
        return None
    paragraph = inspect.cleandoc(function.__doc__).split("\n\n")[0]
    text = without_secrets(" ".join(paragraph.split()))
    return text if len(text) <= LENGTH else f"{text[: LENGTH - 1].rpartition(' ')[0]}…"
