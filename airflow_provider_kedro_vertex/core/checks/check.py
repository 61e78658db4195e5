"""Preflight: what would fail on Vertex AI, or surprise there, found before anything is paid for.

Each finding has a code, and docs/checks.md a section for each code. ``kedro vertex check`` shows all of them; compiling
and the operator refuse to go on after an error.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from airflow_provider_kedro_vertex.core.checks.container import GROUP, Mode, check_container
from airflow_provider_kedro_vertex.core.checks.data import check_data
from airflow_provider_kedro_vertex.core.checks.findings import Finding, Level, Summary, first_and_more, some
from airflow_provider_kedro_vertex.core.checks.parameters import check_parameters
from airflow_provider_kedro_vertex.core.checks.settings import check_schedules, check_settings, missing
from airflow_provider_kedro_vertex.core.errors import ConfigError, KedroVertexError
from airflow_provider_kedro_vertex.core.jobs.pipeline_spec import pipeline_spec
from airflow_provider_kedro_vertex.core.plan.plan import NodeGroup, Plan, build_plan, makers
from airflow_provider_kedro_vertex.core.project.manifest import DEFAULT_PIPELINE, Manifest
from airflow_provider_kedro_vertex.core.project.selection import pipeline_names
from airflow_provider_kedro_vertex.core.settings.filters import Selection
from airflow_provider_kedro_vertex.core.settings.machines import choose
from airflow_provider_kedro_vertex.core.settings.run_config import RunConfig

#: Google's APIs take requests of 10 MiB (10485760 bytes); the rest of a job's body is small.
MAX_SPEC_BYTES = 10 * 1024 * 1024 - 256 * 1024
#: What gRPC clients accept for one message by default: above it, other tools cannot read the job back.
LARGE_SPEC_BYTES = 4 * 1024 * 1024

_LEVELS: Sequence[Level] = ("error", "warning", "note")
_ALONE = Summary(
    "{count} registered pipelines cannot run alone, since others make in memory what they take: {names}.",
    "Run them as part of a pipeline that makes all of it, or declare those datasets in the catalog.",
)


@dataclass(frozen=True)
class _Found:
    """A finding, and what it was found in: None for the whole project, or the whole pipeline."""

    finding: Finding
    pipeline: str | None = None
    group: NodeGroup | None = None


def check(
    manifest: Manifest, plan: Plan, mode: Mode = "pipeline_job", spec: Mapping[str, Any] | None = None
) -> tuple[Finding, ...]:
    """Check one pipeline that can be planned, and the settings around it. Costs time linear in nodes and datasets.

    :param plan: of the pipeline, or of a slice of it, with the settings of the run.
    :param mode: how it will run; some settings have an effect in one mode alone.
    :param spec: the plan, compiled, if it is at hand.
    :return: in the order of the codes.
    """
    return _merged([*map(_Found, check_settings(manifest, plan.config)), *_in_plan(manifest, plan, mode, spec)])


def check_pipelines(
    manifest: Manifest,
    pipelines: Iterable[str] = (DEFAULT_PIPELINE,),
    config: RunConfig | None = None,
    selection: Selection | None = None,
    mode: Mode = "pipeline_job",
) -> tuple[Finding, ...]:
    """As :func:`check`, for pipelines that perhaps cannot be planned: then that is a finding too."""
    config = config or manifest.config
    return _merged(_in_pipelines(manifest, dict.fromkeys(pipelines, True), config, selection, mode))


def check_project(
    manifest: Manifest, config: RunConfig | None = None, mode: Mode = "pipeline_job"
) -> tuple[Finding, ...]:
    """As :func:`check_pipelines`, for each registered pipeline that has nodes, ``__default__`` first.

    A pipeline that takes what another one makes in memory gets one warning that it cannot run alone, unless
    ``schedules`` names it.
    """
    config = config or manifest.config
    names = [name for name, pipeline in manifest.pipelines.items() if pipeline.nodes]
    meant = {name: name == DEFAULT_PIPELINE or name in config.schedules for name in names}
    ordered = dict(sorted(meant.items(), key=lambda item: item[0] != DEFAULT_PIPELINE))
    in_schedules = map(_Found, check_schedules(manifest, config))
    return _merged([*_in_pipelines(manifest, ordered, config, None, mode), *in_schedules])


def _in_pipelines(
    manifest: Manifest, pipelines: Mapping[str, bool], config: RunConfig, selection: Selection | None, mode: Mode
) -> Iterator[_Found]:
    """Check pipelines.

    :param pipelines: by name, and whether each is meant to run alone.
    """
    yield from (_Found(finding) for finding in (*missing(config), *check_settings(manifest, config)))
    made = makers(manifest)
    for pipeline, alone in pipelines.items() if config.root else ():
        try:
            plan = build_plan(manifest, pipeline, config, selection)
        except KedroVertexError as error:
            yield from (_Found(Finding.of(each), pipeline) for each in error.each())
            continue
        found = [*_in_plan(manifest, plan, mode)]
        taken = {} if alone else {each.finding.dataset: each.finding for each in found if _is_made(each.finding, made)}
        yield from (each for each in found if each.finding not in taken.values())
        if taken:
            yield _Found(_not_alone(pipeline, list(taken.values()), made), pipeline)


def _is_made(finding: Finding, made: Mapping[str, str]) -> bool:
    return finding.code == "KV003" and finding.dataset in made


def _not_alone(pipeline: str, taken: Sequence[Finding], made: Mapping[str, str]) -> Finding:
    names = [finding.dataset or "" for finding in taken]
    others = list(dict.fromkeys(made[name] for name in names))
    return Finding(
        "KV027",
        "warning",
        f"Pipeline {pipeline!r} cannot run alone: it takes {some(names)}, which other pipelines make in memory (node "
        f"{some(others)}).",
        "Run it as part of a pipeline that makes them too, or declare them in the catalog.",
        nodes=tuple(dict.fromkeys(node for finding in taken for node in finding.nodes)),
        summary=_ALONE,
    )


def _in_plan(manifest: Manifest, plan: Plan, mode: Mode, spec: Mapping[str, Any] | None = None) -> Iterator[_Found]:
    groups = [*plan.groups, *([plan.exit_group] if plan.exit_group else [])]
    for group in groups:
        yield from (_Found(finding, plan.pipeline, group) for finding in check_container(group, mode))
    rest = [
        _machines(groups, plan.config.region),
        check_data(manifest, plan, groups),
        check_parameters(manifest, plan),
        _models(manifest, plan),
    ]
    rest.append(_size(plan, spec) if mode == "pipeline_job" else _account(plan.config))
    yield from (_Found(finding, plan.pipeline) for findings in rest for finding in findings)


def _merged(found: Iterable[_Found]) -> tuple[Finding, ...]:
    """Make one finding of what is said of one dataset, or of several groups or pipelines, in the order of the codes.

    Of a dataset the gravest is told: where a part of a pipeline runs alone, it may look like an input or a result.
    """
    same: dict[object, list[_Found]] = defaultdict(list)
    for each in found:
        finding = each.finding
        same[("dataset", finding.dataset) if finding.dataset else finding].append(each)
    return tuple(sorted(map(_together, same.values()), key=lambda finding: (finding.code, finding.message)))


def _together(found: Sequence[_Found]) -> Finding:
    level, code = min((_LEVELS.index(each.finding.level), each.finding.code) for each in found)
    gravest = [each for each in found if (_LEVELS.index(each.finding.level), each.finding.code) == (level, code)]
    told = max(gravest, key=lambda each: len(each.finding.nodes)).finding
    groups = dict.fromkeys(each.group.name for each in gravest if each.group)
    nodes = [node for each in gravest for node in (each.group.nodes if each.group else each.finding.nodes)]
    return replace(
        told,
        message=told.message.replace(GROUP, first_and_more(list(groups))),
        nodes=tuple(dict.fromkeys(nodes)),
        pipelines=tuple(dict.fromkeys(each.pipeline for each in gravest if each.pipeline)),
    )


def _account(config: RunConfig) -> Iterator[Finding]:
    if not config.service_account:
        yield Finding(
            "KV020",
            "warning",
            "No service_account is set: custom jobs run as Vertex AI's Custom Code Service Agent, and pipeline jobs as "
            "the Compute Engine default account.",
            "Set run_config.service_account.",
        )


def _models(manifest: Manifest, plan: Plan) -> Iterator[Finding]:
    names = pipeline_names(manifest, plan.pipeline)
    for name in names if len(names) == 1 else ():  # Kedro makes a plain pipeline of several
        pipeline = manifest.pipeline(name)
        together = {node for group in plan.groups[:1] for node in group.nodes}
        if pipeline.logs_model and not together >= {node.name for node in pipeline.nodes}:
            yield Finding(
                "KV015",
                "error",
                f"Pipeline {name!r} is made by kedro-mlflow's pipeline_ml_factory, which logs the model when one "
                "process has run all of its nodes, but not all of them run in one container.",
                "Set run_config.grouping to pipeline and run all of it, or register its training nodes as a plain "
                "pipeline too and run that.",
            )


def _machines(groups: Iterable[NodeGroup], region: str | None) -> Iterator[Finding]:
    for group in groups:
        try:
            for resources in {group.resources: None, group.worker_resources: None}:
                choose(resources, region, f"Group {group.name!r}")
        except ConfigError as error:
            yield Finding("KV011", "error", error.message, error.fix)


def _size(plan: Plan, spec: Mapping[str, Any] | None) -> Iterator[Finding]:
    try:
        spec = spec or pipeline_spec(plan)
    except ConfigError:
        return  # no machine fits, or settings exclude one another: findings of their own
    size = len(json.dumps(spec, separators=(",", ":")))
    if size > LARGE_SPEC_BYTES:
        yield Finding(
            "KV012",
            "error" if size > MAX_SPEC_BYTES else "warning",
            f"The spec of {plan.name!r} with {len(plan.groups)} containers takes {size:,} bytes; Vertex AI takes "
            f"requests of {MAX_SPEC_BYTES:,} at most, and many clients read {LARGE_SPEC_BYTES:,}.",
            "Group nodes (grouping: namespace, memory or auto), or run the pipeline in slices.",
        )
