"""Jobs in SQLite, kept as their protos. What is written here is all that survives the process.

A PipelineJob is stored in parts: its spec, which never changes, is shared by all jobs that have the same one, and is
most of the bytes; each task's detail, so that a change of one task does not write them all; and the rest. The wire
format joins them again, since the parts of a message may be concatenated.
Beside each job stand the columns that lists filter and sort by. Used from one thread.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from airflow_provider_kedro_vertex.emulator.resources import names
from airflow_provider_kedro_vertex.emulator.resources.protos import (
    CustomJob,
    Message,
    Operation,
    PipelineJob,
    PipelineTaskDetail,
    microseconds,
    without,
)
from airflow_provider_kedro_vertex.emulator.resources.states import JobState, PipelineState
from airflow_provider_kedro_vertex.emulator.storage import lineage, records

SCHEMA_VERSION = 8

TIMES = ("create_time", "start_time", "end_time", "update_time")

_SCHEMA = """
CREATE TABLE specs (digest TEXT PRIMARY KEY, spec BLOB NOT NULL);
CREATE TABLE jobs (
  name TEXT PRIMARY KEY,
  parent TEXT NOT NULL,
  collection TEXT NOT NULL,
  job BLOB NOT NULL,
  spec TEXT REFERENCES specs (digest),
  state TEXT NOT NULL,
  display_name TEXT NOT NULL,
  pipeline_name TEXT NOT NULL,
  template_uri TEXT NOT NULL,
  template_version TEXT NOT NULL,
  labels TEXT NOT NULL,
  create_time INTEGER,
  start_time INTEGER,
  end_time INTEGER,
  update_time INTEGER
);
CREATE INDEX jobs_by_parent ON jobs (parent, collection);
CREATE INDEX jobs_by_state ON jobs (collection, state);
CREATE INDEX jobs_by_spec ON jobs (spec);
CREATE TABLE details (job TEXT NOT NULL, task INTEGER NOT NULL, detail BLOB NOT NULL, UNIQUE (job, task));
CREATE TABLE operations (name TEXT PRIMARY KEY, operation BLOB NOT NULL);
CREATE TABLE waits (operation TEXT NOT NULL, job TEXT NOT NULL);
CREATE TABLE cache (key TEXT PRIMARY KEY, detail BLOB NOT NULL);
"""

_TABLES = ("jobs", "details", "specs", "operations", "waits", "cache", "records", "members", "events")


class StoreError(Exception):
    """The data folder cannot be used; the text says why."""


class Store:
    """The jobs of one emulator.

    :param path: the database's file; made if it is not there.
    :raises StoreError: if it is no such database, or one of another version.
    """

    def __init__(self, path: Path) -> None:
        try:
            # One thread uses it, but not always the one that opens it.
            self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            self._db.row_factory = sqlite3.Row
            # With WAL, NORMAL loses nothing when this process is killed, only when the machine loses power.
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = NORMAL")
            version = self._db.execute("PRAGMA user_version").fetchone()[0]
            if version == 0:
                schema = f"{_SCHEMA} {records.SCHEMA} {lineage.SCHEMA}"
                self._db.executescript(f"BEGIN; {schema} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;")
            elif version != SCHEMA_VERSION:
                raise StoreError(f"{path} was written by another version of the emulator; give an empty --data folder")
        except sqlite3.Error as error:
            raise StoreError(f"{path} cannot be used as a database: {error}") from error
        path.chmod(0o600)
        self._deep = 0
        self.records = records.Records(self._db)
        self.lineage = lineage.Lineage(self._db)

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Everything written inside becomes visible at once, or not at all. May be nested."""
        if self._deep == 0:
            self._db.execute("BEGIN IMMEDIATE")
        self._deep += 1
        try:
            yield
        except BaseException:
            self._deep -= 1
            if self._deep == 0:
                self._db.execute("ROLLBACK")
            raise
        self._deep -= 1
        if self._deep == 0:
            self._db.execute("COMMIT")

    def add_pipeline_job(self, job: Message) -> None:
        """Store a new PipelineJob with its spec.

        :raises KeyError: if the name is taken.
        """
        spec = PipelineJob(pipeline_spec=job.pipeline_spec).SerializeToString(deterministic=True)
        digest = hashlib.sha256(spec).hexdigest()
        rest = without(job, "pipeline_spec")
        info = (
            job.pipeline_spec.fields["pipelineInfo"].struct_value
            if "pipelineInfo" in job.pipeline_spec.fields
            else None
        )
        pipeline_name = info.fields["name"].string_value if info is not None and "name" in info.fields else ""
        with self.transaction():
            self._db.execute("INSERT OR IGNORE INTO specs VALUES (?, ?)", (digest, spec))
            self._add(rest, names.PIPELINE_JOBS, PipelineState(job.state).name, digest, pipeline_name)

    def add_custom_job(self, job: Message, pipeline_job: str = "") -> None:
        """Store a new CustomJob.

        :param pipeline_job: the PipelineJob whose task it is; empty for one that a client created.
        :raises KeyError: if the name is taken.
        """
        self._add(job, names.CUSTOM_JOBS, JobState(job.state).name, None, pipeline_job)

    def is_task(self, custom_job: str) -> bool:
        """True for a CustomJob that is a PipelineJob's task."""
        row = self._db.execute("SELECT pipeline_name FROM jobs WHERE name = ?", (custom_job,)).fetchone()
        return row is not None and bool(row["pipeline_name"])

    def save(self, job: Message, details: Iterable[Message] = (), removed: Iterable[int] = ()) -> None:
        """Store what changed in a job: a CustomJob, or a PipelineJob without its spec.

        :param details: the details of a PipelineJob's tasks that changed or are new, the latter in their order.
        :param removed: the ids of tasks whose details go.
        """
        state = PipelineState(job.state).name if isinstance(job, PipelineJob) else JobState(job.state).name
        self._db.execute(
            "UPDATE jobs SET job = ?, state = ?, start_time = ?, end_time = ?, update_time = ? WHERE name = ?",
            (job.SerializeToString(), state, *(microseconds(job, time) for time in TIMES[1:]), job.name),
        )
        self._db.executemany("DELETE FROM details WHERE job = ? AND task = ?", ((job.name, task) for task in removed))
        self._db.executemany(
            "INSERT INTO details VALUES (?, ?, ?) ON CONFLICT (job, task) DO UPDATE SET detail = excluded.detail",
            (
                (job.name, one.task_id, PipelineJob(job_detail={"task_details": [one]}).SerializeToString())
                for one in details
            ),
        )

    def pipeline_job(
        self, name: str, with_spec: bool = True, with_tasks: bool = True, into: Message | None = None
    ) -> Message | None:
        """A PipelineJob, whole or without its spec or the details of its tasks; None if there is none.

        :param into: an empty PipelineJob to fill, as of a page; by default a new one.
        """
        row = self._db.execute(
            "SELECT job, specs.spec FROM jobs JOIN specs ON digest = jobs.spec WHERE name = ?", (name,)
        ).fetchone()
        if row is None:
            return None
        parts = [row["job"]]
        if with_tasks:
            details = self._db.execute("SELECT detail FROM details WHERE job = ? ORDER BY rowid", (name,))
            parts += (detail["detail"] for detail in details)
        if with_spec:
            parts.append(row["spec"])
        job = PipelineJob() if into is None else into
        job.MergeFromString(b"".join(parts))
        return job

    def custom_job(self, name: str) -> Message | None:
        """A CustomJob; None if there is none."""
        row = self._db.execute(
            "SELECT job FROM jobs WHERE name = ? AND collection = ?", (name, names.CUSTOM_JOBS)
        ).fetchone()
        return None if row is None else CustomJob.FromString(row["job"])

    def rows(self, parent: str | None, collection: str, labels: bool = True) -> list[dict[str, Any]]:
        """The columns that lists need of each job, by the names that filters use.

        :param parent: one location; None for all.
        :param labels: whether they are asked for; reading them takes most of the time.
        """
        columns = "labels, create_time" if labels else "create_time"
        found = self._db.execute(
            "SELECT name, substr(name, length(parent) + length(collection) + 3) AS pipeline_job_user_id, state,"  # noqa: S608
            " display_name, pipeline_name, template_uri, template_version AS 'template_metadata.version',"
            f" {columns}, start_time, end_time, update_time FROM jobs"
            " WHERE collection = ? AND (? IS NULL OR parent = ?)",
            (collection, parent, parent),
        )
        rows = [dict(row) for row in found]
        if labels:
            for row in rows:
                row["labels"] = json.loads(row["labels"])
        return rows

    def custom_job_names(self) -> list[str]:
        """The names of all CustomJobs."""
        found = self._db.execute("SELECT name FROM jobs WHERE collection = ?", (names.CUSTOM_JOBS,))
        return [row["name"] for row in found]

    def unfinished(self, collection: str, final: frozenset[Any]) -> list[str]:
        """The names of all jobs in no final state, oldest first."""
        marks = ", ".join("?" * len(final))
        found = self._db.execute(
            f"SELECT name FROM jobs WHERE collection = ? AND state NOT IN ({marks}) ORDER BY create_time, name",  # noqa: S608
            (collection, *(state.name for state in final)),
        )
        return [row["name"] for row in found]

    def clear(self) -> None:
        """Forget everything."""
        with self.transaction():
            for table in _TABLES:
                self._db.execute(f"DELETE FROM {table}")  # noqa: S608

    def delete(self, name: str) -> None:
        """Remove a job, and its spec if no other job has it."""
        with self.transaction():
            row = self._db.execute("SELECT spec FROM jobs WHERE name = ?", (name,)).fetchone()
            self._db.execute("DELETE FROM jobs WHERE name = ?", (name,))
            self._db.execute("DELETE FROM details WHERE job = ?", (name,))
            if row is not None and row["spec"] is not None:
                self._db.execute(
                    "DELETE FROM specs WHERE digest = ? AND NOT EXISTS (SELECT 1 FROM jobs WHERE spec = ?)",
                    (row["spec"], row["spec"]),
                )

    def save_operation(self, operation: Message, waits_for: Sequence[str] = ()) -> None:
        """Store a long-running operation, or what changed in it.

        :param waits_for: the names of the jobs whose end a new operation waits for.
        """
        with self.transaction():
            self._db.execute(
                "INSERT OR REPLACE INTO operations VALUES (?, ?)", (operation.name, operation.SerializeToString())
            )
            self._db.executemany("INSERT INTO waits VALUES (?, ?)", [(operation.name, job) for job in waits_for])

    def waits_for(self, operation: str) -> list[str]:
        """The names of the jobs whose end an operation waits for."""
        found = self._db.execute("SELECT job FROM waits WHERE operation = ? ORDER BY rowid", (operation,))
        return [row["job"] for row in found]

    def operation(self, name: str) -> Message | None:
        """A long-running operation; None if there is none."""
        row = self._db.execute("SELECT operation FROM operations WHERE name = ?", (name,)).fetchone()
        return None if row is None else Operation.FromString(row["operation"])

    def operations(self, parent: str) -> list[Message]:
        """The long-running operations of a resource, and of all that is below it; the newest first."""
        found = self._db.execute(
            "SELECT operation FROM operations "
            "WHERE substr(name, 1, length(:parent) + 1) = :parent || '/' ORDER BY rowid DESC",
            {"parent": parent},
        )
        return [Operation.FromString(row["operation"]) for row in found]

    def cache_outputs(self, key: str, detail: Message) -> None:
        """Keep a task's outputs, in place of earlier ones with the same key."""
        self._db.execute("INSERT OR REPLACE INTO cache VALUES (?, ?)", (key, detail.SerializeToString()))

    def cached_outputs(self, key: str) -> Message | None:
        """The outputs kept with a key; None if there are none."""
        row = self._db.execute("SELECT detail FROM cache WHERE key = ?", (key,)).fetchone()
        return None if row is None else PipelineTaskDetail.FromString(row["detail"])

    def _add(self, job: Message, collection: str, state: str, digest: str | None, pipeline_name: str) -> None:
        is_pipeline = collection == names.PIPELINE_JOBS
        try:
            self._db.execute(
                f"INSERT INTO jobs VALUES ({', '.join('?' * 15)})",  # noqa: S608
                (
                    job.name,
                    job.name.rpartition(f"/{collection}/")[0],
                    collection,
                    job.SerializeToString(),
                    digest,
                    state,
                    job.display_name,
                    pipeline_name,
                    job.template_uri if is_pipeline else "",
                    job.template_metadata.version if is_pipeline else "",
                    json.dumps(dict(job.labels)),
                    *(microseconds(job, time) for time in TIMES),
                ),
            )
        except sqlite3.IntegrityError:
            raise KeyError(job.name) from None
