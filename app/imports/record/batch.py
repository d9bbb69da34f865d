"""Batches: the runs of one routed file, kept together with the file, so that they can be approved or undone as one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, Row, func, insert, select, update

from app.imports.body import compressed, restored
from app.imports.deciding.plan import State
from app.imports.deciding.routes import Routes, routes_of
from app.imports.record.held import import_of, terms_of
from app.imports.record.runs import Ending, NoRun, NotWaiting
from app.imports.subscription import Import
from app.store import tables
from app.store.engine import writing
from bridges.model import CalendarRef, Kind, Window

NOWHERE = CalendarRef("routed", Kind.INSTITUTION)
"""The calendar of a routed import as long as its routes have not been asked."""
PREVIEW = "preview"
"""Where a preview's plans and problems are kept, beside its report."""
_PREVIEWED = tables.import_batch.c.state == Ending.PREVIEWED.value


@dataclass(frozen=True, slots=True)
class Batch:
    """One routed import. `runs` are its runs by calendar, the first one first; `report` is as the API answers it.

    `plans` are those of one that was previewed: of each calendar its counts, its objections and the first changes;
    `problems` are what could not be read of its file.
    """

    id: int
    source: str
    state: Ending
    started_at: datetime
    ended_at: datetime | None
    events: int
    report: dict[str, Any]
    runs: tuple[tuple[int, CalendarRef, Ending], ...]
    plans: tuple[Mapping[str, Any], ...] = ()
    problems: tuple[Mapping[str, Any], ...] = ()

    def to_json(self) -> dict[str, Any]:
        return {
            "batch": self.id,
            "source": self.source,
            "state": self.state.value,
            "started": self.started_at.isoformat(),
            "ended": self.ended_at.isoformat() if self.ended_at else None,
            "events": self.events,
            "runs": [{"run": run, "calendar": str(ref), "state": state.value} for run, ref, state in self.runs],
            "report": self.report,
        }


@dataclass(frozen=True, slots=True)
class Standing:
    """What an import has in one calendar: events inside the window, and whether some are pending."""

    events: int
    pending: bool


