"""`connections`, `check-connections`, `quota`, `settings`: whether each LMS answers, what it has left, what is set."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import click

from app.cli.common import config_file, json_option, parts, quiet_option, slice_options
from app.cli.exits import Exit
from app.cli.naming import LMSS
from app.cli.progress import bar
from app.cli.tables import Column, tell, tell_part
from app.cli.terminal import moment

if TYPE_CHECKING:
    from collections.abc import Sequence

    from app.care.connections import Connected, Trial
    from app.care.settings import Setting
    from app.care.weather import Weather
    from app.store.slices import Slice


@click.command("connections")
@json_option
def connections_command(as_json: bool) -> None:
    """The LMSs of the configuration: what each can, how its readings stand, what is left of its quota. Asks none.

    Example: calbridge connections
    """
    from app.care.connections import every_one

    joined = parts()
    columns: Sequence[Column[Connected]] = [
        Column("LMS", lambda one: one.name),
        Column("bridge", lambda one: one.bridge),
        Column("address", lambda one: one.address, folds=True),
        Column("can", _abilities),
        Column("calendars", lambda one: one.standing.calendars, right=True),
        Column("failing", lambda one: one.standing.failing, right=True),
        Column("last reading", lambda one: moment(one.standing.read_at, joined.config.zone)),
        Column("quota", lambda one: one.weather.sky),
        Column("problem", lambda one: one.standing.problem, folds=True),
    ]
    tell(every_one(joined), columns, lambda one: one.to_json(), as_json)


def _abilities(one: Connected) -> str:
    return ", ".join(name for name, can in (("read", one.reads), ("write", one.writes), ("link", one.links)) if can)


@click.command("check-connections")
@click.argument("names", metavar="[LMS]...", nargs=-1, shell_complete=LMSS)
@json_option
@quiet_option
def check_connections(names: tuple[str, ...], as_json: bool) -> None:
    """Sign in at each LMS (default: at all) and have it list calendars, as the pages' test button does.

    Example: calbridge check-connections learn

    Exit status: 0 all answer, 1 one does not.
    """
    from app.care.connections import tried
    from bridges.contract import Source

    joined = parts()
    every_one = (name for name in sorted(joined.config.connections) if isinstance(joined.bridge(name), Source))
    chosen = names or tuple(every_one)
    trials: list[Trial] = []
    with bar("asking", go_on="Nothing was changed.") as progress:
        for count, name in enumerate(chosen, 1):
            trials.append(tried(joined, name))
            progress(count, len(chosen))
    columns: Sequence[Column[Trial]] = [
        Column("LMS", lambda one: one.lms),
        Column("answers", lambda one: one.answers),
        Column("calendars", lambda one: f"{'more than ' if one.more else ''}{one.calendars}", right=True),
        Column("seconds", lambda one: f"{one.seconds:.1f}", right=True),
        Column("problem", lambda one: f"{one.problem} {one.advice}".strip(), folds=True),
    ]
    tell(trials, columns, lambda one: one.to_json(), as_json)
    sys.exit(Exit.DONE if all(one.answers for one in trials) else Exit.ATTENTION)


@click.command()
@json_option
def quota(as_json: bool) -> None:
    """What is left of each LMS's quota of calls, and whether it lasts. Asks no LMS.

    Example: calbridge quota

    Exit status: 0 it lasts, 1 feeds are read less often at an LMS.
    """
    from app.care.connections import weathers
    from app.care.weather import Sky

    joined = parts()
    found = list(weathers(joined).values())
    columns: Sequence[Column[Weather]] = [
        Column("LMS", lambda one: one.lms),
        Column("weather", lambda one: one.sky),
        Column("left", lambda one: one.left, right=True),
        Column("of", lambda one: one.limit, right=True),
        Column("resets", lambda one: moment(one.resets_at, joined.config.zone)),
        Column("says", lambda one: one, folds=True),
    ]
    tell(found, columns, lambda one: one.to_json(), as_json)
    sys.exit(Exit.ATTENTION if any(one.sky is Sky.STORMY for one in found) else Exit.DONE)


@click.command()
@slice_options
@json_option
def settings(wanted: Slice, as_json: bool) -> None:
    """The settings that hold, and where each came from. Secrets are never shown.

    Example: calbridge settings --search imports --all
    """
    from app.care.settings import effective
    from app.config import load
    from app.store.slices import part_of_all

    columns: Sequence[Column[Setting]] = [
        Column("setting", lambda one: one.path),
        Column("value", lambda one: one.value, folds=True),
        Column("from", lambda one: one.origin, folds=True),
    ]
    found = part_of_all(effective(load(config_file(), os.environ)), wanted, lambda one: f"{one.path} {one.value}")
    tell_part(found, columns, lambda one: one.to_json(), as_json)
