"""Texts in the forms that others take: slugs, label values, digests, numbers of things, JSON in an argument."""

from __future__ import annotations

import hashlib
import re

#: A label's value and a label's key have at most 63 characters.
LABEL_LENGTH = 63


def slug(text: str) -> str:
    """Lower-case a name and turn every run of other characters than letters and digits into one dash."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "x"


def readable_slug(text: str) -> str:
    """As :func:`slug`, with 8 digits of a digest where letters of other scripts, or all signs, get lost."""
    short = slug(text)
    return short if text.isascii() and re.search("[A-Za-z0-9]", text) else f"{short}-{digest(text)[:8]}"


def airflow_id(text: str, limit: int) -> str:
    """Bring a text into the form of Airflow's ids: ASCII letters, digits, ``_``, ``-`` and dots.

    What has this form is kept; of all else 8 digits of a digest keep it apart from what looks the same.

    :param limit: the most characters.
    """
    clean = re.sub(r"[^A-Za-z0-9_.-]+", "_", text).strip("_")
    if clean == text and len(clean) <= limit:
        return clean
    return f"{clean[: limit - 9]}_{digest(text)[:8]}".lstrip("_")


def label_value(text: str) -> str:
    """Bring a label's value into the form that Google Cloud allows: ``[a-z0-9_-]``, at most 63 characters."""
    return re.sub(r"[^a-z0-9_-]", "-", text.lower())[:LABEL_LENGTH].strip("-")


def digest(*parts: str) -> str:
    """Digest texts so that no two lists of texts meet: 64 hexadecimal digits."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def counted(number: int, noun: str) -> str:
    """Write a number with what it counts: ``1 file``, ``2,000 files``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def json_argument(text: str) -> str:
    """JSON text as an argument that a container gets unchanged; written twice it is as written once.

    ``$(NAME)`` in an argument may be looked up as in a variable, so the sign is written in JSON's own other way.

    :param text: JSON, or ``@gs://...`` where it is stored.
    """
    return text if text.startswith("@") else text.replace("$", "\\u0024")
