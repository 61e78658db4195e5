"""Options that several commands have."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from airflow_provider_kedro_vertex.core.manifest import DEFAULT_PIPELINE

if TYPE_CHECKING:
    from airflow_provider_kedro_vertex.core.selection import Selection

Function = TypeVar("Function", bound=Callable[..., Any])

env = click.option(
    "--env", "-e", envvar="KEDRO_ENV", help="Kedro environment; by default $KEDRO_ENV, else the project's own default."
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

#: The filters of `kedro run`: option, its key in a selection, help.
_FILTERS = (
    ("--tags", "tags", "Only nodes with one of these tags."),
    ("--nodes", "node_names", "Only these nodes."),
    ("--from-nodes", "from_nodes", "Only these nodes and what depends on them."),
    ("--to-nodes", "to_nodes", "Only these nodes and what they depend on."),
    ("--from-inputs", "from_inputs", "Only what depends on these datasets."),
    ("--to-outputs", "to_outputs", "Only what makes these datasets."),
    ("--namespaces", "namespaces", "Only nodes in these namespaces."),
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
        given = {key: options.pop(key) for _, key, _ in _FILTERS}
        return command(*arguments, selection=_selection(given), **options)

    decorated: Any = with_selection
    for name, key, text in reversed(_FILTERS):
        decorated = click.option(name, key, metavar="NAME,...", help=text)(decorated)
    return decorated  # type: ignore[no-any-return]


def _selection(given: dict[str, str | None]) -> Selection | None:
    from airflow_provider_kedro_vertex.core.selection import Selection

    names = {key: text for key, text in given.items() if text}
    return Selection.from_dict(names) if names else None
