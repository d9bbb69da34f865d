"""A feed of a source that shows a moving part: nothing is lost by its window, little by its moods, names stay."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from app.feeds.feed import USUAL_HORIZON, Did, Form
from app.feeds.rhythm import Rhythm
from app.feeds.serve import Feeds
from bridges.contract import Tools
from bridges.learningspace import LearningSpaceBridge, LearningSpaceSettings
from bridges.model import CalendarRef, Kind
from tests import stores
from tests.fakes.learningspace import FakeLearningSpace
from tests.fakes.wsgi import session_to

SITE = "https://sim.example.edu"
MONDAY = datetime(2025, 3, 10, 8, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


class Centre:
    """A simulation centre, its feed, and the hours that pass."""

    def __init__(self, folder: Path) -> None:
        self.site = FakeLearningSpace(now=MONDAY, window_days=7)
        self.engine = stores.at(folder / "store.sqlite3")
        settings = {"url": SITE, "zone": "America/New_York", "tries": 1, "keep_minutes": 0}
        tools = Tools(now=lambda: self.site.now, session=session_to({SITE: self.site}))
        bridge = LearningSpaceBridge("sim", LearningSpaceSettings.model_validate(settings), tools)
        self.feeds = Feeds(
            self.engine,
            lambda lms: bridge,
            now=lambda: self.site.now,
            zone=ZoneInfo("America/New_York"),
            horizon=USUAL_HORIZON,
            rhythm=Rhythm(HOUR, adaptive=False),
        )
        self.feeds.add("all", "All", CalendarRef("sim", Kind.INSTITUTION), public=True)

    def book(self, title: str, days: float) -> None:
        self.site.add(title, MONDAY + days * DAY, MONDAY + days * DAY + HOUR, ["Sim 1 (Sim Room)"])

    def pass_time(self, length: timedelta) -> None:
        self.site.now += length
        self.site.refresh()
        assert self.feeds.refresh("all").did is Did.READ

    def body(self) -> str:
        return self.feeds.snapshot_for_public("all", Form.ICS).body.decode()

    def titles(self) -> list[str]:
        return re.findall(r"SUMMARY:(\w+)", self.body())


@pytest.fixture
def centre(tmp_path: Path) -> Iterator[Centre]:
    centre = Centre(tmp_path)
    yield centre
    centre.engine.dispose()


def test_what_has_left_the_sources_window_stays_while_the_feed_shows_that_day(centre: Centre) -> None:
    centre.book("first", 0.1)
    centre.book("second", 3)
    centre.pass_time(HOUR)
    assert centre.titles() == ["first", "second"]
    centre.pass_time(2 * DAY)
    assert centre.titles() == ["first", "second"]
    centre.pass_time(20 * DAY)
    assert centre.titles() == []


def test_a_shorter_window_setting_wipes_nothing(centre: Centre) -> None:
    centre.book("near", 0.5)
    centre.book("far", 5)
    centre.pass_time(HOUR)
    centre.site.window_days = 1
    centre.pass_time(HOUR)
    assert centre.titles() == ["near", "far"]


def test_one_that_is_cancelled_goes_at_once(centre: Centre) -> None:
    for day in range(1, 6):
        centre.book(f"day{day}", day)
    centre.pass_time(HOUR)
    del centre.site.events[2]
    centre.pass_time(HOUR)
    assert centre.titles() == ["day1", "day2", "day4", "day5"]


def test_most_gone_at_once_is_believed_at_the_second_sight_an_hour_later(centre: Centre) -> None:
    for day in range(1, 6):
        centre.book(f"day{day}", day)
    centre.pass_time(HOUR)
    del centre.site.events[:4]
    centre.pass_time(10 * timedelta(minutes=1))
    assert len(centre.titles()) == 5
    state = centre.feeds.state(centre.feeds.by_slug("all"))
    assert state
    assert "4 events are gone at once" in state.problem
    centre.pass_time(30 * timedelta(minutes=1))
    assert len(centre.titles()) == 5
    centre.pass_time(HOUR)
    assert centre.titles() == ["day5"]
    state = centre.feeds.state(centre.feeds.by_slug("all"))
    assert state
    assert state.problem == ""


def test_an_empty_list_empties_no_feed(centre: Centre) -> None:
    centre.book("only", 2)
    centre.pass_time(HOUR)
    centre.site.events.clear()
    centre.pass_time(HOUR)
    assert centre.titles() == ["only"]


def test_an_event_that_moved_within_its_day_keeps_its_uid(centre: Centre) -> None:
    centre.book("moving", 2)
    centre.pass_time(HOUR)
    (uid,) = re.findall(r"UID:(\S+)", centre.body())
    centre.site.events[0].start += HOUR
    centre.site.events[0].end += HOUR
    centre.pass_time(HOUR)
    assert re.findall(r"UID:(\S+)", centre.body()) == [uid]
    assert "SEQUENCE:1" in centre.body()
