"""`python -m tools.demo`: three days of the flights pipeline, as Airflow backfills on the local stack."""

from __future__ import annotations

import argparse
import fcntl
import shutil
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from tools.demo.airflow import Run
from tools.demo.errors import StackError
from tools.demo.processes import tail
from tools.demo.project import KedroProject
from tools.demo.report import Progress, say, table
from tools.demo.stack import Stack
from tools.demo.vertex import VertexJob

REPOSITORY = Path(__file__).resolve().parents[2]
EXAMPLES = REPOSITORY / "dags_examples"
FLIGHTS = KedroProject(EXAMPLES / "flights", "flights.manifest.json")
DAG_ID = "flights"


@dataclass(frozen=True)
class Mode:
    """A way to run the pipeline: its DAG, what it makes of a run, and where in the bucket its results are."""

    dag_id: str
    what: str
    folder: str = ""


MODES = (
    Mode(DAG_ID, "one PipelineJob"),
    Mode("flights_nodes", "one PipelineJob, each node watched", "nodes/"),
    Mode("flights_custom_jobs", "a CustomJob for each node", "custom_jobs/"),
)
FIRST_DAY, LAST_DAY = date(2013, 6, 1), date(2013, 6, 3)
LOG_LINES = 30


def main() -> int:
    """Run the demo; 0 when every run succeeded, 1 when not, 130 when interrupted."""
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("--stay", action="store_true", help="stay up afterwards, until Ctrl-C")
    parser.add_argument("--host", default="127.0.0.1", help="address of the pages (default: %(default)s)")
    parser.add_argument("--folder", type=Path, default=REPOSITORY / ".demo", help="logs and state (default: .demo)")
    arguments = parser.parse_args()
    try:
        with _fresh(arguments.folder) as folder:
            return _demo(folder, arguments.host, stay=arguments.stay)
    except StackError as error:
        print(f"\nThe demo failed: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        say("\nStopped.")
        return 130


@contextmanager
def _fresh(folder: Path) -> Iterator[Path]:
    """The folder for this demo alone, without what the last one left."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StackError(f"another demo is running in {folder}. End it first.") from None
        for old in folder.iterdir():
            if old.is_dir():
                shutil.rmtree(old)
        yield folder


def _demo(folder: Path, host: str, *, stay: bool) -> int:
    say(f"Starting a bucket, a Vertex AI and an Airflow on this machine. Their logs: {folder / 'logs'}")
    started = time.monotonic()
    with Stack(folder, dags_folder=EXAMPLES, project=FLIGHTS, host=host) as stack:
        seconds = time.monotonic() - started
        say(f"Airflow {stack.airflow.version} is up after {seconds:.0f} s. Pages: {_pages(stack)}")
        for dag_id in (*(mode.dag_id for mode in MODES), "flights_on_demand", "flights_maintenance", "flights_notices"):
            # While Airflow stores DAGs, its backfill command may find SQLite locked.
            stack.wait_for_dag(dag_id)
        rows: list[tuple[str, ...]] = []
        errors: dict[date, set[float]] = {}
        for mode in MODES:
            failed = _backfill(stack, mode, rows, errors)
            if failed:
                break
        header = ("DAG", "day", "state", "Vertex AI", "nodes", "minutes", "mean error")
        say("\n" + table(header, rows))
        if not failed:
            failed = not _agree(errors)
        if stay:
            say(f"\nStill up, until Ctrl-C: {_pages(stack)}")
            stack.processes.until(lambda: False, "end", float("inf"))
        return 1 if failed else 0


def _backfill(stack: Stack, mode: Mode, rows: list[tuple[str, ...]], errors: dict[date, set[float]]) -> bool:
    """Backfill the days in one mode.

    :param rows: gets a row for each run.
    :param errors: gets each day's mean error.
    :return: whether a run failed.
    """
    say(f"Backfilling DAG {mode.dag_id} ({mode.what}), {FIRST_DAY} to {LAST_DAY}:")
    progress = Progress()
    runs = stack.airflow.backfill(mode.dag_id, FIRST_DAY, LAST_DAY, watch=lambda: _show(stack, mode, progress))
    jobs = _jobs(stack, mode)
    for run in runs:
        error = ""
        if run.state == "success":
            mean = stack.storage.read_json(f"{mode.folder}{run.day}/metrics.json")["mae_minutes"]
            errors.setdefault(run.day, set()).add(mean)
            error = f"{mean:.1f} min"
        rows.append(_row(mode, run, jobs.get(run.run_id), error))
    failed = [run for run in runs if run.state != "success"]
    if failed:
        _explain(stack, mode, failed[0], jobs.get(failed[0].run_id))
    return bool(failed)


def _agree(errors: Mapping[date, set[float]]) -> bool:
    differing = [str(day) for day, found in errors.items() if len(found) > 1]
    say(f"The modes differ on {', '.join(differing)}." if differing else "All modes have the same result on each day.")
    return not differing


def _jobs(stack: Stack, mode: Mode) -> dict[str, VertexJob]:
    """The jobs of a DAG by their run; of several attempts the last."""
    if mode.dag_id == "flights_custom_jobs":
        return {job.run_id: job for job in stack.vertex.custom_jobs(mode.dag_id)}
    return {job.run_id: job for job in stack.vertex.jobs() if job.dag_id == mode.dag_id}


def _pages(stack: Stack) -> str:
    pages = {"Airflow": stack.airflow.url, "Vertex AI": stack.vertex.url}
    return ", ".join(f"{name} {url}" for name, url in pages.items() if url)


def _show(stack: Stack, mode: Mode, progress: Progress) -> None:
    jobs = _jobs(stack, mode)
    for run in stack.airflow.runs(mode.dag_id):
        progress.show(run, stack.airflow.tasks(mode.dag_id, run.run_id), jobs.get(run.run_id))


def _row(mode: Mode, run: Run, job: VertexJob | None, error: str) -> tuple[str, ...]:
    minutes = "" if run.minutes is None else f"{run.minutes:.1f}"
    job_cells = (job.job_id, job.nodes_done) if job else ("none", "")
    return (mode.dag_id, str(run.day), run.state, *job_cells, minutes, error)


def _explain(stack: Stack, mode: Mode, run: Run, job: VertexJob | None) -> None:
    """Print how the logs of a run's failed tasks and nodes end."""
    logs = {
        f"task {task.task_id}": stack.airflow.task_log(mode.dag_id, run.run_id, task.task_id)
        for task in stack.airflow.tasks(mode.dag_id, run.run_id)
        if task.state == "failed"
    }
    if job:
        logs |= {f"node {node}": stack.vertex.log(custom_job) for node, custom_job in job.failed.items()}
    for name, log in logs.items():
        print(f"\n{run.day}: {name} failed. Its log ends:\n{tail(log, LOG_LINES)}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
