"""Submitting: from what an operator was given to the job that it asks for. Imported when a task runs, not at parse.

:func:`pipeline_job_request` makes the request of :class:`.operators.KedroVertexPipelineOperator`. What it shares with
other kinds of job are the functions before it: an operator's own request is made of the same parts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_kedro_vertex.core import identity, parameters
from airflow_provider_kedro_vertex.core.checks import Mode, check, refuse
from airflow_provider_kedro_vertex.core.manifest import DEFAULT_PIPELINE, Manifest
from airflow_provider_kedro_vertex.core.overrides import with_overrides
from airflow_provider_kedro_vertex.core.pipeline_spec import pipeline_job
from airflow_provider_kedro_vertex.core.plan import Plan, build_plan
from airflow_provider_kedro_vertex.core.submission import Attempts
from airflow_provider_kedro_vertex.source import ManifestSource

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import BaseOperator, Context

    from airflow_provider_kedro_vertex.hooks import KedroVertexHook
    from airflow_provider_kedro_vertex.operators import KedroVertexPipelineOperator
    from airflow_provider_kedro_vertex.vertex.client import Collection, VertexClient
    from airflow_provider_kedro_vertex.vertex.submission import Body
    from airflow_provider_kedro_vertex.waiting import Log


@dataclass(frozen=True)
class JobRequest:
    """A job that a task asks for.

    :param client: reaches the job's project and region.
    :param collection: the kind of job.
    :param attempts: names the task instance's jobs.
    :param body: makes the body from the id of an attempt; its labels have those of ``attempts``.
    :param what: names the work in the task's log.
    :param mlflow_url: the page of the project's MLflow server; None if it has none.
    """

    client: VertexClient
    collection: Collection
    attempts: Attempts
    body: Body
    what: str
    mlflow_url: str | None = None


def attempts_of(operator: BaseOperator, context: Context, plan: Plan) -> Attempts:
    """Name the attempts of the task instance that runs."""
    ti = context["ti"]
    return Attempts(
        run_key=identity.run_key(ti.dag_id, ti.run_id),
        task_id=ti.task_id,
        map_index=-1 if ti.map_index is None else ti.map_index,
        try_number=ti.try_number,
        # Clearing a task sets max_tries to the tries made so far plus its retries, in Airflow 2 and 3.
        first_try=ti.max_tries - (operator.retries or 0) + 1,
        run_start=identity.label_value(_iso(context["dag_run"].start_date) or ""),
        prefix=plan.config.job_id_prefix or "",
    )


def runtime_params(operator: BaseOperator, context: Context) -> dict[str, Any]:
    """The task's params, templates rendered; a value from ``dag_run.conf`` is data and never a template.

    :raises ConfigError: two names contradict each other.
    """
    given = context["dag_run"].conf or {}
    values = dict(context["params"])
    templates = {name: value for name, value in values.items() if name not in given}
    return parameters.nested({**values, **operator.render_template(templates, context)})


def checked(manifest: Manifest, plan: Plan, mode: Mode, log: Log) -> None:
    """Find what would fail on Vertex AI before anything is paid for; warnings are logged.

    :raises ConfigError: the run would fail.
    """
    findings = check(manifest, plan, mode)
    refuse(findings)
    for finding in findings:
        if finding.level == "warning":
            log.warning("%s", finding)


def params_argument(client: VertexClient, plan: Plan, run_key: str, params: Mapping[str, Any]) -> str:
    """What follows ``--params``: JSON text, or ``@gs://..`` of an object with it if it is too long for an argument.

    The object's name has the digest of its content, so that it may be written again and is checked when it is read.

    :raises ConfigError: a value cannot be passed, or all of them are too long.
    :raises VertexApiError: the object cannot be written.
    """
    text = parameters.to_json(params)
    if len(text) <= parameters.MAX_ARGUMENT_LENGTH:
        return text
    data = text.encode()
    digest = hashlib.sha256(data).hexdigest()
    url = f"{identity.temp_folder(plan.root, run_key)}/params-{digest}.json"
    client.write_object(url, data)
    return f"@{url}"


def run_context(context: Context, plan: Plan, client: VertexClient, run_key: str, job_id: str) -> identity.RunContext:
    """What the nodes are told of this run."""
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


def labels(context: Context, plan: Plan, given: Mapping[str, str], attempts: Attempts) -> dict[str, str]:
    """A job's labels: who made it, what the user gave, and over both those by which it is found again."""
    ti = context["ti"]
    values = {
        "airflow-dag-id": ti.dag_id,
        "airflow-run-id": ti.run_id,
        "airflow-task-id": ti.task_id,
        "airflow-run-key": attempts.run_key,
        "kedro-project": plan.project,
        "kedro-pipeline": plan.pipeline,
        "kedro-env": plan.env,
        "experiment": plan.config.experiment_name,
    }
    own = {key: identity.label_value(value) for key, value in values.items() if value}
    return {**own, **given, **attempts.labels}


def title_of(operator: BaseOperator, context: Context, plan: Plan) -> str:
    """A job's display name: ``run_config.scheduled_run_name``, a template of Airflow's, or else what runs and when."""
    if plan.config.scheduled_run_name:
        return str(operator.render_template(plan.config.scheduled_run_name, context))
    # The project's default pipeline needs no name beside the project's.
    pipeline = plan.pipeline if plan.pipeline != DEFAULT_PIPELINE else ""
    return " ".join(filter(None, (plan.config.experiment_name or plan.project, pipeline, context["ti"].run_id)))


def mlflow_url(plan: Plan) -> str | None:
    """The page of the project's MLflow server; None if it has none that a browser could open."""
    uri = plan.config.mlflow.tracking_uri if plan.config.mlflow else None
    return uri if uri and uri.startswith(("http://", "https://")) else None


def pipeline_job_request(operator: KedroVertexPipelineOperator, hook: KedroVertexHook, context: Context) -> JobRequest:
    """Compile the operator's pipeline.

    :raises KedroVertexError: the manifest, a setting or a parameter is wrong.
    """
    manifest = _manifest(operator)
    plan = build_plan(manifest, operator.pipeline, manifest.config.overridden(operator.run_config or {}))
    checked(manifest, plan, "pipeline_job", operator.log)
    client = hook.client(operator.project_id or plan.config.project_id, operator.region or plan.config.region)
    attempts = attempts_of(operator, context, plan)
    params = params_argument(client, plan, attempts.run_key, runtime_params(operator, context))
    title = operator.display_name or title_of(operator, context, plan)
    own_labels = labels(context, plan, operator.labels or {}, attempts)

    def body(job_id: str) -> Mapping[str, Any]:
        told = run_context(context, plan, client, attempts.run_key, job_id)
        made = pipeline_job(plan, told, params, title, own_labels)
        changed = with_overrides(made, operator.job_overrides or {}, "pipelineJobs")
        return {**changed, "labels": {**changed["labels"], **attempts.labels}}

    return JobRequest(
        client=client,
        collection="pipelineJobs",
        attempts=attempts,
        body=body,
        what=f"pipeline {plan.pipeline} of {plan.project}, {len(plan.groups)} node groups",
        mlflow_url=mlflow_url(plan),
    )


def _manifest(operator: KedroVertexPipelineOperator) -> Manifest:
    source = ManifestSource(operator.manifest, operator.project, operator.python, operator.kedro_env)
    return source.read(Path(operator.dag.fileloc).parent)


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None
