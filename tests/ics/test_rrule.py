"""Recurrence rules: RFC 5545 section 3.3.10 and RFC 7529, and dateutil as the judge where it is right."""

from __future__ import annotations

import signal
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from itertools import islice
from time import process_time

import pytest
from dateutil.rrule import rrulestr
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from app.ics.rrule import Freq, Rule, RuleError, TooCostly, Work, instances, parse_rule

FAR = datetime(9999, 12, 1)


def first(rule: str, start: str, count: int = 10, after: str | None = None) -> list[str]:
    """The first dates of a rule from `start` (or from `after` on)."""
    begin = datetime.fromisoformat(start)
    low = datetime.fromisoformat(after) if after else begin
    found = islice(instances(parse_rule(rule), begin, low, FAR, Work(10**6)), count)
    return [moment.isoformat(sep=" ", timespec="minutes").removesuffix(f" {begin:%H:%M}") for moment in found]


@pytest.mark.parametrize(
    ("rule", "start", "expected"),
    [
        ("FREQ=YEARLY;BYWEEKNO=20", "1997-05-15T09:00", ["1997-05-15", "1998-05-14", "1999-05-20"]),
        ("FREQ=YEARLY;BYWEEKNO=53;BYDAY=FR", "2004-12-31T09:00", ["2004-12-31", "2010-01-01", "2016-01-01"]),
        ("FREQ=YEARLY;BYWEEKNO=52;BYDAY=SU", "2010-12-26T09:00", ["2011-01-02", "2012-01-01", "2012-12-30"]),
        ("FREQ=YEARLY;BYWEEKNO=1;BYDAY=MO", "2018-01-01T09:00", ["2018-01-01", "2018-12-31", "2019-12-30"]),
        ("FREQ=YEARLY;BYWEEKNO=-1;BYDAY=MO", "2018-12-24T09:00", ["2018-12-24", "2019-12-23", "2020-12-28"]),
        ("FREQ=YEARLY;BYWEEKNO=1;BYDAY=SU;WKST=SU", "2022-01-02T09:00", ["2022-01-02", "2023-01-01", "2023-12-31"]),
    ],
)
def test_weeks_belong_to_their_own_year(rule: str, start: str, expected: list[str]) -> None:
    assert first(rule, start, 3) == expected


def test_a_yearly_rule_with_days_of_the_month_and_no_month_means_every_month() -> None:
    assert first("FREQ=YEARLY;BYMONTHDAY=1", "2025-01-01T09:00", 3) == ["2025-01-01", "2025-02-01", "2025-03-01"]


def test_positions_are_counted_over_the_whole_period_in_which_the_series_begins() -> None:
    assert first("FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=3", "1997-09-15T09:00", 2) == ["1997-10-03", "1997-11-05"]


def test_positions_count_times_as_well_as_days() -> None:
    rule = "FREQ=DAILY;BYHOUR=6,18;BYMINUTE=15,45;BYSETPOS=3,-3"
    assert first(rule, "1997-09-02T09:00", 3) == ["1997-09-02 18:15", "1997-09-03 06:45", "1997-09-03 18:15"]


def test_the_last_work_day_of_the_month() -> None:
    rule = "FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1"
    assert first(rule, "1997-09-30T09:00", 4) == ["1997-09-30", "1997-10-31", "1997-11-28", "1997-12-31"]


def test_friday_the_thirteenth_and_election_day() -> None:
    assert first("FREQ=MONTHLY;BYDAY=FR;BYMONTHDAY=13", "1998-02-13T09:00", 4) == [
        "1998-02-13", "1998-03-13", "1998-11-13", "1999-08-13",
    ]  # fmt: skip
    rule = "FREQ=YEARLY;INTERVAL=4;BYMONTH=11;BYDAY=TU;BYMONTHDAY=2,3,4,5,6,7,8"
    assert first(rule, "1996-11-05T09:00", 3) == ["1996-11-05", "2000-11-07", "2004-11-02"]


