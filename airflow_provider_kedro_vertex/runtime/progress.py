"""Where a run is, so that the last line of the log can tell where it ended."""

from __future__ import annotations

import time
from dataclasses import dataclass, field


@dataclass
class Progress:
    """Filled while the nodes run.

    :param node: the node that is running or was the last to; None before the first.
    :param dataset: the dataset that is being loaded or saved; None between.
    :param node_failed: whether the node's own function raised.
    :param started: when the process began, on the monotonic clock.
    """

    node: str | None = None
    dataset: str | None = None
    node_failed: bool = False
    started: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        """How long the process has run, to the millisecond."""
        return round(time.monotonic() - self.started, 3)
