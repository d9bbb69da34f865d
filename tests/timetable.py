"""A university timetable as a calendar file, with what it must come to: computed by hand, not by the reader."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

OSLO = ZoneInfo("Europe/Oslo")
FIRST_MONDAY = date(2026, 8, 24)
HOUR_AND_A_HALF = timedelta(minutes=90)

Lesson = tuple[str, datetime, datetime]
"""Title, start and end (UTC)."""


def timetable(series: int, weeks: int) -> tuple[bytes, set[Lesson]]:
    """A file of weekly series from 24 August 2026 on, Oslo time, and the lessons that it means.

    Each series lacks its third week (EXDATE), has its fifth moved by two hours and renamed (RECURRENCE-ID), and its
    seventh cancelled. Longer than nine weeks it passes the end of summer time.
    """
    lines = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//calbridge//timetable//EN"]
    lessons: set[Lesson] = set()
    for number in range(series):
        lines += _vevents(number, weeks)
        lessons |= _lessons(number, weeks)
    return "\r\n".join([*lines, "END:VCALENDAR", ""]).encode(), lessons


def _start(number: int, week: int) -> datetime:
    day = FIRST_MONDAY + timedelta(days=number % 5, weeks=week)
    return datetime.combine(day, time(8 + number // 5 % 9, number // 45 % 12 * 5), OSLO)


def _lessons(number: int, weeks: int) -> set[Lesson]:
    lessons = set()
    for week in set(range(weeks)) - {2, 6}:
        start, title = _start(number, week), _title(number)
        if week == 4:
            start, title = start + timedelta(hours=2), f"{title} (moved)"
        lessons.add((title, start.astimezone(UTC), start.astimezone(UTC) + HOUR_AND_A_HALF))
    return lessons


def _vevents(number: int, weeks: int) -> list[str]:
    first = _start(number, 0)
    head = ["BEGIN:VEVENT", f"UID:series-{number}@timetable.example", "DTSTAMP:20260801T000000Z"]
    lines = [*head, *_at(first), f"SUMMARY:{_title(number)}", f"LOCATION:Room {number % 30}\\, floor 2"]
    lines += [f"RRULE:FREQ=WEEKLY;COUNT={weeks}", f"EXDATE;TZID=Europe/Oslo:{_local(_start(number, 2))}", "END:VEVENT"]
    moved = _start(number, 4) + timedelta(hours=2)
    lines += [*head, f"RECURRENCE-ID;TZID=Europe/Oslo:{_local(_start(number, 4))}", *_at(moved)]
    lines += [f"SUMMARY:{_title(number)} (moved)", f"LOCATION:Room {number % 30}\\, floor 2", "END:VEVENT"]
    lines += [*head, f"RECURRENCE-ID;TZID=Europe/Oslo:{_local(_start(number, 6))}", *_at(_start(number, 6))]
    return [*lines, f"SUMMARY:{_title(number)}", "STATUS:CANCELLED", "END:VEVENT"]


def _title(number: int) -> str:
    return f"Forelesning {number}: økologi"


def _at(start: datetime) -> list[str]:
    end = start + HOUR_AND_A_HALF
    return [f"DTSTART;TZID=Europe/Oslo:{_local(start)}", f"DTEND;TZID=Europe/Oslo:{_local(end)}"]


def _local(moment: datetime) -> str:
    return f"{moment:%Y%m%dT%H%M%S}"
