"""The operator that runs one node group of a Kedro pipeline as exactly one CustomJob."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_kedro_vertex.core.errors import KedroVertexError
from airflow_provider_kedro_vertex.links.task_links import WebShellLink
from airflow_provider_kedro_vertex.operators.base import VertexJobOperator

if TYPE_CHECKING:
    from airflow_provider_kedro_vertex.compat import Context
    from airflow_provider_kedro_vertex.task.lineage import TaskNodes
    from airflow_provider_kedro_vertex.task.run_outcome import JobOutcome, JobReader
    from airflow_provider_kedro_vertex.task.submission import Submission


class KedroVertexCustomJobOperator(VertexJobOperator):
    """Run one node group of a registered Kedro pipeline on Vertex AI as one CustomJob.

    A retry, or a try whose worker died, finds the job that an earlier try has made by a label: a running one is waited
    for, a succeeded one is taken, a failed one is followed by a new job. Clearing the task runs the group anew. What
    the group takes from others must be stored already, so the tasks of those come before this one.

    The job runs as long as ``execution_timeout`` at most, unless ``nodes.<selector>.scheduling.timeout`` is set.

    :param group: the node group, by its name, its task id on Vertex AI, or one of its nodes, all as ``kedro vertex
        plan`` shows them. For the pipeline that ``on_exit_pipeline`` names there is
        :class:`~airflow_provider_kedro_vertex.operators.exit.KedroVertexExitOperator`.
    :param kwargs: see :class:`~airflow_provider_kedro_vertex.operators.base.VertexJobOperator` and Airflow's
        ``BaseOperator``.
    """

    # Airflow stores a task's template fields with each task of a DAG; what some hundred tasks share is rendered below.
    # Of runtime_params Airflow must know, since they may be other tasks' results, but only where there are some.
    template_fields: Sequence[str] = ("group", "runtime_params")
    template_fields_renderers: ClassVar[dict[str, str]] = {"runtime_params": "json"}
    operator_extra_links = (*VertexJobOperator.operator_extra_links, WebShellLink())

    group: str

    def __init__(self, *, group: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        vars(self)["group"] = group  # as VertexJobOperator does
        if self.runtime_params is None:
            vars(self).update(template_fields=("group",), template_fields_renderers={})

    def pre_execute(self, context: Any) -> None:
        """Render the other templates."""
        super().pre_execute(context)
        others = [name for name in VertexJobOperator.template_fields if name not in self.template_fields]
        self._do_render_template_fields(self, others, context, self.get_template_env(), set())

    def task_nodes(self, context: Context, group: str | None = None) -> TaskNodes:
        """Find the Kedro nodes of the job."""
        from airflow_provider_kedro_vertex.operators.job_request import task_nodes

        return task_nodes(self, context, group or self.group, exit_handler=False)

    def execute(self, context: Context) -> dict[str, Any] | None:
        """Submit, then wait here, in the triggerer, or not at all; skip the task where its nodes are not to run."""
        if self.only_nodes is not None:
            from airflow_provider_kedro_vertex.operators.only_nodes import skip_unless_asked
            from airflow_provider_kedro_vertex.task.errors import to_airflow_exception

            try:
                skip_unless_asked(self, self, self.group, context)
            except KedroVertexError as error:
                raise to_airflow_exception(error, context) from None
        return super().execute(context)

    def submission(self, context: Context) -> Submission:
        """Describe the job of the node group."""
        from airflow_provider_kedro_vertex.operators.job_request import custom_job

        return custom_job(self, context, self.group)

    def job_outcome(self, reader: JobReader, context: Context) -> JobOutcome:
        """How this task's last job in the DAG run ended, for the exit pipeline."""
        from airflow_provider_kedro_vertex.core.settings.run_config import RunConfig
        from airflow_provider_kedro_vertex.operators.job_request import task_try
        from airflow_provider_kedro_vertex.task.run_outcome import JobOutcome

        # A label finds CustomJobs; the prefix of their ids, which the settings may name, does not matter.
        return JobOutcome.of(reader.custom_jobs(task_try(self, context, RunConfig())))
