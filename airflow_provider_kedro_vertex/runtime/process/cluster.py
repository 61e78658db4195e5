"""The place of this container among the machines that run one node together.

Vertex AI gives each replica of a CustomJob ``CLUSTER_SPEC``
(https://cloud.google.com/vertex-ai/docs/training/distributed-training): the addresses by worker pool, and which of them
is this one. The first replica of the first pool is the chief, with rank 0: it saves what the node makes.

===============================  ==================================================================
``RANK``, ``WORLD_SIZE``         this replica's number, from 0, and how many there are
``LOCAL_RANK``                   0: one process on each machine
``MASTER_ADDR``, ``MASTER_PORT`` the chief's address, on which its process may listen
``JAX_COORDINATOR_ADDRESS``      with ``distributed: jax``: both of them in one
===============================  ==================================================================

TensorFlow reads ``TF_CONFIG``, which Vertex AI itself sets. What the image or ``env`` has set stays.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass

from airflow_provider_kedro_vertex.core.errors import ConfigError
from airflow_provider_kedro_vertex.core.settings.container import JAX

_SPEC = "CLUSTER_SPEC"


@dataclass(frozen=True)
class Replica:
    """One of the machines.

    :param rank: its number, from 0.
    :param size: how many there are.
    :param chief: ``host:port`` of the one with rank 0; "" where there is no cluster.
    """

    rank: int = 0
    size: int = 1
    chief: str = ""

    @property
    def is_chief(self) -> bool:
        """It is the one that saves."""
        return self.rank == 0

    def variables(self, framework: str) -> dict[str, str]:
        """The environment variables by which the node finds the others."""
        host, _, port = self.chief.rpartition(":")
        found = {
            "RANK": str(self.rank),
            "WORLD_SIZE": str(self.size),
            "LOCAL_RANK": "0",
            "MASTER_ADDR": host.strip("[]") or "127.0.0.1",
            "MASTER_PORT": port or "0",
        }
        return {**found, "JAX_COORDINATOR_ADDRESS": self.chief} if framework == JAX and self.chief else found


def join(framework: str | None) -> Replica:
    """Find this container's place, and set the variables by which the node finds the others.

    :param framework: ``distributed`` of the settings; None for a node that one machine runs.
    :raises ConfigError: ``CLUSTER_SPEC`` is not what Vertex AI writes.
    """
    if framework is None:
        return Replica()
    replica = find_replica(os.environ)
    for name, value in replica.variables(framework).items():
        os.environ.setdefault(name, value)
    return replica


def find_replica(environment: Mapping[str, str]) -> Replica:
    """Read this container's place from its variables; without ``CLUSTER_SPEC`` it is alone.

    :raises ConfigError: see :func:`join`.
    """
    text = environment.get(_SPEC)
    if not text:
        return Replica()
    try:
        spec = json.loads(text)
        # Vertex AI names them workerpool0 to workerpool3.
        pools: list[tuple[str, list[str]]] = sorted(spec["cluster"].items())
        pool, index = str(spec["task"]["type"]), int(spec["task"]["index"])
        before = sum(len(addresses) for name, addresses in pools if name < pool)
        own = dict(pools)[pool][index]
        chief = str(pools[0][1][0])
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        raise ConfigError(
            f"The variable {_SPEC} does not say which of the machines this one is: {text[:200]!r}.",
            "Vertex AI sets it for each replica of a CustomJob: take it out of env and of the image.",
        ) from None
    if not own or not chief.rpartition(":")[2].isdigit():
        raise ConfigError(f"{_SPEC} has no address of the first machine: {text[:200]!r}.")
    return Replica(before + index, sum(len(addresses) for _, addresses in pools), chief)
