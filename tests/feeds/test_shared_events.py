"""An event of several calendars of one LMS stands once in a feed that joins them: as it was changed last."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from icalendar import Calendar

from app.feeds.feed import Form
from app.feeds.serve import Feeds
from bridges.model import CalendarRef, Kind, Status
from tests import stores
from tests.feeds.world import COURSE, HOUR, MONDAY, World, lesson, new_world

DAY = timedelta(days=1)
ROOM = CalendarRef("school", Kind.ROOM, "lab")


@pytest.fixture
def feeds(world: World) -> Feeds:
    return joined(world)


def joined(world: World) -> Feeds:
    world.school.courses["lab"] = {}
    feeds = world.feeds()
    feeds.add("both", "Both", COURSE, ROOM, public=True)
    return feeds


def put(world: World, title: str = "Optics", day: int = 0, status: Status = Status.CONFIRMED) -> None:
    for course in ("math", "lab"):
        world.school.put("x", lesson(title, MONDAY + day * DAY, status=status), course=course)


def shown(feeds: Feeds) -> list[tuple[str, int]]:
    """Title and SEQUENCE, the same in every form, and no UID twice."""
    ics = Calendar.from_ical(feeds.snapshot_for_public("both", Form.ICS).body).walk("VEVENT")
    found = [(str(each["SUMMARY"]), int(each.get("SEQUENCE", 0))) for each in ics]
    told = json.loads(feeds.snapshot_for_public("both", Form.JSON).body)["events"]
    assert [(each["title"], each["sequence"]) for each in told] == found
    for form in (Form.OUTLOOK, Form.LEARNINGSPACE):
        assert feeds.snapshot_for_public("both", form).body.count(b"@calbridge") == len(found)
    assert len({str(each["UID"]) for each in ics}) == len(found)
    return found


def test_a_moved_event_stands_once_though_only_one_calendar_was_read_since(feeds: Feeds, world: World) -> None:
    put(world)
    assert shown(feeds) == [("Optics", 0)]
    world.clock.forward(timedelta(minutes=5))
    put(world, "Optics, later", day=1)
    feeds.refresh(ROOM)
    assert shown(feeds) == [("Optics, later", 1)]
    feeds.refresh(COURSE)
    assert shown(feeds) == [("Optics, later", 1)]


def test_to_be_read_again_makes_nothing_newer(feeds: Feeds, world: World) -> None:
    put(world)
    shown(feeds)
    put(world, "Optics, later")
    world.clock.forward(timedelta(minutes=5))
    feeds.refresh(ROOM)
    before = feeds.snapshot_for_public("both", Form.ICS)
    world.school.put("x", lesson("Optics"), course="math")  # an LMS that tells one of its calendars late
    world.clock.forward(timedelta(minutes=5))
    feeds.refresh(COURSE)
    world.school.put("x", lesson("Optics, later"), course="math")
    feeds.refresh(COURSE)
    assert feeds.snapshot_for_public("both", Form.ICS).etag == before.etag


def test_what_was_cancelled_is_not_shown_by_an_older_reading(feeds: Feeds, world: World) -> None:
    put(world)
    shown(feeds)
    world.clock.forward(timedelta(minutes=5))
    put(world, status=Status.CANCELLED)
    feeds.refresh(ROOM)
    assert shown(feeds) == []


def test_another_process_and_another_order_give_the_same_bytes(feeds: Feeds, world: World) -> None:
    put(world)
    feeds.add("other", "Both", ROOM, COURSE, public=True)
    shown(feeds)
    world.clock.forward(timedelta(minutes=5))
    put(world, "Optics, later", day=1)
    feeds.refresh(COURSE)
    bodies = {
        each.snapshot_for_public(slug, Form.ICS).body for each in (feeds, world.feeds()) for slug in ("both", "other")
    }
    assert len(bodies) == 1


@settings(max_examples=stores.few(20), deadline=None)
@given(
    story=st.lists(
        st.one_of(
            st.tuples(st.sampled_from(["A", "B", "C"]), st.integers(0, 2)),
            st.sampled_from([COURSE, ROOM]),
            st.just(HOUR / 2),
        ),
        max_size=14,
    )
)
@example(story=[("A", 0), ("B", 0), COURSE, ("A", 0), COURSE])
def test_one_uid_stands_once_whatever_is_read_when(story: list[tuple[str, int] | CalendarRef | timedelta]) -> None:
    with TemporaryDirectory() as folder:
        world = new_world(Path(folder))
        feeds = joined(world)
        put(world, "A")
        sequences = [0]
        for step in story:
            world.clock.forward(timedelta(seconds=1))
            if isinstance(step, timedelta):
                world.clock.forward(step)
            elif isinstance(step, CalendarRef):
                feeds.refresh(step)
            else:
                put(world, *step)
            ((_, sequence),) = shown(feeds)
            sequences.append(sequence)
        put(world, "Last")
        for calendar in (COURSE, ROOM):
            world.clock.forward(timedelta(seconds=1))
            feeds.refresh(calendar)
            ((title, sequence),) = shown(feeds)
            assert title == "Last"
            sequences.append(sequence)
        assert sequences == sorted(sequences)
        world.engine.dispose()
