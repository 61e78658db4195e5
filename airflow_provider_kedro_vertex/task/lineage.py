"""Noting, while a task runs, what OpenLineage is told when it has ended.

Imported when a task runs, not at parse.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from airflow_provider_kedro_vertex.compat import Context, has_listeners
from airflow_provider_kedro_vertex.core.errors import VertexApiError
from airflow_provider_kedro_vertex.core.jobs import outcome
from airflow_provider_kedro_vertex.core.jobs.api import Job
from airflow_provider_kedro_vertex.core.jobs.saved import MARK, Saved, from_lines
from airflow_provider_kedro_vertex.core.jobs.states import DONE_STATES
from airflow_provider_kedro_vertex.core.jobs.written import cached_nodes
from airflow_provider_kedro_vertex.core.project.assets import asset_uris
from airflow_provider_kedro_vertex.core.project.lineage import Flow, flow
from airflow_provider_kedro_vertex.core.project.manifest import Manifest, Node
from airflow_provider_kedro_vertex.core.settings.run_config import Lineage
from airflow_provider_kedro_vertex.hooks.vertex_ai import KedroVertexHook
from airflow_provider_kedro_vertex.lineage.noted import Noted
from airflow_provider_kedro_vertex.task.job_monitor import Log
from airflow_provider_kedro_vertex.vertex.job_logs import marked_lines


@dataclass(frozen=True)
class TaskNodes:
    """The Kedro nodes that a task stands for.

    :param manifest: of their project.
    :param pipeline: Kedro's name of the pipeline; several have commas between them.
    :param params: the runtime parameters that each run has, by which places of datasets are told.
    :param lineage: what is set for OpenLineage.
    """

    manifest: Manifest
    pipeline: str
    nodes: tuple[Node, ...]
    params: Mapping[str, Any]
    lineage: Lineage


def note(
    context: Context,
    log: Log,
    hook: KedroVertexHook,
    job: Job,
    find_nodes: Callable[[], TaskNodes],
    containers: Sequence[outcome.Task],
    *,
    read: bool = True,
    wrote: bool,
) -> None:
    """Note what a job, or a part of it, read and wrote, if a plugin listens to what becomes of tasks.

    :param find_nodes: finds the nodes of the task; not called where nobody listens.
    :param containers: the node groups that the task stands for, as the job tells of them.
    :param read: the job has ended, so that it has read what it reads.
    :param wrote: the job has written the data, now and not before.
    """
    if not has_listeners():
        return
    try:
        noted = _noted(log, hook, job, find_nodes(), containers, read, wrote)
    except Exception as error:  # whichever it is, the job is what the task is about
        log.warning("OpenLineage is not told what %s read and wrote: %s", job["name"], error)
    else:
        vars(context["ti"].task)["noted"] = noted


def _noted(
    log: Log,
    hook: KedroVertexHook,
    job: Job,
    told: TaskNodes,
    containers: Sequence[outcome.Task],
    read: bool,
    wrote: bool,
) -> Noted:
    uris = asset_uris(told.manifest, told.params)
    cached = cached_nodes(job)
    moved = flow((node for node in told.nodes if node.name not in cached), uris)
    moved = Flow(moved.inputs if read else {}, moved.outputs if wrote else {})
    return Noted(
        job=job,
        containers=containers,
        url=hook.job_url(job["name"]),
        pipeline=told.pipeline,
        nodes=tuple(node.name for node in told.nodes),
        flow=moved,
        versioned={name for name, dataset in told.manifest.datasets.items() if dataset.versioned},
        saved=_saved(log, hook, job, containers) if wrote and told.lineage.report_data and moved.outputs else {},
        repository=told.lineage.repository,
    )


def _saved(log: Log, hook: KedroVertexHook, job: Job, containers: Sequence[outcome.Task]) -> dict[str, Saved]:
    try:
        client = hook.client_of(job["name"])
        return from_lines(marked_lines(client, [task for task in containers if task.state in DONE_STATES], MARK))
    except VertexApiError as error:
        log.warning("OpenLineage is not told the columns and rows that %s saved: %s", job["name"], error)
        return {}
