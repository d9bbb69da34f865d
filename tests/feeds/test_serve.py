"""A feed is the last good reading of its calendar: the same bytes for all, never empty because an LMS is down."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from icalendar import Calendar
from sqlalchemy import insert, select, update

from app.feeds.feed import Did, Disabled, Form, NotReady, Snapshot, Unknown
from app.feeds.schema import SCHEMA
from app.feeds.serve import Feeds
from app.store import tables
from app.store.engine import writing
from app.store.leases import lease
from app.store.values import event_to_json, when_to_json
from bridges.errors import Denied, Transient
from bridges.model import AllDay, CalendarRef, Event, Kind, Timed
from tests.feeds.world import BERLIN, COURSE, HOUR, MONDAY, World, complaints, lesson

DAY = timedelta(days=1)


@pytest.fixture
def feeds(world: World) -> Feeds:
    world.school.put("a", lesson("Algebra"))
    world.school.put("b", lesson("Büro; offen, für alle", MONDAY + DAY))
    feeds = world.feeds()
    feeds.add("math", "Mathematik", COURSE, public=True)
    return feeds


def ics(feeds: Feeds, slug: str = "math") -> Snapshot:
    return feeds.snapshot_for_public(slug, Form.ICS)


def events(feeds: Feeds) -> list[Any]:
    body = json.loads(feeds.snapshot_for_public("math", Form.JSON).body)
    assert complaints(body, SCHEMA) == []
    found: list[Any] = body["events"]
    return found


def titles(feeds: Feeds) -> list[str]:
    return [event["title"] for event in events(feeds)]


def test_what_the_lms_holds_is_published_in_both_forms(feeds: Feeds) -> None:
    assert titles(feeds) == ["Algebra", "Büro; offen, für alle"]
    assert [str(event["SUMMARY"]) for event in Calendar.from_ical(ics(feeds).body).walk("VEVENT")] == titles(feeds)


def test_one_reading_serves_everybody_until_it_is_due_again(world: World, feeds: Feeds) -> None:
    for _ in range(5):
        ics(feeds)
        events(feeds)
    assert world.school.reads == 1
    world.clock.forward(HOUR)
    ics(feeds)
    assert world.school.reads == 2


def test_two_feeds_of_one_calendar_share_its_reading(world: World, feeds: Feeds) -> None:
    feeds.add("maths", "Maths", COURSE, public=True)
    ics(feeds)
    ics(feeds, "maths")
    assert world.school.reads == 1


def test_the_same_events_are_the_same_bytes_after_another_reading(world: World, feeds: Feeds) -> None:
    first = ics(feeds)
    world.clock.forward(HOUR)
    second = ics(feeds)
    assert world.school.reads == 2
    assert (second.body, second.etag, second.changed_at) == (first.body, first.etag, first.changed_at)
    assert second.read_at > first.read_at


def test_another_process_serves_the_same_bytes_and_validators(world: World, feeds: Feeds) -> None:
    first = ics(feeds)
    world.clock.forward(timedelta(minutes=5))
    second = ics(world.feeds())
    assert (second.body, second.etag, second.changed_at) == (first.body, first.etag, first.changed_at)
    assert world.school.reads == 1


def test_what_one_process_read_the_other_serves_at_once(world: World, feeds: Feeds) -> None:
    other = world.feeds()
    ics(feeds)
    ics(other)
    world.school.put("a", lesson("Geometry"))
    feeds.refresh("math")
    assert "Geometry" in titles(other)
    assert ics(other).etag == ics(feeds).etag


def test_bytes_do_not_depend_on_the_seed_of_hashing() -> None:
    program = (
        "import tempfile, hashlib, pathlib, tests.feeds.world as w\n"
        "from app.feeds.feed import Form\n"
        "world = w.new_world(pathlib.Path(tempfile.mkdtemp()))\n"
        "for n in range(20): world.school.put(f'r{n}', w.lesson(f'T{n}', categories=('b', 'a')))\n"
        "feeds = world.feeds(); feeds.add('math', 'M', w.COURSE, public=True)\n"
        "print(hashlib.sha256(feeds.snapshot_for_public('math', Form.ICS).body).hexdigest())\n"
    )
    root = Path(__file__).parents[2]
    seen = {
        subprocess.run(
            [sys.executable, "-c", program], cwd=root, env={"PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in ("1", "2")
    }
    assert len(seen) == 1


def test_the_etag_is_the_hash_of_the_body(feeds: Feeds) -> None:
    assert ics(feeds).etag == sha256(ics(feeds).body).hexdigest()


@pytest.mark.parametrize("what", ["rename", "deletion", "window", "title of the feed"])
def test_a_change_moves_the_validators(world: World, feeds: Feeds, what: str) -> None:
    before = ics(feeds), feeds.snapshot_for_public("math", Form.JSON)
    match what:
        case "rename":
            world.school.put("a", lesson("Geometry"))
        case "deletion":
            world.school.drop("a")
        case "window":
            world.clock.forward(15 * DAY)
        case _:
            with writing(world.engine) as connection:
                connection.execute(update(tables.feed).values(title="Maths"))
    feeds.refresh("math")
    after = ics(feeds), feeds.snapshot_for_public("math", Form.JSON)
    for old, new in zip(before, after, strict=True):
        assert new.etag != old.etag
        assert new.changed_at > old.changed_at


def test_the_window_moves_with_the_days_and_lets_go_of_what_is_past(world: World, feeds: Feeds) -> None:
    world.school.put("far", lesson("Far", MONDAY + 190 * DAY))
    assert "Far" not in titles(feeds)
    world.clock.forward(15 * DAY)
    assert titles(feeds) == ["Büro; offen, für alle", "Far"]


def test_an_lms_that_is_down_costs_no_event(world: World, feeds: Feeds) -> None:
    before = ics(feeds)
    world.school.down = Transient("The LMS is away.", retry_after=7200)
    world.clock.forward(30 * DAY)
    after = ics(feeds)
    assert (after.body, after.etag, after.stale, before.stale) == (before.body, before.etag, True, False)
    assert after.age == 30 * DAY
    assert after.problem == "The LMS is away."


def test_an_lms_that_is_down_is_asked_ever_less_often_and_as_it_wishes(world: World, feeds: Feeds) -> None:
    ics(feeds)
    world.clock.forward(HOUR)
    world.school.down = Transient("The LMS is away.", retry_after=7200)
    ics(feeds)
    world.clock.forward(timedelta(minutes=119))
    ics(feeds)
    assert world.school.reads == 2
    world.clock.forward(timedelta(minutes=1))
    ics(feeds)
    assert world.school.reads == 3
    state = feeds.state(feeds.by_slug("math"))
    assert state
    assert (state.failures, state.problem) == (2, "The LMS is away.")


def test_an_lms_that_is_back_makes_the_feed_fresh_again(world: World, feeds: Feeds) -> None:
    ics(feeds)
    world.clock.forward(HOUR)
    world.school.down = Denied("The password has changed.")
    assert ics(feeds).stale
    world.school.down = None
    world.school.put("a", lesson("Geometry"))
    assert feeds.refresh("math").did is Did.READ
    assert (ics(feeds).stale, ics(feeds).problem) == (False, "")
    assert "Geometry" in titles(feeds)


def test_a_first_reading_that_fails_is_told_with_a_time_to_come_back(world: World, feeds: Feeds) -> None:
    world.school.down = Transient("The LMS is away.", retry_after=120)
    with pytest.raises(NotReady, match=r"'Mathematik' could not be read yet: The LMS is away\.$") as told:
        ics(feeds)
    assert told.value.retry_after == 120
    with pytest.raises(NotReady):
        ics(feeds)
    assert world.school.reads == 1


def test_a_feed_of_an_lms_that_is_not_configured_says_so(feeds: Feeds) -> None:
    feeds.add("lost", "Lost", CalendarRef("elsewhere", Kind.INSTITUTION), public=True)
    with pytest.raises(NotReady, match="no LMS is called 'elsewhere'"):
        ics(feeds, "lost")


def test_a_crash_in_the_first_reading_does_not_block_the_feed(world: World, feeds: Feeds) -> None:
    with writing(world.engine) as connection:
        connection.execute(update(tables.calendar_reading).values(next_check=MONDAY + HOUR))
    assert titles(feeds)


def test_fifty_first_requests_are_one_reading(world: World, feeds: Feeds) -> None:
    world.school.slowness = 0.3
    processes = [feeds, world.feeds()]
    with ThreadPoolExecutor(50) as pool:
        bodies = set(pool.map(lambda number: ics(processes[number % 2]).body, range(50)))
    assert len(bodies) == 1
    assert world.school.reads == 1


def test_fifty_requests_after_a_failed_first_reading_do_not_ask_again(world: World, feeds: Feeds) -> None:
    world.school.slowness = 0.2
    world.school.down = Transient("The LMS is away.")

    def told(_: int) -> bool:
        with pytest.raises(NotReady):
            ics(feeds)
        return True

    with ThreadPoolExecutor(50) as pool:
        assert all(pool.map(told, range(50)))
    assert world.school.reads == 1


def test_while_one_reads_the_others_are_served_what_there_is(world: World, feeds: Feeds) -> None:
    before = ics(feeds).body
    world.clock.forward(HOUR)
    world.school.slowness = 0.5
    world.school.began.clear()
    reader = threading.Thread(target=ics, args=[feeds])
    reader.start()
    assert world.school.began.wait(5)
    assert ics(feeds).body == ics(world.feeds()).body == before
    assert feeds.refresh("math").did is world.feeds().refresh("math").did is Did.BUSY
    reader.join()
    assert world.school.most_at_work == 1
    assert world.school.reads == 2


def test_another_process_that_holds_the_calendar_is_waited_for(world: World, feeds: Feeds) -> None:
    other = world.feeds()
    with ThreadPoolExecutor(1) as pool:
        with lease(world.engine, f"read {COURSE}", world.clock):
            first = pool.submit(ics, feeds)
            threading.Event().wait(0.3)
            assert not first.done()
        assert first.result(5).body == ics(other).body
    assert world.school.reads == 1


def test_the_schedule_reads_what_is_due_and_no_calendar_of_a_disabled_feed(world: World, feeds: Feeds) -> None:
    assert feeds.due() == [COURSE]
    feeds.refresh(COURSE)
    assert feeds.due() == []
    assert feeds.refresh(COURSE, unless_fresh=True).did is Did.FRESH
    world.clock.forward(HOUR)
    assert feeds.due() == [COURSE]
    feeds.disable("math")
    assert feeds.due() == []


def test_an_lms_without_times_of_change_gets_those_when_we_saw_the_content(world: World, feeds: Feeds) -> None:
    first = events(feeds)
    world.clock.forward(HOUR)
    world.school.put("a", lesson("Geometry"))
    changed, unchanged = events(feeds)
    assert unchanged == first[1]
    assert (changed["uid"], changed["sequence"], changed["modified"]) == (first[0]["uid"], 1, "2026-03-09T10:00:00Z")


def test_times_of_change_that_the_lms_keeps_are_published(world: World, feeds: Feeds) -> None:
    world.school.put("a", lesson("Geometry"), modified=datetime(2026, 1, 2, 3, 4, 5, 678900, BERLIN))
    assert events(feeds)[0]["modified"] == "2026-01-02T02:04:05Z"


def test_days_that_the_lms_only_holds_as_instants_are_shown_as_days(world: World, feeds: Feeds) -> None:
    midnight = datetime(2026, 3, 10, tzinfo=BERLIN)
    held = Event("Holiday", Timed(midnight, midnight + DAY))
    world.school.put("ours", held)
    with writing(world.engine) as connection:
        row = {"calendar": str(COURSE), "uid": "u", "slot": "", "source": "s", "generation": 0, "state": "present"}
        row |= {"ref": "ours", "event": event_to_json(held), "starts": midnight, "ends": midnight + DAY, "missing": 0}
        row |= {"days": when_to_json(AllDay(date(2026, 3, 10), date(2026, 3, 11)))}
        connection.execute(insert(tables.entry).values(row | {"changed_at": MONDAY, "error": ""}))
    (shown,) = (event for event in events(feeds) if event["title"] == "Holiday")
    assert (shown["all_day"], shown["start"], shown["end"]) == (True, "2026-03-10", "2026-03-11")


def test_a_token_opens_its_own_feed_and_no_other(feeds: Feeds) -> None:
    _, token = feeds.add("mine", "Mine", COURSE, public=False)
    _, other = feeds.add("other", "Other", COURSE, public=False)
    assert token
    assert other
    assert len(token) == 43
    assert feeds.snapshot_for_token(token, "mine", Form.ICS).body
    for wrong, slug in [
        (token, "other"),
        (other, "mine"),
        (token, "math"),
        ("", "mine"),
        ("\0", "mine"),
        ("\ud800", "mine"),
    ]:
        with pytest.raises(Unknown):
            feeds.snapshot_for_token(wrong, slug, Form.ICS)


def test_a_private_feed_is_not_among_the_public_ones(feeds: Feeds) -> None:
    feeds.add("mine", "Mine", COURSE, public=False)
    for slug in ("mine", "none", "", "\0", "a/b", "MATH"):
        with pytest.raises(Unknown):
            ics(feeds, slug)


def test_rotation_kills_the_old_token_in_every_process_at_once(world: World, feeds: Feeds) -> None:
    _, old = feeds.add("mine", "Mine", COURSE, public=False)
    other = world.feeds()
    assert old
    other.snapshot_for_token(old, "mine", Form.ICS)
    new = feeds.rotate("mine")
    with pytest.raises(Unknown):
        other.snapshot_for_token(old, "mine", Form.ICS)
    assert other.snapshot_for_token(new, "mine", Form.ICS)


def test_no_token_stands_in_the_store(world: World, feeds: Feeds) -> None:
    _, token = feeds.add("mine", "Mine", COURSE, public=False)
    assert token
    with world.engine.connect() as connection:
        (kept,) = connection.execute(select(tables.feed_token.c.hash)).scalars()
    assert kept == sha256(token.encode()).hexdigest()


def test_a_disabled_feed_comes_back_with_its_token(feeds: Feeds) -> None:
    _, token = feeds.add("mine", "Mine", COURSE, public=False)
    assert token
    feeds.disable("mine")
    with pytest.raises(Disabled):
        feeds.snapshot_for_token(token, "mine", Form.ICS)
    feeds.enable("mine")
    assert feeds.snapshot_for_token(token, "mine", Form.ICS)


def test_a_removed_feed_is_gone_with_all_that_was_kept_for_it(world: World, feeds: Feeds) -> None:
    _, token = feeds.add("mine", "Mine", COURSE, public=False)
    assert token
    feeds.snapshot_for_token(token, "mine", Form.ICS)
    feeds.remove("mine")
    with pytest.raises(Unknown):
        feeds.snapshot_for_token(token, "mine", Form.ICS)
    with world.engine.connect() as connection:
        assert connection.execute(select(tables.feed_body)).all() == []
        assert connection.execute(select(tables.feed_token)).all() == []


@pytest.mark.parametrize("slug", ["", "A", "a b", "a/b", "a.b", "-a", "a-", "é", "a" * 101, "a\n"])
def test_a_slug_is_what_can_stand_in_an_address(feeds: Feeds, slug: str) -> None:
    with pytest.raises(ValueError, match="cannot stand in an address"):
        feeds.add(slug, "t", COURSE, public=True)


@pytest.mark.parametrize("title", ["", " \n", "\0", "a" * 256])
def test_a_feed_has_a_title(feeds: Feeds, title: str) -> None:
    with pytest.raises(ValueError, match="needs a title"):
        feeds.add("new", title, COURSE, public=True)
    assert feeds.add("new", "two\nlines\0", COURSE, public=True)[0].title == "two lines"


def test_a_slug_is_taken_once_and_a_public_feed_has_no_token(feeds: Feeds) -> None:
    with pytest.raises(ValueError, match="already"):
        feeds.add("math", "t", COURSE, public=False)
    with pytest.raises(ValueError, match="public"):
        feeds.rotate("math")
    for verb in (feeds.rotate, feeds.enable, feeds.disable, feeds.remove, feeds.refresh, feeds.by_slug):
        with pytest.raises(Unknown):
            verb("none")
    assert [feed.slug for feed in feeds.list()] == ["math"]


def test_what_an_import_writes_while_the_calendar_is_read_is_not_missed(world: World, feeds: Feeds) -> None:
    """The reading may have passed the place already."""
    ics(feeds)
    world.clock.forward(2 * HOUR)
    world.school.slowness = 0.3
    world.school.began.clear()
    with ThreadPoolExecutor() as pool:
        reading = pool.submit(feeds.refresh, COURSE)
        assert world.school.began.wait(5)
        feeds.expire(COURSE)
        assert reading.result().did is Did.READ
    world.school.slowness = 0
    world.school.put("c", lesson("Chemistry"))
    assert b"Chemistry" in ics(feeds).body
    before = world.school.reads
    ics(feeds)
    assert world.school.reads == before
