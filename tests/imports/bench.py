"""A bench for imports without files: a store, an LMS, and what is wanted, as values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

from sqlalchemy import Engine

from app.imports.deciding.desire import wishes
from app.imports.deciding.plan import Desired, Entry, Plan, Unread, make_plan
from app.imports.record.report import Progress, Report, silent
from app.imports.writing.apply import apply, unhindered
from app.imports.writing.ledger import Ledger
from app.imports.writing.progress import At
from app.imports.writing.writer import Writer
from bridges.contract import Sink
from bridges.model import AllDay, CalendarRef, Event, Kind, Occurrence, OccurrenceId, Timed, Window
from tests import stores
from tests.imports.lms import KINDS, MemoryLms

NOW = datetime(2025, 3, 10, 8, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
SCOPE = Window(NOW - 14 * DAY, NOW + 60 * DAY)
HERE = CalendarRef("lms", Kind.COURSE, "one")


def at(hours: float, title: str = "Seminar") -> Event:
    start = NOW + timedelta(hours=hours)
    return Event(title, Timed(start, start + HOUR))


def day(days: int, title: str = "Holiday") -> Event:
    first = date(2025, 3, 10) + timedelta(days=days)
    return Event(title, AllDay(first, first + DAY))


def single(uid: str) -> OccurrenceId:
    return OccurrenceId(uid)


def slot(uid: str, days: int) -> OccurrenceId:
    return OccurrenceId(uid, NOW + days * DAY)


def term(events: int) -> dict[OccurrenceId, Event]:
    """So many lectures of one series, one an hour."""
    return {OccurrenceId("term", NOW + n * HOUR): at(n + 1, f"Lecture {n}") for n in range(events)}


@dataclass
class Bench:
    """`wanted` is the file; `run` imports it through `sink`, the LMS itself unless told otherwise."""

    engine: Engine = field(default_factory=stores.in_memory)
    lms: MemoryLms = field(default_factory=lambda: MemoryLms(KINDS["keys come back"]))
    wanted: dict[OccurrenceId, Event] = field(default_factory=dict)
    calendar: CalendarRef = HERE
    now: datetime = NOW

    @property
    def ledger(self) -> Ledger:
        return Ledger(self.engine, self.calendar, SCOPE, self.now)

    def entries(self) -> Mapping[OccurrenceId, Entry]:
        return self.ledger.entries()

    def fitted(self, sink: Sink | None = None) -> Mapping[OccurrenceId, Desired]:
        occurrences = [Occurrence(id, event) for id, event in self.wanted.items()]
        return wishes(occurrences, sink or self.lms).wanted

    def plan(self, sink: Sink | None = None, source: str = "upload", unread: Iterable[str] = ()) -> Plan:
        return make_plan(
            self.fitted(sink),
            self.entries(),
            calendar=self.calendar,
            source=source,
            scope=SCOPE,
            rules=(sink or self.lms).rules,
            now=self.now,
            unread=Unread(frozenset(unread)),
        )

    def run(self, sink: Sink | None = None, source: str = "upload", progress: Progress = silent) -> Report:
        """Settle, plan, apply."""
        writer = Writer(sink or self.lms, self.ledger, "calbridge", source)
        writer.settle()

        def step(at: At) -> int:
            progress(at.done, at.of)
            return unhindered(at)

        return apply(self.plan(sink, source), writer, step)

    def standing(self) -> Counter[Event]:
        """What is in the LMS, each with how often it stands there."""
        return Counter(self.lms.standing(self.calendar))

    def expected(self) -> Counter[Event]:
        return Counter(desired.event for desired in self.fitted().values())
