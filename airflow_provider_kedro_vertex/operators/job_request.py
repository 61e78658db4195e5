"""From an operator and Airflow's context to the job that the task asks for, as plain values.

Imported when a task runs, not at parse. One submit reads the manifest once and compiles once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from airflow_provider_kedro_vertex.compat import Context
from airflow_provider_kedro_vertex.core.checks.check import check
from airflow_provider_kedro_vertex.core.checks.container import Mode
from airflow_provider_kedro_vertex.core.checks.findings import refuse
from airflow_provider_kedro_vertex.core.errors import ConfigError, PlanError, did_you_mean
from airflow_provider_kedro_vertex.core.jobs import identity, parameters
from airflow_provider_kedro_vertex.core.jobs.attempts import TaskTry
from airflow_provider_kedro_vertex.core.jobs.pipeline_spec import pipeline_spec
from airflow_provider_kedro_vertex.core.jobs.request import JobRequest
from airflow_provider_kedro_vertex.core.plan.group_settings import required
from airflow_provider_kedro_vertex.core.plan.plan import EXIT_TASK_ID, NodeGroup, Plan, build_plan
from airflow_provider_kedro_vertex.core.project.manifest import DEFAULT_PIPELINE, Manifest
from airflow_provider_kedro_vertex.core.project.parameters import known_parameters
from airflow_provider_kedro_vertex.core.project.selection import registered
from airflow_provider_kedro_vertex.core.settings.filters import Selection, split
from airflow_provider_kedro_vertex.core.settings.readers import boolean
from airflow_provider_kedro_vertex.core.settings.run_config import Lineage, RunConfig
from airflow_provider_kedro_vertex.core.settings.sections import read_at
from airflow_provider_kedro_vertex.operators.base import VertexJobOperator
from airflow_provider_kedro_vertex.operators.data_scope import data_scope, title_among_others
from airflow_provider_kedro_vertex.task import run
from airflow_provider_kedro_vertex.task.job_monitor import Log
from airflow_provider_kedro_vertex.task.lineage import TaskNodes
from airflow_provider_kedro_vertex.task.manifest_source import TASK_AGE, ManifestSource
from airflow_provider_kedro_vertex.task.submission import Submission
from airflow_provider_kedro_vertex.vertex.client import VertexClient
from airflow_provider_kedro_vertex.vertex.run_manifests import manifest_of_run
from airflow_provider_kedro_vertex.vertex.submission import params_argument


def pipeline_job(
    operator: VertexJobOperator,
    context: Context,
    exit_handler: bool,
    force_full_run: bool | str,
    asked_by: Mapping[str, str] | None = None,
) -> Submission:
    """Describe the PipelineJob of an operator's pipeline.

    :param exit_handler: run the exit pipeline as the last task of the job.
    :param force_full_run: run all of it, also after attempts that did a part.
    :param asked_by: the label of another task's try that asks for the job; see :func:`.run.asked_by_label`.
    :raises KedroVertexError: the manifest, a setting or a parameter is wrong.
    """
    source = _source(operator, context)
    plan = _plan(operator, source)
    if not exit_handler:
        plan = replace(plan, exit_group=None)
    spec = pipeline_spec(plan)
    _check(source.manifest, plan, "pipeline_job", operator.log, spec)
    task = task_try(operator, context, plan.config)
    if asked_by:
        task = task.for_another_task()
    values = run.runtime_params(operator, context, operator.runtime_params, known_parameters(source.manifest))
    title = operator.display_name or _title(operator, context, plan)
    made = _submission(operator, context, connect(operator, plan.config), source, plan, task, values, title)
    full_run = read_at(parameters.FORCE_FULL_RUN, boolean, force_full_run)
    return replace(made, request=replace(made.request, spec=spec, full_run=full_run, asked_by=asked_by or {}))


def custom_job(
    operator: VertexJobOperator,
    context: Context,
    group_name: str,
    more_params: Callable[[VertexClient], Mapping[str, Any]] | None = None,
) -> Submission:
    """Describe the CustomJob of one node group of an operator's pipeline.

    :param group_name: the group, by its name, its task id on Vertex AI, or one of its nodes.
    :param more_params: makes runtime parameters over the operator's own.
    :raises KedroVertexError: the manifest, a setting or a parameter is wrong, or there is no such group.
    """
    source = _source(operator, context)
    plan = _plan(operator, source)
    _check(source.manifest, plan, "custom_job", operator.log)
    group = _find_group(plan, group_name)
    task = task_try(operator, context, plan.config)
    client = connect(operator, plan.config)
    values = run.runtime_params(operator, context, operator.runtime_params, known_parameters(source.manifest))
    if more_params is not None:
        values |= more_params(client)
    title = operator.display_name or f"{_title(operator, context, plan)} {group.name}"
    made = _submission(operator, context, client, source, plan, task, values, title)
    limit = operator.execution_timeout.total_seconds() if operator.execution_timeout else None
    return replace(made, request=replace(made.request, group=group, timeout_seconds=limit))


def task_nodes(operator: VertexJobOperator, context: Context, group_name: str | None, exit_handler: bool) -> TaskNodes:
    """Find the Kedro nodes of an operator's job, or of one of its node groups.

    :param operator: with its templates rendered.
    :param exit_handler: the exit pipeline is the last task of the job.
    :raises KedroVertexError: the manifest or a setting is wrong, or there is no such group.
    """
    source = _source(operator, context)
    manifest, plan = source.manifest, _plan(operator, source)
    groups = (*plan.groups, *([plan.exit_group] if plan.exit_group and exit_handler else []))
    if group_name is not None:
        groups = (_find_group(plan, group_name),)
    at_exit = plan.config.on_exit_pipeline if plan.exit_group in groups else None
    pipelines = [at_exit] if at_exit and len(groups) == 1 else [plan.pipeline, *filter(None, [at_exit])]
    # The pipeline that runs last has names of its own for its nodes, which may be names of the other's too.
    known = [{node.name: node for node in registered(manifest, name).nodes} for name in pipelines]
    return TaskNodes(
        manifest=manifest,
        pipeline=pipelines[0],
        nodes=tuple(known[-1 if group == plan.exit_group else 0][name] for group in groups for name in group.nodes),
        params=_fixed_params(operator),
        lineage=plan.config.lineage or Lineage(),
    )


def asked_groups(operator: VertexJobOperator, context: Context) -> dict[str, tuple[str, ...]]:
    """Find the node groups that an operator's ``only_nodes`` leaves to run, with their nodes.

    :param operator: with its templates rendered.
    :return: task id on Vertex AI to the names of nodes.
    :raises KedroVertexError: there is no node or tag of such a name, or the manifest or a setting is wrong.
    """
    return {group.task_id: group.nodes for group in _plan(operator, _source(operator, context)).groups}


def task_id_of_group(operator: VertexJobOperator, context: Context, group_name: str) -> str:
    """Find the task id on Vertex AI of a node group, whether ``only_nodes`` leaves it to run or not.

    :param group_name: the group, by its name, its task id on Vertex AI, or one of its nodes.
    :raises KedroVertexError: there is no such group, or the manifest or a setting is wrong.
    """
    return _find_group(_plan(operator, _source(operator, context), whole=True), group_name).task_id


def _fixed_params(operator: VertexJobOperator) -> Mapping[str, Any]:
    """The runtime parameters that each run of a task has: the factory's, or those that its author declares."""
    if operator.fixed_params is not None:
        return operator.fixed_params
    return {**dict(operator.dag.params), **dict(operator.params)}


