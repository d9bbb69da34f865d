"""`import`, `run`, `undo` and `purge`: calendar files into LMS calendars, and back out."""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING, BinaryIO

import click

from app.cli.common import NOTHING_READ, parts, told
from app.cli.progress import bar
from app.cli.routes import routes_from

if TYPE_CHECKING:
    from app.imports.record.outcome import Outcome
    from app.imports.record.routed_outcome import RoutedOutcome
    from app.imports.run import Run
    from app.parts import Parts

PATIENCE = 12
"""Quarters of a second that a command waits for a run to see what is wished of it."""


@click.command("import")
@click.argument("file", type=click.File("rb"))
@click.option("--into", "calendar", help="The calendar: lms/kind/id, as 'calbridge calendars' lists them.")
@click.option(
    "--route",
    "routes",
    multiple=True,
    metavar="PATTERN=>CALENDAR",
    help="Instead of --into, into many: 'category:COURSE *=>learn/course/courseId:{1}'.",
)
@click.option(
    "--routes", "routes_file", type=click.File("rb"), help='Routes from a TOML file: routes = ["PATTERN=>CALENDAR"].'
)
@click.option("--from", "since", help="The first day to write (default: today).")
@click.option("--to", "until", help="The day after the last one (default: imports.ahead_days ahead).")
@click.option(
    "--name", "source", default="upload", show_default=True, help="Which import this is: each keeps its own events."
)
@click.option(
    "--mode",
    type=click.Choice(["replace", "add"]),
    default="replace",
    show_default=True,
    help="Whether earlier events of this import that the file lacks go, or stay.",
)
@click.option(
    "--match",
    type=click.Choice(["uid", "content"]),
    default="uid",
    show_default=True,
    help="How events of earlier files are known again; 'content' where the file's UIDs are new each time.",
)
@click.option("--include", multiple=True, metavar="PATTERN", help="Only these, as 'title:Lecture*'.")
@click.option("--exclude", multiple=True, metavar="PATTERN", help="None of these; 'place:' and 'category:' too.")
@click.option("--rename", "renames", multiple=True, metavar="PATTERN=TITLE", help="New titles; {} is the old one.")
@click.option("--zone", help="What the file means by zones that nobody knows, and by times without one (IANA).")
@click.option("--floating", default="", help="Times without a zone: 'home', 'hold' (never guess), or a zone.")
@click.option("--dry-run", is_flag=True, help="Show what would be written, and write nothing.")
@click.option("--approve", is_flag=True, help="Carry the plan out even if it looks reckless.")
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as one JSON object.")
def import_file(
    file: BinaryIO,
    calendar: str | None,
    routes: tuple[str, ...],
    routes_file: BinaryIO | None,
    since: str | None,
    until: str | None,
    source: str,
    mode: str,
    match: str,
    include: tuple[str, ...],
    exclude: tuple[str, ...],
    renames: tuple[str, ...],
    zone: str | None,
    floating: str,
    dry_run: bool,
    approve: bool,
    as_json: bool,
) -> None:
    """Write each occurrence of the calendar FILE into an LMS calendar; what is there already is left alone.

    With routes it goes into many, all in one batch; the first route that matches an event takes it.

    Exit status: 0 done, 2 nothing could be read or written, 3 held for a yes, 4 unfinished (run it again), 5 done but
    for some that were refused.
    """
    from app.config import zone_of
    from app.ics.floating import Floating
    from app.imports.body import Body
    from app.imports.deciding.rules import Rules, rename
    from app.imports.record.batch import NOWHERE
    from app.imports.run import Match, Mode
    from app.imports.subscription import Import
    from app.imports.window import window_of

    outcome: Outcome | RoutedOutcome
    with told(), bar() as progress:
        ways = routes_from(calendar, routes, routes_file, source)
        joined = parts()
        job = Import(
            Body.of(file),
            joined.named(calendar) if calendar else NOWHERE,
            window_of(since, until, joined.now(), joined.config.zone, joined.config.imports.ahead_days),
            source=source,
            mode=Mode(mode),
            rules=Rules(include, exclude, tuple(map(rename, renames))),
            dry_run=dry_run,
            approved=approve,
            zone=zone_of(zone) if zone else None,
            floating=Floating(floating),
            match=Match(match),
        )
        if ways is not None:
            outcome = joined.routed.run(job, ways, progress=progress)
        else:
            outcome = joined.imports.do(job, progress)
    _tell(outcome, as_json)


