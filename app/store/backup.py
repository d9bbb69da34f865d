"""The whole store in one file, and back: a backup, and the way from SQLite to PostgreSQL or the other way.

The file is gzipped JSON, a line for each row, taken in one snapshot while everything runs. It can be restored into an
empty database of either kind, by this calbridge or a newer one: the rows are put into the tables of the revision that
they come from, and are migrated from there.
"""

from __future__ import annotations

import base64
import gzip
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import IO, Any

from alembic.migration import MigrationContext
from sqlalchemy import (
    JSON,
    Column,
    Connection,
    DateTime,
    Engine,
    LargeBinary,
    MetaData,
    Select,
    Table,
    Text,
    bindparam,
    cast,
    func,
    insert,
    inspect,
    select,
    text,
)

from app.store.migrate import reshaping, upgrade
from app.store.tables import metadata as ours

FORMAT = 1
BATCH = 500
"""Rows that are held in memory at a time."""
_VERSION_TABLE = "alembic_version"

Counts = dict[str, int]
"""How many rows of each table."""
Progress = Callable[[int, int], None]
"""Is told now and then how much is done, of how much in all: rows while a backup is made, bytes while it is read."""


def _silent(done: int, of: int) -> None:
    """Nobody wants to know."""


class BadBackup(ValueError):
    """The file is no backup, or not a whole one, or there is no room for it; the text says which."""


@dataclass(frozen=True, slots=True)
class Told:
    """What a backup holds: its rows, and since when it stands."""

    counts: Counts
    made_at: str

    def __str__(self) -> str:
        return f"{sum(self.counts.values())} rows of {len(self.counts)} tables, as of {self.made_at}"


def backup(
    engine: Engine, path: Path, now: datetime, others: Sequence[MetaData] = (), progress: Progress = _silent
) -> Told:
    """Write the store into `path`, for its owner's eyes alone; an older file there gives way once the new one is whole.

    `others` are the tables that bridges keep here. BadBackup where the database holds no store; OSError where the file
    cannot be written. The vault's key is not in it: it has to be kept apart.
    """
    counts: Counts = {}
    with _replaced(path) as file, _snapshot(engine) as connection:
        tables = _tables(connection, _names(others))
        of = sum(connection.execute(select(func.count()).select_from(table)).scalar() or 0 for table in tables)
        lines = _Lines(file, lambda done: progress(min(done, of), of))
        head = {"calbridge": FORMAT, "revision": _revision(connection), "made_at": now.astimezone(UTC).isoformat()}
        lines.write(head)
        for table in tables:
            counts[table.name] = _write_table(connection, table, lines)
        lines.write({"end": counts, "sha256": lines.digest.hexdigest()})
    return Told(counts, str(head["made_at"]))


def restore(engine: Engine, path: Path, others: Sequence[MetaData] = (), progress: Progress = _silent) -> Told:
    """Fill the empty database from a backup, all of it or nothing. `others` are the tables that bridges keep here.

    BadBackup where the file is none or cut, or where the database holds anything already; OSError if it cannot be read.
    """
    size = path.stat().st_size
    with path.open("rb") as raw, gzip.open(raw, "rt", encoding="utf-8", newline="\n") as file:
        try:
            with reshaping(engine) as connection:
                return _restore(connection, _Read(file, lambda: progress(raw.tell(), size)), others)
        except (EOFError, gzip.BadGzipFile, UnicodeDecodeError, json.JSONDecodeError) as error:
            raise BadBackup(f"{path} is not a whole backup: {error}") from error


def _restore(connection: Connection, lines: _Read, others: Sequence[MetaData]) -> Told:
    names = _names(others)
    if full := [table.name for table in _tables(connection, names) if connection.execute(select(table)).first()]:
        raise BadBackup(f"the database is not empty: it has rows in {', '.join(sorted(full))}; name an empty one")
    head = lines.next()
    if not isinstance(head, dict) or head.get("calbridge") != FORMAT:
        raise BadBackup("this file is no backup of calbridge, or of a newer one")
    _make_tables(connection, str(head["revision"]), others)
    counts = _read_tables(connection, lines, names)
    upgrade(connection, "head")
    return Told(counts, str(head["made_at"]))


