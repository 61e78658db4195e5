"""SIGTERM in a container: the job was cancelled, or a Spot machine is taken back.

The thread that runs the nodes is told by an exception, so that ``finally`` blocks and context managers of the project
run. Whatever still runs some seconds later is cut off: Vertex AI kills a container soon after the signal.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from typing import NoReturn

from airflow_provider_kedro_vertex.core.exit_codes import ExitCode

#: Seconds that a node has for its own end.
_GRACE = 5.0


class Terminated(BaseException):
    """SIGTERM came. Not an Exception, so that no ``except Exception`` of a node swallows it."""


def raise_on_sigterm(report: Callable[[], None]) -> None:
    """Let SIGTERM raise :class:`Terminated` in the main thread, and end the process some seconds later in any case.

    :param report: says in the log what happened; called right before the process is cut off.
    """

    def handle(*_: object) -> NoReturn:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        # Nodes in threads do not hear of the exception, and a node may go on all the same.
        deadline = threading.Timer(_GRACE, end_process, [report])
        deadline.daemon = True
        deadline.start()
        raise Terminated

    signal.signal(signal.SIGTERM, handle)


def end_process(report: Callable[[], None]) -> NoReturn:
    """End the process at once with the exit code of SIGTERM.

    Not by way of the interpreter's own end, which would wait for threads that the node began.

    :param report: says in the log what happened.
    """
    report()
    os._exit(ExitCode.TERMINATED)
