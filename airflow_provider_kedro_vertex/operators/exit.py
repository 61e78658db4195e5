"""The operator for the pipeline that runs last."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_kedro_vertex.operators.custom_job import KedroVertexCustomJobOperator

if TYPE_CHECKING:
    from airflow_provider_kedro_vertex.compat import Context
    from airflow_provider_kedro_vertex.task.run_outcome import MakesJobs
    from airflow_provider_kedro_vertex.task.submission import Submission
    from airflow_provider_kedro_vertex.vertex.client import VertexClient


class KedroVertexExitOperator(KedroVertexCustomJobOperator):
    """Run the pipeline that ``run_config.on_exit_pipeline`` names, as one CustomJob, after all other tasks.

    It gets the runtime parameter ``run_outcome``: ``{"state", "failed_nodes", "errors"}``, told from the jobs of all
    tasks before this one. Make it a teardown (``as_teardown()``), so that it runs however those ended; the DAG factory
    does.

    :param kwargs: see :class:`~airflow_provider_kedro_vertex.operators.base.VertexJobOperator` and Airflow's
        ``BaseOperator``.
    """

    def __init__(self, **kwargs: Any) -> None:
        # The name of its task on Vertex AI, where it is the last one of a PipelineJob.
        super().__init__(group="on-exit", **kwargs)

    def submission(self, context: Context) -> Submission:
        """Describe the job of the exit pipeline."""
        from airflow_provider_kedro_vertex.core.jobs.identity import run_key
        from airflow_provider_kedro_vertex.operators.job_request import custom_job
        from airflow_provider_kedro_vertex.task.run_outcome import JobReader, run_outcome

        def outcome(client: VertexClient) -> dict[str, Any]:
            reader = JobReader(client, run_key(context["ti"].dag_id, context["ti"].run_id))
            return {"run_outcome": run_outcome(self._upstream(), reader, context)}

        return custom_job(self, context, self.group, outcome)

    def _upstream(self) -> list[MakesJobs]:
        """The tasks that this one comes after and that make jobs, in the order of the DAG."""
        found: set[str] = set()
        waiting = [self.task_id]
        while waiting:
            more = self.dag.get_task(waiting.pop()).upstream_task_ids - found
            found |= more
            waiting += more
        return [task for task in self.dag.tasks if task.task_id in found and hasattr(task, "job_outcome")]
