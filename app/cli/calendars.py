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

from app.cli.common import NOTHING_READ, bound, config_file, parts, told

if TYPE_CHECKING:
    from app.parts import Parts


@click.command()
@click.argument("lms", required=False)
def calendars(lms: str | None) -> None:
    """List the calendars that the connections see (or that of one LMS)."""
    with told():
        joined = parts()
        if lms:
            _say_calendars(joined, lms)
            return
        failed = [name for name in sorted(joined.config.connections) if not _tried_calendars(joined, name)]
        sys.exit(1 if failed else 0)


def _tried_calendars(joined: Parts, lms: str) -> bool:
    """One connection that is away, or that lists nothing, does not hide the others."""
    from bridges.contract import Source
    from bridges.errors import BridgeError

    try:
        if not isinstance(joined.bridge(lms), Source):
            click.echo(f"{lms}: can only be written to, and lists no calendars", err=True)
            return True
        _say_calendars(joined, lms)
    except BridgeError as error:
        click.echo(f"{lms}: {error}", err=True)
        return False
    return True


def _say_calendars(joined: Parts, lms: str) -> None:
    for calendar in joined.calendars(lms):
        click.echo(f"{calendar.ref}\t{'writable' if calendar.writable else 'read-only'}\t{calendar.name}")


@click.command()
@click.argument("file", type=click.File("rb"))
@click.option("--from", "since", required=True, help="The first day (or a time, ISO 8601).")
@click.option("--to", "until", required=True, help="The day after the last one (or a time, ISO 8601).")
@click.option(
    "--zone", help="The zone of floating times and of the days given (IANA; default: as the configuration says)."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def expand(file: BinaryIO, since: str, until: str, zone: str | None, as_json: bool) -> None:
    """List every occurrence of FILE within [from, to), sorted by start, then UID. Problems go to standard error."""
    from app.config import load, zone_of
    from app.ics import read_occurrences
    from app.ics.listing import line, record

    with told():
        source = zone_of(zone) if zone else None
        home = source or load(config_file(), os.environ).zone
        data, first, last = file.read(), bound(since, home), bound(until, home)
        if type(first) is type(last) and last <= first:
            raise ValueError(f"the window is empty: --to ({until}) has to come after --from ({since})")
        reading = read_occurrences(data, first, last, zone=home, source_zone=source)
    for problem in reading.problems:
        click.echo(str(problem), err=True)
    for occurrence in reading.occurrences:
        click.echo(json.dumps(record(occurrence), ensure_ascii=False) if as_json else line(occurrence))
    sys.exit(NOTHING_READ if not reading.occurrences and not reading.events and reading.problems else 0)


@click.command()
@click.argument("file", type=click.File("rb"))
@click.option("--uid", help="Only the event of that UID.")
@click.option("--at", help="What takes place on that day, or at that time (2026-03-29T10:00, in the home zone).")
@click.option("--into", "calendar", help="Also what that calendar's LMS would be sent, and what it shows: lms/kind/id.")
@click.option("--zone", help="What the file means by zones that nobody knows (IANA).")
@click.option("--floating", default="", help="Times without a zone: 'home', 'hold' (never guess), or a zone.")
@click.option("--count", default=100, show_default=True, type=click.IntRange(1), help="How many, at most.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
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

    Without --at, the first occurrence of each event. Exit status: 2 where there is none.
    """
    from app.config import load, zone_of
    from app.ics.explain import explain, paragraph, record
    from app.ics.floating import Floating
    from app.imports.there import lines_of, there

    with told():
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
                click.echo(json.dumps({**record(one), "there": sent}, ensure_ascii=False))
            else:
                click.echo(paragraph(one, lines_of(sink, lms_zone, str(into), one.when)) + "\n")
    if none:
        click.echo("calbridge: there is no such occurrence", err=True)
        sys.exit(NOTHING_READ)


@click.group()
def itslearning() -> None:
    """What only itslearning has."""


@itslearning.command("schema")
@click.argument("lms", required=False)
@click.option("--write", "folder", type=click.Path(file_okay=False, path_type=Path), default="itslearning-schema")
def itslearning_schema(lms: str | None, folder: Path) -> None:
    """Store what the site's GetMessageTypes publishes, and tell where it differs from what calbridge sends.

    LMS is the connection's name, if there are several. Exit status: 0 no difference, 1 differences, 2 not read.
    """
    with told():
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
    click.echo(f"{len(schema.types)} messages, stored in {folder}", err=True)
    for difference in schema.differences:
        click.echo(difference)
    sys.exit(1 if schema.differences else 0)


class Schema(Protocol):
    """What a site says of its messages: numbers and XSDs by name, and how they differ from what is sent."""

    types: Mapping[str, int]
    documents: Mapping[str, str]
    differences: Sequence[str]


@runtime_checkable
class Published(Protocol):
    """A bridge whose LMS publishes the form of its messages."""

    def schema(self) -> Schema: ...
