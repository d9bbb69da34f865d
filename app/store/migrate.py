"""Brings a database to the shape of `tables`: by Alembic, in one transaction, once however many processes start."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util.exc import CommandError
from sqlalchemy import Connection, Engine, text

from app.store.tables import metadata

_PATIENCE = 15 * 60
"""Seconds that a process waits for another one to reshape the same SQLite file: a large one takes its minutes."""
_LOCK = 0x63616C62  # "calb": PostgreSQL's advisory lock for our migrations


class NewerStore(RuntimeError):
    """The database was written by a newer calbridge than this one."""


class OlderStore(RuntimeError):
    """The database has not the shape that this calbridge needs, and is not to be given it unasked."""


def alembic_config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return config


def migrate(engine: Engine) -> None:
    """Apply the migrations that are missing. Safe to call from several processes at once.

    NewerStore where the database is ahead of this program: nothing is touched then.
    """
    config = alembic_config()
    with reshaping(engine) as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        _refuse_newer(connection, ScriptDirectory.from_config(config))
        upgrade(connection, "head")


@contextmanager
def reshaping(engine: Engine) -> Iterator[Connection]:
    """A transaction in which tables may be changed.

    SQLite changes many a table by copying and dropping it, and with a dropped table goes all that refers to it, as if
    its rows were deleted: foreign keys are off meanwhile, and looked at in the end
    (https://sqlite.org/lang_altertable.html, section 7).
    """
    with engine.execution_options(write=True).connect() as connection:
        if connection.dialect.name != "sqlite":
            with connection.begin():
                yield connection
            return
        raw: Any = connection.connection.driver_connection
        (usual,) = raw.execute("PRAGMA busy_timeout").fetchone()
        raw.execute(f"PRAGMA busy_timeout={_PATIENCE * 1000}")
        raw.execute("PRAGMA foreign_keys=OFF")
        try:
            with connection.begin():
                before = len(connection.execute(text("PRAGMA foreign_key_check")).all())
                yield connection
                if len(connection.execute(text("PRAGMA foreign_key_check")).all()) > before:
                    raise CommandError("rows would lose the rows they belong to: nothing was changed")
        finally:
            raw.execute("PRAGMA foreign_keys=ON")
            raw.execute(f"PRAGMA busy_timeout={usual}")


def is_current(engine: Engine) -> bool:
    """Whether the database has the shape that this program needs: neither older nor newer."""
    scripts = ScriptDirectory.from_config(alembic_config())
    with engine.connect() as connection:
        return set(MigrationContext.configure(connection).get_current_heads()) == set(scripts.get_heads())


def require_current(engine: Engine) -> None:
    """OlderStore where migrations are missing, NewerStore where there are some that we do not know."""
    with engine.connect() as connection:
        _refuse_newer(connection, ScriptDirectory.from_config(alembic_config()))
    if not is_current(engine):
        raise OlderStore(
            "it has not the shape that this calbridge needs: run 'calbridge migrate' (store.migrate is off)"
        )


def upgrade(connection: Connection, revision: str) -> None:
    """Bring the tables to this revision, within the connection's transaction. CommandError where it is unknown."""
    config = alembic_config()
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


def _refuse_newer(connection: Connection, scripts: ScriptDirectory) -> None:
    known = {script.revision for script in scripts.walk_revisions()}
    for revision in MigrationContext.configure(connection).get_current_heads():
        if revision not in known:
            raise NewerStore(
                f"the database is at revision {revision}, which this calbridge does not know: install the newer one"
            )


def alien(engine: Engine) -> list[object]:
    """As `differences`, in tables of ours alone: others may use the same database."""
    ours = set(metadata.tables)

    def of_ours(name: str | None, kind: str, _: object) -> bool:
        return kind != "table" or name in ours

    with engine.connect() as connection:
        options = {"include_name": of_ours}
        return list(compare_metadata(MigrationContext.configure(connection, opts=options), metadata))


def differences(engine: Engine) -> list[object]:
    """What a migrated database lacks of `tables`, or has beyond it; empty when both agree."""
    with engine.connect() as connection:
        return list(compare_metadata(MigrationContext.configure(connection), metadata))
