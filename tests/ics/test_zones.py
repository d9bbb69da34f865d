"""Time zones: the ladder from a TZID to a zone, and zones made of a VTIMEZONE."""

from __future__ import annotations

import pickle
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from app.ics import read_occurrences
from app.ics.zones import Ladder, Step, zone_name
from tests.ics.making import calendar, event, instants

BERLIN_RULES = """BEGIN:STANDARD
DTSTART:16010101T030000
TZOFFSETFROM:+0200
TZOFFSETTO:+0100
RRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=10
END:STANDARD
BEGIN:DAYLIGHT
DTSTART:16010101T020000
TZOFFSETFROM:+0100
TZOFFSETTO:+0200
RRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=3
END:DAYLIGHT
"""


def vtimezone(tzid: str, rules: str = BERLIN_RULES, more: str = "") -> str:
    return f"BEGIN:VTIMEZONE\nTZID:{tzid}\n{more}{rules}END:VTIMEZONE\n"


@pytest.mark.parametrize(
    ("tzid", "zone", "step"),
    [
        ("Europe/Berlin", "Europe/Berlin", Step.IANA),
        ("europe/berlin", "Europe/Berlin", Step.IANA),
        ('"Europe/Berlin"', "Europe/Berlin", Step.IANA),
        (" Europe/Berlin ", "Europe/Berlin", Step.IANA),
        ("America/Argentina/Buenos_Aires", "America/Argentina/Buenos_Aires", Step.IANA),
        ("/mozilla.org/20050126_1/Europe/Berlin", "Europe/Berlin", Step.IANA),
        ("/freeassociation.sourceforge.net/Tzfile/America/Indiana/Knox", "America/Indiana/Knox", Step.IANA),
        ("/citadel.org/20190914_1/Australia/Lord_Howe", "Australia/Lord_Howe", Step.IANA),
        ("US/Eastern", "US/Eastern", Step.IANA),
        ("UTC", "UTC", Step.IANA),
        ("W. Europe Standard Time", "Europe/Berlin", Step.WINDOWS),
        ("W. Europe Standard Time 1", "Europe/Berlin", Step.WINDOWS),
        ("w. europe daylight time", "Europe/Berlin", Step.WINDOWS),
        ("W. Europe Time", "Europe/Berlin", Step.WINDOWS),
        ("Eastern Time (US & Canada)", "America/New_York", Step.WINDOWS),
        ("(UTC+01:00) Amsterdam, Berlin, Bern, Rome, Stockholm, Vienna", "Europe/Amsterdam", Step.WINDOWS),
        ("(GMT+10:00) Canberra, Melbourne, Sydney", "Australia/Canberra", Step.WINDOWS),
        ("(UTC-05:00) Eastern Time (US & Canada)", "America/New_York", Step.WINDOWS),
        ("(UTC-08:00) Pacific Time (US & Canada), Tijuana", "America/Los_Angeles", Step.WINDOWS),
        ("(UTC) Coordinated Universal Time", "UTC", Step.WINDOWS),
        ("(UTC+05:30) Chennai, Kolkata, Mumbai, New Delhi", "Asia/Kolkata", Step.WINDOWS),
        ("(UTC+00:00) Dublin, Edinburgh, Lisbon, London", "Europe/London", Step.WINDOWS),
        ("GMT +0100 (Standard) / GMT +0200 (Daylight)", "Europe/Berlin", Step.ALIAS),
        ("Eastern", "America/New_York", Step.ALIAS),
        ("tzone://Microsoft/Utc", "UTC", Step.ALIAS),
    ],
)
def test_the_names_that_exporters_write(tzid: str, zone: str, step: Step) -> None:
    found = Ladder().resolve(tzid)
    assert found.zone is not None
    assert (zone_name(found.zone), found.step) == (zone, step)


@pytest.mark.parametrize(("tzid", "hours"), [("UTC+2", 2), ("GMT-05:00", -5), ("+0100", 1), ("(GMT +01:00)", 1)])
def test_a_plain_offset_is_a_zone(tzid: str, hours: int) -> None:
    zone = Ladder().resolve(tzid).zone
    assert zone is not None
    assert datetime(2025, 7, 1, tzinfo=zone).utcoffset() == timedelta(hours=hours)


@pytest.mark.parametrize(
    "tzid",
    ["Customized Time Zone", "tzone://Microsoft/Custom", "Mars/Olympus", "posixrules", "../etc/passwd", "Europe"],
)
def test_an_unknown_name_climbs_to_the_calendars_zone_then_to_the_sources_and_else_is_held(tzid: str) -> None:
    berlin, tokyo = ZoneInfo("Europe/Berlin"), ZoneInfo("Asia/Tokyo")
    assert Ladder(calendar=berlin, source=tokyo).resolve(tzid).step is Step.CALENDAR
    assert Ladder(source=tokyo).resolve(tzid).zone is tokyo
    held = Ladder().resolve(tzid)
    assert (held.zone, held.step) == (None, Step.HELD)
    assert "unknown" in str(held)


@pytest.mark.parametrize("tzid", ["", " ", '""'])
def test_an_empty_name_is_answered_as_times_without_a_zone_are(tzid: str) -> None:
    ladder = Ladder(calendar=ZoneInfo("Europe/Berlin"))
    assert ladder.resolve(tzid) == ladder.floats


