"""The record of every run: what was planned, what became of it, how much the file held, and what it changed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, Row, delete, insert, select, update

from app.imports.subscription import Import
from app.store import tables
from app.store.engine import writing
from bridges.model import CalendarRef


class Ending(StrEnum):
    """How a run ended. Held and left want another run: after a yes, or after a while."""

    RUNNING = "running"
    DONE = "done"
    HELD = "held"
    LEFT = "left"
    FAILED = "failed"
    CANCELLED = "cancelled"
    """It was held, and a person or a newer file said no."""
    EXPIRED = "expired"
    """It was held, and nobody said yes in time."""
    DRY = "dry"
    """Decided only; kept nowhere."""


class Kind(StrEnum):
    """What a run is: an import, or the taking back of one run, or of all runs of an import."""

    IMPORT = "import"
    UNDO = "undo"
    PURGE = "purge"


class NoRun(ValueError):
    """There is no such run."""


class NotWaiting(NoRun):
    """The run is there, but waits for nobody's yes (any more)."""


@dataclass(frozen=True, slots=True)
class Run:
    """One run. `events` counts those of the file; `plan` and `report` are as the API answers them."""

    id: int
    kind: Kind
    source: str
    calendar: CalendarRef
    started_at: datetime
    ended_at: datetime | None
    state: Ending
    events: int
    plan: dict[str, Any] | None = None
    report: dict[str, Any] | None = None
    objections: tuple[str, ...] = ()
    expires_at: datetime | None = None

    def to_json(self) -> dict[str, Any]:
        """All of it; `held` has the objections of a run that waits, and `expires` until when."""
        return {
            "run": self.id,
            "kind": self.kind.value,
            "source": self.source,
            "calendar": str(self.calendar),
            "started": self.started_at.isoformat(),
            "ended": self.ended_at.isoformat() if self.ended_at else None,
            "state": self.state.value,
            "events": self.events,
            "plan": self.plan,
            "report": self.report,
            "held": list(self.objections),
            "expires": self.expires_at.isoformat() if self.expires_at else None,
        }

    def to_text(self) -> str:
        """One line for a terminal."""
        made = self.report or {}
        counts = ", ".join(f"{made[name]} {name}" for name in ("created", "updated", "deleted") if name in made)
        facts = (str(self.id), f"{self.started_at:%Y-%m-%d %H:%M}Z", self.kind, self.state, self.calendar, self.source)
        return "\t".join(map(str, (*facts, counts)))

    def lines(self) -> Iterator[str]:
        """All of it for a terminal, a change a line."""
        yield self.to_text()
        for objection in self.objections:
            yield f"held: {objection}"
        if self.objections and self.expires_at:
            yield f"waits for a yes until {self.expires_at:%Y-%m-%d %H:%M}Z: calbridge run approve {self.id}"
        for change in (self.plan or {}).get("changes", ()):
            when = change["event"]["when"]
            yield f"{change['deed']}\t{when.get('start') or when.get('first')}\t{change['event']['title']}"
        for note in (self.report or {}).get("refused", ()):
            yield f"refused: {note['title']}: {note['reason']}"


