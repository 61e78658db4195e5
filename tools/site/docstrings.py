"""Docstrings are written in reStructuredText, as Airflow's are; the pages are Markdown."""

from __future__ import annotations

import re
from typing import Any

import griffe

_ROLE = re.compile(r":(?:class|func|meth|attr|mod|data|exc):`~?([^`]+)`")
_LITERAL = re.compile(r"::$", re.MULTILINE)


def as_markdown(docstring: str) -> str:
    """Write the roles and literal blocks of reStructuredText in Markdown: a role becomes the last part of its name."""
    text = _ROLE.sub(lambda role: f"`{role[1].rpartition('.')[2]}`", docstring)
    return _LITERAL.sub("", text) if text.startswith("::") else _LITERAL.sub(":", text)


class Markdown(griffe.Extension):
    """Turns each docstring when it is read."""

    def on_instance(self, *, obj: griffe.Object, **_: Any) -> None:
        """Replace an object's docstring."""
        if obj.docstring is not None:
            obj.docstring.value = as_markdown(obj.docstring.value)
