"""The operators: a Kedro pipeline as exactly one PipelineJob, or one of its node groups as exactly one CustomJob."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_kedro_vertex.job_operator import VertexJobOperator

if TYPE_CHECKING:
    from airflow_provider_kedro_vertex.hooks import KedroVertexHook
    from airflow_provider_kedro_vertex.submitting import JobRequest
    from airflow_provider_kedro_vertex.task.compat import Context


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
    :param kwargs: see :class:`~airflow_provider_kedro_vertex.job_operator.VertexJobOperator` and Airflow's
        ``BaseOperator``.
    """

    template_fields: Sequence[str] = ("force_full_run", *VertexJobOperator.template_fields)

    def __init__(self, *, force_full_run: bool | str = False, exit_handler: bool = True, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.force_full_run = force_full_run
        self.exit_handler = exit_handler

    def job_request(self, hook: KedroVertexHook, context: Context) -> JobRequest:
        """Compile the pipeline; see :func:`.submitting.pipeline_job_request`."""
        from airflow_provider_kedro_vertex.submitting import pipeline_job_request

        return pipeline_job_request(self, hook, context)


class KedroVertexCustomJobOperator(VertexJobOperator):
    """Run one node group of a registered Kedro pipeline on Vertex AI as one CustomJob.

    A retry, or a try whose worker died, finds the job that an earlier try has made by a label: a running one is waited
    for, a succeeded one is taken, a failed one is followed by a new job. Clearing the task runs the group anew. What
    the group takes from others must be stored already, so the tasks of those come before this one.

    The job runs as long as ``execution_timeout`` at most, unless ``nodes.<selector>.scheduling.timeout`` is set.

    :param group: the node group, by its name, its task id on Vertex AI, or one of its nodes, all as ``kedro vertex
        plan`` shows them. ``on-exit`` is the pipeline that ``on_exit_pipeline`` names: it gets the runtime parameter
        ``run_outcome``, ``{"state", "failed_nodes", "errors"}``, told from the jobs of all tasks before this one.
    :param kwargs: see :class:`~airflow_provider_kedro_vertex.job_operator.VertexJobOperator` and Airflow's
        ``BaseOperator``.
    """

    # Airflow stores a task's template fields with each task of a DAG; what some hundred tasks share is rendered below.
    # Of runtime_params Airflow must know, since they may be other tasks' results.
    template_fields: Sequence[str] = ("group", "runtime_params")
    template_fields_renderers: ClassVar[dict[str, str]] = {"runtime_params": "json"}

    def __init__(self, *, group: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.group = group

    def pre_execute(self, context: Any) -> None:
        """Render the other templates."""
        super().pre_execute(context)
        for name in VertexJobOperator.template_fields:
            if name not in self.template_fields:
                setattr(self, name, self.render_template(getattr(self, name), context))

    def job_request(self, hook: KedroVertexHook, context: Context) -> JobRequest:
        """Compile the node group; see :func:`.submitting.custom_job_request`."""
        from airflow_provider_kedro_vertex.submitting import custom_job_request

        return custom_job_request(self, hook, context)
