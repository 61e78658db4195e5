"""From what a node group asks for to the cheapest machine of Vertex AI that gives it.

A CustomJob must name a machine type; a PipelineJob's container says cores and memory, and Vertex AI chooses itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

from airflow_provider_kedro_vertex.core.errors import ConfigError, did_you_mean
from airflow_provider_kedro_vertex.core.settings.machine_prices import (
    ACCELERATOR_DOLLARS,
    GIB_DOLLARS,
    MACHINE_DOLLARS,
    SURCHARGE,
    VCPU_DOLLARS,
)
from airflow_provider_kedro_vertex.core.settings.machine_types import (
    ACCELERATORS,
    AS_OF,
    ATTACHED,
    REGIONS,
    SERIES,
    WITH_ACCELERATORS,
)
from airflow_provider_kedro_vertex.core.settings.nodes import Resources
from airflow_provider_kedro_vertex.core.settings.quantities import accelerators, cores, gigabytes

_GIB = 2**30 / 1e9


@dataclass(frozen=True)
class Machine:
    """A machine type with its accelerators.

    :param vcpus: None for a type that the table does not have.
    :param memory_gib: None for a type that the table does not have.
    :param dollars_an_hour: an estimate, see :mod:`.machine_prices`; None where nothing is known.
    """

    machine_type: str
    vcpus: int | None = None
    memory_gib: float | None = None
    accelerator_type: str | None = None
    accelerator_count: int = 0
    dollars_an_hour: float | None = None

    def __str__(self) -> str:
        cards = f" + {self.accelerator_count} x {self.accelerator_type}" if self.accelerator_count else ""
        return self.machine_type + cards


def choose(resources: Resources, region: str | None, who: str) -> Machine:
    """Choose the machine of a node group. An explicit ``machine_type`` wins, also over what the table does not know.

    :param region: the region that must have the accelerator; None leaves it unchecked.
    :param who: the group, for the messages.
    :raises ConfigError: no machine type fits (the nearest is named), or the accelerator is unknown, not in the region,
        or not that of the explicit machine type.
    """
    try:
        return _choose(resources, region)
    except ConfigError as error:
        raise ConfigError(f"{who}: {error.message}", error.fix) from None


@lru_cache(maxsize=1024)
def _choose(resources: Resources, region: str | None) -> Machine:
    kind = resources.accelerator_type
    count = accelerators(resources.gpu) if resources.gpu is not None else int(kind is not None)
    if not count:
        kind = None
    elif kind is None and resources.machine_type is None:
        raise ConfigError(f"gpu is {count}, but no accelerator_type is named.", "Name one, such as NVIDIA_TESLA_T4.")
    if kind is not None and kind not in ACCELERATORS:
        raise ConfigError(f"There is no accelerator_type {kind!r}.", did_you_mean(kind, ACCELERATORS))
    if resources.machine_type is not None:
        return _explicit(resources.machine_type, kind, count)
    if kind is not None and region is not None and region not in REGIONS.get(kind, (region,)):
        raise ConfigError(
            f"Region {region} has no {kind}, as of {AS_OF}; {', '.join(sorted(REGIONS[kind]))} have it.",
            "If it has come since, name the machine_type too.",
        )
    vcpus = cores(resources.cpu) if resources.cpu else 0.0
    memory = gigabytes(resources.memory) / _GIB if resources.memory else 0.0
    candidates = list(_offered(kind, count))
    if not candidates:
        raise _no_such_count(kind, count)
    fitting = [each for each in candidates if (each.vcpus or 0) >= vcpus and (each.memory_gib or 0) >= memory]
    if fitting:
        return min(fitting, key=lambda each: (each.dollars_an_hour, each.machine_type))
    nearest = min(
        candidates,
        key=lambda each: (
            max(vcpus / (each.vcpus or 1), memory / (each.memory_gib or 1)),
            each.dollars_an_hour,
            each.machine_type,
        ),
    )
    wanted = " and ".join(
        [
            *([f"cpu {resources.cpu}"] if resources.cpu else []),
            *([f"memory {resources.memory}"] if resources.memory else []),
            *([f"{count} {kind}"] if kind else []),
        ]
    )
    raise ConfigError(
        f"No machine type of Vertex AI has {wanted}. The nearest is {nearest} with {nearest.vcpus} vCPUs and "
        f"{nearest.memory_gib:g} GiB.",
        f"Ask for less, or name a machine_type that is newer than {AS_OF}.",
    )


def memory_of(resources: Resources) -> float | None:
    """Bytes of memory that a container has: its machine's, where that is named, else what it asks for.

    :return: None where neither is known.
    """
    if resources.machine_type is not None:
        machine = TABLE.get(resources.machine_type)
        return machine.memory_gib * 2**30 if machine and machine.memory_gib else None
    return gigabytes(resources.memory) * 1e9 if resources.memory else None


def _offered(kind: str | None, count: int) -> Iterator[Machine]:
    """The machines with just these accelerators."""
    if kind is None:
        yield from (each for each in TABLE.values() if not each.accelerator_count)
    elif kind in ATTACHED:
        counts, vcpus = ATTACHED[kind]
        if count in counts:
            for each in TABLE.values():
                if each.machine_type.startswith("n1-") and (each.vcpus or 0) <= vcpus * count:
                    yield _with(each, kind, count)
    else:
        yield from (each for each in TABLE.values() if (each.accelerator_type, each.accelerator_count) == (kind, count))


def _with(machine: Machine, kind: str, count: int) -> Machine:
    dollars = ACCELERATOR_DOLLARS.get(kind)
    price = (
        None
        if dollars is None or machine.dollars_an_hour is None
        else machine.dollars_an_hour + dollars * count * SURCHARGE
    )
    return replace(machine, accelerator_type=kind, accelerator_count=count, dollars_an_hour=price)


def _no_such_count(kind: str | None, count: int) -> ConfigError:
    counts = sorted(
        {each.accelerator_count for each in TABLE.values() if each.accelerator_type == kind}
        | set(ATTACHED.get(kind or "", ((), 0))[0])
    )
    if not counts:
        return ConfigError(f"The table of machine types ({AS_OF}) has none with {kind}.", "Name the machine_type too.")
    return ConfigError(
        f"No machine type of Vertex AI has {count} {kind}.", f"Set gpu to {', '.join(map(str, counts))}."
    )


def _explicit(name: str, kind: str | None, count: int) -> Machine:
    known = TABLE.get(name)
    if known is None:
        return Machine(name, accelerator_type=kind, accelerator_count=count)
    if known.accelerator_type is None:
        return known if kind is None else _with(known, kind, count)
    if kind is not None and (kind, count) != (known.accelerator_type, known.accelerator_count):
        raise ConfigError(
            f"machine_type {name} has {known.accelerator_count} {known.accelerator_type}, but {count} {kind} is asked "
            "for.",
            "Leave gpu and accelerator_type out, or name another machine_type.",
        )
    return known


def _table() -> Iterator[Machine]:
    for series, memory, sizes in SERIES:
        for vcpus in sizes:
            yield _priced(f"{series}-{vcpus}", vcpus, vcpus * memory)
    for name, vcpus, gib, kind, count in WITH_ACCELERATORS:
        yield _with(_priced(name, vcpus, gib), kind, count)


def _priced(name: str, vcpus: int, gib: float) -> Machine:
    dollars = MACHINE_DOLLARS.get(name)
    if dollars is None:
        family = name.partition("-")[0]
        dollars = vcpus * VCPU_DOLLARS[family] + gib * GIB_DOLLARS[family]
    return Machine(name, vcpus, gib, dollars_an_hour=dollars * SURCHARGE)


#: Every known machine type by its name.
TABLE: dict[str, Machine] = {machine.machine_type: machine for machine in _table()}
