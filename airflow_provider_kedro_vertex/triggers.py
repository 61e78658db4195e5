"""The trigger: waits for a PipelineJob in the triggerer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_kedro_vertex.core.errors import KedroVertexError, QuotaExceededError, UnavailableError
from airflow_provider_kedro_vertex.core.states import is_over

#: Seconds for which Vertex AI may be out of reach before a wait is given up.
OUTAGE_LIMIT = 15 * 60


class KedroVertexPipelineTrigger(BaseTrigger):
    """Fire when a PipelineJob has ended.

    The event is ``{"name", "state"}``, or ``{"name", "error"}`` when the job could not be read: it is gone, the
    credentials do not work, or Vertex AI was out of reach for longer than :data:`OUTAGE_LIMIT` seconds.

    :param job: ``projects/../locations/../pipelineJobs/..``.
    :param gcp_conn_id: the Airflow connection.
    :param impersonation_chain: service accounts to impersonate.
    :param poll_interval: seconds between two reads.
    :param cancel_on_kill: cancel the job when a person marks or clears the deferred task (Airflow 3.3 and later
        tell a trigger so).
    """

    def __init__(
        self,
        job: str,
        gcp_conn_id: str,
        impersonation_chain: str | Sequence[str] | None,
        poll_interval: float,
        cancel_on_kill: bool,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.job = job
        self.gcp_conn_id = gcp_conn_id
        self.impersonation_chain = impersonation_chain
        self.poll_interval = poll_interval
        self.cancel_on_kill = cancel_on_kill

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Write the trigger for Airflow's database."""
        return (
            f"{type(self).__module__}.{type(self).__qualname__}",
            {
                "job": self.job,
                "gcp_conn_id": self.gcp_conn_id,
                "impersonation_chain": self.impersonation_chain,
                "poll_interval": self.poll_interval,
                "cancel_on_kill": self.cancel_on_kill,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Read the job until it has ended."""
        answered = time.monotonic()
        try:
            client = await asyncio.to_thread(self._client)
            while True:
                try:
                    job = await asyncio.to_thread(client.get_job, self.job)
                    answered = time.monotonic()
                    if is_over(job["state"]):
                        yield TriggerEvent({"name": self.job, "state": job["state"]})
                        return
                except (UnavailableError, QuotaExceededError) as error:
                    if time.monotonic() - answered > OUTAGE_LIMIT:
                        raise
                    self.log.warning("%s The wait goes on.", error)
                await asyncio.sleep(self.poll_interval)
        except KedroVertexError as error:
            yield TriggerEvent({"name": self.job, "error": str(error)})

    async def on_kill(self) -> None:
        """Cancel the job, since a person ended the deferred task. Restarts of the triggerer do not come here."""
        if self.cancel_on_kill:
            client = await asyncio.to_thread(self._client)
            await asyncio.to_thread(client.cancel_job, self.job)

    def _client(self) -> Any:
        # Heavy, so it waits until a trigger runs.
        from airflow_provider_kedro_vertex.hooks import KedroVertexHook

        hook = KedroVertexHook(gcp_conn_id=self.gcp_conn_id, impersonation_chain=self.impersonation_chain)
        return hook.client_of(self.job)
