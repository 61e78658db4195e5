"""Text that stands for an amount or a place, as the settings write it: ``500m``, ``4Gi``, ``90s``, ``gs://bucket``.

Each reader takes the text and the key that it stands at, for the message of its :class:`.ConfigError`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

from airflow_provider_kedro_vertex.core.errors import ConfigError

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


def cores(text: str, where: str) -> float:
    """Read a Kubernetes CPU quantity: ``"500m"`` is 0.5 cores.

    :raises ConfigError: it is none, or not above zero.
    """
    return _quantity(text, _CPU_UNITS, where, "a number of cores such as 2 or 500m")


def gigabytes(text: str, where: str) -> float:
    """Read a Kubernetes memory quantity in units of 10^9 bytes: ``"1024Mi"`` is 1.073741824.

    :raises ConfigError: it is none, or not above zero.
    """
    return _quantity(text, _BYTE_UNITS, where, "an amount of memory such as 512Mi or 4Gi") / 1e9


def accelerators(text: str, where: str) -> int:
    """Read a number of accelerators.

    :raises ConfigError: it is no whole number.
    """
    if text.isascii() and text.isdecimal() and len(text) < 10:
        return int(text)
    raise ConfigError(f"{where} must be a whole number, not {text!r}.")


def seconds(text: str, where: str) -> float:
    """Read a duration: ``"90s"``, ``"1.5h"``, ``"2d"``; a number without a unit is seconds.

    :raises ConfigError: it is none, or longer than Google's APIs take.
    """
    match = _QUANTITY.fullmatch(text)
    if match and match[2] in _SECONDS:
        number = float(match[1]) * _SECONDS[match[2]]
        if number <= _MAX_SECONDS:
            return number
    raise ConfigError(f"{where} must be a duration such as 90s, 30m or 2h, not {text!r}.")


def duration(text: str, where: str) -> str:
    """Write a duration as Google's APIs do: ``"2h"`` is ``"7200s"``.

    :raises ConfigError: see :func:`seconds`.
    """
    return f"{seconds(text, where):.9f}".rstrip("0").rstrip(".") + "s"


def storage_root(text: str, where: str = "root") -> str:
    """Bring a storage root into the form ``gs://bucket/prefix``, without a slash at its end.

    :raises ConfigError: it names no bucket, or another store than Cloud Storage.
    """
    scheme, separator, rest = text.strip().rpartition("://")
    path = rest.strip("/")
    if not path or (separator and scheme != "gs"):
        raise ConfigError(f"{where} must be a Cloud Storage place such as gs://bucket/prefix, not {text!r}.")
    return f"gs://{path}"


def _quantity(text: str, units: Mapping[str, float], where: str, example: str) -> float:
    match = _QUANTITY.fullmatch(text)
    if match and match[2] in units:
        number = float(match[1]) * units[match[2]]
        if 0 < number < math.inf:
            return number
    raise ConfigError(f"{where} must be {example}, not {text!r}.")
