"""The record of every run: what was planned, what became of it, how much the file held, and what it changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, tzinfo
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, Row, Select, delete, func, insert, select, update

from app.imports.body import Data, hashed
from app.imports.subscription import Import
from app.store import tables
from app.store.engine import writing
from app.store.slices import Part, Slice, part_of
from bridges.model import CalendarRef


class Ending(StrEnum):
    """How a run ended, or how it stands. Held and left want another run: after a yes, or after a while."""

    QUEUED = "queued"
    """A worker takes it up."""
    RUNNING = "running"
    PAUSED = "paused"
    """A person stopped it; another one, or the same, says when it goes on."""
    DONE = "done"
    HELD = "held"
    LEFT = "left"
    FAILED = "failed"
    CANCELLED = "cancelled"
    """A person or a newer file said no. What was written before stays."""
    PREVIEWED = "previewed"
    """Decided only, and kept with its file for whoever looks at it; it says nothing about anything else."""
    EXPIRED = "expired"
    """It waited for a person, and nobody came in time."""
    DRY = "dry"
    """Decided only; kept nowhere."""


class Kind(StrEnum):
    """What a run is: an import, or the taking back of one run, or of all runs of an import."""

    IMPORT = "import"
    UNDO = "undo"
    PURGE = "purge"
    RESTORE = "restore"
    """What people changed or deleted in the LMS is written again as the file has it."""
    RETRY = "retry"
    """What was refused in another run is tried again, and nothing else."""


WAITING = (Ending.HELD, Ending.PREVIEWED, Ending.PAUSED, Ending.QUEUED)
"""What has a person or a worker to wait for, and goes when nobody comes."""


class NoRun(ValueError):
    """There is no such run."""


class NotWaiting(NoRun):
    """The run is there, but waits for nobody's yes (any more)."""


@dataclass(frozen=True, slots=True)
class Run:
    """One run. `events` counts those of the file, `changed` those that it changed (told where one run is asked for);
    `plan` and `report` are as the API answers them; `reading` is what the reader met: problems, ignored, zones."""

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
    forecast: dict[str, Any] | None = None
    progress: dict[str, Any] | None = None
    background: bool = False
    about: int | None = None
    batch: int | None = None
    changed: int = 0
    reading: dict[str, Any] | None = None

    @property
    def over(self) -> bool:
        """Whether nobody works on it, and nobody will unasked."""
        return self.state not in {Ending.QUEUED, Ending.RUNNING}

    def to_json(self) -> dict[str, Any]:
        """All of it; `held` has the objections of a run that waits, and `expires` until when its file is kept.

        `about` is the run that an undo takes back, or a retry tries again.
        """
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
            "forecast": self.forecast,
            "progress": self.progress,
            "background": self.background,
            "about": self.about,
            "batch": self.batch,
            "changed": self.changed,
            "reading": self.reading,
        }

    def summary(self) -> dict[str, Any]:
        """What it is and what came of it, in counts."""
        made = self.report or {}
        counts = {name: made.get(name, 0) for name in ("created", "updated", "deleted", "unchanged")}
        more = made.get("more", {})
        lists = {name: len(made.get(name, ())) + more.get(name, 0) for name in ("refused", "left")}
        told = {"run": self.id, "kind": self.kind.value, "state": self.state.value, "stopped": made.get("stopped", "")}
        return told | counts | lists | {"held": list(self.objections)}

    def counts(self) -> str:
        """What came of it, or how far it is, for people."""
        if self.state is Ending.RUNNING and self.progress:
            return told(self.progress)
        made = self.report or {}
        counts = [f"{made[name]:,} {name}" for name in ("created", "updated", "deleted") if name in made]
        if made.get("refused"):
            counts.append(f"{len(made['refused']) + made.get('more', {}).get('refused', 0):,} refused")
        return ", ".join(counts)

    def to_text(self, zone: tzinfo = UTC) -> str:
        """One line for a terminal; times in `zone`."""
        started = _moment(self.started_at, zone)
        facts = (self.id, started, self.kind, self.state, self.calendar, self.source, self.counts())
        return "\t".join(map(str, facts))

    def lines(self, zone: tzinfo = UTC) -> Iterator[str]:
        """All of it for a terminal, a change a line; times in `zone`."""
        yield self.to_text(zone)
        yield from self.notes(zone)
        for change in (self.plan or {}).get("changes", ()):
            yield f"{change['deed']}\t{when_told(change['event']['when'], zone)}\t{change['event']['title']}"
        if more := (self.plan or {}).get("more"):
            yield f"… and {more['changes']:,} more"
        for note in (self.report or {}).get("refused", ()):
            yield f"refused: {refusal(note)}"

    def notes(self, zone: tzinfo) -> Iterator[str]:
        """What it waits for or what stopped it, and what to do; times in `zone`."""
        if self.forecast and not self.report:
            yield f"forecast: {self.forecast['text']}"
        for objection in self.objections:
            yield f"held: {objection}"
        until = f" until {_moment(self.expires_at, zone)}" if self.expires_at else ""
        if self.state is Ending.HELD:
            yield f"waits for a yes{until}: calbridge run approve {self.id}"
        elif self.state is Ending.PAUSED:
            yield f"waits{until}: calbridge run resume {self.id}, or cancel"
        elif self.state in {Ending.CANCELLED, Ending.LEFT, Ending.FAILED} and self.report:
            events = "1 event" if self.changed == 1 else f"{self.changed:,} events"
            yield f"what was written of {events} stays; to take it back: calbridge undo {self.id}"
        if (self.report or {}).get("stopped"):
            yield f"stopped: {(self.report or {})['stopped']}"


