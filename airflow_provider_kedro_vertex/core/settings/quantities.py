"""Text that stands for an amount or a place, as the settings write it: ``500m``, ``4Gi``, ``90s``, ``gs://bucket``.

Text that is none raises :class:`.SettingsError`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

from airflow_provider_kedro_vertex.core.settings.sections import invalid

_QUANTITY = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)([a-zA-Z]*)")
_CPU_UNITS = {"": 1.0, "m": 1e-3}
_BYTE_UNITS = {
    "": 1.0,
    **{unit: 1000.0**power for power, unit in enumerate(("K", "M", "G", "T", "P"), start=1)},
    **{unit: 1024.0**power for power, unit in enumerate(("Ki", "Mi", "Gi", "Ti", "Pi"), start=1)},
}
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}
#: What a duration of Google's APIs may be at most (google.protobuf.Duration): about 10,000 years.
_MAX_SECONDS = 315_576_000_000


def cores(text: str) -> float:
    """Read a Kubernetes CPU quantity above zero: ``"500m"`` is 0.5 cores."""
    return _quantity(text, _CPU_UNITS, "a number of cores such as 2 or 500m")


def gigabytes(text: str) -> float:
    """Read a Kubernetes memory quantity above zero in units of 10^9 bytes: ``"1024Mi"`` is 1.073741824."""
    return _quantity(text, _BYTE_UNITS, "an amount of memory such as 512Mi or 4Gi") / 1e9


def accelerators(text: str) -> int:
    """Read a number of accelerators."""
    if text.isascii() and text.isdecimal() and len(text) < 10:
        return int(text)
    raise invalid(f"must be a whole number, not {text!r}.")


def seconds(text: str) -> float:
    """Read a duration that Google's APIs take: ``"90s"``, ``"1.5h"``, ``"2d"``; without a unit it is seconds."""
    match = _QUANTITY.fullmatch(text)
    if match and match[2] in _SECONDS:
        number = float(match[1]) * _SECONDS[match[2]]
        if number <= _MAX_SECONDS:
            return number
    raise invalid(f"must be a duration such as 90s, 30m or 2h, not {text!r}.")


def duration(text: str) -> str:
    """Write a duration as Google's APIs do: ``"2h"`` is ``"7200s"``."""
    return f"{seconds(text):.9f}".rstrip("0").rstrip(".") + "s"


def storage_root(text: str) -> str:
    """Bring a place in Cloud Storage into the form ``gs://bucket/prefix``, without a slash at its end."""
    scheme, separator, rest = text.strip().rpartition("://")
    path = rest.strip("/")
    if not path or (separator and scheme != "gs"):
        raise invalid(f"must be a Cloud Storage place such as gs://bucket/prefix, not {text!r}.")
    return f"gs://{path}"


def _quantity(text: str, units: Mapping[str, float], example: str) -> float:
    match = _QUANTITY.fullmatch(text)
    if match and match[2] in units:
        number = float(match[1]) * units[match[2]]
        if 0 < number < math.inf:
            return number
    raise invalid(f"must be {example}, not {text!r}.")
