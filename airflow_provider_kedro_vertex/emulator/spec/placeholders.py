"""The placeholders of a PipelineSpec, such as ``{{$.inputs.parameters['x']}}``, and kfp's two structures.

They are found when a job is created and filled when the task starts. A text is split once into literal parts and
placeholders. Values are only ever put between the literal parts, so a value that looks like a placeholder passes
through untouched.

A word of a command may also be a structure in JSON: ``{"IfPresent": {"InputName": "x", "Then": [...], "Else": [...]}}``
gives some words or others, and ``{"Concat": [...]}`` joins several to one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import Any


class Source(Enum):
    """The values that a placeholder can stand for."""

    INPUT = "an input parameter's value"
    INPUT_URI = "an input artifact's URI"
    INPUT_PATH = "an input artifact's path"
    INPUT_METADATA = "an input artifact's metadata, or one key of it"
    OUTPUT_FILE = "the file to write an output parameter to"
    OUTPUT_URI = "an output artifact's URI"
    OUTPUT_PATH = "an output artifact's path"
    OUTPUT_METADATA = "an output artifact's metadata in the spec, or one key of it"
    EXECUTOR_OUTPUT = "the file to write the executor output to"
    EXECUTOR_INPUT = "the executor input"
    RUN = "what the run itself is called, and the like"


@dataclass(frozen=True)
class Ref:
    """One placeholder.

    :param name: the parameter, the artifact, or the run's name.
    :param key: the metadata's key.
    :param escaped: how often the value is escaped as the inside of a JSON string.
    """

    source: Source
    name: str = ""
    key: str = ""
    escaped: int = 0


Template = tuple[str | Ref, ...]
Resolve = Callable[[Ref], str]


@dataclass(frozen=True)
class Concat:
    """Several words that become one."""

    items: tuple[Word, ...]


@dataclass(frozen=True)
class IfPresent:
    """Words that are there if an input has a value, and others that are there if it has none."""

    name: str
    then: tuple[Word, ...]
    otherwise: tuple[Word, ...]


Word = Template | Concat | IfPresent

_NAME = r"""\[(?:'([^']*)'|"([^"]*)")\]"""
_PLACEHOLDER = re.compile(r"\{\{\$(.*?)\}\}", re.DOTALL)
_ESCAPE = re.compile(r"(.*)\.json_escape\[([0-9])\]", re.DOTALL)
_FORMS = tuple(
    (re.compile(form), source)
    for form, source in (
        (rf"\.inputs\.parameters{_NAME}", Source.INPUT),
        (rf"\.inputs\.artifacts{_NAME}\.uri", Source.INPUT_URI),
        (rf"\.inputs\.artifacts{_NAME}\.path", Source.INPUT_PATH),
        (rf"\.inputs\.artifacts{_NAME}\.metadata(?:{_NAME})?", Source.INPUT_METADATA),
        (rf"\.outputs\.parameters{_NAME}\.output_file", Source.OUTPUT_FILE),
        (rf"\.outputs\.artifacts{_NAME}\.uri", Source.OUTPUT_URI),
        (rf"\.outputs\.artifacts{_NAME}\.path", Source.OUTPUT_PATH),
        (rf"\.outputs\.artifacts{_NAME}\.metadata(?:{_NAME})?", Source.OUTPUT_METADATA),
        (r"\.outputs\.output_file|\.outputMetadataUri", Source.EXECUTOR_OUTPUT),
        (r"", Source.EXECUTOR_INPUT),
    )
)
RUN_NAMES = (
    "pipeline_job_name", "pipeline_job_uuid", "pipeline_job_resource_name", "pipeline_task_name", "pipeline_task_uuid",
    "pipeline_root", "pipeline_job_create_time_utc", "pipeline_google_cloud_project_id",
    "pipeline_google_cloud_location", "pipeline_service_account", "pipeline_network", "pipeline_encryption_key_name",
    "pipeline_persistent_resource_id", "workspace_path",
)  # fmt: skip
"""The placeholders of source RUN."""
# Vertex AI has these too; they are not run here.
_KNOWN = re.compile(r"\.(inputs|outputs)(\..*|\[.*)?|\.pipeline_job_schedule_time.*", re.DOTALL)
_STRUCTURE = re.compile(r'\s*\{\s*"(IfPresent|Concat)"\s*:')


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
    parts: list[str | Ref] = []
    at = 0
    for match in _PLACEHOLDER.finditer(text):
        if match.start() > at:
            parts.append(text[at : match.start()])
        parts.append(_read(match[1], match[0]))
        at = match.end()
    if at < len(text):
        parts.append(text[at:])
    return tuple(parts)


