"""The operator for the pipeline that runs last."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from airflow_provider_kedro_vertex.operators.custom_job import KedroVertexCustomJobOperator
from airflow_provider_kedro_vertex.operators.pipeline_job import KedroVertexPipelineOperator, watched_groups

if TYPE_CHECKING:
    from airflow_provider_kedro_vertex.compat import Context
    from airflow_provider_kedro_vertex.task.run_outcome import JobOutcome, JobReader
    from airflow_provider_kedro_vertex.task.submission import Submission
    from airflow_provider_kedro_vertex.vertex.client import VertexClient

#: The operators whose jobs count for the outcome of a run.
_JOB_OPERATORS = (KedroVertexPipelineOperator, KedroVertexCustomJobOperator)


class KedroVertexExitOperator(KedroVertexCustomJobOperator):
    """Run the pipeline that ``run_config.on_exit_pipeline`` names, as one CustomJob, after all other tasks.

    It gets the runtime parameter ``run_outcome``: ``{"state", "failed_nodes", "errors"}``, told from the jobs of all
    tasks before this one, whoever shares data with whom; of a mapped task, from those of each instance. Make it a
    teardown (``as_teardown()``), so that it runs however those ended; the DAG factory does.

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
            return {"run_outcome": run_outcome(list(self._outcomes(reader, context)))}

        return custom_job(self, context, self.group, outcome)

    def _outcomes(self, reader: JobReader, context: Context) -> Iterator[JobOutcome]:
        """How the jobs of the tasks before this one ended, one for each task instance, in the order of the DAG."""
        from airflow_provider_kedro_vertex.compat import map_indexes
        from airflow_provider_kedro_vertex.operators.job_request import asked_groups
        from airflow_provider_kedro_vertex.task.run_outcome import JobOutcome

        mapped_group = self.get_closest_mapped_task_group()
        asked = asked_groups(self, context) if self.only_nodes else None
        for task in self._upstream():
            if asked is not None and isinstance(task, KedroVertexCustomJobOperator) and task.group not in asked:
                continue  # skipped
            group = task.get_closest_mapped_task_group()
            if isinstance(task, _JOB_OPERATORS) and group is mapped_group:  # its map index is this one's
                yield task.job_outcome(reader, context)
                continue
            is_mapped = group is not None or not isinstance(task, _JOB_OPERATORS)
            indexes = map_indexes(context, task.task_id) if is_mapped else [-1]
            is_pipeline = issubclass(_operator_class(task), KedroVertexPipelineOperator)
            for index in indexes:
                attempts = reader.mapped_jobs("pipelineJobs" if is_pipeline else "customJobs", task.task_id, index)
                yield JobOutcome.of(attempts, watched_groups(task))

    def _upstream(self) -> list[Any]:
        """The tasks that this one comes after and that make jobs, in the order of the DAG."""
        found: set[str] = set()
        waiting = [self.task_id]
        while waiting:
            more = self.dag.get_task(waiting.pop()).upstream_task_ids - found
            found |= more
            waiting += more
        tasks: list[Any] = [task for task in self.dag.tasks if task.task_id in found]
        return [task for task in tasks if issubclass(_operator_class(task), _JOB_OPERATORS)]


def _operator_class(task: Any) -> type:
    """The task's class; in a mapped operator's place Airflow has another object, which names it."""
    kind = getattr(task, "operator_class", None)
    return kind if isinstance(kind, type) else type(task)
