"""`backup`, `restore` and `migrate`: the store as a whole."""

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


@contextmanager
def _told() -> Iterator[None]:
    """As `told`, and what a disk or a database says."""
    from sqlalchemy.exc import SQLAlchemyError

    with told():
        try:
            yield
        except (OSError, SQLAlchemyError) as error:
            raise ValueError(str(error)) from error


def _engine() -> Engine:
    import os

    from app.config import load
    from app.store.engine import open_engine

    return open_engine(load(config_file(), os.environ).store.url)
