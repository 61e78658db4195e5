"""Resources that are kept as they are and do not run: schedules, what ML Metadata has, persistent resources."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import Any

from airflow_provider_kedro_vertex.emulator.resources.protos import Message

SCHEMA = """
CREATE TABLE records (name TEXT PRIMARY KEY, parent TEXT NOT NULL, collection TEXT NOT NULL, record BLOB NOT NULL);
CREATE INDEX records_by_parent ON records (parent, collection);
"""


class Records:
    """The records of one database, by their resource names. What is below one ends with it."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def save(self, records: Iterable[Message]) -> None:
        """Store records, or what changed in them."""
        self._db.executemany(
            "INSERT OR REPLACE INTO records VALUES (?, ?, ?, ?)",
            ((one.name, *one.name.rsplit("/", 2)[:2], one.SerializeToString()) for one in records),
        )

    def get(self, kind: Any, name: str) -> Message | None:
        """A record; None if there is none.

        :param kind: the class of its message.
        """
        row = self._db.execute("SELECT record FROM records WHERE name = ?", (name,)).fetchone()
        return None if row is None else kind.FromString(row["record"])

    def list(self, kind: Any, parent: str, collection: str) -> list[Message]:
        """The records of one collection."""
        found = self._db.execute("SELECT record FROM records WHERE parent = ? AND collection = ?", (parent, collection))
        return [kind.FromString(row["record"]) for row in found]

    def delete(self, names: Iterable[str]) -> None:
        """Remove records, and all that is below them."""
        self._db.executemany(
            "DELETE FROM records WHERE name = :name OR substr(name, 1, length(:name) + 1) = :name || '/'",
            ({"name": name} for name in names),
        )
