"""A rule is costed before it is run, what runs is counted, and a deadline ends it: the rest of the file is kept."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from itertools import islice
from time import process_time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.ics import Limits, Reading, read_occurrences
from app.ics.cost import cost
from app.ics.rrule import RuleError, Work, instances, parse_rule
from tests.ics.making import calendar, event

YEAR = date(2025, 1, 1), date(2026, 1, 1)
NEIGHBOUR = event("RRULE:FREQ=WEEKLY;COUNT=3", uid="neighbour")


def read(*lines: str, limits: Limits = Limits()) -> Reading:  # noqa: B008 - an immutable value
    return read_occurrences(calendar(event(*lines, uid="costly"), NEIGHBOUR), *YEAR, limits=limits)


def shown(reading: Reading, uid: str) -> int:
    return sum(one.id.uid == uid for one in reading.occurrences)


@pytest.mark.parametrize("rule", ["FREQ=HOURLY", "FREQ=MINUTELY;COUNT=2", "FREQ=SECONDLY;UNTIL=20250310T080010Z"])
def test_rules_within_a_day_are_refused_unless_they_are_allowed(rule: str) -> None:
    refused = read(f"RRULE:{rule}", limits=Limits(sub_daily=False))
    assert shown(refused, "costly") == 0
    assert shown(refused, "neighbour") == 3
    (problem,) = refused.problems
    assert problem.line == 4
    assert problem.lost
    assert rule in problem.text
    assert refused.unread == {"costly"}
    assert shown(read(f"RRULE:{rule}"), "costly") > 0


BIG = ",".join(map(str, range(60)))


@pytest.mark.parametrize(
    "rule",
    [
        "FREQ=SECONDLY",
        "FREQ=MINUTELY",
        "FREQ=SECONDLY;COUNT=1000000000",
        f"FREQ=DAILY;BYHOUR=0,1,2,3,4,5,6,7;BYMINUTE={BIG}",
        f"FREQ=YEARLY;BYMONTH=3;BYMONTHDAY=10,11,12;BYHOUR=8,9;BYMINUTE={BIG};BYSECOND={BIG}",
        f"FREQ=HOURLY;INTERVAL=5;BYMINUTE={BIG};BYSECOND=0,30",
    ],
)
def test_a_rule_that_may_have_too_many_times_is_not_run_at_all(rule: str) -> None:
    begun = process_time()
    reading = read(f"RRULE:{rule}", limits=Limits(cost=20_000))
    assert process_time() - begun < 0.2
    assert shown(reading, "costly") == 0
    assert shown(reading, "neighbour") == 3
    (problem,) = reading.problems
    assert problem.lost
    assert problem.line == 4
    assert f"the rule {rule[:80]} may have" in problem.text


def test_the_rules_of_a_file_are_costed_together() -> None:
    hourly = [event("RRULE:FREQ=HOURLY;COUNT=40", uid=f"{number}") for number in range(5)]
    reading = read_occurrences(calendar(*hourly, NEIGHBOUR), *YEAR, limits=Limits(costs=100))
    assert [shown(reading, f"{number}") for number in range(5)] == [40, 40, 0, 0, 0]
    assert shown(reading, "neighbour") == 3
    assert all("all events of a file only 100" in problem.text for problem in reading.problems)


def numbers(low: int, high: int) -> st.SearchStrategy[str]:
    return st.lists(st.integers(low, high), min_size=1, max_size=3, unique=True).map(
        lambda found: ",".join(map(str, found))
    )


@st.composite
def rules(draw: st.DrawFn) -> str:
    parts = [
        ("INTERVAL", st.integers(1, 4).map(str)), ("COUNT", st.integers(1, 200).map(str)), ("BYMONTH", numbers(1, 12)),
        ("BYMONTHDAY", numbers(1, 31)), ("BYYEARDAY", numbers(1, 366)), ("BYWEEKNO", numbers(1, 53)),
        ("BYDAY", st.sampled_from(["MO", "TU,SA", "MO,TU,WE,TH,FR,SA,SU"])), ("BYHOUR", numbers(0, 23)),
        ("BYMINUTE", numbers(0, 59)), ("BYSECOND", numbers(0, 59)),
    ]  # fmt: skip
    freq = draw(st.sampled_from(["YEARLY", "MONTHLY", "WEEKLY", "DAILY", "HOURLY", "MINUTELY", "SECONDLY"]))
    chosen = draw(st.lists(st.sampled_from(parts), max_size=4, unique_by=lambda part: part[0]))
    return ";".join([f"FREQ={freq}", *(f"{name}={draw(values)}" for name, values in chosen)])


@settings(max_examples=300, deadline=None)
@given(rules(), st.datetimes(datetime(2024, 1, 1), datetime(2025, 6, 1)), st.integers(1, 400))
def test_no_rule_has_more_times_than_its_cost(text: str, start: datetime, days: int) -> None:
    try:
        rule = parse_rule(text)
    except RuleError:
        return
    start = start.replace(microsecond=0)
    first = datetime(2025, 1, 1)
    last = first + timedelta(days=days)
    price = cost(rule, start, first, last)
    if last >= start:
        assert len(list(islice(instances(rule, start, first, last, Work(100_000)), 20_000))) <= price


def test_one_greedy_event_leaves_the_steps_of_the_others_alone() -> None:
    vain = "RRULE:FREQ=DAILY;BYMONTH=2;BYMONTHDAY=29;BYDAY=TH"
    greedy = event("DTSTART:00010102T000000Z", vain, uid="greedy")
    modest = event("DTSTART:20240229T080000Z", f"{vain};COUNT=2", uid="modest")
    reading = read_occurrences(calendar(greedy, modest), limits=Limits(work=3_000, event_work=1_000))
    assert shown(reading, "modest") > 0
    (problem,) = reading.problems
    assert problem.uid == "greedy"
    assert "an event is granted" in problem.text


def test_a_series_whose_days_are_all_excepted_ends() -> None:
    gone = ",".join(f"{date(2025, 1, 1) + timedelta(days=day):%Y%m%d}" for day in range(365))
    begun = process_time()
    reading = read(
        "DTSTART:20250101T000000Z",
        "RRULE:FREQ=SECONDLY",
        f"EXDATE;VALUE=DATE:{gone}",
        limits=Limits(cost=10**9, costs=10**9),
    )
    assert process_time() - begun < 1
    assert shown(reading, "neighbour") == 3
    assert reading.unread == {"costly"}


def test_a_deadline_ends_the_expansion_and_nobody_may_conclude_a_deletion() -> None:
    many = [event("RRULE:FREQ=DAILY", uid=f"{number:03}") for number in range(500)]
    asked: list[int] = []

    def late() -> bool:
        asked.append(1)
        return len(asked) > 2

    reading = read_occurrences(calendar(*many), *YEAR, limits=Limits(occurrences=10**6), late=late)
    assert {one.id.uid for one in reading.occurrences} == {f"{number:03}" for number in range(200)}
    assert reading.unread_all
    assert [str(problem) for problem in reading.problems] == [
        "line 1: the time for this file is up; the rest was left out"
    ]


def test_a_deadline_ends_a_single_rule_as_well() -> None:
    asked: list[int] = []

    def late() -> bool:
        asked.append(1)
        return len(asked) > 1

    rule = "RRULE:FREQ=DAILY;INTERVAL=7;BYMONTH=2;BYMONTHDAY=29;BYDAY=MO"
    reading = read_occurrences(calendar(event("DTSTART:00010102T000000Z", rule), NEIGHBOUR), late=late)
    assert "the time for this file is up" in reading.problems[0].text
    assert len(asked) == 2
