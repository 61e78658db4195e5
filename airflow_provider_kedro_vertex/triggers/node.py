"""The trigger that waits for one node group of a PipelineJob."""

from __future__ import annotations

from typing import Any

from airflow.triggers.base import TriggerEvent

from airflow_provider_kedro_vertex.compat import in_thread, success_event
from airflow_provider_kedro_vertex.core.jobs import outcome
from airflow_provider_kedro_vertex.core.jobs.console import job_page
from airflow_provider_kedro_vertex.core.jobs.states import DONE_STATES
from airflow_provider_kedro_vertex.core.jobs.summary import node_summary
from airflow_provider_kedro_vertex.links.task_links import VertexJobLink, VertexLogsLink
from airflow_provider_kedro_vertex.task.job_monitor import log_outage
from airflow_provider_kedro_vertex.triggers.job import KedroVertexJobTrigger
from airflow_provider_kedro_vertex.vertex import poller


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
        states = self._states()
        state = ""
        async for event in self._events(nodes=True):
            match event:
                case poller.NodesChanged():
                    task = event.tasks.get(self.group)
                case poller.Unreachable():
                    log_outage(self.log, event.message, self.outage_timeout)
                    continue
                case poller.JobEnded():
                    # The job's end may be told before the last of its groups.
                    task, state = await in_thread(self._read), event.state
            if task is None:
                continue
            states.show([task])
            await self._keep(self._links(task))
            await self._keep_mlflow_page()
            if self.end_task and task.state in DONE_STATES:
                result = node_summary({"name": self.job}, task, job_page(self.job, self.console_url))
                done = await success_event(self.task_instance, result)
                if done is not None:
                    return done
            if task.ended:
                state = task.state
                break
        return TriggerEvent({"name": self.job, "state": state, "seen": states.seen})

    def _read(self) -> outcome.Task | None:
        _, client = self._connect()
        return next((task for task in outcome.tasks(client.get_job(self.job)) if task.name == self.group), None)

    def _links(self, task: outcome.Task) -> dict[str, str]:
        if not task.number:
            return {}
        custom_job = f"{self.job.partition('/pipelineJobs/')[0]}/customJobs/{task.number}"
        return {
            VertexLogsLink.key: self._log_page(task.number),
            VertexJobLink.key: job_page(custom_job, self.console_url),
        }
