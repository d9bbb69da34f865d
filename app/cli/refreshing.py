"""`refresh`: feeds read anew from their LMSs, and what that costs."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from app.cli.common import json_option, parts, quiet_option
from app.cli.exits import Exit
from app.cli.naming import FEEDS
from app.cli.progress import bar
from app.cli.tables import Column, tell
from app.cli.terminal import say, say_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from app.feeds.feed import Outcome
    from app.parts import Parts


@click.command()
@click.argument("slugs", nargs=-1, shell_complete=FEEDS)
@click.option("--forecast", is_flag=True, help="Read nothing; tell what the readings of a day cost at each LMS.")
@json_option
@quiet_option
def refresh(slugs: tuple[str, ...], forecast: bool, as_json: bool) -> None:
    """Read the calendars of these feeds (default: of all) from their LMS now.

    Example: calbridge refresh biology

    Exit status: 0 all were read, 1 some could not be; with --forecast 1 where an LMS permits fewer calls than a day
    needs.
    """
    joined = parts()
    if forecast:
        _forecast(joined, as_json)
        return
    names = slugs or [one.slug for one in joined.feeds.list() if one.enabled]
    found: list[tuple[str, Outcome]] = []
    with bar("reading feeds", go_on="What was read is kept: 'calbridge refresh' reads all anew.") as progress:
        for count, slug in enumerate(names, 1):
            found.append((slug, joined.feeds.refresh(slug)))
            progress(count, len(names))
    columns: Sequence[Column[tuple[str, Outcome]]] = [
        Column("feed", lambda each: each[0]),
        Column("did", lambda each: each[1].did),
        Column("problem", lambda each: each[1].problem, folds=True),
    ]
    tell(found, columns, lambda each: {"slug": each[0], "did": each[1].did, "problem": each[1].problem}, as_json)
    sys.exit(Exit.ATTENTION if any(outcome.did == "failed" for _, outcome in found) else Exit.DONE)


def _forecast(joined: Parts, as_json: bool) -> None:
    told_of = joined.feeds.forecast()
    for one in told_of:
        if as_json:
            say_json({"lms": one.lms, "calendars": one.calendars, "calls": one.calls, "limit": one.limit})
        else:
            say(one)
    if not told_of:
        say("No feed shows a calendar yet.", err=as_json)
    sys.exit(Exit.DONE if all(one.fits for one in told_of) else Exit.ATTENTION)
