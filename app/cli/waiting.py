"""`waiting`: all that waits for somebody's word."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import click

from app.cli.common import json_option, parts
from app.cli.exits import Exit
from app.cli.tables import Column, tell
from app.cli.terminal import say_json

if TYPE_CHECKING:
    from app.care.waiting import Waiting

Row = tuple[str, str, str, str]
"""What waits, where, why, and what to say."""


@click.command()
@json_option
def waiting(as_json: bool) -> None:
    """All that waits for somebody's word: plans, people's changes, subscriptions that stopped. Asks no LMS.

    Example: calbridge waiting

    Exit status: 0 nothing does, 3 something does.
    """
    from app.care.waiting import waiting

    found = waiting(parts())
    if as_json:
        say_json(found.to_json())
    else:
        columns: Sequence[Column[Row]] = [
            Column("what", lambda row: row[0]),
            Column("where", lambda row: row[1], folds=True),
            Column("why", lambda row: row[2], folds=True),
            Column("say", lambda row: row[3], folds=True),
        ]
        tell(list(_rows(found)), columns, list, as_json)
    sys.exit(Exit.DECIDE if found.count else Exit.DONE)


def _rows(found: Waiting) -> Iterator[Row]:
    for run in found.held:
        why = " ".join(run.objections)
        say = f"batch approve {run.batch}" if run.batch is not None else f"run approve {run.id}"
        yield f"plan of run {run.id}", f"{run.calendar} {run.source}", why, f"calbridge {say}"
    for each in found.changes:
        why = f"{each.count:,} changed or deleted by people" + ("" if each.asked else ", which stays so by its policy")
        yield "people's changes", f"{each.calendar} {each.source}", why, f"calbridge drift list --into {each.calendar}"
    for pulled in found.stopped:
        where = f"{pulled.wish.source} into {pulled.wish.calendar}"
        yield f"subscription {pulled.id}", where, pulled.state.problem, f"calbridge subscription show {pulled.id}"
