"""A PipelineSpec 2.1.0, checked and read into the :mod:`.graph` that the engine runs.

What it runs: container executors and importers; nested DAGs; loops over parameters and artifacts, with a limit, and
what is collected from them; parameters and artifacts, in and out, also of the whole pipeline; ``dependentTasks``;
constants, component inputs, parts of them (``parseJson(string_value)["a"]``), other tasks' outputs and final statuses
as arguments; conditions; both trigger strategies (so exit handlers); retry policies, also of nested DAGs; caching; the
placeholders of :mod:`.placeholders`. A task waits for the tasks whose outputs it takes, named in ``dependentTasks`` or
not (``pipeline_spec.proto``).

What it refuses at create, by name and with the field's path: resolvers, custom job executors, lists of artifacts that
one container makes, other parameter expressions, lifecycle hooks and downloads to a workspace. Nothing is skipped
silently, with two exceptions that change no result: ``resources`` are accepted, and a process may use what the machine
has; ``cachingOptions`` of a nested DAG or loop are accepted, and its tasks have their own.
"""

from __future__ import annotations

import graphlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_kedro_vertex.emulator.spec import conditions, placeholders
from airflow_provider_kedro_vertex.emulator.spec.conditions import Condition, ConditionError
from airflow_provider_kedro_vertex.emulator.spec.container import (
    CHANNEL,
    MACHINE_INPUTS,
    read_executor,
    refs,
    texts_in,
)
from airflow_provider_kedro_vertex.emulator.spec.findings import SPEC_PATH, Findings
from airflow_provider_kedro_vertex.emulator.spec.graph import (
    NO_RETRY,
    PARAMETER_TYPES,
    Argument,
    ArtifactArgument,
    ArtifactType,
    Component,
    ComponentInput,
    Constant,
    Container,
    Dag,
    FinalStatus,
    Loop,
    Parameter,
    Pipeline,
    Retry,
    Task,
    TaskOutput,
    type_fault,
)
from airflow_provider_kedro_vertex.emulator.spec.placeholders import Source
from airflow_provider_kedro_vertex.emulator.spec.schema import normalise

SCHEMA_VERSION = "2.1.0"
DEEPEST = 50
"""The most DAGs that may be nested."""
MOST_TASKS = 10_000
"""The most tasks of one job, each nested DAG counted as often as it is used."""

# The one form of a parameterExpressionSelector that kfp writes: parts of a loop's item.
_PART = re.compile(r"""parseJson\(string_value\)((?:\[(?:"[^"]*"|'[^']*'|[0-9]{1,9})\])+)""")
_KEY = re.compile(r"""\[(?:"([^"]*)"|'([^']*)'|([0-9]+))\]""")
_LEGACY_TYPES = {"INT": "NUMBER_INTEGER", "DOUBLE": "NUMBER_DOUBLE", "STRING": "STRING"}


def read_pipeline(spec: Any) -> Pipeline:
    """Read a spec as it comes out of a Struct's JSON.

    :raises ApiError: INVALID_ARGUMENT with each field that is wrong, or UNIMPLEMENTED with each feature not run.
    """
    findings = Findings()
    checked = normalise(spec, "PipelineSpec", SPEC_PATH, findings.faults)
    findings.refuse()
    return _Reader(checked, findings).pipeline()


@dataclass(frozen=True)
class _Scope:
    """The names that the tasks of one DAG may refer to: the inputs of the component around them, and each other."""

    around: Component
    tasks: Mapping[str, Component]


