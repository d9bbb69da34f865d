"""Brings a database to the shape of `tables`: by Alembic, in one transaction, once however many processes start."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, text

from app.store.engine import writing
from app.store.tables import metadata

_LOCK = 0x63616C62  # "calb": PostgreSQL's advisory lock for our migrations


class NewerStore(RuntimeError):
    """The database was written by a newer calbridge than this one."""


def alembic_config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return config


def migrate(engine: Engine) -> None:
    """Apply the migrations that are missing. Safe to call from several processes at once.

    NewerStore where the database is ahead of this program: nothing is touched then.
    """
    config = alembic_config()
    with writing(engine) as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        _refuse_newer(connection, ScriptDirectory.from_config(config))
        upgrade(connection, "head")


def is_current(engine: Engine) -> bool:
    """Whether the database has the shape that this program needs: neither older nor newer."""
    scripts = ScriptDirectory.from_config(alembic_config())
    with engine.connect() as connection:
        return set(MigrationContext.configure(connection).get_current_heads()) == set(scripts.get_heads())


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


def differences(engine: Engine) -> list[object]:
    """What a migrated database lacks of `tables`, or has beyond it; empty when both agree."""
    with engine.connect() as connection:
        return list(compare_metadata(MigrationContext.configure(connection), metadata))
