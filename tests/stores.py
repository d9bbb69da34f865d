"""The one place that opens stores for tests: SQLite, or PostgreSQL and Redis where CALBRIDGE_TEST_STORE says so.

Each is a copy of one that was migrated once: making it anew for each test would take most of the tests' time.
"""

from __future__ import annotations

import gc
import os
import sqlite3
import tempfile
import weakref
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event, select
from sqlalchemy.pool import ConnectionPoolEntry, Pool

from app.store import tables
from app.store.engine import open_engine
from app.store.migrate import migrate
from tests import postgresql, redis

ON = os.environ.get("CALBRIDGE_TEST_STORE", "sqlite")
"""sqlite or postgresql."""
KEY = "k" * 43 + "="
AGAIN = 4
"""What was tried with so many examples on SQLite is tried with one on another engine: the property is the same."""
MOST_IN_MEMORY = 6
"""Databases that stand in for stores in memory, before those that nobody holds any more are looked for."""
_lent: list[str] = []
_in_memory: set[str] = set()
_connected: list[Any] = []
_asked = 0

assert ON in {"sqlite", "postgresql"}, f"CALBRIDGE_TEST_STORE is sqlite or postgresql, not {ON}"


def few(count: int) -> int:
    """So many examples on SQLite, fewer on another engine."""
    return count if ON == "sqlite" else max(count // AGAIN, 1)


def asked() -> int:
    """How often this process was asked for a store."""
    return _asked


def url(file: Path | str) -> str:
    """The URL of this test's store of that name, in shape, the same each time it is asked, by other processes too.

    A file on SQLite; else a database of its own, whose URL is noted beside where the file would be. It is taken back
    when the test is over.
    """
    global _asked
    _asked += 1
    if ON == "sqlite":
        if not Path(file).exists():
            Path(file).write_bytes(_blank())
        return f"sqlite:///{file}"
    note = Path(f"{file}.{ON}")
    if not note.exists():
        _lent.append(postgresql.take())
        note.write_text(_lent[-1])
    return note.read_text()


def setting(file: Path | str) -> str:
    """The lines of a configuration that name this store, and what belongs beside it: before any table."""
    store = f'store.url = "{url(file)}"'
    if ON == "sqlite":
        return store
    jobs, bodies = redis.beside(url(file))
    return f'{store}\nstore.key = "{KEY}"\njobs.url = "{jobs}"\ncache.url = "{bodies}"'


def at(file: Path | str) -> Engine:
    """That store."""
    return open_engine(url(file))


def lose(file: Path) -> None:
    """The store of that name is gone, and there is none in its place."""
    if ON == "sqlite":
        for each in file.parent.glob(f"{file.name}*"):
            each.unlink()
        file.mkdir()
        return
    _lent.remove(url(file))
    postgresql.lose(url(file))


def kept_in(engine: Engine) -> bytes:
    """All that its tables hold, one value after the other, to look for what must not be there."""
    with engine.connect() as connection:
        rows = (row for table in tables.metadata.sorted_tables for row in connection.execute(select(table)))
        values = (value for row in rows for value in row)
        return b"\n".join(value if isinstance(value, bytes) else str(value).encode() for value in values)


def in_memory() -> Engine:
    """An empty store for one thread, and no longer there than somebody holds it."""
    global _asked
    _asked += 1
    if ON == "sqlite":
        engine = open_engine("sqlite://")
        with engine.connect() as connection:
            driver: Any = connection.connection.driver_connection
            driver.deserialize(_blank())
        return engine
    if len(_in_memory) >= MOST_IN_MEMORY:
        gc.collect()
    where = postgresql.take()
    engine = open_engine(where)
    _in_memory.add(where)
    weakref.finalize(engine, _forget, where)
    return engine


def _forget(where: str) -> None:
    if where in _in_memory:
        _in_memory.remove(where)
        postgresql.give_back(where)


@cache
def _blank() -> bytes:
    """A file of SQLite with all tables and no rows."""
    with tempfile.TemporaryDirectory() as folder:
        engine = open_engine(f"sqlite:///{folder}/blank.sqlite3")
        migrate(engine)
        engine.dispose()
        with closing(sqlite3.connect(f"{folder}/blank.sqlite3")) as connection:
            connection.execute("PRAGMA journal_mode=DELETE")  # what is read into memory can have no other
        return Path(folder, "blank.sqlite3").read_bytes()


@event.listens_for(Pool, "checkout")
def _hasten(connection: Any, record: ConnectionPoolEntry, _: object) -> None:
    """What a crash of the machine would lose is not what is tested."""
    if isinstance(connection, sqlite3.Connection) and "hastened" not in record.info:
        connection.execute("PRAGMA synchronous=OFF")
        record.info["hastened"] = True


@event.listens_for(Pool, "connect")
def _note(connection: Any, _: object) -> None:
    """A connection to a server that is left open warns when it is collected, in whatever test that is."""
    if hasattr(connection, "pgconn"):
        _connected.append(connection)


def share() -> None:
    """What was asked for so far is several tests': nobody takes it back before the run is over."""
    _lent.clear()
    redis.share()


def take_back() -> None:
    """The test is over: its stores are others' now."""
    while _connected:
        _connected.pop().close()
    while _lent:
        postgresql.give_back(_lent.pop())
    redis.forget()


def require() -> None:
    """Who asks for PostgreSQL gets it or an error: a run that skipped everything would look like one that passed."""
    if ON == "postgresql" and not postgresql.answers():
        pytest.exit(
            f"no PostgreSQL at {postgresql.SERVER}: start one there, or name it in CALBRIDGE_TEST_POSTGRESQL", 1
        )


def drop() -> None:
    """The run is over."""
    redis.stop()
    postgresql.drop()
