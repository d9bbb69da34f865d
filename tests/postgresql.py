"""A PostgreSQL for tests: empty databases, and migrated ones that are used again and again, for that is fast."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, make_url, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import NullPool

from app.store.engine import open_engine
from app.store.migrate import alembic_config, migrate

SERVER = os.environ.get("CALBRIDGE_TEST_POSTGRESQL", "postgresql+psycopg://postgres@127.0.0.1:5432/test")
_OURS = f"calbridge_{os.getpid()}_"
_TEMPLATE = f"{_OURS}template"
_free: list[str] = []
_made: list[str] = []
_cleaners: dict[str, psycopg.Connection] = {}

_EMPTIED = """
DO $$ DECLARE each record; used boolean; BEGIN
  PERFORM pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend';
  SET LOCAL session_replication_role = replica;
  FOR each IN SELECT tablename AS name FROM pg_tables
    WHERE schemaname = 'public' AND tablename <> 'alembic_version' LOOP
    EXECUTE format('SELECT EXISTS (SELECT FROM %I)', each.name) INTO used;
    IF used THEN EXECUTE format('DELETE FROM %I', each.name); END IF;
  END LOOP;
  UPDATE alembic_version SET version_num = '{head}';
  PERFORM setval(format('%I', sequencename)::regclass, 1, false) FROM pg_sequences WHERE last_value IS NOT NULL;
END $$
"""


@contextmanager
def schema() -> Iterator[str]:
    """The URL of an empty store; it is gone afterwards. Skips, saying how to start a server, where there is none."""
    name = f"calbridge_{uuid4().hex}"
    with _server() as connection:
        connection.execute(text(f"CREATE SCHEMA {name}"))
    try:
        yield f"{SERVER}?options=-csearch_path%3D{name}"
    finally:
        with _server() as connection:
            connection.execute(text(f"DROP SCHEMA {name} CASCADE"))


def answers() -> bool:
    """Whether there is a server."""
    engine = create_engine(SERVER, connect_args={"connect_timeout": 3}, poolclass=NullPool)
    try:
        engine.connect().close()
    except OperationalError:
        return False
    return True


def take() -> str:
    """The URL of a store in shape, without a row. It is ours until `give_back`."""
    if not _made:
        _make_template()
    name = _free.pop() if _free else _copy_of_template()
    try:
        _cleaner(name).execute(_EMPTIED.replace("{head}", _head()))
    except psycopg.OperationalError:  # a test has cut off whoever was connected
        _cleaners.pop(name).close()
        _cleaner(name).execute(_EMPTIED.replace("{head}", _head()))
    return _url(name)


def give_back(url: str) -> None:
    """Another test may have it. Connections that are still open to it are cut off then."""
    _free.append(str(make_url(url).database))


def lose(url: str) -> None:
    """It is gone, whoever is connected, and nobody gets it again."""
    name = str(make_url(url).database)
    _cleaners.pop(name).close()
    with _server() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))


def drop() -> None:
    """Take away what this process made."""
    for cleaner in _cleaners.values():
        cleaner.close()
    _cleaners.clear()
    if _made:
        with _server() as connection:
            for name in [*_made, _TEMPLATE]:
                connection.execute(text(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)"))
    _made.clear()
    _free.clear()


def _cleaner(name: str) -> psycopg.Connection:
    """A connection that stays: to begin one takes longer than to empty a database."""
    if name not in _cleaners:
        url = make_url(_url(name)).set(drivername="postgresql").render_as_string(hide_password=False)
        _cleaners[name] = psycopg.connect(url, autocommit=True)
    return _cleaners[name]


@cache
def _head() -> str:
    """What the template was migrated to: some tests say that a store is of another day."""
    return str(ScriptDirectory.from_config(alembic_config()).get_current_head())


def _make_template() -> None:
    with _server() as connection:
        _drop_of_the_dead(connection)
        connection.execute(text(f"CREATE DATABASE {_TEMPLATE}"))
    engine: Engine = open_engine(_url(_TEMPLATE))
    migrate(engine)
    engine.dispose()


def _copy_of_template() -> str:
    name = f"{_OURS}{len(_made)}"
    with _server() as connection:
        connection.execute(text(f"CREATE DATABASE {name} TEMPLATE {_TEMPLATE}"))
        # what a crash of the machine would lose is not what is tested
        connection.execute(text(f"ALTER DATABASE {name} SET synchronous_commit = off"))
    _made.append(name)
    return name


def _drop_of_the_dead(connection: Connection) -> None:
    """What a test run left that was killed."""
    names = connection.execute(text("SELECT datname FROM pg_database WHERE datname ~ '^calbridge_[0-9]+_'")).scalars()
    for name in list(names):
        if not Path(f"/proc/{re.findall('[0-9]+', name)[0]}").exists():
            connection.execute(text(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)"))


@contextmanager
def _server() -> Iterator[Connection]:
    engine = create_engine(
        SERVER, connect_args={"connect_timeout": 3}, isolation_level="AUTOCOMMIT", poolclass=NullPool
    )
    try:
        connection = engine.connect()
    except OperationalError:
        pytest.skip(f"no PostgreSQL at {SERVER}: start one there, or name another in CALBRIDGE_TEST_POSTGRESQL")
    with connection:
        yield connection


def _url(name: str) -> str:
    return make_url(SERVER).set(database=name).render_as_string(hide_password=False)
