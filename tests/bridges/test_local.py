"""The calendar of our own keeps the contract, whoever opens it, and seeds its demo once."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import requests
from pydantic import ValidationError
from sqlalchemy import create_engine

from bridges import open_bridge
from bridges.contract import Tools
from bridges.errors import KeyTaken
from bridges.local import LocalBridge, LocalSettings, metadata
from bridges.model import AllDay, CalendarRef, Event, Kind, Timed, Window
from tests.bridges.contract import SPECIMEN, Put, SinkContract, at, key

OSLO = ZoneInfo("Europe/Oslo")
HERE = CalendarRef("ours", Kind.COURSE, "one")


def tools(database: str = "sqlite://", now: datetime = datetime(2025, 3, 12, 10, tzinfo=UTC)) -> Tools:
    return Tools(now=lambda: now, session=requests.Session, database=database)


def opened(path: Path, **settings: object) -> LocalBridge:
    return LocalBridge("ours", LocalSettings.model_validate(settings), tools(f"sqlite:///{path}"))


class TestLocal(SinkContract):
    @pytest.fixture
    def url(self, tmp_path: Path) -> str:
        return f"sqlite:///{tmp_path / 'local.db'}"

    @pytest.fixture
    def bridge(self, url: str, calendar: CalendarRef) -> LocalBridge:
        bridge = LocalBridge("ours", LocalSettings(), tools(url))
        bridge.add_calendar(calendar, "Course one")
        return bridge

    @pytest.fixture
    def calendar(self) -> CalendarRef:
        return HERE

    @pytest.fixture
    def missing(self) -> CalendarRef:
        return CalendarRef("ours", Kind.COURSE, "none")

    @pytest.fixture
    def refused(self, missing: CalendarRef) -> list[CalendarRef]:
        return [CalendarRef("theirs", Kind.COURSE, "one"), missing]

    @pytest.fixture
    def seed(self, url: str, bridge: LocalBridge, calendar: CalendarRef) -> Put:
        another = LocalBridge("ours", LocalSettings(), tools(url))

        def put(event: Event) -> Event:
            another.create(calendar, key(repr(event)), another.fit(event))
            return another.fit(event)

        return put

    @pytest.fixture
    def break_lms(self, url: str, bridge: LocalBridge) -> Callable[[], None]:
        return lambda: metadata.drop_all(create_engine(url))


def test_a_key_is_unique_in_its_calendar_alone() -> None:
    bridge = LocalBridge("ours", LocalSettings(), tools())
    there = CalendarRef("ours", Kind.PERSON, "ann")
    bridge.add_calendar(HERE, "One")
    bridge.add_calendar(there, "Ann")
    bridge.create(HERE, key("a"), SPECIMEN)
    bridge.create(there, key("a"), SPECIMEN)
    with pytest.raises(KeyTaken):
        bridge.create(there, key("a"), SPECIMEN)


def test_a_ref_that_was_deleted_never_names_another_event() -> None:
    bridge = LocalBridge("ours", LocalSettings(), tools())
    bridge.add_calendar(HERE, "One")
    first = bridge.create(HERE, key("a"), at(0))
    bridge.delete(HERE, first)
    assert bridge.create(HERE, key("b"), at(0)) != first


def test_times_come_back_in_their_zone_and_with_their_time_of_change() -> None:
    bridge = LocalBridge("ours", LocalSettings(), tools())
    bridge.add_calendar(HERE, "One")
    start = datetime(2025, 3, 10, 9, tzinfo=OSLO)
    bridge.create(HERE, key("a"), Event("x", Timed(start, start)))
    (found,) = bridge.read(HERE, Window(start, start + timedelta(hours=1)))
    assert isinstance(found.event.when, Timed)
    assert found.event.when.start.tzinfo == OSLO
    assert found.modified == datetime(2025, 3, 12, 10, tzinfo=UTC)


def test_a_calendar_can_be_renamed_and_must_be_ours() -> None:
    bridge = LocalBridge("ours", LocalSettings(), tools())
    bridge.add_calendar(HERE, "One")
    bridge.add_calendar(HERE, "Uno")
    assert [calendar.name for calendar in bridge.calendars()] == ["Uno"]
    with pytest.raises(ValueError, match="ours"):
        bridge.add_calendar(CalendarRef("theirs", Kind.ROOM, "1"), "Room")


def test_settings_refuse_what_they_do_not_know() -> None:
    with pytest.raises(ValidationError):
        LocalSettings.model_validate({"databse": "sqlite://"})
    with pytest.raises(ValidationError, match="Oslow"):
        LocalSettings(zone="Europe/Oslow")


class TestDemo:
    @pytest.fixture
    def demo(self) -> LocalBridge:
        bridge = open_bridge("local", "demo", LocalSettings(demo=True), tools())
        assert isinstance(bridge, LocalBridge)
        return bridge

    def everything(self, bridge: LocalBridge) -> list[Event]:
        window = Window(datetime(2024, 1, 1, tzinfo=OSLO), datetime(2027, 1, 1, tzinfo=OSLO))
        return [found.event for each in bridge.calendars() for found in bridge.read(each.ref, window)]

    def test_it_is_a_campus(self, demo: LocalBridge) -> None:
        kinds = sorted(calendar.ref.kind for calendar in demo.calendars())
        assert kinds == [Kind.COURSE, Kind.COURSE, Kind.INSTITUTION, Kind.ROOM]

    def test_lectures_keep_their_hour_when_the_clocks_change(self, demo: LocalBridge) -> None:
        whens = [event.when for event in self.everything(demo) if "Lecture" in event.title]
        starts = [when.start for when in whens if isinstance(when, Timed)]
        assert {start.astimezone(OSLO).strftime("%a %H:%M") for start in starts} == {"Mon 09:15"}
        assert {start.astimezone(UTC).hour for start in starts} == {7, 8}
        assert min(starts).date() == date(2025, 2, 24)
        assert max(starts).date() == date(2025, 9, 1)

    def test_it_has_every_kind_of_time(self, demo: LocalBridge) -> None:
        whens = [event.when for event in self.everything(demo)]
        assert any(isinstance(when, AllDay) and when.end - when.start == timedelta(days=1) for when in whens)
        assert any(isinstance(when, AllDay) and when.end - when.start == timedelta(days=2) for when in whens)
        timed = [when for when in whens if isinstance(when, Timed)]
        assert any(when.start == when.end and when.start.astimezone(OSLO).strftime("%H%M") == "2359" for when in timed)
        assert any(when.end - when.start > timedelta(days=1) for when in timed)

    def test_it_is_seeded_once(self, tmp_path: Path) -> None:
        first = self.everything(opened(tmp_path / "demo.db", demo=True))
        assert self.everything(opened(tmp_path / "demo.db", demo=True)) == first

    def test_another_connection_in_the_same_database_seeds_its_own(self, tmp_path: Path) -> None:
        opened(tmp_path / "demo.db").add_calendar(HERE, "One")
        url = f"sqlite:///{tmp_path / 'demo.db'}"
        assert len(LocalBridge("demo", LocalSettings(demo=True), tools(url)).calendars()) == 4


def count_after_opening(path: Path) -> int:
    return len(opened(path, demo=True).calendars())


def test_processes_may_open_a_new_database_at_once(tmp_path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        assert pool.map(count_after_opening, [tmp_path / "shared.db"] * 8) == [4] * 8
