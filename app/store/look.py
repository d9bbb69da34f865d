"""A look at the store that changes nothing: whether it is there, can be written, and has the shape that we need."""

from __future__ import annotations

import os
from pathlib import Path

from sqlalchemy import URL, Engine, make_url, text
from sqlalchemy.exc import SQLAlchemyError

from app.store.engine import open_engine
from app.store.migrate import is_current


def seen(url: str) -> str:
    """What is found there, in a few words and without its password. ValueError where it cannot be used, with why."""
    where = make_url(url)
    name = _called(where)
    if hindered := hindrance(url):
        raise ValueError(f"store.url: {hindered}")
    if where.get_backend_name() == "sqlite" and not _is_there(where):
        return f"{name} is not there yet, and is made at the first start"
    try:
        engine = open_engine(url)
        try:
            return f"{name} answers, and {_shape(engine)}"
        finally:
            engine.dispose()
    except (SQLAlchemyError, ImportError) as error:
        reason = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
        raise ValueError(f"store.url: {name} cannot be used: {reason}") from None


def _called(url: URL) -> str:
    if url.get_backend_name() == "sqlite":
        return url.database or "a database in memory"
    return f"{url.get_backend_name()} at {url.host or 'its socket'}, database {url.database},"


def _is_there(url: URL) -> bool:
    return not url.database or url.database == ":memory:" or Path(url.database).exists()


def hindrance(url: str) -> str | None:
    """What keeps the files of a SQLite store from being written, with their path; None where nothing does.

    SQLite writes two more files beside its own, so that the folder matters as much as the file.
    """
    where = make_url(url)
    if where.get_backend_name() != "sqlite" or not where.database or where.database == ":memory:":
        return None
    file = Path(where.database).absolute()
    if not file.parent.is_dir():
        return f"there is no folder {file.parent}"
    if not os.access(file.parent, os.W_OK | os.X_OK):
        return f"the folder {file.parent} cannot be written to"
    if file.exists() and not os.access(file, os.R_OK | os.W_OK):
        return f"the file {file} cannot be read and written"
    return None


def _shape(engine: Engine) -> str:
    """Taking a writer's lock shows whether we may write, and leaves nothing behind."""
    with engine.execution_options(write=True).connect() as connection:
        connection.execute(text("SELECT 1"))
        connection.rollback()
    return "is in shape" if is_current(engine) else "gets the shape that is needed at the first start, or by migrate"
