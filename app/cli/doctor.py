"""`doctor`: what calendar programs will make of a feed, as a table for people and an exit status for CI."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from app.cli.common import config_file, json_option
from app.cli.exits import Exit
from app.cli.terminal import say, say_json

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from app.config import Config
    from app.doctor.finding import Diagnosis

CLIENTS = ("outlook", "google", "apple", "thunderbird")


@click.command()
@click.argument("where", metavar="URL|FILE")
@click.option("--client", "chosen", multiple=True, type=click.Choice(CLIENTS), help="Judge for this one (repeatable).")
@click.option("--once", is_flag=True, help="Fetch a URL once: no second time to see what changes.")
@click.option("--explain", "uid", help="Also why the event of that UID takes place when it does.")
@json_option
def doctor(where: str, chosen: tuple[str, ...], once: bool, uid: str | None, as_json: bool) -> None:
    """Judge a feed for Outlook, Google Calendar, Apple Calendar and Thunderbird, by anybody, at a URL or in a FILE.

    Example: calbridge doctor https://timetable.example.edu/bio.ics --client outlook

    Exit status: 0 it works everywhere, 1 with flaws, 2 it could not be read, 3 a program refuses it or loses events.
    """
    from app.config import load
    from app.doctor.faces import lines, record, worst
    from app.doctor.finding import Client, State

    clients = [Client(name) for name in chosen] or list(Client)
    config = load(config_file(), os.environ)
    found = _examined(where, config, once)
    times = _explained(found.body, uid, config.zone) if uid else []
    if as_json:
        say_json({**record(found, clients), "explained": times})
    else:
        say("\n".join([*lines(found, clients), *(f"\n{text}" for text in times)]))
    status = {None: Exit.NOTHING, State.WORKS: Exit.DONE, State.FLAWS: Exit.ATTENTION, State.REFUSED: Exit.DECIDE}
    sys.exit(status[worst(found, clients)])


def _examined(where: str, config: Config, once: bool) -> Diagnosis:
    from app.doctor.examine import examine

    if "://" not in where:
        try:
            return examine(Path(where).read_bytes())
        except OSError as error:
            raise ValueError(f"{where} cannot be read: {error.strerror}") from None
    from app.doctor.look import look
    from app.parts import clock, fetch_settings

    return look(where, fetch_settings(config), clock(), once=once)


def _explained(body: bytes, uid: str, zone: ZoneInfo) -> list[str]:
    from app.ics.explain import explain, paragraph

    return [paragraph(one) for one in explain(body, zone=zone, uid=uid)]
