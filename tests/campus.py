"""A whole calbridge over a demo campus, at a time that stands still: for the tests of pages, API and commands."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from flask.testing import FlaskClient

from app import create_app
from app.config import parse
from app.parts import Parts, open_parts
from tests import stores

NOW = datetime(2026, 10, 20, 9, 30, tzinfo=UTC)
"""A Tuesday, five days before Oslo's clocks go back."""


def open_campus(folder: Path, *settings: str, now: datetime = NOW) -> Parts:
    """The demo campus with its store in `folder`; `settings` are lines of TOML."""
    text = "\n".join([stores.setting(folder / "campus.sqlite3"), *settings])
    return open_parts(parse(text, {}), now=lambda: now)


def browser(parts: Parts) -> FlaskClient:
    """A client at the machine itself."""
    return create_app(parts).test_client()


def calendar(*events: str) -> bytes:
    """An iCalendar file of these VEVENTs' lines, as RFC 5545 wants it."""
    lines = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//calbridge//tests//EN"]
    for event in events:
        lines += ["BEGIN:VEVENT", "DTSTAMP:20260101T000000Z", *event.strip().splitlines(), "END:VEVENT"]
    return "\r\n".join([*(line.strip() for line in lines), "END:VCALENDAR", ""]).encode()


LECTURES = """
    UID:lectures
    SUMMARY:Marine biology
    LOCATION:Room 4
    DTSTART;TZID=Europe/Oslo:20261021T101500
    DTEND;TZID=Europe/Oslo:20261021T120000
    RRULE:FREQ=WEEKLY;COUNT=4
    EXDATE;TZID=Europe/Oslo:20261104T101500
"""
EXAM = """
    UID:exam
    SUMMARY:Exam, part 1; oral
    DTSTART;VALUE=DATE:20261211
"""
