"""The sensors: one waits for a job that another task, or anybody, has submitted, one for a node group of such a job."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, NoReturn

from airflow_provider_kedro_vertex.core.errors import KedroVertexError, QuotaExceededError, UnavailableError
from airflow_provider_kedro_vertex.core.states import is_over
from airflow_provider_kedro_vertex.deferring import ends_in_triggerer, is_timeout, longest_wait
from airflow_provider_kedro_vertex.links import MlflowLink, VertexJobLink, VertexLogsLink
from airflow_provider_kedro_vertex.task.compat import (
    AirflowSensorTimeout,
    AirflowSkipException,
    BaseSensorOperator,
    PokeReturnValue,
    conf,
)

if TYPE_CHECKING:
    from airflow.triggers.base import BaseTrigger

    from airflow_provider_kedro_vertex.core.resume import Standing
    from airflow_provider_kedro_vertex.node_watch import NodeWatch
    from airflow_provider_kedro_vertex.task.compat import Context
    from airflow_provider_kedro_vertex.waiting import JobWatch

#: Seconds that a sensor waits: Airflow's setting, read once and not for each of some hundred sensors.
_TIMEOUT = conf.getfloat("sensors", "default_timeout", fallback=7 * 24 * 3600.0)


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
        self.may_end_in_triggerer = end_from_trigger  # see ends_in_triggerer
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
            self.on_kill()
        return super().resume_execution(next_method, next_kwargs, context)

    def on_kill(self) -> None:
        """Cancel the job if that was asked for."""
        if not self.cancel_on_kill:
            return
        try:
            self._watch.cancel()
        except KedroVertexError as error:
            # Why the task ends must not be hidden.
            self.log.error("The job may go on, since it could not be cancelled: %s", error)

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
            timeout=longest_wait(self),
        )

    @cached_property
    def _watch(self) -> JobWatch:
        from airflow_provider_kedro_vertex.hooks import KedroVertexHook
        from airflow_provider_kedro_vertex.waiting import JobWatch

        hook = KedroVertexHook(gcp_conn_id=self.gcp_conn_id, impersonation_chain=self.impersonation_chain)
        return JobWatch(hook, self.job, self.log, self.outage_timeout)


class KedroVertexNodeSensor(BaseSensorOperator):
    """Wait until one node group of a PipelineJob has ended, which another task of the same DAG submitted.

    The group's state on Vertex AI becomes the task's: success (also when Vertex AI took the result from its cache, as
    the log then says), skipped when Vertex AI did not trigger the group, failed when it failed or was cancelled. A
    group after a failed one is ``upstream_failed`` by the edges between the tasks. The triggerer looks at a job once
    for all who wait for its groups.

    When the task is cleared, or tried again, after its group did not succeed, it submits what is left of the pipeline
    as a new attempt, as soon as the last one has ended; or it adopts the attempt that another task has made. A group
    that succeeded is not run again by its sensor: clear the submitting task for that. Killing this task cancels the
    whole job.

    XCom gets ``{"name", "id", "url", "group", "state", "seconds"}``.

    :param group: the node group's task id on Vertex AI, as ``kedro vertex plan`` shows it.
    :param submit_task_id: the task, a
        :class:`~airflow_provider_kedro_vertex.operators.KedroVertexPipelineOperator`, whose job this is.
    :param deferrable: wait in the triggerer; Airflow's ``operators.default_deferrable`` by default.
    :param end_from_trigger: see :class:`~airflow_provider_kedro_vertex.job_operator.VertexJobOperator`.
    :param outage_timeout: seconds for which Vertex AI may be out of reach before a deferred wait is given up; without
        ``deferrable``, ``timeout`` alone counts.
    :param timeout: seconds to wait; Airflow's ``sensors.default_timeout`` by default.
    :param mode: how it waits where it is not deferred: ``reschedule`` or ``poke``.
    :param poke_interval: seconds between two looks, at most.
    """

    operator_extra_links = (VertexLogsLink(),)  # the job's is at the task that submitted it
    ui_color = "#e8f0fe"

    group: str
    submit_task_id: str
    deferrable: bool
    may_end_in_triggerer: bool
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
            outage_timeout=outage_timeout,
            job_links={},
            _running=None,
        )

    def execute(self, context: Context) -> Any:
        """Wait, here or in the triggerer; submit a new attempt first if this try asks for one."""
        from airflow_provider_kedro_vertex.failing import airflow_error
        from airflow_provider_kedro_vertex.node_watch import NodeWatch
        from airflow_provider_kedro_vertex.task.compat import is_first_look

        self._running = context
        try:
            if is_first_look(context):  # the later ones of a rescheduled sensor are poke's, which rides out an outage
                watch = NodeWatch(self, context)
                standing = watch.look()
                if watch.is_due(standing):
                    standing = self._run_again(context, watch)
                if standing.ended:
                    return self._end(context, watch, standing)
                if self.deferrable:
                    self._defer(context, watch, standing)
        except KedroVertexError as error:
            raise airflow_error(error) from None
        try:
            return super().execute(context)
        except AirflowSensorTimeout:
            self._cancel(context)
            raise

    def poke(self, context: Context) -> PokeReturnValue:
        """Look once; done, with the group's summary, when it has succeeded."""
        from airflow_provider_kedro_vertex.failing import airflow_error
        from airflow_provider_kedro_vertex.node_watch import NodeWatch

        try:
            watch = NodeWatch(self, context)
            standing = watch.look()
            if standing.ended:
                return PokeReturnValue(is_done=True, xcom_value=self._end(context, watch, standing))
            watch.keep_link(context, standing)
        except (UnavailableError, QuotaExceededError) as error:
            self.log.warning("%s The wait goes on.", error)
        except KedroVertexError as error:
            raise airflow_error(error) from None
        return PokeReturnValue(is_done=False)

    def execute_after_job(self, context: Context, event: dict[str, Any]) -> Any:
        """Take over from the triggerer when the last attempt has ended: submit a new one."""
        from airflow_provider_kedro_vertex.failing import airflow_error, event_error
        from airflow_provider_kedro_vertex.node_watch import NodeWatch

        if "error" in event:
            raise event_error(event)
        try:
            watch = NodeWatch(self, context)
            return self._wait_on(context, watch, watch.run_again(event["name"]))
        except KedroVertexError as error:
            raise airflow_error(error) from None

    def execute_complete(self, context: Context, event: dict[str, Any]) -> Any:
        """Take over from the triggerer when the group has ended, or its job has."""
        from airflow_provider_kedro_vertex.failing import airflow_error, event_error
        from airflow_provider_kedro_vertex.node_watch import NodeWatch

        if "error" in event and not event["final"]:
            raise event_error(event)
        try:
            watch = NodeWatch(self, context)
            standing = watch.look()  # if the job is gone, this says so better than the event does
            if "error" in event:
                raise event_error(event)
            return self._wait_on(context, watch, standing)
        except KedroVertexError as error:
            raise airflow_error(error) from None

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """End the job before Airflow fails a deferred task whose time is over."""
        if is_timeout(next_method, next_kwargs):
            self._cancel(context)
        return super().resume_execution(next_method, next_kwargs, context)

    def on_kill(self) -> None:
        """Cancel the job."""
        if self._running is not None:
            self._cancel(self._running)

    def _wait_on(self, context: Context, watch: NodeWatch, standing: Standing) -> Any:
        if not standing.ended:
            self._defer(context, watch, standing)
        return self._end(context, watch, standing)

    def _run_again(self, context: Context, watch: NodeWatch) -> Standing:
        """Submit a new attempt when the last one has ended."""
        job = watch.last_job()
        if not is_over(job["state"]):
            self.log.info("%s goes on without %s; a new attempt follows when it has ended.", job["name"], self.group)
            if self.deferrable:
                from airflow_provider_kedro_vertex.triggers import KedroVertexJobTrigger

                arguments = self._trigger_arguments(watch, job)
                self._defer_to(KedroVertexJobTrigger(**arguments, end_task=False, seen={}), "execute_after_job")
        while not is_over(job["state"]):
            time.sleep(self.poke_interval)
            job = watch.last_job()
        return watch.run_again(job["name"])

    def _defer(self, context: Context, watch: NodeWatch, standing: Standing) -> None:
        from airflow_provider_kedro_vertex.triggers import KedroVertexNodeTrigger

        watch.keep_link(context, standing)
        seen = {self.group: standing.task.state} if standing.task else {}
        arguments = self._trigger_arguments(watch, standing.job)
        trigger = KedroVertexNodeTrigger(self.group, **arguments, end_task=ends_in_triggerer(self), seen=seen)
        self._defer_to(trigger, "execute_complete")

    def _trigger_arguments(self, watch: NodeWatch, job: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "job": job["name"],
            "gcp_conn_id": watch.submit.gcp_conn_id,
            "impersonation_chain": watch.submit.impersonation_chain,
            "poll_interval": float(self.poke_interval),
            "outage_timeout": self.outage_timeout,
            "cancel_on_kill": True,
            "since": job.get("updateTime"),
        }

    def _defer_to(self, trigger: BaseTrigger, method_name: str) -> NoReturn:
        self.defer(trigger=trigger, method_name=method_name, timeout=longest_wait(self))

    def _end(self, context: Context, watch: NodeWatch, standing: Standing) -> dict[str, Any]:
        """Give what the group left, or fail or skip as it did."""
        from airflow_provider_kedro_vertex.core.outcome import node_summary
        from airflow_provider_kedro_vertex.failing import job_error, node_error

        watch.keep_link(context, standing)
        job, task = standing.job, standing.task
        if standing.verdict == "not triggered":
            raise AirflowSkipException(
                f"Vertex AI did not trigger {self.group}, since another node group of {job['name']} had failed."
            )
        if task is None:
            raise job_error(watch.hook, watch.client, job, context)
        if standing.verdict != "done":
            raise node_error(watch.hook, watch.client, job, task, context)
        if task.state == "SKIPPED":
            self.log.info("%s: Vertex AI took the result from its cache.", self.group)
        else:
            self.log.info("%s: %s after %s s.", self.group, task.state, task.seconds)
        return node_summary(job, task, watch.hook.job_url(job["name"]))

    def _cancel(self, context: Context) -> None:
        from airflow_provider_kedro_vertex.node_watch import NodeWatch

        try:
            NodeWatch(self, context).cancel()
        except KedroVertexError as error:  # it must not hide why the task ends
            self.log.error("The job may go on, since it could not be cancelled: %s", error)
