"""What is printed: harmless on a terminal, whatever texts came from elsewhere; times in a zone that is named."""

from __future__ import annotations

import json
import re
import sys
from datetime import date, datetime, tzinfo
from typing import Any

import click

HARMFUL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""Controls that move, colour or answer for a terminal (all but tab and line feed), line separators, those that turn
the direction of what follows (UAX #9), and halves of letters."""
HOLE = "�"


def harmless(text: str) -> str:
    """The text with each letter that could do something to a terminal shown as a hole."""
    return HARMFUL.sub(HOLE, text)


def say(text: object = "", *, err: bool = False) -> None:
    """Print a text of one or several lines."""
    click.echo(harmless(str(text)), err=err)


def complain(text: object) -> None:
    """Say on standard error what is wrong, or worth knowing."""
    say(f"calbridge: {text}", err=True)


def say_json(value: Any, *, indent: int | None = None) -> None:
    """Print a value as JSON; what a terminal would act upon is written as escapes, which mean the same."""
    text = json.dumps(value, ensure_ascii=False, indent=indent)
    click.echo(HARMFUL.sub(lambda found: f"\\u{ord(found[0]):04x}", text))


def is_terminal() -> bool:
    """Whether a person reads standard output."""
    return sys.stdout.isatty()


def moment(at: datetime | str | None, zone: tzinfo) -> str:
    """A time for people, in `zone`, with the zone's name; a text is ISO 8601 with an offset, none is a dash."""
    if at is None:
        return "–"
    known = datetime.fromisoformat(at) if isinstance(at, str) else at
    return f"{known.astimezone(zone):%Y-%m-%d %H:%M %Z}"


def cell(value: object) -> str:
    """A value as it stands in a table: on one line, as people say it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return " | ".join(map(str, value))
    if value is None:
        return ""
    return str(value) if isinstance(value, date) else re.sub(r"[\t\n]+", " ", str(value))
