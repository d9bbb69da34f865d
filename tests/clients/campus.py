"""One year of a campus as its LMS holds it: what calendar programs get wrong, with what they are to see beside it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import count
from typing import Any
from zoneinfo import ZoneInfo

from pydantic import BaseModel

from bridges.contract import Tools
from bridges.errors import Gone
from bridges.model import AllDay, Calendar, CalendarRef, Event, Found, Kind, RemoteRef, Status, Timed, Window

NOW = datetime(2026, 1, 10, 12, tzinfo=UTC)
BACK_DAYS, AHEAD_DAYS = 14, 425
"""Of what is read around NOW: all of 2026, and the next Ramadan, of which no yearly rule knows when it is."""
ZONES = (
    "Europe/Oslo",
    "Europe/Dublin",
    "Africa/Casablanca",
    "America/New_York",
    "Australia/Lord_Howe",
    "Asia/Kolkata",
)

CLOCKS = CalendarRef("school", Kind.COURSE, "clocks")
WORDS = CalendarRef("school", Kind.COURSE, "words")
PLAN = CalendarRef("school", Kind.COURSE, "plan")
ROOM = CalendarRef("school", Kind.ROOM, "lab")
ALL_OF_IT = CalendarRef("school", Kind.INSTITUTION)
ADA = CalendarRef("school", Kind.PERSON, "ada")

CHANGES = tuple(
    datetime.fromisoformat(text).replace(tzinfo=UTC)
    for text in (
        "2026-02-15T02:00",  # Casablanca, Ramadan begins
        "2026-03-08T07:00",  # New York
        "2026-03-22T02:00",  # Casablanca, Ramadan is over
        "2026-03-29T01:00",  # Oslo and Dublin
        "2026-04-04T15:00",  # Lord Howe, by half an hour
        "2026-10-03T15:30",  # Lord Howe
        "2026-10-25T01:00",  # Oslo and Dublin
        "2026-11-01T06:00",  # New York
        "2027-02-07T02:00",  # Casablanca, where no plain rule is right in both years
    )
)
"""When clocks change in these zones, as tzdata 2025b has it."""

PILE = "\N{PILE OF POO}"
FAMILY = "\N{MAN}\N{ZERO WIDTH JOINER}\N{WOMAN}\N{ZERO WIDTH JOINER}\N{GIRL}"
STRINGS: Mapping[str, str] = {
    "plain": "plain",
    "Übung; Gruppe A, Raum 4\\2": "Übung; Gruppe A, Raum 4\\2",
    "cr\rlf\ncrlf\r\nend": "cr\nlf\ncrlf\nend",
    "nel\x85 ls\u2028 ps\u2029 end": "nel\x85 ls\u2028 ps\u2029 end",
    "nel\x85X-EVIL:1 ls\u2028END:VEVENT ps\u2029": "nel\x85X-EVIL:1 ls\u2028END:VEVENT ps\u2029",
    "nul\x00 bell\x07 vt\x0b ff\x0c esc\x1b del\x7f": "nul bell vt ff esc del",
    "back\\nslash \\\\n \\, \\; \\N \\": "back\\nslash \\\\n \\, \\; \\N \\",
    "\"quoted\" 'single' a:b;c=d,e ^n^^^'": "\"quoted\" 'single' a:b;c=d,e ^n^^^'",
    "BEGIN:VEVENT\r\nSUMMARY:no\r\nEND:VEVENT": "BEGIN:VEVENT\nSUMMARY:no\nEND:VEVENT",
    "<script>alert('&amp;')</script> <b>bold</b>": "<script>alert('&amp;')</script> <b>bold</b>",
    "שיעור: מבוא \N{RIGHT-TO-LEFT OVERRIDE}abc\N{POP DIRECTIONAL FORMATTING} درس": (
        "שיעור: מבוא \N{RIGHT-TO-LEFT OVERRIDE}abc\N{POP DIRECTIONAL FORMATTING} درس"
    ),
    "tab\there": "tab\there",
    "%0D%0A &#10; ${x} {{x}} =1+1": "%0D%0A &#10; ${x} {{x}} =1+1",
    PILE * 75: PILE * 75,
    "x" + PILE * 75: "x" + PILE * 75,
    "xx" + FAMILY * 20: "xx" + FAMILY * 20,
    "xxx" + PILE * 75: "xxx" + PILE * 75,
    "a" * 65 + "\\," * 40: "a" * 65 + "\\," * 40,
    "a" * 66 + ";" * 40: "a" * 66 + ";" * 40,
    "half\ud83d": "half\N{REPLACEMENT CHARACTER}",
    "e\N{COMBINING ACUTE ACCENT} \N{BYTE ORDER MARK}bom": "e\N{COMBINING ACUTE ACCENT} \N{BYTE ORDER MARK}bom",
}
"""What an LMS may hold, and what of it an iCalendar text can: LF ends a line, and there are no control characters."""

LINKS: Mapping[str, str] = {
    "": "",
    "https://lms.example.edu/course/1?a=b&c=d#e": "https://lms.example.edu/course/1?a=b&c=d#e",
    "https://lms.example.edu/a b;c,d": "https://lms.example.edu/a%20b;c,d",
    "https://lms.example.edu/ø\r\nX-EVIL:1": "https://lms.example.edu/%C3%B8%0AX-EVIL:1",
    "javascript:alert(1)": "",
}
"""Addresses as they are found, and as they are told: no other kind than of the web, nothing that ends a line."""

LONG = "Read chapter 4, then <a>hand in</a>; see https://lms.example.edu/read?x=1&y=2 – tak!\r\n" * 60


def _lesson(title: str, start: datetime, minutes: int = 30, **more: Any) -> Event:
    return Event(title, Timed(start, start + timedelta(minutes=minutes)), **more)


def clocks() -> Iterator[Event]:
    """Lessons before, at and after each change of any clock, and each other month at the same wall time."""
    numbers = count(1)
    for change in CHANGES:
        for minutes in (-1500, -90, -60, -30, 0, 30, 60, 1500):
            yield _lesson(f"Lesson {next(numbers)}", change + timedelta(minutes=minutes))
        yield _lesson(f"Night {next(numbers)}", change - timedelta(hours=2), 300)
    for name in ZONES:
        for month in range(1, 13, 2):
            start = datetime(2026, month, 10, 9, 15, tzinfo=ZoneInfo(name))
            yield _lesson(f"Lecture {month} in {name}", start, 90)
    oslo = ZoneInfo("Europe/Oslo")
    for day in (datetime(2026, 3, 29, 2, 30), datetime(2026, 10, 25, 2, 30)):  # an hour that is not, or is twice
        for fold in (0, 1):
            start = day.replace(tzinfo=oslo, fold=fold).astimezone(UTC)
            yield _lesson(f"Half past two {day:%B} {fold}", start)


def words() -> Iterator[Event]:
    """Each string as a title, a text, a place and a category."""
    for number, text in enumerate(STRINGS):
        start = datetime(2026, 5, 4, 8, tzinfo=UTC) + timedelta(days=number)
        yield _lesson(text, start, text=f"{text} and more", place=text, categories=(text, "Course"))


def plan() -> Iterator[Event]:
    """Days, deadlines, what is cancelled, what has a link."""
    yield Event("A day", AllDay(date(2026, 3, 10), date(2026, 3, 11)), place="Campus")
    yield Event("The day that has 23 hours", AllDay(date(2026, 3, 29), date(2026, 3, 30)))
    yield Event("Three days over it", AllDay(date(2026, 10, 24), date(2026, 10, 27)))
    yield Event("A fortnight into the new year", AllDay(date(2026, 12, 21), date(2027, 1, 4)))
    yield Event("Leap", AllDay(date(2026, 2, 28), date(2026, 3, 1)))
    for day, zone in enumerate(ZONES, 20):
        due = datetime(2026, 4, day, 23, 59, tzinfo=ZoneInfo(zone))
        yield Event(f"Due in {zone}", Timed(due, due), text="Hand in.", categories=("Deadline",))
    due = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    yield Event("Due in the hour that is twice", Timed(due, due))
    yield Event("Due an hour later", Timed(due + timedelta(hours=1), due + timedelta(hours=1)))
    monday = datetime(2026, 6, 1, 8, tzinfo=UTC)
    yield _lesson("Called off", monday, status=Status.CANCELLED, text="Ill.")
    yield _lesson("Perhaps", monday + timedelta(days=1), status=Status.TENTATIVE)
    yield Event("No holiday", AllDay(date(2026, 6, 3), date(2026, 6, 4)), status=Status.CANCELLED)
    for number, link in enumerate(LINKS):
        yield _lesson(f"Link {number}", monday + timedelta(days=10 + number), text="See there.", url=link)
    yield _lesson("Link alone", monday + timedelta(days=20), url="https://lms.example.edu/1")
    yield _lesson("Long", monday + timedelta(days=21), text=LONG, categories=("a,b", "c;d", "e f"))
    yield _lesson("Over a week", monday + timedelta(days=22), 7 * 24 * 60 + 1)


def lab() -> Iterator[Event]:
    """Bookings of a room."""
    for number in range(4):
        start = datetime(2026, 3, 26, 13, tzinfo=UTC) + timedelta(days=number)
        yield _lesson(f"OSCE {number}", start, 45, place="Sim 1", categories=("Exam",))


def everybody() -> Iterator[Event]:
    """What an institution tells all."""
    yield Event("Campus closed", AllDay(date(2026, 5, 17), date(2026, 5, 18)), text="No teaching.")
    yield _lesson("Open day", datetime(2026, 9, 12, 10, tzinfo=ZoneInfo("Europe/Oslo")), 360, place="Main hall")


CALENDARS: Mapping[CalendarRef, tuple[Event, ...]] = {
    CLOCKS: tuple(clocks()),
    WORDS: tuple(words()),
    PLAN: tuple(plan()),
    ROOM: tuple(lab()),
    ALL_OF_IT: tuple(everybody()),
}
ADAS = (WORDS, PLAN)
"""Where Ada is enrolled."""


def ref_of(calendar: CalendarRef, number: int) -> RemoteRef:
    """The name of an event in the LMS."""
    return RemoteRef(f"{calendar.id or 'all'}-{number}")


class SchoolBridge:
    """The campus as an LMS: a Source, and a Directory of one person."""

    class Settings(BaseModel):
        """It needs to know nothing."""

    def __init__(self, name: str, settings: BaseModel, tools: Tools) -> None:
        self.name = name

    def calendars(self) -> Iterable[Calendar]:
        return [Calendar(ref, ref.id or "Campus") for ref in CALENDARS]

    def calendars_of(self, person: str) -> Sequence[CalendarRef]:
        if person != ADA.id:
            raise Gone(f"nobody is called '{person}'")
        return ADAS

    def read(self, calendar: CalendarRef, window: Window) -> Sequence[Found]:
        found = [
            Found(ref_of(calendar, number), event, modified=NOW - timedelta(days=1))
            for number, event in enumerate(CALENDARS[calendar])
            if window.overlaps(event.when)
        ]
        return sorted(found, key=lambda item: (window.span(item.event.when)[0], item.ref))
