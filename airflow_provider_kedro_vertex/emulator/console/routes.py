"""The page to look at, and the emulator's own routes that feed it.

One file of HTML, CSS and JavaScript without anything from elsewhere. Everything it shows is put in as text, and the
content security policy allows no script but the page's own: names and logs come from strangers.
"""

from __future__ import annotations

import base64
import hashlib
import re
import time
from collections import Counter
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from starlette.convertors import PathConvertor, register_url_convertor
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from airflow_provider_kedro_vertex.emulator.api.rest import answer
from airflow_provider_kedro_vertex.emulator.engine.outputs import parameters_in
from airflow_provider_kedro_vertex.emulator.engine.runs import failed_jobs, job_of
from airflow_provider_kedro_vertex.emulator.executors.images import StandIn
from airflow_provider_kedro_vertex.emulator.resources import names
from airflow_provider_kedro_vertex.emulator.resources.errors import Violation, invalid_argument, not_found
from airflow_provider_kedro_vertex.emulator.resources.protos import Message, microseconds, to_json
from airflow_provider_kedro_vertex.emulator.resources.states import JOB_FINAL, JobState, PipelineState, TaskState
from airflow_provider_kedro_vertex.emulator.storage.logs import log_path, other_logs, read_log
from airflow_provider_kedro_vertex.emulator.storage.store import TIMES, Store

_MOST_JOBS = 500
_REPLICA = re.compile(r"workerpool[0-3]-[0-9]{1,3}")
_PAGES = (
    "/",
    "/vertex-ai/pipelines/runs",
    "/vertex-ai/locations/{location}/pipelines/runs/{job_id}",
    "/vertex-ai/training/custom-jobs",
    "/vertex-ai/locations/{location}/training/{job_id}",
    "/logs/{query:lines}",
)


class _Lines(PathConvertor):
    """The rest of a path, in which a query has line breaks."""

    regex = "(?s:.*)"


register_url_convertor("lines", _Lines())


