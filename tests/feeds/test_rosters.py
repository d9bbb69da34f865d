"""Rosters keep enrolments up to date: for a question a course, and none a person."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from app.feeds.feed import Form
from app.feeds.rosters import ask_again
from bridges.errors import Denied, Transient
from bridges.model import CalendarRef, Kind
from tests.feeds.many import Crowd, crowd
from tests.feeds.world import MONDAY, World, lesson

DAY = timedelta(days=1)
COURSES, PEOPLE = 12, 24


@pytest.fixture
def people(world: World) -> Crowd:
    people = crowd(world, COURSES, lessons=3)
    people.join(PEOPLE)
    people.hour()
    people.campus.asked = people.campus.called = 0
    return people


def courses(people: Crowd, slug: str = "p0") -> set[str]:
    events = json.loads(people.feeds.snapshot_for_public(slug, Form.JSON).body)["events"]
    return {event["title"].partition(",")[0].replace("Course ", "c") for event in events}


def day(people: Crowd) -> None:
    people.world.clock.forward(DAY)
    people.hour()


def test_who_comes_and_who_goes_is_seen_within_a_day_at_no_question_about_people(people: Crowd) -> None:
    before = courses(people)
    dropped, taken = sorted(before)[0], sorted(set(people.campus.courses) - before)[0]
    people.campus.members[dropped].remove("0")
    people.campus.members[taken].add("0")
    day(people)
    assert courses(people) == before - {dropped} | {taken}
    assert (people.campus.asked, people.campus.called) == (0, COURSES)


def test_who_is_new_is_asked_about_once(people: Crowd) -> None:
    people.join(1)
    for _ in range(3):
        day(people)
    assert people.campus.asked == 1


def test_a_week_of_a_hundred_times_as_many_people_is_no_more_questions_than_courses(people: Crowd) -> None:
    assert ask_again("x", 100_000, 1_000) >= 50 * DAY
    asked = [DAY / ask_again(f"school/person/{number}", 10_000, 1_000) for number in range(10_000)]
    assert 900 < sum(asked) < 1200
    assert ask_again("x", 1, 1_000) >= 3 * DAY


def test_people_are_not_all_asked_about_on_one_day() -> None:
    days = [ask_again(f"school/person/{number}", 10_000, 1_000) // DAY for number in range(10_000)]
    assert max(days.count(each) for each in set(days)) < 1_200


def test_a_course_that_no_feed_shows_yet_is_found_in_time(people: Crowd) -> None:
    people.campus.courses["new"] = {}
    people.campus.put("n", lesson("Course new, lesson", MONDAY + 9 * DAY), course="new")
    people.campus.members["new"] = {"0"}
    for _ in range(11):
        day(people)
    assert "cnew" in courses(people)
    people.campus.asked = 0
    people.campus.members["new"].update(map(str, range(PEOPLE)))
    day(people)
    assert all("cnew" in courses(people, f"p{number}") for number in range(PEOPLE))
    assert people.campus.asked < PEOPLE / 2


@pytest.mark.parametrize("refusal", [Denied("not for us"), None])
def test_where_rosters_are_refused_or_empty_each_is_asked_about_and_nobody_loses_a_course(
    people: Crowd, refusal: Denied | None
) -> None:
    before = {number: courses(people, f"p{number}") for number in range(PEOPLE)}
    people.campus.refuses = refusal
    if refusal is None:
        people.campus.forgets = True
    people.campus.members["c0"].discard("0")
    day(people)
    people.hour()
    assert people.campus.asked >= PEOPLE
    after = {number: courses(people, f"p{number}") for number in range(PEOPLE)}
    assert after == before | {0: before[0] - {"c0"}}


def test_an_lms_that_is_away_changes_nothing_and_is_asked_at_the_next_reading(people: Crowd) -> None:
    before = courses(people)
    people.campus.refuses = Transient("away")
    day(people)
    assert (courses(people), people.campus.asked, people.campus.called) == (before, 0, COURSES)
    people.campus.refuses = None
    people.hour()
    assert people.campus.called == 2 * COURSES


def test_a_name_that_rosters_do_not_spell_so_is_asked_about_daily(people: Crowd) -> None:
    people.campus.members["c0"].add("alias")
    alias = CalendarRef("school", Kind.PERSON, "alias")
    people.feeds.add("alias", "Alias", alias, public=True)
    assert courses(people, "alias") == {"c0"}
    people.campus.asked = 0
    for asked in (1, 2):
        people.world.clock.forward(DAY)
        people.hour()
        assert courses(people, "alias") == {"c0"}
        assert people.campus.asked == asked


def test_calendars_that_no_persons_feed_joins_are_asked_for_no_roster(world: World) -> None:
    alone = crowd(world, 2, lessons=1)
    alone.feeds.add("c", "C", CalendarRef("school", Kind.COURSE, "c0"), public=True)
    for _ in range(3):
        alone.hour()
    assert (alone.campus.reads, alone.campus.called) == (3, 0)


def test_the_forecast_counts_questions_by_courses(people: Crowd) -> None:
    (told,) = people.feeds.forecast()
    people.join(PEOPLE * 10)
    (more,) = people.feeds.forecast()
    assert told.calls <= more.calls <= COURSES * 26 + 1
