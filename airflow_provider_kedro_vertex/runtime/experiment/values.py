"""What an experiment shows of a run: parameters and metrics as flat names and plain values."""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Iterator, Mapping
from numbers import Integral, Real
from typing import Any

Value = str | bool | int | float

#: The key of a catalog entry's ``metadata`` that is this package's.
_OWN_METADATA = "kedro-vertex"
_LONGEST_TEXT = 500
#: The most characters of a container's parameters, and of its metrics, in JSON: a context's metadata has a limit.
_ROOM = 50_000
_NAMED = re.compile(r"(?:.*[^a-zA-Z0-9])?metrics", re.IGNORECASE | re.DOTALL)


def parameters(params: Mapping[str, Any]) -> dict[str, Value]:
    """Kedro's runtime parameters: a nested one by its dotted name; lists and null as JSON; long texts are cut."""
    return dict(_fitting(_flat(params), _plain))


def metrics(name: str, data: Any) -> dict[str, Value]:
    """The numbers in what a metrics dataset has saved: a number, or a mapping that has some, perhaps nested.

    What is no number is left out, and so are NaN, infinity and what is beyond a float, which the API cannot take.

    :param name: the dataset's. The numbers of ``metrics`` have their own names, those of any other dataset its name
        before theirs, ``train_metrics.rmse``.
    """
    base = base_of(name)
    if not isinstance(data, Mapping):
        found: Iterator[tuple[str, Any]] = iter([(base, data)])
    else:
        found = _flat(data, "" if base == "metrics" else f"{base}.")
    return dict(_fitting(found, _number))


def are_metrics(name: str, dataset: Any) -> bool:
    """Tell whether a dataset's numbers are metrics.

    They are if its catalog entry says ``metadata: {kedro-vertex: {metrics: true}}``, and are not with ``false``; else
    if its class is one for metrics (``MetricsDataset``, kedro-mlflow's ``MlflowMetricDataset``), or if its name is
    ``metrics`` or ends so as a word of its own: ``train_metrics``, ``model.metrics``, ``metrics#json``.

    :param dataset: the catalog's.
    """
    declared = getattr(dataset, "metadata", None)
    own = declared.get(_OWN_METADATA) if isinstance(declared, Mapping) else None
    if isinstance(own, Mapping) and isinstance(own.get("metrics"), bool):
        return bool(own["metrics"])
    return type(dataset).__name__ in ("MetricsDataset", "MlflowMetricDataset") or bool(_NAMED.fullmatch(base_of(name)))


def base_of(name: str) -> str:
    """A dataset's name without transcoding (``@``) and without what tells a pattern of the catalog (``#``)."""
    return re.split("[@#]", name, maxsplit=1)[0]


def _flat(values: Mapping[Any, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{name}.")
        else:
            yield name, value


def _plain(value: Any) -> Value:
    if isinstance(value, bool) or (isinstance(value, int | float) and abs(value) <= sys.float_info.max):
        return value
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return text if len(text) <= _LONGEST_TEXT else f"{text[: _LONGEST_TEXT - 2]}.."


def _number(value: Any) -> Value | None:
    if isinstance(value, bool) or not isinstance(value, Real):
        return None
    try:
        number = float(value)  # the API keeps numbers so
    except OverflowError:
        return None
    if not math.isfinite(number):
        return None
    return int(value) if isinstance(value, Integral) else number


def _fitting(values: Iterator[tuple[str, Any]], convert: Any) -> Iterator[tuple[str, Value]]:
    room = _ROOM
    for name, value in values:
        converted = convert(value)
        if converted is None:
            continue
        room -= len(json.dumps({name: converted}))
        if room < 0:
            return
        yield name, converted
