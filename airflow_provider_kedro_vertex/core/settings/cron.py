"""Cron expressions of kedro-vertexai and kedro-kubeflow as Airflow takes them: five fields, the time zone apart."""

from __future__ import annotations

import re

from airflow_provider_kedro_vertex.core.errors import ConfigError

_TIMEZONE = re.compile(r"(?:CRON_)?TZ=(\S+)\s+")
_PRESETS = ("@hourly", "@daily", "@weekly", "@monthly", "@yearly", "@once")
_NAMES = {
    3: ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"),
    4: ("sun", "mon", "tue", "wed", "thu", "fri", "sat"),
}
_FIELDS = (("minute", 0, 59), ("hour", 0, 23), ("day of the month", 1, 31), ("month", 1, 12), ("day of the week", 0, 7))


def five_fields(expression: str, where: str) -> tuple[str, str | None]:
    """Bring a cron expression into Airflow's form.

    Six fields (kedro-kubeflow's, seconds first) lose their seconds when these are 0; ``?`` becomes ``*``; a prefix
    ``TZ=`` or ``CRON_TZ=`` (Vertex AI's) is taken off.

    :param where: the key or option that it comes from, for the message.
    :return: the expression, and the time zone of its prefix.
    :raises ConfigError: it is no cron expression, or its seconds are not 0; the message names the field.
    """
    prefix = _TIMEZONE.match(expression.strip())
    timezone = prefix[1] if prefix else None
    text = expression.strip()[prefix.end() if prefix else 0 :].strip()
    if text.startswith("@"):
        if text not in _PRESETS:
            raise ConfigError(f"{where}: {text!r} is none of {', '.join(_PRESETS)}.")
        return text, timezone
    fields = text.split()
    if len(fields) == 6:
        if fields[0] not in ("0", "00"):
            raise ConfigError(
                f"{where}: {expression!r} has six fields, and its seconds are {fields[0]!r}.",
                "Airflow starts runs at whole minutes: write 0 for the seconds, or leave them out.",
            )
        fields = fields[1:]
    if len(fields) != 5:
        raise ConfigError(
            f"{where}: {expression!r} has {len(fields)} fields.",
            "Write five: minute, hour, day of the month, month, day of the week.",
        )
    for index, field in enumerate(fields):
        fields[index] = "*" if field == "?" else field
        _check(fields[index], index, f"{where}: {expression!r}")
    return " ".join(fields), timezone


def _check(field: str, index: int, where: str) -> None:
    name, least, most = _FIELDS[index]
    for part in field.split(","):
        span, slash, step = part.partition("/")
        bounds = [] if span == "*" else span.split("-")
        numbers = [_number(bound, index) for bound in bounds]
        wrong = len(bounds) > 2 or any(number is None or not least <= number <= most for number in numbers)
        if wrong or (slash and not _whole(step)):
            raise ConfigError(f"{where}: {part!r} is no {name}: numbers from {least} to {most}, ranges, steps or *.")


def _number(text: str, index: int) -> int | None:
    names = _NAMES.get(index, ())
    if text.lower() in names:
        return names.index(text.lower()) + _FIELDS[index][1]
    return _whole(text)


def _whole(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else None
