"""The ``kedro vertex`` commands.

Kedro imports this module for every one of its commands, so that each command here is a module of its own, imported
when it is called, and the work is imported inside the command.
"""

from __future__ import annotations

import importlib

import click

from airflow_provider_kedro_vertex.core.errors import did_you_mean
from airflow_provider_kedro_vertex.version import __version__

_HERE = "airflow_provider_kedro_vertex.project.cli"

#: Command to the module that has it, under the name ``command``.
_MODULES = {
    "build": "build",
    "check": "check",
    "compile": "compile",
    "costs": "costs",
    "deploy": "deploy",
    "diff": "diff",
    "doctor": "doctor",
    "explain": "explain",
    "import-schedules": "import_schedules",
    "init": "init",
    "list-pipelines": "list_pipelines",
    "logs": "logs",
    "manifest": "manifest",
    "plan": "plan",
    "push-data": "push_data",
    "replay": "replay",
    "run-once": "run_once",
    "schedule": "schedule",
    "status": "status",
    "tune": "tune",
    "ui": "ui",
    "upload-pipeline": "upload_pipeline",
}

#: Commands of kedro-vertexai and kedro-kubeflow that nothing needs any more.
_ANSWERS = {
    "initialize-job": "Each container makes its dynamic configuration itself (run_config.dynamic_config_providers).",
    "mlflow-start": "A run's MLflow run is started by its first container, when kedro-mlflow is in the image.",
}


class Commands(click.Group):
    """A group that imports a command when it is called or its help is shown."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of the commands, sorted."""
        return sorted(_MODULES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command; None if there is none of this name."""
        if cmd_name not in _MODULES:
            return None
        command: click.Command = importlib.import_module(f"{_HERE}.{_MODULES[cmd_name]}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does; an unknown command is told with its close match, an old one with what is done instead."""
        name = args[0]
        if name in _ANSWERS:
            ctx.fail(f"There is no command {name!r} any more: nothing calls it. {_ANSWERS[name]}")
        if name not in _MODULES and not name.startswith("-"):
            ctx.fail(f"There is no command {name!r}.{did_you_mean(name, _MODULES)}")
        return super().resolve_command(ctx, args)


@click.group(name="airflow-provider-kedro-vertex")
def commands() -> None:
    """The commands that this package adds to ``kedro``."""


@commands.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--env", "-e", help="Kedro environment, for every command that takes one.")
@click.version_option(__version__, prog_name="airflow-provider-kedro-vertex")
def vertex(env: str | None) -> None:
    """Run the project's pipelines on Vertex AI from Airflow."""
