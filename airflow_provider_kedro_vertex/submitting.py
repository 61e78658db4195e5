"""Submitting: from what an operator was given to the job that it asks for. Imported when a task runs, not at parse."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from airflow_provider_kedro_vertex.core import identity, parameters, resume
from airflow_provider_kedro_vertex.core.checks import check
from airflow_provider_kedro_vertex.core.container_checks import Mode
from airflow_provider_kedro_vertex.core.custom_job import custom_job
from airflow_provider_kedro_vertex.core.errors import ConfigError, PlanError, did_you_mean
from airflow_provider_kedro_vertex.core.findings import refuse
from airflow_provider_kedro_vertex.core.manifest import DEFAULT_PIPELINE, Manifest
from airflow_provider_kedro_vertex.core.overrides import with_overrides
from airflow_provider_kedro_vertex.core.pipeline_spec import pipeline_job
from airflow_provider_kedro_vertex.core.plan import EXIT_TASK_ID, NodeGroup, Plan, build_plan
from airflow_provider_kedro_vertex.core.settings.filters import Selection
from airflow_provider_kedro_vertex.core.settings.readers import boolean
from airflow_provider_kedro_vertex.core.settings.run_config import RunConfig
from airflow_provider_kedro_vertex.core.settings.sections import read_at
from airflow_provider_kedro_vertex.core.submission import DAG_RUN_LABEL, RUN_LABEL, START_LABEL, Attempts
from airflow_provider_kedro_vertex.data_scope import data_scope, map_index, title_among_others
from airflow_provider_kedro_vertex.source import ManifestSource

if TYPE_CHECKING:
    from airflow_provider_kedro_vertex.hooks import KedroVertexHook
    from airflow_provider_kedro_vertex.job_operator import VertexJobOperator
    from airflow_provider_kedro_vertex.operators import KedroVertexCustomJobOperator, KedroVertexPipelineOperator
    from airflow_provider_kedro_vertex.task.compat import BaseOperator, Context
    from airflow_provider_kedro_vertex.vertex.client import Collection, VertexClient
    from airflow_provider_kedro_vertex.vertex.submission import Body
    from airflow_provider_kedro_vertex.waiting import Log

Operator = TypeVar("Operator", bound="BaseOperator")

#: The label of a CustomJob that names its node group.
GROUP_LABEL = "kedro-group"


@dataclass(frozen=True)
class JobRequest:
    """A job that a task asks for.

    :param client: reaches the job's project and region.
    :param collection: the kind of job.
    :param attempts: names the task instance's jobs.
    :param body: makes the body of an attempt; its labels have those of ``attempts``.
    :param what: names the work in the task's log.
    :param mlflow_url: the page of the project's MLflow server; None if it has none.
    """

    client: VertexClient
    collection: Collection
    attempts: Attempts
    body: Body
    what: str
    mlflow_url: str | None = None


def attempts_of(operator: VertexJobOperator, context: Context, config: RunConfig) -> Attempts:
    """Name the attempts of an operator's task instance: the one that runs, or another one of its DAG run.

    :param operator: with its templates rendered.
    :raises ConfigError: its ``data_scope`` is empty.
    """
    ti = context["ti"]
    return Attempts(
        dag_run_key=identity.run_key(ti.dag_id, ti.run_id),
        run_key=identity.run_key(ti.dag_id, ti.run_id, data_scope(operator, context)),
        task_id=operator.task_id,
        map_index=map_index(context),
        try_number=ti.try_number,
        # Clearing a task sets max_tries to the tries made so far plus its retries, in Airflow 2 and 3.
        first_try=ti.max_tries - (operator.retries or 0) + 1,
        run_start=identity.label_value(_iso(context["dag_run"].start_date) or ""),
        prefix=config.job_id_prefix or "",
    )


def not_its_own(attempts: Attempts) -> Attempts:
    """The same task instance's attempts, made by another task: none of its own tries takes such a job for its own.

    That other task's tries say nothing of the task instance's, so no attempt is taken for one of a deleted run.
    """
    return replace(attempts, try_number=0, first_try=0)


def label_of_try(context: Context) -> dict[str, str]:
    """A label that names the try which runs, for a job that another task's attempts count as theirs."""
    ti = context["ti"]
    return {"kedro-asked-by": identity.digest(ti.task_id, str(ti.map_index), str(ti.try_number))[:32]}


