"""Times as Google's APIs write them."""

from __future__ import annotations

from datetime import datetime


def moment(text: str) -> datetime:
    """Read an RFC 3339 time in UTC, ``Z`` at its end, with up to nanoseconds; those beyond microseconds are cut off."""
    # datetime reads neither Z nor other than 3 or 6 digits before Python 3.11.
    whole, _, fraction = text.removesuffix("Z").partition(".")
    return datetime.fromisoformat(f"{whole}.{fraction[:6]:0<6}+00:00")
