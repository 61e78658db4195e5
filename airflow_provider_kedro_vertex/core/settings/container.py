"""What the inside of a container is told: runners, names of hosts, and classes that it makes objects of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from airflow_provider_kedro_vertex.core.settings.readers import class_name, ip_address, json_value, string
from airflow_provider_kedro_vertex.core.settings.sections import REQUIRED, Section, field, mapping, sequence

#: Kedro's runners; the first is the default.
RUNNERS = SEQUENTIAL, THREAD = "sequential", "thread"

#: By what the replicas of a node find each other: ``env`` is for all that read ``RANK`` and the like themselves.
FRAMEWORKS = TORCH, TENSORFLOW, JAX, ENV = "torch", "tensorflow", "jax", "env"


@dataclass(frozen=True)
class HostAlias(Section):
    """Names that Python finds at an address in the containers; gRPC, libpq, a JVM and other processes do not."""

    ip: str = field(ip_address, "The address.", REQUIRED)
    hostnames: tuple[str, ...] = sequence(string, "Its names; one may be written without a list.", REQUIRED)


@dataclass(frozen=True)
class Provider(Section):
    """A class that each container makes an object of."""

    cls: str = field(class_name, "The class, as `package.module.Class`.", REQUIRED)
    params: Mapping[str, Any] = mapping(json_value, "Keyword arguments.")
