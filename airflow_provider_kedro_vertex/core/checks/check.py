"""Preflight: what would fail on Vertex AI, or surprise there, found before anything is paid for.

Each finding has a code, and docs/checks.md a section for each code. ``kedro vertex check`` shows all of them; compiling
and the operator refuse to go on after an error.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from airflow_provider_kedro_vertex.core.checks.container import GROUP, Mode, check_container
from airflow_provider_kedro_vertex.core.checks.data import check_data
from airflow_provider_kedro_vertex.core.checks.findings import Finding
from airflow_provider_kedro_vertex.core.checks.settings import check_settings, missing
from airflow_provider_kedro_vertex.core.errors import ConfigError, KedroVertexError
from airflow_provider_kedro_vertex.core.jobs.pipeline_spec import pipeline_spec
from airflow_provider_kedro_vertex.core.plan.plan import NodeGroup, Plan, build_plan
from airflow_provider_kedro_vertex.core.project.manifest import DEFAULT_PIPELINE, Manifest
from airflow_provider_kedro_vertex.core.settings.filters import Selection
from airflow_provider_kedro_vertex.core.settings.machines import choose
from airflow_provider_kedro_vertex.core.settings.run_config import RunConfig

#: Google's APIs take requests of 10 MiB (10485760 bytes); the rest of a job's body is small.
MAX_SPEC_BYTES = 10 * 1024 * 1024 - 256 * 1024
#: What gRPC clients accept for one message by default: above it, other tools cannot read the job back.
LARGE_SPEC_BYTES = 4 * 1024 * 1024

#: A finding, and the group that it is about.
Found = tuple[Finding, "str | None"]


def check(
    manifest: Manifest, plan: Plan, mode: Mode = "pipeline_job", spec: Mapping[str, Any] | None = None
) -> tuple[Finding, ...]:
    """Check one pipeline that can be planned, and the settings around it. Costs time linear in nodes and datasets.

    :param plan: of the pipeline, or of a slice of it, with the settings of the run.
    :param mode: how it will run; some settings have an effect in one mode alone.
    :param spec: the plan, compiled, if it is at hand.
    :return: in the order of the codes.
    """
    settings = check_settings(manifest, plan.config)
    return _merged([*((finding, None) for finding in settings), *_in_plan(manifest, plan, mode, spec)])


def check_pipelines(
    manifest: Manifest,
    pipelines: Iterable[str] = (DEFAULT_PIPELINE,),
    config: RunConfig | None = None,
    selection: Selection | None = None,
    mode: Mode = "pipeline_job",
) -> tuple[Finding, ...]:
    """As :func:`check`, for pipelines that perhaps cannot be planned: then that is a finding too."""
    config = config or manifest.config
    found: list[Found] = [(finding, None) for finding in (*missing(config), *check_settings(manifest, config))]
    if config.root:
        for pipeline in pipelines:
            try:
                found += _in_plan(manifest, build_plan(manifest, pipeline, config, selection), mode)
            except KedroVertexError as error:
                found += [(Finding.of(each), None) for each in error.each()]
    return _merged(found)


def _in_plan(manifest: Manifest, plan: Plan, mode: Mode, spec: Mapping[str, Any] | None = None) -> Iterator[Found]:
    groups = [*plan.groups, *([plan.exit_group] if plan.exit_group else [])]
    for group in groups:
        yield from ((finding, group.name) for finding in check_container(group, mode))
    rest = [_machines(groups, plan.config.region), check_data(manifest, plan, groups)]
    rest.append(_size(plan, spec) if mode == "pipeline_job" else _account(plan.config))
    yield from ((finding, None) for findings in rest for finding in findings)


def _merged(found: Iterable[Found]) -> tuple[Finding, ...]:
    """Make one finding of what several groups have in common; it names the first of them and how many more."""
    owners: dict[Finding, dict[str, None]] = defaultdict(dict)
    for finding, group in found:
        owners[finding].update({} if group is None else {group: None})
    named = [
        replace(finding, message=finding.message.replace(GROUP, _first(list(groups))))
        for finding, groups in owners.items()
    ]
    return tuple(sorted(named, key=lambda finding: (finding.code, finding.message)))


def _first(groups: list[str]) -> str:
    return f"{groups[0]!r} and {len(groups) - 1} more" if len(groups) > 1 else f"{''.join(groups)!r}"


def _account(config: RunConfig) -> Iterator[Finding]:
    if not config.service_account:
        yield Finding(
            "KV020",
            "warning",
            "No service_account is set: custom jobs run as Vertex AI's Custom Code Service Agent, and pipeline jobs as "
            "the Compute Engine default account.",
            "Set run_config.service_account.",
        )


def _machines(groups: Iterable[NodeGroup], region: str | None) -> Iterator[Finding]:
    for group in groups:
        try:
            choose(group.resources, region, f"Group {group.name!r}")
        except ConfigError as error:
            yield Finding("KV011", "error", error.message, error.fix)


def _size(plan: Plan, spec: Mapping[str, Any] | None) -> Iterator[Finding]:
    size = len(json.dumps(spec or pipeline_spec(plan), separators=(",", ":")))
    if size > LARGE_SPEC_BYTES:
        yield Finding(
            "KV012",
            "error" if size > MAX_SPEC_BYTES else "warning",
            f"The spec of {plan.name!r} with {len(plan.groups)} containers takes {size:,} bytes; Vertex AI takes "
            f"requests of {MAX_SPEC_BYTES:,} at most, and many clients read {LARGE_SPEC_BYTES:,}.",
            "Group nodes (grouping: namespace, memory or auto), or run the pipeline in slices.",
        )
