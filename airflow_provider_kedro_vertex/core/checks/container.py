"""Checks of what a container is given: its image, its environment, and settings that its mode does not know."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Literal

from airflow_provider_kedro_vertex.core.checks.findings import Finding
from airflow_provider_kedro_vertex.core.jobs.job_body import MAX_VARIABLES
from airflow_provider_kedro_vertex.core.plan.plan import NodeGroup
from airflow_provider_kedro_vertex.core.settings.container import FRAMEWORKS
from airflow_provider_kedro_vertex.core.settings.machines import memory_of

Mode = Literal["pipeline_job", "custom_job"]

#: Stands in a message for the groups that a finding is about.
GROUP = "{node}"

_IMAGE = re.compile(
    r"(?:[a-zA-Z0-9.-]+(?::[0-9]+)?/)?[a-z0-9]+(?:[._/-]+[a-z0-9]+)*"
    r"(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}))?(?:@sha256:(?P<digest>[0-9a-f]{64}))?"
)
_FLOATING_TAGS = frozenset({"latest", "main", "master", "dev", "develop", "stable", "edge", "nightly"})
_SECRET_NAME = re.compile(
    r"(?:^|_)(?:TOKEN|SECRET|PASSWORD|PASSWD|API_KEY|ACCESS_KEY|PRIVATE_KEY|CREDENTIALS?)(?:_|$)", re.IGNORECASE
)
_USER_IN_URL = re.compile(r"://[^/@\s]+:[^/@\s]+@")
#: What clients of storage take in place of a token: where to find one, or that there is none.
_NO_SECRETS = frozenset({"anon", "anonymous", "browser", "cache", "cloud", "google_default", "none"})
_TELEMETRY = ("DO_NOT_TRACK", "KEDRO_DISABLE_TELEMETRY")
#: Set by the containers themselves, so that a value of ``env`` would be lost.
_OWN_VARIABLES = frozenset({"GCP_PROJECT_ID", "GCP_REGION", "KEDRO_CONFIG_JOB_NAME", "KEDRO_CONFIG_RUN_ID"})


def check_container(group: NodeGroup, mode: Mode) -> Iterator[Finding]:
    """Check one container; :data:`GROUP` in a message is to be replaced by the group's name."""
    for check in _CHECKS[mode]:
        yield from check(group)


def _image(group: NodeGroup) -> Iterator[Finding]:
    match = _IMAGE.fullmatch(group.image)
    if match is None:
        yield Finding(
            "KV007",
            "error",
            f"The image {group.image!r} of {{node}} is no name of an image.",
            "Write it as REGION-docker.pkg.dev/PROJECT/REPOSITORY/NAME:TAG.",
        )
    elif not match["digest"] and (match["tag"] is None or match["tag"] in _FLOATING_TAGS):
        what = "has no tag" if match["tag"] is None else f"has the floating tag {match['tag']!r}"
        yield Finding(
            "KV007",
            "warning",
            f"The image {group.image!r} of {{node}} {what}: a retry may run other code than the first try.",
            "Give each build a tag of its own, such as the commit, or write the digest.",
        )


def _variables(group: NodeGroup) -> Iterator[Finding]:
    names = group.settings.env.keys() | group.settings.secret_env.keys()
    if len(group.settings.env) > MAX_VARIABLES:
        yield Finding(
            "KV017",
            "error",
            f"{{node}} has {len(group.settings.env)} environment variables, and Vertex AI takes {MAX_VARIABLES}.",
            "Put values that belong together into a Kedro parameter.",
        )
    for name in sorted(names & _OWN_VARIABLES):
        yield Finding(
            "KV017", "warning", f"{name} of {{node}} is set by the containers themselves.", f"Remove {name} from env."
        )
    for name in sorted(group.settings.env.keys() & group.settings.secret_env.keys()):
        yield Finding(
            "KV017",
            "warning",
            f"{name} of {{node}} is in env and in secret_env; the secret wins.",
            "Remove one of them.",
        )


