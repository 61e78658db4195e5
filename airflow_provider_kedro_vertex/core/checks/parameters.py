"""Checks of the parameters that nodes take."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import replace

from airflow_provider_kedro_vertex.core.checks.findings import Finding, first_and_more
from airflow_provider_kedro_vertex.core.errors import ConfigError, did_you_mean
from airflow_provider_kedro_vertex.core.plan.plan import Plan
from airflow_provider_kedro_vertex.core.project.manifest import Manifest, Parameter
from airflow_provider_kedro_vertex.core.project.parameters import known_parameters, parameter_of
from airflow_provider_kedro_vertex.core.project.selection import registered
from airflow_provider_kedro_vertex.core.project.trigger_form import schema_of
from airflow_provider_kedro_vertex.core.settings.run_config import RunConfig

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


def check_form(manifest: Manifest, config: RunConfig) -> Iterator[Finding]:
    """Find settings of the trigger form's fields that are of no parameter, or against its value in the project."""
    known, told = known_parameters(manifest), replace(manifest, config=config)
    for name in config.form:
        if name not in known:
            fix = did_you_mean(name, known).strip() or "Name a parameter, nested ones by a dotted name."
            yield Finding("KV014", "warning", f"form.{name} is no parameter of the project.", fix)
            continue
        try:
            schema_of(told, name, known[name])
        except ConfigError as error:
            yield Finding("KV015", "error", error.message, error.fix)


def _is_there(name: str, parameters: Mapping[str, Parameter]) -> bool:
    try:
        parameter_of(name, parameters)
    except ConfigError:
        return False
    return True
