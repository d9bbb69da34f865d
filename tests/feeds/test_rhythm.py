"""A calendar is read when something may have happened, near weeks before far ones, and never beyond the quota."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from app.feeds.feed import USUAL_HORIZON, Form
from app.feeds.rhythm import DAY, Rhythm, a_day, forecast, pace, topped_up
from app.feeds.serve import Feeds
from bridges.contract import Quota
from bridges.model import CalendarRef, Found, RemoteRef, Window
from tests.feeds.world import BERLIN, COURSE, HOUR, MONDAY, School, World, lesson

NOON = datetime(2026, 3, 9, 12, tzinfo=BERLIN)
RHYTHM = Rhythm(HOUR)
WINDOW = USUAL_HORIZON.at(NOON)


@pytest.mark.parametrize(("quiet", "hours"), [(0, 0.5), (1, 1), (23, 1), (24, 2), (71, 2), (72, 4), (10_000, 4)])
def test_news_quickens_and_silence_slows(quiet: int, hours: float) -> None:
    assert RHYTHM.after(NOON, quiet) == NOON + hours * HOUR
    assert Rhythm(HOUR, adaptive=False).after(NOON, quiet) == NOON + HOUR


@pytest.mark.parametrize(
    ("now", "then"),
    [
        ("2026-03-09T21:59", "2026-03-09T22:59"),
        ("2026-03-09T22:00", "2026-03-10T00:00"),
        ("2026-03-10T01:00", "2026-03-10T03:00"),
        ("2026-03-10T04:30", "2026-03-10T06:00"),
        ("2026-03-10T05:30", "2026-03-10T06:30"),
    ],
)
def test_nights_are_slow_and_mornings_are_not_missed(now: str, then: str) -> None:
    assert RHYTHM.after(datetime.fromisoformat(now).replace(tzinfo=BERLIN), 1) == datetime.fromisoformat(then).replace(
        tzinfo=BERLIN
    )


def test_what_is_left_of_a_quota_lasts_until_its_reset() -> None:
    quota = Quota(10_000, 4000, NOON + 12 * HOUR)
    assert pace(1000, quota, NOON) == 3 * HOUR
    assert RHYTHM.after(NOON, 1, pace(1000, quota, NOON)) == NOON + 3 * HOUR
    assert RHYTHM.after(NOON, 1, pace(1000, Quota(10_000, 0, NOON + 12 * HOUR), NOON)) == NOON + DAY
    assert pace(1000, None, NOON) == pace(1000, Quota(10, 0, None), NOON) == timedelta(0)


def test_a_forecast_counts_near_and_far_readings_and_says_what_to_do() -> None:
    def cost(window: Window) -> int:
        return -((window.start - window.end) // timedelta(weeks=16))

    fits = forecast("learn", 100, RHYTHM, WINDOW, NOON, cost, 10_000)
    assert (fits.calls, fits.fits) == (100 * (24 + 4), True)
    tight = forecast("learn", 1000, RHYTHM, WINDOW, NOON, cost, 10_000)
    assert not tight.fits
    assert forecast("learn", 100, RHYTHM, WINDOW, NOON, cost, 10_000, questions=7).calls == fits.calls + 7
    assert "1000 calendars need about 28,000 calls a day, and it permits 10,000" in str(tight)
    assert "feeds.refresh_minutes" in str(tight)
    assert forecast("learn", 1000, RHYTHM, WINDOW, NOON, cost, None).fits
    assert a_day(Quota(10, 5, NOON + HOUR), NOON) == 10
    assert a_day(Quota(10, 5, NOON + timedelta(seconds=50)), NOON) is None


def test_the_near_part_lies_around_today() -> None:
    near = RHYTHM.near_part(WINDOW, NOON)
    assert near == Window(WINDOW.start, datetime(2026, 4, 20, tzinfo=BERLIN))
    assert Rhythm(HOUR, near=timedelta(400)).near_part(WINDOW, NOON) == WINDOW


def found(ref: str, days: float, title: str = "Algebra") -> Found:
    return Found(RemoteRef(ref), lesson(title, MONDAY + days * DAY))


def test_a_near_reading_replaces_what_is_near_alone() -> None:
    near = RHYTHM.near_part(WINDOW, NOON)
    before = [found("a", 1), found("b", 100), found("c", 120)]
    topped = topped_up(before, [found("a", 1, "Geometry"), found("c", 2), found("d", 3)], near, WINDOW)
    assert topped == [found("a", 1, "Geometry"), found("c", 2), found("d", 3), found("b", 100)]
    assert topped_up(before, [found("d", 3)], near, WINDOW) is None  # where did "a" go? Beyond, perhaps


@dataclass(slots=True)
class Spied(School):
    """A school that tells how long the windows were that it was asked for."""

    spans: list[timedelta] = field(default_factory=list)

    def read(self, calendar: CalendarRef, window: Window) -> Sequence[Found]:
        self.spans.append(window.end - window.start)
        return School.read(self, calendar, window)


@pytest.fixture
def school(world: World) -> Spied:
    school = Spied()
    world.school = school
    school.put("near", lesson("Near", MONDAY + DAY))
    school.put("far", lesson("Far", MONDAY + 100 * DAY))
    return school


@pytest.fixture
def feeds(world: World, school: Spied) -> Feeds:
    feeds = world.feeds(rhythm=Rhythm(HOUR, far_every=6 * HOUR, adaptive=False))
    feeds.add("math", "Maths", COURSE, public=True)
    return feeds


def shown(feeds: Feeds) -> str:
    return feeds.snapshot_for_public("math", Form.ICS).body.decode()


def wholes(school: Spied) -> list[bool]:
    return [span > timedelta(days=100) for span in school.spans]


def test_near_weeks_are_read_hourly_and_the_rest_every_six_hours(world: World, school: Spied, feeds: Feeds) -> None:
    for _ in range(8):
        assert "Near" in shown(feeds)
        assert "Far" in shown(feeds)
        world.clock.forward(HOUR)
    assert wholes(school) == [True, False, False, False, False, False, True, False]


def test_a_near_reading_shows_what_changed_near_and_changes_nothing_far(
    world: World, school: Spied, feeds: Feeds
) -> None:
    before = shown(feeds)
    world.clock.forward(HOUR)
    assert shown(feeds) == before
    school.put("near", lesson("Nearer", MONDAY + DAY))
    school.put("far", lesson("Farther", MONDAY + 100 * DAY))
    world.clock.forward(HOUR)
    assert "Nearer" in shown(feeds)
    assert "Farther" not in shown(feeds)
    world.clock.forward(4 * HOUR)
    assert "Farther" in shown(feeds)


def test_an_event_that_moves_out_of_the_near_weeks_is_never_lost(world: World, school: Spied, feeds: Feeds) -> None:
    shown(feeds)
    school.put("near", lesson("Near", MONDAY + 80 * DAY))
    world.clock.forward(HOUR)
    assert "SUMMARY:Near\r\n" in shown(feeds)
    assert wholes(school) == [True, False, True]


def test_a_new_day_and_a_person_who_asks_get_a_whole_reading(world: World, school: Spied, feeds: Feeds) -> None:
    shown(feeds)
    world.clock.forward(HOUR)
    feeds.refresh("math")
    world.clock.moment = datetime(2026, 3, 10, 0, 30, tzinfo=UTC)
    shown(feeds)
    world.clock.forward(HOUR)
    feeds.expire(COURSE)
    shown(feeds)
    assert wholes(school) == [True, True, True, True]


def test_a_calendar_where_nothing_happens_is_read_ever_less_often(world: World, school: Spied) -> None:
    feeds = world.feeds(rhythm=RHYTHM)
    feeds.add("math", "Maths", COURSE, public=True)
    days = []
    for _ in range(14):
        before = len(school.spans)
        for _ in range(24):
            world.clock.forward(HOUR)
            for calendar in feeds.due():
                feeds.refresh(calendar, unless_fresh=True)
        days.append(len(school.spans) - before)
    assert days[0] > 15
    assert days[-1] <= 8
    school.put("new", lesson("New", MONDAY + 14 * DAY))
    feeds.refresh("math")
    state = feeds.state(feeds.by_slug("math"))
    assert state
    assert state.next_check == world.clock() + HOUR / 2


def test_the_quota_stretches_the_rhythm_of_all_calendars_of_its_lms(world: World, school: Spied) -> None:
    feeds = world.feeds(rhythm=Rhythm(HOUR, adaptive=False))
    feeds._quota = lambda lms: Quota(100, 4, world.clock() + 12 * HOUR) if lms == "school" else None
    feeds.add("math", "Maths", COURSE, public=True)
    assert shown(feeds)
    state = feeds.state(feeds.by_slug("math"))
    assert state
    assert state.next_check == world.clock() + 3 * HOUR
    assert "1 calendars need about 24 calls a day, of the 100" in str(feeds.forecast()[0])