def _secrets(group: NodeGroup) -> Iterator[Finding]:
    for name, value in group.settings.env.items():
        if may_be_secret(name, value):
            yield Finding(
                "KV018",
                "warning",
                f"The environment variable {name} of {{node}} may hold a secret, and everyone who may see the job "
                "sees it.",
                f"Keep it in Secret Manager: secret_env: {{{name}: projects/PROJECT/secrets/NAME/versions/latest}}.",
            )


def may_be_secret(name: str, value: str) -> bool:
    """Tell whether an environment variable seems to hold a secret: by its name, or as a password inside a URL."""
    if not value or value.lower() in _NO_SECRETS:
        return False
    return bool(_SECRET_NAME.search(name) or _USER_IN_URL.search(value))


def _replicas(group: NodeGroup) -> Iterator[Finding]:
    settings = group.settings
    if group.replicas > 1 and settings.distributed is None:
        yield Finding(
            "KV032",
            "error",
            f"replica_count is {group.replicas} for {{node}}, but nothing says how these machines work together: each "
            "would run the whole node, and save what it makes.",
            f"Set nodes.<node>.distributed to {', '.join(FRAMEWORKS)}, if the node's code is made for it; or remove "
            "replica_count.",
        )
    if settings.distributed is not None and len(group.nodes) > 1:
        yield Finding(
            "KV032",
            "error",
            f"{{node}} is distributed, and has {len(group.nodes)} nodes in one container: a machine that does not save "
            "has nothing for the next node.",
            "Let the distributed node be a group of its own.",
        )
    if settings.worker_resources is not None and group.replicas == 1:
        yield Finding(
            "KV032",
            "warning",
            "worker_resources of {node} has no effect: it runs on one machine.",
            "Set replica_count, or remove worker_resources.",
        )


def _telemetry(group: NodeGroup) -> Iterator[Finding]:
    if all(group.settings.env.get(name) == "" for name in _TELEMETRY):
        yield Finding(
            "KV019",
            "warning",
            "Kedro's telemetry is on in {node}: it would report to a server from each container, and older releases "
            "of kedro-telemetry end a run where nobody can be asked for consent.",
            f"Remove {' and '.join(_TELEMETRY)} from env.",
        )


def _only_in_pipeline_jobs(group: NodeGroup) -> Iterator[Finding]:
    given = {
        "nodes.caching": group.settings.caching,
        "nodes.cache_key": group.settings.cache_key,
        "retry_policy": group.retry and group.retry.num_retries,
    }
    for name, value in given.items():
        if value:
            yield Finding(
                "KV016",
                "warning",
                f"{name} of {{node}} has no effect in mode custom_job.",
                "Run with mode='pipeline_job', or remove it.",
            )


def _out_of_memory(group: NodeGroup) -> Iterator[Finding]:
    policy = group.retry.on_out_of_memory if group.retry else None
    if policy is None:
        return
    if group.resources.machine_type is not None:
        yield Finding(
            "KV033",
            "warning",
            f"on_out_of_memory of {{node}} has no effect: its machine is named, {group.resources.machine_type}.",
            "Set resources.<node>.memory in the place of machine_type, or remove on_out_of_memory.",
        )
    elif policy.most <= (memory_of(group.resources) or 0.0):
        yield Finding(
            "KV033",
            "warning",
            f"on_out_of_memory of {{node}} has no effect: it asks for {group.resources.memory} from the start, and "
            f"max is {policy.max}.",
            "Raise max, or remove on_out_of_memory.",
        )


def _tried_again_by_vertex_ai(group: NodeGroup) -> Iterator[Finding]:
    retry = group.retry
    if retry and retry.on_out_of_memory and retry.num_retries:
        yield Finding(
            "KV033",
            "warning",
            f"num_retries of {{node}} is {retry.num_retries}: when it is killed for its memory, Vertex AI first tries "
            "it that often with the same memory. Airflow alone makes an attempt that asks for more.",
            "Set num_retries to 0, and retries of the Airflow task.",
        )


_COMMON = (_image, _variables, _secrets, _replicas, _telemetry, _out_of_memory)
_CHECKS: Mapping[Mode, tuple[Callable[[NodeGroup], Iterator[Finding]], ...]] = {
    "pipeline_job": (*_COMMON, _tried_again_by_vertex_ai),
    "custom_job": (*_COMMON, _only_in_pipeline_jobs),
}
