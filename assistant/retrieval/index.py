"""The index on disk: passages and their vectors in SQLite, their words in Tantivy.

It can always be made again from its sources. One process at a time writes it; any number read it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from anomalyd.assistant.language.phrasing import apart
from anomalyd.assistant.retrieval.passage import Filters, Passage, SourceKind
from anomalyd.assistant.retrieval.words import Words

_AT_ONCE = 500  # numbers in one query
_FEW, _DEEPER = 5000, 50

FORMAT = "2"
"""Version of the layout; an index of another one is made again."""

_SCHEMA = """
CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE items (source TEXT, item TEXT, version TEXT NOT NULL, PRIMARY KEY (source, item));
CREATE TABLE passages (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    source TEXT NOT NULL, item TEXT NOT NULL,
    kind TEXT NOT NULL, id TEXT NOT NULL, title TEXT NOT NULL, text TEXT NOT NULL,
    entity TEXT, since REAL, until REAL, gist TEXT NOT NULL
);
CREATE INDEX passages_of_item ON passages (source, item);
CREATE INDEX passages_of_entity ON passages (entity, number);
CREATE INDEX passages_by_time ON passages (since, until, number);
CREATE INDEX passages_of_kind ON passages (kind, number);
CREATE TABLE vectors (number INTEGER PRIMARY KEY, vector BLOB NOT NULL);
CREATE TRIGGER passage_gone AFTER DELETE ON passages BEGIN
    DELETE FROM vectors WHERE number = old.number;
