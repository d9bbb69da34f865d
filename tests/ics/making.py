"""Calendars for tests, out of the lines that matter."""

from __future__ import annotations

from datetime import UTC, date, datetime

from app.ics import Reading, read_occurrences


def calendar(*parts: str, head: str = "") -> bytes:
    """A VCALENDAR around components; `head` holds further lines of its own."""
    return f"BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:-//test//EN\n{head}{''.join(parts)}END:VCALENDAR\n".replace(
        "\n", "\r\n"
    ).encode()


def event(*lines: str, uid: str | None = "one@example.org") -> str:
    """A VEVENT of those lines; without a DTSTART among them it begins on Monday 10 March 2025 at 9 in Berlin."""
    start = () if any(line.startswith("DTSTART") for line in lines) else ("DTSTART;TZID=Europe/Berlin:20250310T090000",)
    name = (f"UID:{uid}",) if uid is not None else ()
    return "".join(f"{line}\n" for line in ("BEGIN:VEVENT", *name, *start, *lines, "END:VEVENT"))


def read(*parts: str, start: date | None = None, end: date | None = None) -> Reading:
    """The reading of a calendar of those components."""
    return read_occurrences(calendar(*parts), start, end)


def starts(reading: Reading) -> list[str]:
    """The starts as `2025-03-10 09:00` on their own wall clock; all-day ones without a time."""
    return [
        f"{when.start:%Y-%m-%d %H:%M}" if isinstance(when.start, datetime) else when.start.isoformat()
        for when in (one.event.when for one in reading.occurrences)
    ]


def instants(reading: Reading) -> list[str]:
    """The starts of timed occurrences in UTC, `0310T0800`."""
    found = (one.event.when.start for one in reading.occurrences)
    return [f"{start.astimezone(UTC):%m%dT%H%M}" for start in found if isinstance(start, datetime)]


def ruled(rule: str, start: str = "19970902T090000", count: int = 100) -> list[str]:
    """The first starts of a floating series; "error" alone where the rule is refused."""
    reading = read(event(f"DTSTART:{start}", f"RRULE:{rule}"), start=date(1900, 1, 1), end=date(2200, 1, 1))
    return starts(reading)[:count] if reading.occurrences or not reading.problems else ["error"]
