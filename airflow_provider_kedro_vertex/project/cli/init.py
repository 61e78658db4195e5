"""``kedro vertex init``."""

from __future__ import annotations

import re
import sys
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
#: Of these a project may have its own, which stay.
_IMAGE = {"Dockerfile": "Dockerfile", ".dockerignore": "dockerignore"}
_WORKFLOWS = {
    ".github/workflows/kedro-vertex-on-push.yml": "on-push.yml",
    ".github/workflows/kedro-vertex-on-merge.yml": "on-merge.yml",
}
_GITLAB = {".gitlab-ci.yml": "gitlab-ci.yml"}
#: Google Cloud: 6 to 30 lower case letters, digits and dashes; older ones have a domain before them.
_PROJECT_ID = re.compile(r"(?:[a-z0-9.-]+:)?[a-z][a-z0-9-]{4,28}[a-z0-9]")
_REGION = re.compile(r"[a-z]+-[a-z]+[0-9]+|global")

#: How the image gets the project's packages.
_REQUIREMENTS = """\
# The packages change less often than the project, so they are a layer of their own. Nodes need no notebooks.
COPY @folder@requirements*.txt ./
RUN sed --in-place --regexp-extended '/^(jupyterlab|notebook)([^a-z0-9._-]|$)/d' requirements.txt && \\
    pip install --no-cache-dir --requirement requirements.txt "airflow-provider-kedro-vertex[@extras@]"

COPY --chown=kedro . ."""
_NO_REQUIREMENTS = """\
COPY --chown=kedro . .
# A requirements.txt, installed before the project is copied, would make a layer that changes rarely.
RUN pip install --no-cache-dir @project@"airflow-provider-kedro-vertex[@extras@]\""""
_NEXT = ("kedro vertex check", "kedro vertex build --push", "kedro vertex run-once --wait")


@click.command(name="init")
@click.argument("project_id")
@click.argument("region")
@click.option("--force", is_flag=True, help="Write over files that are there.")
@click.option(
    "--with-github-actions", is_flag=True, help="Also write workflows: run once on each push, deploy on each merge."
)
@click.option("--with-gitlab-ci", is_flag=True, help="Also write .gitlab-ci.yml, which does the same.")
@options.env
@click.pass_obj
def command(
    metadata: Any,
    project_id: str,
    region: str,
    force: bool,
    with_github_actions: bool,
    with_gitlab_ci: bool,
    env: str | None,
) -> None:
    """Write conf/base/vertexai.yml for a Google Cloud project and a region, such as europe-west1.

    A project without a Dockerfile or a .dockerignore gets them too. What is there already stays.
    """
    if not _PROJECT_ID.fullmatch(project_id):
        raise click.BadParameter(f"{project_id!r} is no id of a Google Cloud project.", param_hint="PROJECT_ID")
    if not _REGION.fullmatch(region):
        raise click.BadParameter(f"{region!r} is no region such as europe-west1.", param_hint="REGION")
    package = metadata.package_name
    root: Path = metadata.project_path
    values = {
        "project_id": project_id,
        "region": region,
        "package": package,
        "image_name": _image_name(package),
        "python": f"{sys.version_info.major}.{sys.version_info.minor}",
        **_packages(root),
    }
    files = {**_CONFIG, **(_WORKFLOWS if with_github_actions else {}), **(_GITLAB if with_gitlab_ci else {})}
    with report_errors():
        targets = {root / name.format(env=env or "base"): template for name, template in files.items()}
        there = [] if force else _existing(targets)
        kept = [root / name for name in _IMAGE if (root / name).exists()]
        targets |= {root / name: template for name, template in _IMAGE.items() if root / name not in kept}
        wanted = {target: template for target, template in targets.items() if not _existing([target]) or force}
        if not wanted:
            named = ", ".join(str(target.relative_to(root)) for target in there)
            raise ConfigError(f"{named}: already there.", "Write over it with --force.")
        for target, template in wanted.items():
            make_folder_of(target)
            write_file(target, _filled(template, values))
            click.echo(f"Wrote {target.relative_to(root)}")
        for target in [*there, *kept]:
            click.echo(f"Kept {target.relative_to(root)}, which was there")
    click.echo(_next(root, env or "base"))


def _next(root: Path, env: str) -> str:
    """What to call next: the image's tag names the commit where there is one, and data at home is to be brought."""
    from airflow_provider_kedro_vertex.project.image.commit import COMMIT_VARIABLE, head_commit

    first = [f"export {COMMIT_VARIABLE}=$(git rev-parse HEAD)"] if head_commit(root) else []
    if _has_data(root):
        first.append(f"kedro vertex push-data  # once run_config.data_root is set in conf/{env}/vertexai.yml")
    return "\n  ".join(["Next:", *first, *_NEXT])


def _has_data(root: Path) -> bool:
    """Tell whether there is a file in the folder in which a project of Kedro's has its data."""
    return any(path.is_file() and path.name != ".gitkeep" for path in (root / "data").rglob("*"))


def _existing(targets: Iterable[Path]) -> list[Path]:
    """The files that are there, also ``vertexai.yaml``, which the config loader would read beside ``vertexai.yml``."""
    return [found for target in targets for found in (target, target.with_suffix(".yaml")) if found.exists()]


def _image_name(package: str) -> str:
    return package.lower().replace("_", "-").strip("-")


def _packages(root: Path) -> dict[str, str]:
    """How the image gets the project's packages, with what the template of it names."""
    folders = [folder for folder in ("", "src/") if (root / folder / "requirements.txt").is_file()]
    is_package = "[build-system]" in (root / "pyproject.toml").read_text(encoding="utf-8")
    uses_mlflow = any(root.glob("conf/*/mlflow.yml"))
    return {
        "packages": _REQUIREMENTS if folders else _NO_REQUIREMENTS,
        "folder": folders[0] if folders else "",
        "project": ". " if is_package else "",
        "install": f"--requirement {folders[0]}requirements.txt " if folders else ". " if is_package else "",
        "extras": "runtime,mlflow" if uses_mlflow else "runtime",
    }


def _filled(template: str, values: dict[str, str]) -> str:
    folder = resources.files("airflow_provider_kedro_vertex.project") / "templates"
    text = folder.joinpath(template).read_text(encoding="utf-8")
    for name, value in values.items():
        text = text.replace(f"@{name}@", value)
    return text
