"""The short ways of the reading core give what the general ones give, on everything."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from io import BytesIO
from itertools import chain
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.ics import Limits, NotACalendar, Reading, read_occurrences
from app.ics.expand import Bounds
from app.ics.floating import NOBODY_SAID
from app.ics.read import open_calendar
from tests.ics.making import calendar, event

SPECIMENS = sorted((Path(__file__).parent / "calendars").glob("*.ics"))
OSLO = ZoneInfo("Europe/Oslo")
FEW = Limits(series=60, work=2000)


def answer(data: bytes, *bounds: date | None, lanes: bool) -> Reading | str:
    try:
        return read_occurrences(data, *bounds, zone=OSLO, limits=FEW, lanes=lanes)
    except NotACalendar as refusal:
        return str(refusal)


def twice(data: bytes, *bounds: date | None) -> Reading | str:
    """As a file that is too large to be held."""
    first, last = bounds or (None, None)
    try:
        opened = open_calendar(data, (None, OSLO, NOBODY_SAID), Bounds.of(first, last, OSLO), FEW, held=0)
    except NotACalendar as refusal:
        return str(refusal)
    return opened.reading(opened.occurrences())


def same(data: bytes, *bounds: date | None) -> None:
    expected = answer(data, *bounds, lanes=False)
    assert answer(data, *bounds, lanes=True) == expected
    assert twice(data, *bounds) == expected


@pytest.mark.parametrize("path", SPECIMENS, ids=lambda path: path.stem)
def test_on_specimens(path: Path) -> None:
    same(path.read_bytes())
    same(path.read_bytes(), date(2025, 3, 1), date(2025, 5, 1))


@st.composite
def series(draw: st.DrawFn) -> str:
    """A master around a change of the clock, with what belongs to one."""
    kind = draw(st.sampled_from(["TZID=Europe/Berlin", "TZID=America/New_York", "VALUE=DATE", "utc", "X=floating"]))
    start = datetime(
        2025, draw(st.sampled_from([3, 10])), draw(st.integers(1, 28)), draw(st.sampled_from([0, 2, 9])), 30
    )

    def at(name: str, moment: datetime) -> str:
        if kind == "VALUE=DATE":
            return f"{name};{kind}:{moment:%Y%m%d}"
        return f"{name}:{moment:%Y%m%dT%H%M%S}Z" if kind == "utc" else f"{name};{kind}:{moment:%Y%m%dT%H%M%S}"

    days = ",".join(draw(st.lists(st.sampled_from(["MO", "WE", "SA", "SU"]), max_size=3, unique=True)))
    rule = draw(st.sampled_from(["FREQ=DAILY", "FREQ=WEEKLY"])) + f";INTERVAL={draw(st.integers(1, 3))}"
    rule += f";BYDAY={days};WKST={draw(st.sampled_from(['MO', 'SU']))}" if days else ""
    ends = ["", ";COUNT=9", ";UNTIL=20251030", ";UNTIL=20250401T003000Z", ";UNTIL=20251101T023000"]
    lines = [at("DTSTART", start), "RRULE:" + rule + draw(st.sampled_from(ends))]
    lines += draw(
        st.sampled_from([[], ["DURATION:PT90M"], ["DURATION:P1D"], [at("DTEND", start + timedelta(days=1, hours=3))]])
    )
    slots = st.integers(0, 30).map(lambda day: start + timedelta(days=day))
    lines += [at("EXDATE", slot) for slot in draw(st.lists(slots, max_size=3))]
    lines += draw(st.sampled_from([[], [f"EXDATE;VALUE=DATE:{start:%Y%m%d}"], ["LOCATION:"], ["STATUS:CANCELLED"]]))
    moved = [
        event(at("RECURRENCE-ID", slot), at("DTSTART", slot + timedelta(days=2)))
        for slot in draw(st.lists(slots, max_size=1))
    ]
    return "".join([event(*lines), *moved])


@settings(max_examples=250, deadline=None)
@given(series(), st.dates(date(2025, 2, 1), date(2025, 12, 1)), st.integers(1, 90))
def test_on_series(parts: str, first: date, length: int) -> None:
    same(calendar(parts))
    same(calendar(parts), first, first + timedelta(days=length))


LINES = st.sampled_from(
    [
        "BEGIN:VEVENT", "END:VEVENT", "END:VEVENT ", "BEGIN:VALARM", "END:VALARM", "BEGIN:VEVENT\r\nUID:a",
        "DTSTART;TZID=X:20250310T090000", "DTSTART:20250310T090000Z", "DTEND;X=\"a:b\":20250310T100000Z", "SUMMARY:",
        "SUMMARY", "DESCRIPTION:a\\n\\\\n\\,b", " folded", "junk", "", "LOCATION:Caf\udce9", "END:VCALENDAR",
        "BEGIN:VCALENDAR", "X-WR-TIMEZONE:Asia/Tokyo", "BEGIN:VTIMEZONE", "END:VTIMEZONE", "UID:b",
    ]
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.lists(LINES, max_size=25))
def test_on_lines_of_all_kinds(lines: list[str]) -> None:
    text = "\r\n".join(["BEGIN:VCALENDAR", *lines, "END:VCALENDAR\r\n"])
    same(text.encode("utf-8", "surrogateescape"))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans(), st.booleans()), max_size=12))
def test_on_events_of_one_uid_in_several_places(events: list[tuple[str, bool, bool]]) -> None:
    parts = [
        event(
            f"DTSTART;TZID=Europe/Berlin:202503{number + 1:02}T090000",
            *(["RECURRENCE-ID;TZID=Europe/Berlin:20250311T090000"] if override else ["RRULE:FREQ=DAILY;COUNT=3"]),
            *(["BEGIN:VALARM", "UID:a", "END:VALARM"] if alarm else []),
            uid=uid,
        )
        for number, (uid, override, alarm) in enumerate(events)
    ]
    same(calendar(*parts))


def test_a_large_file_is_handed_out_in_portions_of_whole_uids() -> None:
    parts = [event(DAILY, uid=f"{number}") for number in range(300)]
    moved = [event("RECURRENCE-ID;TZID=Europe/Berlin:20250311T090000", uid=f"{number}") for number in range(300)]
    data = calendar(*parts, *moved)
    opened = open_calendar(BytesIO(data), (None, OSLO, NOBODY_SAID), Bounds.of(None, None, OSLO), Limits(), held=0)
    portions = list(opened.portions())
    uids = [{one.id.uid for one in portion} for portion in portions]
    assert len(portions) > 5
    assert sum(map(len, uids)) == 300
    assert sorted(map(str, chain.from_iterable(portions))) == sorted(map(str, read_occurrences(data).occurrences))


DAILY = "RRULE:FREQ=DAILY;COUNT=20"


def test_what_stands_behind_the_events_holds_for_them() -> None:
    zone = (
        "BEGIN:VTIMEZONE\nTZID:Here\nBEGIN:STANDARD\nDTSTART:19700101T000000\nTZOFFSETFROM:+0300\nTZOFFSETTO:+0300\n"
        "END:STANDARD\nEND:VTIMEZONE\n"
    )
    for parts in (
        [zone, event("DTSTART;TZID=Here:20250310T090000")],
        [event("DTSTART;TZID=Here:20250310T090000"), zone],
    ):
        (found,) = read_occurrences(calendar(*parts)).occurrences
        assert str(found.event.when.start) == "2025-03-10 09:00:00+03:00"
