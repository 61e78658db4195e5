"""The sensor: waits for a PipelineJob that another task, or anybody, has submitted."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import (
    AirflowException,
    AirflowFailException,
    BaseSensorOperator,
    PokeReturnValue,
    conf,
)

from airflow_provider_kedro_vertex.core.errors import KedroVertexError, UnavailableError
from airflow_provider_kedro_vertex.links import VertexJobLink

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_kedro_vertex.waiting import JobWatch


class KedroVertexPipelineSensor(BaseSensorOperator):
    """Wait until a PipelineJob has ended; succeed only if it SUCCEEDED.

    It pokes, reschedules (``mode="reschedule"``) or defers; ``poke_interval`` is the seconds between two reads of the
    job in each of them. A job that ended otherwise fails the task
    without another try, since a job that has ended never changes: clear the task that submitted it. While Vertex AI
    is out of reach the wait goes on, up to the sensor's ``timeout``.

    XCom gets the small dict of :func:`airflow_provider_kedro_vertex.core.outcome.summary`.

    :param job: the job's resource name, ``projects/../locations/../pipelineJobs/..`` (templated).
    :param gcp_conn_id: the Airflow connection (templated).
    :param impersonation_chain: service accounts to impersonate (templated).
    :param deferrable: wait in the triggerer; Airflow's ``operators.default_deferrable`` by default.
    :param cancel_on_kill: cancel the job when this task is killed while it waits. Off by default, since the sensor
        did not submit the job.
    """

    template_fields: Sequence[str] = ("job", "gcp_conn_id", "impersonation_chain")
    operator_extra_links = (VertexJobLink(),)
    ui_color = "#e8f0fe"

    def __init__(
        self,
        *,
        job: str,
        gcp_conn_id: str = "google_cloud_default",
        impersonation_chain: str | Sequence[str] | None = None,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        cancel_on_kill: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.job = job
        self.gcp_conn_id = gcp_conn_id
        self.impersonation_chain = impersonation_chain
        self.deferrable = deferrable
        self.cancel_on_kill = cancel_on_kill
        self.job_url = ""

    def execute(self, context: Context) -> Any:
        """Wait, here or in the triggerer."""
        if self.deferrable and not self.poke(context):
            from airflow_provider_kedro_vertex.triggers import KedroVertexPipelineTrigger

            self.defer(
                trigger=KedroVertexPipelineTrigger(
                    job=self.job,
                    gcp_conn_id=self.gcp_conn_id,
                    impersonation_chain=self.impersonation_chain,
                    poll_interval=float(self.poke_interval),
                    cancel_on_kill=self.cancel_on_kill,
                ),
                method_name="execute_complete",
                timeout=timedelta(seconds=self.timeout),
            )
        return super().execute(context)

    def poke(self, context: Context) -> PokeReturnValue:
        """Read the job once; done, with its summary, when it has succeeded."""
        try:
            VertexJobLink.persist(context, self._watch.url)
            job = self._watch.ended()
            if job is None:
                return PokeReturnValue(is_done=False)
            return PokeReturnValue(is_done=True, xcom_value=self._watch.result(job))
        except KedroVertexError as error:
            raise AirflowFailException(str(error)) from None

    def execute_complete(self, context: Context, event: dict[str, Any]) -> dict[str, Any]:
        """Take over from the triggerer."""
        if "error" in event:
            raise AirflowFailException(event["error"])
        try:
            VertexJobLink.persist(context, self._watch.url)
            return self._watch.result(self._watch.read())
        except UnavailableError as error:
            raise AirflowException(str(error)) from None
        except KedroVertexError as error:
            raise AirflowFailException(str(error)) from None

    def on_kill(self) -> None:
        """Cancel the job if that was asked for."""
        if self.cancel_on_kill:
            self._watch.cancel()

    @cached_property
    def _watch(self) -> JobWatch:
        from airflow_provider_kedro_vertex.hooks import KedroVertexHook
        from airflow_provider_kedro_vertex.waiting import JobWatch

        hook = KedroVertexHook(gcp_conn_id=self.gcp_conn_id, impersonation_chain=self.impersonation_chain)
        return JobWatch(hook, self.job, self.log)
