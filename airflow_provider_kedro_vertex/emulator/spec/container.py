"""Executors of a PipelineSpec, with their placeholders: containers and importers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

from airflow_provider_kedro_vertex.emulator.resources import quantities
from airflow_provider_kedro_vertex.emulator.resources.protos import AcceleratorType
from airflow_provider_kedro_vertex.emulator.spec import placeholders
from airflow_provider_kedro_vertex.emulator.spec.findings import SPEC_PATH, Findings
from airflow_provider_kedro_vertex.emulator.spec.graph import Component, Container, Importer, Resources
from airflow_provider_kedro_vertex.emulator.spec.placeholders import PlaceholderError, Ref, Source, Template, Word

CHANNEL = "pipelinechannel--"
"""The prefix of arguments that kfp adds to a task for its f-strings and machines; no component declares them."""

_COUNTS = ("1", "2", "4", "8", "16")

_NO_PARTS: tuple[Any, ...] = ()

_Text = TypeVar("_Text", Template, Word)


MACHINE_INPUTS = frozenset(
    {
        "cpu_request", "cpu_limit", "memory_request", "memory_limit", "accelerator_type", "accelerator_count",
        "base_image",
    }
)  # fmt: skip
"""The arguments that kfp adds to a task whose image or machine comes from a parameter; no component declares them."""


def read_executor(
    executors: Mapping[str, Any], label: str, interface: Component, path: str, findings: Findings
) -> Container | Importer:
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
    if "importer" in executor:
        return _importer(executor["importer"], interface, f"{at}.importer", findings)
    for kind in ("resolver", "customJob"):
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
    resources = _resources(container.get("resources", {}), interface, f"{at}.container.resources", findings)
    return Container(image, words("command"), words("args"), tuple(env), resources)


def _resources(data: Mapping[str, Any], interface: Component, path: str, findings: Findings) -> Resources:
    def text(holder: Mapping[str, Any], *keys: str) -> Template:
        # A field for a text, which may be a placeholder, takes the place of an older one for a number.
        key = next((key for key in keys if holder.get(key)), "")
        return _text(placeholders.parse, str(holder[key]), interface, f"{path}.{key}", findings) if key else ()

    for kind in ("Limit", "Request"):
        for what, read in (("cpu", quantities.cpus), ("memory", quantities.memory)):
            _check_quantity(data, f"{what}{kind}", f"resource{what.capitalize()}{kind}", read, path, findings)
    _check_accelerator(data.get("accelerator", {}), f"{path}.accelerator", findings)
    memory = text(data, "resourceMemoryLimit") or ((f"{data['memoryLimit']:g}G",) if data.get("memoryLimit") else ())
    return Resources(
        text(data, "resourceCpuLimit", "cpuLimit"),
        memory,
        text(data.get("accelerator", {}), "resourceType", "type"),
    )


def _check_quantity(
    data: Mapping[str, Any], number: str, text: str, read: Callable[[str], object], path: str, findings: Findings
) -> None:
    """Check a limit that stands in the spec; the value of a placeholder is checked when it is filled."""
    if data.get(number, 0) < 0:
        findings.wrong(f"{path}.{number}", "must not be negative.")
    given = data.get(text, "")
    if given and "{{$" not in given:
        try:
            read(given)
        except ValueError as error:
            findings.wrong(f"{path}.{text}", f"{error}.")


def _check_accelerator(data: Mapping[str, Any], path: str, findings: Findings) -> None:
    """Check an accelerator that stands in the spec: Vertex AI's own names are known, and come in these numbers."""
    kind, count = data.get("resourceType") or data.get("type", ""), data.get("resourceCount") or data.get("count", "")
    if not kind.startswith("NVIDIA_"):
        return
    if kind not in AcceleratorType.values_by_name:
        findings.wrong(path, f'"{kind[:100]}" is no accelerator of Vertex AI.')
    if str(count) not in ("", *_COUNTS) and "{{$" not in str(count):
        findings.wrong(path, f'"{str(count)[:100]}" accelerators; a machine has {", ".join(_COUNTS)} of them.')


def _importer(data: Mapping[str, Any], interface: Component, path: str, findings: Findings) -> Importer:
    for key in ("properties", "customProperties"):
        if data.get(key):
            findings.not_run(f"{path}.{key}", "properties of schema 2.0.0")
    if data.get("downloadToWorkspace"):
        findings.not_run(f"{path}.download_to_workspace", "a download to a workspace")
    if interface.artifacts or interface.output_parameters or len(interface.output_artifacts) != 1:
        findings.wrong(path, "an importer has one output, which is an artifact, and no input artifacts.")
    source = data.get("artifactUri", {})
    parameter = source.get("runtimeParameter", "")
    uri = source.get("constant", source.get("constantValue", {}).get("stringValue"))
    if not isinstance(uri, str):
        uri = ""
        if parameter not in interface.parameters:
            findings.wrong(f"{path}.artifact_uri", "must be a text, or the name of an input parameter.")
    metadata = data.get("metadata", {})
    for text in texts_in(metadata):
        _text(placeholders.parse, text, interface, f"{path}.metadata", findings)
    return Importer(
        _text(placeholders.parse, uri, interface, f"{path}.artifact_uri", findings),
        parameter,
        metadata,
        data.get("reimport", False),
    )


def texts_in(value: Any) -> Iterator[str]:
    """Every text inside a JSON value, keys too, where a placeholder may stand."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from texts_in(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield key
            yield from texts_in(item)


def _text(parse: Callable[[str], _Text], text: str, interface: Component, path: str, findings: Findings) -> _Text:
    known: dict[Source, Mapping[str, Any]] = {
        Source.INPUT: interface.parameters,
        Source.INPUT_URI: interface.artifacts,
        Source.INPUT_PATH: interface.artifacts,
        Source.INPUT_METADATA: interface.artifacts,
        Source.OUTPUT_FILE: interface.output_parameters,
        Source.OUTPUT_URI: interface.output_artifacts,
        Source.OUTPUT_PATH: interface.output_artifacts,
        Source.OUTPUT_METADATA: interface.output_artifacts,
    }
    for ref in refs(parse, text, path, findings):
        if (
            ref.name not in known.get(ref.source, (ref.name,))
            and not (
                # The structure IfPresent may ask for an artifact too.
                ref.source is Source.INPUT and ref.name in interface.artifacts and "IfPresent" in text
            )
            and not (
                # kfp names what a task is given, and not what its component declares, for machines and images.
                ref.source is Source.INPUT and ref.name.startswith(CHANNEL)
            )
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
