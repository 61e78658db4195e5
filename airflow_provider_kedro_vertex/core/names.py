"""What settings name: secrets, functions, classes, machines, environment variables and Airflow's arguments."""

from __future__ import annotations

import re
from collections.abc import Callable

from airflow_provider_kedro_vertex.core.errors import ConfigError, did_you_mean

#: What ``nodes.<selector>.airflow`` may set: arguments of Airflow's BaseOperator. Delays and timeouts are seconds.
AIRFLOW_ARGUMENTS = ("execution_timeout", "pool", "pool_slots", "priority_weight", "queue", "retries", "retry_delay",
                     "trigger_rule")  # fmt: skip

_SECRET = re.compile(r"(projects/[^/\s]+/secrets/[A-Za-z0-9_-]+)(/versions/[A-Za-z0-9_-]+)?")
_ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_FUNCTION = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")
_CLASS = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+")


def secret_version(said: str, where: str) -> str:
    """Bring the name of a secret into the form ``projects/p/secrets/s/versions/v``; ``latest`` if it has no version.

    :raises ConfigError: it is no such name, such as when the secret itself is written there.
    """
    match = _SECRET.fullmatch(said)
    if match is None:  # the value may be the secret itself, so it is not shown
        raise ConfigError(
            f"{where} must name a secret of Secret Manager, as projects/PROJECT/secrets/NAME/versions/VERSION, "
            "not hold a value."
        )
    return match[1] + (match[2] or "/versions/latest")


def _matching(pattern: re.Pattern[str], example: str) -> Callable[[str, str], None]:
    def check(said: str, where: str) -> None:
        if not pattern.fullmatch(said):
            raise ConfigError(f"{where} must be {example}, not {said!r:.80}.")

    return check


#: Check the dotted name of a function and of a class; :class:`.ConfigError` if it is none.
function_name = _matching(_FUNCTION, "a function, as package.module:function")
class_name = _matching(_CLASS, "a class, as package.module.Class")


def ip_address(said: str, where: str) -> None:
    """Check an IP address.

    :raises ConfigError: it is none.
    """
    import ipaddress  # costs as much as all of this module, and few have host aliases

    try:
        ipaddress.ip_address(said)
    except ValueError:
        raise ConfigError(f"{where} must be an IP address such as 10.0.0.7, not {said!r:.80}.") from None


def environment_variable(name: str, where: str) -> None:
    """Check the name of an environment variable.

    :raises ConfigError: it is none.
    """
    if not _ENV_NAME.fullmatch(name):
        raise ConfigError(
            f"{where} has {name!r:.80}, which is no name of an environment variable (letters, digits, underscores)."
        )


def airflow_argument(name: str, where: str) -> None:
    """Check a name against :data:`AIRFLOW_ARGUMENTS`.

    :raises ConfigError: it is none of them.
    """
    if name not in AIRFLOW_ARGUMENTS:
        raise ConfigError(f"{where} has no setting {name!r:.80}.{did_you_mean(name, AIRFLOW_ARGUMENTS)}")