def parse_word(text: str) -> Word:
    """Read one word of a command: a text with placeholders, or a structure.

    :raises PlaceholderError: for a placeholder that is not run, or a structure of another form.
    """
    if _STRUCTURE.match(text) is None:
        return parse(text)
    try:
        return _structure(json.loads(text), 0)
    except (ValueError, RecursionError) as error:
        if isinstance(error, PlaceholderError):
            raise
        raise PlaceholderError(text[:100], known=False) from None


def refs(word: Word) -> Iterator[Ref]:
    """Every placeholder in a word. The input that an :class:`IfPresent` asks for counts as one."""
    if isinstance(word, Concat):
        for item in word.items:
            yield from refs(item)
    elif isinstance(word, IfPresent):
        yield Ref(Source.INPUT, word.name)
        for item in (*word.then, *word.otherwise):
            yield from refs(item)
    else:
        yield from (part for part in word if isinstance(part, Ref))


def render(template: Template, resolve: Resolve) -> str:
    """Fill a template.

    :param resolve: gives the text that a placeholder stands for.
    """
    return "".join(
        part if isinstance(part, str) else _escaped(resolve(part), part.escaped) if part.escaped else resolve(part)
        for part in template
    )


def render_some(text: str, resolve: Callable[[Ref], str | None]) -> str:
    """Fill the placeholders of a text that is no template; what is none stays as it is.

    :param resolve: gives the text that a placeholder stands for; None leaves it.
    """

    def fill(match: re.Match[str]) -> str:
        try:
            ref = _read(match[1], match[0])
        except PlaceholderError:
            return match[0]
        found = resolve(ref)
        return match[0] if found is None else _escaped(found, ref.escaped)

    return _PLACEHOLDER.sub(fill, text)


def render_word(word: Word, resolve: Resolve, present: Callable[[str], bool]) -> Iterator[str]:
    """Fill a word, which may become none or several.

    :param present: whether an input has a value.
    """
    if isinstance(word, Concat):
        yield "".join(text for item in word.items for text in render_word(item, resolve, present))
    elif isinstance(word, IfPresent):
        for item in word.then if present(word.name) else word.otherwise:
            yield from render_word(item, resolve, present)
    else:
        yield render(word, resolve)


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


def _read(inner: str, whole: str) -> Ref:
    escape = _ESCAPE.fullmatch(inner)
    bare, escaped = (escape[1], int(escape[2])) if escape is not None else (inner, 0)
    for form, source in _FORMS:
        match = form.fullmatch(bare)
        if match is not None:
            name, key, *_ = [*(group for group in match.groups() if group is not None), "", ""]
            return Ref(source, name, key, escaped)
    if bare.removeprefix(".") in RUN_NAMES:
        return Ref(Source.RUN, bare.removeprefix("."), escaped=escaped)
    raise PlaceholderError(whole[:100], known=_KNOWN.fullmatch(bare) is not None)


def _structure(data: Any, deep: int) -> Word:
    if isinstance(data, str):
        return parse(data)
    if isinstance(data, dict) and len(data) == 1 and deep < 20:
        (kind, inner), *_ = data.items()
        if kind == "Concat" and isinstance(inner, list):
            return Concat(tuple(_structure(item, deep + 1) for item in inner))
        if kind == "IfPresent" and isinstance(inner, dict) and isinstance(inner.get("InputName"), str):
            then, otherwise = (
                tuple(_structure(item, deep + 1) for item in (given if isinstance(given, list) else [given]))
                for given in (inner.get("Then", []), inner.get("Else") or [])
            )
            return IfPresent(inner["InputName"], then, otherwise)
    raise ValueError


def _escaped(text: str, times: int) -> str:
    for _ in range(times):
        text = json.dumps(text)[1:-1]
    return text
