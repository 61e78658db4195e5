"""``kedro vertex replay``."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from airflow_provider_kedro_vertex.core.errors import ConfigError
from airflow_provider_kedro_vertex.project.cli import runs
from airflow_provider_kedro_vertex.project.cli.output import report_errors, warn
from airflow_provider_kedro_vertex.project.cli.watching import INTERRUPTED

if TYPE_CHECKING:
    from airflow_provider_kedro_vertex.core.jobs.containers import Container
    from airflow_provider_kedro_vertex.core.jobs.run_status import GroupStatus
    from airflow_provider_kedro_vertex.project.cli.runs import FoundRun


@click.command(name="replay")
@runs.argument
@click.option("--node", help="The node; by default the one that has failed.")
@click.option("--pdb", "debugger", flag_value="pdb", help="Open Python's debugger where the node fails.")
@click.option("--container", "in_container", is_flag=True, help="Run it in the run's image, by docker or podman.")
@click.pass_context
def command(
    context: click.Context, /, run: str, node: str | None, debugger: str | None, in_container: bool, **where: Any
) -> None:
    """Run a node of a run once more, here, and save nothing.

    The node gets what it got in the run: its inputs, parameters, configuration environment, variables, run key and
    versions. Its code and configuration files are those of this folder, or, with --container, those of the run's
    image. Of a container with several nodes those run first that it takes data from. What the node itself writes, it
    writes again.

    RUN is a job's id, resource name or page, or DAG_ID/RUN_ID of an Airflow run or its page. The exit code is the one
    that the container would have: 0 where the node succeeds.
    """
    from airflow_provider_kedro_vertex.core.jobs import replay
    from airflow_provider_kedro_vertex.core.jobs.run_status import group_statuses

    with report_errors():
        project = context.obj.project_path
        found = runs.find(project, run, **where)
        groups = group_statuses(found.jobs)
        group = _chosen(groups, node)
        if group.container is None:
            raise ConfigError(f"{group.job['name']} was not made by this package, so its nodes are not known.")
        last = _last_node(found, group, group.container, node)
        if not in_container:
            _warn_of_another_commit(project, group)
        arguments = replay.arguments(group.container, last, replay.final_status(group, groups), debugger)
    what = last or f"the nodes of {group.name}"
    click.echo(f"Replaying {what} of {group.job['name']}; nothing is saved.", err=True)
    try:
        with report_errors():
            code = (
                _run_container(group.container, arguments, terminal=debugger is not None)
                if in_container
                else _run_here(project, arguments, replay.variables(group.container))
            )
    except KeyboardInterrupt:
        context.exit(INTERRUPTED)
    if code == 0:
        click.echo(f"{what} succeeded.", err=True)
    context.exit(code)


def _run_here(project: Path, arguments: list[str], variables: dict[str, str]) -> int:
    # The run's command says which configuration environment it had; without a word it had the project's default.
    own = {name: value for name, value in os.environ.items() if name != "KEDRO_ENV"}
    env = {**_without_credentials(), **own, **variables}
    return subprocess.run([sys.executable, *arguments], cwd=project, env=env, check=False).returncode


def _run_container(container: Container, arguments: list[str], terminal: bool) -> int:
    """Run the run's image, with Google's default credentials of this machine where there are some in a file.

    :raises ConfigError: neither docker nor podman works.
    """
    from airflow_provider_kedro_vertex.project.cli.connection import storage_endpoint
    from airflow_provider_kedro_vertex.project.image.docker import find_docker

    docker = find_docker("No image can be run here")
    anonymous = _without_credentials()
    env, mounts = {**anonymous, **container.env}, {}
    if anonymous:
        env["STORAGE_EMULATOR_HOST"] = str(storage_endpoint())
    with tempfile.TemporaryDirectory() as folder:  # which nobody else may look into
        credentials = None if anonymous else _credentials_file()
        if credentials is not None:
            # The image's user is another one than the file's owner.
            copy, place = Path(folder) / "credentials.json", "/var/run/google/credentials.json"
            shutil.copyfile(credentials, copy)
            copy.chmod(0o644)
            mounts[copy], env["GOOGLE_APPLICATION_CREDENTIALS"] = place, place
        command = ["python", *arguments]
        return docker.run(container.image, command, env, mounts, on_this_network=bool(anonymous), terminal=terminal)


def _credentials_file() -> Path | None:
    """The file with Google's default credentials: the one that is named, or that gcloud has written; None without."""
    named = os.environ.get("GOOGLE_APPLICATION_CREDENTIALS")
    gcloud = Path(os.environ.get("CLOUDSDK_CONFIG") or Path.home() / ".config" / "gcloud")
    file = Path(named) if named else gcloud / "application_default_credentials.json"
    return file if file.is_file() else None


def _chosen(groups: list[GroupStatus], node: str | None) -> GroupStatus:
    """The node group to replay.

    :raises ConfigError: there is none of this name; or no name is given, several would do, and none has failed.
    """
    from airflow_provider_kedro_vertex.core.checks.findings import some
    from airflow_provider_kedro_vertex.core.jobs.run_status import choose

    if node is not None:
        return choose(groups, node)
    candidates = [group for group in groups if group.failed] or groups
    if len(candidates) > 1 and not candidates[0].failed:
        raise ConfigError(
            "No node of the run has failed.",
            f"Name one with --node: {some([name for group in groups for name in group.nodes or [group.name]])}.",
        )
    if not candidates:
        raise ConfigError("The run has no nodes (yet).")
    return candidates[0]


def _last_node(found: FoundRun, group: GroupStatus, container: Container, node: str | None) -> str | None:
    """The node to end with: the one that was asked for, or that failed; None for all of the container's nodes."""
    from airflow_provider_kedro_vertex.core.jobs.failure import container_error
    from airflow_provider_kedro_vertex.vertex.job_logs import last_lines

    if node in container.nodes:
        return node
    if len(container.nodes) == 1:
        return container.nodes[0]
    told = container_error(last_lines(found.client, group.task)) if group.task and group.failed else None
    return told["node"] if told and told["node"] in container.nodes else None


def _warn_of_another_commit(project: Path, group: GroupStatus) -> None:
    from airflow_provider_kedro_vertex.core.jobs.origin import COMMIT_LABEL
    from airflow_provider_kedro_vertex.core.text import label_value
    from airflow_provider_kedro_vertex.project.image.commit import head_commit

    of_the_run = group.job.get("labels", {}).get(COMMIT_LABEL, "")
    here = label_value(head_commit(project) or "")
    if of_the_run and here and not here.startswith(of_the_run) and not of_the_run.startswith(here):
        warn(f"The run was of commit {of_the_run}, and this folder is at {here[:12]}.")


def _without_credentials() -> dict[str, str]:
    """The variables of the containers of an emulator, where one is used: they have no credentials.

    The last one keeps gcsfs from a question that a storage emulator cannot answer.
    """
    from airflow_provider_kedro_vertex.project.cli.connection import is_on_this_machine, storage_endpoint

    if not is_on_this_machine(storage_endpoint()):
        return {}
    return {"FSSPEC_GS_TOKEN": "anon", "GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT": "false"}
