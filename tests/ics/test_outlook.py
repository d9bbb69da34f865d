"""What we write against Outlook's own rules, as MS-OXCICAL has them: specimens by section.

A calendar that breaks one of these is refused whole, or its times are wrong, and nobody is told why.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from app.ics.render import Cover, Published, render
from app.ics.vtimezone import vtimezone
from bridges.model import AllDay, Event, Timed

STAMP = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
HOUR = timedelta(hours=1)
ZONES = [
    "Europe/Berlin",
    "Europe/Dublin",
    "Europe/London",
    "Africa/Casablanca",
    "Asia/Tokyo",
    "Asia/Kolkata",
    "Asia/Gaza",
    "America/New_York",
    "America/Santiago",
    "Australia/Lord_Howe",
    "Pacific/Chatham",
    "Asia/Jerusalem",
    "Etc/GMT+5",
]


def parts(zone: str, first: int = 2026, last: int = 2027) -> list[dict[str, str]]:
    """The lines of each STANDARD and DAYLIGHT, with what they are as KIND."""
    text = vtimezone(ZoneInfo(zone), first, last)
    found = re.findall(r"BEGIN:(STANDARD|DAYLIGHT)\r\n(.*?)END:\1", text, re.DOTALL)
    return [{"KIND": kind, **dict(line.split(":", 1) for line in body.split())} for kind, body in found]


def stream(zone: str, *events: Event) -> str:
    cover = Cover("Kurs", ZoneInfo(zone), HOUR, 2026, 2027)
    items = [Published(f"{number}@x", event, STAMP, STAMP) for number, event in enumerate(events)]
    return render(cover, items).decode().replace("\r\n ", "")


@pytest.mark.parametrize("zone", ZONES)
def test_there_is_one_standard_and_at_most_one_daylight(zone: str) -> None:
    """2.1.3.1.1.19.2 and .3: of several only one is read, or the stream is refused."""
    kinds = [part["KIND"] for part in parts(zone)]
    assert sorted(kinds, reverse=True) in (["STANDARD"], ["STANDARD", "DAYLIGHT"])


@pytest.mark.parametrize("zone", ZONES)
def test_a_rule_is_yearly_with_one_weekday_of_its_month(zone: str) -> None:
    """2.1.3.1.1.19.2.2: YEARLY, and a BYDAY of a single occurrence of a single day; 1 to 4, or -1 for the last."""
    for part in parts(zone):
        if "RRULE" in part:
            assert re.fullmatch(r"FREQ=YEARLY;BYMONTH=\d{1,2};BYDAY=([1-4]|-1)(MO|TU|WE|TH|FR|SA|SU)", part["RRULE"])
        assert "RDATE" not in part


@pytest.mark.parametrize("zone", ZONES)
def test_with_daylight_both_have_rules_and_without_none_has(zone: str) -> None:
    """2.1.3.1.1.19.2.1: without DAYLIGHT the standard date is all zeros, whatever else is there."""
    found = parts(zone)
    assert {"RRULE" in part for part in found} == {len(found) == 2}


@pytest.mark.parametrize("zone", ZONES)
def test_offsets_are_there_and_agree(zone: str) -> None:
    """2.1.3.1.1.19.2.4 and .5; without TZOFFSETTO Exchange refuses the stream (MS-STANXICAL V0145)."""
    found = {part["KIND"]: part for part in parts(zone)}
    for part in found.values():
        assert re.fullmatch(r"[+-]\d{4}", part["TZOFFSETTO"])
        assert re.fullmatch(r"[+-]\d{4}", part["TZOFFSETFROM"])
    if len(found) == 2:
        assert found["STANDARD"]["TZOFFSETTO"] == found["DAYLIGHT"]["TZOFFSETFROM"]
        assert found["DAYLIGHT"]["TZOFFSETTO"] == found["STANDARD"]["TZOFFSETFROM"]
    else:
        assert found["STANDARD"]["TZOFFSETTO"] == found["STANDARD"]["TZOFFSETFROM"]


@pytest.mark.parametrize(
    ("zone", "years", "standard", "daylight"),
    [
        ("Europe/Berlin", (2026, 2027), ("10;BYDAY=-1SU", "03:00", "+0100"), ("3;BYDAY=-1SU", "02:00", "+0200")),
        ("Europe/Dublin", (2026, 2027), ("10;BYDAY=-1SU", "02:00", "+0000"), ("3;BYDAY=-1SU", "01:00", "+0100")),
        ("America/New_York", (2026, 2027), ("11;BYDAY=1SU", "02:00", "-0500"), ("3;BYDAY=2SU", "02:00", "-0400")),
        ("Australia/Lord_Howe", (2026, 2027), ("4;BYDAY=1SU", "02:00", "+1030"), ("10;BYDAY=1SU", "02:00", "+1100")),
        ("Asia/Tokyo", (2026, 2027), (None, "00:00", "+0900"), None),
        ("Asia/Kolkata", (2026, 2027), (None, "00:00", "+0530"), None),
        ("America/Sao_Paulo", (2026, 2027), (None, "00:00", "-0300"), None),
    ],
)
def test_zones_are_told_as_people_know_them(
    zone: str,
    years: tuple[int, int],
    standard: tuple[str | None, str, str],
    daylight: tuple[str | None, str, str] | None,
) -> None:
    found = {part["KIND"]: part for part in parts(zone, *years)}
    for kind, expected in (("STANDARD", standard), ("DAYLIGHT", daylight)):
        if expected is None:
            assert kind not in found
            continue
        rule, clock, offset = expected
        part = found[kind]
        assert part.get("RRULE") == (f"FREQ=YEARLY;BYMONTH={rule}" if rule else None)
        assert part["DTSTART"][-6:] == clock.replace(":", "") + "00"
        assert part["TZOFFSETTO"] == offset


@pytest.mark.parametrize("zone", ZONES)
def test_every_zone_that_is_named_is_defined_before(zone: str) -> None:
    """2.1.3.1.1.20.10.1 (TZID): a name that no VTIMEZONE defines is an error, or an hour too late."""
    start = datetime(2026, 7, 1, 8, tzinfo=UTC)
    text = stream(zone, Event("t", Timed(start, start + HOUR)))
    head, _, body = text.partition("BEGIN:VEVENT")
    assert set(re.findall(r";TZID=([^:;]+)", body)) <= set(re.findall(r"^TZID:(.+?)\r$", head, re.MULTILINE))


def test_whole_days_are_dates_and_a_day_long_at_least() -> None:
    """2.1.3.1.1.20.10 and .8: DTSTART and DTEND as dates, the end not included; equal ones are no day at all."""
    text = stream("Europe/Berlin", Event("t", AllDay(date(2026, 3, 10), date(2026, 3, 11))))
    assert "DTSTART;VALUE=DATE:20260310\r\nDTEND;VALUE=DATE:20260311\r\n" in text


@pytest.mark.parametrize("line", ["METHOD:PUBLISH", "VERSION:2.0", "X-WR-CALNAME:Kurs", "X-PUBLISHED-TTL:PT1H"])
def test_the_calendar_says_what_it_is_once(line: str) -> None:
    """2.1.3.1.1.1 (METHOD), .2 (PRODID), .3 (VERSION), .5 (X-WR-CALNAME): once each, before the components."""
    head = stream("Europe/Berlin").partition("BEGIN:VTIMEZONE")[0].split("\r\n")
    assert [each for each in head if each.startswith(line.partition(":")[0] + ":")] == [line]


def test_each_event_has_what_must_not_be_missing_and_nobody_to_invite() -> None:
    """2.1.3.1.1.20: UID, DTSTAMP, DTSTART and SUMMARY once; an ORGANIZER or ATTENDEE would make it a meeting."""
    text = stream(
        "Europe/Berlin", Event("t", Timed(STAMP, STAMP + HOUR), "text", "place", ("c",), "https://x.example/")
    )
    for name in ("UID", "DTSTAMP", "SUMMARY", "SEQUENCE", "LAST-MODIFIED", "STATUS"):
        assert len(re.findall(rf"^{name}:", text.partition("BEGIN:VEVENT")[2], re.MULTILINE)) == 1
    assert not re.search("ORGANIZER|ATTENDEE|RRULE|RECURRENCE-ID", text.partition("BEGIN:VEVENT")[2])
