"""The trigger: waits for a job in the triggerer, beside all others in one poll loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_kedro_vertex.core import outcome
from airflow_provider_kedro_vertex.core.errors import KedroVertexError, QuotaExceededError, UnavailableError
from airflow_provider_kedro_vertex.core.states import DONE_STATES, succeeded
from airflow_provider_kedro_vertex.links import VertexLogsLink
from airflow_provider_kedro_vertex.task.compat import TRIGGERS_ARE_TOLD_OF_KILLS, is_deferred, success_event
from airflow_provider_kedro_vertex.vertex import poller
from airflow_provider_kedro_vertex.waiting import StateLog

if TYPE_CHECKING:
    from airflow_provider_kedro_vertex.hooks import KedroVertexHook
    from airflow_provider_kedro_vertex.vertex.client import VertexClient

#: Seconds after which one call of the poll loop is given up; the loop comes again.
CALL_SECONDS = 15.0
#: Kills that go on, so that none is forgotten when its trigger is.
_KILLS: set[asyncio.Task[None]] = set()


class KedroVertexJobTrigger(BaseTrigger):
    """Fire when a job has ended.

    The event is ``{"name", "state", "seen"}``, or ``{"name", "error", "final"}`` when the job could not be read: it is
    gone or the credentials do not work (final), or Vertex AI was out of reach for too long. With ``end_task`` a success
    ends the task at once, with its summary in XCom.

    :param job: ``projects/../locations/../pipelineJobs/..`` or ``../customJobs/..``.
    :param gcp_conn_id: the Airflow connection.
    :param impersonation_chain: service accounts to impersonate.
    :param poll_interval: seconds between two looks, at most.
    :param outage_timeout: seconds for which Vertex AI may be out of reach.
    :param cancel_on_kill: cancel the job when the deferred task is marked, cleared, or its DAG run's time is over.
    :param end_task: end the task here when its job succeeded.
    :param since: the job's ``updateTime`` when it was last seen not to have ended; None reads it at once.
    :param seen: the node states that the task's log has already.
    """

    def __init__(
        self,
        job: str,
        gcp_conn_id: str,
        impersonation_chain: str | Sequence[str] | None,
        poll_interval: float,
        outage_timeout: float,
        cancel_on_kill: bool,
        end_task: bool,
        since: str | None,
        seen: Mapping[str, str],
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.job = job
        self.gcp_conn_id = gcp_conn_id
        self.impersonation_chain = impersonation_chain
        self.poll_interval = poll_interval
        self.outage_timeout = outage_timeout
        self.cancel_on_kill = cancel_on_kill
        self.end_task = end_task
        self.since = since
        self.seen = seen

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Write the trigger for Airflow's database."""
        return (
            f"{type(self).__module__}.{type(self).__qualname__}",
            {
                "job": self.job,
                "gcp_conn_id": self.gcp_conn_id,
                "impersonation_chain": self.impersonation_chain,
                "poll_interval": self.poll_interval,
                "outage_timeout": self.outage_timeout,
                "cancel_on_kill": self.cancel_on_kill,
                "end_task": self.end_task,
                "since": self.since,
                "seen": self.seen,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait until the job has ended."""
        try:
            event = await self._event()
        except KedroVertexError as error:
            final = not isinstance(error, UnavailableError | QuotaExceededError)
            event = TriggerEvent({"name": self.job, "error": str(error), "final": final})
        except asyncio.CancelledError:
            if not TRIGGERS_ARE_TOLD_OF_KILLS:
                await self.on_kill()
            raise
        yield event

    async def on_kill(self) -> None:
        """Cancel the job if a person or a timeout ended the deferred task. Restarts leave the job alone."""
        if self.cancel_on_kill:
            # Airflow cancels the trigger again each second until it is gone, also while this waits for an answer.
            kill = asyncio.create_task(self._kill())
            _KILLS.add(kill)
            kill.add_done_callback(_KILLS.discard)
            await asyncio.shield(kill)

    async def _kill(self) -> None:
        try:
            if await is_deferred(self.task_instance):
                return
        except Exception as error:
            # Airflow 3.3 comes here for kills, with one rare exception; older ones for every end of a triggerer.
            self.log.warning("Airflow does not tell the state of this task: %r", error)
            if not TRIGGERS_ARE_TOLD_OF_KILLS:
                return
        try:
            _, client = await asyncio.to_thread(self._connect)
            await asyncio.to_thread(client.cancel_job, self.job)
            self.log.info("Asked Vertex AI to cancel %s.", self.job)
        except KedroVertexError as error:
            self.log.error("The job may go on, since it could not be cancelled: %s", error)

    async def _event(self) -> TriggerEvent:
        states = StateLog(self.log, self.seen)
        state = ""
        async for event in self._events():
            match event:
                case poller.NodesChanged():
                    states.show(event.states)
                case poller.Unreachable():
                    self.log.warning("%s The wait goes on.", event.message)
                case poller.JobEnded():
                    state = event.state
        if self.end_task and succeeded(state):
            done = await success_event(self.task_instance, await self._summary(states))
            if done is not None:
                return done
        return TriggerEvent({"name": self.job, "state": state, "seen": states.seen})

    def _events(self, nodes: bool = False) -> AsyncIterator[poller.Event]:
        async def make_client() -> VertexClient:
            _, client = await asyncio.to_thread(self._connect)
            client.deadline = CALL_SECONDS
            return client

        chain = self.impersonation_chain
        ti = self.task_instance
        return poller.watch(
            (self.gcp_conn_id, chain if chain is None or isinstance(chain, str) else tuple(chain)),
            make_client,
            self.job,
            since=self.since,
            longest_pause=self.poll_interval,
            outage_limit=self.outage_timeout,
            kind=self.job if ti is None else f"{ti.dag_id}.{ti.task_id}",
            nodes=nodes,
        )

    async def _summary(self, states: StateLog) -> dict[str, Any]:
        hook, client = await asyncio.to_thread(self._connect)
        job = await asyncio.to_thread(client.get_job, self.job)
        states.show(outcome.task_states(job))
        return outcome.summary(job, hook.job_url(self.job))

    def _connect(self) -> tuple[KedroVertexHook, VertexClient]:
        hook = self._hook()
        return hook, hook.client_of(self.job)

    def _hook(self) -> KedroVertexHook:
        # Heavy, so it waits until a trigger runs.
        from airflow_provider_kedro_vertex.hooks import KedroVertexHook

        return KedroVertexHook(gcp_conn_id=self.gcp_conn_id, impersonation_chain=self.impersonation_chain)


class KedroVertexNodeTrigger(KedroVertexJobTrigger):
    """Fire when a node group of a PipelineJob has ended, or the job has.

    The event is ``{"name", "state", "seen"}`` or ``{"name", "error", "final"}``, as for the job; the state is that of
    the group, or that of the job if it ended first. With ``end_task`` a success of the group ends the task at once.

    :param group: the group's task id.
    :param job: see :class:`KedroVertexJobTrigger`, as all others.
    """

    def __init__(self, group: str, job: str, **kwargs: Any) -> None:
        super().__init__(job, **kwargs)
        self.group = group

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Write the trigger for Airflow's database."""
        path, arguments = super().serialize()
        return path, {"group": self.group, **arguments}

    async def _event(self) -> TriggerEvent:
        states = StateLog(self.log, self.seen)
        state = ""
        async for event in self._events(nodes=True):
            match event:
                case poller.NodesChanged():
                    task = event.tasks.get(self.group)
                case poller.Unreachable():
                    self.log.warning("%s The wait goes on.", event.message)
                    continue
                case poller.JobEnded():
                    # The job's end may be told before the last of its groups.
                    task, state = await asyncio.to_thread(self._read), event.state
            if task is None:
                continue
            states.show({self.group: task.state})
            if self.end_task and task.state in DONE_STATES:
                result, links = await asyncio.to_thread(self._done, task)
                done = await success_event(self.task_instance, result, links)
                if done is not None:
                    return done
            if task.ended:
                state = task.state
                break
        return TriggerEvent({"name": self.job, "state": state, "seen": states.seen})

    def _read(self) -> outcome.Task | None:
        _, client = self._connect()
        return next((task for task in outcome.tasks(client.get_job(self.job)) if task.name == self.group), None)

    def _done(self, task: outcome.Task) -> tuple[dict[str, Any], dict[str, str]]:
        hook = self._hook()
        url = hook.job_url(self.job)
        links = {}
        if task.number:
            links[VertexLogsLink.key] = hook.logs_url(self.job.split("/")[1], [task.number])
        return outcome.node_summary({"name": self.job}, task, url), links