def told(progress: Mapping[str, Any]) -> str:
    """How far it has come, for a terminal: "310 of 1,240, 12.5 a second, 74 seconds to go"."""
    parts = [f"{progress['phase']}", f"{progress['done']:,} of {progress['of']:,}"]
    parts += [f"{progress['errors']:,} refused"] if progress["errors"] else []
    parts += [f"{progress['rate']:g} a second"] if progress["rate"] else []
    parts += [f"{progress['rest']:,} seconds to go"] if progress["rest"] else []
    return ", ".join(parts)


def when_told(when: Mapping[str, str], zone: tzinfo) -> str:
    """When an event of a plan begins, for people; `when` is as the store writes it."""
    start = datetime.fromisoformat(when["start"]) if "start" in when else None
    return _moment(start, zone) if start and start.tzinfo else when.get("start") or when["first"]


def refusal(note: Mapping[str, Any]) -> str:
    """A line of what was refused: which event, where in the file, and why."""
    line = f" (line {note['line']})" if note.get("line") else ""
    return f"{note['title']}{line}: {note['reason']}"


def _moment(moment: datetime, zone: tzinfo) -> str:
    return f"{moment.astimezone(zone):%Y-%m-%d %H:%M %Z}"


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
            journal = select(func.count()).where(tables.import_change.c.run_id == run)
            changed = connection.execute(journal).scalar() or 0
        if row is None:
            raise NoRun(f"there is no run {run}")
        return replace(_to_run(row), changed=changed)

    def standing(self, run: int) -> tuple[Ending, dict[str, Any] | None]:
        """How a run stands and how far it has come. NoRun where there is none."""
        columns = tables.import_run.c
        with self._engine.connect() as connection:
            row = connection.execute(select(columns.state, columns.progress).where(columns.id == run)).first()
        if row is None:
            raise NoRun(f"there is no run {run}")
        return Ending(row.state), row.progress

    def latest(
        self, count: int = 50, *, calendar: str = "", state: Ending | None = None, before: int | None = None
    ) -> Sequence[Run]:
        """The latest runs, newest first; of one calendar, in one state, and older than that one, if told."""
        run = tables.import_run.c
        told = [run.calendar == calendar] if calendar else []
        told += [run.state == state.value] if state else []
        told += [run.id < before] if before is not None else []
        with self._engine.connect() as connection:
            rows = connection.execute(_query().where(*told).order_by(run.id.desc()).limit(count)).all()
        return [_to_run(row) for row in rows]

    def some(self, asked: Slice, *, calendar: str = "", state: Ending | None = None) -> Part[Run]:
        """Some runs, newest first; searched are calendar and source."""
        run = tables.import_run.c
        told = [run.calendar == calendar] if calendar else []
        told += [run.state == state.value] if state else []
        query = _query().where(*told).order_by(run.id.desc())
        with self._engine.connect() as connection:
            return part_of(connection, query, asked, (run.calendar, run.source)).map(_to_run)

    def begin(
        self,
        calendar: CalendarRef,
        source: str,
        kind: Kind = Kind.IMPORT,
        data: Data = b"",
        read_count: int = 0,
        *,
        about: int | None = None,
        batch: int | None = None,
    ) -> int:
        """A new run, and its number. Called under the calendar's lease: a run that still seems to go on was cut off.

        A file of this import that waits for a yes is overtaken by it.
        """
        values = self._new(calendar, source, kind, data, read_count) | {"about": about, "batch": batch}
        with writing(self._engine) as connection:
            self._cut_off(connection, calendar)
            made = self._insert(connection, values)
            self._overtake(connection, calendar, source, made)
        return made

    def queue(self, calendar: CalendarRef, source: str, data: Data) -> int:
        """A new run that a worker is to take up, and its number."""
        values = self._new(calendar, source, Kind.IMPORT, data, 0)
        with writing(self._engine) as connection:
            return self._insert(connection, values | {"state": Ending.QUEUED.value, "background": True})

    def preview(self, calendar: CalendarRef, source: str, data: Data) -> int:
        """A new run that nobody has said yes to, and its number. It overtakes nothing."""
        values = self._new(calendar, source, Kind.IMPORT, data, 0)
        with writing(self._engine) as connection:
            return self._insert(connection, values | {"state": Ending.PREVIEWED.value})

    def resume(self, run: Run) -> None:
        """Go on with a run, under the calendar's lease. NotWaiting where it stands otherwise than was seen."""
        columns = tables.import_run.c
        seen = (columns.id == run.id, columns.state == run.state.value)
        going = {"state": Ending.RUNNING.value, "ended_at": None, "wish": ""}
        with writing(self._engine) as connection:
            if not connection.execute(update(tables.import_run).where(*seen).values(going)).rowcount:
                raise NotWaiting(f"run {run.id} does not wait any more")
            self._cut_off(connection, run.calendar, besides=run.id)
            self._overtake(connection, run.calendar, run.source, run.id)

    def tell(self, connection: Connection, run: int, progress: dict[str, Any]) -> Ending | None:
        """Keep how far a run has come; how it is to end, where somebody wishes that."""
        columns = tables.import_run.c
        told = update(tables.import_run).where(columns.id == run).values(progress=progress).returning(columns.wish)
        wish = connection.execute(told).scalar()
        return Ending(wish) if wish else None

    def wish(self, run: int, ending: Ending) -> bool:
        """Have a run that goes on end so, between two of its steps; whether it goes on."""
        columns = tables.import_run.c
        goes_on = (columns.id == run, columns.state == Ending.RUNNING.value)
        with writing(self._engine) as connection:
            wished = connection.execute(update(tables.import_run).where(*goes_on).values(wish=ending.value))
        return bool(wished.rowcount)

    def settle(self, run: Run, ending: Ending, **more: Any) -> None:
        """End a run that nobody works on; `more` are further columns. NotWaiting where it stands otherwise than was
        seen."""
        columns = tables.import_run.c
        seen = (columns.id == run.id, columns.state == run.state.value)
        values = {"state": ending.value, "ended_at": self._now(), "wish": "", **more}
        with writing(self._engine) as connection:
            if not connection.execute(update(tables.import_run).where(*seen).values(values)).rowcount:
                raise NotWaiting(f"run {run.id} does not wait any more")

    def end(
        self,
        run: int,
        ending: Ending,
        plan: dict[str, Any] | None,
        report: dict[str, Any] | None,
        **more: Any,
    ) -> None:
        """Keep what was planned and what became of it, both as JSON; `more` are further columns."""
        values = {"ended_at": self._now(), "state": ending.value, "plan": plan, "report": report, "wish": "", **more}
        with writing(self._engine) as connection:
            connection.execute(update(tables.import_run).where(tables.import_run.c.id == run).values(values))

    def queued(self) -> Sequence[tuple[int, CalendarRef]]:
        """What a worker has to take up, the oldest first; also what seems to be taken up already."""
        columns = tables.import_run.c
        states = (Ending.QUEUED.value, Ending.RUNNING.value)
        query = select(columns.id, columns.calendar).where(columns.background, columns.state.in_(states))
        with self._engine.connect() as connection:
            rows = connection.execute(query.order_by(columns.id)).all()
        return [(row.id, CalendarRef.parse(row.calendar)) for row in rows]

    def last(self, calendar: CalendarRef, source: str) -> Row[Any] | None:
        """The latest run of this import, whatever it was; a preview is none. Its plan and report are not read: they may
        be long."""
        run = tables.import_run.c
        columns = (run.id, run.state, run.basis, run.revision, run.read_count)
        query: Select[Any] = select(*columns).where(*_of(calendar, source), _DECIDED).order_by(run.id.desc()).limit(1)
        with self._engine.connect() as connection:
            return connection.execute(query).first()

    def report(self, run: int) -> Mapping[str, Any]:
        """What came of a run, as JSON; nothing where nothing did."""
        columns = tables.import_run.c
        with self._engine.connect() as connection:
            return connection.execute(select(columns.report).where(columns.id == run)).scalar() or {}

    def was_left(self, calendar: CalendarRef, source: str, before: int | None = None) -> bool:
        """Whether the run of this import before that one (None: the last) was left half-way."""
        columns = tables.import_run.c
        earlier = [*_of(calendar, source), _DECIDED, *([columns.id < before] if before is not None else [])]
        query = select(columns.state).where(*earlier).order_by(columns.id.desc()).limit(1)
        with self._engine.connect() as connection:
            return bool(connection.execute(query).scalar() == Ending.LEFT.value)

    def knows(self, calendar: CalendarRef, source: str) -> bool:
        """Whether there ever was a run of this import."""
        return self.last(calendar, source) is not None

    def undone_by(self, run: int) -> int | None:
        """The run that took this one back whole; None if none did."""
        columns = tables.import_run.c
        took_back = (columns.about == run, columns.kind == Kind.UNDO.value, columns.state == Ending.DONE.value)
        query = select(columns.id).where(*took_back).order_by(columns.id.desc()).limit(1)
        with self._engine.connect() as connection:
            return connection.execute(query).scalar()

    def cancel(self, run: int) -> None:
        """Say no to a run that waits. NotWaiting where it does not."""
        with writing(self._engine) as connection:
            if not self._end_waiting(connection, Ending.CANCELLED, tables.import_run.c.id == run):
                raise NotWaiting(f"run {run} does not wait for a yes")

    def expire(self) -> None:
        """Give up what has waited too long: the facts that it was planned on are stale."""
        held = tables.held_import.c
        late = select(held.run_id).where(held.expires_at <= self._now())
        with self._engine.connect() as connection:
            if connection.execute(late.limit(1)).first() is None:
                return
        with writing(self._engine) as connection:
            self._end_waiting(connection, Ending.EXPIRED, tables.import_run.c.id.in_(late))

    def _new(self, calendar: CalendarRef, source: str, kind: Kind, data: Data, read_count: int) -> dict[str, Any]:
        return {
            "source": source,
            "calendar": str(calendar),
            "started_at": self._now(),
            "kind": kind.value,
            "state": Ending.RUNNING.value,
            "body_hash": hashed(data).hex(),
            "read_count": read_count,
        }

    def _insert(self, connection: Connection, values: dict[str, Any]) -> int:
        made = connection.execute(insert(tables.import_run).values(values).returning(tables.import_run.c.id))
        return int(made.scalar_one())

    def _cut_off(self, connection: Connection, calendar: CalendarRef, besides: int | None = None) -> None:
        """What seems to go on in this calendar died with its process. A worker's is taken up by the next."""
        columns = tables.import_run.c
        running = [columns.calendar == str(calendar), columns.state == Ending.RUNNING.value]
        if besides is not None:
            running.append(columns.id != besides)
        for background, ending in ((True, Ending.QUEUED), (False, Ending.FAILED)):
            cut = update(tables.import_run).where(*running, columns.background.is_(background))
            connection.execute(cut.values(state=ending.value, ended_at=self._now()))

    def _overtake(self, connection: Connection, calendar: CalendarRef, source: str, run: int) -> None:
        """Earlier files of an import have nothing to say any more."""
        self._end_waiting(connection, Ending.CANCELLED, *_of(calendar, source), tables.import_run.c.id < run)

    def _end_waiting(self, connection: Connection, ending: Ending, *which: ColumnElement[bool]) -> int:
        """End what waits, and forget its file; how many these were. What was begun keeps the state that it has."""
        columns, held = tables.import_run.c, tables.held_import.c
        chosen = list(connection.execute(select(columns.id).join(tables.held_import).where(*which)).scalars())
        connection.execute(delete(tables.held_import).where(held.run_id.in_(chosen)))
        waiting = (columns.id.in_(chosen), columns.state.in_([state.value for state in WAITING]))
        connection.execute(update(tables.import_run).where(*waiting).values(state=ending.value, ended_at=self._now()))
        return len(chosen)


_DECIDED = tables.import_run.c.state != Ending.PREVIEWED.value


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
        forecast=row.forecast,
        progress=row.progress,
        background=row.background,
        about=row.about,
        batch=row.batch,
        reading=row.reading,
    )
