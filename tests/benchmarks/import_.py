"""Imports: reading calendars, beside icalendar and recurring-ical-events. `import_ [--events N]`."""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, BinaryIO, TypeVar

import icalendar
import recurring_ical_events  # type: ignore[import-untyped]

from app.ics import Limits
from app.ics.events import Entry
from app.ics.expand import Bounds, Timeline
from app.ics.floating import NOBODY_SAID
from app.ics.read import Opened, open_calendar, without_collector
from bridges.model import Occurrence, Timed, instant
from tests.benchmarks._libical import parser
from tests.benchmarks._null import bring, imports

MONDAY = datetime(2026, 1, 5, 8)
WEEKS = 40
WINDOW = datetime(2025, 12, 1, tzinfo=UTC), datetime(2027, 2, 1, tzinfo=UTC)
WIDE = Limits(bytes=1 << 30, components=1 << 20, occurrences=1 << 22, problems=10)
ROUNDS = 3
DAYS = ("MO", "TU", "WE", "TH", "FR")

ZONE = """BEGIN:VTIMEZONE
TZID:Europe/Oslo
BEGIN:DAYLIGHT
DTSTART:19700329T020000
TZOFFSETFROM:+0100
TZOFFSETTO:+0200
RRULE:FREQ=YEARLY;BYMONTH=3;BYDAY=-1SU
END:DAYLIGHT
BEGIN:STANDARD
DTSTART:19701025T030000
TZOFFSETFROM:+0200
TZOFFSETTO:+0100
RRULE:FREQ=YEARLY;BYMONTH=10;BYDAY=-1SU
END:STANDARD
END:VTIMEZONE"""