def test_a_held_time_is_reported_and_never_silently_placed() -> None:
    data = calendar(event("DTSTART;TZID=Customized Time Zone 1:20250310T090000"))
    reading = read_occurrences(data)
    assert reading.occurrences[0].event.when.start == datetime(2025, 3, 10, 9)
    assert "Customized Time Zone 1" in reading.problems[0].text
    held = read_occurrences(data, zone=ZoneInfo("Europe/Berlin"))
    assert instants(held) == []
    assert (held.problems[0].lost, len(held.unread)) == (True, 1)
    placed = read_occurrences(data, zone=ZoneInfo("Europe/Berlin"), source_zone=ZoneInfo("Asia/Tokyo"))
    assert instants(placed) == ["0310T0000"]
    assert "source" in placed.problems[0].text


def test_a_zone_of_the_file_is_built_from_its_rules() -> None:
    for month, hour in (("0310", "08"), ("0710", "07")):
        data = calendar(
            vtimezone("Customized Time Zone"), event(f"DTSTART;TZID=Customized Time Zone:2025{month}T090000")
        )
        assert instants(read_occurrences(data)) == [f"{month}T{hour}00"]


def test_the_order_of_zone_and_event_does_not_matter() -> None:
    data = calendar(event("DTSTART;TZID=Mine:20250710T090000"), vtimezone("Mine"))
    assert instants(read_occurrences(data)) == ["0710T0700"]


def test_an_iana_name_is_believed_more_than_the_rules_written_beside_it() -> None:
    data = calendar(vtimezone("America/New_York"), event("DTSTART;TZID=America/New_York:20250710T090000"))
    assert instants(read_occurrences(data)) == ["0710T1300"]


def test_the_location_of_a_zone_helps_when_its_rules_are_broken() -> None:
    broken = vtimezone("Mine", "BEGIN:STANDARD\nDTSTART:x\nEND:STANDARD\n", "X-LIC-LOCATION:Europe/Berlin\n")
    reading = read_occurrences(calendar(broken, event("DTSTART;TZID=Mine:20250710T090000")))
    assert instants(reading) == ["0710T0700"]
    assert not any(problem.lost for problem in reading.problems)


@pytest.mark.parametrize("offset", ["+5744", "0100", "", "+01"])
def test_a_broken_zone_costs_only_itself(offset: str) -> None:
    bad = vtimezone("Bad", BERLIN_RULES.replace("+0200", offset))
    reading = read_occurrences(calendar(bad, event()))
    assert len(reading.occurrences) == 1
    assert not any(problem.lost for problem in reading.problems)


def test_built_zones_agree_with_the_real_one_at_every_hour_round_a_change() -> None:
    data = calendar(vtimezone("Mine"), event("DTSTART;TZID=Mine:20250310T090000"))
    built = read_occurrences(data).occurrences[0].event.when.start
    assert isinstance(built, datetime)
    real = ZoneInfo("Europe/Berlin")
    for begin in (datetime(2025, 3, 29, 22, tzinfo=UTC), datetime(2025, 10, 25, 22, tzinfo=UTC)):
        for minutes in range(0, 480, 15):
            moment = begin + timedelta(minutes=minutes)
            ours, theirs = moment.astimezone(built.tzinfo), moment.astimezone(real)
            assert (ours.replace(tzinfo=None), ours.fold) == (theirs.replace(tzinfo=None), theirs.fold)
            assert ours.astimezone(UTC) == moment
            for fold in (0, 1):
                local = theirs.replace(tzinfo=None, fold=fold)
                assert local.replace(tzinfo=built.tzinfo).utcoffset() == local.replace(tzinfo=real).utcoffset()


def test_rules_that_ended_leave_their_last_offset() -> None:
    ended = BERLIN_RULES.replace("BYMONTH=10", "BYMONTH=10;UNTIL=20101031T010000Z").replace(
        "BYMONTH=3", "BYMONTH=3;UNTIL=20100328T010000Z"
    )
    for year, month, hour in ((2010, "07", 7), (2010, "12", 8), (2025, "07", 8)):
        data = calendar(vtimezone("Mine", ended), event(f"DTSTART;TZID=Mine:{year}{month}10T090000"))
        assert instants(read_occurrences(data)) == [f"{month}10T{hour:02}00"]


def test_zones_may_be_written_as_dates() -> None:
    rules = BERLIN_RULES.replace("RRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=10", "RDATE:20251026T030000").replace(
        "RRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=3", "RDATE:20250330T020000"
    )
    for day, hour in (("0710", 7), ("1210", 8)):
        data = calendar(vtimezone("Mine", rules), event(f"DTSTART;TZID=Mine:2025{day}T090000"))
        assert instants(read_occurrences(data)) == [f"{day}T{hour:02}00"]


def test_a_built_zone_can_be_kept_and_sent() -> None:
    when = (
        read_occurrences(calendar(vtimezone("Mine"), event("DTSTART;TZID=Mine:20250710T090000")))
        .occurrences[0]
        .event.when
    )
    again = pickle.loads(pickle.dumps(when))
    assert again == when
    assert isinstance(again.start, datetime)
    assert str(again.start.tzinfo) == "Mine"