def _make_tables(connection: Connection, revision: str, others: Sequence[MetaData]) -> None:
    """A database that was opened once has our tables, empty ones and perhaps newer: it is begun anew."""
    metadata = MetaData()
    metadata.reflect(connection, only=lambda name, _: name in _names(others) | {_VERSION_TABLE})
    metadata.drop_all(connection)
    upgrade(connection, revision)
    for each in others:
        each.create_all(connection)


# Writing


class _Lines:
    """Writes JSON lines, and knows the hash of all of them so far; now and then it tells how many these are."""

    def __init__(self, file: IO[bytes], tell: Callable[[int], None]) -> None:
        self._file = file
        self._tell = tell
        self._count = 0
        self.digest = sha256()

    def write(self, value: object) -> None:
        line = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
        self.digest.update(line)
        self._file.write(line)
        self._count += 1
        if self._count % BATCH == 0:
            self._tell(self._count)


def _write_table(connection: Connection, table: Table, lines: _Lines) -> int:
    columns = list(table.columns)
    lines.write({"table": table.name, "columns": [column.name for column in columns], "last": _last(connection, table)})
    count = 0
    for row in connection.execution_options(yield_per=BATCH).execute(_select(table)):
        lines.write([_encoded(value) for value in row])
        count += 1
    return count


def _select(table: Table) -> Select[Any]:
    """JSON as its text, so that a null stays the null it was."""
    columns = [cast(column, Text) if isinstance(column.type, JSON) else column for column in table.columns]
    return select(*columns).order_by(*table.primary_key.columns)


def _encoded(value: Any) -> Any:
    if isinstance(value, bytes | memoryview):
        return base64.b64encode(bytes(value)).decode()
    if isinstance(value, datetime):
        return (value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)).isoformat()
    return value


# Reading


class _Read:
    """Reads JSON lines, and knows the hash of all before the one read last."""

    def __init__(self, file: IO[str], tell: Callable[[], None]) -> None:
        self._file = file
        self._tell = tell
        self._digest = sha256()
        self._count = 0
        self.before = ""

    def next(self) -> Any:
        line = self._file.readline()
        if not line:
            raise BadBackup("the backup is cut off: its end is missing")
        self.before = self._digest.hexdigest()
        self._digest.update(line.encode())
        self._count += 1
        if self._count % BATCH == 0:
            self._tell()
        return json.loads(line)


def _read_tables(connection: Connection, lines: _Read, names: frozenset[str]) -> Counts:
    """Until the end line, which has to agree with what was read."""
    tables = {table.name: table for table in _tables(connection, names)}
    counts: Counts = {}
    line = lines.next()
    while "end" not in line:
        name = str(line["table"])
        if name not in tables:
            raise BadBackup(f"the backup has a table '{name}' that this calbridge does not know: install the newer one")
        counts[name], after = _read_table(connection, tables[name], line["columns"], lines)
        _set_last(connection, tables[name], line["last"])
        line = after
    if line["end"] != counts or line["sha256"] != lines.before:
        raise BadBackup("the backup was changed since it was made: its sum does not agree")
    return counts


def _read_table(connection: Connection, table: Table, names: Sequence[str], lines: _Read) -> tuple[int, Any]:
    """The rows up to the next line that is none; how many, and that line."""
    columns = [table.c[name] for name in names]
    statement = insert(table).values({column.name: _bound(column, connection) for column in columns})
    decoders = [_decoder(column, connection) for column in columns]
    rows: list[dict[str, Any]] = []
    count = 0
    while isinstance(line := lines.next(), list):
        values = (None if value is None else decode(value) for value, decode in zip(line, decoders, strict=True))
        rows.append({f"v_{name}": value for name, value in zip(names, values, strict=True)})
        count += 1
        if len(rows) == BATCH:
            connection.execute(statement, rows)
            rows = []
    if rows:
        connection.execute(statement, rows)
    return count, line


