"""The work that an executor is given, the outcome that it gives back, and the protocol between them."""

from __future__ import annotations

import signal
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from airflow_provider_kedro_vertex.emulator.resources.errors import Code


@dataclass(frozen=True)
class Work:
    """One container to run.

    :param number: the CustomJob's number, which names its work folder and its log.
    :param env: the container's own variables, in order; ``$(NAME)`` in them stands for an earlier one.
    """

    number: str
    image: str
    argv: tuple[str, ...]
    env: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Outcome:
    """The end of a container.

    :param code: None for success.
    :param retry: whether another try may end otherwise.
    """

    code: Code | None = None
    message: str = ""
    retry: bool = True


class Executor(Protocol):
    """Runs containers. ``run`` may be cancelled, and then ends what it started before it raises CancelledError."""

    async def run(self, work: Work, started: Callable[[], None]) -> Outcome:
        """Run one container to its end.

        :param started: called right before the container starts, and not if it cannot.
        """
        ...


def outcome_of_exit(work: Work, returncode: int) -> Outcome:
    """The outcome of a container that ended with an exit status, or by a signal, as a negative number."""
    if returncode == 0:
        return Outcome()
    where = f"The container of image {work.image} (workerpool0-0)"
    if returncode < 0:
        name = signal.Signals(-returncode).name if -returncode in list(signal.Signals) else "unknown"
        hint = " This is also how a machine out of memory ends a process." if -returncode == signal.SIGKILL else ""
        return Outcome(Code.INVALID_ARGUMENT, f"{where} was ended by signal {-returncode} ({name}).{hint}")
    return Outcome(Code.INVALID_ARGUMENT, f"{where} exited with a non-zero status of {returncode}.")
