"""A pipeline as the engine runs it: the result of :mod:`.reader`. Frozen, so that runs share one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_kedro_vertex.emulator.resources.errors import Violation, invalid_argument
from airflow_provider_kedro_vertex.emulator.resources.protos import DEEPEST, is_too_deep
from airflow_provider_kedro_vertex.emulator.spec.conditions import Condition
from airflow_provider_kedro_vertex.emulator.spec.placeholders import Template, Word

_JSON_TYPES: Mapping[str, tuple[type, ...]] = {
    "STRING": (str,),
    "NUMBER_INTEGER": (int, float),
    "NUMBER_DOUBLE": (int, float),
    "BOOLEAN": (bool,),
    "LIST": (list,),
    "STRUCT": (dict,),
    "TASK_FINAL_STATUS": (dict,),
}
PARAMETER_TYPES = frozenset(_JSON_TYPES)
"""The parameter types that are run."""


@dataclass(frozen=True)
class Parameter:
    """An input or output parameter that a component declares. An output has no default and no literals."""

    name: str
    type: str
    optional: bool = False
    default: Any = None
    literals: tuple[Any, ...] = ()


@dataclass(frozen=True)
class ArtifactType:
    """An input or output artifact that a component declares.

    :param schema: its ``ArtifactTypeSchema`` in JSON, as containers get it.
    :param metadata: what an output's metadata starts with.
    :param is_list: whether it stands for a list of artifacts.
    """

    name: str
    schema: Mapping[str, str]
    optional: bool = False
    metadata: Mapping[str, Any] = field(default_factory=dict)
    is_list: bool = False


@dataclass(frozen=True)
class Constant:
    """An argument that stands in the spec; its texts may hold placeholders over the task's other arguments."""

    value: Any


@dataclass(frozen=True)
class ComponentInput:
    """An argument that is an input of the component around the task.

    :param keys: the way to a part of a parameter's value.
    """

    name: str
    keys: tuple[str | int, ...] = ()


@dataclass(frozen=True)
class TaskOutput:
    """An argument that is an output of another task of the DAG.

    :param keys: the way to a part of a parameter's value.
    """

    task: str
    name: str
    keys: tuple[str | int, ...] = ()


@dataclass(frozen=True)
class FinalStatus:
    """An argument that is how another task of the DAG ended."""

    task: str


Argument = Constant | ComponentInput | TaskOutput | FinalStatus
ArtifactArgument = ComponentInput | TaskOutput


@dataclass(frozen=True)
class Resources:
    """The limits of a container and its accelerators, each as it stands in the spec; empty where none is set."""

    cpu: Template = ()
    memory: Template = ()
    accelerator: Template = ()


@dataclass(frozen=True)
class Container:
    """One container executor."""

    image: Template
    command: tuple[Word, ...]
    args: tuple[Word, ...]
    env: tuple[tuple[str, Template], ...]
    resources: Resources = Resources()


@dataclass(frozen=True)
class Importer:
    """An importer: it makes an artifact of something that is there already.

    :param uri: the URI, where it stands in the spec.
    :param parameter: the input with the URI, where it does not.
    :param metadata: the artifact's metadata; its texts may hold placeholders.
    :param reimport: whether an artifact that was imported before is made anew.
    """

    uri: Template
    parameter: str
    metadata: Mapping[str, Any]
    reimport: bool