def _bound(column: Column[Any], connection: Connection) -> Any:
    if not isinstance(column.type, JSON):
        return bindparam(f"v_{column.name}", type_=column.type)
    plain = bindparam(f"v_{column.name}", type_=Text())
    return cast(plain, JSON) if connection.dialect.name == "postgresql" else plain


def _decoder(column: Column[Any], connection: Connection) -> Callable[[Any], Any]:
    if isinstance(column.type, LargeBinary):
        return base64.b64decode
    if isinstance(column.type, DateTime):
        naive = connection.dialect.name == "sqlite"
        return lambda value: datetime.fromisoformat(value).replace(tzinfo=None if naive else UTC)
    return lambda value: value


# Tables, whatever their revision


def _names(others: Iterable[MetaData]) -> frozenset[str]:
    """What is ours in a database that others may use as well."""
    return frozenset(name for each in (ours, *others) for name in each.tables)


def _tables(connection: Connection, names: frozenset[str]) -> list[Table]:
    """Those of our tables that are there, as they are there, and those before that others refer to."""
    metadata = MetaData()
    metadata.reflect(connection, only=lambda name, _: name in names)
    return metadata.sorted_tables


def _revision(connection: Connection) -> str:
    revision = MigrationContext.configure(connection).get_current_revision()
    if revision is None:
        raise BadBackup("this database holds no store of calbridge")
    return revision


def _numbered(table: Table) -> Column[Any] | None:
    """The column that numbers the rows, if one does."""
    keys = list(table.primary_key.columns)
    return keys[0] if len(keys) == 1 and keys[0].type.python_type is int and not keys[0].foreign_keys else None


def _last(connection: Connection, table: Table) -> int | None:
    """The last number that a row was given, also if that row is gone: it must not come to name another."""
    column = _numbered(table)
    if column is None:
        return None
    highest = connection.execute(select(func.max(column))).scalar() or 0
    return max(highest, _counter(connection, table, column) or 0)


def _counter(connection: Connection, table: Table, column: Column[Any]) -> int | None:
    if connection.dialect.name == "sqlite":
        if not inspect(connection).has_table("sqlite_sequence"):
            return None
        query = text("SELECT seq FROM sqlite_sequence WHERE name = :name")
        return connection.execute(query, {"name": table.name}).scalar()
    name = connection.execute(
        text("SELECT pg_get_serial_sequence(:t, :c)"), {"t": table.name, "c": column.name}
    ).scalar()
    if name is None:
        return None
    return connection.execute(text(f"SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM {name}")).scalar()  # noqa: S608


def _set_last(connection: Connection, table: Table, last: int | None) -> None:
    column = _numbered(table)
    if column is None or not last:
        return
    if connection.dialect.name == "sqlite":
        if inspect(connection).has_table("sqlite_sequence"):
            connection.execute(text("DELETE FROM sqlite_sequence WHERE name = :name"), {"name": table.name})
            values = {"name": table.name, "last": last}
            connection.execute(text("INSERT INTO sqlite_sequence (name, seq) VALUES (:name, :last)"), values)
        return
    where = {"t": table.name, "c": column.name, "last": last}
    connection.execute(text("SELECT setval(pg_get_serial_sequence(:t, :c), :last)"), where)


# Files and snapshots


@contextmanager
def _snapshot(engine: Engine) -> Iterator[Connection]:
    """One moment of the store, however long it is read."""
    level = {"isolation_level": "REPEATABLE READ"} if engine.dialect.name == "postgresql" else {}
    with engine.connect().execution_options(**level) as connection:
        yield connection


@contextmanager
def _replaced(path: Path) -> Iterator[IO[bytes]]:
    """A gzipped file that takes the place of `path` once it is whole and on the disk."""
    with NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as raw:
        try:
            with gzip.GzipFile(fileobj=raw, mode="wb", compresslevel=6) as file:
                yield file  # type: ignore[misc]
            raw.flush()
            os.fsync(raw.fileno())
            Path(raw.name).replace(path)
        except BaseException:
            with suppress(OSError):
                Path(raw.name).unlink()
            raise
