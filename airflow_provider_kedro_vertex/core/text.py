"""Texts in the forms that others take: slugs, label values, digests, JSON in an argument."""

from __future__ import annotations

import hashlib
import re

#: A label's value and a label's key have at most 63 characters.
LABEL_LENGTH = 63


def slug(text: str) -> str:
    """Lower-case a name and turn every run of other characters than letters and digits into one dash."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "x"


def label_value(text: str) -> str:
    """Bring a label's value into the form that Google Cloud allows: ``[a-z0-9_-]``, at most 63 characters."""
    return re.sub(r"[^a-z0-9_-]", "-", text.lower())[:LABEL_LENGTH].strip("-")


def digest(*parts: str) -> str:
    """Digest texts so that no two lists of texts meet: 64 hexadecimal digits."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def json_argument(text: str) -> str:
    """JSON text as an argument that a container gets unchanged; written twice it is as written once.

    ``$(NAME)`` in an argument may be looked up as in a variable, so the sign is written in JSON's own other way.

    :param text: JSON, or ``@gs://...`` where it is stored.
    """
    return text if text.startswith("@") else text.replace("$", "\\u0024")
