"""A PostgreSQL for tests: a schema of its own for each test, in the database that is told or the usual local one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import OperationalError

SERVER = os.environ.get("CALBRIDGE_TEST_POSTGRESQL", "postgresql+psycopg://postgres@127.0.0.1:5432/test")


@contextmanager
def schema() -> Iterator[str]:
    """The URL of an empty store; it is gone afterwards. Skips, saying how to start a server, where there is none."""
    name = f"calbridge_{uuid4().hex}"
    admin = create_engine(SERVER, connect_args={"connect_timeout": 3})
    try:
        with admin.begin() as connection:
            connection.execute(text(f"CREATE SCHEMA {name}"))
    except OperationalError:
        pytest.skip(f"no PostgreSQL at {SERVER}: start one there, or name another in CALBRIDGE_TEST_POSTGRESQL")
    try:
        yield f"{SERVER}?options=-csearch_path%3D{name}"
    finally:
        with admin.begin() as connection:
            connection.execute(text(f"DROP SCHEMA {name} CASCADE"))
        admin.dispose()