@dataclass(frozen=True)
class Dag:
    """Tasks by name, each after all that it waits for; and where the DAG's outputs come from.

    An output with several sources has the first one that is there: kfp's ``dsl.OneOf``.
    """

    tasks: Mapping[str, Task]
    output_parameters: Mapping[str, tuple[TaskOutput, ...]] = field(default_factory=dict)
    output_artifacts: Mapping[str, tuple[TaskOutput, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Component:
    """A component: its inputs and outputs, and what runs."""

    name: str
    parameters: Mapping[str, Parameter]
    body: Container | Dag | Importer
    artifacts: Mapping[str, ArtifactType] = field(default_factory=dict)
    output_parameters: Mapping[str, Parameter] = field(default_factory=dict)
    output_artifacts: Mapping[str, ArtifactType] = field(default_factory=dict)

    @property
    def has_outputs(self) -> bool:
        """True if it declares an output."""
        return bool(self.output_parameters or self.output_artifacts)


@dataclass(frozen=True)
class Retry:
    """Tries after the first one, and the seconds before each: first, first * factor, ... up to longest."""

    limit: int
    first: float
    factor: float
    longest: float

    def delay(self, failures: int) -> float:
        """Seconds to wait after this many failures."""
        try:
            return float(min(self.first * self.factor ** (failures - 1), self.longest))
        except OverflowError:
            return self.longest


NO_RETRY = Retry(0, 0.0, 1.0, 0.0)


@dataclass(frozen=True)
class Loop:
    """Runs a task once for each of some items, as kfp's ``dsl.ParallelFor``.

    :param item: the task's input that gets an item.
    :param source: the task's input that has the items; None if they stand in the spec.
    :param items: those that stand in the spec.
    :param artifacts: whether the items are artifacts.
    :param limit: iterations that may run at the same time; 0 for no limit.
    """

    item: str
    source: str | None
    items: tuple[Any, ...] = ()
    artifacts: bool = False
    limit: int = 0


@dataclass(frozen=True)
class Task:
    """One task of a DAG.

    :param after_failures: the strategy ALL_UPSTREAM_TASKS_COMPLETED: it runs whatever became of its upstream tasks.
    :param condition: what must hold for it to run.
    :param cached: whether outputs of an earlier run may stand for a run.
    :param cache_key: what tells that they do, in place of the task's inputs and command.
    :param loop: the items for each of which it runs.
    """

    name: str
    component: Component
    arguments: Mapping[str, Argument]
    upstream: tuple[str, ...]
    after_failures: bool
    retry: Retry
    artifacts: Mapping[str, ArtifactArgument] = field(default_factory=dict)
    condition: Condition | None = None
    cached: bool = False
    cache_key: str = ""
    loop: Loop | None = None

    @property
    def has_children(self) -> bool:
        """True if it stands for other tasks: those of a DAG, or the iterations of a loop."""
        return self.loop is not None or isinstance(self.component.body, Dag)


@dataclass(frozen=True)
class Pipeline:
    """A whole pipeline."""

    name: str
    root: Component
    default_root: str


def bind(component: Component, given: Mapping[str, Any], path: str) -> dict[str, Any]:
    """Give each input parameter of a component its value: the one given, or its default; None without either.

    :raises ApiError: INVALID_ARGUMENT for an unknown name, a missing value or a wrong type.
    """
    faults = _unknown(given, component.parameters, "parameter", path)
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


def check_artifacts(component: Component, given: Iterable[str], path: str) -> None:
    """Check that the artifacts which a pipeline is given are those that it declares.

    :raises ApiError: INVALID_ARGUMENT for an unknown name, or one that is missing.
    """
    faults = _unknown(given, component.artifacts, "artifact", path)
    for name, artifact in component.artifacts.items():
        if name not in given and not artifact.optional:
            faults.append(Violation(f"{path}.{name}", "this input artifact is required."))
    if faults:
        raise invalid_argument(*faults)


def _unknown(given: Iterable[str], known: Mapping[str, Any], kind: str, path: str) -> list[Violation]:
    names = ", ".join(known) or "none"
    return [
        Violation(f"{path}.{name}", f"the pipeline has no input {kind} of this name; it has: {names}.")
        for name in given
        if name not in known
    ]


def type_fault(value: Any, parameter: Parameter) -> str:
    """Tell why a value does not fit a parameter; empty if it fits."""
    right = isinstance(value, _JSON_TYPES[parameter.type])
    if isinstance(value, bool) and parameter.type != "BOOLEAN":
        right = False
    if right and parameter.type == "NUMBER_INTEGER" and not float(value).is_integer():
        right = False
    if not right:
        return f"must be a {parameter.type}, not {type(value).__name__}."
    if is_too_deep(value):
        return f"has more than {DEEPEST} objects and lists inside each other."
    if parameter.literals and value not in parameter.literals:
        return f"must be one of {', '.join(map(repr, parameter.literals))}."
    return ""
