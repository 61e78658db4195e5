"""Submitting: from what the operator was given to exactly one PipelineJob. Imported when a task runs, not at parse."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_kedro_vertex.core import identity, parameters
from airflow_provider_kedro_vertex.core.manifest import DEFAULT_PIPELINE
from airflow_provider_kedro_vertex.core.pipeline_spec import pipeline_job
from airflow_provider_kedro_vertex.core.plan import Plan, build_plan
from airflow_provider_kedro_vertex.core.submission import Attempts
from airflow_provider_kedro_vertex.source import ManifestSource

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_kedro_vertex.hooks import KedroVertexHook
    from airflow_provider_kedro_vertex.operators import KedroVertexPipelineOperator
    from airflow_provider_kedro_vertex.vertex.client import VertexClient


def submit(operator: KedroVertexPipelineOperator, hook: KedroVertexHook, context: Context) -> dict[str, Any]:
    """Make sure that there is one job for this try: adopt the one there is, or create it.

    :return: the job, as Vertex AI tells it.
    :raises KedroVertexError: the manifest, a setting or a parameter is wrong, or Vertex AI refuses the job.
    """
    plan = _plan(operator)
    client = hook.client(operator.project_id or plan.config.project_id, operator.region or plan.config.region)
    runtime_params = parameters.to_json(parameters.nested(_runtime_params(operator, context)))
    ti = context["ti"]
    attempts = Attempts(
        run_key=identity.run_key(ti.dag_id, ti.run_id),
        task_id=ti.task_id,
        map_index=-1 if ti.map_index is None else ti.map_index,
        try_number=ti.try_number,
        # Clearing a task sets max_tries to the tries made so far plus its retries, in Airflow 2 and 3.
        first_try=ti.max_tries - (operator.retries or 0) + 1,
        run_start=identity.label_value(_iso(context["dag_run"].start_date) or ""),
    )
    # The project's default pipeline needs no name beside the project's.
    names = (
        plan.config.experiment_name or plan.project,
        plan.pipeline if plan.pipeline != DEFAULT_PIPELINE else "",
        ti.run_id,
    )
    title = " ".join(filter(None, names))
    labels = {**_labels(ti, plan, attempts.run_key), **attempts.labels}

    def body(job_id: str) -> dict[str, Any]:
        run_context = _run_context(context, plan, client, attempts.run_key, job_id)
        return pipeline_job(plan, run_context, runtime_params, title, labels)

    job, created = attempts.submit(client, body)
    operator.log.info(
        "%s Vertex AI job %s: pipeline %s of %s, %d node groups.",
        "Submitted" if created else "Adopted",
        job["name"],
        plan.pipeline,
        plan.project,
        len(plan.groups),
    )
    return job


def _plan(operator: KedroVertexPipelineOperator) -> Plan:
    source = ManifestSource(operator.manifest, operator.project, operator.python, operator.kedro_env)
    manifest = source.read(Path(operator.dag.fileloc).parent)
    return build_plan(manifest, operator.pipeline, manifest.config.overridden(operator.run_config or {}))


def _runtime_params(operator: KedroVertexPipelineOperator, context: Context) -> dict[str, Any]:
    """The task's params, templates rendered; a value from ``dag_run.conf`` is data and never a template."""
    given = context["dag_run"].conf or {}
    values = dict(context["params"])
    templates = {name: value for name, value in values.items() if name not in given}
    return {**values, **operator.render_template(templates, context)}


def _run_context(context: Context, plan: Plan, client: VertexClient, run_key: str, job_id: str) -> identity.RunContext:
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
        project_id=client.project_id,
        region=client.region,
    )


def _labels(ti: Any, plan: Plan, run_key: str) -> Mapping[str, str]:
    values = {
        "airflow-dag-id": ti.dag_id,
        "airflow-run-id": ti.run_id,
        "airflow-task-id": ti.task_id,
        "airflow-run-key": run_key,
        "kedro-project": plan.project,
        "kedro-pipeline": plan.pipeline,
        "kedro-env": plan.env,
        "experiment": plan.config.experiment_name,
    }
    return {key: identity.label_value(value) for key, value in values.items() if value}


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None