def task_try(operator: VertexJobOperator, context: Context, config: RunConfig) -> TaskTry:
    """Describe the try of an operator's task instance: the one that runs, or another one of its DAG run.

    :param operator: with its templates rendered.
    :raises ConfigError: its ``data_scope`` is empty.
    """
    return run.task_try(operator, context, data_scope(operator, context), config.job_id_prefix)


def read_manifest(operator: VertexJobOperator) -> Manifest:
    """Read the operator's manifest.

    :raises KedroVertexError: it is missing or damaged, or the project cannot be inspected.
    """
    source = ManifestSource(operator.manifest, operator.project, operator.python, operator.kedro_env)
    return source.read(Path(operator.dag.fileloc).parent, TASK_AGE)


def read_config(operator: VertexJobOperator) -> RunConfig:
    """Read the settings of the operator's jobs.

    :raises KedroVertexError: the manifest or a setting is wrong.
    """
    return _config_of(operator, read_manifest(operator))


def connect(operator: VertexJobOperator, config: RunConfig) -> VertexClient:
    """Reach the project and region that the operator's jobs run in.

    :raises ConfigError: no project or no region is known.
    """
    return operator.hook().client(operator.project_id or config.project_id, operator.region or config.region)


def _submission(
    operator: VertexJobOperator,
    context: Context,
    client: VertexClient,
    source: _Source,
    plan: Plan,
    task: TaskTry,
    values: Mapping[str, Any],
    title: str,
) -> Submission:
    folder = identity.temp_folder(plan.root, task.run_key)
    request = JobRequest(
        plan=plan,
        run=run.run(context, task, title_among_others(operator, context)),
        project_id=client.project_id,
        region=client.region,
        params=params_argument(client, folder, parameters.to_json(values)),
        display_name=title,
        caller=run.caller_labels(context),
        labels=operator.labels or {},
        overrides=operator.job_overrides or {},
        task=task,
        manifest=source.digest,
    )
    return Submission(client, request, task)


