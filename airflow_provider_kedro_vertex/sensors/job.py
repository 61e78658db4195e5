"""The sensor that waits for a job which another task, or anybody, has submitted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow_provider_kedro_vertex.compat import (
    SHORTEST_PAUSE_SECONDS,
    AirflowSensorTimeout,
    BaseSensorOperator,
    PokeReturnValue,
    conf,
)
from airflow_provider_kedro_vertex.core.errors import KedroVertexError
from airflow_provider_kedro_vertex.lineage.assets import report
from airflow_provider_kedro_vertex.lineage.openlineage import OpenLineageTask
from airflow_provider_kedro_vertex.links.task_links import MlflowLink, VertexJobLink, VertexLogsLink
from airflow_provider_kedro_vertex.task.deferral import deferral_timeout, is_timeout, may_end_in_triggerer

if TYPE_CHECKING:
    from airflow_provider_kedro_vertex.compat import Context
    from airflow_provider_kedro_vertex.core.jobs.api import Job
    from airflow_provider_kedro_vertex.hooks.vertex_ai import KedroVertexHook
    from airflow_provider_kedro_vertex.task.job_monitor import JobMonitor


class KedroVertexPipelineSensor(OpenLineageTask, BaseSensorOperator):
    """Wait until a job has ended; succeed only if it SUCCEEDED.

    It pokes, reschedules (``mode="reschedule"``) or defers. ``poke_interval`` is the seconds between two reads of the
    job; the triggerer looks at least every 8 seconds, and a task that reschedules itself is away for 10 at least. A job
    that ended otherwise fails the task without another try, since a job that has ended never changes: clear the task
    that submitted it.

    XCom gets the small dict of :func:`airflow_provider_kedro_vertex.core.jobs.summary.summary`.

    :param job: the job's resource name, ``projects/../locations/../pipelineJobs/..`` or ``../customJobs/..``
        (templated).
    :param submitted_by: the id of the task of this DAG that submits the job, one of this package's operators: then
        OpenLineage is told what the job read and wrote.
    :param gcp_conn_id: the Airflow connection (templated).
    :param impersonation_chain: service accounts to impersonate (templated).
    :param deferrable: wait in the triggerer; Airflow's ``operators.default_deferrable`` by default.
    :param cancel_on_kill: cancel the job when this task is killed, or its time is over, while it waits. Off by default,
        since the sensor did not submit the job.
    :param end_from_trigger: see :class:`~airflow_provider_kedro_vertex.operators.base.VertexJobOperator`.
    :param on_node_failure: see :class:`~airflow_provider_kedro_vertex.operators.base.VertexJobOperator`.
    :param outage_timeout: seconds for which Vertex AI may be out of reach before the wait is given up. A sensor that
        reschedules itself does not remember: its ``timeout`` alone counts.
    """

    template_fields: Sequence[str] = ("job", "gcp_conn_id", "impersonation_chain")
    operator_extra_links = (VertexJobLink(), VertexLogsLink(), MlflowLink())
    ui_color = "#e8f0fe"

    def __init__(
        self,
        *,
        job: str,
        submitted_by: str | None = None,
        gcp_conn_id: str = "google_cloud_default",
        impersonation_chain: str | Sequence[str] | None = None,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        cancel_on_kill: bool = False,
        end_from_trigger: bool = True,
        on_node_failure: Callable[[Context], object] | None = None,
        outage_timeout: float = 900.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.job = job
        self.submitted_by = submitted_by
        self.gcp_conn_id = gcp_conn_id
        self.impersonation_chain = impersonation_chain
        self.deferrable = deferrable
        self.cancel_on_kill = cancel_on_kill
        self.may_end_in_triggerer = end_from_trigger  # see may_end_in_triggerer
        self.on_node_failure = on_node_failure
        self.outage_timeout = outage_timeout
        self.job_links: dict[str, str] = {}

    def execute(self, context: Context) -> Any:
        """Wait, here or in the triggerer."""
        try:
            if self.deferrable and not self.poke(context):
                self._defer()
            if self.reschedule:
                self.poke_interval = max(self.poke_interval, SHORTEST_PAUSE_SECONDS)
            return super().execute(context)
        except AirflowSensorTimeout:
            self.on_kill()
            raise

    def poke(self, context: Context) -> PokeReturnValue:
        """Read the job once; done, with its summary, when it has succeeded."""
        from airflow_provider_kedro_vertex.task.errors import to_waiting_exception

        try:
            VertexJobLink.persist(context, self._monitor.url)
            job = self._monitor.poll(context)
            if job is None:
                return PokeReturnValue(is_done=False)
            return PokeReturnValue(is_done=True, xcom_value=self._result(context, job))
        except KedroVertexError as error:
            raise to_waiting_exception(error, context) from None

    def execute_complete(self, context: Context, event: dict[str, Any]) -> dict[str, Any]:
        """Take over from the triggerer."""
        from airflow_provider_kedro_vertex.task.errors import event_exception, to_waiting_exception

        if "error" in event:
            raise event_exception(event)
        try:
            self._monitor.states.seen |= event["seen"]
            VertexJobLink.persist(context, self._monitor.url)
            return self._result(context, self._monitor.read(context))
        except KedroVertexError as error:
            raise to_waiting_exception(error, context) from None

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """End the job, if that was asked for, before Airflow fails a deferred task whose time is over."""
        if is_timeout(next_method, next_kwargs):
            self.on_kill()
        return super().resume_execution(next_method, next_kwargs, context)

    def on_kill(self) -> None:
        """Cancel the job if that was asked for."""
        if self.cancel_on_kill:
            from airflow_provider_kedro_vertex.task.cancel import cancel_jobs

            cancel_jobs(lambda: self._hook().client_of(self.job), lambda client: [self.job], self.log)

    def _result(self, context: Context, job: Job) -> dict[str, Any]:
        self._note(context, job)
        result = self._monitor.result(context, job)
        has_outlets = self.submitted_by is not None and "written" in vars(self)
        report(self, context, job, self._submit(context).asked_nodes(context) if has_outlets else None)
        return result

    def _note(self, context: Context, job: Job) -> None:
        if self.submitted_by is None:
            return
        from airflow_provider_kedro_vertex.core.jobs.outcome import is_success, tasks
        from airflow_provider_kedro_vertex.task.lineage import TaskNodes, note

        def find_nodes() -> TaskNodes:
            found: TaskNodes = self._submit(context).task_nodes(context)
            return found

        note(context, self.log, self._hook(), job, find_nodes, tasks(job), wrote=is_success(job))

    def _submit(self, context: Context) -> Any:
        """The operator that submits the job, with its templates rendered."""
        from airflow_provider_kedro_vertex.task.run import rendered

        submit: Any = self.dag.get_task(str(self.submitted_by))
        return rendered(submit, context)

    def _defer(self) -> None:
        from airflow_provider_kedro_vertex.triggers.job import KedroVertexJobTrigger

        self.defer(
            trigger=KedroVertexJobTrigger(
                job=self.job,
                gcp_conn_id=self.gcp_conn_id,
                impersonation_chain=self.impersonation_chain,
                poll_interval=float(self.poke_interval),
                outage_timeout=self.outage_timeout,
                cancel_on_kill=self.cancel_on_kill,
                end_task=may_end_in_triggerer(self),
                since=self._monitor.updated,
                seen=self._monitor.states.seen,
                mlflow_file=self._monitor.mlflow_file,
                console_url=self._monitor.console_url,
            ),
            method_name="execute_complete",
            timeout=deferral_timeout(self),
        )

    @cached_property
    def _monitor(self) -> JobMonitor:
        from airflow_provider_kedro_vertex.task.job_monitor import JobMonitor

        return JobMonitor(self._hook(), self.job, self.log, self.outage_timeout)

    def _hook(self) -> KedroVertexHook:
        from airflow_provider_kedro_vertex.hooks.vertex_ai import KedroVertexHook

        return KedroVertexHook(gcp_conn_id=self.gcp_conn_id, impersonation_chain=self.impersonation_chain)