def test_a_week_begins_where_the_rule_says() -> None:
    rule = "FREQ=WEEKLY;INTERVAL=2;COUNT=4;BYDAY=TU,SU;WKST="
    assert first(rule + "MO", "1997-08-05T09:00") == ["1997-08-05", "1997-08-10", "1997-08-19", "1997-08-24"]
    assert first(rule + "SU", "1997-08-05T09:00") == ["1997-08-05", "1997-08-17", "1997-08-19", "1997-08-31"]


def test_days_that_a_month_lacks_are_left_out() -> None:
    assert first("FREQ=MONTHLY", "2025-01-31T09:00", 4) == ["2025-01-31", "2025-03-31", "2025-05-31", "2025-07-31"]
    assert first("FREQ=YEARLY", "2024-02-29T09:00", 3) == ["2024-02-29", "2028-02-29", "2032-02-29"]


@pytest.mark.parametrize(
    ("skip", "expected"),
    [
        ("OMIT", ["2014-01-31", "2014-03-31", "2014-05-31"]),
        ("BACKWARD", ["2014-01-31", "2014-02-28", "2014-03-31", "2014-04-30"]),
        ("FORWARD", ["2014-01-31", "2014-03-01", "2014-03-31", "2014-05-01", "2014-05-31"]),
    ],
)
def test_skip_moves_the_days_that_a_month_lacks(skip: str, expected: list[str]) -> None:
    rule = f"RSCALE=GREGORIAN;FREQ=MONTHLY;SKIP={skip}"
    assert first(rule, "2014-01-31T09:00", len(expected)) == expected


def test_skip_on_leap_days_and_on_the_last_day_of_a_leap_year() -> None:
    rule = "RSCALE=GREGORIAN;FREQ=YEARLY;SKIP=FORWARD"
    assert first(rule, "2016-02-29T09:00", 3) == ["2016-02-29", "2017-03-01", "2018-03-01"]
    assert first(rule.replace("FORWARD", "BACKWARD"), "2016-02-29T09:00", 2) == ["2016-02-29", "2017-02-28"]
    assert first(rule + ";BYYEARDAY=366", "2016-12-31T09:00", 2) == ["2016-12-31", "2018-01-01"]


def test_a_day_skipped_forward_out_of_the_period_before_is_not_missed() -> None:
    rule = "RSCALE=GREGORIAN;FREQ=MONTHLY;SKIP=FORWARD"
    assert first(rule, "2014-01-31T09:00", 2, after="2014-03-01T00:00") == ["2014-03-01", "2014-03-31"]


@pytest.mark.parametrize(
    ("rule", "start", "expected"),
    [
        ("FREQ=HOURLY;INTERVAL=36", "2025-03-10T09:00", ["2025-03-10", "2025-03-11 21:00", "2025-03-13"]),
        ("FREQ=HOURLY;BYMONTH=2;BYHOUR=9", "2025-03-10T09:00", ["2026-02-01", "2026-02-02", "2026-02-03"]),
        ("FREQ=MINUTELY;INTERVAL=90;BYHOUR=12", "2025-03-10T09:00", ["2025-03-10 12:00", "2025-03-11 12:00"]),
        ("FREQ=SECONDLY;INTERVAL=86400;BYDAY=MO", "2025-03-10T09:00", ["2025-03-10", "2025-03-17", "2025-03-24"]),
        ("FREQ=MINUTELY;BYMINUTE=0;BYSETPOS=-1", "2025-03-10T09:00", ["2025-03-10", "2025-03-10 10:00"]),
    ],
)
def test_rules_shorter_than_a_day(rule: str, start: str, expected: list[str]) -> None:
    assert first(rule, start, len(expected)) == expected


def test_case_blanks_and_trailing_separators_do_not_matter() -> None:
    assert parse_rule(" freq = weekly; byday= tu , TH,;Wkst=su; ") == Rule(Freq.WEEKLY, wkst=6, byday=((0, 1), (0, 3)))


