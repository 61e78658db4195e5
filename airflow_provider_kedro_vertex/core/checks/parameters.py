"""Checks of the parameters that nodes take."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping

from airflow_provider_kedro_vertex.core.checks.findings import Finding, first_and_more
from airflow_provider_kedro_vertex.core.errors import ConfigError, did_you_mean
from airflow_provider_kedro_vertex.core.plan.plan import Plan
from airflow_provider_kedro_vertex.core.project.manifest import Manifest, Parameter
from airflow_provider_kedro_vertex.core.project.parameters import parameter_of
from airflow_provider_kedro_vertex.core.project.selection import registered

_PREFIX = "params:"


def check_parameters(manifest: Manifest, plan: Plan) -> Iterator[Finding]:
    """Find parameters that nodes of a plan take and that the project does not have; a run may give them still."""
    planned = {name for group in plan.groups for name in group.nodes}
    takers: dict[str, list[str]] = defaultdict(list)
    for node in registered(manifest, plan.pipeline).nodes:
        for taken in node.inputs if node.name in planned else ():
            if taken.startswith(_PREFIX):
                takers[taken.removeprefix(_PREFIX)].append(node.name)
    for name, nodes in takers.items():
        if name not in manifest.runtime_params and not _is_there(name, manifest.parameters):
            yield Finding(
                "KV028",
                "warning",
                f"Node {first_and_more(nodes)} takes {_PREFIX}{name}, which the project's parameters do not have.",
                did_you_mean(name, manifest.parameters).strip() or "Add it, or give it in each run.",
                nodes=tuple(nodes),
            )


def _is_there(name: str, parameters: Mapping[str, Parameter]) -> bool:
    try:
        parameter_of(name, parameters)
    except ConfigError:
        return False
    return True
