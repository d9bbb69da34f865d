"""`import`, `undo` and `purge`: calendar files into LMS calendars, and back out."""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO

import click

from app.cli.common import json_option, parts, quiet_option
from app.cli.naming import CALENDARS, RUNS
from app.cli.outcomes import tell_outcome
from app.cli.progress import bar
from app.cli.routes import routes_from
from app.cli.terminal import say, say_json

if TYPE_CHECKING:
    from app.imports.deciding.routes import Routes
    from app.imports.record.batch import Batch
    from app.imports.record.outcome import Outcome
    from app.imports.record.routed_outcome import RoutedOutcome
    from app.imports.run import Run
    from app.imports.subscription import Import
    from app.parts import Parts


@click.command("import")
@click.argument("file", type=click.File("rb"))
@click.option(
    "--into",
    "calendar",
    shell_complete=CALENDARS,
    help="The calendar: lms/kind/id, as 'calbridge calendars' lists them.",
)
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
@click.option("--preview", is_flag=True, help="Keep the plan for a yes: 'run approve' carries it out.")
@click.option("--background", is_flag=True, help="Have a worker do it: 'run watch' tells how far it is.")
@click.option("--approve", is_flag=True, help="Carry the plan out even if it looks reckless.")
@json_option
@quiet_option
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
    preview: bool,
    background: bool,
    approve: bool,
    as_json: bool,
) -> None:
    """Write each occurrence of the calendar FILE into an LMS calendar; what is there already is left alone.

    With routes it goes into many, all in one batch; the first route that matches an event takes it.

    \b
    Example: calbridge import timetable.ics --into learn/course/courseId:BIO101 --dry-run

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

    if dry_run + preview + background > 1:
        raise ValueError("--dry-run, --preview and --background are three different ways: say one of them")
    outcome: Outcome | RoutedOutcome
    with bar("writing") as progress:
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
        if preview or background:
            _tell_kept(_kept(joined, job, ways, preview), preview, as_json)
            return
        if ways is not None:
            outcome = joined.routed.run(job, ways, progress=progress)
        else:
            outcome = joined.imports.do(job, progress)
    tell_outcome(outcome, as_json)


def _kept(joined: Parts, job: Import, ways: Routes | None, preview: bool) -> Run | Batch:
    """The import, kept for a yes or for a worker, with the routes that it has in place of a calendar."""
    if ways is not None:
        return joined.routed.preview(job, ways) if preview else joined.told_a_worker(joined.routed.queue(job, ways))
    return joined.imports.preview(job) if preview else joined.told_a_worker(joined.imports.queue(job))


def _tell_kept(kept: Run | Batch, preview: bool, as_json: bool) -> None:
    from app.imports.run import Run

    if as_json:
        say_json(kept.to_json())
        return
    what = "run" if isinstance(kept, Run) else "batch"
    if preview:
        say(f"planned, and kept for a yes: calbridge {what} show {kept.id}, calbridge {what} approve {kept.id}")
    else:
        say(f"left to a worker: calbridge {what} {'watch' if what == 'run' else 'show'} {kept.id}")


@click.command()
@click.argument("run", type=int, shell_complete=RUNS)
@click.option("--dry-run", is_flag=True, help="Show what would be taken back, and touch nothing.")
@json_option
@quiet_option
def undo(run: int, dry_run: bool, as_json: bool) -> None:
    """Take back what one RUN did: what it created goes, what it changed returns, what it deleted comes back.

    What another run has changed since is left alone and listed as refused. Exit status as for an import.

    Example: calbridge undo 17 --dry-run
    """
    with bar("taking back") as progress:
        outcome = parts().imports.undo(run, dry_run=dry_run, progress=progress)
    tell_outcome(outcome, as_json)


@click.command()
@click.option("--into", "calendar", shell_complete=CALENDARS, required=True, help="The calendar: lms/kind/id.")
@click.option("--name", "source", required=True, help="The import whose events go, as 'import --name' had it.")
@click.option("--dry-run", is_flag=True, help="Show what would be taken away, and touch nothing.")
@json_option
@quiet_option
def purge(calendar: str, source: str, dry_run: bool, as_json: bool) -> None:
    """Take away all that one import ever wrote into a calendar, past events too, and nothing else.

    Example: calbridge purge --into learn/course/_12594_1 --name timetable --dry-run
    """
    with bar("taking away") as progress:
        joined = parts()
        ref = joined.named(calendar)
        outcome = joined.imports.purge(ref, source, dry_run=dry_run, progress=progress)
    tell_outcome(outcome, as_json)
