"""From events to occurrences: exceptions, overrides, moves, lengths and identities, in every order of components."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import icalendar
import pytest
import recurring_ical_events  # type: ignore[import-untyped]
from hypothesis import given, settings
from hypothesis import strategies as st

from app.ics import Limits, Reading, read_occurrences
from bridges.model import AllDay, OccurrenceId, Timed
from tests.ics.making import calendar, event, instants, read, starts

DAILY = "RRULE:FREQ=DAILY;COUNT=4"


def both(*parts: str) -> Reading:
    """The reading of these components, which has to be the same in the opposite order."""
    forward, backward = read(*parts), read(*reversed(parts))
    assert forward.occurrences == backward.occurrences
    return forward


def titles(reading: Reading) -> list[str]:
    return [one.event.title for one in reading.occurrences]


# ------------------------------------------------------------------------------------------------------- exceptions


@pytest.mark.parametrize(
    "exdate",
    [
        "EXDATE;TZID=Europe/Berlin:20250311T090000",
        "EXDATE:20250311T080000Z",
        "EXDATE;TZID=America/New_York:20250311T040000",
        "EXDATE:20250311T090000",
        "EXDATE;VALUE=DATE:20250311",
        "EXDATE:20250311",
        "EXRULE:FREQ=YEARLY;BYMONTH=3;BYMONTHDAY=11",
    ],
)
def test_an_exception_takes_its_lesson_in_whatever_type_it_is_written(exdate: str) -> None:
    assert starts(read(event(DAILY, exdate))) == ["2025-03-10 09:00", "2025-03-12 09:00", "2025-03-13 09:00"]


@pytest.mark.parametrize("zone", ["Europe/London", "Europe/Berlin", "America/New_York"])
@pytest.mark.parametrize("hour", [8, 9, 10, 11, 12, 13, 14])
def test_an_exception_never_takes_a_neighbour_at_the_distance_of_the_offset(zone: str, hour: int) -> None:
    reading = read(
        event(
            f"DTSTART;TZID={zone}:20250707T080000",
            "RRULE:FREQ=DAILY;COUNT=7;BYHOUR=8,9,10,11,12,13,14",
            f"EXDATE;TZID={zone}:20250707T{hour:02}0000",
        )
    )
    kept = [other for other in range(8, 15) if other != hour]
    assert starts(reading) == [f"2025-07-07 {other:02}:00" for other in kept]


def test_a_date_as_exception_takes_all_lessons_of_that_day() -> None:
    reading = read(event("RRULE:FREQ=DAILY;COUNT=4;BYHOUR=9,14", "EXDATE;VALUE=DATE:20250310"))
    assert starts(reading) == ["2025-03-11 09:00", "2025-03-11 14:00"]


@pytest.mark.parametrize(
    "exdate",
    ["EXDATE;TZID=W. Europe Standard Time:20250311T000000", "EXDATE:20250311T000000Z", "EXDATE:20250311T000000"],
)
def test_a_time_as_exception_takes_the_day_of_an_all_day_series(exdate: str) -> None:
    assert starts(read(event("DTSTART;VALUE=DATE:20250310", "RRULE:FREQ=DAILY;COUNT=3", exdate))) == [
        "2025-03-10",
        "2025-03-12",
    ]


def test_count_counts_what_is_excepted_later() -> None:
    assert len(read(event(DAILY, "EXDATE:20250310T080000Z")).occurrences) == 3


# ---------------------------------------------------------------------------------------------- RDATE and several rules


def test_further_dates_join_the_rule_each_once() -> None:
    reading = read(
        event(
            "RRULE:FREQ=DAILY;COUNT=2",
            "RDATE;TZID=Europe/Berlin:20250311T090000,20250320T100000",
            "RDATE:20250321T080000Z",
            "RDATE;VALUE=DATE:20250325",
        )
    )
    assert starts(reading) == [
        "2025-03-10 09:00", "2025-03-11 09:00", "2025-03-20 10:00", "2025-03-21 09:00", "2025-03-25 09:00",
    ]  # fmt: skip


def test_a_period_brings_its_own_length() -> None:
    reading = read(
        event(
            "DTEND;TZID=Europe/Berlin:20250310T100000",
            "RDATE;VALUE=PERIOD:20250311T080000Z/PT3H,20250312T080000Z/20250312T083000Z",
        )
    )
    assert lengths(reading) == [timedelta(hours=1), timedelta(hours=3), timedelta(minutes=30)]


def lengths(reading: Reading) -> list[timedelta]:
    """Exact lengths, also across changes of the clock."""
    spans = (one.event.when for one in reading.occurrences)
    return [
        when.end.astimezone(ZoneInfo("UTC")) - when.start.astimezone(ZoneInfo("UTC"))
        for when in spans
        if isinstance(when, Timed)
    ]


def test_times_of_day_mean_nothing_in_an_all_day_series() -> None:
    rule = "RRULE:FREQ=DAILY;COUNT=2;BYHOUR=9,14;BYMINUTE=0,30"
    assert starts(read(event("DTSTART;VALUE=DATE:20250310", rule))) == ["2025-03-10", "2025-03-11"]


def test_several_rules_are_united() -> None:
    reading = read(event("RRULE:FREQ=DAILY;COUNT=2", "RRULE:FREQ=WEEKLY;COUNT=2"))
    assert starts(reading) == ["2025-03-10 09:00", "2025-03-11 09:00", "2025-03-17 09:00"]


# ------------------------------------------------------------------------------------------------------------ UNTIL


@pytest.mark.parametrize(
    ("until", "last"),
    [
        ("20250312T080000Z", "12"),
        ("20250312T075959Z", "11"),
        ("20250312T090000", "12"),
        ("20250312T085959", "11"),
        ("20250312", "12"),
        ("20250312Z", "11"),
        ("20250312T0900", "12"),
    ],
)
def test_until_is_read_as_the_series_is(until: str, last: str) -> None:
    assert starts(read(event(f"RRULE:FREQ=DAILY;UNTIL={until}")))[-1] == f"2025-03-{last} 09:00"


def test_until_as_a_date_keeps_a_series_of_one_evening() -> None:
    late = event("DTSTART;TZID=Pacific/Auckland:20250310T220000", "RRULE:FREQ=WEEKLY;UNTIL=20250310")
    assert starts(read(late)) == ["2025-03-10 22:00"]


def test_until_at_a_foreign_midnight_is_that_day_of_an_all_day_series() -> None:
    series = event("DTSTART;VALUE=DATE:20250310", "RRULE:FREQ=DAILY;UNTIL=20250311T230000Z")
    berlin = calendar(series, head="X-WR-TIMEZONE:Europe/Berlin\n")
    assert starts(read_occurrences(berlin)) == ["2025-03-10", "2025-03-11", "2025-03-12"]


# --------------------------------------------------------------------------------------------------------- overrides


@pytest.mark.parametrize(
    "slot",
    [
        "RECURRENCE-ID;TZID=Europe/Berlin:20250311T090000",
        "RECURRENCE-ID:20250311T080000Z",
        "RECURRENCE-ID:20250311T090000",
        "RECURRENCE-ID;VALUE=DATE:20250311",
    ],
)
def test_an_override_replaces_its_slot_however_it_names_it(slot: str) -> None:
    reading = both(
        event(DAILY, "SUMMARY:plain"), event(slot, "DTSTART;TZID=Europe/Berlin:20250311T150000", "SUMMARY:moved")
    )
    assert starts(reading) == ["2025-03-10 09:00", "2025-03-11 15:00", "2025-03-12 09:00", "2025-03-13 09:00"]
    assert titles(reading) == ["plain", "moved", "plain", "plain"]
    assert reading.occurrences[1].id.slot_text == "20250311T080000Z"


def test_an_override_of_an_all_day_series_may_name_its_slot_by_a_time() -> None:
    reading = both(
        event("DTSTART;VALUE=DATE:20250310", DAILY),
        event("RECURRENCE-ID;TZID=Europe/Berlin:20250311T000000", "DTSTART;VALUE=DATE:20250320"),
    )
    assert starts(reading) == ["2025-03-10", "2025-03-12", "2025-03-13", "2025-03-20"]
    assert reading.occurrences[-1].id == OccurrenceId("one@example.org", date(2025, 3, 11))


def test_a_lesson_moved_into_the_window_is_in_and_one_moved_out_is_not() -> None:
    data = calendar(
        event("RRULE:FREQ=DAILY;COUNT=30"),
        event("RECURRENCE-ID:20250311T080000Z", "DTSTART:20250401T080000Z", "SUMMARY:in"),
        event("RECURRENCE-ID:20250402T070000Z", "DTSTART:20250501T080000Z", "SUMMARY:out"),
    )
    reading = read_occurrences(data, date(2025, 4, 1), date(2025, 4, 3))
    assert instants(reading) == ["0401T0700", "0401T0800"]


def test_a_cancelled_override_takes_its_slot_and_a_cancelled_master_the_series() -> None:
    gone = event("RECURRENCE-ID:20250311T080000Z", "DTSTART:20250311T080000Z", "STATUS:CANCELLED")
    assert len(both(event(DAILY), gone).occurrences) == 3
    assert both(event(DAILY, "STATUS:CANCELLED"), event("RECURRENCE-ID:20250311T080000Z")).occurrences == ()
    assert read(event("STATUS:CANCELLED")).occurrences == ()


def test_an_override_without_a_master_stands_for_itself() -> None:
    reading = read(event("RECURRENCE-ID:20250311T080000Z", "DTSTART:20250312T080000Z"))
    assert [str(one.id) for one in reading.occurrences] == ["one@example.org/20250311T080000Z"]


def test_a_master_that_carries_a_recurrence_id_is_a_master_all_the_same() -> None:
    reading = both(
        event("RECURRENCE-ID:20250310T080000Z", DAILY),
        event("RECURRENCE-ID:20250311T080000Z", "DTSTART:20250311T100000Z"),
    )
    assert instants(reading) == ["0310T0800", "0311T1000", "0312T0800", "0313T0800"]


def test_of_two_overrides_of_one_slot_the_newest_revision_holds() -> None:
    old, new = (
        event("RECURRENCE-ID:20250311T080000Z", f"SEQUENCE:{n}", f"SUMMARY:{n}", "DTSTART:20250311T080000Z")
        for n in (1, 2)
    )
    assert titles(both(event(DAILY, "SUMMARY:0"), old, new)) == ["0", "2", "0", "0"]


def test_this_and_future_moves_and_renames_all_that_follow_and_keeps_their_slots() -> None:
    reading = both(
        event("DTEND;TZID=Europe/Berlin:20250310T100000", DAILY, "SUMMARY:old"),
        event(
            "RECURRENCE-ID;RANGE=THISANDFUTURE:20250312T080000Z",
            "DTSTART;TZID=Europe/Berlin:20250312T140000",
            "DTEND;TZID=Europe/Berlin:20250312T160000",
            "SUMMARY:new",
        ),
    )
    assert starts(reading) == ["2025-03-10 09:00", "2025-03-11 09:00", "2025-03-12 14:00", "2025-03-13 14:00"]
    assert titles(reading) == ["old", "old", "new", "new"]
    assert lengths(reading) == [timedelta(hours=1)] * 2 + [timedelta(hours=2)] * 2
    assert [one.id.slot_text for one in reading.occurrences][2:] == ["20250312T080000Z", "20250313T080000Z"]


def test_this_and_future_keeps_the_wall_clock_across_a_change_of_the_clock() -> None:
    reading = both(
        event("DTSTART;TZID=Europe/Berlin:20250324T090000", "RRULE:FREQ=WEEKLY;COUNT=3"),
        event("RECURRENCE-ID;RANGE=THISANDFUTURE:20250324T080000Z", "DTSTART:20250324T090000Z"),
    )
    assert starts(reading)[1:] == ["2025-03-31 10:00", "2025-04-07 10:00"]


def test_a_single_override_holds_against_this_and_future() -> None:
    reading = both(
        event(DAILY),
        event("RECURRENCE-ID;RANGE=THISANDFUTURE:20250311T080000Z", "DTSTART:20250311T100000Z"),
        event("RECURRENCE-ID:20250312T080000Z", "DTSTART:20250312T180000Z"),
    )
    assert instants(reading) == ["0310T0800", "0311T1000", "0312T1800", "0313T1000"]


def test_a_cancelled_this_and_future_ends_the_series() -> None:
    end = event("RECURRENCE-ID;RANGE=THISANDFUTURE:20250312T080000Z", "STATUS:CANCELLED", "DTSTART:20250312T080000Z")
    assert len(both(event(DAILY), end).occurrences) == 2


# ----------------------------------------------------------------------------------------------------------- identity


def test_a_single_event_has_no_slot_and_a_member_of_a_series_has_its_own() -> None:
    assert read(event()).occurrences[0].id == OccurrenceId("one@example.org")
    slots = [one.id.slot_text for one in read(event("RRULE:FREQ=DAILY;COUNT=2")).occurrences]
    assert slots == ["20250310T080000Z", "20250311T080000Z"]


def test_two_events_with_one_uid_are_both_kept_under_their_own_names() -> None:
    reading = both(event("SUMMARY:a"), event("DTSTART:20250401T080000Z", "SUMMARY:b"))
    assert titles(reading) == ["a", "b"]
    assert len({one.id for one in reading.occurrences}) == 2
    assert not any(problem.lost for problem in reading.problems)
    assert reading.problems


def test_the_same_event_twice_is_one_event_and_the_newest_revision_holds() -> None:
    assert titles(both(event("SUMMARY:a", "SEQUENCE:1"), event("SUMMARY:b", "SEQUENCE:2"))) == ["b"]
    moved = event("SUMMARY:b", "SEQUENCE:2", "DTSTART:20250401T080000Z")
    assert titles(both(event("SUMMARY:a", "SEQUENCE:1"), moved)) == ["b"]


def test_an_event_without_a_uid_gets_the_same_one_each_time() -> None:
    first, second = (read(event("SUMMARY:a", uid=None)) for _ in range(2))
    assert first.occurrences[0].id == second.occurrences[0].id
    assert first.problems
    assert not first.problems[0].lost


# ------------------------------------------------------------------------------------------------ lengths and the clock


def test_an_end_means_exact_time_and_a_duration_of_a_day_means_a_day_on_the_clock() -> None:
    night = "DTSTART;TZID=Europe/Berlin:20250330T000000"
    assert lengths(read(event(night, "DURATION:P1D"))) == [timedelta(hours=23)]
    assert lengths(read(event(night, "DURATION:PT24H"))) == [timedelta(hours=24)]
    saturday = event(
        "DTSTART;TZID=Europe/Berlin:20250329T220000",
        "DTEND;TZID=Europe/Berlin:20250330T000000",
        "RRULE:FREQ=DAILY;COUNT=2",
    )
    assert lengths(read(saturday)) == [timedelta(hours=2)] * 2


@pytest.mark.parametrize(
    ("lines", "days"),
    [
        (["DTSTART;VALUE=DATE:20250310"], 1),
        (["DTSTART:20250310"], 1),
        (["DTSTART;TZID=US/Eastern:20250310"], 1),
        (["DTSTART;VALUE=DATE:20250310T000000"], 1),
        (["DTSTART;VALUE=DATE:20250310", "DTEND;VALUE=DATE:20250310"], 1),
        (["DTSTART;VALUE=DATE:20250310", "DTEND;VALUE=DATE:20250312"], 2),
        (["DTSTART;VALUE=DATE:20250310", "DTEND;VALUE=DATE:20250301"], 1),
        (["DTSTART;VALUE=DATE:20250310", "DURATION:P1W"], 7),
        (["DTSTART;VALUE=DATE:20250310", "DURATION:PT36H"], 2),
        (["DTSTART;VALUE=DATE:20250310", "DTEND:20250311T120000"], 2),
    ],
)
def test_whole_days(lines: list[str], days: int) -> None:
    reading = read(event(*lines))
    assert [one.event.when for one in reading.occurrences] == [
        AllDay(date(2025, 3, 10), date(2025, 3, 10) + timedelta(days=days))
    ]


def test_without_an_end_a_time_is_a_moment_and_one_before_the_start_counts_as_none() -> None:
    assert lengths(read(event())) == [timedelta()]
    backwards = read(event("DTEND:20250310T070000Z"))
    assert lengths(backwards) == [timedelta()]
    assert [problem.lost for problem in backwards.problems] == [False]
    assert lengths(read(event("DURATION:-PT1H"))) == [timedelta()]


def test_a_time_that_the_clock_skips_is_moved_forward_and_reported_once() -> None:
    reading = read(event("DTSTART;TZID=Europe/Berlin:20250328T023000", "RRULE:FREQ=DAILY;COUNT=4"))
    assert starts(reading) == ["2025-03-28 02:30", "2025-03-29 02:30", "2025-03-30 03:30", "2025-03-31 02:30"]
    assert len(reading.problems) == 1
    assert not reading.problems[0].lost


def test_a_time_that_comes_twice_means_the_first() -> None:
    assert instants(read(event("DTSTART;TZID=Europe/Berlin:20251026T023000"))) == ["1026T0030"]


# -------------------------------------------------------------------------------------------------------- the window


@pytest.mark.parametrize(
    ("start", "end", "inside"),
    [
        ("2025-03-10T09:00", "2025-03-10T10:00", True),
        ("2025-03-10T09:59", "2025-03-10T12:00", True),
        ("2025-03-10T10:00", "2025-03-10T12:00", False),
        ("2025-03-10T08:00", "2025-03-10T09:00", False),
        ("2025-03-10T08:00", "2025-03-10T09:01", True),
    ],
)
def test_the_window_is_half_open(start: str, end: str, inside: bool) -> None:
    data = calendar(event("DTEND;TZID=Europe/Berlin:20250310T100000"))
    bounds = (datetime.fromisoformat(bound) for bound in (start, end))
    assert len(read_occurrences(data, *bounds, zone=ZoneInfo("Europe/Berlin")).occurrences) == inside


def test_a_moment_is_in_at_the_start_of_the_window_and_out_at_its_end() -> None:
    data, nine = calendar(event()), datetime(2025, 3, 10, 9, tzinfo=ZoneInfo("Europe/Berlin"))
    hour = timedelta(hours=1)
    assert read_occurrences(data, nine, nine + hour).occurrences
    assert not read_occurrences(data, nine - hour, nine).occurrences


def test_days_are_laid_out_in_the_callers_zone() -> None:
    data = calendar(event("DTSTART;VALUE=DATE:20250310"))
    sydney = ZoneInfo("Australia/Sydney")
    assert not read_occurrences(
        data, datetime(2025, 3, 11, tzinfo=sydney), datetime(2025, 3, 12, tzinfo=sydney)
    ).occurrences
    assert read_occurrences(
        data, datetime(2025, 3, 10, 23, tzinfo=sydney), datetime(2025, 3, 12, tzinfo=sydney)
    ).occurrences


def test_a_long_event_that_began_before_the_window_is_in_it() -> None:
    data = calendar(event("DURATION:P40D", "RRULE:FREQ=YEARLY"))
    assert len(read_occurrences(data, date(2030, 4, 1), date(2030, 4, 2)).occurrences) == 1


def test_floating_times_stay_floating_until_somebody_knows_their_zone() -> None:
    data = event("DTSTART:20250310T090000")
    (found,) = read_occurrences(calendar(data)).occurrences
    assert isinstance(found.event.when, Timed)
    assert found.event.when.floating
    assert instants(read_occurrences(calendar(data), zone=ZoneInfo("Asia/Tokyo"))) == ["0310T0000"]
    own = calendar(data, head="X-WR-TIMEZONE:America/New_York\n")
    assert instants(read_occurrences(own, zone=ZoneInfo("Asia/Tokyo"))) == ["0310T1300"]


# ------------------------------------------------------------------------------------------------------------- limits


def test_a_series_over_the_cap_is_cut_and_reported_as_lost() -> None:
    reading = read_occurrences(calendar(event("RRULE:FREQ=DAILY")), limits=Limits(series=100))
    assert len(reading.occurrences) == 100
    assert [problem.lost for problem in reading.problems] == [True]
    assert reading.unread == {"one@example.org"}
    assert not reading.unread_all


def test_a_file_over_the_cap_is_cut_and_nobody_may_conclude_a_deletion() -> None:
    many = [event(DAILY, uid=f"{number}@x") for number in range(5)]
    reading = read_occurrences(calendar(*many), limits=Limits(occurrences=10))
    assert len(reading.occurrences) == 10
    assert reading.unread_all


def test_the_edges_of_the_calendar_are_survived() -> None:
    for start in ("00010101T000000Z", "99991231T235959Z", "99991231", "00010101"):
        read(event(f"DTSTART:{start}", "RRULE:FREQ=DAILY"))
        read(event(f"DTSTART:{start}", "DURATION:P400D"))


# ------------------------------------------------------------------------------------------------------------ the judge


@st.composite
def calendars(draw: st.DrawFn) -> tuple[bytes, date, date]:
    """A series with exceptions, further dates and overrides, away from the known faults of the judge."""
    kind = draw(st.sampled_from(["zoned", "utc", "floating", "days"]))
    start = datetime(2024, draw(st.integers(1, 12)), draw(st.integers(1, 28)), draw(st.sampled_from([8, 10, 14])))
    step = draw(st.sampled_from([1, 7]))
    rule = f"RRULE:FREQ={'DAILY' if step == 1 else 'WEEKLY'};COUNT={draw(st.integers(1, 15))}"
    slots = [start + timedelta(days=step * number) for number in range(8)]
    taken = draw(st.lists(st.sampled_from(slots), max_size=4, unique=True))
    lines = [stamp(kind, "DTSTART", start), ending(kind, start), "SUMMARY:plain", rule]
    lines += [stamp(kind, "EXDATE", slot) for slot in taken[:2]]
    parts = [event(*lines)]
    for slot in taken[2:]:
        moved = slot + timedelta(days=draw(st.sampled_from([0, 2, 30, -30])), hours=1)
        slotted = [stamp(kind, "RECURRENCE-ID", slot), stamp(kind, "DTSTART", moved), ending(kind, moved)]
        parts.append(event(*slotted, "SUMMARY:moved"))
    low = date(2024, draw(st.integers(1, 12)), 1)
    return calendar(*draw(st.permutations(parts))), low, low + timedelta(days=draw(st.sampled_from([7, 60])))


def stamp(kind: str, name: str, moment: datetime) -> str:
    if kind == "days":
        return f"{name};VALUE=DATE:{moment:%Y%m%d}"
    head, tail = {"zoned": (";TZID=America/New_York", ""), "utc": ("", "Z"), "floating": ("", "")}[kind]
    return f"{name}{head}:{moment:%Y%m%dT%H%M%S}{tail}"


def ending(kind: str, moment: datetime) -> str:
    return stamp(kind, "DTEND", moment + (timedelta(days=1) if kind == "days" else timedelta(minutes=90)))


@settings(max_examples=80, deadline=None)
@given(calendars())
def test_expansion_means_what_recurring_ical_events_says(made: tuple[bytes, date, date]) -> None:
    data, low, high = made
    ours = sorted(
        str((plain(one.event.when.start), plain(one.event.when.end), one.event.title))
        for one in read_occurrences(data, low, high).occurrences
    )
    judged = recurring_ical_events.of(icalendar.Calendar.from_ical(data)).between(
        *(datetime(day.year, day.month, day.day, tzinfo=ZoneInfo("UTC")) for day in (low, high))
    )
    assert ours == sorted(
        str((plain(one["DTSTART"].dt), plain(one["DTEND"].dt), str(one["SUMMARY"]))) for one in judged
    )


def plain(moment: date) -> str:
    zoned = isinstance(moment, datetime) and moment.tzinfo is not None
    return (
        moment.astimezone(ZoneInfo("UTC")).isoformat() if zoned and isinstance(moment, datetime) else moment.isoformat()
    )


@pytest.mark.parametrize("until", ["20250309", "20250309T080000Z", "20250310T080000"])
def test_a_rule_that_ends_before_it_begins_leaves_the_event_itself(until: str) -> None:
    data = calendar(event("DTSTART;TZID=Europe/Berlin:20250310T090000", f"RRULE:FREQ=DAILY;UNTIL={until}"))
    reading = read_occurrences(data)
    assert [(each.id.slot, each.event.when.start.day) for each in reading.occurrences] == [(None, 10)]
    assert [problem.lost for problem in reading.problems] == [False]
    assert "takes place once" in reading.problems[0].text


def test_a_change_onwards_is_of_one_kind_of_series() -> None:
    """Days and hours under one UID: a change of the first from some day on cannot be held against the second."""
    hours, days = event(DAILY, "SUMMARY:Hours"), event("DTSTART;VALUE=DATE:20250310", DAILY, "SUMMARY:Days")
    change = event("RECURRENCE-ID;RANGE=THISANDFUTURE:20250312T080000Z", "DTSTART:20250312T100000Z", "SUMMARY:Moved")
    assert titles(read(hours, days, change)).count("Days") == 4
    assert titles(read(days, hours, change)).count("Hours") == 4
