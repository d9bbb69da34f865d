"""`backup`, `restore`, `migrate`, `check-store` and `rotate-key`: the store as a whole."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from app.cli.common import config_file, json_option, quiet_option
from app.cli.exits import Exit
from app.cli.progress import bar
from app.cli.terminal import complain, say, say_json

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from app.store.backup import Told

WRONG = (
    "the store is not in order. Keep it as it is, and bring back the last backup into an empty database: "
    "calbridge restore FILE"
)


@click.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@json_option
@quiet_option
def backup(file: Path, as_json: bool) -> None:
    """Write the whole store into FILE, while everything runs. The key of its secrets is to be kept apart from it.

    Example: calbridge backup /backups/calbridge.backup
    """
    from app.parts import clock
    from app.store.backup import backup
    from bridges import kept_tables

    if not file.parent.is_dir():
        raise click.BadParameter(f"there is no folder '{file.parent}': make it first.", param_hint="FILE")
    with bar("rows", go_on="An older file of this name is as it was; say it again for a new one.") as progress:
        told = backup(_engine(), file, clock(), kept_tables(), progress)
    _tell(f"{file}: {told}", told, as_json)


@click.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@json_option
@quiet_option
def restore(file: Path, as_json: bool) -> None:
    """Fill the empty database that the configuration names from FILE, also one of another kind than it came from.

    Example: calbridge restore /backups/calbridge.backup
    """
    from app.store.backup import restore
    from bridges import kept_tables

    with bar("bytes", go_on="The database is as empty as it was; say it again to fill it.") as progress:
        told = restore(_engine(), file, kept_tables(), progress)
    _tell(f"restored from {file}: {told}", told, as_json)


def _tell(sentence: str, told: Told, as_json: bool) -> None:
    if as_json:
        say_json({"made_at": told.made_at, "rows": told.counts})
    else:
        say(sentence)


@click.command("migrate")
def migrate_command() -> None:
    """Bring the database to the shape that this calbridge needs.

    Example: calbridge migrate
    """
    from app.store.migrate import migrate

    migrate(_engine())
    say("the database is up to date")


@click.command("check-store")
@json_option
def check_store(as_json: bool) -> None:
    """Look the database through: its file, its tables, its ledger. Exit status 1 where something is wrong.

    Example: calbridge check-store
    """
    from app.store.check import faults

    found = []
    for fault in faults(_engine()):
        found.append(str(fault))
        if not as_json:
            say(fault)
    if as_json:
        say_json({"faults": found})
    if found:
        complain(WRONG)
        sys.exit(Exit.ATTENTION)
    if not as_json:
        say("the store is in order")


@click.command("rotate-key")
def rotate_key() -> None:
    """Encrypt every stored secret with a new key, so that the old one can go. While everything runs.

    Example: calbridge rotate-key

    Beside SQLite the new key is made, in the file next to the database. With store.key: put a new key before the
    old one there and restart first. People sign in again, and links in mails that wait are dead: both are signed
    with the key.
    """
    import os

    from app.config import load
    from app.parts import clock
    from app.store.rekey import rotate

    for step in rotate(_engine(), load(config_file(), os.environ).store.key.get_secret_value(), clock()):
        say(step)


def _engine() -> Engine:
    import os

    from app.config import load
    from app.store.engine import open_engine
    from app.store.look import hindrance

    url = load(config_file(), os.environ).store.url
    if hindered := hindrance(url):
        raise ValueError(f"store.url: {hindered}")
    return open_engine(url)
