"""Options that several commands have."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from airflow_provider_kedro_vertex.core.project.manifest import DEFAULT_PIPELINE
from airflow_provider_kedro_vertex.core.settings.filters import Selection
from airflow_provider_kedro_vertex.core.settings.sections import fields_of

Function = TypeVar("Function", bound=Callable[..., Any])


def _own_or_of_the_group(context: click.Context, option: click.Parameter, value: str | None) -> str | None:
    """Take ``kedro vertex -e ENV COMMAND`` for ``kedro vertex COMMAND -e ENV``; the command's own option wins."""
    own = context.get_parameter_source(str(option.name)) is ParameterSource.COMMANDLINE
    of_the_group: str | None = context.parent.params.get("env") if context.parent else None
    return value if own or of_the_group is None else of_the_group


env = click.option(
    "--env",
    "-e",
    envvar="KEDRO_ENV",
    callback=_own_or_of_the_group,
    help="Kedro environment; by default $KEDRO_ENV, else the project's own default.",
)
pipeline = click.option(
    "--pipeline",
    "-p",
    default=DEFAULT_PIPELINE,
    show_default=True,
    help="Registered pipeline, or several with commas between them.",
)
image = click.option("--image", "-i", help="Container image, in place of run_config.image.")
project_id = click.option("--project-id", help="Google Cloud project, in place of project_id in vertexai.yml.")
region = click.option("--region", help="Vertex AI location, in place of region in vertexai.yml.")
api_endpoint = click.option(
    "--api-endpoint",
    envvar="KEDRO_VERTEX_API_ENDPOINT",
    help="Another Vertex AI, such as http://127.0.0.1:8080 for the emulator.",
)


params = click.option(
    "--param", "params", multiple=True, metavar="KEY=VALUE", help="Runtime parameter, typed as the project's own is."
)

text_or_json = click.option(
    "--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True, help="How to print."
)


def output(text: str, default: str | None = None) -> Callable[[Function], Function]:
    """The ``--output`` option of a command that writes one file.

    :param text: its help.
    :param default: the file to write if none is given; None makes the option obligatory.
    """
    # Newer releases of click take default=None for a default.
    otherwise: dict[str, Any] = {"required": True} if default is None else {"default": default, "show_default": True}
    path = click.Path(dir_okay=False, allow_dash=True, path_type=Path)
    return click.option("--output", "-o", type=path, help=text, **otherwise)


def slices(command: Function) -> Function:
    """The filters of ``kedro run``; the command gets a ``selection``, None when none is given."""

    @functools.wraps(command)
    def with_selection(*arguments: Any, **options: Any) -> Any:
        given = {key: text for key in fields_of(Selection) if (text := options.pop(key))}
        selection = Selection.from_dict(given, "selection") if given else None
        return command(*arguments, selection=selection, **options)

    decorated: Any = with_selection
    for key, declared in reversed([*fields_of(Selection).items()]):
        option = "--nodes" if key == "node_names" else f"--{key.replace('_', '-')}"
        decorated = click.option(option, key, metavar="NAME,...", help=declared.metadata["meaning"])(decorated)
    return decorated  # type: ignore[no-any-return]
