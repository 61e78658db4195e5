"""Where a run is, so that the last line of the log can tell where it ended."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Place:
    """What a thread is busy with.

    :param node: the node that is running or was the last to; None before the first.
    :param dataset: the dataset that is being loaded or saved; None between.
    :param node_failed: whether the node's own function raised.
    """

    node: str | None = None
    dataset: str | None = None
    node_failed: bool = False


@dataclass
class Progress:
    """Filled while the nodes run, by each thread that runs some.

    :param started: when the process began, on the monotonic clock.
    """

    started: float = field(default_factory=time.monotonic)
    _places: dict[int, Place] = field(default_factory=dict)

    def at(self, node: str, dataset: str | None = None) -> None:
        """Note what this thread is busy with."""
        thread = threading.get_ident()
        self._places.pop(thread, None)  # the last place is that of the last thread that moved on
        self._places[thread] = Place(node, dataset)

    def node_failed(self) -> None:
        """Note that the function of this thread's node raised."""
        thread = threading.get_ident()
        self._places[thread] = Place(self._places.get(thread, Place()).node, node_failed=True)

    @property
    def place(self) -> Place:
        """Where the run is; after a failure, where it failed.

        The other threads come to the end of what they were busy with before a failure is known, so the one that failed
        is the one whose node raised or which still has a dataset in its hands.
        """
        places = list(self._places.values()) or [Place()]
        failed = [place for place in places if place.node_failed] or [place for place in places if place.dataset]
        return (failed or places)[-1]

    @property
    def seconds(self) -> float:
        """How long the process has run, to the millisecond."""
        return round(time.monotonic() - self.started, 3)