@click.command()
@click.argument("run", type=int)
@click.option("--dry-run", is_flag=True, help="Show what would be taken back, and touch nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as one JSON object.")
def undo(run: int, dry_run: bool, as_json: bool) -> None:
    """Take back what one RUN did: what it created goes, what it changed returns, what it deleted comes back.

    What another run has changed since is left alone and listed as refused. Exit status as for an import.
    """
    with told(), bar() as progress:
        outcome = parts().imports.undo(run, dry_run=dry_run, progress=progress)
    _tell(outcome, as_json)


@click.command()
@click.option("--into", "calendar", required=True, help="The calendar: lms/kind/id.")
@click.option("--name", "source", required=True, help="The import whose events go, as 'import --name' had it.")
@click.option("--dry-run", is_flag=True, help="Show what would be taken away, and touch nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as one JSON object.")
def purge(calendar: str, source: str, dry_run: bool, as_json: bool) -> None:
    """Take away all that one import ever wrote into a calendar, past events too, and nothing else."""
    with told(), bar() as progress:
        joined = parts()
        ref = joined.named(calendar)
        outcome = joined.imports.purge(ref, source, dry_run=dry_run, progress=progress)
    _tell(outcome, as_json)


@click.group()
def run() -> None:
    """The runs of imports: what they did, and those that wait for a yes."""


@run.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.option("--count", default=20, show_default=True, type=click.IntRange(1, 1000), help="How many, at most.")
def run_list(as_json: bool, count: int) -> None:
    """The latest runs, newest first."""
    with told():
        joined = parts()
        for one in joined.imports.latest(count):
            click.echo(json.dumps(one.to_json(), ensure_ascii=False) if as_json else one.to_text(joined.config.zone))


@run.command("show")
@click.argument("number", metavar="RUN", type=int)
@click.option("--json", "as_json", is_flag=True, help="Print it as one JSON object.")
def run_show(number: int, as_json: bool) -> None:
    """One RUN with its plan and what became of it."""
    with told():
        joined = parts()
        one = joined.imports.get(number)
    lines = one.lines(joined.config.zone)
    click.echo(json.dumps(one.to_json(), ensure_ascii=False) if as_json else "\n".join(lines))


@run.command("approve")
@click.argument("number", metavar="RUN", type=int)
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as one JSON object.")
def run_approve(number: int, as_json: bool) -> None:
    """Say yes to a RUN that waits: it is planned anew from its file and carried out. Exit status as for an import."""
    with told(), bar() as progress:
        outcome = parts().imports.approve(number, progress=progress)
    _tell(outcome, as_json)


@run.command("pause")
@click.argument("number", metavar="RUN", type=int)
def run_pause(number: int) -> None:
    """Have a RUN that goes on, in whatever process, stop between two changes; 'run resume' goes on with it."""
    with told():
        joined = parts()
        click.echo(_seen(joined, joined.imports.pause(number)))


@run.command("resume")
@click.argument("number", metavar="RUN", type=int)
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as one JSON object.")
def run_resume(number: int, as_json: bool) -> None:
    """Go on with a RUN that was paused, left half-way or cut off. Exit status as for an import."""
    with told(), bar() as progress:
        outcome = parts().imports.resume(number, progress=progress)
    _tell(outcome, as_json)


