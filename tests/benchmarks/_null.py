"""An import whose LMS is nowhere: a sink that takes everything and keeps nothing, and a store in a folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from zoneinfo import ZoneInfo

from app.ics import Limits
from app.imports.body import Data
from app.imports.deciding.guard import Guard
from app.imports.record.outcome import Outcome
from app.imports.run import Imports
from app.store import tables
from app.store.engine import open_engine
from bridges.contract import Drop, Order, SinkRules
from bridges.model import CalendarRef, Event, Kind, RemoteRef, SyncKey, Window

NOW = datetime(2025, 12, 1, tzinfo=UTC)
OSLO = ZoneInfo("Europe/Oslo")
HERE = CalendarRef("null", Kind.COURSE, "one")


@dataclass(slots=True)
class Nowhere:
    """Answers at once."""

    numbers: count[int]
    rules: SinkRules = field(default_factory=lambda: SinkRules(finds_by_key=True))

    def check_target(self, calendar: CalendarRef) -> None:
        """Everything is welcome."""

    def fit(self, event: Event) -> Event:
        return event

    def create(self, calendar: CalendarRef, key: SyncKey, event: Event) -> RemoteRef:
        return RemoteRef(f"e{next(self.numbers)}")

    def update(self, calendar: CalendarRef, ref: RemoteRef, event: Event) -> RemoteRef:
        return ref

    def delete(self, calendar: CalendarRef, ref: RemoteRef) -> None:
        """It was never there."""

    def find(self, calendar: CalendarRef, key: SyncKey, event: Event) -> Sequence[RemoteRef]:
        return []


class Batched(Nowhere):
    """Takes many at a time."""

    def carry_out(self, calendar: CalendarRef, orders: Sequence[Order]) -> Sequence[RemoteRef | None]:
        return [None if isinstance(each, Drop) else each.ref or RemoteRef(f"e{next(self.numbers)}") for each in orders]


def imports(folder: Path, limits: Limits, batch: int = 1) -> Imports:
    """Imports with a store of their own in that folder, made if it is not there; into an LMS that takes so many."""
    engine = open_engine(f"sqlite:///{folder / 'store.sqlite3'}")
    tables.metadata.create_all(engine)
    sink = Nowhere(count()) if batch == 1 else Batched(count(), SinkRules(finds_by_key=True, batch=batch))
    return Imports(
        engine,
        lambda lms: sink,
        now=lambda: NOW,
        zone=OSLO,
        guard=Guard(),
        partner="bench",
        limits=limits,
    )


def bring(into: Imports, data: Data, bounds: tuple[datetime, datetime], *, dry: bool = True) -> Outcome:
    """Import the file."""
    return into.run(data, HERE, Window(*bounds), dry_run=dry)
