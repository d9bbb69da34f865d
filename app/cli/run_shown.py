"""`run list`, `run show`, `run watch` and what else tells of runs; and `holds`: what waits for a yes."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

import click

from app.cli.common import json_option, parts, quiet_option, slice_options
from app.cli.exits import of_run
from app.cli.naming import CALENDARS, RUNS
from app.cli.progress import bar
from app.cli.tables import Column, tell, tell_facts, tell_part
from app.cli.terminal import cell, is_terminal, moment, say, say_json

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import tzinfo

    from app.imports.run import Run
    from app.store.slices import Slice

STATES = ("queued", "running", "paused", "previewed", "done", "held", "left", "failed", "cancelled", "expired")


@click.command("list")
@click.option("--state", type=click.Choice(STATES), help="Only those that stand so.")
@click.option("--into", "calendar", shell_complete=CALENDARS, help="Only those of this calendar: lms/kind/id.")
@slice_options
@json_option
def run_list(wanted: Slice, state: str | None, calendar: str | None, as_json: bool) -> None:
    """The latest runs, newest first.

    Example: calbridge run list --search BIO101 --limit 5
    """
    from app.imports.record.runs import Ending

    joined = parts()
    into = str(joined.named(calendar)) if calendar else ""
    found = joined.imports.some(wanted, calendar=into, state=Ending(state) if state else None)
    tell_part(found, _columns(joined.config.zone), lambda one: one.to_json(), as_json)


def _columns(zone: tzinfo) -> Sequence[Column[Run]]:
    return [
        Column("run", lambda one: one.id, right=True),
        Column("started", lambda one: moment(one.started_at, zone)),
        Column("kind", lambda one: one.kind),
        Column("state", lambda one: one.state),
        Column("calendar", lambda one: one.calendar, folds=True),
        Column("import", lambda one: one.source, folds=True),
        Column("came to", lambda one: one.counts(), folds=True),
    ]


@click.command()
@slice_options
@json_option
def holds(wanted: Slice, as_json: bool) -> None:
    """The imports that wait for a yes, and why. Exit status: 0, also where there is none.

    Example: calbridge holds, and then: calbridge run approve 17
    """
    from app.imports.record.runs import Ending

    joined = parts()
    zone = joined.config.zone
    columns: Sequence[Column[Run]] = [
        Column("run", lambda one: one.id, right=True),
        Column("calendar", lambda one: one.calendar, folds=True),
        Column("import", lambda one: one.source, folds=True),
        Column("waits until", lambda one: moment(one.expires_at, zone)),
        Column("why", lambda one: " ".join(one.objections), folds=True),
    ]
    tell_part(joined.imports.some(wanted, state=Ending.HELD), columns, lambda one: one.to_json(), as_json)


@click.command("show")
@click.argument("number", metavar="RUN", type=int, shell_complete=RUNS)
@json_option
def run_show(number: int, as_json: bool) -> None:
    """One RUN with its plan and what became of it.

    Example: calbridge run show 17
    """
    joined = parts()
    one = joined.imports.get(number)
    if as_json:
        say_json(one.to_json())
    elif is_terminal():
        _show(one, joined.config.zone)
    else:
        say("\n".join(one.lines(joined.config.zone)))


def _show(one: Run, zone: tzinfo) -> None:
    """What it is, what it waits for, and its changes as a table."""
    from app.imports.record.runs import refusal, when_told

    facts: dict[str, object] = {"run": one.id, "kind": one.kind, "state": one.state, "calendar": one.calendar}
    facts |= {"import": one.source, "started": moment(one.started_at, zone), "ended": moment(one.ended_at, zone)}
    tell_facts(facts | {"came to": one.counts()}, as_json=False)
    for note in one.notes(zone):
        say(note)
    columns: Sequence[Column[Any]] = [
        Column("deed", lambda change: change["deed"]),
        Column("when", lambda change: when_told(change["event"]["when"], zone)),
        Column("title", lambda change: change["event"]["title"], folds=True),
    ]
    plan = one.plan or {}
    tell(plan.get("changes", ()), columns, dict, as_json=False)
    if more := plan.get("more"):
        say(f"… and {more['changes']:,} more: calbridge run listed {one.id} changes --offset {len(plan['changes'])}")
    for note in (one.report or {}).get("refused", ()):
        say(f"refused: {refusal(note)}")


@click.command("listed")
@click.argument("number", metavar="RUN", type=int, shell_complete=RUNS)
@click.argument("what", type=click.Choice(["changes", "done", "left", "refused"]))
@click.option("--limit", type=click.IntRange(1), default=1000, show_default=True, help="How many, at most.")
@click.option("--offset", type=click.IntRange(0), default=0, help="How many to pass over first.")
def run_listed(number: int, what: str, limit: int, offset: int) -> None:
    """All that a RUN planned, has done, left or was refused, one JSON object a line.

    Example: calbridge run listed 17 left --limit 20
    """
    imports = parts().imports
    items, of = imports.part(imports.get(number), what, offset, limit)
    for item in items:
        say_json(item)
    if (more := of - offset - len(items)) > 0:
        say(f"… and {more:,} more: --offset {offset + len(items)}", err=True)


@click.command("watch")
@click.argument("number", metavar="RUN", type=int, shell_complete=RUNS)
@quiet_option
@json_option
def run_watch(number: int, as_json: bool) -> None:
    """Watch a RUN that a worker does until it ends. Exit status as for an import.

    Example: calbridge run watch 17
    """
    from app.imports.record.runs import Ending

    joined = parts()
    with bar(f"run {number}", go_on=f"The run goes on without you: calbridge run watch {number}") as progress:
        while True:
            state, told = joined.imports.standing(number)
            progress(*((told["done"], told["of"]) if told else (0, 0)))
            if state not in {Ending.QUEUED, Ending.RUNNING}:
                break
            time.sleep(0.5)
    one = joined.imports.get(number)
    tell_short(one, joined.config.zone, as_json)
    sys.exit(of_run(one.state, bool(one.report and one.report.get("refused"))))


@click.command("refused")
@click.argument("number", metavar="[RUN]", type=int, required=False, shell_complete=RUNS)
@json_option
def run_refused(number: int | None, as_json: bool) -> None:
    """What the LMS, or its rules, refused in a RUN (default: the latest), with reason and line of the file.

    Example: calbridge run refused 17
    """
    from app.imports.record.runs import refusal

    imports = parts().imports
    one = imports.get(number) if number is not None else next(iter(imports.latest(1)), None)
    notes = list(imports.whole(one, "refused")) if one else []
    number = one.id if one else 0
    tell(notes, [Column("refused", refusal, folds=True)], lambda note: {"run": number, **note}, as_json)


def tell_short(run: Run, zone: tzinfo, as_json: bool) -> None:
    """The run, for people without its changes."""
    if as_json:
        say_json(run.to_json())
        return
    lines = list(run.lines(zone))
    shown = [line for line in lines[:3] if not line.startswith(("create", "update", "delete"))]
    say("\n".join(["\t".join(map(cell, shown[0].split("\t"))), *shown[1:]]))
