"""The values that settings take, beside :mod:`.quantities`: plain ones, and names of things that live elsewhere.

Each function is a reader, or makes one; see :mod:`.sections`.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from typing import Any

from airflow_provider_kedro_vertex.core.errors import did_you_mean
from airflow_provider_kedro_vertex.core.settings.sections import Reader, invalid

_SECRET = re.compile(r"(projects/[^/\s]+/secrets/[A-Za-z0-9_-]+)(/versions/[A-Za-z0-9_-]+)?")
_ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def string(value: Any) -> str:
    """Read a string; a number is taken for one, since YAML reads ``cpu: 8`` as a number."""
    if isinstance(value, str):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    raise invalid(f"must be a string, not {value!r:.80}.")


def validated(check: Callable[[str], object]) -> Reader:
    """Read a string that ``check`` does not refuse, and keep it as it is written."""

    def read(value: Any) -> str:
        text = string(value)
        check(text)
        return text

    return read


def converted(convert: Callable[[str], str]) -> Reader:
    """Read a string and keep what ``convert`` makes of it."""
    return lambda value: convert(string(value))


def matching(pattern: str, example: str) -> Reader:
    """Read a string of a certain form.

    :param example: what it must be, for the message.
    """

    def check(text: str) -> None:
        if not re.fullmatch(pattern, text):
            raise invalid(f"must be {example}, not {text!r:.80}.")

    return validated(check)


def boolean(value: Any) -> bool:
    """Read true or false; the words are taken too, since a rendered template is a string."""
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    raise invalid(f"must be true or false, not {value!r:.80}.")


def integer(least: int) -> Reader:
    """Read a whole number of at least ``least``; digits in a string are taken too."""

    def read(value: Any) -> int:
        digits = isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 19
        count = int(value) if digits else value
        if isinstance(count, int) and not isinstance(count, bool) and least <= count < 2**63:
            return count
        raise invalid(f"must be a whole number of at least {least}, not {value!r:.80}.")

    return read


def number(least: float) -> Reader:
    """Read a number of at least ``least``."""

    def read(value: Any) -> float:
        if isinstance(value, int | float) and not isinstance(value, bool) and least <= value and math.isfinite(value):
            return float(value)
        raise invalid(f"must be a number of at least {least:g}, not {value!r:.80}.")

    return read


def json_number(value: Any) -> int | float:
    """Read a number of any size, and keep it as it is written."""
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        return value
    raise invalid(f"must be a number, not {value!r:.80}.")


def one_of(*words: str) -> Reader:
    """Read one of some words, in capitals or not."""

    def read(value: Any) -> str:
        word = string(value)
        for known in words:
            if word.lower() == known.lower():
                return known
        raise invalid(f"must be one of {', '.join(words)}, not {word!r:.80}.", did_you_mean(word, words))

    return read


def json_value(value: Any) -> Any:
    """Read any JSON value."""
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        raise invalid(f"must be a JSON value, not {value!r:.80}.") from None
    return value


def secret_version(value: Any) -> str:
    """Read the name of a secret as ``projects/p/secrets/s/versions/v``; ``latest`` if it has no version."""
    match = _SECRET.fullmatch(value) if isinstance(value, str) else None
    if match is None:  # the value may be the secret itself, so it is not shown
        raise invalid(
            "must name a secret of Secret Manager, as projects/PROJECT/secrets/NAME/versions/VERSION, not hold a value."
        )
    return match[1] + (match[2] or "/versions/latest")


#: The dotted name of a function and of a class.
function_name = matching(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*", "a function, as package.module:function")
class_name = matching(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+", "a class, as package.module.Class")


@validated
def repository_url(text: str) -> None:
    """Read a repository's web address; one with a user, a password or a query may hold a secret."""
    if not re.fullmatch(r"https?://[\w.-]+(:\d+)?(/[\w.~+-]+)+/?", text, re.ASCII):  # which is not shown
        raise invalid("must be a web address without user and query, as https://github.com/org/project.")


@validated
def ip_address(text: str) -> None:
    """Read an IP address."""
    import ipaddress  # costs as much as all settings together, and few have host aliases

    try:
        ipaddress.ip_address(text)
    except ValueError:
        raise invalid(f"must be an IP address such as 10.0.0.7, not {text!r:.80}.") from None


def environment_variable(name: str) -> None:
    """Check the names of a mapping: they must be those of environment variables."""
    if not _ENV_NAME.fullmatch(name):
        raise invalid(f"has {name!r:.80}, which is no name of an environment variable (letters, digits, underscores).")
