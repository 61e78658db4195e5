"""The operator: compiles a Kedro pipeline, submits it as exactly one PipelineJob and waits for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_kedro_vertex.core.manifest import DEFAULT_PIPELINE
from airflow_provider_kedro_vertex.job_operator import VertexJobOperator

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_kedro_vertex.hooks import KedroVertexHook
    from airflow_provider_kedro_vertex.submitting import JobRequest


class KedroVertexPipelineOperator(VertexJobOperator):
    """Run a registered Kedro pipeline on Vertex AI as one PipelineJob.

    The job's id comes from the DAG run and the task, so that a retry, or a try whose worker died, finds the job that
    an earlier try has made: a running one is waited for, a succeeded one is taken, a failed one is followed by a new
    attempt. Clearing a task runs the pipeline anew; a job that still goes on is cancelled first.

    Kedro's runtime parameters are this task's Airflow ``params``: the DAG's and the task's own, with the values of a
    trigger form or ``dag_run.conf`` over them. Strings in ``params`` are templates, so that
    ``params={"run_date": "{{ ds }}"}`` works; what a person typed into the form is taken as it is. A dotted name
    reaches into a nested parameter, as it does for ``kedro run --params``.

    :param pipeline: the registered pipeline's name (templated).
    :param manifest: path of the project's manifest, made by ``kedro vertex manifest``; a relative one starts at the DAG
        file's folder (templated).
    :param project: instead of ``manifest``: a Kedro project's folder, inspected in a subprocess (templated).
    :param python: with ``project``: the Python of the project's own environment (templated).
    :param kedro_env: with ``project``: the Kedro environment (templated).
    :param run_config: settings of ``vertexai.yml``'s ``run_config`` to use instead, such as
        ``{"image": "..", "resources": {"train": {"memory": "8Gi"}}}`` (templated).
    :param project_id: Google Cloud project; by default the manifest's, else the connection's (templated).
    :param region: Vertex AI location; by default the manifest's (templated).
    :param display_name: the job's title; by default the experiment or project, the pipeline and the run (templated).
    :param labels: more labels of the job, over those of this package; values in the form that Google Cloud allows
        (templated).
    :param job_overrides: fields of the PipelineJob by their names in the REST API, merged over its body at every depth,
        for what has no setting of its own, such as ``{"runtimeConfig": {"inputArtifacts": {..}}}`` (templated).
    :param kwargs: see :class:`~airflow_provider_kedro_vertex.job_operator.VertexJobOperator` and Airflow's
        ``BaseOperator``.
    """

    template_fields: Sequence[str] = (
        "pipeline",
        "manifest",
        "project",
        "python",
        "kedro_env",
        "run_config",
        "project_id",
        "region",
        "display_name",
        "labels",
        "job_overrides",
        *VertexJobOperator.template_fields,
    )
    template_fields_renderers: ClassVar[dict[str, str]] = {
        "run_config": "json",
        "labels": "json",
        "job_overrides": "json",
    }

    def __init__(
        self,
        *,
        pipeline: str = DEFAULT_PIPELINE,
        manifest: str | None = None,
        project: str | None = None,
        python: str | None = None,
        kedro_env: str | None = None,
        run_config: Mapping[str, Any] | None = None,
        project_id: str | None = None,
        region: str | None = None,
        display_name: str | None = None,
        labels: Mapping[str, str] | None = None,
        job_overrides: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.pipeline = pipeline
        self.manifest = manifest
        self.project = project
        self.python = python
        self.kedro_env = kedro_env
        self.run_config = run_config
        self.project_id = project_id
        self.region = region
        self.display_name = display_name
        self.labels = labels
        self.job_overrides = job_overrides

    def job_request(self, hook: KedroVertexHook, context: Context) -> JobRequest:
        """Compile the pipeline; see :func:`.submitting.pipeline_job_request`."""
        from airflow_provider_kedro_vertex.submitting import pipeline_job_request

        return pipeline_job_request(self, hook, context)
