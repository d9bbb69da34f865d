"""`backup`, `restore`, `migrate`, `check-store` and `rotate-key`: the store as a whole."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from app.cli.common import config_file, told

if TYPE_CHECKING:
    from sqlalchemy import Engine


@click.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
def backup(file: Path) -> None:
    """Write the whole store into FILE, while everything runs. The key of its secrets is to be kept apart from it."""
    from app.parts import clock
    from app.store.backup import backup
    from bridges import kept_tables

    with _told():
        click.echo(f"{file}: {backup(_engine(), file, clock(), kept_tables())}")


@click.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
def restore(file: Path) -> None:
    """Fill the empty database that the configuration names from FILE, also one of another kind than it came from."""
    from app.store.backup import restore
    from bridges import kept_tables

    with _told():
        click.echo(f"restored from {file}: {restore(_engine(), file, kept_tables())}")


@click.command("migrate")
def migrate_command() -> None:
    """Bring the database to the shape that this calbridge needs."""
    from app.store.migrate import migrate

    with _told():
        migrate(_engine())
        click.echo("the database is up to date")


@click.command("check-store")
def check_store() -> None:
    """Look the database through: its file, its tables, its ledger. Exit status 1 where something is wrong."""
    import sys

    from app.store.check import faults

    with _told():
        found = False
        for fault in faults(_engine()):
            found = True
            click.echo(fault)
        if found:
            click.echo(
                "calbridge: the store is not in order. Keep it as it is, and bring back the last backup into an empty "
                "database: calbridge restore FILE",
                err=True,
            )
            sys.exit(1)
        click.echo("the store is in order")


@click.command("rotate-key")
def rotate_key() -> None:
    """Encrypt every stored secret with a new key, so that the old one can go. While everything runs.

    Beside SQLite the new key is made, in the file next to the database. With store.key: put a new key before the
    old one there and restart first. People sign in again, and links in mails that wait are dead: both are signed
    with the key.
    """
    import os

    from app.config import load
    from app.parts import clock
    from app.store.rekey import rotate

    with _told():
        for step in rotate(_engine(), load(config_file(), os.environ).store.key.get_secret_value(), clock()):
            click.echo(step)


@contextmanager
def _told() -> Iterator[None]:
    """As `told`, and what a disk or a migration says."""
    from alembic.util.exc import CommandError

    from app.store.migrate import NewerStore

    with told():
        try:
            yield
        except (OSError, NewerStore, CommandError) as error:
            raise ValueError(str(error)) from error


def _engine() -> Engine:
    import os

    from app.config import load
    from app.store.engine import open_engine

    return open_engine(load(config_file(), os.environ).store.url)
