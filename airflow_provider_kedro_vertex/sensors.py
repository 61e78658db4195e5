"""The sensor: waits for a job that another task, or anybody, has submitted."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowSensorTimeout, BaseSensorOperator, PokeReturnValue, conf

from airflow_provider_kedro_vertex.core.errors import KedroVertexError
from airflow_provider_kedro_vertex.deferring import ends_in_triggerer, is_timeout
from airflow_provider_kedro_vertex.links import MlflowLink, VertexJobLink, VertexLogsLink

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_kedro_vertex.waiting import JobWatch


class KedroVertexPipelineSensor(BaseSensorOperator):
    """Wait until a job has ended; succeed only if it SUCCEEDED.

    It pokes, reschedules (``mode="reschedule"``) or defers. ``poke_interval`` is the seconds between two reads of the
    job; the triggerer looks at least every 8 seconds. A job that ended otherwise fails the task without another try,
    since a job that has ended never changes: clear the task that submitted it.

    XCom gets the small dict of :func:`airflow_provider_kedro_vertex.core.outcome.summary`.

    :param job: the job's resource name, ``projects/../locations/../pipelineJobs/..`` or ``../customJobs/..``
        (templated).
    :param gcp_conn_id: the Airflow connection (templated).
    :param impersonation_chain: service accounts to impersonate (templated).
    :param deferrable: wait in the triggerer; Airflow's ``operators.default_deferrable`` by default.
    :param cancel_on_kill: cancel the job when this task is killed, or its time is over, while it waits. Off by default,
        since the sensor did not submit the job.
    :param end_from_trigger: see :class:`~airflow_provider_kedro_vertex.job_operator.VertexJobOperator`.
    :param outage_timeout: seconds for which Vertex AI may be out of reach before the wait is given up.
    """

    template_fields: Sequence[str] = ("job", "gcp_conn_id", "impersonation_chain")
    operator_extra_links = (VertexJobLink(), VertexLogsLink(), MlflowLink())
    ui_color = "#e8f0fe"

    def __init__(
        self,
        *,
        job: str,
        gcp_conn_id: str = "google_cloud_default",
        impersonation_chain: str | Sequence[str] | None = None,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        cancel_on_kill: bool = False,
        end_from_trigger: bool = True,
        outage_timeout: float = 900.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.job = job
        self.gcp_conn_id = gcp_conn_id
        self.impersonation_chain = impersonation_chain
        self.deferrable = deferrable
        self.cancel_on_kill = cancel_on_kill
        self.end_from_trigger = end_from_trigger
        self.outage_timeout = outage_timeout
        self.job_links: dict[str, str] = {}

    def execute(self, context: Context) -> Any:
        """Wait, here or in the triggerer."""
        try:
            if self.deferrable and not self.poke(context):
                self._defer()
            return super().execute(context)
        except AirflowSensorTimeout:
            self.on_kill()
            raise

    def poke(self, context: Context) -> PokeReturnValue:
        """Read the job once; done, with its summary, when it has succeeded."""
        from airflow_provider_kedro_vertex.failing import final_error

        try:
            VertexJobLink.persist(context, self._watch.url)
            job = self._watch.ended()
            if job is None:
                return PokeReturnValue(is_done=False)
            return PokeReturnValue(is_done=True, xcom_value=self._watch.result(context, job))
        except KedroVertexError as error:
            raise final_error(error) from None

    def execute_complete(self, context: Context, event: dict[str, Any]) -> dict[str, Any]:
        """Take over from the triggerer."""
        from airflow_provider_kedro_vertex.failing import event_error, final_error

        if "error" in event:
            raise event_error(event)
        try:
            self._watch.states.seen |= event["seen"]
            VertexJobLink.persist(context, self._watch.url)
            return self._watch.result(context, self._watch.read())
        except KedroVertexError as error:
            raise final_error(error) from None

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """End the job, if that was asked for, before Airflow fails a deferred task whose time is over."""
        if is_timeout(next_method, next_kwargs):
            try:
                self.on_kill()
            except KedroVertexError as error:
                self.log.error("The job may go on, since it could not be cancelled: %s", error)
        return super().resume_execution(next_method, next_kwargs, context)

    def on_kill(self) -> None:
        """Cancel the job if that was asked for."""
        if self.cancel_on_kill:
            self._watch.cancel()

    def _defer(self) -> None:
        from airflow_provider_kedro_vertex.triggers import KedroVertexJobTrigger

        self.defer(
            trigger=KedroVertexJobTrigger(
                job=self.job,
                gcp_conn_id=self.gcp_conn_id,
                impersonation_chain=self.impersonation_chain,
                poll_interval=float(self.poke_interval),
                outage_timeout=self.outage_timeout,
                cancel_on_kill=self.cancel_on_kill,
                end_task=ends_in_triggerer(self),
                since=self._watch.updated,
                seen=self._watch.states.seen,
            ),
            method_name="execute_complete",
            timeout=min(timedelta(seconds=self.timeout), self.execution_timeout or timedelta.max),
        )

    @cached_property
    def _watch(self) -> JobWatch:
        from airflow_provider_kedro_vertex.hooks import KedroVertexHook
        from airflow_provider_kedro_vertex.waiting import JobWatch

        hook = KedroVertexHook(gcp_conn_id=self.gcp_conn_id, impersonation_chain=self.impersonation_chain)
        return JobWatch(hook, self.job, self.log, self.outage_timeout)
