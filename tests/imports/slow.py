"""An LMS that takes its time with each write and counts those under way, and a store that processes may share."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Lock, Thread
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Engine, event

from app.imports.deciding.guard import Guard
from app.imports.run import Imports, Policy
from app.store import tables
from app.store.engine import open_engine
from bridges.contract import SinkRules
from bridges.model import CalendarRef, Event, Kind, RemoteRef, SyncKey, Window
from tests import stores
from tests.imports.lms import KINDS, MemoryLms

OSLO = ZoneInfo("Europe/Oslo")
BEGUN = datetime(2025, 3, 10, 8, tzinfo=UTC)
TERM = Window(datetime(2025, 3, 10, tzinfo=OSLO), datetime(2026, 3, 10, tzinfo=OSLO))
BIG, SMALL = CalendarRef("lms", Kind.COURSE, "big"), CalendarRef("lms", Kind.COURSE, "small")


@dataclass
class SlowLms(MemoryLms):
    """`latency` in seconds; `most` is the highest count of writes that were under way at once."""

    rules: SinkRules = field(default_factory=lambda: replace(KINDS["no keys, no days"], writers=3))
    latency: float = 0.003
    most: int = 0
    busy: int = 0
    lock: Lock = field(default_factory=Lock)

    def create(self, calendar: CalendarRef, key: SyncKey, event: Event) -> RemoteRef:
        with self._under_way(), self.lock:
            return super().create(calendar, key, event)

    def delete(self, calendar: CalendarRef, ref: RemoteRef) -> None:
        with self._under_way(), self.lock:
            super().delete(calendar, ref)

    @contextmanager
    def _under_way(self) -> Iterator[None]:
        with self.lock:
            self.busy += 1
            self.most = max(self.most, self.busy)
        time.sleep(self.latency)
        yield
        with self.lock:
            self.busy -= 1


def ticking() -> Callable[[], datetime]:
    """A clock that goes on from the day of the tests."""
    begun = time.monotonic()
    return lambda: BEGUN + timedelta(seconds=time.monotonic() - begun)


def timetable(count: int, name: str = "lecture") -> bytes:
    """A file of so many events."""
    lines = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//test//EN"]
    for n in range(count):
        start = BEGUN + timedelta(days=1, hours=n)
        event = [f"UID:{name}{n}", "DTSTAMP:20250101T000000Z", f"DTSTART:{start:%Y%m%dT%H%M%SZ}", "DURATION:PT45M"]
        lines += ["BEGIN:VEVENT", *event, f"SUMMARY:{name} {n}", "END:VEVENT"]
    return "\r\n".join([*lines, "END:VCALENDAR", ""]).encode()


def store(path: Path) -> Engine:
    """A store that several processes may share; what a crash of the machine would lose is not what is tested."""
    engine = open_engine(stores.url(path / "store.sqlite3"))
    if stores.ON != "sqlite":
        return engine

    @event.listens_for(engine, "connect")
    def hasten(connection: Any, _: object) -> None:
        connection.execute("PRAGMA synchronous=OFF")

    tables.metadata.create_all(engine)
    return engine


def imports(engine: Engine, lms: MemoryLms, now: Callable[[], datetime], policy: Policy | None = None) -> Imports:
    return Imports(
        engine,
        lambda name: lms,
        now=now,
        zone=OSLO,
        guard=Guard(),
        partner="calbridge",
        policy=policy or Policy(),
    )


@contextmanager
def meanwhile(work: Callable[[], object]) -> Iterator[Mapping[str, float]]:
    """Do it beside the block, and wait for it at its end; `took` is how many seconds it needed."""
    took: dict[str, float] = {}

    def timed() -> None:
        begun = time.monotonic()
        work()
        took["took"] = time.monotonic() - begun

    thread = Thread(target=timed)
    thread.start()
    try:
        yield took
    finally:
        thread.join()


def until(happened: Callable[[], bool], seconds: float = 20.0, stands: Callable[[], object] = lambda: "") -> None:
    """Wait for it. AssertionError where it does not happen, with what `stands` tells then."""
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline, f"it did not happen. {stands()}"
        time.sleep(0.02)
