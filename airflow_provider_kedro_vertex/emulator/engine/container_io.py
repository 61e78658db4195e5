"""The inputs and outputs of a container: placeholders, the executor input, and the files that it writes.

A container of kfp's lightweight Python components gets the executor input as one word of JSON (``{{$}}``) and writes
``executor_output.json``; any container may get single values as placeholders and write each output parameter to a
file. Both forms are those of ``pipeline_spec.proto`` (ExecutorInput, ExecutorOutput).
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from airflow_provider_kedro_vertex.emulator.engine.outputs import Outputs
from airflow_provider_kedro_vertex.emulator.engine.runs import Artifacts, Inputs, Node, Run, fill_run_names, run_names
from airflow_provider_kedro_vertex.emulator.executors.base import Limits
from airflow_provider_kedro_vertex.emulator.resources import names, quantities
from airflow_provider_kedro_vertex.emulator.resources.protos import Artifact, Message, parse_json, to_json
from airflow_provider_kedro_vertex.emulator.spec.graph import (
    ArtifactType,
    Component,
    Container,
    Importer,
    Parameter,
    Resources,
    type_fault,
)
from airflow_provider_kedro_vertex.emulator.spec.placeholders import (
    Ref,
    Source,
    Word,
    as_text,
    parse,
    render,
    render_some,
    render_word,
)
from airflow_provider_kedro_vertex.emulator.storage.buckets import MOUNT, Buckets

LARGEST_OUTPUT = 1024 * 1024
"""Bytes of one output parameter's file, and of an executor output. They become part of the job."""

_EXECUTOR_OUTPUT = "executor_output.json"
_LIVE = 2


