"""``kedro vertex status``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from airflow_provider_kedro_vertex.project.cli import options, runs
from airflow_provider_kedro_vertex.project.cli.output import report_errors
from airflow_provider_kedro_vertex.project.cli.watching import STATE_COLORS, exit_code

if TYPE_CHECKING:
    from airflow_provider_kedro_vertex.core.jobs.run_status import GroupStatus
    from airflow_provider_kedro_vertex.project.cli.runs import FoundRun


@click.command(name="status")
@runs.argument
@options.text_or_json
@click.pass_context
def command(context: click.Context, /, run: str, form: str, **where: Any) -> None:
    """Tell how a run stands: its node groups, their states and seconds, and the error of each that failed.

    RUN is a job's id, resource name or page, or DAG_ID/RUN_ID of an Airflow run or its page. The exit code tells how
    the run stands: 0 succeeded, 1 failed, 3 cancelled, 4 still running.
    """
    from airflow_provider_kedro_vertex.core.jobs.run_status import group_statuses, run_state

    with report_errors():
        found = runs.find(context.obj.project_path, run, **where)
        groups, state = group_statuses(found.jobs), run_state(found.jobs)
        errors = _errors(found, groups)
    if form == "json":
        click.echo(json.dumps(_to_dict(found, state, groups, errors), indent=1))
    else:
        click.echo(_to_text(found, state, groups, errors), nl=False)
    context.exit(exit_code(state))


def _errors(found: FoundRun, groups: list[GroupStatus]) -> dict[str, str]:
    """What went wrong, by group: the node's own error where its log tells it, else Vertex AI's message."""
    from airflow_provider_kedro_vertex.core.jobs.failure import container_error
    from airflow_provider_kedro_vertex.core.jobs.memory import explain_kill
    from airflow_provider_kedro_vertex.vertex.job_logs import MOST_LOGS, last_lines

    errors: dict[str, str] = {}
    for group in groups:
        if group.task is None or not group.failed:
            continue
        told = container_error(last_lines(found.client, group.task)) if len(errors) < MOST_LOGS else None
        of_node = f"Node {told['node']}: {told['error']}" if told and told["node"] else told and str(told["error"])
        errors[group.name] = of_node or explain_kill(group.job, group.task) or group.task.message
    return errors


def _to_dict(found: FoundRun, state: str, groups: list[GroupStatus], errors: dict[str, str]) -> dict[str, Any]:
    from airflow_provider_kedro_vertex.core.jobs.console import job_page
    from airflow_provider_kedro_vertex.core.jobs.states import short

    return {
        "state": state,
        "jobs": [
            {
                "name": job["name"],
                "state": short(job.get("state", "")),
                "created": job.get("createTime"),
                "ended": job.get("endTime"),
                "url": job_page(job["name"], found.console),
            }
            for job in found.jobs
        ],
        "groups": [
            {
                "group": group.name,
                "nodes": list(group.nodes),
                "state": group.state,
                "seconds": group.seconds,
                "job": group.job["name"],
                "error": errors.get(group.name),
            }
            for group in groups
        ],
    }


def _to_text(found: FoundRun, state: str, groups: list[GroupStatus], errors: dict[str, str]) -> str:
    from airflow_provider_kedro_vertex.core.jobs.console import job_page

    done = sum(group.done for group in groups)
    lines = [f"{_colored(state)}  {done} of {len(groups)} node groups succeeded"]
    width = max((len(group.name) for group in groups), default=0)
    widest = max((len(group.state) for group in groups), default=0)
    for group in groups:
        seconds = "" if group.seconds is None else f"{group.seconds:.1f} s"
        state_cell = _colored(group.state) + " " * (widest - len(group.state))
        lines.append(f"  {group.name:{width}}  {state_cell}  {seconds:>10}".rstrip())
        lines += [f"    {line}" for line in errors.get(group.name, "").splitlines()]
    lines += [f"See {job_page(job['name'], found.console)}" for job in found.jobs[-1:]]
    return "\n".join(lines) + "\n"


def _colored(state: str) -> str:
    return click.style(state, fg=STATE_COLORS.get(state))
