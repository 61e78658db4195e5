"""The operator that runs a Kedro pipeline as exactly one PipelineJob."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_kedro_vertex.operators.base import VertexJobOperator

if TYPE_CHECKING:
    from airflow_provider_kedro_vertex.compat import Context
    from airflow_provider_kedro_vertex.task.lineage import TaskNodes
    from airflow_provider_kedro_vertex.task.run_outcome import JobOutcome, JobReader
    from airflow_provider_kedro_vertex.task.submission import Submission


class KedroVertexPipelineOperator(VertexJobOperator):
    """Run a registered Kedro pipeline on Vertex AI as one PipelineJob.

    The job's id comes from the DAG run and the task, so that a retry, or a try whose worker died, finds the job that
    an earlier try has made: a running one is waited for, a succeeded one is taken, a failed one is followed by a new
    attempt. That attempt runs only the node groups that did not succeed in the attempts before it, since the data that
    the others made are stored. Clearing a task whose job succeeded runs the whole pipeline anew; a job that still goes
    on is cancelled first.

    :param force_full_run: let each new attempt run the whole pipeline, also after a failure; a template may give
        ``"true"`` or ``"false"`` (templated).
    :param exit_handler: run ``on_exit_pipeline``, where the settings name one, as the last task of the job. False
        leaves it to a task of its own, such as the teardown that the DAG factory makes.
    :param kwargs: see :class:`~airflow_provider_kedro_vertex.operators.base.VertexJobOperator` and Airflow's
        ``BaseOperator``.
    """

    template_fields: Sequence[str] = ("force_full_run", *VertexJobOperator.template_fields)

    def __init__(self, *, force_full_run: bool | str = False, exit_handler: bool = True, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.force_full_run = force_full_run
        self.exit_handler = exit_handler

    def task_nodes(self, context: Context, group: str | None = None) -> TaskNodes:
        """Find the Kedro nodes of the job, or of one of its node groups."""
        from airflow_provider_kedro_vertex.operators.job_request import task_nodes

        return task_nodes(self, context, group, self.exit_handler)

    def submission(self, context: Context) -> Submission:
        """Describe the job of the pipeline."""
        from airflow_provider_kedro_vertex.operators.job_request import pipeline_job

        return pipeline_job(self, context, self.exit_handler, self.force_full_run)

    def submission_for(self, context: Context, asked_by: dict[str, str]) -> Submission:
        """Describe the job that another task's try asks for in this task's place.

        :param asked_by: see :func:`.task.run.asked_by_label`.
        """
        from airflow_provider_kedro_vertex.operators.job_request import pipeline_job

        return pipeline_job(self, context, self.exit_handler, self.force_full_run, asked_by)

    def job_outcome(self, reader: JobReader, context: Context) -> JobOutcome:
        """How this task's last job in the DAG run ended, for the exit pipeline."""
        from airflow_provider_kedro_vertex.operators.job_request import asked_groups, read_config, task_try
        from airflow_provider_kedro_vertex.task.run import rendered
        from airflow_provider_kedro_vertex.task.run_outcome import JobOutcome

        operator = rendered(self, context)
        attempts = reader.pipeline_jobs(task_try(operator, context, read_config(operator)))
        watched = watched_groups(self)
        if operator.only_nodes:
            asked = asked_groups(operator, context)
            watched = [group for group in watched if group in asked]
        return JobOutcome.of(attempts, watched)


def watched_groups(submit: Any) -> list[str]:
    """The node groups of a task's job that other tasks wait for one by one."""
    tasks: list[Any] = [task for task in submit.dag.tasks if getattr(task, "submit_task_id", "") == submit.task_id]
    return [task.group for task in tasks]
