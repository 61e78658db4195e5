"""``${airflow:KEY}`` and ``${airflow:KEY,DEFAULT}``: what the Airflow run tells the configuration.

A project may have a resolver of this name of its own, which then wins.
"""

from __future__ import annotations

import os

from airflow_provider_kedro_vertex.core.settings.data_root import AIRFLOW_VARIABLES


def value(key: str, *default: object) -> object:
    """The value in this process, by its environment variable, or the default.

    :raises ValueError: the key is unknown, or has neither a value nor a default.
    """
    _check(key)
    found = os.environ.get(AIRFLOW_VARIABLES[key])
    if found is not None:
        return found
    if default:
        return default[0]
    raise ValueError(
        f"${{airflow:{key}}} has no value: this is no Airflow run, or one without a {key}. Give a default, "
        f"${{airflow:{key},VALUE}}, or set {AIRFLOW_VARIABLES[key]}."
    )


def value_or_placeholder(key: str, *default: object) -> object:
    """As :func:`value`, with a text in the place of a value that is not there."""
    try:
        return value(key, *default)
    except ValueError:
        return placeholder(key)


def placeholder(key: str, *default: object) -> object:
    """While a project is inspected: the default, or a text in the value's place.

    :raises ValueError: the key is unknown.
    """
    _check(key)
    return default[0] if default else f"<{key}>"


def as_written(key: str, *default: object) -> str:
    """The interpolation itself, for a setting that each run resolves for itself.

    :raises ValueError: the key is unknown.
    """
    _check(key)
    return f"${{airflow:{','.join([key, *map(str, default)])}}}"


def _check(key: str) -> None:
    if key not in AIRFLOW_VARIABLES:
        raise ValueError(f"${{airflow:{key}}} is unknown. Known: {', '.join(AIRFLOW_VARIABLES)}.")