@dataclass(frozen=True)
class _Source:
    """What a job is made of.

    :param config: the settings of the run.
    :param digest: of the manifest; where the run is to be made anew, of the manifest with these settings.
    """

    manifest: Manifest
    config: RunConfig
    digest: str


def _source(operator: VertexJobOperator, context: Context) -> _Source:
    """Find what to make a job of: with ``same_spec`` the manifest and settings that the run's first job had."""
    source = _present(operator)
    if not operator.same_spec:
        return source
    config = source.config
    root = required(config.root, "root", "the Cloud Storage place where runs keep their data, gs://bucket/prefix")
    present = replace(source.manifest, config=config)
    run_key = task_try(operator, context, config).run_key
    found = manifest_of_run(connect(operator, config), root, run_key, present)
    if found is present:
        return replace(source, digest=present.digest)
    operator.log.info("This run began with the manifest %s, which is taken again.", found.digest)
    return _Source(found, found.config, found.digest)


def _present(operator: VertexJobOperator) -> _Source:
    manifest = read_manifest(operator)
    return _Source(manifest, _config_of(operator, manifest), manifest.digest)


def _config_of(operator: VertexJobOperator, manifest: Manifest) -> RunConfig:
    own = dict(operator.run_config or {})
    if own.get("image") == "":  # by a template, which can give no None
        del own["image"]
    return manifest.config.overridden(own)


def _plan(operator: VertexJobOperator, source: _Source, whole: bool = False) -> Plan:
    """Plan what an operator runs.

    :param whole: without regard to its ``only_nodes``.
    """
    selection = Selection.from_dict(operator.selection, "selection") if operator.selection else None
    given = () if whole else operator.only_nodes or ()
    only_nodes = split(given) if isinstance(given, str) else tuple(given)
    shares_data = operator.data_scope is not None
    return build_plan(source.manifest, operator.pipeline, source.config, selection, only_nodes, shares_data=shares_data)


def _check(manifest: Manifest, plan: Plan, mode: Mode, log: Log, spec: Mapping[str, Any] | None = None) -> None:
    """Find what would fail on Vertex AI before anything is paid for; warnings are logged.

    :raises ConfigError: the run would fail.
    """
    findings = check(manifest, plan, mode, spec)
    refuse(findings)
    for finding in findings:
        if finding.level == "warning":
            log.warning("%s", finding)


def _title(operator: VertexJobOperator, context: Context, plan: Plan) -> str:
    """A job's title: ``run_config.scheduled_run_name``, a template of Airflow's, or else what runs and when."""
    if plan.config.scheduled_run_name:
        return str(operator.render_template(plan.config.scheduled_run_name, context))
    # The project's default pipeline needs no name beside the project's.
    pipeline = plan.pipeline if plan.pipeline != DEFAULT_PIPELINE else ""
    return " ".join(filter(None, (plan.config.experiment_name or plan.project, pipeline, context["ti"].run_id)))


def _find_group(plan: Plan, name: str) -> NodeGroup:
    groups = (*plan.groups, *([plan.exit_group] if plan.exit_group else []))
    for group in groups:
        if name in (group.task_id, group.name):
            return group
    for group in plan.groups:
        if name in group.nodes:
            return group
    if name == EXIT_TASK_ID:
        raise ConfigError(
            f"No on_exit_pipeline is set for pipeline {plan.pipeline!r}, so there is no group {name!r}.",
            "Set run_config.on_exit_pipeline, or take the task out of the DAG.",
        )
    known = [known for group in groups for known in (group.name, *group.nodes)]
    raise PlanError(f"Pipeline {plan.pipeline!r} has no node group {name!r}.", did_you_mean(name, known))
