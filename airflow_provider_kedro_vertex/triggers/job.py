"""The trigger that waits for a job, beside all others in one poll loop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_kedro_vertex.compat import (
    SHORTEST_PAUSE_SECONDS,
    TRIGGERS_ARE_TOLD_OF_KILLS,
    in_thread,
    is_deferred,
    keep_in_xcom,
    success_event,
)
from airflow_provider_kedro_vertex.core.errors import KedroVertexError, QuotaExceededError, UnavailableError
from airflow_provider_kedro_vertex.core.jobs import outcome
from airflow_provider_kedro_vertex.core.jobs.console import logs_page
from airflow_provider_kedro_vertex.core.jobs.cost import cost_text
from airflow_provider_kedro_vertex.core.jobs.states import succeeded
from airflow_provider_kedro_vertex.core.jobs.summary import summary
from airflow_provider_kedro_vertex.links.task_links import MlflowLink, WebShellLink
from airflow_provider_kedro_vertex.task.cancel import cancel_jobs
from airflow_provider_kedro_vertex.task.job_monitor import StateLog, log_outage
from airflow_provider_kedro_vertex.vertex import poller
from airflow_provider_kedro_vertex.vertex.mlflow_runs import mlflow_page

if TYPE_CHECKING:
    from airflow_provider_kedro_vertex.hooks.vertex_ai import KedroVertexHook
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
    :param mlflow_file: where the containers write which MLflow run is theirs; None without MLflow.
    :param console_url: the pages to link to; None for Google Cloud's.
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
        mlflow_file: str | None = None,
        console_url: str | None = None,
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
        self.mlflow_file = mlflow_file
        self.console_url = console_url
        self._kept: dict[str, str] = {}
        self._client: VertexClient | None = None

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
                "mlflow_file": self.mlflow_file,
                "console_url": self.console_url,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait until the job has ended."""
        earliest = time.monotonic() + SHORTEST_PAUSE_SECONDS
        try:
            event = await self._event_or_error()
            if type(event) is TriggerEvent:  # others end the task here
                await asyncio.sleep(earliest - time.monotonic())
        except asyncio.CancelledError:
            if not TRIGGERS_ARE_TOLD_OF_KILLS:
                await self.on_kill()
            raise
        yield event

    async def _event_or_error(self) -> TriggerEvent:
        try:
            return await self._event()
        except KedroVertexError as error:
            final = not isinstance(error, UnavailableError | QuotaExceededError)
            return TriggerEvent({"name": self.job, "error": str(error), "final": final})

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
            does = "is cancelled" if TRIGGERS_ARE_TOLD_OF_KILLS else "goes on, and may be billed"
            self.log.warning(
                "Airflow could not be asked whether this task was killed (%r). Its job %s %s.", error, self.job, does
            )
            if not TRIGGERS_ARE_TOLD_OF_KILLS:
                return
        await in_thread(cancel_jobs, lambda: self._connect()[1], lambda client: [self.job], self.log)

    async def _event(self) -> TriggerEvent:
        states = self._states()
        state = ""
        async for event in self._events():
            match event:
                case poller.NodesChanged():
                    states.show(event.tasks.values())
                    if event.web_shell is not None:
                        await self._keep({WebShellLink.key: event.web_shell})
                    await self._keep_mlflow_page()
                case poller.Unreachable():
                    log_outage(self.log, event.message, self.outage_timeout)
                case poller.JobEnded():
                    state = event.state
        if self.end_task and succeeded(state):
            done = await success_event(self.task_instance, await self._summary(states))
            if done is not None:
                return done
        return TriggerEvent({"name": self.job, "state": state, "seen": states.seen})

    def _events(self, nodes: bool = False) -> AsyncIterator[poller.Event]:
        chain = self.impersonation_chain
        ti = self.task_instance
        return poller.watch(
            (self.gcp_conn_id, chain if chain is None or isinstance(chain, str) else tuple(chain)),
            self._make_client,
            self.job,
            since=self.since,
            longest_pause=self.poll_interval,
            outage_limit=self.outage_timeout,
            kind=self.job if ti is None else f"{ti.dag_id}.{ti.task_id}",
            nodes=nodes,
        )

    async def _make_client(self) -> VertexClient:
        _, client = await in_thread(self._connect)
        client.deadline = CALL_SECONDS
        return client

    def _states(self) -> StateLog:
        return StateLog(self.log, self._log_page, self.seen)

    def _log_page(self, number: str) -> str:
        return logs_page(self.job.split("/")[1], [number], self.console_url)

    async def _keep_mlflow_page(self) -> None:
        if self.mlflow_file is not None:
            self._client = client = self._client or await self._make_client()
            page = await in_thread(mlflow_page, client, self.mlflow_file)
            if page is not None:
                await self._keep({MlflowLink.key: page})
                self.mlflow_file = None

    async def _keep(self, links: Mapping[str, str]) -> None:
        """Keep links of the deferred task that were not kept before."""
        new = {key: url for key, url in links.items() if self._kept.get(key) != url}
        if new:
            await keep_in_xcom(self.task_instance, new)
            self._kept |= new

    async def _summary(self, states: StateLog) -> dict[str, Any]:
        hook, client = await in_thread(self._connect)
        job = await in_thread(client.get_job, self.job)
        states.show(outcome.tasks(job))
        if (cost := cost_text(job)) is not None:
            self.log.info("%s", cost)
        return summary(job, hook.job_url(self.job))

    def _connect(self) -> tuple[KedroVertexHook, VertexClient]:
        hook = self._hook()
        return hook, hook.client_of(self.job)

    def _hook(self) -> KedroVertexHook:
        # Heavy, so it waits until a trigger runs.
        from airflow_provider_kedro_vertex.hooks.vertex_ai import KedroVertexHook

        return KedroVertexHook(gcp_conn_id=self.gcp_conn_id, impersonation_chain=self.impersonation_chain)
