"""One poll loop for all who wait for jobs of one connection, project, region and kind, in one event loop.

Asking for each of a thousand jobs again and again would use up the read quota of a project. Instead the loop lists,
with a filter and a field mask, the jobs that ended since it last looked: mostly an empty page. Every few minutes it
lists the jobs that go on, and reads the waited-for ones that are not among them: so nothing is missed if a list once
lagged, or a job was deleted. What is left of the budget reads single jobs for the states of their nodes.

Requests run in threads. Whoever waits gets what happened in its own task, so that it is logged there.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone

from airflow_provider_kedro_vertex.core.errors import (
    NotFoundError,
    PermissionDeniedError,
    QuotaExceededError,
    UnavailableError,
)
from airflow_provider_kedro_vertex.core.jobs.outcome import Task, tasks, web_shell
from airflow_provider_kedro_vertex.core.jobs.states import ENDED_STATES, is_over
from airflow_provider_kedro_vertex.core.times import moment
from airflow_provider_kedro_vertex.vertex.client import Collection, VertexClient

#: Seconds between two looks: soon after a start and near the usual end of a job, and otherwise.
QUICK, SLOW = 3.0, 8.0
#: Seconds after a start that are soon; and how near to the usual end is near, as a part of the usual time.
SOON, NEAR = 60.0, 0.1
#: Seconds by which each look goes back behind the last end that was seen, since a list may lag.
OVERLAP = timedelta(seconds=30)
#: Seconds between two lists of the jobs that go on.
SWEEP = 300.0
#: Reads of single jobs in a minute, and seconds between two reads of the same one.
READS, READ_AGAIN = 20, 10.0
#: Kinds of work whose usual time is remembered.
MOST_KINDS = 1000

_TRANSIENT = (UnavailableError, QuotaExceededError)


@dataclass(frozen=True)
class JobEnded:
    """The job has ended."""

    state: str


@dataclass(frozen=True)
class NodesChanged:
    """The job's nodes as they are now, by their task ids, and the shell in its machine that is open, if any."""

    tasks: Mapping[str, Task]
    web_shell: str | None = None


@dataclass(frozen=True)
class Unreachable:
    """Vertex AI cannot be asked; the wait goes on. Told once for each outage."""

    message: str


Event = JobEnded | NodesChanged | Unreachable


@dataclass(eq=False)
class _Waiter:
    job: str
    since: datetime | None
    longest_pause: float
    outage_limit: float
    kind: str
    nodes: bool
    began: float
    events: asyncio.Queue[Event | Exception] = field(default_factory=asyncio.Queue)
    read: float = 0.0
    told_unreachable: bool = False
    over: bool = False

    def end(self, event: JobEnded | Exception) -> None:
        if not self.over:
            self.over = True
            self.events.put_nowait(event)


async def watch(
    key: Hashable,
    make_client: Callable[[], Awaitable[VertexClient]],
    job: str,
    *,
    since: str | None,
    longest_pause: float,
    outage_limit: float,
    kind: str,
    nodes: bool = False,
) -> AsyncIterator[Event]:
    """Wait for a job; the last event is :class:`JobEnded`.

    :param key: who shares a loop: the credentials, beside which the job's project, region and kind are looked at.
    :param make_client: makes a client of the job's project and region; called once for each loop.
    :param job: its resource name.
    :param since: the job's ``updateTime`` when it was seen not to have ended; None reads it first.
    :param longest_pause: seconds between two looks at most.
    :param outage_limit: seconds for which Vertex AI may be out of reach.
    :param kind: names work that usually takes as long as this job.
    :param nodes: wait for the job's nodes too: it is read as often as it is looked at, once for all of its waiters.
    :raises UnavailableError, QuotaExceededError: Vertex AI was out of reach for too long.
    :raises VertexApiError: the job is gone, or may not be read.
    """
    shared = (id(asyncio.get_running_loop()), key, *job.split("/")[:-1])
    waiter = _Waiter(job, moment(since) if since else None, longest_pause, outage_limit, kind, nodes, time.monotonic())
    poller = _POLLERS.get(shared)
    if poller is None:
        poller = _POLLERS[shared] = _Poller(make_client, lambda: _POLLERS.pop(shared, None))
    poller.add(waiter)
    try:
        while True:
            event = await waiter.events.get()
            if isinstance(event, Exception):
                raise event
            yield event
            if isinstance(event, JobEnded):
                return
    finally:
        poller.remove(waiter)


_POLLERS: dict[Hashable, _Poller] = {}


