"""Readers cost the LMS nothing, and the store next to nothing: both grow with courses."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select

from app.feeds.feed import Form
from app.store import tables
from bridges.model import CalendarRef, Kind
from tests.feeds.many import EACH, Crowd, crowd, queries
from tests.feeds.world import World, lesson

COURSES, FEW, MANY = 12, 15, 75


@pytest.fixture
def people(world: World) -> Crowd:
    return crowd(world, COURSES, lessons=20)


def test_ten_times_as_many_readers_are_no_more_calls(people: Crowd) -> None:
    people.join(FEW)
    assert people.campus.reads == COURSES
    assert people.hour() == COURSES + COURSES  # with who is in them, once a day
    people.join(MANY - FEW)
    assert [people.hour() for _ in range(23)] == [COURSES] * 23
    assert people.hour() == COURSES + COURSES
    assert people.campus.asked == MANY


def test_what_a_reader_adds_to_the_store_is_names_and_validators_alone(people: Crowd, world: World) -> None:
    people.join(FEW)
    before = people.stored()
    people.join(MANY - FEW)
    after = people.stored()
    grown = {name for name in after if after[name] > before.get(name, 0)}
    assert grown <= {"feed", "feed_body", "enrolment", *(name for name in after if name.startswith("sqlite_autoindex"))}
    added = sum(after.values()) - sum(before.values())
    assert added / (MANY - FEW) < 2048
    assert len(people.look(0)) > 5 * 2048  # of which nothing is in there


def test_a_feed_takes_as_many_queries_among_many_as_among_few(people: Crowd, world: World) -> None:
    people.join(FEW)
    with queries(world.engine) as few:
        assert people.feeds.at_hand(None, "p0", Form.ICS)
    people.join(MANY - FEW)
    with queries(world.engine) as many:
        assert people.feeds.at_hand(None, "p0", Form.ICS)
    assert few == many
    assert len([each for each in many if each.startswith("SELECT")]) < EACH


def test_what_is_due_is_one_look_into_an_index(people: Crowd, world: World) -> None:
    people.join(FEW)
    world.clock.forward(timedelta(hours=1))
    assert len(people.feeds.due()) == COURSES  # which feeds there are is looked at once in five minutes
    with queries(world.engine) as sent:
        assert len(people.feeds.due()) == COURSES
    assert [each.split()[0] for each in sent if not each.startswith(("BEGIN", "COMMIT"))] == ["SELECT"]
    if world.engine.dialect.name == "sqlite":
        with world.engine.connect() as connection:
            text = "SELECT calendar FROM calendar_reading WHERE next_check <= ? AND unused_since IS NULL"
            (step,) = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", ("2026-01-01",)).all()
        assert "ix_calendar_reading_next_check" in step.detail


def test_what_another_process_switches_off_is_read_for_five_minutes_at_most(people: Crowd, world: World) -> None:
    course, other = CalendarRef("school", Kind.COURSE, "c0"), world.feeds()
    people.feeds.add("one", "One", course, public=True)
    assert people.feeds.due() == other.due() == [course]  # though nobody has looked
    other.disable("one")
    assert other.due() == []
    world.clock.forward(timedelta(minutes=5))
    assert people.feeds.due() == []
    other.enable("one")
    assert people.feeds.due() == [course]


def test_a_shared_lesson_that_changes_is_rendered_once_for_all(people: Crowd, world: World) -> None:
    people.join(FEW)
    people.campus.put("0-0", lesson("Moved to the aula"), course="c0")
    with queries(world.engine) as sent:
        people.hour()
    assert len([each for each in sent if each.startswith("UPDATE calendar_piece")]) == 1
    with world.engine.connect() as connection:
        assert len(connection.execute(select(tables.calendar_piece.c.calendar)).all()) == COURSES


def test_readings_that_nobody_uses_are_forgotten_with_their_versions(people: Crowd, world: World) -> None:
    people.join(FEW)
    for number in range(1, FEW):
        people.feeds.remove(f"p{number}")
    people.feeds.tidy()
    world.clock.forward(timedelta(days=13))
    assert people.feeds.tidy().readings == 0
    world.clock.forward(timedelta(days=1))
    tidied = people.feeds.tidy()
    assert (tidied.readings, people.feeds.tidy().readings) == (COURSES - EACH, 0)
    with world.engine.connect() as connection:
        for table in (tables.calendar_reading, tables.event_version, tables.calendar_piece):
            assert len(set(connection.execute(select(table.c.calendar)).scalars())) == EACH
        assert connection.execute(select(tables.enrolment.c.person)).scalars().all() == ["school/person/0"]
    people.feeds.remove("p0")
    people.feeds.tidy()
    ada = CalendarRef("school", Kind.PERSON, "0")
    people.feeds.add("again", "Again", ada, public=True)
    people.feeds.snapshot_for_public("again", Form.ICS)  # who comes back in time finds all of it
    people.feeds.tidy()
    world.clock.forward(timedelta(days=30))
    assert people.feeds.tidy().readings == 0
