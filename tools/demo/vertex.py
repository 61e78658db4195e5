"""The Vertex AI emulator: PipelineJobs whose nodes run as processes of this machine."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tools.demo.processes import Processes
from tools.demo.project import Target
from tools.demo.rest import answers, get_json

USUAL_PORT = 8787


@dataclass(frozen=True)
class VertexJob:
    """A PipelineJob, or all CustomJobs of a run together, with the Airflow run that made it."""

    job_id: str
    dag_id: str
    run_id: str
    state: str
    nodes: Mapping[str, str]
    url: str
    # The nodes that failed, with the CustomJob that ran each.
    failed: Mapping[str, str] = field(default_factory=dict)

    @property
    def nodes_done(self) -> str:
        """Such as 3/14."""
        return f"{sum(state == 'SUCCEEDED' for state in self.nodes.values())}/{len(self.nodes)}"


class VertexEmulator:
    """`python -m airflow_provider_kedro_vertex.emulator`, where a folder stands in for the project's image."""

    def __init__(
        self,
        target: Target,
        folder: Path,
        *,
        host: str,
        data: Path,
        node_settings: Mapping[str, str],
        processes: Processes,
        env: Mapping[str, str],
    ) -> None:
        port = processes.ports.take(USUAL_PORT)
        self.url = f"http://127.0.0.1:{port}"
        self._target = target
        argv = [sys.executable, "-m", "airflow_provider_kedro_vertex.emulator", "--host", host, "--port", str(port)]
        argv += ["--data", str(data)]
        argv += ["--image", f"{target.image}={folder},{sys.executable}"]
        for key, value in node_settings.items():
            argv += ["--env", f"{key}={value}"]
        processes.start("Vertex AI emulator", argv, env=env)

    def ready(self) -> bool:
        """Ask whether it answers."""
        return answers(f"{self.url}/_emulator/health")

    def jobs(self) -> list[VertexJob]:
        """Every PipelineJob, oldest first."""
        parent = f"projects/{self._target.project_id}/locations/{self._target.region}"
        listed = get_json(f"{self.url}/v1/{parent}/pipelineJobs?pageSize=100").get("pipelineJobs", ())
        # As with Vertex AI, only a job that is asked for by name tells of its tasks.
        jobs = [get_json(f"{self.url}/v1/{job['name']}") for job in listed]
        return [self._job(job) for job in sorted(jobs, key=lambda job: str(job["createTime"]))]

    def custom_jobs(self, dag_id: str) -> list[VertexJob]:
        """The CustomJobs of a DAG's tasks, those of one run as one; of a node's tries the last one counts."""
        parent = f"projects/{self._target.project_id}/locations/{self._target.region}"
        wanted = f'labels.airflow-dag-id="{dag_id}"'
        query = f"filter={quote(wanted)}&pageSize=100"
        jobs: list[Mapping[str, Any]] = []
        token = ""
        while True:
            page = get_json(f"{self.url}/v1/{parent}/customJobs?{query}&pageToken={token}")
            jobs += page.get("customJobs", ())
            if not (token := page.get("nextPageToken", "")):
                break
        runs: dict[str, list[Mapping[str, Any]]] = {}
        for job in sorted(jobs, key=lambda job: str(job["createTime"])):
            runs.setdefault(_context(job)["run_id"], []).append(job)
        return [self._of_run(dag_id, run_id, found) for run_id, found in runs.items()]

    def log(self, custom_job: str) -> str:
        """Read what a node's container wrote, or the first part of it when it is long."""
        entries = get_json(f"{self.url}/_emulator/log?job={quote(custom_job, safe='')}")["entries"]
        return "\n".join(text for _, _, text in entries)

    def _of_run(self, dag_id: str, run_id: str, jobs: Sequence[Mapping[str, Any]]) -> VertexJob:
        last = {job["labels"]["kedro-group"]: job for job in jobs}
        states = {name: job["state"].removeprefix("JOB_STATE_") for name, job in last.items()}
        return VertexJob(
            job_id=f"{len(jobs)} CustomJobs",
            dag_id=dag_id,
            run_id=run_id,
            state="SUCCEEDED" if set(states.values()) == {"SUCCEEDED"} else "FAILED",
            nodes=states,
            failed={name: job["name"] for name, job in last.items() if states[name] == "FAILED"},
            url=self.url,
        )

    def _job(self, job: Mapping[str, Any]) -> VertexJob:
        target = self._target
        context = json.loads(job["runtimeConfig"]["parameterValues"]["run_context"])
        details = job.get("jobDetail", {}).get("taskDetails", ())
        states = {detail["taskName"]: detail["state"] for detail in details}
        job_id = job["name"].rpartition("/")[2]
        return VertexJob(
            job_id=job_id,
            dag_id=context["dag_id"],
            run_id=context["run_id"],
            state=job["state"].removeprefix("PIPELINE_STATE_"),
            nodes={name: states.get(name, "PENDING") for name in job["pipelineSpec"]["root"]["dag"]["tasks"]},
            failed={
                detail["taskName"]: _custom_job(detail["executorDetail"])
                for detail in details
                if detail["state"] == "FAILED" and "executorDetail" in detail
            },
            url=f"{self.url}/vertex-ai/locations/{target.region}/pipelines/runs/{job_id}?project={target.project_id}",
        )


def _custom_job(executor: Mapping[str, Any]) -> str:
    """The CustomJob of a task: the one that it launched, or its container."""
    launched: str | None = executor.get("customJobDetail", {}).get("job")
    return launched or str(executor["containerDetail"]["mainJob"])


def _context(custom_job: Mapping[str, Any]) -> Any:
    """The run context in a node's command, where Vertex AI would expand a single dollar sign before a bracket."""
    arguments = custom_job["jobSpec"]["workerPoolSpecs"][0]["containerSpec"]["args"]
    return json.loads(arguments[arguments.index("--context") + 1].replace("$$(", "$("))