class Runs:
    """The table of runs. `now` gives aware times."""

    def __init__(self, engine: Engine, now: Callable[[], datetime]) -> None:
        self._engine = engine
        self._now = now

    def previous(self, job: Import) -> int | None:
        """How many events the file held when this import was last done; None if it never was."""
        columns = tables.import_run.c
        done = (*_of(job.calendar, job.source), columns.state == Ending.DONE.value, columns.kind == Kind.IMPORT.value)
        query = select(columns.read_count).where(*done).order_by(columns.id.desc()).limit(1)
        with self._engine.connect() as connection:
            return connection.execute(query).scalar()

    def get(self, run: int) -> Run:
        """The run of this number. NoRun where there is none."""
        with self._engine.connect() as connection:
            row = connection.execute(_query().where(tables.import_run.c.id == run)).first()
        if row is None:
            raise NoRun(f"there is no run {run}")
        return _to_run(row)

    def latest(self, count: int = 50) -> Sequence[Run]:
        """The latest runs, newest first."""
        with self._engine.connect() as connection:
            rows = connection.execute(_query().order_by(tables.import_run.c.id.desc()).limit(count)).all()
        return [_to_run(row) for row in rows]

    def begin(
        self, calendar: CalendarRef, source: str, kind: Kind = Kind.IMPORT, data: bytes = b"", read_count: int = 0
    ) -> int:
        """A new run, and its number. Called under the calendar's lease: a run that still seems to go on was cut off.

        A file of this import that waits for a yes is overtaken by it.
        """
        columns = tables.import_run.c
        values = {
            "source": source,
            "calendar": str(calendar),
            "started_at": self._now(),
            "kind": kind.value,
            "state": Ending.RUNNING.value,
            "body_hash": hashlib.sha256(data).hexdigest(),
            "read_count": read_count,
        }
        with writing(self._engine) as connection:
            self._cut_off(connection, calendar)
            self._end_held(connection, Ending.CANCELLED, *_of(calendar, source))
            made = connection.execute(insert(tables.import_run).values(values).returning(columns.id))
            return int(made.scalar_one())

    def resume(self, run: Run) -> None:
        """Go on with a run that waited, under the calendar's lease. NotWaiting where somebody else just did."""
        columns = tables.import_run.c
        waits = (columns.id == run.id, columns.id.in_(select(tables.held_import.c.run_id)))
        going = {"state": Ending.RUNNING.value, "ended_at": None}
        with writing(self._engine) as connection:
            self._cut_off(connection, run.calendar)
            if not connection.execute(update(tables.import_run).where(*waits).values(going)).rowcount:
                raise NotWaiting(f"run {run.id} does not wait for a yes any more")

    def end(self, run: int, ending: Ending, plan: dict[str, Any] | None, report: dict[str, Any] | None) -> None:
        """Keep what was planned and what became of it, both as JSON."""
        values = {"ended_at": self._now(), "state": ending.value, "plan": plan, "report": report}
        with writing(self._engine) as connection:
            connection.execute(update(tables.import_run).where(tables.import_run.c.id == run).values(values))

    def cancel(self, run: int) -> None:
        """Say no to a run that waits. NotWaiting where it does not."""
        with writing(self._engine) as connection:
            if not self._end_held(connection, Ending.CANCELLED, tables.import_run.c.id == run):
                raise NotWaiting(f"run {run} does not wait for a yes")

    def expire(self) -> None:
        """Give up what has waited too long: the facts that it was planned on are stale."""
        held = tables.held_import.c
        late = select(held.run_id).where(held.expires_at <= self._now())
        with writing(self._engine) as connection:
            self._end_held(connection, Ending.EXPIRED, tables.import_run.c.id.in_(late))

    def _cut_off(self, connection: Connection, calendar: CalendarRef) -> None:
        columns = tables.import_run.c
        running = (columns.calendar == str(calendar), columns.state == Ending.RUNNING.value)
        failed = {"state": Ending.FAILED.value, "ended_at": self._now()}
        connection.execute(update(tables.import_run).where(*running).values(failed))

    def _end_held(self, connection: Connection, ending: Ending, *which: ColumnElement[bool]) -> int:
        """End what waits, and forget its file; how many these were. What was begun keeps the state that it has."""
        columns, held = tables.import_run.c, tables.held_import.c
        chosen = list(connection.execute(select(columns.id).join(tables.held_import).where(*which)).scalars())
        connection.execute(delete(tables.held_import).where(held.run_id.in_(chosen)))
        waiting = (columns.id.in_(chosen), columns.state == Ending.HELD.value)
        connection.execute(update(tables.import_run).where(*waiting).values(state=ending.value, ended_at=self._now()))
        return len(chosen)


def _of(calendar: CalendarRef, source: str) -> tuple[ColumnElement[bool], ...]:
    return tables.import_run.c.calendar == str(calendar), tables.import_run.c.source == source


def _query() -> Any:
    held = tables.held_import
    return select(tables.import_run, held.c.objections, held.c.expires_at).outerjoin(held)


def _to_run(row: Row[Any]) -> Run:
    return Run(
        id=row.id,
        kind=Kind(row.kind),
        source=row.source,
        calendar=CalendarRef.parse(row.calendar),
        started_at=row.started_at,
        ended_at=row.ended_at,
        state=Ending(row.state),
        events=row.read_count,
        plan=row.plan,
        report=row.report,
        objections=tuple(row.objections or ()),
        expires_at=row.expires_at,
    )
