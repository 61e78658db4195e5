"""The schedules that kedro-vertexai 0.12 and later made on Vertex AI, and what ``schedules:`` says instead of them.

Such a schedule makes PipelineJobs of a spec that the plugin compiled: the pipeline's name in it is the project's, and
its containers run ``kedro run .. --pipeline NAME ..`` in a shell. Source: kedro-vertexai 1.0.0, client and generator.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from airflow_provider_kedro_vertex.core.errors import ConfigError
from airflow_provider_kedro_vertex.core.settings.cron import five_fields

_COMMAND = re.compile(r"\bkedro run\b.*?\s--pipeline[ =](?P<pipeline>\S+)", re.DOTALL)


@dataclass(frozen=True)
class OldSchedule:
    """A schedule of Vertex AI.

    :param name: ``projects/../locations/../schedules/..``.
    :param state: ``ACTIVE``, ``PAUSED`` or ``COMPLETED``.
    :param pipeline: the registered pipeline that it runs.
    :param settings: what ``schedules:`` says of it.
    :param left_behind: what ``schedules:`` cannot say, in words.
    """

    name: str
    title: str
    state: str
    pipeline: str
    settings: Mapping[str, Any]
    left_behind: tuple[str, ...] = ()

    @property
    def is_live(self) -> bool:
        """Whether it makes runs, or will when it is resumed."""
        return self.state in ("ACTIVE", "PAUSED")


def old_schedules(schedules: Iterable[Mapping[str, Any]], project_names: Iterable[str]) -> Iterator[OldSchedule]:
    """Find the schedules of a project among those of Vertex AI.

    :param schedules: as the API has them.
    :param project_names: what the project is called: kedro-vertexai took the name of its folder, or the one in
        ``pyproject.toml``.
    """
    own = {_vertex_name(name) for name in project_names}
    for schedule in schedules:
        job = schedule.get("createPipelineJobRequest", {}).get("pipelineJob", {})
        spec = job.get("pipelineSpec", {})
        pipeline = _kedro_pipeline(spec)
        if pipeline is not None and spec.get("pipelineInfo", {}).get("name") in own:
            yield OldSchedule(
                name=schedule["name"],
                title=schedule.get("displayName", ""),
                state=schedule.get("state", ""),
                pipeline=pipeline,
                settings=_settings(schedule),
                left_behind=tuple(_left_behind(schedule, job)),
            )


def chosen(found: Iterable[OldSchedule]) -> dict[str, OldSchedule]:
    """For each pipeline the schedule to take over: an active one before a paused one, and of these the newest.

    :param found: the newest first.
    """
    live = [schedule for schedule in found if schedule.is_live]
    picked: dict[str, OldSchedule] = {}
    for schedule in sorted(live, key=lambda each: each.state != "ACTIVE"):
        picked.setdefault(schedule.pipeline, schedule)
    return picked


def _vertex_name(project: str) -> str:
    """A project's name as kedro-vertexai gives it to a pipeline."""
    return project.lower().replace(" ", "-").replace("_", "-")


def _kedro_pipeline(spec: Mapping[str, Any]) -> str | None:
    for executor in spec.get("deploymentSpec", {}).get("executors", {}).values():
        container = executor.get("container", {})
        line = " ".join([*container.get("command", []), *container.get("args", [])])
        if found := _COMMAND.search(line):
            return found["pipeline"]
    return None


def _settings(schedule: Mapping[str, Any]) -> dict[str, Any]:
    cron = schedule.get("cron", "")
    timezone: str | None = None
    with contextlib.suppress(ConfigError):  # as it stands: kedro vertex check tells what is wrong with it
        cron, timezone = five_fields(cron, "cron")
    settings: dict[str, Any] = {"cron_expression": cron, "timezone": timezone or "Etc/UTC"}
    start, created = schedule.get("startTime"), schedule.get("createTime", "")
    if start and start[:19] != created[:19]:  # without one, Vertex AI takes the moment of creation
        settings["start_time"] = start
    if end := schedule.get("endTime"):
        settings["end_time"] = end
    settings["max_concurrent_run_count"] = int(schedule.get("maxConcurrentRunCount", 1))
    return settings


def _left_behind(schedule: Mapping[str, Any], job: Mapping[str, Any]) -> Iterator[str]:
    if count := schedule.get("maxRunCount"):
        yield f"it ends after {count} runs, and Airflow counts none: give end_time"
    names = sorted(job.get("runtimeConfig", {}).get("parameterValues", {}))
    if names:
        yield f"it sets the parameters {', '.join(names)}: give them to the DAG, as params="
