"""A PipelineSpec 2.1.0 read into a graph that the engine can run.

What it runs: container executors, nested DAGs with input parameters, ``dependentTasks``, constants and component inputs
as arguments, both trigger strategies and the final status of a task (so exit handlers), retry policies, the
placeholders of :mod:`.placeholders`.

What it refuses at create, by name, with UNIMPLEMENTED: loops, conditions, importers, resolvers, custom job executors,
artifacts, output parameters, parameter expressions, cache keys and lifecycle hooks. Nothing is skipped
silently, with one exception that changes no result: ``enableCache`` and ``resources`` are accepted, every run is a
cache miss, and a process may use what the machine has.
"""

from __future__ import annotations

import graphlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_kedro_vertex.emulator import placeholders
from airflow_provider_kedro_vertex.emulator.errors import ApiError, Code, Violation, invalid_argument
from airflow_provider_kedro_vertex.emulator.pipeline_schema import normalise
from airflow_provider_kedro_vertex.emulator.placeholders import PlaceholderError, Template

SCHEMA_VERSION = "2.1.0"
SPEC_PATH = "pipeline_job.pipeline_spec"

# An f-string in kfp's DSL becomes a constant that names such an input, which the component itself does not declare.
_CHANNEL = "pipelinechannel--"
_JSON_TYPES: Mapping[str, tuple[type, ...]] = {
    "STRING": (str,),
    "NUMBER_INTEGER": (int, float),
    "NUMBER_DOUBLE": (int, float),
    "BOOLEAN": (bool,),
    "LIST": (list,),
    "STRUCT": (dict,),
    "TASK_FINAL_STATUS": (dict,),
}
_LEGACY_TYPES = {"INT": "NUMBER_INTEGER", "DOUBLE": "NUMBER_DOUBLE", "STRING": "STRING"}


@dataclass(frozen=True)
class Parameter:
    """An input that a component declares."""

    name: str
    type: str
    optional: bool
    default: Any
    literals: tuple[Any, ...]


@dataclass(frozen=True)
class Constant:
    """An argument that stands in the spec; its texts may hold placeholders over the task's other arguments."""

    value: Any


@dataclass(frozen=True)
class ComponentInput:
    """An argument that is an input of the component around the task."""

    name: str


@dataclass(frozen=True)
class FinalStatus:
    """An argument that is how another task of the DAG ended."""

    task: str


Argument = Constant | ComponentInput | FinalStatus


@dataclass(frozen=True)
class Container:
    """One container executor."""

    image: Template
    command: tuple[Template, ...]
    args: tuple[Template, ...]
    env: tuple[tuple[str, Template], ...]


@dataclass(frozen=True)
class Dag:
    """Tasks by name, each after all that it waits for."""

    tasks: Mapping[str, Task]


@dataclass(frozen=True)
class Component:
    """A component: its inputs, and what runs."""

    name: str
    parameters: Mapping[str, Parameter]
    body: Container | Dag


@dataclass(frozen=True)
class Retry:
    """Tries after the first one, and the seconds before each: first, first * factor, ... up to longest."""

    limit: int
    first: float
    factor: float
    longest: float

    def delay(self, failures: int) -> float:
        """Seconds to wait after this many failures."""
        return float(min(self.first * self.factor ** min(failures - 1, 100), self.longest))


NO_RETRY = Retry(0, 0.0, 1.0, 0.0)


@dataclass(frozen=True)
class Task:
    """One task of a DAG.

    ``after_failures`` is the strategy ALL_UPSTREAM_TASKS_COMPLETED: it runs whatever became of its upstream tasks.
    """

    name: str
    component: Component
    arguments: Mapping[str, Argument]
    upstream: tuple[str, ...]
    after_failures: bool
    retry: Retry


@dataclass(frozen=True)
class Pipeline:
    """A whole pipeline."""

    name: str
    root: Component
    default_root: str


def read_pipeline(spec: Any) -> Pipeline:
    """Read a spec as it comes out of a Struct's JSON.

    :raises ApiError: INVALID_ARGUMENT with each field that is wrong, UNIMPLEMENTED with each feature that is not run.
    """
    faults: list[Violation] = []
    checked = normalise(spec, "PipelineSpec", SPEC_PATH, faults)
    if faults:
        raise invalid_argument(*faults)
    return _Reader(checked).pipeline()


