"""Write the reference in docs/configuration.md from the declaration of the settings: ``make docs``.

What stands above the reference in the page is written by hand and stays.
"""

from __future__ import annotations

import typing
from collections.abc import Iterator, Mapping
from dataclasses import Field
from pathlib import Path
from typing import Any

from airflow_provider_kedro_vertex.core.settings.legacy import BESIDE, IGNORED, OLD_KEYS
from airflow_provider_kedro_vertex.core.settings.run_config import RunConfig
from airflow_provider_kedro_vertex.core.settings.sections import REQUIRED, Section, fields_of, is_required

PAGE = Path(__file__).parents[1] / "docs" / "configuration.md"
FIRST_HEADING = "\n## The file\n"

_TYPES = {
    "str": "text",
    "int": "number",
    "float": "number",
    "bool": "true or false",
    "Mapping[str, str]": "names to text",
    "Mapping[str, Any]": "names to any JSON value",
    "tuple[str, ...]": "list of text",
    "tuple[Any, ...]": "list of any JSON values",
}


def keys_of(section: type[Section]) -> Mapping[str, Field[Any]]:
    """Find the keys of a section that a user may write."""
    return {name: item for name, item in fields_of(section).items() if not item.metadata.get("inspected")}


def sections_below(section: type[Section], path: str) -> Iterator[tuple[str, type[Section]]]:
    """Go through a section and all that are in it, each with its path."""
    yield path, section
    for name, item in keys_of(section).items():
        if item.metadata["section"] is not None:
            yield from sections_below(item.metadata["section"], f"{path}.{name}{item.metadata['many']}")


def reference() -> str:
    """Write the part of the page that follows from the declaration."""
    fields = keys_of(RunConfig)
    lines = [FIRST_HEADING.strip(), "", *_table({name: fields[name] for name in BESIDE})]
    lines.append("| `run_config` | mapping | How a run goes. |")
    for path, section in sections_below(RunConfig, "run_config"):
        keys = {name: item for name, item in keys_of(section).items() if section is not RunConfig or name not in BESIDE}
        lines += ["", f"## `{path}`", "", (section.__doc__ or "").strip(), "", *_table(keys)]
    lines += ["", "## Old keys", "", "Keys of kedro-vertexai and kedro-kubeflow that become others.", ""]
    lines += ["| key | meaning |", "|---|---|"]
    lines += [f"| `{'.'.join(path)}` | {meaning} |" for path, meaning in OLD_KEYS.items()]
    lines += ["", "## Accepted and ignored", "", "Keys of kedro-vertexai and kedro-kubeflow; each warns.", ""]
    lines += ["| key | why |", "|---|---|"]
    lines += [f"| `{'.'.join(path)}` | {why[0].upper()}{why[1:]}. |" for path, why in IGNORED.items()]
    return "\n".join(lines) + "\n"


def page(committed: str) -> str:
    """Put the reference into the page."""
    return committed.partition(FIRST_HEADING)[0] + "\n" + reference()


def _table(fields: Mapping[str, Field[Any]]) -> Iterator[str]:
    yield "| key | type | meaning |"
    yield "|---|---|---|"
    for name, item in fields.items():
        yield f"| `{name}` | {_type(item)} | {item.metadata['meaning']}{_default(item)} |"


def _type(item: Field[Any]) -> str:
    section, many = item.metadata["section"], item.metadata["many"]
    if section is not None:
        return {"": "mapping", "[]": "list of mappings", ".<name>": "names to mappings"}[many]
    return _TYPES[typing.cast("str", item.type).removesuffix(" | None")]


def _default(item: Field[Any]) -> str:
    if is_required(item):
        return " Obligatory."
    if item.default is REQUIRED or item.default in (None, ()):
        return ""
    return f" By default `{str(item.default).lower() if isinstance(item.default, bool) else item.default}`."


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