@run.command("refused")
@click.argument("number", metavar="[RUN]", type=int, required=False)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def run_refused(number: int | None, as_json: bool) -> None:
    """What the LMS, or its rules, refused in a RUN (default: the latest), with reason and line of the file."""
    from app.imports.record.runs import refusal

    with told():
        imports = parts().imports
        one = imports.get(number) if number is not None else next(iter(imports.latest(1)), None)
    for note in (one.report or {}).get("refused", ()) if one else ():
        click.echo(json.dumps({"run": one.id, **note}, ensure_ascii=False) if as_json and one else refusal(note))


@run.command("retry")
@click.argument("number", metavar="RUN", type=int)
@click.option("--dry-run", is_flag=True, help="Show what would be tried again, and touch nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as one JSON object.")
def run_retry(number: int, dry_run: bool, as_json: bool) -> None:
    """Try again what was refused in a RUN, and nothing else, from its file. Exit status as for an import."""
    with told(), bar() as progress:
        outcome = parts().imports.retry(number, dry_run=dry_run, progress=progress)
    _tell(outcome, as_json)


@run.command("cancel")
@click.argument("number", metavar="RUN", type=int)
def run_cancel(number: int) -> None:
    """Say no to a RUN that waits, or have one that goes on end for good; what it wrote stays."""
    with told():
        joined = parts()
        click.echo(_seen(joined, joined.imports.cancel(number)))


def _seen(joined: Parts, run: Run) -> str:
    """The run as soon as whoever works on it has seen the wish; after a while as it is, for it will."""
    for _ in range(PATIENCE):
        if run.over:
            break
        time.sleep(0.25)
        run = joined.imports.get(run.id)
    lines = list(run.lines(joined.config.zone))
    return "\n".join(line for line in lines[:3] if not line.startswith(("create", "update", "delete")))


@click.group()
def batch() -> None:
    """The runs of one routed import, taken as one; 'run' acts on each of them alone."""


@batch.command("show")
@click.argument("number", metavar="BATCH", type=int)
def batch_show(number: int) -> None:
    """One BATCH with its runs, what no route took and which calendars are not there, as JSON."""
    with told():
        click.echo(json.dumps(parts().routed.get(number).to_json(), ensure_ascii=False, indent=2))


@batch.command("approve")
@click.argument("number", metavar="BATCH", type=int)
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as one JSON object.")
def batch_approve(number: int, as_json: bool) -> None:
    """Say yes to all of a BATCH that waits: it is planned anew from its file. Exit status as for an import."""
    with told(), bar() as progress:
        outcome = parts().routed.approve(number, progress=progress)
    _tell(outcome, as_json)


@batch.command("cancel")
@click.argument("number", metavar="BATCH", type=int)
def batch_cancel(number: int) -> None:
    """Say no to all of a BATCH that waits."""
    with told():
        click.echo(f"batch {number}: {parts().routed.cancel(number).state}")


@batch.command("undo")
@click.argument("number", metavar="BATCH", type=int)
@click.option("--dry-run", is_flag=True, help="Show what would be taken back, and touch nothing.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, one for each calendar.")
def batch_undo(number: int, dry_run: bool, as_json: bool) -> None:
    """Take back what all runs of a BATCH did. Exit status as for an import: that of the worst."""
    with told(), bar() as progress:
        outcomes = parts().routed.undo(number, dry_run=dry_run, progress=progress)
    for each in outcomes:
        click.echo(json.dumps(each.to_json(), ensure_ascii=False) if as_json else each.to_text())
    sys.exit(max(_status(each.state, bool(each.report and each.report.refused)) for each in outcomes))


def _tell(outcome: Outcome | RoutedOutcome, as_json: bool) -> None:
    """Print what an import came to, and end with the status that says it."""
    click.echo(json.dumps(outcome.to_json(), ensure_ascii=False) if as_json else outcome.to_text())
    sys.exit(_status(outcome.state, outcome.refused))


def _status(state: str, refused: bool) -> int:
    if refused and state == "done":
        return 5
    return {"done": 0, "dry": 0, "held": 3, "left": 4, "paused": 4, "cancelled": 4}.get(state, NOTHING_READ)
