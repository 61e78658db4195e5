"""Progress of a run, so that the last line of the log can tell where it ended."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Place:
    """The work of a thread at a moment.

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
    _failed: list[Place] = field(default_factory=list)

    def at(self, node: str, dataset: str | None = None) -> None:
        """Note what this thread is busy with."""
        thread = threading.get_ident()
        before = self._places.pop(thread, None)  # the last place is that of the last thread that moved on
        if before is not None and before.dataset and before.node != node:
            # A node ends with no dataset in its hands: that one failed, and its thread was given another.
            self._failed.append(before)
        self._places[thread] = Place(node, dataset)

    def node_failed(self) -> None:
        """Note that the function of this thread's node raised. The thread may be given another node after this."""
        place = self._places.get(threading.get_ident(), Place())
        self._failed.append(Place(place.node, node_failed=True))

    @property
    def place(self) -> Place:
        """The place of the run; after a failure, where it failed first.

        The other threads come to the end of what they were busy with before a failure is known, so without a node that
        raised it is the one which still has a dataset in its hands.
        """
        places = list(self._places.values()) or [Place()]
        return next(iter(self._failed), None) or ([place for place in places if place.dataset] or places)[-1]

    @property
    def seconds(self) -> float:
        """Seconds that the process has run, to the millisecond."""
        return round(time.monotonic() - self.started, 3)
