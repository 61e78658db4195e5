"""docs/configuration.md is written from the schema. After a change: RENEW_DOCS=1 pytest this file."""

from __future__ import annotations

import os
import typing
from collections.abc import Iterator
from pathlib import Path
from types import NoneType, UnionType
from typing import Any

from pydantic.fields import FieldInfo

from airflow_provider_kedro_vertex.project.schema import Ignored, RunConfigSection, Section, VertexAIFile
from airflow_provider_kedro_vertex.project.vertexai_yml import nested

DOCS = Path(__file__).parents[3] / "docs"
RENEW = "RENEW_DOCS"

HEAD = """# Configuration

`vertexai.yml` says how a Kedro project runs on Vertex AI: any file that matches `vertexai*` or `vertexai*/**` in the
folders of the Kedro environment, read with the project's own config loader. kedro-vertexai's file works as it is; see
[Coming from kedro-vertexai](migration.md). `kedro vertex init PROJECT_ID REGION` writes one, `kedro vertex check`
checks it. This page is written from the schema.

## How it is read

- **Every key is optional**, and unknown keys are errors that name the closest known one. Null, and the word `none`,
  mean: not said. A number may stand where text is asked for (`cpu: 8`).
- **Environments.** As for all of Kedro's configuration, a key of the environment's folder (`conf/prod`) replaces that
  of `conf/base`.
- **Interpolation.** OmegaConf's `${key}`, `${globals:name}`, the resolvers that the project registers, and
  `${oc.env:NAME,default}`, here also outside of credentials. kedro-vertexai's `${name}` and `${name|default}` take
  the environment variable `KEDRO_CONFIG_NAME`.
- **`KEDRO_CONFIG_*`.** Every such variable of the command that writes the manifest is set in the containers too,
  since they read the configuration again. One that may hold a secret is not, with a warning: name it in `secret_env`.
- **For one run.** `run_config=` of the operators and of the DAG factory lays settings over these: mappings key by
  key, `resources` and `nodes` field by field, all else as a whole. Null keeps what is.

## Selectors

`resources`, `nodes` and `retry_policy` map selectors to settings. A selector is `__default__`, a tag, the name of a
node (as it is, or with a dash for each run of signs), the name of a group, or a pattern with `*` over names of nodes.

1. `__default__` comes first,
2. then tags and patterns, in the order of the file: of two that match, the later one wins,
3. then the node's name.

What comes later is laid over what came before, field by field; `env`, `secret_env` and `airflow` by key. Of
`retry_policy` the last entry counts alone. Nodes that share a container get the largest `cpu`, `memory` and `gpu`
that one of them asks for; where they contradict each other in something else, planning ends with an error, unless the
group's own name says what holds.

"""


def _kind(annotation: Any) -> str:
    """A field's type in a word or two."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return _kind(arguments[0])
    if origin in (UnionType, typing.Union):
        return _kind(next(item for item in arguments if item is not NoneType))
    if origin is list:
        return f"list of {_plural(_kind(arguments[0]))}"
    if origin is dict:
        return f"names to {_plural(_kind(arguments[1]))}"
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return "mapping"
    return {str: "text", int: "number", float: "number", bool: "true or false"}.get(annotation, "any JSON value")


def _plural(kind: str) -> str:
    return kind if kind.endswith(("text", "any JSON value")) else f"{kind}s"


def _sections(section: type[Section], path: str) -> Iterator[tuple[str, type[Section]]]:
    yield path, section
    for name, field in section.model_fields.items():
        inner, many = nested(field.annotation)
        if inner is not None:
            of_many = "[]" if typing.get_origin(field.annotation) is list else ".<name>"
            yield from _sections(inner, f"{path}.{name}".lstrip(".") + (of_many if many else ""))


def _ignored(field: FieldInfo) -> Ignored | None:
    return next((mark for mark in field.metadata if isinstance(mark, Ignored)), None)


def reference() -> str:
    """The page."""
    lines = [HEAD.rstrip()]
    for path, section in _sections(VertexAIFile, ""):
        lines += ["", f"## {f'`{path}`' if path else 'The file'}", ""]
        lines += [(section.__doc__ or "").strip(), "", "| key | type | meaning |", "|---|---|---|"]
        for name, field in section.model_fields.items():
            if _ignored(field) is None:
                needed = " Obligatory." if field.is_required() else ""
                lines.append(f"| `{name}` | {_kind(field.annotation)} | {field.description}{needed} |")
    lines += ["", "## Accepted and ignored", "", "Keys of kedro-vertexai and kedro-kubeflow; each warns.", ""]
    lines += ["| key | why |", "|---|---|"]
    for prefix, section in (("", VertexAIFile), ("run_config.", RunConfigSection)):
        for name, field in section.model_fields.items():
            if (mark := _ignored(field)) is not None:
                lines.append(f"| `{prefix}{name}` | {mark.why[0].upper()}{mark.why[1:]}. |")
    return "\n".join(lines) + "\n"


def test_the_reference_is_that_of_the_schema() -> None:
    page = DOCS / "configuration.md"
    if os.environ.get(RENEW):
        page.write_text(reference(), encoding="utf-8")
    assert page.read_text(encoding="utf-8") == reference(), f"Renew it: {RENEW}=1 pytest"


def test_every_key_is_described() -> None:
    for path, section in _sections(VertexAIFile, ""):
        for name, field in section.model_fields.items():
            assert field.description or _ignored(field), f"{path}.{name}"


def test_every_old_key_has_a_row_in_the_migration_page() -> None:
    """Keys that the peers' documents show and that are not ours, or have another meaning here."""
    page = (DOCS / "migration.md").read_text(encoding="utf-8")
    ignored = {
        name
        for section in (VertexAIFile, RunConfigSection)
        for name, field in section.model_fields.items()
        if _ignored(field)
    }
    old = {"nvidia.com/gpu", "vertex_ai_networking", "max_cache_staleness", "node_merge_strategy", "node_selectors"}
    for key in (*ignored, *old, *RunConfigSection.model_fields.keys() & _KEDRO_VERTEXAI):
        assert f"`{key}`" in page or f".{key}`" in page, key
    for command in (*_COMMANDS, "mlflow-start", "initialize-job"):
        assert command in page, command


#: kedro-vertexai 1.0.0's keys.
_KEDRO_VERTEXAI = {
    "image", "root", "description", "experiment_name", "experiment_description", "scheduled_run_name", "grouping",
    "service_account", "network", "ttl", "resources", "node_selectors", "dynamic_config_providers", "mlflow",
    "schedules", "on_exit_pipeline",
}  # fmt: skip
_COMMANDS = ("init", "ui", "list-pipelines", "compile", "upload-pipeline", "schedule", "run-once")
