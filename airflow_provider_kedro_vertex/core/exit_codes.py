"""The exit codes of a node group's container: the runtime ends with them, the Airflow side reads them."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """How a container ended.

    Every other code is not the runtime's own: that of a node which killed the process (137 after it used up the
    machine's memory, for example), or of an image that does not start.
    """

    #: The nodes ran, and their outputs are saved.
    SUCCEEDED = 0
    #: The project's code raised an error.
    USER_CODE_FAILED = 1
    #: An argument, the image or the project's configuration is wrong.
    MISCONFIGURED = 2
    #: What an earlier node, or the submitting task, should have stored is missing or damaged.
    INPUT_MISSING = 3
    #: Storage or another service could not be reached.
    SERVICE_UNREACHABLE = 4
    #: The container was asked to end: 128 and the number of SIGTERM, as a shell reports it.
    TERMINATED = 143