@dataclass
class _Reader:
    """Walks a checked spec. To read and to judge are one: what cannot be looked up is a finding."""

    spec: dict[str, Any]
    findings: Findings
    inside: list[str] = field(default_factory=list)
    done: dict[str, Component] = field(default_factory=dict)

    def pipeline(self) -> Pipeline:
        version = self.spec.get("schemaVersion", "")
        if version != SCHEMA_VERSION:
            self.findings.wrong(
                f"{SPEC_PATH}.schema_version", f'"{version[:50]}" is not {SCHEMA_VERSION}, the only one that is run.'
            )
        name = self.spec.get("pipelineInfo", {}).get("name", "")
        if not name:
            self.findings.wrong(f"{SPEC_PATH}.pipeline_info.name", "is required.")
        root = self.spec.get("root")
        if root is None or "dag" not in root:
            self.findings.wrong(f"{SPEC_PATH}.root.dag", "is required.")
            root = {"dag": {}}
        component = self._component("root", root, f"{SPEC_PATH}.root")
        if _tasks_in(component, {}) > MOST_TASKS:
            self.findings.wrong(f"{SPEC_PATH}.root.dag", f"has more than {MOST_TASKS} tasks in all.")
        self.findings.refuse()
        return Pipeline(name, component, self.spec.get("defaultPipelineRoot", ""))

    # Components and their interfaces.

    def _component(self, name: str, data: dict[str, Any], path: str) -> Component:
        inputs, outputs = data.get("inputDefinitions", {}), data.get("outputDefinitions", {})
        interface = Component(
            name,
            self._each(inputs, "parameters", f"{path}.input_definitions", self._parameter),
            Dag({}),
            self._each(inputs, "artifacts", f"{path}.input_definitions", self._artifact),
            self._each(outputs, "parameters", f"{path}.output_definitions", self._parameter),
            self._each(outputs, "artifacts", f"{path}.output_definitions", self._artifact),
        )
        executors = self.spec.get("deploymentSpec", {}).get("executors", {})
        body = (
            self._dag(data["dag"], interface, f"{path}.dag")
            if "dag" in data
            else read_executor(executors, data.get("executorLabel", ""), interface, path, self.findings)
        )
        if isinstance(body, Container):
            for artifact, declared in interface.output_artifacts.items():
                if declared.is_list:
                    at = f"{path}.output_definitions.artifacts.{artifact}"
                    self.findings.not_run(at, "lists of artifacts that one container makes")
        return Component(
            name,
            interface.parameters,
            body,
            interface.artifacts,
            interface.output_parameters,
            interface.output_artifacts,
        )

    def _each(
        self, data: dict[str, Any], kind: str, path: str, read: Callable[[str, dict[str, Any], str], Any]
    ) -> dict[str, Any]:
        return {key: read(key, value, f"{path}.{kind}.{key}") for key, value in data.get(kind, {}).items()}

    def _parameter(self, name: str, data: dict[str, Any], path: str) -> Parameter:
        kind = data.get("parameterType") or _LEGACY_TYPES.get(data.get("type", ""), "")
        if kind == "TASK_CONFIG":
            self.findings.not_run(path, f"parameters of type {kind}")
            kind = "STRUCT"
        elif kind not in PARAMETER_TYPES:
            self.findings.wrong(path, "needs a parameterType.")
            kind = "STRING"
        default = data.get("defaultValue")
        parameter = Parameter(
            name, kind, data.get("isOptional", False) or default is not None, default, tuple(data.get("literals", ()))
        )
        if default is not None and (fault := type_fault(default, parameter)):
            self.findings.wrong(f"{path}.default_value", fault)
        return parameter

    def _artifact(self, name: str, data: dict[str, Any], path: str) -> ArtifactType:
        for key in ("properties", "customProperties"):
            if data.get(key):
                self.findings.not_run(f"{path}.{key}", "properties of schema 2.0.0")
        return ArtifactType(
            name,
            data.get("artifactType", {}),
            data.get("isOptional", False),
            data.get("metadata") or {},
            data.get("isArtifactList", False),
        )

    def _referenced(self, name: str, path: str) -> Component:
        if name in self.inside:
            self.findings.wrong(path, f'the component "{name[:100]}" contains itself.')
        elif name in self.done:
            return self.done[name]
        elif len(self.inside) >= DEEPEST:
            self.findings.wrong(path, f"more than {DEEPEST} DAGs stand inside each other.")
        elif name not in self.spec.get("components", {}):
            self.findings.wrong(path, f'there is no component "{name[:100]}".')
        else:
            self.inside.append(name)
            self.done[name] = self._component(name, self.spec["components"][name], f"{SPEC_PATH}.components.{name}")
            self.inside.pop()
            return self.done[name]
        return Component(name, {}, Dag({}))

    # DAGs and their tasks.

    def _dag(self, data: dict[str, Any], around: Component, path: str) -> Dag:
        given = data.get("tasks", {})
        scope = _Scope(
            around,
            {
                name: self._referenced(
                    task.get("componentRef", {}).get("name", ""), f"{path}.tasks.{name}.component_ref.name"
                )
                # A Struct has no order; by name, a spec gives the same graph each time.
                for name, task in sorted(given.items())
            },
        )
        tasks = {name: self._task(name, given[name], scope, f"{path}.tasks.{name}") for name in scope.tasks}
        try:
            order = list(
                graphlib.TopologicalSorter({name: sorted(task.upstream) for name, task in tasks.items()}).static_order()
            )
        except graphlib.CycleError as error:
            self.findings.wrong(
                f"{path}.tasks", f"the tasks wait for each other in a circle: {' -> '.join(error.args[1])}."
            )
            order = list(tasks)
        parameters, artifacts = self._dag_outputs(data.get("outputs", {}), scope, f"{path}.outputs")
        # Unknown upstream tasks are faults of their own, and no tasks.
        return Dag({name: tasks[name] for name in order if name in tasks}, parameters, artifacts)

    def _dag_outputs(
        self, data: dict[str, Any], scope: _Scope, path: str
    ) -> tuple[dict[str, tuple[TaskOutput, ...]], dict[str, tuple[TaskOutput, ...]]]:
        parameters, artifacts = {}, {}
        for name, output in data.get("parameters", {}).items():
            at = f"{path}.parameters.{name}"
            self._declared(name, scope.around.output_parameters, scope.around, "output", at)
            selectors = output.get("valueFromOneof", {}).get("parameterSelectors", [])
            if "valueFromParameter" in output:
                selectors = [output["valueFromParameter"]]
            parameters[name] = tuple(
                self._output(
                    item.get("producerSubtask", ""), item.get("outputParameterKey", ""), "parameter", scope, at
                )
                for item in selectors
            )
        for name, output in data.get("artifacts", {}).items():
            at = f"{path}.artifacts.{name}"
            self._declared(name, scope.around.output_artifacts, scope.around, "output", at)
            artifacts[name] = tuple(
                self._output(one.get("producerSubtask", ""), one.get("outputArtifactKey", ""), "artifact", scope, at)
                for one in output.get("artifactSelectors", [])
            )
        return parameters, artifacts

    def _task(self, name: str, data: dict[str, Any], scope: _Scope, path: str) -> Task:
        component = scope.tasks[name]
        dependent = data.get("dependentTasks", [])
        for other in dependent:
            if other not in scope.tasks:
                self.findings.wrong(f"{path}.dependent_tasks", f'there is no task "{other[:100]}" in this DAG.')
        trigger, caching = data.get("triggerPolicy", {}), data.get("cachingOptions", {})
        inputs = data.get("inputs", {})
        loop = self._loop(data, component, inputs, path)
        items = () if loop is None else (loop.item,)
        arguments = self._arguments(inputs.get("parameters", {}), component, scope, items, f"{path}.inputs")
        artifacts = self._artifact_arguments(inputs.get("artifacts", {}), component, scope, items, f"{path}.inputs")
        producers = (
            argument.task
            for argument in (*arguments.values(), *artifacts.values())
            if isinstance(argument, (TaskOutput, FinalStatus)) and argument.task in scope.tasks
        )
        return Task(
            name,
            component,
            arguments,
            tuple(dict.fromkeys((*dependent, *producers))),
            trigger.get("strategy") == "ALL_UPSTREAM_TASKS_COMPLETED",
            _retry(data.get("retryPolicy", {})),
            artifacts,
            self._condition(trigger.get("condition", ""), arguments, component, f"{path}.trigger_policy.condition"),
            caching.get("enableCache", False),
            caching.get("cacheKey", ""),
            loop,
        )

    def _loop(
        self, data: dict[str, Any], component: Component, inputs: Mapping[str, Mapping[str, Any]], path: str
    ) -> Loop | None:
        limit = data.get("iteratorPolicy", {}).get("parallelismLimit", 0)
        if limit < 0:
            self.findings.wrong(f"{path}.iterator_policy.parallelism_limit", "must not be negative.")
        artifacts = "artifactIterator" in data
        if not artifacts and "parameterIterator" not in data:
            if "iteratorPolicy" in data:
                self.findings.wrong(f"{path}.iterator_policy", "the task has no iterator.")
            return None
        kind, source_key = ("artifact", "inputArtifact") if artifacts else ("parameter", "inputParameter")
        iterator, at = data[f"{kind}Iterator"], f"{path}.{kind}_iterator"
        item, given = iterator.get("itemInput", ""), iterator.get("items", {})
        if component.name in self.done:
            known = component.artifacts if artifacts else component.parameters
            self._declared(item, known, component, "input", f"{at}.item_input")
        if "raw" in given:
            return Loop(item, None, self._raw_items(given["raw"], f"{at}.items.raw"), limit=limit)
        source = given.get(source_key, "")
        if source not in inputs.get(f"{kind}s", {}):
            self.findings.wrong(f"{at}.items", f'the task has no input {kind} "{source[:100]}".')
        return Loop(item, source, artifacts=artifacts, limit=limit)

    def _raw_items(self, text: str, path: str) -> tuple[Any, ...]:
        try:
            items = json.loads(text)
        except (ValueError, RecursionError):
            items = None
        if not isinstance(items, list):
            self.findings.wrong(path, "must be a list in JSON.")
            return ()
        return tuple(items)

    def _condition(
        self, text: str, arguments: Mapping[str, Argument], component: Component, path: str
    ) -> Condition | None:
        if not text:
            return None
        try:
            condition = conditions.parse(text)
        except ConditionError as error:
            self.findings.wrong(path, f"the condition {text[:200]!r} cannot be run: {error}.")
            return None
        for name in condition.inputs:
            if name not in arguments and name not in component.parameters:
                self.findings.wrong(path, f'the condition names an input "{name[:100]}" that the task does not have.')
        return condition

    # Arguments.

    def _arguments(
        self, given: dict[str, Any], component: Component, scope: _Scope, items: tuple[str, ...], path: str
    ) -> dict[str, Argument]:
        arguments: dict[str, Argument] = {}
        for name, source in given.items():
            at = f"{path}.parameters.{name}"
            if not name.startswith(CHANNEL) and name not in MACHINE_INPUTS and component.name in self.done:
                self._declared(name, component.parameters, component, "input", at)
            argument = self._argument(source, scope, at)
            if argument is None:
                continue
            arguments[name] = argument
            if isinstance(argument, Constant):
                for text in texts_in(argument.value):
                    self._constant_text(text, given, at)
                self._check_constant(argument.value, component.parameters.get(name), at)
        self._required(component.parameters, {*given, *items}, component, f"{path}.parameters")
        return arguments

    def _argument(self, source: dict[str, Any], scope: _Scope, path: str) -> Argument | None:
        keys = self._keys(source.get("parameterExpressionSelector", ""), f"{path}.parameter_expression_selector")
        if keys and not ("componentInputParameter" in source or "taskOutputParameter" in source):
            self.findings.not_run(f"{path}.parameter_expression_selector", "parts of constants and final statuses")
        if "componentInputParameter" in source:
            return self._component_input(source["componentInputParameter"], scope.around.parameters, path, keys)
        if "runtimeValue" in source:
            value = source["runtimeValue"]
            if "constant" in value:
                return Constant(value["constant"])
            if value.get("constantValue"):
                return Constant(next(iter(value["constantValue"].values())))
            self.findings.not_run(f"{path}.runtime_value", "runtime parameters of schema 2.0.0")
        elif "taskOutputParameter" in source:
            output = source["taskOutputParameter"]
            at, producer = f"{path}.task_output_parameter", output.get("producerTask", "")
            return self._output(producer, output.get("outputParameterKey", ""), "parameter", scope, at, keys)
        elif "taskFinalStatus" in source:
            producer = source["taskFinalStatus"].get("producerTask", "")
            if producer not in scope.tasks:
                self.findings.wrong(f"{path}.task_final_status", f'there is no task "{producer[:100]}" in this DAG.')
            return FinalStatus(producer)
        else:
            self.findings.wrong(path, "has no source.")
        return None

    def _keys(self, expression: str, path: str) -> tuple[str | int, ...]:
        if not expression:
            return ()
        match = _PART.fullmatch(expression)
        if match is None:
            self.findings.not_run(path, f'the parameter expression "{expression[:100]}"')
            return ()
        return tuple(int(number) if number else double or single for double, single, number in _KEY.findall(match[1]))

    def _artifact_arguments(
        self, given: dict[str, Any], component: Component, scope: _Scope, items: tuple[str, ...], path: str
    ) -> dict[str, ArtifactArgument]:
        arguments: dict[str, ArtifactArgument] = {}
        for name, source in given.items():
            at = f"{path}.artifacts.{name}"
            if not name.startswith(CHANNEL) and component.name in self.done:
                self._declared(name, component.artifacts, component, "input", at)
            if "componentInputArtifact" in source:
                arguments[name] = self._component_input(source["componentInputArtifact"], scope.around.artifacts, at)
            elif "taskOutputArtifact" in source:
                output = source["taskOutputArtifact"]
                at, producer = f"{at}.task_output_artifact", output.get("producerTask", "")
                arguments[name] = self._output(producer, output.get("outputArtifactKey", ""), "artifact", scope, at)
            else:
                self.findings.wrong(at, "has no source.")
        self._required(component.artifacts, {*given, *items}, component, f"{path}.artifacts")
        return arguments

    def _required(
        self, inputs: Mapping[str, Parameter | ArtifactType], given: set[str], component: Component, path: str
    ) -> None:
        for name, declared in inputs.items():
            if name not in given and not declared.optional:
                self.findings.wrong(path, f'the input "{name}" of "{component.name}" is required.')

    def _component_input(
        self, name: str, known: Mapping[str, Any], path: str, keys: tuple[str | int, ...] = ()
    ) -> ComponentInput:
        if name not in known:
            self.findings.wrong(path, f'the component around this task has no input "{name[:100]}".')
        return ComponentInput(name, keys)

    def _output(
        self, task: str, name: str, kind: str, scope: _Scope, path: str, keys: tuple[str | int, ...] = ()
    ) -> TaskOutput:
        if task not in scope.tasks:
            self.findings.wrong(path, f'there is no task "{task[:100]}" in this DAG.')
        else:
            component = scope.tasks[task]
            known = component.output_parameters if kind == "parameter" else component.output_artifacts
            if name not in known and component.name in self.done:
                self.findings.wrong(path, f'the task "{task[:100]}" has no output {kind} "{name[:100]}".')
        return TaskOutput(task, name, keys)

    def _declared(self, name: str, known: Mapping[str, Any], component: Component, what: str, path: str) -> None:
        if name not in known:
            self.findings.wrong(path, f'the component "{component.name}" has no such {what}.')

    def _check_constant(self, value: Any, parameter: Parameter | None, path: str) -> None:
        if parameter is None or value is None:
            return
        if isinstance(value, str) and "{{$" in value:
            return  # its type is known when it is filled
        if fault := type_fault(value, parameter):
            self.findings.wrong(path, fault)

    def _constant_text(self, text: str, given: Mapping[str, Any], path: str) -> None:
        for ref in refs(placeholders.parse, text, path, self.findings):
            if ref.source is Source.INPUT and ref.name not in given:
                self.findings.wrong(path, f'the placeholder names an input "{ref.name[:100]}" that does not exist.')
            elif ref.source not in (Source.INPUT, Source.RUN):
                self.findings.not_run(path, f"a placeholder for {ref.source.value}, in an argument,")


def _retry(data: dict[str, Any]) -> Retry:
    if not data:
        return NO_RETRY
    # The defaults of backoff are those written in pipeline_spec.proto.
    return Retry(
        max(data.get("maxRetryCount", 0), 0),
        data.get("backoffDuration", 0.0),
        data.get("backoffFactor") or 2.0,
        data.get("backoffMaxDuration") or 3600.0,
    )


def _tasks_in(component: Component, known: dict[int, int]) -> int:
    """Count the tasks of a component, at every depth."""
    if not isinstance(component.body, Dag):
        return 0
    if id(component) not in known:
        known[id(component)] = sum(1 + _tasks_in(task.component, known) for task in component.body.tasks.values())
    return known[id(component)]
