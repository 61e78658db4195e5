"""The fields that PipelineJobs and CustomJobs share (Vertex AI API v1): environment, network, owner."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from airflow_provider_kedro_vertex.core.errors import ConfigError
from airflow_provider_kedro_vertex.core.settings.nodes import NodeSettings
from airflow_provider_kedro_vertex.core.settings.run_config import RunConfig

# What Kubernetes reads as the start of a reference to a variable, or as the sign that escapes one.
_REFERENCE = re.compile(r"\$(?=[$(])")


#: EnvVar of the Vertex AI API v1: at most 100 in a container.
MAX_VARIABLES = 100
#: glibc's limits of malloc (mallopt(3)), at the values that a process comes to by itself after some large blocks:
#: blocks of up to 32 MiB are used again, and at most 64 MiB of them stay free at the heap's end. Decision 17 has what
#: that saves.
_MALLOC = {"MALLOC_MMAP_THRESHOLD_": str(32 << 20), "MALLOC_TRIM_THRESHOLD_": str(64 << 20)}


def environment(settings: NodeSettings, more: Mapping[str, str] | None = None) -> list[dict[str, str]]:
    """A container's variables, sorted by name. Their values arrive as they are: ``$(NAME)`` is not looked up.

    The limits of malloc are among them, unless ``env`` has a setting of malloc; neither they nor ``more`` where ``env``
    leaves no room for them.

    :param more: variables that those of ``env`` replace.
    """
    wanted = {**(more or {}), **settings.env}
    if len(wanted) > MAX_VARIABLES:
        wanted = dict(settings.env)
    sets_malloc = any(name.startswith("MALLOC_") or name == "GLIBC_TUNABLES" for name in settings.env)
    has_room = len(wanted) + len(_MALLOC) <= MAX_VARIABLES
    variables = wanted if sets_malloc or not has_room else {**_MALLOC, **wanted}
    return [{"name": name, "value": _REFERENCE.sub("$$", value)} for name, value in sorted(variables.items())]


def connection(config: RunConfig) -> dict[str, Any]:
    """Whom the containers run as and how they reach private services.

    :raises ConfigError: two networks are set, and a job has one.
    """
    network = config.network
    found: dict[str, Any] = {}
    if config.service_account:
        found["serviceAccount"] = config.service_account
    if network is None:
        return found
    if network.vpc and network.psc_interface:
        raise ConfigError(
            "network.vpc and network.psc_interface are both set, but a job takes one of them: take one out of "
            "run_config.network."
        )
    if network.vpc:
        found["network"] = network.vpc
    if network.reserved_ip_ranges:
        found["reservedIpRanges"] = list(network.reserved_ip_ranges)
    if network.psc_interface:
        found["pscInterfaceConfig"] = {
            "networkAttachment": network.psc_interface.network_attachment,
            "dnsPeeringConfigs": [
                {
                    "domain": peering.domain,
                    "targetProject": peering.target_project,
                    "targetNetwork": peering.target_network,
                }
                for peering in network.psc_interface.dns_peering
            ],
        }
    return found


def encryption(config: RunConfig) -> dict[str, Any]:
    """The customer's key for a job and what it makes; empty without one."""
    key = config.encryption_spec_key_name
    return {"encryptionSpec": {"kmsKeyName": key}} if key else {}
