"""The work that an executor is given, the outcome that it gives back, and the protocol between them."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass
from typing import Protocol

from airflow_provider_kedro_vertex.emulator.resources.errors import Code

PRIMARY = "workerpool0-0"
"""The replica that a job with one container has."""


@dataclass(frozen=True)
class Limits:
    """The part of a machine that a container gets.

    :param cpus: 0 for no limit.
    :param memory: bytes; 0 for no limit.
    :param accelerator: the name of the accelerator that it asks for; empty for none.
    """

    cpus: float = 0.0
    memory: int = 0
    accelerator: str = ""


@dataclass(frozen=True)
class Work:
    """One container to run.

    :param number: the CustomJob's number.
    :param replica: its place among the containers of the job.
    :param command: takes the place of the image's entrypoint; empty for that one.
    :param args: take the place of the image's own arguments.
    :param env: the container's own variables, in order; ``$(NAME)`` in them stands for an earlier one.
    """

    number: str
    image: str
    command: tuple[str, ...]
    args: tuple[str, ...] = ()
    env: tuple[tuple[str, str], ...] = ()
    limits: Limits = Limits()
    replica: str = PRIMARY

    @property
    def name(self) -> str:
        """The name of its work folder and its log: the job's number, with the replica if that is not the primary."""
        return self.number if self.is_primary else f"{self.number}-{self.replica}"

    @property
    def is_primary(self) -> bool:
        """True for the replica whose end is the job's."""
        return self.replica == PRIMARY

    @property
    def argv(self) -> tuple[str, ...]:
        """The command with its arguments."""
        return (*self.command, *self.args)


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
    where = f"The container of image {work.image} ({work.replica})"
    if returncode < 0:
        name = signal.Signals(-returncode).name if -returncode in list(signal.Signals) else "unknown"
        hint = " This is also how a machine out of memory ends a process." if -returncode == signal.SIGKILL else ""
        return Outcome(Code.INVALID_ARGUMENT, f"{where} was ended by signal {-returncode} ({name}).{hint}")
    return Outcome(Code.INVALID_ARGUMENT, f"{where} exited with a non-zero status of {returncode}.")


def place_for(work: Work, places: asyncio.Semaphore) -> AbstractAsyncContextManager[object]:
    """Wait for a place among the containers that may run at the same time. A job takes one for all its replicas."""
    return places if work.is_primary else nullcontext()


def expand(text: str, env: Mapping[str, str]) -> str:
    """Fill ``$(NAME)`` as Vertex AI does: an unknown name stays as written, ``$$(NAME)`` gives ``$(NAME)``."""
    parts, at = [], 0
    while (found := text.find("$", at)) >= 0:
        parts.append(text[at:found])
        at = found + 1
        if text.startswith("$", at):
            parts.append("$")
            at += 1
        elif text.startswith("(", at) and (close := text.find(")", at)) > 0:
            name = text[at + 1 : close]
            parts.append(env.get(name, f"$({name})"))
            at = close + 1
        else:
            parts.append("$")
    return "".join([*parts, text[at:]])
