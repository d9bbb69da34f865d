"""`status`: one screen that says how all is."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from app.cli.common import json_option, parts
from app.cli.exits import Exit
from app.cli.tables import Column, tell
from app.cli.terminal import moment, say, say_json

if TYPE_CHECKING:
    from app.care.status import Line


@click.command()
@json_option
def status(as_json: bool) -> None:
    """How all is: feeds, the age of readings, quotas, what waits for a yes, subscriptions, workers. Asks no LMS.

    Example: calbridge status || echo "have a look"

    Exit status: 0 all is well, 1 something wants attention.
    """
    from app.care.status import status

    joined = parts()
    lines, now = status(joined), joined.now()
    alarmed = any(line.alarm for line in lines)
    if as_json:
        told = {"at": now.isoformat(), "attention": alarmed, "lines": [line.to_json() for line in lines]}
        say_json(told)
    else:
        columns: Sequence[Column[Line]] = [
            Column("", lambda line: "!" if line.alarm else " "),
            Column("", lambda line: line.about),
            Column("", lambda line: line.says, folds=True),
            Column("", lambda line: f"→ {line.alarm}" if line.alarm else "", folds=True),
        ]
        tell(lines, columns, lambda line: line.to_json(), as_json)
        say(f"{moment(now, joined.config.zone)}: {'something wants attention' if alarmed else 'all is well'}")
    sys.exit(Exit.ATTENTION if alarmed else Exit.DONE)