END;
"""
_COLUMNS = "kind, id, title, text, entity, since, until, gist"


@dataclass(frozen=True, slots=True)
class Item:
    """What a source holds under one name, as it was read."""

    name: str
    version: str
    passages: Sequence[Passage]


class Index:
    """Passages by number. A number is never given twice, so that what is kept by number never goes stale."""

    def __init__(self, folder: Path, encoder: str) -> None:
        """Open the index in a folder, for vectors of the encoder with this fingerprint.

        What another encoder made is dropped: its vectors mean something else. Passages and words stay.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self._database = sqlite3.connect(folder / "passages.db", timeout=60, check_same_thread=False)
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.execute("PRAGMA synchronous = NORMAL")
        self._words = Words.open(folder / "words")
        self._seen: int | None = None
        self._prepare(encoder)

    def close(self) -> None:
        """Close the files."""
        self._database.close()

    # -- writing ---------------------------------------------------------------------------------

    def versions(self, source: str) -> dict[str, str]:
        """Give the items of a source that are here, with their versions."""
        return dict(self._database.execute("SELECT item, version FROM items WHERE source = ?", (source,)))

    def replace(self, source: str, items: Sequence[Item], gone: Sequence[str] = ()) -> None:
        """Put new versions of items in the place of the old ones, and drop those that are `gone`.

        Words come first: if the process dies in between, the items keep their old version and are read again.
        """
        names = [*gone, *(item.name for item in items)]
        with self._database as db:
            db.execute("BEGIN IMMEDIATE")
            old = [n for name in names for n in self._numbers_of(source, name)]
            added: list[tuple[int, str]] = []
            for item in items:
                for p in item.passages:
                    number = self._insert(source, item.name, p)
                    added.append((number, f"{apart(p.title)}\n{p.title}\n{p.entity or ''}\n{p.text}"))
                db.execute("INSERT OR REPLACE INTO items VALUES (?, ?, ?)", (source, item.name, item.version))
            db.executemany("DELETE FROM passages WHERE number = ?", [(n,) for n in old])
            db.executemany("DELETE FROM items WHERE source = ? AND item = ?", [(source, n) for n in gone])
            self._words.replace(added, old)

    def without_vector(self, limit: int) -> list[tuple[int, Passage]]:
        """Give passages that have no vector yet, documents and the latest first."""
        rows = self._database.execute(
            f"SELECT number, {_COLUMNS} FROM passages WHERE number NOT IN (SELECT number FROM vectors) "  # nosec B608
            "ORDER BY kind <> 'document', number DESC LIMIT ?",
            (limit,),
        )
        return [(number, _passage(row)) for number, *row in rows]

    def put_vectors(self, numbers: Sequence[int], vectors: NDArray[np.float32]) -> None:
        """Keep the vectors of passages, as 16-bit floats; of those that are gone by now, nothing."""
        blobs = vectors.astype(np.float16)
        with self._database as db:
            db.executemany(
                "INSERT OR REPLACE INTO vectors SELECT number, ?2 FROM passages WHERE number = ?1",
                [(n, b.tobytes()) for n, b in zip(numbers, blobs, strict=True)],
            )

    # -- reading ---------------------------------------------------------------------------------

    def changes(self) -> int:
        """Give a number that changes when another process, or this one, wrote."""
        version: int = self._database.execute("PRAGMA data_version").fetchone()[0]
        return version * 1_000_003 + self._database.total_changes

    def numbers_with_vector(self) -> NDArray[np.int64]:
        """Give the numbers of the passages that have a vector, in order."""
        rows = self._database.execute("SELECT number FROM vectors ORDER BY number")
        return np.fromiter((n for (n,) in rows), dtype=np.int64)

    def vectors(self, numbers: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.float16]]:
        """Give the vectors of passages: the numbers that have one (n,), and the vectors (n, size)."""
        found: list[tuple[int, bytes]] = []
        for k in range(0, len(numbers), _AT_ONCE):
            some = [int(n) for n in numbers[k : k + _AT_ONCE]]
            marks = ", ".join("?" * len(some))
            query = f"SELECT number, vector FROM vectors WHERE number IN ({marks})"
            found += self._database.execute(query, some)
        if not found:
            return np.empty(0, dtype=np.int64), np.empty((0, 0), dtype=np.float16)
        vectors = np.frombuffer(b"".join(blob for _, blob in found), dtype=np.float16)
        return np.array([n for n, _ in found], dtype=np.int64), vectors.reshape(len(found), -1).copy()

    def numbers(self, filters: Filters) -> NDArray[np.int64] | None:
        """Give the numbers of the passages that pass, in order; None if there is no condition."""
        clauses, values = _conditions(filters)
        if not clauses:
            return None
        query = f"SELECT number FROM passages WHERE {' AND '.join(clauses)} ORDER BY number"
        rows = self._database.execute(query, values)
        return np.fromiter((n for (n,) in rows), dtype=np.int64)

    def lexical(self, question: str, limit: int, among: NDArray[np.int64] | None) -> dict[int, float]:
        """Give the `limit` best passages by BM25, their numbers and scores; `among` some, or all."""
        changes = self.changes()
        if changes != self._seen:
            self._words.reload()
            self._seen = changes
        if among is None or len(among) <= _FEW:
            return self._words.best(question, limit, among)
        # Tantivy takes longer to look up many numbers than to find many passages.
        found = self._words.best(question, _DEEPER * limit)
        passing = set(among[np.isin(among, np.array(list(found), dtype=np.int64))].tolist())
        return dict(islice(((n, score) for n, score in found.items() if n in passing), limit))

    def passages(self, numbers: Sequence[int]) -> dict[int, Passage]:
        """Give passages by number; one that is gone is left out."""
        marks = ", ".join("?" * len(numbers))
        query = f"SELECT number, {_COLUMNS} FROM passages WHERE number IN ({marks})"
        return {number: _passage(row) for number, *row in self._database.execute(query, list(numbers))}

    def size(self) -> tuple[int, int]:
        """Count the passages, and those that have a vector."""
        query = "SELECT (SELECT count(*) FROM passages), (SELECT count(*) FROM vectors)"
        row: tuple[int, int] = self._database.execute(query).fetchone()
        return row

    # --------------------------------------------------------------------------------------------

    def _prepare(self, encoder: str) -> None:
        settings: dict[str, str] = {}
        with suppress(sqlite3.OperationalError):
            settings = dict(self._database.execute("SELECT name, value FROM settings"))
        # Words that were lost cannot be told from passages that are known.
        lost = settings and not len(self._words) and self.size()[0]
        if settings.get("format") != FORMAT or lost:
            self._make_anew()
            settings = {}
        with self._database as db:
            if settings.get("encoder") != encoder:
                db.execute("DELETE FROM vectors")
            wanted = {"format": FORMAT, "encoder": encoder}
            if settings != wanted:
                db.executemany("INSERT OR REPLACE INTO settings VALUES (?, ?)", wanted.items())

    def _make_anew(self) -> None:
        names = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
        with closing(self._database.cursor()) as cursor:
            for (name,) in cursor.execute(names).fetchall():
                cursor.execute(f'DROP TABLE "{name}"')
            cursor.executescript(_SCHEMA)
        self._words.clear()

    def _insert(self, source: str, item: str, p: Passage) -> int:
        cursor = self._database.execute(
            f"INSERT INTO passages (source, item, {_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",  # nosec B608
            (source, item, p.kind.value, p.id, p.title, p.text, p.entity, p.since, p.until, p.gist),
        )
        return int(cursor.lastrowid or 0)

    def _numbers_of(self, source: str, item: str) -> list[int]:
        query = "SELECT number FROM passages WHERE source = ? AND item = ?"
        return [number for (number,) in self._database.execute(query, (source, item))]


def _passage(row: Sequence[object]) -> Passage:
    kind, *others = row
    return Passage(SourceKind(kind), *others)  # type: ignore[arg-type]


def _conditions(f: Filters) -> tuple[list[str], list[object]]:
    clauses: list[str] = []
    values: list[object] = []
    for column, wanted in (("kind", f.kinds), ("id", f.ids), ("entity", f.entities)):
        if wanted:
            fits = f"{column} IN ({', '.join('?' * len(wanted))})"
            clauses.append(f"({fits} OR entity IS NULL)" if column == "entity" else fits)
            values += [str(each) for each in wanted]
    if f.until is not None:
        clauses.append("(since IS NULL OR since < ?)")
        values.append(f.until)
    if f.since is not None:
        clauses.append("(since IS NULL OR until IS NULL OR until >= ?)")
        values.append(f.since)
    return clauses, values