def bind(component: Component, given: Mapping[str, Any], path: str) -> dict[str, Any]:
    """Give each input of a component its value: the one given, or its default. An optional one without either is None.

    :raises ApiError: INVALID_ARGUMENT for an unknown name, a missing value or a wrong type.
    """
    faults = []
    for name in given:
        if name not in component.parameters:
            known = ", ".join(component.parameters) or "none"
            faults.append(
                Violation(f"{path}.{name}", f"the pipeline has no input parameter of this name; it has: {known}.")
            )
    values: dict[str, Any] = {}
    for name, parameter in component.parameters.items():
        value = given.get(name)
        if value is None:
            value = parameter.default
        if value is None:
            if not parameter.optional:
                faults.append(Violation(f"{path}.{name}", f"this input parameter ({parameter.type}) is required."))
            values[name] = None
            continue
        fault = type_fault(value, parameter)
        if fault:
            faults.append(Violation(f"{path}.{name}", fault))
        values[name] = value
    if faults:
        raise invalid_argument(*faults)
    return values


def type_fault(value: Any, parameter: Parameter) -> str:
    """Why a value is not one for this parameter; empty if it is."""
    right = isinstance(value, _JSON_TYPES[parameter.type])
    if isinstance(value, bool) and parameter.type != "BOOLEAN":
        right = False
    if right and parameter.type == "NUMBER_INTEGER" and not float(value).is_integer():
        right = False
    if not right:
        return f"must be a {parameter.type}, not {type(value).__name__}."
    if parameter.literals and value not in parameter.literals:
        return f"must be one of {', '.join(map(repr, parameter.literals))}."
    return ""


