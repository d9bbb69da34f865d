"""`calendars`, `expand` and `explain`: what an LMS shows, and what a file holds."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol, runtime_checkable

import click

from app.cli.common import config_file, json_option, parts, slice_options
from app.cli.exits import Exit
from app.cli.naming import CALENDARS, LMSS
from app.cli.tables import Column, tell_part
from app.cli.terminal import complain, say, say_json

if TYPE_CHECKING:
    from app.parts import Parts
    from app.store.slices import Slice
    from bridges.model import Calendar


@click.command()
@click.argument("lms", required=False, shell_complete=LMSS)
@slice_options
@json_option
def calendars(wanted: Slice, lms: str | None, as_json: bool) -> None:
    """List the calendars that the connections see (or that of one LMS).

    Example: calbridge calendars learn --search biology

    Exit status: 0 all were asked, 1 a connection did not answer, 2 the one that was named did not.
    """
    from app.store.slices import part_of_all
    from app.store.values import calendar_to_json

    joined = parts()
    found, failed = (list(joined.calendars(lms)), False) if lms else _of_all(joined)
    columns: Sequence[Column[Calendar]] = [
        Column("calendar", lambda one: one.ref),
        Column("may be", lambda one: "writable" if one.writable else "read-only"),
        Column("name", lambda one: one.name, folds=True),
    ]
    some = part_of_all(found, wanted, lambda one: f"{one.ref} {one.name}")
    tell_part(some, columns, calendar_to_json, as_json)
    sys.exit(Exit.ATTENTION if failed else Exit.DONE)


def _of_all(joined: Parts) -> tuple[list[Calendar], bool]:
    """Those of all connections, and whether one is away: it does not hide the others."""
    from bridges.contract import Source
    from bridges.errors import BridgeError

    found: list[Calendar] = []
    failed = False
    for lms in sorted(joined.config.connections):
        try:
            if isinstance(joined.bridge(lms), Source):
                found += joined.calendars(lms)
            else:
                say(f"{lms}: can only be written to, and lists no calendars", err=True)
        except BridgeError as error:
            say(f"{lms}: {error}", err=True)
            failed = True
    return found, failed


@click.command()
@click.argument("file", type=click.File("rb"))
@click.option("--from", "since", required=True, help="The first day (or a time, ISO 8601).")
@click.option("--to", "until", required=True, help="The day after the last one (or a time, ISO 8601).")
@click.option(
    "--zone", help="The zone of floating times and of the days given (IANA; default: as the configuration says)."
)
@json_option
def expand(file: BinaryIO, since: str, until: str, zone: str | None, as_json: bool) -> None:
    """List every occurrence of FILE within [from, to), sorted by start, then UID. Problems go to standard error.

    Example: calbridge expand timetable.ics --from 2026-09-01 --to 2026-10-01
    """
    from app.config import load, zone_of
    from app.ics import read_occurrences
    from app.ics.listing import line, record
    from app.imports.window import bound

    source = zone_of(zone) if zone else None
    home = source or load(config_file(), os.environ).zone
    data, first, last = file.read(), bound(since, home), bound(until, home)
    if type(first) is type(last) and last <= first:
        raise ValueError(f"the window is empty: --to ({until}) has to come after --from ({since})")
    reading = read_occurrences(data, first, last, zone=home, source_zone=source)
    for problem in reading.problems:
        say(problem, err=True)
    for occurrence in reading.occurrences:
        if as_json:
            say_json(record(occurrence))
        else:
            say(line(occurrence))
    nothing = not reading.occurrences and not reading.events and reading.problems
    sys.exit(Exit.NOTHING if nothing else Exit.DONE)


@click.command()
@click.argument("file", type=click.File("rb"))
@click.option("--uid", help="Only the event of that UID.")
@click.option("--at", help="What takes place on that day, or at that time (2026-03-29T10:00, in the home zone).")
@click.option(
    "--into",
    "calendar",
    shell_complete=CALENDARS,
    help="Also what that calendar's LMS would be sent, and what it shows: lms/kind/id.",
)
@click.option("--zone", help="What the file means by zones that nobody knows (IANA).")
@click.option("--floating", default="", help="Times without a zone: 'home', 'hold' (never guess), or a zone.")
@click.option("--count", default=100, show_default=True, type=click.IntRange(1), help="How many, at most.")
@json_option
def explain(
    file: BinaryIO,
    uid: str | None,
    at: str | None,
    calendar: str | None,
    zone: str | None,
    floating: str,
    count: int,
    as_json: bool,
) -> None:
    """Say why occurrences of FILE take place when they do: the zone as written, who knew it, the instant.

    Example: calbridge explain timetable.ics --at 2026-03-29T10:00

    Without --at, the first occurrence of each event. Exit status: 2 where there is none.
    """
    from app.config import load, zone_of
    from app.ics.explain import explain, paragraph, record
    from app.ics.floating import Floating
    from app.imports.there import lines_of, there
    from app.imports.window import bound

    joined = parts() if calendar else None
    home = (joined.config if joined else load(config_file(), os.environ)).zone
    into = joined.named(calendar) if joined and calendar else None
    sink = joined.sink(into.lms) if joined and into else None
    lms_zone = joined.zone_at(into.lms) if joined and into else home
    found = explain(
        file.read(),
        zone=home,
        source_zone=zone_of(zone) if zone else None,
        floating=Floating(floating),
        uid=uid,
        at=bound(at, home) if at else None,
    )
    none = True
    for one in islice(found, count):
        none = False
        if as_json:
            sent = there(sink, lms_zone, one.when).to_json() if sink and one.when else None
            say_json({**record(one), "there": sent})
        else:
            say(paragraph(one, lines_of(sink, lms_zone, str(into), one.when)) + "\n")
    if none:
        complain("there is no such occurrence")
        sys.exit(Exit.NOTHING)


@click.group()
def itslearning() -> None:
    """What only itslearning has.

    Example: calbridge itslearning schema
    """


@itslearning.command("schema")
@click.argument("lms", required=False, shell_complete=LMSS)
@click.option("--write", "folder", type=click.Path(file_okay=False, path_type=Path), default="itslearning-schema")
def itslearning_schema(lms: str | None, folder: Path) -> None:
    """Store what the site's GetMessageTypes publishes, and tell where it differs from what calbridge sends.

    Example: calbridge itslearning schema its --write schema

    LMS is the connection's name, if there are several. Exit status: 0 no difference, 1 differences, 2 not read.
    """
    joined = parts()
    names = [lms] if lms else sorted(joined.config.connections)
    found = [bridge for bridge in map(joined.bridge, names) if isinstance(bridge, Published)]
    if len(found) != 1:
        raise ValueError("name the itslearning connection: the configuration has none, or several")
    schema = found[0].schema()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "types.json").write_text(json.dumps(dict(schema.types), indent=1) + "\n", "utf-8")
    for name, document in schema.documents.items():
        (folder / f"{name}.xsd").write_text(document, "utf-8")
    say(f"{len(schema.types)} messages, stored in {folder}", err=True)
    for difference in schema.differences:
        say(difference)
    sys.exit(Exit.ATTENTION if schema.differences else Exit.DONE)


class Schema(Protocol):
    """What a site says of its messages: numbers and XSDs by name, and how they differ from what is sent."""

    types: Mapping[str, int]
    documents: Mapping[str, str]
    differences: Sequence[str]


@runtime_checkable
class Published(Protocol):
    """A bridge whose LMS publishes the form of its messages."""

    def schema(self) -> Schema: ...
