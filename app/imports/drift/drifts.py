"""What people made of our events: found by a check, kept with the ledger, listed, accepted or written over again.

A check is made on demand and on a rhythm. `next_check` is set before the work, one worker does it, and failures back
off.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Engine, Row, select

from app.imports.deciding.guard import Guard
from app.imports.drift import rounds
from app.imports.drift.changes import Drift, Policy, compared, shown
from app.imports.drift.look import UNREADABLE, Looking, Seen
from app.imports.drift.policies import Policies
from app.imports.record.outcome import Outcome
from app.imports.record.runs import Ending
from app.imports.run import Imports
from app.imports.writing.ledger import Ledger, desired_from_json, slot_from_text
from app.store import tables
from app.store.leases import Busy, lease
from app.store.slices import Part, Slice, part_of
from app.store.values import event_from_json, event_to_json
from bridges.contract import Sink, Source
from bridges.errors import BridgeError, Transient
from bridges.model import CalendarRef, OccurrenceId, Window

DOUBTFUL = (
    "The LMS shows {absent} of {all} events no more: rather the calendar is switched off, or not shown to us. "
    "Nothing counts as deleted; if somebody has deleted them all, say --believe."
)
STRANGE = (
    "Most of what was written stands otherwise: if nobody has changed it, the LMS holds events in a way of its own."
)


class NoDrift(ValueError):
    """There is no such drift (any more)."""


class Look(StrEnum):
    """What came of one check."""

    SAME = "same"
    DRIFTED = "drifted"
    """People have changed or deleted something, and nobody has accepted it."""
    DOUBTFUL = "doubtful"
    """So much is absent that it is not believed."""
    UNKNOWN = "unknown"
    """The LMS shows us nothing of what we write."""
    LEFT = "left"
    """What was to be written over was left half-way."""
    FAILED = "failed"
    BUSY = "busy"


@dataclass(frozen=True, slots=True)
class Check:
    """One check of one calendar. `same` counts what stands as written; `drifts` is all that does not, accepted or not.

    `restored` is the run that wrote over what people made of it, where the policy says so.
    """

    calendar: CalendarRef
    look: Look
    same: int = 0
    drifts: Sequence[Drift] = ()
    restored: Outcome | None = None
    problem: str = ""
    retry_after: float | None = field(default=None, compare=False)

    def __str__(self) -> str:
        found = f"{self.same} as written, {len(self.drifts)} as people made them"
        return f"{self.calendar}: {self.look}: {self.problem or found}"


class Drifts:
    """Checks calendars, and decides what becomes of what was found.

    Safe to share between threads and processes. `open_sink` gives the sink of a connection; `zone` is the home zone;
    `guard` says how much absence is believed; every `every` a calendar is checked that says nothing else (0: never).
    """

    def __init__(
        self,
        engine: Engine,
        open_sink: Callable[[str], Sink],
        imports: Imports,
        policies: Policies,
        *,
        now: Callable[[], datetime],
        zone: ZoneInfo,
        guard: Guard,
        every: timedelta = timedelta(days=1),
    ) -> None:
        self._engine = engine
        self._open_sink = open_sink
        self._imports = imports
        self.policies = policies
        self._now = now
        self._zone = zone
        self._guard = guard
        self._every = every

    # What was found

    def list(self, calendar: CalendarRef | None = None, source: str | None = None) -> Sequence[Drift]:
        """All that does not stand as it was written, oldest entry first; of one calendar or import, if told."""
        return self._drifts(*_standing(calendar, source))

    def some(self, asked: Slice, calendar: CalendarRef | None = None, source: str | None = None) -> Part[Drift]:
        """Some of them; searched are calendar and import."""
        entry = tables.entry.c
        query = select(tables.entry).where(*_standing(calendar, source)).order_by(entry.id)
        with self._engine.connect() as connection:
            return part_of(connection, query, asked, (entry.calendar, entry.source)).map(_to_drift)

    def get(self, ids: Iterable[int]) -> Sequence[Drift]:
        """Those of these numbers. NoDrift where one is not there (any more)."""
        asked = list(dict.fromkeys(ids))
        found = {
            each.id: each for each in self._drifts(tables.entry.c.id.in_(asked), tables.entry.c.drift.is_not(None))
        }
        if missing := [id for id in asked if id not in found]:
            raise NoDrift(f"there is no drift {missing[0]} (any more): 'calbridge drift list' shows those that are")
        return [found[id] for id in asked]

    # Looking

    def check(self, calendar: CalendarRef, source: str | None = None, *, believe: bool = False) -> Check:
        """Compare now; what an overwriting import wrote is written again at once. Told, never raised, but Denied where
        the calendar can never be written.

        With `source` only that import's events are looked at. `believe` takes absence for deletion, however much it is.
        """
        sink = self._open_sink(calendar.lms)
        sink.check_target(calendar)
        if not isinstance(sink, Source):
            return Check(calendar, Look.UNKNOWN, problem=UNREADABLE)
        try:
            with lease(self._engine, f"import {calendar}", self._now):
                seen = self._seen(sink, calendar, source, believe)
        except Busy as busy:
            return Check(calendar, Look.BUSY, problem=str(busy))
        except Transient as error:
            return Check(calendar, Look.FAILED, problem=str(error), retry_after=error.retry_after)
        except BridgeError as error:
            return Check(calendar, Look.UNKNOWN, problem=str(error))
        return self._told(calendar, source, seen, self._overwritten(calendar, source))

    def accept(self, ids: Iterable[int]) -> Sequence[Drift]:
        """It is well as people have it; an import asks again only when its file changes. NoDrift, Busy."""
        drifts = self.get(ids)
        for calendar, some in _by_calendar(drifts):
            with lease(self._engine, f"import {calendar}", self._now):
                ledger = self._ledger(calendar)
                for each in some:
                    ledger.accepted(each.occurrence)
        return self.get(each.id for each in drifts)

    def restore(self, ids: Iterable[int]) -> Sequence[Outcome]:
        """Write again as the file has it: a run for each calendar. NoDrift, Busy, Denied."""
        return [self._restored(calendar, some) for calendar, some in _by_calendar(self.get(ids))]

    # The rhythm

    def wrote(self, calendar: CalendarRef) -> None:
        """An import wrote into the calendar: from now on it is checked."""
        rounds.begin(self._engine, calendar, self._now() + (self._every or timedelta(days=1)))

    def set_rhythm(self, calendar: CalendarRef, hours: int | None) -> None:
        """Check it every so many hours, 0: never; None: as usual."""
        rounds.set_hours(self._engine, calendar, hours, self._now())

    def due(self, now: datetime) -> Sequence[CalendarRef]:
        """The calendars to check now, the one that waits longest first."""
        return rounds.due(self._engine, now, self._every)

    def run(self, calendar: CalendarRef) -> Check | None:
        """Check one that is due; None where somebody else has just been there."""
        if not rounds.book(self._engine, calendar, self._now(), self._every):
            return None
        try:
            check = self.check(calendar)
        except BridgeError as error:  # no such connection or calendar any more
            check = Check(calendar, Look.UNKNOWN, problem=str(error))
        failed = check.look in {Look.FAILED, Look.BUSY}
        rounds.keep(self._engine, calendar, self._now(), check.problem, failed=failed, retry_after=check.retry_after)
        return check

    # Within

    def _seen(self, sink: Sink, calendar: CalendarRef, source: str | None, believe: bool) -> Seen:
        ledger, now = self._ledger(calendar), self._now()
        entries = [each for each in ledger.entries().values() if source in (None, each.source)]
        ahead = Window(now.astimezone(self._zone) - timedelta(days=1), datetime(2200, 1, 1, tzinfo=self._zone))
        return Looking(sink, ledger, self._guard).at(compared(entries, ahead, now), believe=believe)

    def _overwritten(self, calendar: CalendarRef, source: str | None) -> Outcome | None:
        policy = self.policies.of(calendar)
        ours = [each for each in self.list(calendar, source) if policy(each.source) is Policy.OVERWRITE]
        try:
            return self._restored(calendar, ours) if ours else None
        except Busy:
            return None  # the import that works there does it itself

    def _restored(self, calendar: CalendarRef, drifts: Sequence[Drift]) -> Outcome:
        return self._imports.restore(calendar, drifts)

    def _told(self, calendar: CalendarRef, source: str | None, seen: Seen, restored: Outcome | None) -> Check:
        drifts, comparison = self.list(calendar, source), seen.comparison
        again = restored.report.created + restored.report.updated if restored and restored.report else 0
        told = Check(calendar, Look.SAME, comparison.same + again, drifts, restored)
        if seen.doubtful:
            absent = len(comparison.absent)
            count = comparison.same + len(comparison.changed) + absent
            return replace(told, look=Look.DOUBTFUL, problem=DOUBTFUL.format(absent=absent, all=count))
        if restored is not None and restored.state is not Ending.DONE:
            stopped = restored.report.stopped if restored.report else " ".join(restored.objections)
            return replace(told, look=Look.LEFT, problem=stopped)
        waits = any(not each.accepted for each in drifts)
        strange = len(comparison.changed) > max(self._guard.count, comparison.same)
        return replace(told, look=Look.DRIFTED if waits else Look.SAME, problem=STRANGE if strange else "")

    def _ledger(self, calendar: CalendarRef) -> Ledger:
        start = datetime(1970, 1, 1, tzinfo=self._zone)
        return Ledger(self._engine, calendar, Window(start, datetime(2200, 1, 1, tzinfo=self._zone)), self._now())

    def _drifts(self, *wanted: Any) -> Sequence[Drift]:
        with self._engine.connect() as connection:
            rows = connection.execute(select(tables.entry).where(*wanted).order_by(tables.entry.c.id)).all()
        return [_to_drift(row) for row in rows]


def _standing(calendar: CalendarRef | None, source: str | None) -> list[ColumnElement[bool]]:
    entry = tables.entry.c
    wanted: list[ColumnElement[bool]] = [entry.drift.is_not(None), entry.state.in_(("edited", "dismissed"))]
    wanted += [entry.calendar == str(calendar)] if calendar else []
    return wanted + ([entry.source == source] if source else [])


def drift_to_json(drift: Drift) -> dict[str, Any]:
    """One flat object; `differences` has what we wrote and what stands there, field by field, as text."""
    return {
        "id": drift.id,
        "calendar": str(drift.calendar),
        "name": drift.source,
        "uid": drift.occurrence.uid,
        "slot": drift.occurrence.slot_text,
        "kind": drift.kind.value,
        "seen": drift.seen.isoformat(),
        "accepted": drift.accepted,
        "written": event_to_json(drift.written),
        "theirs": event_to_json(drift.theirs) if drift.theirs else None,
        "file": event_to_json(drift.ours.event) if drift.ours else None,
        "differences": {name: [shown(one), shown(other)] for name, (one, other) in drift.differences().items()},
    }


def check_to_json(check: Check) -> dict[str, Any]:
    """The check with every drift that stands."""
    return {
        "calendar": str(check.calendar),
        "look": check.look.value,
        "same": check.same,
        "drifts": [drift_to_json(each) for each in check.drifts],
        "restored": check.restored.to_json() if check.restored else None,
        "problem": check.problem,
    }


def _by_calendar(drifts: Iterable[Drift]) -> Sequence[tuple[CalendarRef, Sequence[Drift]]]:
    found: dict[CalendarRef, list[Drift]] = defaultdict(list)
    for each in drifts:
        found[each.calendar].append(each)
    return list(found.items())


def _to_drift(row: Row[Any]) -> Drift:
    drift = row.drift
    return Drift(
        id=row.id,
        calendar=CalendarRef.parse(row.calendar),
        source=row.source,
        occurrence=OccurrenceId(row.uid, slot_from_text(row.slot)),
        seen=datetime.fromisoformat(drift["seen"]),
        written=event_from_json(row.event),
        theirs=event_from_json(drift["theirs"]) if drift["theirs"] else None,
        ours=desired_from_json(drift["ours"]) if drift["ours"] else None,
        accepted=drift["accepted"],
    )
