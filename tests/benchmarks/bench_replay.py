"""How much longer than a node itself its replay takes: ``kedro vertex replay`` of a failed node of the flights project.

The node ran in a process of the emulator. What it took is what its container told: loading its inputs and running. The
processor seconds tell what a machine that does nothing else would need. Run it with ``make bench``, or
``python tests/benchmarks/bench_replay.py [ROUNDS]``.
"""

from __future__ import annotations

import os
import re
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from airflow_provider_kedro_vertex.core.jobs.usage import MARK, from_lines  # noqa: E402
from airflow_provider_kedro_vertex.emulator import VertexEmulator  # noqa: E402
from tests.storage import storage_emulator, storage_variables  # noqa: E402

FLIGHTS = ROOT / "dags_examples" / "flights"
IMAGE = "europe-west1-docker.pkg.dev/demo-project/kedro/flights:1.0.0"
RUN = (
    "run-once",
    "--pipeline",
    "features",
    "--nodes",
    "features.select_flights",
    "--param",
    "run_date=no-date",
    "--wait",
)


def kedro_vertex(env: dict[str, str], *arguments: str) -> tuple[str, float, float]:
    """Run a command; what it said, its seconds and its processor seconds."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    command = [str(Path(sys.executable).with_name("kedro")), "vertex", *arguments]
    done = subprocess.run(command, cwd=FLIGHTS, env=env, capture_output=True, text=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    assert done.returncode == 1, done.stderr
    return done.stdout + done.stderr, time.monotonic() - start, cpu


def main(rounds: int) -> None:
    """Run a node that fails, and replay it."""
    with (
        storage_emulator("flights-demo") as storage,
        VertexEmulator({IMAGE: FLIGHTS}, env=storage_variables(storage)) as emulator,
    ):
        env = {**os.environ, "DO_NOT_TRACK": "1", "STORAGE_EMULATOR_HOST": storage}
        env["KEDRO_VERTEX_API_ENDPOINT"] = emulator.url
        said, _, _ = kedro_vertex(env, *RUN)
        used = from_lines(line.strip() for line in said.splitlines() if line.strip().startswith(MARK))
        job = re.search(r"kedro vertex replay (\S+)", said)
        assert used is not None
        assert job is not None, said
        (node,) = used.nodes.values()
        own = node.load + node.run + node.save
        print(
            f"the node itself: {own:.2f} s, its container {used.seconds:.2f} s ({used.cpu_seconds:.2f} s of processors)"
        )
        replays = [kedro_vertex(env, "replay", job[1])[1:] for _ in range(rounds)]
    wall, cpu = (statistics.median(each) for each in zip(*replays, strict=True))
    print(f"its replay: {wall:.2f} s ({cpu:.2f} s of processors), {wall - own:.2f} s longer than the node")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
