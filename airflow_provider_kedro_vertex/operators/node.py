"""The operator that shows one node group of a PipelineJob as a task of its own."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn

from airflow_provider_kedro_vertex.compat import (
    SHORTEST_PAUSE_SECONDS,
    AirflowSensorTimeout,
    AirflowSkipException,
    BaseSensorOperator,
    PokeReturnValue,
    conf,
    is_first_look,
)
from airflow_provider_kedro_vertex.core.errors import KedroVertexError, QuotaExceededError, UnavailableError
from airflow_provider_kedro_vertex.core.jobs.api import Job
from airflow_provider_kedro_vertex.core.jobs.states import is_over
from airflow_provider_kedro_vertex.lineage.assets import report
from airflow_provider_kedro_vertex.lineage.openlineage import OpenLineageTask
from airflow_provider_kedro_vertex.links.task_links import MlflowLink, VertexJobLink, VertexLogsLink
from airflow_provider_kedro_vertex.task.deferral import deferral_timeout, is_timeout, may_end_in_triggerer

if TYPE_CHECKING:
    from airflow.triggers.base import BaseTrigger

    from airflow_provider_kedro_vertex.compat import Context
    from airflow_provider_kedro_vertex.core.jobs.resume import GroupProgress
    from airflow_provider_kedro_vertex.operators.node_monitor import NodeMonitor
    from airflow_provider_kedro_vertex.vertex.client import VertexClient

#: Seconds that it waits: Airflow's setting for sensors, read once and not for each of some hundred tasks.
_TIMEOUT = conf.getfloat("sensors", "default_timeout", fallback=7 * 24 * 3600.0)


class KedroVertexNodeOperator(OpenLineageTask, BaseSensorOperator):
    """Wait until one node group of a PipelineJob has ended, which another task of the same DAG submitted.

    The group's state on Vertex AI becomes the task's: success (also when Vertex AI took the result from its cache, as
    the log then says), skipped when Vertex AI did not trigger the group, failed when it failed or was cancelled. A
    group after a failed one is ``upstream_failed`` by the edges between the tasks. The triggerer looks at a job once
    for all who wait for its groups.

    When the task is cleared, or tried again, after its group did not succeed, it submits what is left of the pipeline
    as a new attempt, as soon as the last one has ended; or it adopts the attempt that another task has made. A group
    that succeeded is not run again by its own task: clear the submitting task for that. Killing this task cancels the
    whole job.

    XCom gets ``{"name", "id", "url", "group", "state", "seconds"}``.

    :param group: the node group's task id on Vertex AI, as ``kedro vertex plan`` shows it.
    :param submit_task_id: the task, a
        :class:`~airflow_provider_kedro_vertex.operators.pipeline_job.KedroVertexPipelineOperator`, whose job this is.
    :param deferrable: wait in the triggerer; Airflow's ``operators.default_deferrable`` by default.
    :param end_from_trigger: see :class:`~airflow_provider_kedro_vertex.operators.base.VertexJobOperator`.
    :param on_node_failure: see :class:`~airflow_provider_kedro_vertex.operators.base.VertexJobOperator`.
    :param outage_timeout: seconds for which Vertex AI may be out of reach before a deferred wait is given up; without
        ``deferrable``, ``timeout`` alone counts.
    :param timeout: seconds to wait; Airflow's ``sensors.default_timeout`` by default.
    :param mode: how it waits where it is not deferred: ``reschedule`` or ``poke``.
    :param poke_interval: seconds between two looks, at most; a task that reschedules itself is away for 10 at least.
    """

    # Of the group's own container. The factory leaves the first one alone to the tasks of a large DAG.
    operator_extra_links = (VertexLogsLink(), VertexJobLink(), MlflowLink())
    ui_color = "#e8f0fe"

    group: str
    submit_task_id: str
    deferrable: bool
    may_end_in_triggerer: bool
    on_node_failure: Callable[[Context], object] | None
    outage_timeout: float
    job_links: dict[str, str]
    _running: Context | None

    def __init__(
        self,
        *,
        group: str,
        submit_task_id: str = "submit",
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        end_from_trigger: bool = True,
        on_node_failure: Callable[[Context], object] | None = None,
        outage_timeout: float = 900.0,
        timeout: float = _TIMEOUT,
        mode: str = "reschedule",
        poke_interval: float = 30.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(timeout=timeout, mode=mode, poke_interval=poke_interval, **kwargs)
        vars(self).update(  # at once, as VertexJobOperator does
            group=group,
            submit_task_id=submit_task_id,
            deferrable=deferrable,
            may_end_in_triggerer=end_from_trigger,
            on_node_failure=on_node_failure,
            outage_timeout=outage_timeout,
            job_links={},
            _running=None,
        )

    def execute(self, context: Context) -> Any:
        """Wait, here or in the triggerer; submit a new attempt first if this try asks for one."""
        from airflow_provider_kedro_vertex.operators.node_monitor import NodeMonitor
        from airflow_provider_kedro_vertex.operators.only_nodes import skip_unless_asked
        from airflow_provider_kedro_vertex.task.errors import to_airflow_exception

        self._running = context
        try:
            if is_first_look(context):  # the later ones of a rescheduled task are poke's, which rides out an outage
                monitor = NodeMonitor(self, self.group, self.submit_task_id, context)
                if monitor.submit.only_nodes is not None:
                    skip_unless_asked(self, monitor.submit, self.group, context)
                progress = monitor.poll()
                if monitor.needs_attempt(progress):
                    progress = self._submit_again(context, monitor)
                if progress.ended:
                    return self._end(context, monitor, progress)
                if self.deferrable:
                    self._defer(context, monitor, progress)
        except KedroVertexError as error:
            raise to_airflow_exception(error, context) from None
        try:
            if self.reschedule:
                self.poke_interval = max(self.poke_interval, SHORTEST_PAUSE_SECONDS)
            return super().execute(context)
        except AirflowSensorTimeout:
            self._cancel(context)
            raise

    def poke(self, context: Context) -> PokeReturnValue:
        """Look once; done, with the group's summary, when it has succeeded."""
        from airflow_provider_kedro_vertex.operators.node_monitor import NodeMonitor
        from airflow_provider_kedro_vertex.task.errors import to_airflow_exception
        from airflow_provider_kedro_vertex.task.job_monitor import log_outage

        try:
            monitor = NodeMonitor(self, self.group, self.submit_task_id, context)
            progress = monitor.poll()
            if progress.ended:
                return PokeReturnValue(is_done=True, xcom_value=self._end(context, monitor, progress))
            monitor.keep_links(context, progress)
        except (UnavailableError, QuotaExceededError) as error:
            log_outage(self.log, error, None)
        except KedroVertexError as error:
            raise to_airflow_exception(error, context) from None
        return PokeReturnValue(is_done=False)

    def execute_after_job(self, context: Context, event: dict[str, Any]) -> Any:
        """Take over from the triggerer when the last attempt has ended: submit a new one."""
        from airflow_provider_kedro_vertex.operators.node_monitor import NodeMonitor
        from airflow_provider_kedro_vertex.task.errors import event_exception, to_airflow_exception

        if "error" in event:
            raise event_exception(event)
        try:
            monitor = NodeMonitor(self, self.group, self.submit_task_id, context)
            return self._wait_on(context, monitor, monitor.submit_attempt(event["name"]))
        except KedroVertexError as error:
            raise to_airflow_exception(error, context) from None

    def execute_complete(self, context: Context, event: dict[str, Any]) -> Any:
        """Take over from the triggerer when the group has ended, or its job has."""
        from airflow_provider_kedro_vertex.operators.node_monitor import NodeMonitor
        from airflow_provider_kedro_vertex.task.errors import event_exception, to_airflow_exception

        if "error" in event and not event["final"]:
            raise event_exception(event)
        try:
            monitor = NodeMonitor(self, self.group, self.submit_task_id, context)
            progress = monitor.poll()  # if the job is gone, this says so better than the event does
            if "error" in event:
                raise event_exception(event)
            return self._wait_on(context, monitor, progress)
        except KedroVertexError as error:
            raise to_airflow_exception(error, context) from None

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """End the job before Airflow fails a deferred task whose time is over."""
        if is_timeout(next_method, next_kwargs):
            self._cancel(context)
        return super().resume_execution(next_method, next_kwargs, context)

    def on_kill(self) -> None:
        """Cancel the job."""
        if self._running is not None:
            self._cancel(self._running)

    def _wait_on(self, context: Context, monitor: NodeMonitor, progress: GroupProgress) -> Any:
        if not progress.ended:
            self._defer(context, monitor, progress)
        return self._end(context, monitor, progress)

    def _submit_again(self, context: Context, monitor: NodeMonitor) -> GroupProgress:
        """Submit a new attempt when the last one has ended."""
        job = monitor.last_job()
        if not is_over(job["state"]):
            self.log.info("%s goes on without %s; a new attempt follows when it has ended.", job["name"], self.group)
            if self.deferrable:
                from airflow_provider_kedro_vertex.triggers.job import KedroVertexJobTrigger

                arguments = self._trigger_arguments(monitor, job)
                self._defer_to(KedroVertexJobTrigger(**arguments, end_task=False, seen={}), "execute_after_job")
        while not is_over(job["state"]):
            time.sleep(self.poke_interval)
            job = monitor.last_job()
        return monitor.submit_attempt(job["name"])

    def _defer(self, context: Context, monitor: NodeMonitor, progress: GroupProgress) -> None:
        from airflow_provider_kedro_vertex.triggers.node import KedroVertexNodeTrigger

        monitor.keep_links(context, progress)
        seen = {self.group: progress.task.state} if progress.task else {}
        arguments = self._trigger_arguments(monitor, progress.job)
        trigger = KedroVertexNodeTrigger(self.group, **arguments, end_task=may_end_in_triggerer(self), seen=seen)
        self._defer_to(trigger, "execute_complete")

    def _trigger_arguments(self, monitor: NodeMonitor, job: Job) -> dict[str, Any]:
        from airflow_provider_kedro_vertex.core.jobs.written import mlflow_run_file

        return {
            "job": job["name"],
            "gcp_conn_id": monitor.submit.gcp_conn_id,
            "impersonation_chain": monitor.submit.impersonation_chain,
            "poll_interval": float(self.poke_interval),
            "outage_timeout": self.outage_timeout,
            "cancel_on_kill": True,
            "since": job.get("updateTime"),
            "mlflow_file": mlflow_run_file(job),
            "console_url": monitor.hook.console_url,
        }

    def _defer_to(self, trigger: BaseTrigger, method_name: str) -> NoReturn:
        self.defer(trigger=trigger, method_name=method_name, timeout=deferral_timeout(self))

    def _end(self, context: Context, monitor: NodeMonitor, progress: GroupProgress) -> dict[str, Any]:
        """Give what the group left, or fail or skip as it did."""
        from airflow_provider_kedro_vertex.core.jobs.summary import node_summary
        from airflow_provider_kedro_vertex.task.errors import job_error, node_error

        monitor.keep_links(context, progress)
        job, task = progress.job, progress.task
        new = monitor.is_of_last_attempt(progress) if progress.verdict == "done" else False
        monitor.note(progress, wrote=new)
        if progress.verdict == "not triggered":
            raise AirflowSkipException(
                f"Vertex AI did not trigger {self.group}, since another node group of {job['name']} had failed."
            )
        if task is None:
            raise job_error(monitor.hook, monitor.client, job, context)
        if progress.verdict != "done":
            raise node_error(monitor.hook, monitor.client, job, task, context)
        report(self, context, job, monitor.submit.asked_nodes(context), nothing_new=not new)
        if task.state == "SKIPPED":
            self.log.info("%s: Vertex AI took the result from its cache.", self.group)
        else:
            self.log.info("%s: %s after %s s.", self.group, task.state, task.seconds)
        return node_summary(job, task, monitor.hook.job_url(job["name"]))

    def _cancel(self, context: Context) -> None:
        """Cancel the last attempt, if it goes on."""
        from airflow_provider_kedro_vertex.operators.node_monitor import NodeMonitor
        from airflow_provider_kedro_vertex.task.cancel import cancel_jobs

        found: list[str] = []

        def connect() -> VertexClient:
            monitor = NodeMonitor(self, self.group, self.submit_task_id, context)
            job = monitor.last_job()
            found.extend([] if is_over(job["state"]) else [job["name"]])
            return monitor.client

        cancel_jobs(connect, lambda client: found, self.log)
