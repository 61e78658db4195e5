"""``kedro vertex doctor``."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING

import click

from airflow_provider_kedro_vertex.core.errors import ConfigError
from airflow_provider_kedro_vertex.core.text import counted
from airflow_provider_kedro_vertex.project.cli import options
from airflow_provider_kedro_vertex.project.cli.connection import (
    find_credentials,
    project_of,
    service_address,
    service_endpoint,
    storage_endpoint,
)
from airflow_provider_kedro_vertex.project.cli.output import read_project, report_errors

if TYPE_CHECKING:
    from airflow_provider_kedro_vertex.core.settings.run_config import RunConfig
    from airflow_provider_kedro_vertex.project.doctor import Answer, Doctor

#: Seconds after which a question is given up.
DEADLINE = 10.0

_COLORS = {"ok": "green", "warning": "yellow", "wrong": "red", "unknown": "magenta"}


@click.command(name="doctor")
@options.image
@options.project_id
@options.env
@click.pass_context
def command(context: click.Context, image: str | None, project_id: str | None, env: str | None) -> None:
    """Ask Google Cloud whether jobs of this project would run, and tell what to do where they would not.

    With your own credentials: whether the APIs are enabled, the bucket and the image are there, you may act as the
    nodes' service account, and the quotas are enough. Exit code 0: nothing is wrong; 1: something is, or could not be
    asked.
    """
    with report_errors():
        read = read_project(context.obj.project_path, env)
        config = read.config.overridden({"image": image, "project_id": project_id})
        levels = []
        for answer in _doctor(config).examine(dataclasses.replace(read, config=config)):
            click.echo(_line(answer))
            levels.append(answer.level)
    wrong, unknown = levels.count("wrong"), levels.count("unknown")
    click.echo(
        f"{counted(len(levels), 'question')}: {wrong} wrong, {unknown} without an answer.", err=bool(wrong or unknown)
    )
    context.exit(1 if wrong or unknown else 0)


def _line(answer: Answer) -> str:
    level = click.style(f"{answer.level:7}", fg=_COLORS[answer.level], bold=True)
    return f"{level} {answer.subject}: {answer.message}{answer.command and f'. To mend it: {answer.command}'}"


def _doctor(config: RunConfig) -> Doctor:
    given = _given_endpoints()
    # Emulators alone get no credentials; one of several services elsewhere does not make the others anonymous.
    credentials, default = find_credentials(list(given.values()) if len(given) == len(_names()) else [])
    from airflow_provider_kedro_vertex.project.doctor import Doctor
    from airflow_provider_kedro_vertex.vertex.client import refuse_plain_text
    from airflow_provider_kedro_vertex.vertex.rest import RestSession

    refuse_plain_text(given.values())
    if not config.region:
        raise ConfigError("No region is set.", "Set it in conf/base/vertexai.yml.")
    endpoints = {name: given.get(name) or service_address(name, credentials) for name in _names()}
    session = RestSession(credentials, DEADLINE)
    return Doctor(session, endpoints, project_of(config, default), config.region)


def _names() -> tuple[str, ...]:
    from airflow_provider_kedro_vertex.project.doctor import SERVICES

    return SERVICES


def _given_endpoints() -> Mapping[str, str]:
    storage = storage_endpoint()
    given = {name: service_endpoint(name) for name in _names()} | ({"storage": storage} if storage else {})
    return {name: address for name, address in given.items() if address}