def constant_texts(value: Any) -> Iterator[str]:
    """Every text inside a constant, where a placeholder may stand."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from constant_texts(item)
    elif isinstance(value, dict):
        for item in value.values():
            yield from constant_texts(item)


@dataclass
class _Reader:
    """Walks a checked spec; gathers what is wrong and what is not run, so that one answer tells all."""

    spec: dict[str, Any]
    faults: list[Violation] = field(default_factory=list)
    not_run: list[Violation] = field(default_factory=list)
    inside: list[str] = field(default_factory=list)
    done: dict[str, Component] = field(default_factory=dict)

    def pipeline(self) -> Pipeline:
        version = self.spec.get("schemaVersion", "")
        if version != SCHEMA_VERSION:
            self._fault("schema_version", f'"{version[:50]}" is not {SCHEMA_VERSION}, the only one that is run.')
        name = self.spec.get("pipelineInfo", {}).get("name", "")
        if not name:
            self._fault("pipeline_info.name", "is required.")
        root = self.spec.get("root")
        if root is None or "dag" not in root:
            self._fault("root.dag", "is required.")
            root = {"dag": {}}
        component = self._component("root", root, f"{SPEC_PATH}.root")
        if self.faults:
            raise invalid_argument(*self.faults)
        if self.not_run:
            shown = "\n".join(f"{v.field}: {v.description}" for v in self.not_run[:20])
            raise ApiError(
                Code.UNIMPLEMENTED, f"This emulator does not run all of the pipeline:\n{shown}", self.not_run
            )
        return Pipeline(name, component, self.spec.get("defaultPipelineRoot", ""))

    def _component(self, name: str, data: dict[str, Any], path: str) -> Component:
        inputs = data.get("inputDefinitions", {})
        for artifact in inputs.get("artifacts", {}):
            self._not_run(f"{path}.input_definitions.artifacts.{artifact}", "input artifacts")
        outputs = data.get("outputDefinitions", {})
        for kind in ("artifacts", "parameters"):
            for output in outputs.get(kind, {}):
                self._not_run(f"{path}.output_definitions.{kind}.{output}", f"output {kind}")
        declared = {
            key: self._parameter(key, value, f"{path}.input_definitions.parameters.{key}")
            for key, value in inputs.get("parameters", {}).items()
        }
        body: Container | Dag
        if "dag" in data:
            body = self._dag(data["dag"], declared, f"{path}.dag")
        else:
            body = self._container(data.get("executorLabel", ""), declared, path)
        return Component(name, declared, body)

    def _parameter(self, name: str, data: dict[str, Any], path: str) -> Parameter:
        kind = data.get("parameterType") or _LEGACY_TYPES.get(data.get("type", ""), "")
        if kind == "TASK_CONFIG":
            self._not_run(path, f"parameters of type {kind}")
            kind = "STRUCT"
        elif kind not in _JSON_TYPES:
            self._fault_at(path, "needs a parameterType.")
            kind = "STRING"
        default = data.get("defaultValue")
        parameter = Parameter(
            name, kind, data.get("isOptional", False) or default is not None, default, tuple(data.get("literals", ()))
        )
        if default is not None and (fault := type_fault(default, parameter)):
            self._fault_at(f"{path}.default_value", fault)
        return parameter

    def _dag(self, data: dict[str, Any], around: Mapping[str, Parameter], path: str) -> Dag:
        for kind, outputs in data.get("outputs", {}).items():
            for output in outputs:
                self._not_run(f"{path}.outputs.{kind}.{output}", f"output {kind}")
        given = data.get("tasks", {})
        # A Struct has no order; by name, a spec gives the same graph each time.
        tasks = {
            name: self._task(name, task, given, around, f"{path}.tasks.{name}") for name, task in sorted(given.items())
        }
        try:
            order = list(
                graphlib.TopologicalSorter({name: sorted(task.upstream) for name, task in tasks.items()}).static_order()
            )
        except graphlib.CycleError as error:
            self._fault_at(f"{path}.tasks", f"the tasks wait for each other in a circle: {' -> '.join(error.args[1])}.")
            order = list(tasks)
        # Unknown upstream tasks are faults of their own, and no tasks.
        return Dag({name: tasks[name] for name in order if name in tasks})

    def _task(
        self, name: str, data: dict[str, Any], siblings: Mapping[str, Any], around: Mapping[str, Parameter], path: str
    ) -> Task:
        for key, what in (
            ("artifactIterator", "loops"), ("parameterIterator", "loops"), ("iteratorPolicy", "loops"),
        ):  # fmt: skip
            if key in data:
                self._not_run(path, f"{what} ({key})")
        trigger = data.get("triggerPolicy", {})
        if trigger.get("condition"):
            self._not_run(f"{path}.trigger_policy.condition", "conditions")
        if data.get("cachingOptions", {}).get("cacheKey"):
            self._not_run(f"{path}.caching_options.cache_key", "cache keys")
        upstream = data.get("dependentTasks", [])
        for other in upstream:
            if other not in siblings:
                self._fault_at(f"{path}.dependent_tasks", f'there is no task "{other[:100]}" in this DAG.')
        component = self._referenced(data.get("componentRef", {}).get("name", ""), f"{path}.component_ref.name")
        retry = data.get("retryPolicy", {})
        return Task(
            name,
            component,
            self._arguments(data.get("inputs", {}), component, around, upstream, f"{path}.inputs"),
            tuple(dict.fromkeys(upstream)),
            trigger.get("strategy") == "ALL_UPSTREAM_TASKS_COMPLETED",
            # The defaults of backoff are those written in pipeline_spec.proto.
            Retry(
                max(retry.get("maxRetryCount", 0), 0),
                retry.get("backoffDuration", 0.0),
                retry.get("backoffFactor") or 2.0,
                retry.get("backoffMaxDuration") or 3600.0,
            )
            if retry
            else NO_RETRY,
        )

    def _referenced(self, name: str, path: str) -> Component:
        if name in self.inside:
            self._fault_at(path, f'the component "{name[:100]}" contains itself.')
        elif name in self.done:
            return self.done[name]
        elif name not in self.spec.get("components", {}):
            self._fault_at(path, f'there is no component "{name[:100]}".')
        else:
            self.inside.append(name)
            self.done[name] = self._component(name, self.spec["components"][name], f"{SPEC_PATH}.components.{name}")
            self.inside.pop()
            return self.done[name]
        return Component(name, {}, Dag({}))

    def _arguments(
        self,
        data: dict[str, Any],
        component: Component,
        around: Mapping[str, Parameter],
        upstream: Sequence[str],
        path: str,
    ) -> dict[str, Argument]:
        for artifact in data.get("artifacts", {}):
            self._not_run(f"{path}.artifacts.{artifact}", "input artifacts")
        given = data.get("parameters", {})
        arguments: dict[str, Argument] = {}
        for name, source in given.items():
            at = f"{path}.parameters.{name}"
            if name not in component.parameters and not name.startswith(_CHANNEL) and component.name in self.done:
                self._fault_at(at, f'the component "{component.name}" has no such input.')
            argument = self._argument(source, around, upstream, at)
            if argument is None:
                continue
            arguments[name] = argument
            if isinstance(argument, Constant):
                for text in constant_texts(argument.value):
                    self._template(text, given, at)
                self._check_constant(argument.value, component.parameters.get(name), at)
        for name, parameter in component.parameters.items():
            if name not in given and not parameter.optional:
                self._fault_at(f"{path}.parameters", f'the input "{name}" of "{component.name}" is required.')
        return arguments

    def _argument(
        self, source: dict[str, Any], around: Mapping[str, Parameter], upstream: Sequence[str], path: str
    ) -> Argument | None:
        if source.get("parameterExpressionSelector"):
            self._not_run(f"{path}.parameter_expression_selector", "parameter expressions")
        if "componentInputParameter" in source:
            name = source["componentInputParameter"]
            if name not in around:
                self._fault_at(path, f'the component around this task has no input "{name[:100]}".')
            return ComponentInput(name)
        if "runtimeValue" in source:
            value = source["runtimeValue"]
            if "constant" in value:
                return Constant(value["constant"])
            if value.get("constantValue"):
                return Constant(next(iter(value["constantValue"].values())))
            self._not_run(f"{path}.runtime_value", "runtime parameters of schema 2.0.0")
        elif "taskOutputParameter" in source:
            self._not_run(f"{path}.task_output_parameter", "output parameters")
        elif "taskFinalStatus" in source:
            producer = source["taskFinalStatus"].get("producerTask", "")
            if producer not in upstream:
                self._fault_at(
                    f"{path}.task_final_status.producer_task", f'the task does not depend on a task "{producer[:100]}".'
                )
            return FinalStatus(producer)
        else:
            self._fault_at(path, "has no source.")
        return None

    def _check_constant(self, value: Any, parameter: Parameter | None, path: str) -> None:
        if parameter is None or value is None:
            return
        if isinstance(value, str) and any("{{$" in text for text in constant_texts(value)):
            return  # its type is known when it is filled
        if fault := type_fault(value, parameter):
            self._fault_at(path, fault)

    def _container(self, label: str, declared: Mapping[str, Parameter], path: str) -> Container:
        nothing = Container((), (), (), ())
        executors = self.spec.get("deploymentSpec", {}).get("executors", {})
        if label not in executors:
            self._fault_at(f"{path}.executor_label", f'there is no executor "{label[:100]}".')
            return nothing
        executor, at = executors[label], f"{SPEC_PATH}.deployment_spec.executors.{label}"
        for kind in ("importer", "resolver", "customJob"):
            if kind in executor:
                self._not_run(f"{at}.{kind}", f"{kind} executors")
                return nothing
        container = executor.get("container")
        if container is None or not container.get("image"):
            self._fault_at(f"{at}.container.image", "is required.")
            return nothing
        if container.get("lifecycle"):
            self._not_run(f"{at}.container.lifecycle", "lifecycle hooks")
        env = []
        for index, variable in enumerate(container.get("env", [])):
            name = variable.get("name", "")
            if not name.isidentifier() or not name.isascii():
                self._fault_at(f"{at}.container.env[{index}].name", f'"{name[:100]}" is no C identifier.')
            env.append(
                (name, self._template(variable.get("value", ""), declared, f"{at}.container.env[{index}].value"))
            )

        def texts(key: str) -> tuple[Template, ...]:
            return tuple(
                self._template(text, declared, f"{at}.container.{key}[{index}]")
                for index, text in enumerate(container.get(key, []))
            )

        return Container(
            self._template(container["image"], declared, f"{at}.container.image"),
            texts("command"),
            texts("args"),
            tuple(env),
        )

    def _template(self, text: str, known: Mapping[str, Any], path: str) -> Template:
        try:
            template = placeholders.parse(text)
        except PlaceholderError as error:
            if error.known:
                self._not_run(path, f"the placeholder {error}")
            else:
                self._fault_at(path, f"there is no placeholder {error}.")
            return ()
        for name in placeholders.parameters(template):
            if name not in known:
                self._fault_at(path, f'the placeholder names an input "{name[:100]}" that does not exist.')
        return template

    def _fault(self, where: str, what: str) -> None:
        self._fault_at(f"{SPEC_PATH}.{where}", what)

    def _fault_at(self, path: str, what: str) -> None:
        self.faults.append(Violation(path, what))

    def _not_run(self, path: str, what: str) -> None:
        self.not_run.append(Violation(path, f"{what} are not run." if what.endswith("s") else f"{what} is not run."))
