"""Facts stores without a server: one file for audits from a terminal or a pre-commit hook, and one in memory."""

import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TextIO

from audits.engine.facts import FACTS_VERSION

_CHUNK = 500
_RESULTS = 500


def cache_folder() -> Path:
    """``SSOT_CACHE_DIR``, else the folder ``ssot-dash`` in the user's cache folder."""
    if configured := os.environ.get("SSOT_CACHE_DIR"):
        return Path(configured)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ssot-dash"


class MemoryFactsStore:
    """A store that forgets: of facts, and of results."""

    def __init__(self) -> None:
        self._facts: dict[str, bytes] = {}
        self._results: dict[str, bytes] = {}

    def known(self, blob_shas: Sequence[str]) -> set[str]:
        return {sha for sha in blob_shas if sha in self._facts}

    def get_many(self, blob_shas: Sequence[str]) -> dict[str, bytes]:
        return {sha: self._facts[sha] for sha in blob_shas if sha in self._facts}

    def put_many(self, facts: Mapping[str, bytes]) -> None:
        self._facts.update(facts)

    def get_result(self, key: str) -> bytes | None:
        return self._results.get(key)

    def put_result(self, key: str, result: bytes) -> None:
        self._results[key] = result


class FileFactsStore:
    """A store of facts and of the last results in an SQLite file of its folder, shared by all repositories and safe for
    several processes at once.

    A damaged file is replaced: it is only a cache. Raises ``OSError`` when the folder can't be written.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / f"facts-{FACTS_VERSION}.sqlite3"
        try:
            self._connection = self._open()
        except sqlite3.OperationalError as error:
            raise OSError(f"{self.path}: {error}") from error
        except sqlite3.DatabaseError:
            self.path.unlink()
            self._connection = self._open()

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, timeout=30, isolation_level=None)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute(
            "CREATE TABLE IF NOT EXISTS facts (sha TEXT PRIMARY KEY, facts BLOB) WITHOUT ROWID"
        )
        connection.execute(
            "CREATE TABLE IF NOT EXISTS results (number INTEGER PRIMARY KEY, key TEXT UNIQUE, result BLOB)"
        )
        return connection

    def known(self, blob_shas: Sequence[str]) -> set[str]:
        found: set[str] = set()
        for chunk in _chunks(blob_shas):
            marks = ",".join("?" * len(chunk))
            query = f"SELECT sha FROM facts WHERE sha IN ({marks})"  # noqa: S608 (question marks only)
            found.update(sha for (sha,) in self._connection.execute(query, chunk))
        return found

    def get_many(self, blob_shas: Sequence[str]) -> dict[str, bytes]:
        found: dict[str, bytes] = {}
        for chunk in _chunks(blob_shas):
            marks = ",".join("?" * len(chunk))
            query = f"SELECT sha, facts FROM facts WHERE sha IN ({marks})"  # noqa: S608 (question marks only)
            found.update(self._connection.execute(query, chunk))
        return found

    def put_many(self, facts: Mapping[str, bytes]) -> None:
        self._connection.execute("BEGIN IMMEDIATE")
        self._connection.executemany("INSERT OR IGNORE INTO facts VALUES (?, ?)", facts.items())
        self._connection.execute("COMMIT")

    def get_result(self, key: str) -> bytes | None:
        row = self._connection.execute("SELECT result FROM results WHERE key = ?", [key]).fetchone()
        return row[0] if row else None

    def put_result(self, key: str, result: bytes) -> None:
        insert = "INSERT OR REPLACE INTO results (key, result) VALUES (?, ?)"
        number = self._connection.execute(insert, [key, result]).lastrowid
        self._connection.execute("DELETE FROM results WHERE number <= ?", [(number or 0) - _RESULTS])

    def close(self) -> None:
        self._connection.close()


def facts_store(complaints: TextIO) -> FileFactsStore | MemoryFactsStore:
    """The store of an audit from a terminal; where its file can't be written, one that forgets, and a line about it."""
    try:
        return FileFactsStore(cache_folder())
    except OSError as error:
        complaints.write(
            f"Facts are not cached ({error}); set SSOT_CACHE_DIR to a folder that can be written.\n"
        )
        return MemoryFactsStore()


def _chunks(items: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(items), _CHUNK):
        yield items[start : start + _CHUNK]
