"""A VTIMEZONE is the truth about its zone in the years shown, or says where it is not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

import pytest
from dateutil.rrule import rrulestr
from icalendar import Calendar

from app.ics.vtimezone import differs, vtimezone

PLAIN = [
    "Europe/Berlin",
    "Europe/Dublin",
    "Europe/London",
    "America/New_York",
    "America/Sao_Paulo",
    "America/Santiago",
    "Australia/Lord_Howe",
    "Australia/Sydney",
    "Pacific/Auckland",
    "Asia/Kolkata",
    "Asia/Tokyo",
    "Pacific/Chatham",
]
CROOKED = ["Africa/Casablanca", "Africa/El_Aaiun", "Asia/Gaza"]
HOUR = timedelta(hours=1)


def observances(text: str) -> list[Any]:
    calendar = Calendar.from_ical(f"BEGIN:VCALENDAR\r\n{text}END:VCALENDAR\r\n")
    return [*calendar.walk("STANDARD"), *calendar.walk("DAYLIGHT")]


class Reader:
    """Reads a VTIMEZONE as a plain client does: the onset that came last says which offset holds."""

    def __init__(self, text: str, first_year: int, last_year: int) -> None:
        span = datetime(first_year - 1, 1, 1), datetime(last_year + 1, 1, 2)
        self.onsets = sorted(onset for part in observances(text) for onset in self._onsets(part, *span))

    @staticmethod
    def _onsets(part: Any, first: datetime, last: datetime) -> list[tuple[datetime, timedelta]]:
        start, before, after = part["DTSTART"].dt, part["TZOFFSETFROM"].td, part["TZOFFSETTO"].td
        if "RRULE" not in part:
            return [(start - before, after)]
        rule = rrulestr(part["RRULE"].to_ical().decode(), dtstart=start)
        return [(local - before, after) for local in rule.between(first, last, inc=True)]

    def offset(self, moment: datetime) -> timedelta:
        bare = moment.astimezone(UTC).replace(tzinfo=None)
        return [offset for onset, offset in self.onsets if onset <= bare][-1]


def instants(first_year: int, last_year: int, step: timedelta) -> list[datetime]:
    start, end = datetime(first_year, 1, 1, tzinfo=UTC), datetime(last_year + 1, 1, 1, tzinfo=UTC)
    return [start + step * number for number in range(int((end - start) / step))]


@pytest.mark.parametrize("name", PLAIN)
def test_a_plain_zone_is_told_right_at_every_hour_of_the_years_shown(name: str) -> None:
    zone = ZoneInfo(name)
    reader = Reader(vtimezone(zone, 2025, 2027), 2025, 2027)
    assert differs(zone, 2025, 2027) == ()
    for moment in instants(2025, 2027, HOUR * 3):
        assert reader.offset(moment) == moment.astimezone(zone).utcoffset(), moment


@pytest.mark.parametrize("name", PLAIN)
def test_the_change_comes_at_the_right_second(name: str) -> None:
    zone = ZoneInfo(name)
    reader = Reader(vtimezone(zone, 2026, 2026), 2026, 2026)
    for onset, _ in reader.onsets:
        if onset.year == 2026:
            for moment in (onset.replace(tzinfo=UTC) - timedelta(seconds=1), onset.replace(tzinfo=UTC)):
                assert reader.offset(moment) == moment.astimezone(zone).utcoffset(), moment


@pytest.mark.parametrize("name", CROOKED)
def test_a_zone_without_a_plain_rule_says_where_it_is_not_told_right(name: str) -> None:
    zone = ZoneInfo(name)
    reader, wrong = Reader(vtimezone(zone, 2026, 2027), 2026, 2027), differs(zone, 2026, 2027)
    assert wrong
    for moment in instants(2026, 2027, HOUR):
        if not any(start <= moment < end for start, end in wrong):
            assert reader.offset(moment) == moment.astimezone(zone).utcoffset(), moment


def test_a_law_that_changes_within_the_years_is_told_right_or_named() -> None:
    zone = ZoneInfo("America/Sao_Paulo")  # its last summer time ended in February 2019
    reader, wrong = Reader(vtimezone(zone, 2018, 2020), 2018, 2020), differs(zone, 2018, 2020)
    assert wrong
    for moment in instants(2018, 2020, HOUR):
        if not any(start <= moment < end for start, end in wrong):
            assert reader.offset(moment) == moment.astimezone(zone).utcoffset(), moment


@pytest.mark.parametrize("year", [2026])
def test_every_zone_there_is_gets_what_outlook_reads_and_is_right_where_it_says_so(year: int) -> None:
    for name in sorted(available_timezones()):
        zone = ZoneInfo(name)
        text, wrong = vtimezone(zone, year, year), differs(zone, year, year)
        assert text.count("BEGIN:STANDARD") == 1, name
        assert text.count("BEGIN:DAYLIGHT") == text.count("RRULE") / 2, name
        offsets = _offsets(text)
        seen = {moment.astimezone(zone).utcoffset() for moment in instants(year, year, timedelta(days=1))}
        assert wrong or seen == offsets, name


def _offsets(text: str) -> set[timedelta]:
    return {part["TZOFFSETTO"].td for part in observances(text)}


def test_few_zones_need_utc_at_all() -> None:
    """Those whose law changes within the year: how many depends on the release of the rules, a dozen in 2026f."""
    zones = available_timezones()
    crooked = {name for name in zones if differs(ZoneInfo(name), 2026, 2026)}
    assert 40 * len(crooked) < len(zones)


def test_irish_winter_is_standard_time_whatever_the_law_says() -> None:
    standard = vtimezone(ZoneInfo("Europe/Dublin"), 2026, 2027).partition("BEGIN:STANDARD")[2]
    assert "TZOFFSETTO:+0000" in standard
    assert "TZNAME:GMT" in standard


def test_a_zone_without_summer_time_has_one_standard_and_no_rule() -> None:
    text = vtimezone(ZoneInfo("Asia/Tokyo"), 2026, 2027)
    assert "DAYLIGHT" not in text
    assert "RRULE" not in text


def test_the_rules_are_those_that_people_know() -> None:
    assert "BYMONTH=3;BYDAY=-1SU" in vtimezone(ZoneInfo("Europe/Berlin"), 2026, 2026)
    assert "BYMONTH=3;BYDAY=2SU" in vtimezone(ZoneInfo("America/New_York"), 2026, 2026)
    assert "BYMONTH=11;BYDAY=1SU" in vtimezone(ZoneInfo("America/New_York"), 2026, 2026)


def test_the_text_does_not_change_with_the_year_while_the_law_stays() -> None:
    texts = [vtimezone(ZoneInfo("Europe/Vienna"), year, year + 1) for year in range(2024, 2030)]
    assert all(one == other for one, other in pairwise(texts))
