"""``kedro vertex init``."""

from __future__ import annotations

import re
from collections.abc import Iterable
from importlib import resources
from pathlib import Path
from typing import Any

import click

from airflow_provider_kedro_vertex.core.errors import ConfigError
from airflow_provider_kedro_vertex.project.cli import options
from airflow_provider_kedro_vertex.project.cli.output import make_folder_of, report_errors, write_file

#: File of the project to its template.
_CONFIG = {"conf/{env}/vertexai.yml": "vertexai.yml"}
_WORKFLOWS = {
    ".github/workflows/kedro-vertex-on-push.yml": "on-push.yml",
    ".github/workflows/kedro-vertex-on-merge.yml": "on-merge.yml",
}
#: Google Cloud: 6 to 30 lower case letters, digits and dashes; older ones have a domain before them.
_PROJECT_ID = re.compile(r"(?:[a-z0-9.-]+:)?[a-z][a-z0-9-]{4,28}[a-z0-9]")
_REGION = re.compile(r"[a-z]+-[a-z]+[0-9]+|global")


@click.command(name="init")
@click.argument("project_id")
@click.argument("region")
@click.option("--force", is_flag=True, help="Write over files that are there.")
@click.option(
    "--with-github-actions", is_flag=True, help="Also write workflows: run once on each push, deploy on each merge."
)
@options.env
@click.pass_obj
def command(
    metadata: Any, project_id: str, region: str, force: bool, with_github_actions: bool, env: str | None
) -> None:
    """Write conf/base/vertexai.yml for a Google Cloud project and a region, such as europe-west1."""
    if not _PROJECT_ID.fullmatch(project_id):
        raise click.BadParameter(f"{project_id!r} is no id of a Google Cloud project.", param_hint="PROJECT_ID")
    if not _REGION.fullmatch(region):
        raise click.BadParameter(f"{region!r} is no region such as europe-west1.", param_hint="REGION")
    package = metadata.package_name
    values = {"project_id": project_id, "region": region, "package": package, "image_name": _image_name(package)}
    files = {**_CONFIG, **(_WORKFLOWS if with_github_actions else {})}
    root: Path = metadata.project_path
    with report_errors():
        targets = {root / name.format(env=env or "base"): template for name, template in files.items()}
        there = [str(target.relative_to(root)) for target in _existing(targets)]
        if there and not force:
            raise ConfigError(f"{', '.join(there)}: already there.", "Write over it with --force.")
        for target, template in targets.items():
            make_folder_of(target)
            write_file(target, _filled(template, values))
            click.echo(f"Wrote {target.relative_to(root)}")
    click.echo("Set the image, then: kedro vertex check")


def _existing(targets: Iterable[Path]) -> list[Path]:
    """The files that are there, also ``vertexai.yaml``, which the config loader would read beside ``vertexai.yml``."""
    return [found for target in targets for found in (target, target.with_suffix(".yaml")) if found.exists()]


def _image_name(package: str) -> str:
    return package.lower().replace("_", "-").strip("-")


def _filled(template: str, values: dict[str, str]) -> str:
    folder = resources.files("airflow_provider_kedro_vertex.project") / "templates"
    text = folder.joinpath(template).read_text(encoding="utf-8")
    for name, value in values.items():
        text = text.replace(f"@{name}@", value)
    return text
