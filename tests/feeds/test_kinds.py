"""A feed of several calendars, of a person, of a room: each calendar is read once, whoever joins it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from icalendar import Calendar

from app.feeds.feed import Did, Form, NotReady
from app.feeds.serve import Feeds
from bridges.errors import Gone, Transient
from bridges.model import CalendarRef, Kind
from tests import stores
from tests.feeds.world import COURSE, HOUR, MONDAY, School, World, lesson

DAY = timedelta(days=1)
PHYSICS = CalendarRef("school", Kind.COURSE, "physics")
ART = CalendarRef("school", Kind.COURSE, "art")
ROOM = CalendarRef("school", Kind.ROOM, "lab")
ADA = CalendarRef("school", Kind.PERSON, "ada")


@dataclass(slots=True)
class Campus(School):
    """A school that knows who is enrolled where; `asked` counts what its directory was asked."""

    enrolled: dict[str, list[CalendarRef]] = field(default_factory=dict)
    asked: int = 0

    def calendars_of(self, person: str) -> Sequence[CalendarRef]:
        self.asked += 1
        if self.down:
            raise self.down
        if person not in self.enrolled:
            raise Gone(f"nobody is called '{person}'")
        return self.enrolled[person]


@pytest.fixture
def campus(world: World) -> Campus:
    campus = Campus({"math": {}, "physics": {}, "art": {}, "lab": {}}, enrolled={"ada": [COURSE, PHYSICS]})
    campus.put("m", lesson("Algebra", MONDAY + HOUR))
    campus.put("p", lesson("Optics"), course="physics")
    campus.put("a", lesson("Colours", MONDAY + 2 * HOUR), course="art")
    campus.put("l", lesson("Booked"), course="lab")
    world.school = campus
    return campus


@pytest.fixture
def feeds(world: World, campus: Campus) -> Feeds:
    feeds = world.feeds()
    feeds.add("ada", "Ada", ADA, public=True)
    return feeds


def titles(feeds: Feeds, slug: str = "ada") -> list[str]:
    body = json.loads(feeds.snapshot_for_public(slug, Form.JSON).body)
    found = [event["title"] for event in body["events"]]
    ics = Calendar.from_ical(feeds.snapshot_for_public(slug, Form.ICS).body)
    assert [str(event["SUMMARY"]) for event in ics.walk("VEVENT")] == found
    return found


def test_several_calendars_are_one_feed_in_order(feeds: Feeds, campus: Campus) -> None:
    feed, _ = feeds.add("all", "All", COURSE, PHYSICS, ART, COURSE, public=True)
    assert feed.calendars == (COURSE, PHYSICS, ART)
    assert titles(feeds, "all") == ["Optics", "Algebra", "Colours"]
    assert campus.reads == 3


def test_a_room_is_a_feed_like_any_other(feeds: Feeds) -> None:
    feeds.add("lab", "Lab", ROOM, public=True)
    assert titles(feeds, "lab") == ["Booked"]


def test_the_institutions_calendar_is_a_feed_like_any_other(feeds: Feeds, campus: Campus) -> None:
    campus.courses[""] = {}
    campus.put("i", lesson("Open day"), course="")
    feeds.add("campus", "Campus", CalendarRef("school", Kind.INSTITUTION), public=True)
    assert titles(feeds, "campus") == ["Open day"]


def test_a_change_in_one_of_them_moves_the_validators(feeds: Feeds, campus: Campus) -> None:
    feeds.add("all", "All", COURSE, PHYSICS, public=True)
    before = feeds.snapshot_for_public("all", Form.ICS)
    campus.put("p", lesson("Waves"), course="physics")
    assert feeds.refresh(PHYSICS).did is Did.READ
    assert titles(feeds, "all") == ["Waves", "Algebra"]
    assert feeds.snapshot_for_public("all", Form.ICS).etag != before.etag


def test_one_that_cannot_be_read_costs_the_others_nothing(feeds: Feeds) -> None:
    gone = CalendarRef("elsewhere", Kind.INSTITUTION)
    feeds.add("all", "All", COURSE, gone, public=True)
    snapshot = feeds.snapshot_for_public("all", Form.JSON)
    assert titles(feeds, "all") == ["Algebra"]
    assert (snapshot.stale, snapshot.problem) == (True, "no LMS is called 'elsewhere'")
    assert feeds.refresh("all").did is Did.FAILED


def test_a_person_sees_the_calendars_of_a_day_ago_at_most(feeds: Feeds, campus: Campus, world: World) -> None:
    assert titles(feeds) == ["Optics", "Algebra"]
    campus.enrolled["ada"] = [PHYSICS, ART]
    assert titles(feeds) == ["Optics", "Algebra"]
    world.clock.forward(DAY)
    assert titles(feeds) == ["Optics", "Colours"]


def test_a_refresh_asks_for_the_person_too(feeds: Feeds, campus: Campus) -> None:
    titles(feeds)
    campus.enrolled["ada"] = [ART]
    feeds.refresh("ada")
    assert titles(feeds) == ["Colours"]


def test_a_hundred_persons_cost_the_readings_of_their_courses(feeds: Feeds, campus: Campus, world: World) -> None:
    for number in range(100):
        campus.enrolled[f"p{number}"] = [COURSE, PHYSICS][number % 2 :]
        feeds.add(f"p{number}", "P", CalendarRef("school", Kind.PERSON, f"p{number}"), public=True)
        feeds.snapshot_for_public(f"p{number}", Form.ICS)
    assert (campus.reads, campus.asked) == (2, 100)
    world.clock.forward(HOUR)
    for number in range(100):
        feeds.snapshot_for_public(f"p{number}", Form.ICS)
    assert (campus.reads, campus.asked) == (4, 100)


def test_a_directory_that_is_away_takes_no_course_from_anybody(feeds: Feeds, campus: Campus, world: World) -> None:
    before = titles(feeds)
    world.clock.forward(DAY)
    campus.down = Transient("The LMS is away.")
    snapshot = feeds.snapshot_for_public("ada", Form.ICS)
    assert (titles(feeds), snapshot.stale) == (before, True)
    assert campus.asked == 2


def test_a_crowd_at_the_first_request_asks_once(feeds: Feeds, campus: Campus, world: World) -> None:
    campus.slowness = 0.1
    processes = [feeds, world.feeds()]
    with ThreadPoolExecutor(40) as pool:
        bodies = set(pool.map(lambda n: processes[n % 2].snapshot_for_public("ada", Form.ICS).body, range(40)))
    assert (len(bodies), campus.reads, campus.asked) == (1, 2, 1)


def test_neither_the_schedule_nor_the_page_asks_the_directory(feeds: Feeds, campus: Campus, world: World) -> None:
    assert (feeds.due(), feeds.state(feeds.by_slug("ada")), campus.asked) == ([], None, 0)
    titles(feeds)
    world.clock.forward(2 * DAY)
    assert feeds.due() == [COURSE, PHYSICS]
    assert feeds.state(feeds.by_slug("ada"))
    assert campus.asked == 1


def test_bodies_of_joins_are_not_kept_but_their_validators_are(feeds: Feeds, world: World) -> None:
    first = feeds.snapshot_for_public("ada", Form.ICS)
    assert b"BEGIN:VCALENDAR" not in stores.kept_in(world.engine)
    world.clock.forward(HOUR / 2)
    again = world.feeds().snapshot_for_public("ada", Form.ICS)
    assert (again.body, again.etag, again.changed_at) == (first.body, first.etag, first.changed_at)


def test_a_person_nobody_knows_is_no_empty_feed(feeds: Feeds, campus: Campus) -> None:
    campus.enrolled.clear()
    campus.courses["ada"] = {}
    with pytest.raises(NotReady, match="nobody is called 'ada'"):
        feeds.snapshot_for_public("ada", Form.ICS)


def test_the_person_of_an_lms_without_a_directory_is_read_as_a_calendar(world: World) -> None:
    world.school.courses["ada"] = {}
    world.school.put("x", lesson("Tutorial"), course="ada")
    feeds = world.feeds()
    feeds.add("ada", "Ada", ADA, public=True)
    assert titles(feeds) == ["Tutorial"]