class _Poller:
    """The loop. It begins with its first waiter and ends with its last."""

    def __init__(self, make_client: Callable[[], Awaitable[VertexClient]], forget: Callable[[], object]) -> None:
        self._make_client = make_client
        self._forget = forget
        self._waiters: dict[str, list[_Waiter]] = {}
        self._usual: OrderedDict[str, float] = OrderedDict()
        self._task: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()
        self._from: datetime | None = None
        self._swept = time.monotonic()
        self._reads = _Budget(READS)
        self._out_since: float | None = None
        self._may_list = True

    def add(self, waiter: _Waiter) -> None:
        self._waiters.setdefault(waiter.job, []).append(waiter)
        if waiter.since is not None:
            self._from = min(self._from or waiter.since, waiter.since)
        self._wake.set()
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run())

    def remove(self, waiter: _Waiter) -> None:
        same = self._waiters.get(waiter.job, [])
        if waiter in same:
            same.remove(waiter)
            if not same:
                del self._waiters[waiter.job]
        if not self._waiters:
            self._forget()
            if self._task is not None:
                self._task.cancel()
                self._task = None

    async def _run(self) -> None:
        try:
            client = await self._make_client()
            while self._waiters:
                self._wake.clear()
                await self._look_or_report(client)
                pause = self._pause()
                try:
                    # A new waiter is looked at soon, and many that come at once together.
                    await asyncio.wait_for(self._wake.wait(), pause)
                    await asyncio.sleep(min(pause, 1.0))
                except asyncio.TimeoutError:
                    pass
        except Exception as error:
            # Whatever it is, nobody may wait for ever.
            for waiter in self._all():
                waiter.end(error)
            self._forget()

    async def _look_or_report(self, client: VertexClient) -> None:
        try:
            await self._look(client)
            self._out_since = None
            for waiter in self._all():
                waiter.told_unreachable = False
        except _TRANSIENT as error:
            now = time.monotonic()
            # The call itself may have tried for a while.
            self._out_since = now - client.deadline if self._out_since is None else self._out_since
            for waiter in self._all():
                if now - max(self._out_since, waiter.began) > waiter.outage_limit:
                    waiter.end(error)
                elif not waiter.told_unreachable:
                    waiter.told_unreachable = True
                    waiter.events.put_nowait(Unreachable(str(error)))

    async def _look(self, client: VertexClient) -> None:
        collection: Collection = "customJobs" if "/customJobs/" in next(iter(self._waiters)) else "pipelineJobs"
        for waiter in [waiter for waiter in self._all() if waiter.since is None]:
            await self._read(client, waiter.job)
            waiter.since = datetime.now(timezone.utc)
        if self._may_list:
            try:
                await self._list_ended(client, collection)
                if time.monotonic() - self._swept > SWEEP:
                    await self._sweep(client, collection)
            except PermissionDeniedError:
                self._may_list = False  # reading single jobs is another permission
        for job in [job for job, same in self._waiters.items() if any(waiter.nodes for waiter in same)]:
            await self._read(client, job)
        waiting = sorted(self._waiters, key=lambda job: self._waiters[job][0].read)
        for job in waiting:
            last = self._waiters[job][0].read if job in self._waiters else time.monotonic()
            if time.monotonic() - last < READ_AGAIN or not self._reads.take():
                break
            await self._read(client, job)

    async def _list_ended(self, client: VertexClient, collection: Collection) -> None:
        if self._from is None:
            return
        states = " OR ".join(f'state="{state}"' for state in ENDED_STATES[collection])
        start, self._from = self._from, None  # waiters that come meanwhile set it anew
        try:
            wanted = f'({states}) AND update_time>="{start:%Y-%m-%dT%H:%M:%S.%f}Z"'
            ended = await asyncio.to_thread(lambda: list(client.list_jobs(collection, wanted, "name,state,updateTime")))
        except Exception:
            self._from = min(self._from or start, start)
            raise
        newest = start
        for job in ended:
            newest = max(newest, moment(job["updateTime"]) - OVERLAP)
            self._ended(job["name"], job["state"])
        self._from = min(self._from or newest, newest)

    async def _sweep(self, client: VertexClient, collection: Collection) -> None:
        asked = list(self._waiters)
        states = " AND ".join(f'state!="{state}"' for state in ENDED_STATES[collection])
        live = await asyncio.to_thread(lambda: {job["name"] for job in client.list_jobs(collection, states, "name")})
        self._swept = time.monotonic()
        for job in asked:
            if job not in live and job in self._waiters:
                await self._read(client, job)

    async def _read(self, client: VertexClient, name: str) -> None:
        try:
            job = await asyncio.to_thread(client.get_job, name)
        except (NotFoundError, PermissionDeniedError) as error:
            for waiter in self._waiters.get(name, ()):
                waiter.end(error)
            return
        found = {task.name: task for task in tasks(job)}
        for waiter in self._waiters.get(name, ()):
            waiter.read = time.monotonic()
            if found:
                waiter.events.put_nowait(NodesChanged(found, web_shell(job)))
        if is_over(job["state"]):
            self._ended(name, job["state"])

    def _ended(self, name: str, state: str) -> None:
        for waiter in self._waiters.get(name, ()):
            self._usual[waiter.kind] = time.monotonic() - waiter.began
            self._usual.move_to_end(waiter.kind)
            if len(self._usual) > MOST_KINDS:
                self._usual.popitem(last=False)
            waiter.end(JobEnded(state))

    def _pause(self) -> float:
        now = time.monotonic()
        quick = any(self._is_soon(now - waiter.began, self._usual.get(waiter.kind)) for waiter in self._all())
        return min([QUICK if quick else SLOW, *(waiter.longest_pause for waiter in self._all())])

    @staticmethod
    def _is_soon(age: float, usual: float | None) -> bool:
        return age < SOON or (usual is not None and abs(age - usual) < NEAR * usual)

    def _all(self) -> list[_Waiter]:
        return [waiter for same in self._waiters.values() for waiter in same if not waiter.over]


class _Budget:
    """So many in a minute, saved up for one minute at most."""

    def __init__(self, per_minute: int) -> None:
        self._per_second = per_minute / 60
        self._most = self._left = float(per_minute)
        self._at = time.monotonic()

    def take(self) -> bool:
        now = time.monotonic()
        self._left = min(self._most, self._left + (now - self._at) * self._per_second)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True