def test_numbers_of_weekdays_that_mean_nothing_are_passed_over_and_told() -> None:
    rule = parse_rule("FREQ=WEEKLY;BYDAY=1MO,-1MO,WE")
    assert rule.byday == ((0, 0), (0, 2))
    assert rule.notes


def test_a_leap_second_counts_as_the_second_before() -> None:
    assert parse_rule("FREQ=MINUTELY;BYSECOND=60").bysecond == (59,)


@pytest.mark.parametrize(
    "rule",
    [
        "", "BYDAY=MO", "FREQ=FORTNIGHTLY", "FREQ=DAILY;INTERVAL=0", "FREQ=DAILY;INTERVAL=-1", "FREQ=DAILY;COUNT=0",
        "FREQ=DAILY;COUNT=x", "FREQ=DAILY;UNTIL=tomorrow", "FREQ=DAILY;UNTIL=20251301", "FREQ=DAILY;BYHOUR=24",
        "FREQ=DAILY;BYMINUTE=60", "FREQ=DAILY;BYMONTH=13", "FREQ=MONTHLY;BYMONTHDAY=0", "FREQ=MONTHLY;BYMONTHDAY=32",
        "FREQ=YEARLY;BYYEARDAY=367", "FREQ=YEARLY;BYWEEKNO=54", "FREQ=MONTHLY;BYDAY=XX", "FREQ=MONTHLY;BYDAY=0MO",
        "FREQ=DAILY;BYSETPOS=1", "FREQ=MONTHLY;BYWEEKNO=3", "FREQ=WEEKLY;BYMONTHDAY=3", "FREQ=DAILY;BYYEARDAY=3",
 "FREQ=YEARLY;BYWEEKNO=3;BYDAY=1MO", "FREQ=DAILY;WKST=XX", "FREQ=DAILY;EVERY=3",
        "FREQ=DAILY;FREQ=WEEKLY", "RSCALE=HEBREW;FREQ=YEARLY", "FREQ=MONTHLY;SKIP=FORWARD",
        "RSCALE=GREGORIAN;FREQ=MONTHLY;SKIP=SIDEWAYS", "RSCALE=CHINESE;FREQ=YEARLY;BYMONTH=5L",
    ],
)  # fmt: skip
def test_an_invalid_rule_is_an_error_and_never_something_else(rule: str) -> None:
    with pytest.raises(RuleError):
        parse_rule(rule)


@pytest.mark.parametrize(
    "rule",
    [
        "FREQ=SECONDLY;BYMONTH=2;BYMONTHDAY=30",
        "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30",
        "FREQ=YEARLY;BYWEEKNO=20;BYMONTH=1",
        "FREQ=MONTHLY;BYDAY=5MO;BYMONTHDAY=1",
        "FREQ=DAILY;INTERVAL=7;BYDAY=TU",
        "FREQ=HOURLY;INTERVAL=24;BYHOUR=3",
        "FREQ=MINUTELY;INTERVAL=60;BYMINUTE=7",
        "FREQ=YEARLY;BYYEARDAY=366;BYMONTH=1",
        "FREQ=MINUTELY;BYSECOND=1;BYSETPOS=2",
    ],
)
def test_an_impossible_rule_ends_at_once(rule: str) -> None:
    begun = process_time()
    start = datetime(2025, 3, 10, 9)
    with suppress(TooCostly):
        assert list(instances(parse_rule(rule), start, start, FAR, Work(10**5))) == []
    assert process_time() - begun < 1


def test_a_rule_without_count_is_not_walked_to_the_window() -> None:
    for rule in ("FREQ=SECONDLY", "FREQ=MINUTELY;BYSECOND=3,4", "FREQ=DAILY;BYHOUR=8,9", "FREQ=WEEKLY;BYDAY=MO,WE"):
        low, high = datetime(2025, 3, 10), datetime(2025, 3, 10, 0, 1)
        list(instances(parse_rule(rule), datetime(1990, 1, 1, 9), low, high, Work(100)))


