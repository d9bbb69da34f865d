"""Connections to the store: SQLite that several processes may share, or PostgreSQL."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.pool import StaticPool


def open_engine(url: str) -> Engine:
    """An engine for the URL. SQLite runs in WAL mode, waits 5 s for a lock, and takes it when a transaction begins.

    An in-memory SQLite URL gives one shared connection: a store for one thread, as the tests use it.
    """
    if not url.startswith("sqlite"):
        return _on_a_server(url)
    memory = url in {"sqlite://", "sqlite:///:memory:"}
    # the type of `options` is that of create_engine's keywords
    options: dict[str, Any] = {"poolclass": StaticPool} if memory else {}
    engine = create_engine(
        url, connect_args={"check_same_thread": False, "timeout": 5}, hide_parameters=True, **options
    )

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _: object) -> None:
        connection.isolation_level = None  # we say BEGIN ourselves, below
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL" if memory else "PRAGMA synchronous=FULL")
        connection.execute("PRAGMA foreign_keys=ON")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        """Readers begin deferred. A writer that began so could fail half-way with SQLITE_BUSY, whatever the timeout:
        it asks for the lock up front with `connection.execution_options(write=True)`, as `writing` does."""
        write = connection.get_execution_options().get("write")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")

    return engine


def _on_a_server(url: str) -> Engine:
    """A connection that died is replaced before it is used. An error's text may end in a log: no parameters in it."""
    told = make_url(url).query
    patience = {} if "connect_timeout" in told else {"connect_timeout": 10}
    return create_engine(
        url,
        pool_pre_ping=True,
        hide_parameters=True,
        max_overflow=30,  # one for each thread that serves, and for each that writes to an LMS
        pool_timeout=10,
        connect_args=patience,
    )


def writing(engine: Engine) -> Any:
    """A transaction that writes: `with writing(engine) as connection: …` commits at the end, or rolls back."""
    return engine.execution_options(write=True).begin()
