"""The operator: compiles a Kedro pipeline, submits it as exactly one PipelineJob and waits for it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException, BaseOperator, conf

from airflow_provider_kedro_vertex.core.errors import (
    JobError,
    KedroVertexError,
    QuotaExceededError,
    UnavailableError,
)
from airflow_provider_kedro_vertex.core.manifest import DEFAULT_PIPELINE
from airflow_provider_kedro_vertex.links import VertexJobLink

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_kedro_vertex.hooks import KedroVertexHook
    from airflow_provider_kedro_vertex.waiting import JobWatch


class KedroVertexPipelineOperator(BaseOperator):
    """Run a registered Kedro pipeline on Vertex AI as one PipelineJob.

    The job's id comes from the DAG run and the task, so that a retry, or a try whose worker died, finds the job that
    an earlier try has made: a running one is waited for, a succeeded one is taken, a failed one is followed by a new
    attempt. Clearing a task that succeeded runs the pipeline anew.

    Kedro's runtime parameters are this task's Airflow ``params``: the DAG's and the task's own, with the values of a
    trigger form or ``dag_run.conf`` over them. Strings in ``params`` are templates, so that
    ``params={"run_date": "{{ ds }}"}`` works; what a person typed into the form is taken as it is. A dotted name
    reaches into a nested parameter, as it does for ``kedro run --params``.

    XCom gets the small dict of :func:`airflow_provider_kedro_vertex.core.outcome.summary`, never the job.

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
    :param gcp_conn_id: the Airflow connection (templated).
    :param impersonation_chain: service accounts to impersonate (templated).
    :param wait_for_completion: False ends the task when the job is submitted; a
        :class:`~airflow_provider_kedro_vertex.sensors.KedroVertexPipelineSensor` can wait for it.
    :param deferrable: wait in the triggerer; Airflow's ``operators.default_deferrable`` by default.
    :param poll_interval: seconds between two reads of the job while waiting.
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
        "gcp_conn_id",
        "impersonation_chain",
    )
    template_fields_renderers: ClassVar[dict[str, str]] = {"run_config": "json"}
    operator_extra_links = (VertexJobLink(),)
    ui_color = "#d2e3fc"

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
        gcp_conn_id: str = "google_cloud_default",
        impersonation_chain: str | Sequence[str] | None = None,
        wait_for_completion: bool = True,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        poll_interval: float = 30.0,
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
        self.gcp_conn_id = gcp_conn_id
        self.impersonation_chain = impersonation_chain
        self.wait_for_completion = wait_for_completion
        self.deferrable = deferrable
        self.poll_interval = poll_interval
        self.job_url = ""
        self._watch: JobWatch | None = None

    def execute(self, context: Context) -> dict[str, Any] | None:
        """Submit, then wait here, in the triggerer, or not at all."""
        from airflow_provider_kedro_vertex.core.outcome import summary
        from airflow_provider_kedro_vertex.submitting import submit
        from airflow_provider_kedro_vertex.waiting import JobWatch

        try:
            hook = self._hook()
            job = submit(self, hook, context)
            url = hook.job_url(job["name"])
            VertexJobLink.persist(context, url)
            self.log.info("See %s", url)
            if not self.wait_for_completion:
                return summary(job, url)
            self._watch = JobWatch(hook, job["name"], self.log)
            ended = self._watch.ended()
            if ended is None and self.deferrable:
                from airflow_provider_kedro_vertex.triggers import KedroVertexPipelineTrigger

                self.defer(
                    trigger=KedroVertexPipelineTrigger(
                        job=job["name"],
                        gcp_conn_id=self.gcp_conn_id,
                        impersonation_chain=self.impersonation_chain,
                        poll_interval=self.poll_interval,
                        cancel_on_kill=True,
                    ),
                    method_name="execute_complete",
                )
            while ended is None:
                time.sleep(self.poll_interval)
                ended = self._watch.ended()
            return self._watch.result(ended)
        except KedroVertexError as error:
            raise _airflow_error(error) from None

    def execute_complete(self, context: Context, event: dict[str, Any]) -> dict[str, Any]:
        """Take over from the triggerer."""
        from airflow_provider_kedro_vertex.waiting import JobWatch

        if "error" in event:
            raise AirflowException(event["error"])
        try:
            self._watch = JobWatch(self._hook(), event["name"], self.log)
            VertexJobLink.persist(context, self._watch.url)
            return self._watch.result(self._watch.read())
        except KedroVertexError as error:
            raise _airflow_error(error) from None

    def on_kill(self) -> None:
        """Cancel the job of this task."""
        if self._watch is not None:
            self._watch.cancel()

    def _hook(self) -> KedroVertexHook:
        from airflow_provider_kedro_vertex.hooks import KedroVertexHook

        return KedroVertexHook(gcp_conn_id=self.gcp_conn_id, impersonation_chain=self.impersonation_chain)


def _airflow_error(error: KedroVertexError) -> AirflowException:
    """Retry what may go better next time: a failed job gets a new attempt; a wrong setting stays wrong."""
    if isinstance(error, JobError | UnavailableError | QuotaExceededError):
        return AirflowException(str(error))
    return AirflowFailException(str(error))