def test_a_plain_count_is_reached_by_arithmetic() -> None:
    rule = parse_rule("FREQ=SECONDLY;COUNT=1000000000")
    found = instances(rule, datetime(2000, 1, 1), datetime(2025, 3, 10), FAR, Work(0))
    assert next(found) == datetime(2025, 3, 10)


WEEKDAYS = ["MO", "TU", "WE", "TH", "FR", "SA", "SU"]


def numbers(low: int, high: int, *, negative: bool = False, most: int = 4) -> st.SearchStrategy[str]:
    values = st.integers(low, high)
    signed = values | values.map(lambda value: -value) if negative else values
    return st.lists(signed, min_size=1, max_size=most, unique=True).map(lambda items: ",".join(map(str, items)))


@st.composite
def rules(draw: st.DrawFn) -> str:
    """Valid rules of all frequencies, but for those on which dateutil is known to be wrong."""
    freq = draw(st.sampled_from(list(Freq)))
    parts = [f"FREQ={freq.name}", f"INTERVAL={draw(st.integers(1, 5))}", f"WKST={draw(st.sampled_from(WEEKDAYS))}"]
    choices = {
        "BYMONTH": numbers(1, 12),
        "BYHOUR": numbers(0, 23),
        "BYMINUTE": numbers(0, 59),
        "BYSECOND": numbers(0, 59),
    }
    if freq != Freq.WEEKLY:
        choices["BYMONTHDAY"] = numbers(1, 31, negative=True, most=8)
    if freq not in (Freq.MONTHLY, Freq.WEEKLY, Freq.DAILY):
        choices["BYYEARDAY"] = numbers(1, 366, negative=True, most=8)
    plain = st.lists(st.sampled_from(WEEKDAYS), min_size=1, max_size=4, unique=True)
    nth = st.lists(
        st.builds("{}{}".format, st.sampled_from([1, 2, 3, 4, 5, -1, -2]), st.sampled_from(WEEKDAYS)),
        min_size=1,
        max_size=3,
    )
    choices["BYDAY"] = (plain | nth if freq <= Freq.MONTHLY else plain).map(",".join)
    chosen = draw(st.lists(st.sampled_from(sorted(choices)), max_size=3, unique=True))
    return ";".join(parts + [f"{name}={draw(choices[name])}" for name in chosen])


SPANS = {
    Freq.YEARLY: 3000, Freq.MONTHLY: 1200, Freq.WEEKLY: 600, Freq.DAILY: 300, Freq.HOURLY: 10, Freq.MINUTELY: 1,
    Freq.SECONDLY: 0.02,
}  # fmt: skip


@settings(max_examples=250, deadline=None)
@given(
    rules(), st.datetimes(datetime(1990, 1, 1), datetime(2040, 1, 1)), st.floats(0, 0.9), st.none() | st.integers(1, 30)
)
def test_rules_mean_what_dateutil_says(text: str, moment: datetime, skipped: float, count: int | None) -> None:
    start = moment.replace(microsecond=0)
    if count is not None:
        text += f";COUNT={count}"
    rule = parse_rule(text)
    span = timedelta(days=SPANS[rule.freq])
    low, high = start + span * skipped, start + span
    try:
        judged = [one for one in judge(text, start, high) if low <= one <= high]
    except ValueError:  # dateutil refuses some rules that are merely empty
        judged = []
    except TimeoutError:  # and looks for what never comes, second by second to the year 9999
        reject()
    assert [one for one in instances(rule, start, low, high, Work(10**7)) if low <= one <= high] == judged


def judge(text: str, start: datetime, high: datetime) -> list[datetime]:
    """dateutil's answer, which is asked with UNTIL so that it ends; TimeoutError where it does not all the same."""
    bounded = f"{text};UNTIL={high:%Y%m%dT%H%M%S}"
    with warnings.catch_warnings(), at_most(0.5):
        warnings.simplefilter("ignore")  # COUNT beside UNTIL is deprecated, but it is what we mean to ask
        return list(rrulestr(bounded, dtstart=start))


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    def late(*_: object) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