Row = tuple[str, str, str, str]
Result = TypeVar("Result")


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks import_")
    parser.add_argument("--events", type=int, default=10_000)
    count = parser.parse_args(arguments).events
    rows = [
        parsed(count),
        beside_libical(count),
        expanded(count // 10),
        planned(count // 10),
        *again(count // 100),
        *changed(count),
        *remembered(count),
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    for row in [("work", "calbridge", "beside", "ratio"), *rows]:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, [*widths[:3], 8], strict=True)))


# ------------------------------------------------------------------------------------------------------- the input


def timetable(events: Iterable[str]) -> bytes:
    text = "\n".join(["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//beside//EN", ZONE, *events, "END:VCALENDAR\n"])
    return text.replace("\n", "\r\n").encode()


def lesson(number: int, start: datetime, *more: str, title: str = "Forelesning") -> str:
    """About 450 bytes: zoned times, a folded description, letters beyond ASCII."""
    lines = [
        "BEGIN:VEVENT",
        f"UID:timetable-{number:06}@uni.example.org",
        "DTSTAMP:20260101T120000Z",
        zoned("DTSTART", start),
        zoned("DTEND", start + timedelta(minutes=105)),
        f"SUMMARY:{title} {number}: økologi",
        f"LOCATION:Rom {number % 40}\\, 2. etasje",
        f"DESCRIPTION:Økologi og marinbiologi\\, forelesning {number}\\; les",
        f"  kapittel {number % 30} på forhånd.\\nTa med blåbok – takk.",
        "CATEGORIES:BIO101,Forelesning",
        "STATUS:CONFIRMED",
        "SEQUENCE:0",
        *more,
        "END:VEVENT",
    ]
    return "\n".join(lines)


def zoned(name: str, moment: datetime) -> str:
    return f"{name};TZID=Europe/Oslo:{moment:%Y%m%dT%H%M%S}"


def begin(number: int) -> datetime:
    return MONDAY + timedelta(days=number % 200, minutes=15 * (number % 36))


def singles(count: int) -> bytes:
    return timetable(lesson(number, begin(number)) for number in range(count))


def masters(count: int) -> bytes:
    """Weekly over 40 weeks, most of them twice a week, with two EXDATEs and an override each."""
    return timetable(part for number in range(count) for part in series(number))


def series(number: int) -> Iterator[str]:
    start = MONDAY + timedelta(days=number % 5, minutes=15 * (number % 36))
    first, second = DAYS[number % 5], DAYS[(number + 2) % 5]
    twice = number % 4 != 0
    rule = f"RRULE:FREQ=WEEKLY;COUNT={WEEKS * (1 + twice)};BYDAY={first}" + f",{second}" * twice
    gone = [zoned("EXDATE", start + timedelta(weeks=week)) for week in (7, 13)]
    yield lesson(number, start, rule, *gone)
    slot = start + timedelta(weeks=5)
    yield lesson(number, slot + timedelta(hours=2), zoned("RECURRENCE-ID", slot), title="Flyttet")


# ------------------------------------------------------------------------------------------------------- measuring


def beside(
    ours: Callable[[], Result], theirs: Callable[[], Any], fresh: Callable[[], None] = lambda: None
) -> tuple[float, Result, float, Any]:
    """Processor seconds and results of both, in turns, so that a busy machine is equally busy for both; medians."""
    spent: tuple[list[float], list[float]] = [], []
    for _ in range(ROUNDS):
        fresh()
        begun = time.process_time()
        mine = ours()
        middle = time.process_time()
        judged = theirs()
        spent[0].append(middle - begun)
        spent[1].append(time.process_time() - middle)
    return median(spent[0]), mine, median(spent[1]), judged


def row(work: str, what: str, count: int, mine: float, theirs: float) -> Row:
    return work, f"{count / mine:,.0f} {what}/s", f"{count / theirs:,.0f} {what}/s", f"{theirs / mine:.1f}"


def opened(data: bytes | BinaryIO) -> Opened:
    return open_calendar(data, (None, None, NOBODY_SAID), Bounds.of(*WINDOW, None), WIDE)


@without_collector()
def understood(data: bytes) -> list[list[Entry]]:
    return list(opened(data).families())


def parsed(count: int) -> Row:
    """Bytes to events whose times and texts are understood."""
    data = singles(count)
    mine, ours, slow, theirs = beside(lambda: understood(data), lambda: icalendar.Calendar.from_ical(data))
    found = [one for family in ours for one in family]
    assert sorted(
        (one.uid, one.start.instant, one.said.title, one.said.text, one.said.place) for one in found
    ) == sorted(
        (
            str(one["UID"]),
            instant(one["DTSTART"].dt),
            *(str(one[name]) for name in ("SUMMARY", "DESCRIPTION", "LOCATION")),
        )
        for one in theirs.walk("VEVENT")
    )
    return row(f"parse {count:,} events (icalendar)", "events", count, mine, slow)


@without_collector()
def laid_out(held: Opened, families: list[list[Entry]]) -> list[list[Timeline]]:
    return list(held.timelines(families))


def expanded(count: int) -> Row:
    """Understood events to occurrences."""
    data = masters(count)
    theirs = icalendar.Calendar.from_ical(data)
    held = opened(data)
    families = list(held.families())
    mine, timelines, slow, judged = beside(lambda: laid_out(held, families), lambda: by_library(theirs))
    ours = [occurrence for timeline in timelines for _, occurrence in timeline]
    agreed(ours, judged)
    return row(f"expand {count:,} masters (recurring-ical-events)", "occurrences", len(ours), mine, slow)


def beside_libical(count: int) -> Row:
    """Bytes to what libical holds of them."""
    work, data, parse = f"parse {count:,} events (libical)", singles(count), parser()
    if parse is None:
        return work, "", "libical3 is not installed", ""
    runs = [parse(data) for _ in range(ROUNDS)]
    assert {found for found, _ in runs} == {count}
    mine, _, _, _ = beside(lambda: understood(data), lambda: None)
    return row(work, "events", count, mine, median(spent for _, spent in runs))


def planned(count: int) -> Row:
    """Bytes to the plan of a first import, end to end but for the LMS."""
    data = masters(count)
    with TemporaryDirectory() as folder:
        into = imports(Path(folder), WIDE)
        mine, outcome, slow, judged = beside(
            lambda: bring(into, data, WINDOW), lambda: by_library(icalendar.Calendar.from_ical(data))
        )
    assert not outcome.problems
    agreed((Occurrence(each.id, each.event) for each in outcome.plan.creates), judged)
    return row(f"plan {count:,} masters (both libraries)", "occurrences", len(judged), mine, slow)


def again(count: int) -> Iterator[Row]:
    """The plan of series that were imported before: the same file, the same without any shortcut, one changed."""
    data, of = masters(count), f"{count:,} masters"
    later = WINDOW[0], WINDOW[1] + timedelta(days=1)
    yield from after(
        data,
        (f"the same {of} again", data, WINDOW, 0),
        (f"the same {of} again, each looked at", data, later, 0),
        (f"{of}, one of them changed", renamed(data, b"7"), WINDOW, 1),
    )


def changed(count: int) -> Iterator[Row]:
    """The plan of a file of single events that was imported before, and has changed here and there."""
    data, of = singles(count), f"{count:,} events"
    exported = data.replace(b"DTSTAMP:20260101T120000Z", b"DTSTAMP:20260102T120000Z")
    yield from after(
        data,
        (f"{of}, one in a hundred changed", renamed(data, rb"\d*00"), WINDOW, count // 100 - 1),
        (f"{of}, one of them changed", renamed(data, b"7"), WINDOW, 1),
        (f"the same {of}, exported anew", exported, WINDOW, 0),
    )


def renamed(data: bytes, numbers: bytes) -> bytes:
    """Those events under another title whose numbers match."""
    return re.sub(rb"(SUMMARY:)Forelesning (%s:)" % numbers, rb"\1Seminar \2", data)


Again = tuple[str, bytes, tuple[datetime, datetime], int]
"""What is measured, the file, its window, and how many of its UIDs have changed."""


def after(data: bytes, *steps: Again) -> Iterator[Row]:
    """Each of these planned after that file was imported."""
    with TemporaryDirectory() as folder:
        into = imports(Path(folder), WIDE)
        assert bring(into, data, WINDOW, dry=False).report
        for work, given, window, uids in steps:
            mine, outcome, slow, judged = beside(
                lambda given=given, window=window: bring(into, given, window),  # type: ignore[misc]
                lambda given=given: by_library(icalendar.Calendar.from_ical(given)),  # type: ignore[misc]
            )
            plan = outcome.plan
            assert not plan.creates
            assert not plan.deletes
            assert plan.unchanged + len(plan.updates) == len(judged)
            assert len({change.id.uid for change in plan.updates}) == uids
            yield row(f"{work} (both libraries)", "occurrences", len(judged), mine, slow)


def by_library(calendar: Any) -> list[Any]:
    return list(recurring_ical_events.of(calendar).between(*WINDOW))


def agreed(ours: Iterable[Occurrence], judged: Iterable[Any]) -> None:
    spans = ((one.id.uid, one.event.when, one.event.title) for one in ours)
    mine = sorted(
        (uid, instant(when.start), instant(when.end), title) for uid, when, title in spans if isinstance(when, Timed)
    )
    theirs = ((str(one["UID"]), one["DTSTART"].dt, one["DTEND"].dt, str(one["SUMMARY"])) for one in judged)
    assert mine == sorted((uid, instant(start), instant(end), title) for uid, start, end, title in theirs)


# ---------------------------------------------------------------------------------------------------------- memory


def remembered(count: int) -> Iterator[Row]:
    """Peak memory over the idle process, each in one of its own: read, planned, written, and the same file again."""
    for events, made, steps in (
        (count, singles, ("read", "plan", "write", "again")),
        (count * 10, singles, ("read", "plan", "write", "again")),
        (count, masters, ("read", "plan")),
    ):
        with TemporaryDirectory() as folder:
            path = Path(folder) / "timetable.ics"
            size = path.write_bytes(made(events))
            for what in steps:
                command = [sys.executable, "-m", "tests.benchmarks._memory", what, str(path)]
                done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
                shown, peak = map(int, done.stdout.split())
                of = f"{events:,} {'events' if made is singles else 'masters'}"
                work = f"{what} {of}, peak memory for {shown:,} occurrences"
                yield work, f"{peak / 1024:,.0f} MB", f"{size / 2**20:,.0f} MB file", ""
