"""How the nodes of ML Metadata belong together: which are in a context, and which events join them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from airflow_provider_kedro_vertex.emulator.resources.protos import Event, Message

SCHEMA = """
CREATE TABLE members (context TEXT NOT NULL, member TEXT NOT NULL, UNIQUE (context, member));
CREATE INDEX members_by_member ON members (member);
CREATE TABLE events (
  execution TEXT NOT NULL, artifact TEXT NOT NULL, event BLOB NOT NULL, UNIQUE (execution, artifact)
);
CREATE INDEX events_by_artifact ON events (artifact);
"""


class Lineage:
    """The memberships and the events of one database, by the names of the nodes."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def add_members(self, context: str, members: Iterable[str]) -> None:
        """Put artifacts and executions into a context. Those that are in it stay."""
        self._db.executemany("INSERT OR IGNORE INTO members VALUES (?, ?)", ((context, one) for one in members))

    def members(self, context: str) -> list[str]:
        """The artifacts and executions in a context."""
        found = self._db.execute("SELECT member FROM members WHERE context = ? ORDER BY rowid", (context,))
        return [row["member"] for row in found]

    def contexts(self, member: str) -> set[str]:
        """The contexts that an artifact or an execution is in."""
        return {row["context"] for row in self._db.execute("SELECT context FROM members WHERE member = ?", (member,))}

    def add_events(self, events: Iterable[Message]) -> None:
        """Join executions and artifacts. Two that are joined stay as they are."""
        self._db.executemany(
            "INSERT OR IGNORE INTO events VALUES (?, ?, ?)",
            ((one.execution, one.artifact, one.SerializeToString()) for one in events),
        )

    def events(self, name: str) -> list[Message]:
        """The events of an artifact or an execution."""
        found = self._db.execute(
            "SELECT event FROM events WHERE execution = :name OR artifact = :name ORDER BY rowid", {"name": name}
        )
        return [Event.FromString(row["event"]) for row in found]

    def forget(self, name: str) -> None:
        """Remove what is known of a node, or of all that is below a metadata store."""
        for table, column in (
            ("members", "context"),
            ("members", "member"),
            ("events", "execution"),
            ("events", "artifact"),
        ):
            self._db.execute(
                f"DELETE FROM {table} "  # noqa: S608
                f"WHERE {column} = :name OR substr({column}, 1, length(:name) + 1) = :name || '/'",
                {"name": name},
            )
