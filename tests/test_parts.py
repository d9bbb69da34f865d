"""The parts as one: what a first start without a configuration gives."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

from freezegun import freeze_time

from app.config import parse
from app.feeds.feed import Form
from app.parts import open_parts
from bridges.model import AllDay, Kind, Timed, Window
from tests import stores

SPRING = "2027-03-20T08:00:00Z"


def test_a_first_start_makes_a_campus_around_the_real_today(tmp_path: Path) -> None:
    with freeze_time(SPRING):
        parts = open_parts(parse(stores.setting(tmp_path / "x.sqlite3"), {}))
        kinds = sorted(calendar.ref.kind for calendar in parts.calendars("demo"))
        assert kinds == [Kind.COURSE, Kind.COURSE, Kind.INSTITUTION, Kind.ROOM]
        whole = Window(datetime(2027, 2, 1, tzinfo=UTC), datetime(2027, 9, 1, tzinfo=UTC))
        events = [
            found.event
            for calendar in parts.calendars("demo")
            for found in parts.source("demo").read(calendar.ref, whole)
        ]
    deadlines = [event.when for event in events if isinstance(event.when, Timed) and event.when.start == event.when.end]
    lengths = [event.when.end - event.when.start for event in events if isinstance(event.when, AllDay)]
    assert any(f"{when.start:%H:%M}" == "23:59" for when in deadlines)
    assert {length.days for length in lengths} == {1, 2}
    offsets = {event.when.start.utcoffset() for event in events if isinstance(event.when, Timed)}
    assert len(offsets) == 2, "both sides of a clock change are to be seen"


def test_a_second_start_makes_nothing_twice(tmp_path: Path) -> None:
    settings = parse(stores.setting(tmp_path / "x.sqlite3"), {})
    with freeze_time(SPRING):
        first = open_parts(settings)
        slugs = [feed.slug for feed in first.feeds.list()]
        body = first.feeds.snapshot_for_public(slugs[0], Form.ICS).body
        again = open_parts(settings)
        assert [feed.slug for feed in again.feeds.list()] == slugs
        assert again.feeds.snapshot_for_public(slugs[0], Form.ICS).body == body


def test_of_several_first_starts_at_once_each_comes_up(tmp_path: Path) -> None:
    for number in range(3):
        settings = parse(stores.setting(tmp_path / f"{number}.sqlite3"), {})
        with ThreadPoolExecutor(4) as pool:
            started = list(pool.map(lambda _, settings=settings: open_parts(settings), range(4)))
        assert [len(parts.feeds.list()) for parts in started] == [4, 4, 4, 4]
        for parts in started:
            parts.close()