class Batches:
    """The table of batches. `now` gives aware times."""

    def __init__(self, engine: Engine, now: Callable[[], datetime]) -> None:
        self._engine = engine
        self._now = now

    def begin(self, job: Import, routes: Routes, events: int = 0, *, state: Ending = Ending.RUNNING) -> int:
        """A new batch, and its number. The files of earlier ones of this import are overtaken.

        One that is QUEUED is a worker's to take up, and again if that worker dies.
        """
        batch = tables.import_batch
        values = {
            "source": job.source,
            "started_at": self._now(),
            "state": state.value,
            "read_count": events,
            "data": compressed(job.data),
            "terms": {**terms_of(job), "routes": routes.to_json()},
            "tries": 0 if state is Ending.QUEUED else None,
        }
        with writing(self._engine) as connection:
            earlier = batch.c.source == job.source
            self._overtake(connection, earlier)
            return int(connection.execute(insert(batch).values(values).returning(batch.c.id)).scalar_one())

    def preview(self, job: Import, routes: Routes, events: int, report: Mapping[str, Any]) -> int:
        """A new batch that nobody has said yes to, and its number. Of earlier ones it overtakes such as it is alone."""
        batch = tables.import_batch
        values = {
            "source": job.source,
            "started_at": self._now(),
            "state": Ending.PREVIEWED.value,
            "read_count": events,
            "data": compressed(job.data),
            "terms": {**terms_of(job), "routes": routes.to_json()},
            "report": dict(report),
        }
        with writing(self._engine) as connection:
            self._end(connection, Ending.CANCELLED, batch.c.source == job.source, _PREVIEWED)
            return int(connection.execute(insert(batch).values(values).returning(batch.c.id)).scalar_one())

    def said_yes(self, id: int, *, approved: bool) -> None:
        """What was previewed is a worker's now; what waited of this import before is overtaken. With `approved` the yes
        holds against whatever speaks against it. NotWaiting where the batch stands otherwise."""
        batch = tables.import_batch
        row = self._row(id)
        if row.state != Ending.PREVIEWED.value or row.data is None:
            raise NotWaiting(f"batch {id} waits for nobody's yes: it is {row.state}")
        values = {"state": Ending.QUEUED.value, "tries": 0, "terms": {**row.terms, "approved": approved}}
        with writing(self._engine) as connection:
            said = update(batch).where(batch.c.id == id, _PREVIEWED).values(values)
            if not connection.execute(said).rowcount:
                raise NotWaiting(f"batch {id} waits for nobody's yes any more")
            self._overtake(connection, (batch.c.source == row.source) & (batch.c.id != id))

    def said_no(self, id: int) -> bool:
        """Call off what was previewed; whether it was."""
        with writing(self._engine) as connection:
            return bool(self._end(connection, Ending.CANCELLED, tables.import_batch.c.id == id, _PREVIEWED))

    def _overtake(self, connection: Connection, earlier: ColumnElement[bool]) -> None:
        """Another file takes their place: what waits for a worker or a yes is called off, and no file is kept."""
        batch = tables.import_batch
        waiting = batch.c.state.in_([Ending.QUEUED.value, Ending.PREVIEWED.value])
        self._end(connection, Ending.CANCELLED, earlier, waiting)
        connection.execute(update(batch).where(earlier).values(data=None))

    def _end(self, connection: Connection, ending: Ending, *which: ColumnElement[bool]) -> int:
        values = {"state": ending.value, "ended_at": self._now(), "data": None}
        return connection.execute(update(tables.import_batch).where(*which).values(values)).rowcount

    def queued(self) -> Sequence[tuple[int, str]]:
        """Those that a worker has to take up, or had taken up, with their sources; the oldest first."""
        batch = tables.import_batch.c
        open_ = (
            batch.tries.is_not(None),
            batch.data.is_not(None),
            batch.state.in_([Ending.QUEUED.value, Ending.RUNNING.value]),
        )
        with self._engine.connect() as connection:
            rows = connection.execute(select(batch.id, batch.source).where(*open_).order_by(batch.id))
            return [(row.id, row.source) for row in rows]

    def take_up(self, id: int) -> int:
        """A worker has begun with it; how many did so by now. NotWaiting where it has ended."""
        batch = tables.import_batch.c
        open_ = (batch.id == id, batch.state.in_([Ending.QUEUED.value, Ending.RUNNING.value]))
        values = {"state": Ending.RUNNING.value, "tries": batch.tries + 1}
        begun = update(tables.import_batch).where(*open_).values(values).returning(batch.tries)
        with writing(self._engine) as connection:
            tries = connection.execute(begun).scalar()
        if tries is None:
            raise NotWaiting(f"batch {id} has ended")
        return int(tries)

    def counted(self, id: int, events: int) -> None:
        """How many events the file holds: the next one is measured by it."""
        batch = tables.import_batch
        with writing(self._engine) as connection:
            connection.execute(update(batch).where(batch.c.id == id).values(read_count=events))

    def end(self, id: int, ending: Ending, report: Mapping[str, Any]) -> None:
        """Keep what became of it."""
        batch = tables.import_batch
        values = {"ended_at": self._now(), "state": ending.value, "report": dict(report)}
        with writing(self._engine) as connection:
            connection.execute(update(batch).where(batch.c.id == id).values(values))

    def get(self, id: int) -> Batch:
        """NoRun where there is none."""
        run = tables.import_run.c
        runs = select(run.id, run.calendar, run.state).where(run.batch == id).order_by(run.id)
        with self._engine.connect() as connection:
            row = self._row(id)
            made = connection.execute(runs).all()
        report = dict(row.report or {})
        shown = report.pop(PREVIEW, {})
        return Batch(
            row.id,
            row.source,
            Ending(row.state),
            row.started_at,
            row.ended_at,
            row.read_count,
            report,
            tuple((each.id, CalendarRef.parse(each.calendar), Ending(each.state)) for each in made),
            tuple(shown.get("plans", ())),
            tuple(shown.get("problems", ())),
        )

    def job(self, id: int) -> tuple[Import, Routes]:
        """The import as it was sent. NoRun where there is no such batch, or a newer file has overtaken it."""
        row = self._row(id)
        if row.data is None:
            raise NoRun(f"batch {id} was overtaken by a newer file of '{row.source}'")
        job = import_of(restored(row.data), NOWHERE, row.source, row.terms)
        return job, routes_of(row.terms["routes"])

    def waiting(self, source: str) -> Sequence[int]:
        """The runs of this import's batches whose files are kept, since they may go on."""
        run = tables.import_run.c
        ours = (run.source == source, run.batch.is_not(None), run.state != Ending.RUNNING.value)
        held = select(tables.held_import.c.run_id).join(tables.import_run).where(*ours)
        with self._engine.connect() as connection:
            return connection.execute(held).scalars().all()

    def previous(self, source: str) -> int | None:
        """How many events the file held when this import was last carried out; None if it never was."""
        batch = tables.import_batch.c
        done = (batch.source == source, batch.state.in_([Ending.DONE.value, Ending.LEFT.value]))
        with self._engine.connect() as connection:
            return connection.execute(select(batch.read_count).where(*done).order_by(batch.id.desc()).limit(1)).scalar()

    def standing(self, source: str, window: Window) -> dict[CalendarRef, Standing]:
        """Where this import has events, or may have."""
        entry = tables.entry.c
        gone = (State.DELETED.value, State.UNWRITTEN.value)
        inside = (entry.starts < window.end) & (entry.ends > window.start)
        query = select(entry.calendar, entry.state, func.count().filter(inside)).where(
            entry.source == source, entry.state.not_in(gone)
        )
        found: dict[CalendarRef, Standing] = defaultdict(lambda: Standing(0, False))
        with self._engine.connect() as connection:
            for calendar, state, count in connection.execute(query.group_by(entry.calendar, entry.state)):
                ref = CalendarRef.parse(calendar)
                known = found[ref]
                found[ref] = Standing(known.events + count, known.pending or State(state).pending)
        return found

    def _row(self, id: int) -> Row[Any]:
        batch = tables.import_batch
        with self._engine.connect() as connection:
            row = connection.execute(select(batch).where(batch.c.id == id)).first()
        if row is None:
            raise NoRun(f"there is no batch {id}")
        return row