def rendered(operator: Operator, context: Context) -> Operator:
    """Another task of the same DAG run with its templates rendered."""
    operator = operator.prepare_for_execution()
    operator.render_template_fields(context)
    return operator


def runtime_params(operator: VertexJobOperator, context: Context) -> dict[str, Any]:
    """The operator's params, templates rendered, and its ``runtime_params`` over them.

    A value from ``dag_run.conf`` is data and never a template.

    :raises ConfigError: two names contradict each other, or ``runtime_params`` is no mapping.
    """
    given = context["dag_run"].conf or {}
    values = dict(context["params"])
    # Those of the task that runs, which is not always the operator's own.
    values |= {name: value for name, value in dict(operator.params).items() if name not in given}
    values.pop(parameters.FORCE_FULL_RUN, None)
    templates = {name: value for name, value in values.items() if name not in given}
    base = parameters.nested({**values, **operator.render_template(templates, context)})
    own = operator.runtime_params
    if own is None:
        return base
    if not isinstance(own, Mapping):
        raise ConfigError(
            f"Task {operator.task_id!r}: runtime_params must be a dict of names and values, not {own!r}. When they are "
            "mapped, each item of the list is such a dict."
        )
    return parameters.laid_over(base, parameters.nested(own))


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
    """Runtime parameters as an argument; see :func:`.vertex.submission.params_argument`.

    :raises ConfigError: a value cannot be passed, or all of them are too long.
    :raises VertexApiError: the object cannot be written.
    """
    from airflow_provider_kedro_vertex.vertex import submission

    return submission.params_argument(client, identity.temp_folder(plan.root, run_key), parameters.to_json(params))


def run_context(
    operator: VertexJobOperator, context: Context, plan: Plan, client: VertexClient, run_key: str, job_id: str
) -> identity.RunContext:
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
        data_scope=title_among_others(operator, context),
    )


