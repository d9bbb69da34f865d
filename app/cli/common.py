"""What every command shares: the configuration, and errors said as sentences."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime, tzinfo
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from app.parts import Parts


NOTHING_READ = 2
"""The exit status where nothing could be read or written; the reason is on standard error."""


@contextmanager
def told() -> Iterator[None]:
    """What the program raises on purpose: said as a sentence on standard error, with exit status 2."""
    from sqlalchemy.exc import DataError, SQLAlchemyError

    from app.feeds.feed import Unknown
    from app.store.leases import Busy
    from app.store.trouble import UNFIT, is_trouble, sentence
    from bridges.errors import BridgeError

    try:
        yield
    except DataError:
        click.echo(f"calbridge: {UNFIT}", err=True)
        sys.exit(NOTHING_READ)
    except SQLAlchemyError as error:
        if not is_trouble(error):
            raise
        click.echo(f"calbridge: {sentence(error)}", err=True)
        sys.exit(NOTHING_READ)
    except OverflowError:
        click.echo("calbridge: a date or a number of these lies too far away", err=True)
        sys.exit(NOTHING_READ)
    except (Unknown, BridgeError, Busy, ValueError) as error:  # a ConfigError and a NotACalendar are ValueErrors
        click.echo(f"calbridge: {error}", err=True)
        sys.exit(NOTHING_READ)


def config_file() -> str | None:
    """The configuration's path: what --config says, else the environment, else ./config.toml if there is one."""
    from app.config import config_path

    told: str | None = click.get_current_context().find_root().obj
    return told or config_path(os.environ)


def parts() -> Parts:
    """The parts, as the configuration says."""
    from app.config import load
    from app.parts import open_parts

    return open_parts(load(config_file(), os.environ))


def bound(text: str, zone: tzinfo) -> date | datetime:
    """A date, or a time that is read in the zone where it names none."""
    try:
        if len(text) <= 10:
            return date.fromisoformat(text)
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"'{text}' is no date: write it as 2026-09-01 (or a time as 2026-09-01T08:00)") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=zone)
