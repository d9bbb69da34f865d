"""Two wishes of readers: a category for each calendar of a joined feed, and times without time zones."""

from __future__ import annotations

import json
from datetime import date, timedelta
from typing import Any

import pytest
from icalendar import Calendar

from app.feeds.feed import Form
from app.feeds.serve import Feeds
from bridges.model import AllDay, CalendarRef, Event, Kind
from tests.feeds.world import COURSE, HOUR, MONDAY, World, lesson

ART = CalendarRef("school", Kind.COURSE, "art")
DAY = date(2026, 3, 12)


@pytest.fixture
def feeds(world: World) -> Feeds:
    world.school.put("a", lesson("Algebra", categories=("Lecture",)))
    world.school.put("d", Event("Holiday", AllDay(DAY, DAY + timedelta(days=1))))
    world.school.courses["art"] = {}
    world.school.put("b", lesson("Colours", MONDAY + HOUR), course="art")
    feeds = world.feeds()
    feeds.add("all", "All", COURSE, ART, public=True)
    feeds.add("usual", "All", COURSE, ART, public=True)
    return feeds


def categories(feeds: Feeds) -> dict[str, list[str]]:
    told = json.loads(feeds.snapshot_for_public("all", Form.JSON).body)["events"]
    ics: Any = Calendar.from_ical(feeds.snapshot_for_public("all", Form.ICS).body).walk("VEVENT")
    found = {str(each["SUMMARY"]): list(map(str, each.categories)) for each in ics}
    assert {each["title"]: each["categories"] for each in told} == found
    return found


def test_each_calendar_of_a_joined_feed_may_have_a_category_of_its_own(feeds: Feeds) -> None:
    feeds.set("all", ["tag=school/course/MATH=>Mathematics|*/art=>Art"])
    assert categories(feeds) == {"Algebra": ["Mathematics", "Lecture"], "Holiday": ["Mathematics"], "Colours": ["Art"]}


def test_tags_are_no_way_round_privacy_and_no_filter(feeds: Feeds) -> None:
    feeds.set("all", ["tag=*=>Course", "category=lecture"])
    assert categories(feeds) == {"Algebra": ["Course", "Lecture"]}
    feeds.set("all", ["category=", "privacy=busy-only"])
    assert set(map(tuple, categories(feeds).values())) == {()}


@pytest.mark.parametrize("setting", ["tag=Biology", "tag==>Biology", "tag=x=>", "utc=yes"])
def test_what_cannot_be_meant_is_refused(feeds: Feeds, setting: str) -> None:
    with pytest.raises(ValueError, match=f"^{setting[:3]}: "):
        feeds.set("all", [setting])


@pytest.mark.parametrize("form", [Form.ICS, Form.OUTLOOK, Form.GOOGLE, Form.APPLE, Form.JCAL])
def test_utc_names_no_time_zone_and_says_the_same_times(feeds: Feeds, form: Form) -> None:
    before = feeds.snapshot_for_public("all", form)
    feeds.set("all", ["utc=on"])
    after = feeds.snapshot_for_public("all", form)
    assert b"Europe/Berlin" in before.body
    assert before.etag != after.etag
    for word in (b"TZID", b"VTIMEZONE", b"tzid", b"vtimezone", b"Europe"):
        assert word not in after.body


def test_utc_moves_no_event_and_no_day_and_is_for_calendar_programs_alone(feeds: Feeds, world: World) -> None:
    def times(slug: str) -> list[Any]:
        ics: Any = Calendar.from_ical(feeds.snapshot_for_public(slug, Form.ICS).body).walk("VEVENT")
        return [each["DTSTART"].dt for each in ics]

    plain = feeds.snapshot_for_public("all", Form.JSON)
    feeds.set("all", ["utc=on"])
    assert times("all") == times("usual")
    assert all(each == DAY or not each.utcoffset() for each in times("all"))
    again = feeds.snapshot_for_public("all", Form.JSON)
    assert again.body == plain.body
    assert feeds.history.since(again, json.loads(plain.body)["cursor"])  # the cursor is good still
