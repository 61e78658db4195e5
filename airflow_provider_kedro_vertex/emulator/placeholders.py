"""The placeholders of a PipelineSpec, such as ``{{$.inputs.parameters['x']}}``.

They are found when a job is created and filled when the task starts. A text is split once into literal parts and
placeholders. Values are only ever put between the literal parts, so a value that looks like a placeholder passes
through untouched.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

_PLACEHOLDER = re.compile(r"\{\{\$(.*?)\}\}", re.DOTALL)
_PARAMETER = re.compile(r"""\.inputs\.parameters\[(?:'([^']*)'|"([^"]*)")\]""")
_RUN_NAMES = {
    ".pipeline_job_name": "pipeline_job_name",
    ".pipeline_job_uuid": "pipeline_job_uuid",
    ".pipeline_job_resource_name": "pipeline_job_resource_name",
    ".pipeline_task_name": "pipeline_task_name",
    ".pipeline_task_uuid": "pipeline_task_uuid",
}
# Known to Vertex AI, and not run here yet: outputs, artifacts, the whole executor input, and kfp's two structures.
_KNOWN = re.compile(
    r"|\.(inputs|outputs)(\..*|\[.*)?|\.json_escape.*|\.pipeline_root|\.pipeline_job_create_time.*", re.DOTALL
)
_STRUCTURE = re.compile(r'\s*\{\s*"(IfPresent|Concat)"\s*:')


@dataclass(frozen=True)
class Parameter:
    """The value of an input parameter."""

    name: str


@dataclass(frozen=True)
class RunName:
    """What the run itself is called: ``pipeline_job_name`` and its like."""

    key: str


Part = str | Parameter | RunName
Template = tuple[Part, ...]


class PlaceholderError(ValueError):
    """A placeholder that is not run: one that does not exist, or one that this emulator does not do.

    :param known: whether Vertex AI has it.
    """

    def __init__(self, text: str, known: bool) -> None:
        super().__init__(text)
        self.known = known


@lru_cache(maxsize=4096)
def parse(text: str) -> Template:
    """Split a text into literal parts and placeholders.

    :raises PlaceholderError: for a placeholder that is not run.
    """
    structure = _STRUCTURE.match(text)
    if structure is not None:
        raise PlaceholderError(structure[1], known=True)
    parts: list[Part] = []
    at = 0
    for match in _PLACEHOLDER.finditer(text):
        if match.start() > at:
            parts.append(text[at : match.start()])
        parts.append(_read(match[1], match[0]))
        at = match.end()
    if at < len(text):
        parts.append(text[at:])
    return tuple(parts)


def parameters(template: Template) -> list[str]:
    """The names of the input parameters that a template uses."""
    return [part.name for part in template if isinstance(part, Parameter)]


def render(template: Template, parameter: Callable[[str], str], names: Mapping[str, str]) -> str:
    """Fill a template.

    :param parameter: gives an input parameter's value as text.
    :param names: the run's names by key.
    """
    return "".join(
        part if isinstance(part, str) else parameter(part.name) if isinstance(part, Parameter) else names[part.key]
        for part in template
    )


def as_text(value: Any, parameter_type: str) -> str:
    """A parameter's value as a container's argument shows it: text as it is, anything else as JSON.

    A STRUCT's keys are sorted, since a Struct has no order. A whole NUMBER_DOUBLE keeps its ".0", as in kfp's own local
    runner; JSON has lost the difference on the way.
    """
    if isinstance(value, str):
        return value
    if parameter_type == "NUMBER_DOUBLE":
        return json.dumps(float(value))
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


def _read(inner: str, whole: str) -> Part:
    match = _PARAMETER.fullmatch(inner)
    if match is not None:
        return Parameter(match[1] if match[1] is not None else match[2])
    if inner in _RUN_NAMES:
        return RunName(_RUN_NAMES[inner])
    raise PlaceholderError(whole[:100], known=_KNOWN.fullmatch(inner) is not None)