def labels(context: Context, plan: Plan, given: Mapping[str, str], attempts: Attempts) -> dict[str, str]:
    """A job's labels: who made it, what the user gave, and over both those by which it is found again."""
    ti = context["ti"]
    values = {
        "airflow-dag-id": ti.dag_id,
        "airflow-run-id": ti.run_id,
        "airflow-task-id": ti.task_id,
        RUN_LABEL: attempts.run_key,
        DAG_RUN_LABEL: attempts.dag_run_key,
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


def manifest_of(operator: VertexJobOperator) -> Manifest:
    """Read the operator's manifest.

    :raises KedroVertexError: it is missing or damaged, or the project cannot be inspected.
    """
    source = ManifestSource(operator.manifest, operator.project, operator.python, operator.kedro_env)
    return source.read(Path(operator.dag.fileloc).parent)


def config_of(operator: VertexJobOperator) -> RunConfig:
    """The settings of the operator's jobs.

    :raises KedroVertexError: the manifest or a setting is wrong.
    """
    return manifest_of(operator).config.overridden(operator.run_config or {})


def plan_of(operator: VertexJobOperator, manifest: Manifest) -> Plan:
    """Plan the operator's pipeline, or its slice of it.

    :raises KedroVertexError: a setting or a name of the slice is wrong.
    """
    config = manifest.config.overridden(operator.run_config or {})
    selection = Selection.from_dict(operator.selection, "selection") if operator.selection else None
    return build_plan(manifest, operator.pipeline, config, selection, shares_data=operator.data_scope is not None)


def client_of(operator: VertexJobOperator, hook: KedroVertexHook, config: RunConfig) -> VertexClient:
    """Reach the project and region that the operator's jobs run in.

    :raises ConfigError: no project or no region is known.
    """
    return hook.client(operator.project_id or config.project_id, operator.region or config.region)


def pipeline_job_request(
    operator: KedroVertexPipelineOperator,
    hook: KedroVertexHook,
    context: Context,
    asked_by: Mapping[str, str] | None = None,
) -> JobRequest:
    """Compile the operator's pipeline, or what earlier attempts left of it.

    :param asked_by: the label of another task's try that asks for the job; see :func:`label_of_try`.
    :raises KedroVertexError: the manifest, a setting or a parameter is wrong.
    """
    manifest = manifest_of(operator)
    plan = plan_of(operator, manifest)
    if not operator.exit_handler:
        plan = replace(plan, exit_group=None)
    checked(manifest, plan, "pipeline_job", operator.log)
    client = client_of(operator, hook, plan.config)
    attempts = attempts_of(operator, context, plan.config)
    if asked_by:
        attempts = not_its_own(attempts)
    params = params_argument(client, plan, attempts.run_key, runtime_params(operator, context))
    title = operator.display_name or title_of(operator, context, plan)
    own_labels = labels(context, plan, operator.labels or {}, attempts)
    from_start = read_at(parameters.FORCE_FULL_RUN, boolean, operator.force_full_run)

    def body(job_id: str, earlier: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
        told = run_context(operator, context, plan, client, attempts.run_key, job_id)
        left = None if from_start else _left(plan, earlier, attempts)
        resumes = {resume.RESUMES_LABEL: str(len(earlier))} if left else {}
        if left:
            operator.log.info("%d of %d node groups are left to run.", len(left.groups), len(plan.groups))
        made = pipeline_job(left or plan, told, params, title, own_labels)
        changed = with_overrides(made, operator.job_overrides or {}, "pipelineJobs")
        return {**changed, "labels": {**changed["labels"], **attempts.labels, **resumes, **(asked_by or {})}}

    return JobRequest(
        client=client,
        collection="pipelineJobs",
        attempts=attempts,
        body=body,
        what=f"pipeline {plan.pipeline} of {plan.project}, {len(plan.groups)} node groups",
        mlflow_url=mlflow_url(plan),
    )


def custom_job_request(operator: KedroVertexCustomJobOperator, hook: KedroVertexHook, context: Context) -> JobRequest:
    """Compile the operator's node group.

    :raises KedroVertexError: the manifest, a setting or a parameter is wrong, or there is no such group.
    """
    manifest = manifest_of(operator)
    plan = plan_of(operator, manifest)
    checked(manifest, plan, "custom_job", operator.log)
    group = _group(plan, operator.group)
    client = client_of(operator, hook, plan.config)
    attempts = attempts_of(operator, context, plan.config)
    values = runtime_params(operator, context)
    if group is plan.exit_group:
        from airflow_provider_kedro_vertex.exiting import run_outcome

        values["run_outcome"] = run_outcome(operator, client, context)
    params = params_argument(client, plan, attempts.run_key, values)
    title = operator.display_name or f"{title_of(operator, context, plan)} {group.name}"
    own_labels = {**labels(context, plan, operator.labels or {}, attempts), GROUP_LABEL: group.task_id[:63].strip("-")}
    limit = operator.execution_timeout.total_seconds() if operator.execution_timeout else None

    def body(job_id: str, earlier: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
        told = run_context(operator, context, plan, client, attempts.run_key, job_id)
        made = custom_job(plan, group, told, params, title, own_labels, limit)
        changed = with_overrides(made, operator.job_overrides or {}, "customJobs")
        return {**changed, "labels": {**changed["labels"], **attempts.labels}}

    return JobRequest(
        client=client,
        collection="customJobs",
        attempts=attempts,
        body=body,
        what=f"{group.name} of pipeline {plan.pipeline} of {plan.project}",
        mlflow_url=mlflow_url(plan),
    )


def _left(plan: Plan, earlier: Sequence[Mapping[str, Any]], attempts: Attempts) -> Plan | None:
    """What earlier attempts left to do; None for the whole plan."""
    if attempts.first_try == 1:
        # Never cleared, so jobs of another start are those of a DAG run that was deleted and made again.
        earlier = [job for job in earlier if job.get("labels", {}).get(START_LABEL) == attempts.run_start]
    known = {group.task_id for group in plan.groups}
    done = resume.done(earlier) & known
    if not done:
        return None
    # A job needs a task: when nothing is left, what failed came after the last ones (the exit handler, or a cancel).
    return plan.only((known - done) or known - {upstream for group in plan.groups for upstream in group.upstream})


def _group(plan: Plan, name: str) -> NodeGroup:
    groups = (*plan.groups, *([plan.exit_group] if plan.exit_group else []))
    for group in groups:
        if name in (group.task_id, group.name):
            return group
    for group in plan.groups:
        if name in group.nodes:
            return group
    if name == EXIT_TASK_ID:
        raise ConfigError(f"No on_exit_pipeline is set for pipeline {plan.pipeline!r}, so there is no group {name!r}.")
    known = [known for group in groups for known in (group.name, *group.nodes)]
    raise PlanError(f"Pipeline {plan.pipeline!r} has no node group {name!r}.{did_you_mean(name, known)}")


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None
