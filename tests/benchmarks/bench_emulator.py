"""What the emulator bears: a thousand PipelineJobs of ten tasks each, all running at once; and one of many tasks.

Run by ``make bench``; prints a table. The client runs beside it and takes its share of the processors, so the
emulator's own processor time is shown too. Wanted: 100 creates a second, 400 MB, lists of 100 in 50 ms at the 95th
percentile.
"""

from __future__ import annotations

import http.client
import json
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from tests.unit.emulator.command import JOBS, Process  # noqa: E402
from tests.unit.emulator.specs import body, container_spec  # noqa: E402

PIPELINE_JOBS, TASKS, CLIENTS, LISTS = 1000, 10, 4, 100
CHAINS = (200, 400, 800)
CUSTOM_JOBS = JOBS.replace("pipelineJobs", "customJobs")
PARAMETERS = json.dumps({"run_date": "2013-06-01", "regions": ["EWR", "JFK", "LGA"], "threshold": 0.5})


class Client:
    """One kept connection for each thread."""

    def __init__(self, url: str) -> None:
        self._address = urlsplit(url).netloc
        self._kept = threading.local()

    def __call__(self, method: str, path: str, data: bytes | None = None) -> Any:
        if not hasattr(self._kept, "connection"):
            self._kept.connection = http.client.HTTPConnection(self._address, timeout=120)
        self._kept.connection.request(method, path, data)
        response = self._kept.connection.getresponse()
        text = response.read()
        assert response.status == 200, text
        return json.loads(text)


def processor_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


def megabytes(pid: int, field: str) -> float:
    (line,) = (one for one in Path(f"/proc/{pid}/status").read_text().splitlines() if one.startswith(field))
    return int(line.split()[1]) / 1024


def measured(pid: int, act: Callable[[], object]) -> tuple[float, float]:
    """Wall and processor seconds of the emulator while something is done."""
    started, used = time.perf_counter(), processor_seconds(pid)
    act()
    return time.perf_counter() - started, processor_seconds(pid) - used


def pipeline_job() -> bytes:
    """As the operator sends it: every task with its own arguments and the run's parameters."""
    names = [f"node-{number}" for number in range(TASKS)]
    args = {
        name: ["-m", "runtime", "run", "--node", name, "--params", "{{$.inputs.parameters['params']}}"]
        for name in names
    }
    spec = container_spec(dict.fromkeys(names, ()), args=args, parameters={"params": {"parameterType": "STRING"}})
    return json.dumps(body(spec, {"params": PARAMETERS}, labels={"airflow-dag-id": "flights"})).encode()


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        emulator = Process(Path(folder) / "data", "--noop", "3600")
        try:
            measure(emulator.popen.pid, Client(emulator.url))
        finally:
            emulator.end()
        emulator = Process(Path(folder) / "chains", "--noop", "0")
        try:
            measure_chains(emulator.popen.pid, Client(emulator.url))
        finally:
            emulator.end()


def measure_chains(pid: int, call: Client) -> None:
    """One job whose tasks run one after the other, and take no time: what each costs should not grow."""
    print(f"{'one job of a chain of tasks':<34}{'seconds':>10}{'CPU ms a task':>15}")
    done = quote('state="PIPELINE_STATE_SUCCEEDED"')
    for number, count in enumerate(CHAINS, start=1):
        names = [f"node-{at:04}" for at in range(count)]
        spec = container_spec({name: names[max(at - 1, 0) : at] for at, name in enumerate(names)})
        data = json.dumps(body(spec)).encode()

        def run(data: bytes = data, number: int = number) -> None:
            call("POST", JOBS, data)
            while len(call("GET", f"{JOBS}?filter={done}&readMask=name").get("pipelineJobs", [])) < number:
                time.sleep(0.1)

        wall, used = measured(pid, run)
        print(f"  {count:<32}{wall:>10.1f}{used / count * 1000:>15.2f}")


def measure(pid: int, call: Client) -> None:
    idle, data = megabytes(pid, "VmRSS"), pipeline_job()

    def create() -> None:
        with ThreadPoolExecutor(CLIENTS) as pool:
            list(pool.map(lambda n: call("POST", f"{JOBS}?pipelineJobId=job-{n}", data), range(PIPELINE_JOBS)))

    def run() -> None:
        waiting = quote('state="JOB_STATE_PENDING"')
        while call("GET", f"{CUSTOM_JOBS}?pageSize=1&filter={waiting}"):
            pass

    wall, used = measured(pid, create)
    rest, _ = measured(pid, run)
    print(f"{PIPELINE_JOBS} PipelineJobs of {TASKS} tasks each ({len(data)} bytes), {CLIENTS} clients")
    print(f"{'creates a second':<34}{PIPELINE_JOBS / wall:>10.0f}")
    print(f"{'emulator, processor ms a create':<34}{used / PIPELINE_JOBS * 1000:>10.1f}")
    print(f"{'all run, seconds after the last':<34}{rest:>10.1f}")
    print(f"{'MB before':<34}{idle:>10.0f}")
    print(f"{'MB with all running':<34}{megabytes(pid, 'VmRSS'):>10.0f}")
    print(f"{'MB at most':<34}{megabytes(pid, 'VmHWM'):>10.0f}")
    print(f"{'list of 100 PipelineJobs':<34}{'p50 ms':>10}{'p95 ms':>10}{'CPU ms':>10}")
    for title, query in {
        "all": "",
        "filtered and sorted": f"filter={quote('state=PIPELINE_STATE_RUNNING AND labels.airflow-dag-id=flights')}"
        "&orderBy=create_time",
        "with a mask": "readMask=name,state,createTime",
    }.items():
        took: list[float] = []

        def lists(query: str = query, took: list[float] = took) -> None:
            for _ in range(LISTS):
                began = time.perf_counter()
                assert len(call("GET", f"{JOBS}?pageSize=100&{query}")["pipelineJobs"]) == 100
                took.append((time.perf_counter() - began) * 1000)

        _, used = measured(pid, lists)
        p95 = statistics.quantiles(took, n=20)[-1]
        print(f"  {title:<32}{statistics.median(took):>10.1f}{p95:>10.1f}{used / LISTS * 1000:>10.1f}")


if __name__ == "__main__":
    main()