class ContainerError(Exception):
    """A container cannot be started with its inputs, or left outputs that cannot be read; the text says why."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """A container whose placeholders are filled."""

    image: str
    command: tuple[str, ...]
    args: tuple[str, ...]
    env: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class ContainerIO:
    """The inputs and outputs of one task's container.

    :param root: the ``gs://`` folder of the task's outputs.
    :param run: what the placeholders of source RUN stand for.
    :param buckets: the buckets on this machine.
    :param seen: the buckets as the container sees them.
    :param is_mounted: tells if the containers of an image have the buckets at ``/gcs``.
    """

    component: Component
    inputs: Inputs
    root: str
    run: Mapping[str, str]
    buckets: Buckets
    seen: Buckets
    is_mounted: Callable[[str], bool]

    @classmethod
    def of(
        cls, run: Run, node: Node, inputs: Inputs, buckets: Buckets, is_mounted: Callable[[str], bool]
    ) -> ContainerIO:
        """Those of a task; its outputs go to the same place in each try, as on Vertex AI."""
        name = names.resource(run.job.name, names.PIPELINE_JOBS)
        root = run.job.runtime_config.gcs_output_directory.rstrip("/")
        texts = run_names(run.job, node.detail, run.root.detail.task_id, run.workspace)
        folder = f"{root}/{name.project}/{name.id}/{node.detail.task_name}_{node.detail.task_id}"
        return cls(node.component, inputs, folder, texts, buckets, buckets, is_mounted)

    def rendered(self, container: Container, seen_by: str = "") -> Rendered:
        """A container's image, command, arguments and variables with every placeholder filled.

        :param seen_by: the image whose containers get the paths of files; by default this one.
        :raises ContainerError: if one stands for what is not there.
        """
        image = render(container.image, self.text)
        io = replace(self, seen=MOUNT) if self.is_mounted(seen_by or image) else self

        def words(given: tuple[Word, ...]) -> tuple[str, ...]:
            return tuple(text for word in given for text in render_word(word, io.text, self._present))

        env = tuple((name, render(value, io.text)) for name, value in container.env)
        return Rendered(image, words(container.command), words(container.args), env)

    def limits(self, resources: Resources) -> Limits:
        """The limits of a container, with every placeholder filled.

        :raises ContainerError: if one is no quantity.
        """
        cpu, memory = render(resources.cpu, self.text), render(resources.memory, self.text)
        try:
            return Limits(
                quantities.cpus(cpu) if cpu else 0.0,
                quantities.memory(memory) if memory else 0,
                render(resources.accelerator, self.text),
            )
        except ValueError as error:
            raise ContainerError(f"The machine's limits cannot be used: {error}.") from None

    def text(self, ref: Ref) -> str:
        """Give the text that a placeholder stands for.

        :raises ContainerError: if that is an input without a value.
        """
        source, name = ref.source, ref.name
        if source is Source.RUN:
            return self.run[name]
        if source is Source.INPUT:
            text = self._input_text(name)
            # A default is part of the spec, so what stands in it is filled; what a client gives is not. Google's custom
            # job components keep the executor input in there.
            return render_some(text, self._text_in_default) if self._is_default(name) else text
        if source in (Source.INPUT_URI, Source.INPUT_PATH, Source.INPUT_METADATA):
            artifacts = self.inputs.artifacts.get(name)
            if not artifacts:
                return "null"
            if source is Source.INPUT_METADATA:
                return _metadata(to_json(artifacts[0].metadata), ref)
            return str(artifacts[0].uri) if source is Source.INPUT_URI else self._path(artifacts[0].uri)
        if source is Source.OUTPUT_METADATA:
            return _metadata(self.component.output_artifacts[name].metadata, ref)
        if source is Source.EXECUTOR_INPUT:
            return json.dumps(self.executor_input(), ensure_ascii=False)
        uri = f"{self.root}/{name or _EXECUTOR_OUTPUT}"
        return uri if source is Source.OUTPUT_URI else self._path(uri)

    def _input_text(self, name: str) -> str:
        declared = self.component.parameters.get(name)
        # One without a value is null, as in kfp's local runner: in the JSON of a request it means not given.
        return as_text(self.inputs.parameters.get(name), "STRING" if declared is None else declared.type)

    def _is_default(self, name: str) -> bool:
        declared, value = self.component.parameters.get(name), self.inputs.parameters.get(name)
        return declared is not None and value is not None and value == fill_run_names(declared.default, self.run)

    def _text_in_default(self, ref: Ref) -> str:
        return self._input_text(ref.name) if ref.source is Source.INPUT else self.text(ref)

    def executor_input(self) -> dict[str, Any]:
        """``ExecutorInput`` in JSON, with the paths of this machine."""
        component = self.component
        inputs: dict[str, Any] = {}
        if self.inputs.parameters:
            declared = {name: value for name, value in self.inputs.parameters.items() if name in component.parameters}
            inputs["parameterValues"] = {
                name: float(value) if component.parameters[name].type == "NUMBER_DOUBLE" else value
                for name, value in declared.items()
            }
        if self.inputs.artifacts:
            inputs["artifacts"] = {
                name: self._artifact_list(artifacts, component.artifacts[name].schema)
                for name, artifacts in self.inputs.artifacts.items()
                if name in component.artifacts
            }
        outputs: dict[str, Any] = {"outputFile": self._path(f"{self.root}/{_EXECUTOR_OUTPUT}")}
        if component.output_parameters:
            outputs["parameters"] = {
                name: {"outputFile": self._path(f"{self.root}/{name}")} for name in component.output_parameters
            }
        if component.output_artifacts:
            outputs["artifacts"] = {
                name: self._artifact_list((self._new_artifact(kind),), kind.schema)
                for name, kind in component.output_artifacts.items()
            }
        return {"inputs": inputs, "outputs": outputs}

    def write_output(self, path: str, text: str) -> None:
        """Write the file of an output parameter in the place of a container.

        :param path: as a container sees it.
        :raises ContainerError: if it is no file of a bucket, or cannot be written.
        """
        uri = MOUNT.uri(self.buckets.uri(path))
        if uri == path:
            raise ContainerError(f'"{path[:200]}" is no file in a bucket.')
        file = Path(self._host_path(uri))
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        except OSError as error:
            raise ContainerError(f'"{path[:200]}" cannot be written: {error.strerror}.') from None

    def read(self) -> Outputs:
        """Read the outputs that the container has written. A declared parameter that it has not written is left out.

        :raises ContainerError: if something cannot be read, is too large, or is not of the declared type.
        """
        written = self._executor_output()
        values, lists = written.get("parameterValues", {}), written.get("artifacts", {})
        parameters = {}
        for name, parameter in self.component.output_parameters.items():
            # A file of its own goes before the executor output, as in kfp's local runner.
            text = _file_text(self._host_path(f"{self.root}/{name}"), f'the output "{name}"')
            value = values.get(name) if text is None else _parsed(text, parameter)
            if value is None:
                continue
            if fault := type_fault(value, parameter):
                raise ContainerError(f'The output "{name}" {fault}')
            parameters[name] = value
        artifacts: dict[str, Artifacts] = {}
        for name, kind in self.component.output_artifacts.items():
            artifact = self._new_artifact(kind)
            self._update(artifact, lists.get(name, {}))
            artifacts[name] = (artifact,)
        return Outputs(parameters, artifacts)

    def imported(self, importer: Importer) -> Message:
        """The artifact that an importer makes.

        :raises ContainerError: if its URI is no text.
        """
        (kind,) = self.component.output_artifacts.values()
        artifact = self._new_artifact(kind)
        uri = self.inputs.parameters.get(importer.parameter) if importer.parameter else render(importer.uri, self.text)
        if not isinstance(uri, str):
            raise ContainerError(f'The importer\'s URI, the input "{importer.parameter}", has no value.')
        artifact.uri = uri
        artifact.metadata.update(self._filled(importer.metadata))
        return artifact

    def _filled(self, value: Any) -> Any:
        if isinstance(value, str):
            return render(parse(value), self.text)
        if isinstance(value, list):
            return [self._filled(item) for item in value]
        if isinstance(value, dict):
            return {self._filled(key): self._filled(item) for key, item in value.items()}
        return value

    def _artifact_list(self, artifacts: Artifacts, schema: Mapping[str, str]) -> dict[str, Any]:
        return {
            "artifacts": [
                {
                    "name": artifact.name,
                    "type": dict(schema),
                    # kfp's executor makes the path of a gs:// URI itself, and it is one below /gcs.
                    "uri": artifact.uri if self.seen is MOUNT else self._path(artifact.uri),
                    "metadata": to_json(artifact.metadata),
                }
                for artifact in artifacts
            ]
        }

    def _new_artifact(self, kind: ArtifactType) -> Message:
        job = self.run["pipeline_job_resource_name"]
        parent = job.rpartition(f"/{names.PIPELINE_JOBS}/")[0]
        # The task's number and the output's name make it the same one in the executor input and in the detail.
        name = names.artifact(parent, f"{self.run['pipeline_task_uuid']}-{kind.name}")
        artifact = Artifact(
            name=name,
            display_name=kind.name,
            uri=f"{self.root}/{kind.name}",
            schema_title=kind.schema.get("schemaTitle", ""),
            schema_version=kind.schema.get("schemaVersion", ""),
            state=_LIVE,
        )
        artifact.metadata.update(kind.metadata)
        return artifact

    def _update(self, artifact: Message, written: Mapping[str, Any]) -> None:
        try:
            for data in written.get("artifacts", [])[:1]:
                if data.get("uri"):
                    artifact.uri = MOUNT.uri(self.buckets.uri(data["uri"]))
                artifact.metadata.update(data.get("metadata") or {})
        except (TypeError, ValueError, AttributeError):
            raise ContainerError(
                f'The output artifact "{artifact.display_name}" in {_EXECUTOR_OUTPUT} is of another form.'
            ) from None

    def _executor_output(self) -> dict[str, Any]:
        if not self.component.has_outputs:
            return {}
        text = _file_text(self._host_path(f"{self.root}/{_EXECUTOR_OUTPUT}"), _EXECUTOR_OUTPUT)
        if text is None:
            return {}
        try:
            data = parse_json(text.encode())
        except ValueError as error:
            raise ContainerError(f"The container wrote an {_EXECUTOR_OUTPUT} that is no JSON: {error}.") from None
        parts = (
            (data, data.get("parameterValues", {}), data.get("artifacts", {})) if isinstance(data, dict) else (data,)
        )
        if not all(isinstance(part, dict) for part in parts):
            raise ContainerError(f"The container wrote an {_EXECUTOR_OUTPUT} that is no ExecutorOutput.")
        return dict(data)

    def _present(self, name: str) -> bool:
        return name in self.inputs.parameters or name in self.inputs.artifacts

    def _path(self, uri: str) -> str:
        return _path(self.seen, uri)

    def _host_path(self, uri: str) -> str:
        return _path(self.buckets, uri)


def _path(buckets: Buckets, uri: str) -> str:
    try:
        return buckets.path(uri)
    except ValueError as error:
        raise ContainerError(f"{error}.") from None


def _metadata(fields: Mapping[str, Any], ref: Ref) -> str:
    if not ref.key:
        return as_text(fields, "STRUCT")
    if ref.key not in fields:
        raise ContainerError(f'The metadata of the artifact "{ref.name}" has no "{ref.key}".')
    return as_text(fields[ref.key], "STRING")


def _parsed(text: str, parameter: Parameter) -> Any:
    if parameter.type == "STRING":
        return text
    try:
        return parse_json((text.lower() if parameter.type == "BOOLEAN" else text).encode())
    except ValueError as error:
        raise ContainerError(
            f'The output "{parameter.name}" must be a {parameter.type} in JSON; its file holds {text[:100]!r}: {error}.'
        ) from None


def _file_text(path: str, what: str) -> str | None:
    """A file that a container wrote; None if there is none. Anything but a file that can be read is an error."""
    try:
        # Without O_NONBLOCK a named pipe would stop the emulator.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise ContainerError(f"The file of {what} cannot be read: {error.strerror}.") from None
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ContainerError(f"The file of {what} is no regular file.")
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            data = file.read(LARGEST_OUTPUT + 1)
    finally:
        os.close(descriptor)
    if len(data) > LARGEST_OUTPUT:
        raise ContainerError(
            f"The file of {what} is larger than {LARGEST_OUTPUT} bytes; write large data as an artifact."
        )
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise ContainerError(f"The file of {what} is no UTF-8 text.") from None
