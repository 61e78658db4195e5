"""The operator: compiles a Kedro pipeline, submits it as exactly one PipelineJob and waits for it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException, BaseOperator, conf

from airflow_provider_kedro_vertex.core import identity, parameters
from airflow_provider_kedro_vertex.core.errors import (
    JobError,
    KedroVertexError,
    QuotaExceededError,
    UnavailableError,
)
from airflow_provider_kedro_vertex.core.outcome import summary
from airflow_provider_kedro_vertex.core.pipeline_spec import pipeline_job
from airflow_provider_kedro_vertex.core.plan import Plan, build_plan
from airflow_provider_kedro_vertex.core.submission import TRY_LABEL, Attempts
from airflow_provider_kedro_vertex.links import VertexJobLink
from airflow_provider_kedro_vertex.source import ManifestSource
from airflow_provider_kedro_vertex.triggers import KedroVertexPipelineTrigger
from airflow_provider_kedro_vertex.waiting import JobWatch

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_kedro_vertex.hooks import KedroVertexHook


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
        pipeline: str = "__default__",
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
        self._watch: JobWatch | None = None

    def execute(self, context: Context) -> dict[str, Any] | None:
        """Submit, then wait here, in the triggerer, or not at all."""
        try:
            hook = self._hook()
            job = self._submit(hook, context)
            url = hook.job_url(job["name"])
            VertexJobLink.persist(context, url)
            self.log.info("See %s", url)
            if not self.wait_for_completion:
                return summary(job, url)
            self._watch = JobWatch(hook, job["name"], self.log)
            ended = self._watch.ended()
            if ended is None and self.deferrable:
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
        if "error" in event:
            raise AirflowException(event["error"])
        try:
            self._watch = JobWatch(self._hook(), event["name"], self.log)
            return self._watch.result(self._watch.read())
        except KedroVertexError as error:
            raise _airflow_error(error) from None

    def on_kill(self) -> None:
        """Cancel the job of this task."""
        if self._watch is not None:
            self._watch.cancel()

    def _submit(self, hook: KedroVertexHook, context: Context) -> dict[str, Any]:
        """Make sure that there is one job for this try: adopt the one there is, or create it."""
        plan = self._plan()
        client = hook.client(self.project_id or plan.config.project_id, self.region or plan.config.region)
        ti = context["ti"]
        attempts = Attempts(
            run_key=identity.run_key(ti.dag_id, ti.run_id),
            task_id=ti.task_id,
            map_index=ti.map_index if ti.map_index is not None else -1,
            try_number=ti.try_number,
            # Clearing a task raises max_tries to the tries made so far plus its retries.
            first_try=ti.max_tries - (self.retries or 0) + 1,
        )
        runtime_params = parameters.to_json(parameters.nested(self._runtime_params(context)))

        def body(job_id: str) -> dict[str, Any]:
            run = self._run_context(context, plan, attempts.run_key, job_id)
            title = f"{plan.config.experiment_name or plan.project} {plan.pipeline} {ti.run_id}"
            return pipeline_job(plan, run, runtime_params, title, self._labels(context, plan))

        job, created = attempts.submit(client, body)
        verb = "Submitted" if created else "Adopted"
        self.log.info(
            "%s Vertex AI job %s: pipeline %s of %s, %d node groups.",
            verb,
            job["name"],
            plan.pipeline,
            plan.project,
            len(plan.groups),
        )
        return job

    def _plan(self) -> Plan:
        source = ManifestSource(self.manifest, self.project, self.python, self.kedro_env)
        manifest = source.read(Path(self.dag.fileloc).parent)
        config = manifest.config.overridden(self.run_config or {})
        return build_plan(manifest, self.pipeline, config)

    def _runtime_params(self, context: Context) -> dict[str, Any]:
        """The task's params, templates rendered; a value from ``dag_run.conf`` is data and never a template."""
        given = context["dag_run"].conf or {}
        values = dict(context["params"])
        templates = {name: value for name, value in values.items() if name not in given}
        return {**values, **self.render_template(templates, context)}

    def _run_context(self, context: Context, plan: Plan, run_key: str, job_id: str) -> identity.RunContext:
        # A manual run of Airflow 3 may have no logical date, and then no data interval either.
        moment = context.get("logical_date") or context["dag_run"].run_after
        return identity.RunContext(
            run_key=run_key,
            dag_id=context["ti"].dag_id,
            run_id=context["ti"].run_id,
            logical_date=_iso(context.get("logical_date")),
            data_interval_start=_iso(context.get("data_interval_start")),
            data_interval_end=_iso(context.get("data_interval_end")),
            root=plan.root,
            save_version=identity.save_version(run_key, moment),
            job_id=job_id,
        )

    def _labels(self, context: Context, plan: Plan) -> dict[str, str]:
        ti = context["ti"]
        return identity.labels(
            {
                "airflow-dag-id": ti.dag_id,
                "airflow-run-id": ti.run_id,
                "airflow-task-id": ti.task_id,
                "airflow-run-key": identity.run_key(ti.dag_id, ti.run_id),
                TRY_LABEL: str(ti.try_number),
                "kedro-project": plan.project,
                "kedro-pipeline": plan.pipeline,
                **({"kedro-env": plan.env} if plan.env else {}),
                **({"experiment": plan.config.experiment_name} if plan.config.experiment_name else {}),
            }
        )

    def _hook(self) -> KedroVertexHook:
        from airflow_provider_kedro_vertex.hooks import KedroVertexHook

        return KedroVertexHook(gcp_conn_id=self.gcp_conn_id, impersonation_chain=self.impersonation_chain)


def _airflow_error(error: KedroVertexError) -> AirflowException:
    """Retry what may go better next time: a failed job gets a new attempt; a wrong setting stays wrong."""
    if isinstance(error, JobError | UnavailableError | QuotaExceededError):
        return AirflowException(str(error))
    return AirflowFailException(str(error))


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None
