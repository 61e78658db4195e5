"""Container executors of a PipelineSpec: image, command, arguments and variables, with their placeholders."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

from airflow_provider_kedro_vertex.emulator.spec import placeholders
from airflow_provider_kedro_vertex.emulator.spec.findings import SPEC_PATH, Findings
from airflow_provider_kedro_vertex.emulator.spec.graph import Component, Container
from airflow_provider_kedro_vertex.emulator.spec.placeholders import PlaceholderError, Ref, Source, Template, Word

_NO_PARTS: tuple[Any, ...] = ()

_Text = TypeVar("_Text", Template, Word)


def read_container(
    executors: Mapping[str, Any], label: str, interface: Component, path: str, findings: Findings
) -> Container:
    """Read the executor of a component.

    :param executors: those of the spec, checked for their form.
    :param label: the executor's name.
    :param interface: the component with its inputs and outputs, which placeholders name.
    :param path: where the component stands in the request.
    """
    nothing = Container((), (), (), ())
    if label not in executors:
        findings.wrong(f"{path}.executor_label", f'there is no executor "{label[:100]}".')
        return nothing
    executor, at = executors[label], f"{SPEC_PATH}.deployment_spec.executors.{label}"
    for kind in ("importer", "resolver", "customJob"):
        if kind in executor:
            findings.not_run(f"{at}.{kind}", f"{kind} executors")
            return nothing
    container = executor.get("container")
    if container is None or not container.get("image"):
        findings.wrong(f"{at}.container.image", "is required.")
        return nothing
    if container.get("lifecycle"):
        findings.not_run(f"{at}.container.lifecycle", "lifecycle hooks")
    env = []
    for index, variable in enumerate(container.get("env", [])):
        name, where = variable.get("name", ""), f"{at}.container.env[{index}]"
        if not name.isidentifier() or not name.isascii():
            findings.wrong(f"{where}.name", f'"{name[:100]}" is no C identifier.')
        value = _text(placeholders.parse, variable.get("value", ""), interface, f"{where}.value", findings)
        env.append((name, value))

    def words(key: str) -> tuple[Word, ...]:
        return tuple(
            _text(placeholders.parse_word, text, interface, f"{at}.container.{key}[{index}]", findings)
            for index, text in enumerate(container.get(key, []))
        )

    image = _text(placeholders.parse, container["image"], interface, f"{at}.container.image", findings)
    return Container(image, words("command"), words("args"), tuple(env))


def _text(parse: Callable[[str], _Text], text: str, interface: Component, path: str, findings: Findings) -> _Text:
    known: dict[Source, Mapping[str, Any]] = {
        Source.INPUT: interface.parameters,
        Source.INPUT_URI: interface.artifacts,
        Source.INPUT_PATH: interface.artifacts,
        Source.INPUT_METADATA: interface.artifacts,
        Source.OUTPUT_FILE: interface.output_parameters,
        Source.OUTPUT_URI: interface.output_artifacts,
        Source.OUTPUT_PATH: interface.output_artifacts,
    }
    for ref in refs(parse, text, path, findings):
        if ref.name not in known.get(ref.source, (ref.name,)) and not (
            # The structure IfPresent may ask for an artifact too.
            ref.source is Source.INPUT and ref.name in interface.artifacts and "IfPresent" in text
        ):
            way = "output" if ref.source in (Source.OUTPUT_FILE, Source.OUTPUT_URI, Source.OUTPUT_PATH) else "input"
            findings.wrong(path, f'the placeholder names an {way} "{ref.name[:100]}" that does not exist.')
    try:
        return parse(text)
    except PlaceholderError:
        return _NO_PARTS


def refs(parse: Callable[[str], Any], text: str, path: str, findings: Findings) -> Iterator[Ref]:
    """The placeholders of a text. One that is not run is a finding."""
    try:
        yield from placeholders.refs(parse(text))
    except PlaceholderError as error:
        if error.known:
            findings.not_run(path, f"the placeholder {error}")
        else:
            findings.wrong(path, f"there is no placeholder {error}.")
