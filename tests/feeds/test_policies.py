"""What a feed shows is decided feed by feed, and each decision changes what is sent."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from icalendar import Calendar

from app.feeds.feed import Form
from app.feeds.policies import Cancelled, Policies, Privacy, changed, fits, from_json
from app.feeds.serve import Feeds
from bridges.model import Found, RemoteRef, Status
from tests.feeds.world import COURSE, HOUR, MONDAY, World, lesson

DAY = timedelta(days=1)


@pytest.fixture
def feeds(world: World) -> Feeds:
    world.school.put("a", lesson("OSCE year 3", text="Bring a pen", url="https://x.example/a", categories=("Exam",)))
    world.school.put("b", lesson("Algebra", MONDAY + 3 * DAY, text="Chapter 2", place="Room 1"))
    world.school.put("c", lesson("Gone", MONDAY + 4 * DAY, status=Status.CANCELLED))
    due = Found(RemoteRef("d"), lesson("Essay", MONDAY + 60 * DAY), kind="GradebookColumn")
    world.school.courses["math"][due.ref] = due
    feeds = world.feeds()
    feeds.add("math", "Maths", COURSE, public=True)
    return feeds


def told(feeds: Feeds) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = json.loads(feeds.snapshot_for_public("math", Form.JSON).body)["events"]
    return events


def titles(feeds: Feeds) -> list[str]:
    return [event["title"] for event in told(feeds)]


def vevents(feeds: Feeds) -> dict[str, Any]:
    calendar = Calendar.from_ical(feeds.snapshot_for_public("math", Form.ICS).body)
    return {str(event["SUMMARY"]): event for event in calendar.walk("VEVENT")}


@pytest.mark.parametrize(
    ("settings", "shown"),
    [
        (["title=osce*|alg*"], ["OSCE year 3", "Algebra"]),
        (["title=!osce*"], ["Algebra", "Essay"]),
        (["category=exam"], ["OSCE year 3"]),
        (["kind=Gradebook*"], ["Essay"]),
        (["kind=!gradebookcolumn", "title=*e*"], ["OSCE year 3", "Algebra"]),
        (["ahead=7"], ["OSCE year 3", "Algebra"]),
        (["ahead=1", "back=0"], ["OSCE year 3"]),
        (["rename=osce*=>Exam|Algebra => Maths"], ["Exam", "Maths", "Essay"]),
        (["cancelled=mark"], ["OSCE year 3", "Algebra", "Cancelled: Gone", "Essay"]),
        (["cancelled=show"], ["OSCE year 3", "Algebra", "Gone", "Essay"]),
        (["privacy=busy-only"], ["Busy", "Busy", "Busy"]),
        (["title=none of them"], []),
    ],
)
def test_a_policy_decides_what_is_shown_and_moves_the_validators(
    feeds: Feeds, settings: list[str], shown: list[str]
) -> None:
    forms = [form for form in Form if form is not Form.ATOM]  # which tells what changed at the LMS
    before = [feeds.snapshot_for_public("math", form) for form in forms]
    feeds.set("math", settings)
    assert titles(feeds) == shown
    after = [feeds.snapshot_for_public("math", form) for form in forms]
    for old, new in zip(before, after, strict=True):
        assert old.etag != new.etag
        assert old.changed_at < new.changed_at
    feeds.set("math", [f"{setting.partition('=')[0]}=" for setting in settings])
    assert titles(feeds) == ["OSCE year 3", "Algebra", "Essay"]
    assert feeds.snapshot_for_public("math", Form.ICS).etag == before[0].etag


def test_two_feeds_of_one_calendar_differ_as_their_policies_do(feeds: Feeds, world: World) -> None:
    feeds.add("exams", "Exams", COURSE, public=True, settings=["title=osce*"])
    body = json.loads(feeds.snapshot_for_public("exams", Form.JSON).body)
    assert [event["title"] for event in body["events"]] == ["OSCE year 3"]
    assert len(titles(feeds)) == 3
    assert world.school.reads == 1


def test_a_narrower_window_is_told_and_rolls_with_the_days(feeds: Feeds, world: World) -> None:
    feeds.set("math", ["back=0", "ahead=4"])
    window = json.loads(feeds.snapshot_for_public("math", Form.JSON).body)["window"]
    assert window == {"start": "2026-03-09T00:00:00+01:00", "end": "2026-03-13T00:00:00+01:00"}
    world.clock.forward(2 * DAY)
    assert titles(feeds) == ["Algebra"]


def test_a_busy_feed_tells_nothing_but_times(feeds: Feeds) -> None:
    feeds.set("math", ["privacy=busy-only"])
    for form in Form:
        body = feeds.snapshot_for_public("math", form).body.decode()
        assert not any(word in body for word in ("OSCE", "pen", "x.example", "Exam", "Room", "Algebra"))


def test_no_description_keeps_the_rest(feeds: Feeds) -> None:
    feeds.set("math", ["privacy=no-description"])
    first = told(feeds)[0]
    assert (first["title"], first["text"], first["url"]) == ("OSCE year 3", "", "https://x.example/a")


def test_a_cancelled_event_keeps_nobody_busy_however_it_is_told(feeds: Feeds) -> None:
    for how, title, status in [
        ("mark", "Cancelled: Gone", "CONFIRMED"),
        ("show", "Gone", "CANCELLED"),
        ("both", "Cancelled: Gone", "CANCELLED"),
    ]:
        feeds.set("math", [f"cancelled={how}"])
        event = vevents(feeds)[title]
        assert (event["STATUS"], event["TRANSP"]) == (status, "TRANSPARENT")


def test_alarms_and_colour_are_for_those_who_ask(feeds: Feeds) -> None:
    assert b"VALARM" not in feeds.snapshot_for_public("math", Form.ICS).body
    feeds.set("math", ["alarm=15", "colour=teal"])
    body = feeds.snapshot_for_public("math", Form.ICS).body
    (alarm,) = vevents(feeds)["Algebra"].walk("VALARM")
    assert alarm["TRIGGER"].dt == timedelta(minutes=-15)
    assert alarm["DESCRIPTION"] == "Algebra"
    assert b"COLOR:teal\r\nX-APPLE-CALENDAR-COLOR:#008080\r\n" in body


def test_the_link_stands_in_the_text_too(feeds: Feeds) -> None:
    assert vevents(feeds)["OSCE year 3"]["DESCRIPTION"] == "Bring a pen\n\nhttps://x.example/a"
    assert told(feeds)[0]["text"] == "Bring a pen"


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("", "write key=value"),
        ("size=1", "the keys are back, ahead"),
        ("back=-1", "no number of days"),
        ("back=15", r"read for 14 days \(feeds.back_days\)"),
        ("ahead=x", "no number of days"),
        ("ahead=0", "at least one"),
        ("alarm=soon", "no number of minutes"),
        ("privacy=some", "full, no-description, busy-only"),
        ("cancelled=no", "omit, mark, show, both"),
        ("colour=#fff", "black, blue"),
        ("rename=a", "changes nothing"),
    ],
)
def test_a_setting_that_is_wrong_says_what_fits(feeds: Feeds, setting: str, said: str) -> None:
    before = feeds.by_slug("math")
    with pytest.raises(ValueError, match=said):
        feeds.set("math", ["privacy=busy-only", setting])
    assert feeds.by_slug("math") == before


def test_policies_come_out_of_the_store_as_they_went_in() -> None:
    plain = ("back=1", "ahead=9", "kind=a|!b", "category=c", "title=t", "rename=a=>b", "alarm=5", "colour=red")
    full = changed(Policies(), [*plain, "privacy=no-description", "cancelled=both"])
    assert from_json(json.loads(json.dumps(full.to_json()))) == full
    assert (full.privacy, full.cancelled, full.kind) == (Privacy.NO_DESCRIPTION, Cancelled.BOTH, ("a", "!b"))
    assert from_json(None) == from_json({}) == Policies()


def test_patterns_look_past_case_and_blanks() -> None:
    assert fits(("exam*",), ["Lecture", " EXAM 1 "])
    assert not fits(("exam*", "!*1*"), ["Exam 1"])
    assert fits((), [])
    assert not fits(("x",), [])


def test_texts_are_cut_where_a_feed_is_too_large_for_google(world: World, feeds: Feeds) -> None:
    for number in range(400):
        world.school.put(f"n{number}", lesson(f"Long {number}", MONDAY + number * HOUR, text="word " * 800))
    feeds.refresh("math")
    body = feeds.snapshot_for_public("math", Form.ICS).body
    assert 200_000 < len(body) <= 1_000_000
    assert len(vevents(feeds)) == 403
    assert "word …" in vevents(feeds)["Long 7"]["DESCRIPTION"]
