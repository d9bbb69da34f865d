"""Rules that send the events of one timetable into many calendars."""

from __future__ import annotations

from dataclasses import replace
from time import perf_counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.imports.deciding.routes import Route, Routes, routes_of, unmatched
from bridges.model import Event, Occurrence
from tests.imports.bench import at, single


def lesson(title: str = "Lecture", *categories: str, place: str = "", uid: str = "a") -> Occurrence:
    return Occurrence(single(uid), replace(at(1, title), categories=categories, place=place))


def sorted_by(routes: Routes, *lessons: Occurrence) -> dict[str, list[str]]:
    return {target: [one.id.uid for one in ones] for target, ones in routes.sort(lessons).parts.items()}


@pytest.mark.parametrize(
    ("route", "one", "target"),
    [
        ("category:COURSE *=>lms/course/courseId:{1}", lesson("x", "COURSE BIO101"), "lms/course/courseId:BIO101"),
        ("category:course *=>lms/course/{1}", lesson("x", "Course Bio101"), "lms/course/Bio101"),
        ("title:Lecture*=>lms/institution", lesson("Lecture 3"), "lms/institution"),
        ("place:Room ?=>lms/room/sim", lesson(place="Room 7"), "lms/room/sim"),
        ("uid:*@bio.test=>lms/course/{1}", lesson(uid="x@bio.test"), "lms/course/x"),
        ("BIO*=>lms/course/bio", lesson("x", place="BIO building"), "lms/course/bio"),
        ("title:*-*: *=>lms/course/{2}", lesson("2025-BIO: Cells: two"), "lms/course/BIO"),
        ("title:[A] *=>lms/course/{1}", lesson("[A] one"), "lms/course/one"),
        ("title: Exam => lms/course/a => b", lesson("exam => lms/course/a"), None),
        ("title:*=>*=>lms/course/{2}", lesson("this=>that"), "lms/course/that"),
    ],
)
def test_a_route_names_a_calendar(route: str, one: Occurrence, target: str | None) -> None:
    if target is None:
        with pytest.raises(ValueError, match="names no calendar"):
            routes_of([route])
    else:
        assert list(sorted_by(routes_of([route]), one)) == [target]


@pytest.mark.parametrize(
    ("route", "said"),
    [
        ("category:COURSE *", "is no route"),
        ("=>lms/course/one", "empty pattern"),
        ("title:=>lms/course/one", "empty pattern"),
        ("title:*=>lms/nowhere/one", "names no calendar"),
        ("title:*=>{1}/course/one", "leaves the LMS open"),
        ("title:*=>lms/{1}/one", "names no calendar"),
        ("title:a*=>lms/course/{2}", "stands for nothing"),
        ("title:a*=>lms/course/{0}", "stands for nothing"),
    ],
)
def test_what_is_no_route_is_said(route: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        routes_of([route])


def test_the_first_route_that_matches_takes_the_event() -> None:
    routes = routes_of(["title:Exam*=>lms/institution", "category:*=>lms/course/{1}", "title:*=>lms/course/rest"])
    lessons = (lesson("Exam", "BIO", uid="a"), lesson("Lab", "BIO", uid="b"), lesson("Party", uid="c"))
    assert sorted_by(routes, *lessons) == {
        "lms/institution": ["a"],
        "lms/course/BIO": ["b"],
        "lms/course/rest": ["c"],
    }


def test_an_event_of_two_courses_goes_into_both() -> None:
    routes = routes_of(["category:COURSE *=>lms/course/{1}"])
    found = sorted_by(routes, lesson("Joint lecture", "COURSE BIO", "COURSE CHE", "COURSE BIO"))
    assert found == {"lms/course/BIO": ["a"], "lms/course/CHE": ["a"]}


def test_a_star_that_names_a_calendar_has_to_match_something() -> None:
    assert sorted_by(routes_of(["category:COURSE *=>lms/course/{1}"]), lesson("x", "COURSE  ")) == {}


def test_what_no_route_takes_is_told_by_title() -> None:
    routes = routes_of(["category:*=>lms/course/{1}"])
    lost = routes.sort([lesson("Party", uid="a"), lesson("Party", uid="b"), lesson("Dance", place="Hall", uid="c")])
    told = unmatched(lost.unmatched)
    assert list(told.lines()) == [
        "no route takes 3 events of 2 titles:",
        "  2 × Party (no category, no place)",
        "  1 × Dance (Hall)",
    ]
    assert told.to_json()["samples"][0]["events"] == 2


def test_routes_go_through_json() -> None:
    routes = routes_of(["category:COURSE *=>lms/course/{1}", "title:*=>lms/institution"])
    assert routes_of(routes.to_json()) == routes


words = st.text("aAbß 1*", min_size=1, max_size=6)


@given(st.lists(words, min_size=1, max_size=6), st.lists(st.text("aAbßẞİ 1", max_size=8), max_size=4), words)
def test_the_index_finds_what_asking_each_in_turn_does(patterns: list[str], categories: list[str], title: str) -> None:
    texts = [f"{pattern}=>lms/course/{n}" for n, pattern in enumerate(patterns) if pattern.strip()]
    if not texts:
        return
    routes = routes_of(texts)
    look = ((title,), tuple(categories), ("",), ())
    slowly = next((found for route in routes.each if (found := route.targets(look))), [])
    assert routes.targets(look) == slowly


def test_many_stars_on_a_hostile_title_take_no_time() -> None:
    route = Route("title:" + "*a" * 30 + "=>lms/course/one")
    began = perf_counter()
    assert route.targets((("a" * 50_000 + "b",), (), ("",), ())) == []
    assert perf_counter() - began < 1


def test_a_thousand_routes_are_not_asked_one_by_one() -> None:
    """40,000 occurrences of 10,000 events; one by one this takes minutes."""
    routes = routes_of([f"*C{n:04}=>lms/course/C{n:04}" for n in range(1000)])
    events: list[Event] = [at(1, f"Lecture {n} of C{n % 1000:04}") for n in range(10_000)]
    lessons = [Occurrence(single(f"{n} {week}"), event) for n, event in enumerate(events) for week in range(4)]
    began = perf_counter()
    found = routes.sort(lessons)
    assert perf_counter() - began < 10
    assert {len(part) for part in found.parts.values()} == {40}
    assert (len(found.parts), found.unmatched) == (1000, [])