class Console:
    """The routes of the page.

    :param data: the emulator's data folder, which has the logs.
    """

    def __init__(self, store: Store, data: Path, images: Mapping[str, StandIn]) -> None:
        self._store = store
        self._data = data
        self._images = images
        self._page = resources.files(__package__).joinpath("console.html").read_bytes()
        self._policy = _content_security_policy(self._page.decode())

    def routes(self) -> list[Route]:
        """The page, at the paths that Google's console gives lists, jobs and logs too, and the data behind it."""
        return [
            *(Route(path, self.page) for path in _PAGES),
            Route("/_emulator/health", self.health),
            Route("/_emulator/jobs", self.jobs),
            Route("/_emulator/job", self.job),
            Route("/_emulator/custom_jobs", self.custom_jobs),
            Route("/_emulator/custom_job", self.custom_job),
            Route("/_emulator/log", self.log),
        ]

    async def page(self, request: Request) -> Response:
        """The one page; its script reads the address."""
        return Response(
            self._page,
            media_type="text/html",
            headers={
                "content-security-policy": self._policy,
                "x-content-type-options": "nosniff",
                "referrer-policy": "no-referrer",
                "cache-control": "no-cache",
            },
        )

    async def health(self, request: Request) -> Response:
        """Answer that it serves, with which images, and how many pipeline jobs are in each state."""
        states = Counter(row["state"] for row in self._store.rows(None, names.PIPELINE_JOBS, labels=False))
        images = {name: str(image) for name, image in self._images.items()}
        return answer({"status": "ok", "images": images, "pipelineJobs": dict(sorted(states.items()))})

    async def jobs(self, request: Request) -> Response:
        """The newest jobs of all projects and locations, at most 500."""
        rows = sorted(
            self._store.rows(None, names.PIPELINE_JOBS), key=lambda row: (row["create_time"], row["name"]), reverse=True
        )
        shown = ("name", "state", "display_name", "pipeline_name", "labels", *TIMES)
        return answer(
            {"now": _now(), "count": len(rows), "jobs": [{key: row[key] for key in shown} for row in rows[:_MOST_JOBS]]}
        )

    async def job(self, request: Request) -> Response:
        """One job's states, small enough to be asked for every second: everything but the spec."""
        name = str(names.resource(request.query_params.get("name", ""), names.PIPELINE_JOBS))
        job = self._store.pipeline_job(name, with_spec=False)
        if job is None:
            raise not_found("PipelineJob", name)
        return answer(
            {
                "now": _now(),
                "name": name,
                "state": PipelineState(job.state).name,
                "display_name": job.display_name,
                "labels": dict(job.labels),
                "error": job.error.message,
                "tasks": [_task(detail) for detail in job.job_detail.task_details],
                **{field: microseconds(job, field) for field in TIMES},
            }
        )

    async def custom_jobs(self, request: Request) -> Response:
        """The newest CustomJobs of all projects and locations, or those with certain numbers; at most 500."""
        numbers = {number for number in request.query_params.get("numbers", "").split(",") if number}
        rows = [row for row in self._store.rows(None, names.CUSTOM_JOBS) if not numbers or _number(row) in numbers]
        rows.sort(key=lambda row: (row["create_time"], row["name"]), reverse=True)
        shown = ("name", "state", "display_name", "labels", *TIMES)
        return answer(
            {"now": _now(), "count": len(rows), "jobs": [{key: row[key] for key in shown} for row in rows[:_MOST_JOBS]]}
        )

    async def custom_job(self, request: Request) -> Response:
        """One CustomJob: its state, what it runs, and which replicas beside the primary one have a log."""
        name = names.resource(request.query_params.get("name", ""), names.CUSTOM_JOBS)
        job = self._custom_job(name)
        return answer(
            {
                "now": _now(),
                "name": job.name,
                "state": JobState(job.state).name,
                "display_name": job.display_name,
                "labels": dict(job.labels),
                "error": job.error.message,
                "worker_pools": [to_json(pool) for pool in job.job_spec.worker_pool_specs],
                "replicas": other_logs(self._data).get(name.id, []),
                **{field: microseconds(job, field) for field in TIMES},
            }
        )

    def _custom_job(self, name: names.ResourceName) -> Message:
        job = self._store.custom_job(str(name))
        if job is None:
            raise not_found("CustomJob", str(name))
        return job

    async def log(self, request: Request) -> Response:
        """A container's log from a byte offset on: entries of time, stream and text, and whether more may come."""
        name = names.resource(request.query_params.get("job", ""), names.CUSTOM_JOBS, "job")
        offset = request.query_params.get("offset", "0")
        if not offset.isdecimal() or len(offset) > 18:
            raise invalid_argument(Violation("offset", "must be a number of bytes."))
        replica = request.query_params.get("replica", "")
        if replica and not _REPLICA.fullmatch(replica):
            raise invalid_argument(Violation("replica", "must be of the form workerpool1-0."))
        job = self._custom_job(name)
        # The state is read first: what is written before the end is then surely in the file.
        entries, following = read_log(log_path(self._data, "-".join(filter(None, (name.id, replica)))), int(offset))
        return answer(
            {
                "entries": [[entry.time, entry.stream, entry.text] for entry in entries],
                "offset": following,
                "done": job.state in JOB_FINAL and not entries,
                "state": JobState(job.state).name,
            }
        )


def _number(row: Mapping[str, Any]) -> str:
    return str(row["name"]).rpartition("/")[2]


def _task(detail: Message) -> dict[str, Any]:
    return {
        "id": str(detail.task_id),
        "parent": str(detail.parent_task_id),
        "name": detail.task_name,
        "path": detail.task_unique_name,
        "state": TaskState(detail.state).name,
        "error": detail.error.message,
        "attempts": [name for name in (*failed_jobs(detail), job_of(detail)) if name],
        "inputs": {**parameters_in(detail, outputs=False), **_artifacts(detail.inputs)},
        "outputs": {**parameters_in(detail, outputs=True), **_artifacts(detail.outputs)},
        **{field: microseconds(detail, field) for field in TIMES[:3]},
    }


def _artifacts(found: Mapping[str, Message]) -> dict[str, Any]:
    return {
        name if len(listed.artifacts) == 1 else f"{name}[{index}]": {
            "uri": artifact.uri,
            "schema_title": artifact.schema_title,
            "metadata": to_json(artifact.metadata),
        }
        for name, listed in found.items()
        for index, artifact in enumerate(listed.artifacts)
    }


def _content_security_policy(page: str) -> str:
    def digests(tag: str) -> str:
        found = re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
        return " ".join(
            f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" for text in found
        )

    return (
        f"default-src 'none'; script-src {digests('script')}; style-src {digests('style')}; connect-src 'self'; "
        "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def _now() -> int:
    """In microseconds, as the times of jobs are given."""
    return time.time_ns() // 1000
