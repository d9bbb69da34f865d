"""Floating times: read as somebody said of the source, or held and told; a person's word stands above the file's."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from app.ics import Reading, read_occurrences
from app.ics.floating import Floating
from bridges.model import AllDay

OSLO, LONDON, TOKYO = (ZoneInfo(name) for name in ("Europe/Oslo", "Europe/London", "Asia/Tokyo"))


def event(*lines: str, own: str = "") -> bytes:
    head = ["BEGIN:VCALENDAR", *([f"X-WR-TIMEZONE:{own}"] if own else []), "BEGIN:VEVENT", "UID:a", "SUMMARY:Seminar"]
    return "\r\n".join([*head, *lines, "END:VEVENT", "END:VCALENDAR", ""]).encode()


def read(data: bytes, floating: str, source: ZoneInfo | None = None) -> Reading:
    return read_occurrences(data, zone=OSLO, source_zone=source, floating=Floating(floating))


NINE = event("DTSTART:20260310T090000")


@pytest.mark.parametrize(
    ("said", "own", "source", "hour"),
    [
        ("", "", None, 8),
        ("", "", TOKYO, 0),
        ("", "Europe/London", TOKYO, 9),
        ("home", "Europe/London", TOKYO, 8),
        ("Asia/Tokyo", "Europe/London", LONDON, 0),
        ("UTC", "", None, 9),
    ],
)
def test_a_persons_word_stands_above_the_files(said: str, own: str, source: ZoneInfo | None, hour: int) -> None:
    (found,) = read(event("DTSTART:20260310T090000", own=own), said, source).occurrences
    assert found.event.when.start == datetime(2026, 3, 10, hour, tzinfo=UTC)


@pytest.mark.parametrize("own", ["", "Europe/London"])
def test_what_is_held_is_told_and_counts_as_unread(own: str) -> None:
    reading = read(event("DTSTART:20260310T090000", own=own), "hold", LONDON)
    assert reading.occurrences == ()
    assert reading.unread == {"a"}
    assert "names no time zone" in reading.problems[0].text


def test_only_what_hangs_on_a_floating_start_is_held() -> None:
    day = read(event("DTSTART;VALUE=DATE:20260310"), "hold")
    assert isinstance(day.occurrences[0].event.when, AllDay)
    zoned = event(
        "DTSTART;TZID=Europe/Oslo:20260310T090000",
        "DTEND:20260310T100000",
        "RRULE:FREQ=DAILY;COUNT=3",
        "EXDATE:20260311T090000",
        "RDATE:20260320T090000",
    )
    starts = [found.event.when.start for found in read(zoned, "hold").occurrences]
    assert starts == [datetime(2026, 3, number, 9, tzinfo=OSLO) for number in (10, 12, 20)]


def test_a_member_that_names_its_slot_without_a_zone_means_that_of_its_start() -> None:
    moved = event("DTSTART;TZID=Europe/Oslo:20260310T110000", "RECURRENCE-ID:20260310T090000")
    (found,) = read(moved, "hold").occurrences
    assert found.id.slot == datetime(2026, 3, 10, 8, tzinfo=UTC)


@pytest.mark.parametrize("said", ["Nowhere/City", "held", "../etc", "CET/CET", "\0"])
def test_another_policy_is_no_policy(said: str) -> None:
    with pytest.raises(ValueError, match="'hold'"):
        Floating(said)
