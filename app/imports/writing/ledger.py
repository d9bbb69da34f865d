"""What we wrote into one calendar and what became of it: every method is one committed transaction.

A row turns pending before the LMS is called and is settled after it answered. Whatever stands pending when a run
begins was interrupted, and nobody knows yet whether it landed. With the intent goes a line into the journal of the
run: what stood there before, and what the run leaves. It is struck out where the change was not made after all.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, datetime, tzinfo
from threading import RLock
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, Row, Select, Table, case, delete, insert, null, select, update

from app.imports.deciding.plan import BY_CONTENT, Change, Create, Delete, Desired, Entry, Plan, State, Update
from app.imports.deciding.undo import Line
from app.imports.spool import in_blocks
from app.store import tables
from app.store.engine import writing
from app.store.values import event_from_json, event_to_json, when_from_json, when_to_json
from bridges.model import AllDay, CalendarRef, Event, OccurrenceId, RemoteRef, Timed, Window

_PENDING = tables.entry.c.state.in_([state.value for state in State if state.pending])
_UNREAD = {"calendar", "starts", "ends", "changed_at", "drift"}
_READ = tuple(column for column in tables.entry.c if column.name not in _UNREAD)
"""What an Entry is made of: times and JSON that nobody asks for would take half as long again."""
PAGE = 500
"""Entries that are read at a time where they may be many."""


class Ledger:
    """The entries of one calendar. `scope` lays out all-day events (in its start's zone); `now` is in UTC or aware.

    Threads that share a ledger take turns.
    """

    def __init__(self, engine: Engine, calendar: CalendarRef, scope: Window, now: datetime) -> None:
        self.calendar = calendar
        self._engine = engine
        self.scope = scope
        self._now = now
        self._lock = RLock()
        self._connection: Connection | None = None

    @contextmanager
    def together(self) -> Iterator[Connection]:
        """One transaction around all that is written within the block; it raises the calendar's revision."""
        with self._lock:
            if self._connection is not None:
                yield self._connection
                return
            with writing(self._engine) as connection:
                self._connection = connection
                try:
                    yield connection
                    self._raise_revision(connection)
                finally:
                    self._connection = None

    @contextmanager
    def beside(self) -> Iterator[Connection]:
        """A transaction for what is no part of the ledger, in turn with those of the threads that share it."""
        with self._lock, writing(self._engine) as connection:
            yield connection

    def unsettled(self) -> bool:
        """Whether an earlier run left anything pending."""
        query = select(tables.entry.c.id).where(tables.entry.c.calendar == str(self.calendar), _PENDING).limit(1)
        with self._lock, self._engine.connect() as connection:
            return connection.execute(query).first() is not None

    def revision(self) -> int:
        """How often the ledger of this calendar was written to: the same number says that nothing has changed."""
        table = tables.ledger_revision
        with self._lock, self._engine.connect() as connection:
            query = select(table.c.revision).where(table.c.calendar == str(self.calendar))
            return connection.execute(query).scalar() or 0

    def _raise_revision(self, connection: Connection) -> None:
        table = tables.ledger_revision
        one_more = update(table).where(table.c.calendar == str(self.calendar)).values(revision=table.c.revision + 1)
        if not connection.execute(one_more).rowcount:
            connection.execute(insert(table).values(calendar=str(self.calendar), revision=1))

    def entries(self) -> Mapping[OccurrenceId, Entry]:
        """Every entry of the calendar, whichever import wrote it, deleted ones included."""
        query = select(*_READ).where(tables.entry.c.calendar == str(self.calendar)).order_by(tables.entry.c.id)
        with self._lock, self._engine.connect() as connection:
            entries = [_to_entry(row) for row in connection.execute(query)]
        return {entry.id: entry for entry in entries}

    def walk(self) -> Iterator[Entry]:
        """The same one after the other; they are read in pages, and never held."""
        for page in self._pages():
            yield from map(_to_entry, self._rows(tables.entry.c.id.in_([row.id for row in page])))

    def pending(self) -> Mapping[OccurrenceId, Entry]:
        """What an earlier run left so."""
        return {entry.id: entry for entry in map(_to_entry, self._rows(_PENDING))}

    def refs(self) -> set[RemoteRef]:
        """What every entry is called in the LMS, as far as it has told."""
        ref = tables.entry.c.ref
        query = select(ref).where(tables.entry.c.calendar == str(self.calendar), ref.is_not(None))
        with self._lock, self._engine.connect() as connection:
            return set(map(RemoteRef, connection.execute(query).scalars()))

    def uids(self) -> Iterator[str]:
        """Every UID that has an entry."""
        entry, last = tables.entry.c, ""
        while True:
            query = select(entry.uid).where(entry.calendar == str(self.calendar), entry.uid > last).distinct()
            with self._lock, self._engine.connect() as connection:
                page = connection.execute(query.order_by(entry.uid).limit(10 * PAGE)).scalars().all()
            if not page:
                return
            yield from page
            last = page[-1]

    def of(self, uids: Iterable[str]) -> Mapping[OccurrenceId, Entry]:
        """Every entry of these UIDs."""
        blocks = in_blocks(uids, PAGE)
        rows = (row for block in blocks for row in self._rows(tables.entry.c.uid.in_(block)))
        return {entry.id: entry for entry in map(_to_entry, rows)}

    def besides(self, uids: Container[Any], source: str) -> Iterator[Mapping[OccurrenceId, Entry]]:
        """The entries that this import answers for, under any other UID; a page at a time."""
        for page in self._pages(tables.entry.c.source == source):
            if other := [row.id for row in page if row.uid not in uids]:
                yield {entry.id: entry for entry in map(_to_entry, self._rows(tables.entry.c.id.in_(other)))}

    def names_by_content(self, source: str) -> bool:
        """Whether this import has entries whose UID is of our own making."""
        ours = (tables.entry.c.source == source, tables.entry.c.uid.startswith(BY_CONTENT, autoescape=True))
        query = select(tables.entry.c.id).where(tables.entry.c.calendar == str(self.calendar), *ours).limit(1)
        with self._lock, self._engine.connect() as connection:
            return connection.execute(query).first() is not None

    def _pages(self, *which: ColumnElement[bool]) -> Iterator[Sequence[Any]]:
        """The number and the UID of each entry, in the order of their numbers."""
        entry, last = tables.entry.c, -1
        ours = (entry.calendar == str(self.calendar), *which)
        while True:
            query = select(entry.id, entry.uid).where(*ours, entry.id > last).order_by(entry.id).limit(PAGE)
            with self._lock, self._engine.connect() as connection:
                page = connection.execute(query).all()
            if not page:
                return
            yield page
            last = page[-1].id

    def _rows(self, which: ColumnElement[bool]) -> Sequence[Row[Any]]:
        query: Select[Any] = select(*_READ).where(tables.entry.c.calendar == str(self.calendar), which)
        with self._lock, self._engine.connect() as connection:
            return connection.execute(query.order_by(tables.entry.c.id)).all()

    def journal(self, run: int) -> Sequence[Line]:
        """What the run changed, in the order in which it meant to; times are shown in the zone of the scope."""
        table = tables.import_change
        query = select(table).where(table.c.calendar == str(self.calendar), table.c.run_id == run).order_by(table.c.id)
        with self._lock, self._engine.connect() as connection:
            return [_to_line(row, self.scope.start.tzinfo) for row in connection.execute(query)]

    def intend(self, change: Change, source: str, run: int | None = None) -> None:
        """Write down what is about to be done, in the journal of the run too if there is one.

        Committed when this returns: only then may the LMS be called.
        """
        with self.together():
            if run is not None:
                left = {} if isinstance(change, Delete) else self._content(change.event, change.days)
                self._journal(change.id, run, stood=not isinstance(change, Create), left=left)
            if isinstance(change, Create):
                self._put(change, source, run)
            elif isinstance(change, Update):
                content = self._content(change.event, change.days)
                before = _desired_to_json(change.before)
                self._change(change.id, **content, before=before, state=State.PENDING_UPDATE, source=source, run=run)
            else:
                self._change(change.id, state=State.PENDING_DELETE, run=run)

    def written(self, id: OccurrenceId, ref: RemoteRef) -> None:
        """The event stands in the LMS as meant, under this ref."""
        self._change(id, state=State.PRESENT, ref=ref, before=None, error="", missing=0, drift=None)

    def deleted(self, id: OccurrenceId) -> None:
        """The event is not in the LMS any more."""
        self._change(id, state=State.DELETED, before=None, error="", drift=None)

    def drifted(self, id: OccurrenceId, theirs: Event | None) -> None:
        """A person made `theirs` of it in the LMS, None: deleted it; a change that was pending is not made (any more).

        What the file wants of it is kept beside, and a decision about the same drift stays.
        """
        with self.together():
            row = self._entry_row(id)
            if row is None:
                return
            state = State(row.state)
            shown = event_to_json(theirs) if theirs else None
            known = row.drift or {}
            same = state.drifted and known.get("theirs") == shown
            drift = {
                "seen": known["seen"] if same else self._now.isoformat(),
                "theirs": shown,
                "ours": known["ours"] if state.drifted else _meant(row, state),
                "accepted": bool(same and known["accepted"]),
            }
            if state.pending:
                self._strike(id)
            self._change(id, state=State.EDITED if theirs else State.DISMISSED, before=None, error="", drift=drift)

    def mended(self, id: OccurrenceId) -> None:
        """A person made it again what we wrote."""
        self._change(id, state=State.PRESENT, error="", drift=None)

    def accepted(self, id: OccurrenceId) -> None:
        """It is well as a person has it; what the file wants by now counts as answered."""
        with self.together():
            row = self._entry_row(id)
            if row is None or not State(row.state).drifted:
                return
            ours = desired_from_json(row.drift["ours"]) if row.drift["ours"] else None
            content = self._content(ours.event, ours.days) if ours else {}
            self._change(id, **content, drift={**row.drift, "accepted": True})

    def unwritten(self, id: OccurrenceId, reason: str = "") -> None:
        """The create surely did not land."""
        with self.together():
            self._strike(id)
            self._change(id, state=_unless_drifted(State.UNWRITTEN, State.DISMISSED), ref=None, error=reason)

    def refused(self, change: Change, reason: str) -> None:
        """The LMS would not have the change: the entry is again what it was."""
        if isinstance(change, Create):
            self.unwritten(change.id, reason)
            return
        before = self._content(change.before.event, change.before.days) if isinstance(change, Update) else {}
        with self.together():
            self._strike(change.id)
            state = _unless_drifted(State.PRESENT, State.EDITED)
            self._change(change.id, **before, before=None, state=state, error=reason)

    def observe(self, plan: Plan, run: int | None = None, owners: Mapping[OccurrenceId, str] | None = None) -> None:
        """Keep what a reading showed without a change: who answers for what stands, and what is missing how often.

        The plan's source answers for what it adopted, but for the `owners` of events that are given back.
        """
        entry = tables.entry.c
        with self.together():
            for id in plan.adopted:
                self._adopt(id, (owners or {}).get(id, plan.source), run)
            for id in plan.absent:
                self._change(id, missing=entry.missing + 1)
            for id in plan.found:
                self._change(id, missing=0)
            for id in plan.forgotten:
                self.deleted(id)
            for each in plan.spared:
                self._wished(each.entry.id, each.wanted)

    def _wished(self, id: OccurrenceId, wanted: Desired | None) -> None:
        """Keep what the file wants of an event that is left to a person: a decision for it writes that."""
        row = self._entry_row(id)
        ours = _desired_to_json(wanted) if wanted else None
        if row is not None and row.drift and row.drift["ours"] != ours:
            self._change(id, drift={**row.drift, "ours": ours})

    def _adopt(self, id: OccurrenceId, source: str, run: int | None) -> None:
        stands = self._entry_row(id)
        if run is not None and stands is not None:
            self._journal(id, run, stood=True, left={"event": stands.event, "days": stands.days})
        self._change(id, source=source, run=run)

    def _put(self, change: Create, source: str, run: int | None) -> None:
        """The row of an occurrence is made once and lives for ever: its generation must not be forgotten."""
        values = {
            **self._content(change.event, change.days),
            "source": source,
            "generation": change.generation,
            "state": State.PENDING_CREATE.value,
            "ref": None,
            "before": None,
            "missing": 0,
            "changed_at": self._now,
            "error": "",
            "run": run,
        }
        with self.together() as connection:
            known = update(tables.entry).where(*self._row(change.id)).values(values)
            if not connection.execute(known).rowcount:
                connection.execute(insert(tables.entry).values(self._name(change.id) | values))

    def _journal(self, id: OccurrenceId, run: int, *, stood: bool, left: Mapping[str, Any]) -> None:
        """What stood before the run is what stood before its first try."""
        table = tables.import_change
        leaves = {"left_event": left.get("event"), "left_days": left.get("days")}
        with self.together() as connection:
            known = update(table).where(*self._row(id, table), table.c.run_id == run).values(leaves)
            if connection.execute(known).rowcount:
                return
            entry = self._entry_row(id) if stood else None
            before = {"event": entry.event, "days": entry.days, "source": entry.source} if entry else {}
            connection.execute(insert(table).values({"run_id": run, **self._name(id), **leaves, **before}))

    def _strike(self, id: OccurrenceId) -> None:
        """The change that the entry stands pending for was not made: the run that left it so is the one before."""
        entry, change = tables.entry, tables.import_change
        latest = select(change.c.run_id).where(*self._row(id, change)).order_by(change.c.id.desc()).limit(1)
        run = select(entry.c.run).where(*self._row(id))
        with self.together() as connection:
            connection.execute(delete(change).where(*self._row(id, change), change.c.run_id == run.scalar_subquery()))
            connection.execute(update(entry).where(*self._row(id)).values(run=latest.scalar_subquery()))

    def _entry_row(self, id: OccurrenceId) -> Row[Any] | None:
        with self.together() as connection:
            return connection.execute(select(tables.entry).where(*self._row(id))).first()

    def _change(self, id: OccurrenceId, **values: Any) -> None:
        with self.together() as connection:
            values["changed_at"] = self._now
            connection.execute(update(tables.entry).where(*self._row(id)).values(values))

    def _name(self, id: OccurrenceId) -> dict[str, str]:
        return {"calendar": str(self.calendar), "uid": id.uid, "slot": id.slot_text}

    def _row(self, id: OccurrenceId, table: Table = tables.entry) -> tuple[ColumnElement[bool], ...]:
        return tuple(table.c[name] == value for name, value in self._name(id).items())

    def _content(self, event: Event, days: AllDay | None) -> dict[str, Any]:
        starts, ends = self.scope.span(event.when)
        return {
            "event": event_to_json(event),
            "days": when_to_json(days) if days else None,
            "starts": starts,
            "ends": ends,
        }


def slot_from_text(text: str) -> datetime | date | None:
    """The inverse of OccurrenceId.slot_text."""
    if not text:
        return None
    if "T" not in text:
        return date.fromisoformat(text)
    return datetime.fromisoformat(text)


def _to_entry(row: Row[Any]) -> Entry:
    return Entry(
        id=OccurrenceId(row.uid, slot_from_text(row.slot)),
        source=row.source,
        generation=row.generation,
        state=State(row.state),
        ref=RemoteRef(row.ref) if row.ref is not None else None,
        event=event_from_json(row.event),
        days=_days(row.days),
        before=desired_from_json(row.before) if row.before else None,
        error=row.error,
        missing=row.missing,
        run=row.run,
    )


def _to_line(row: Row[Any], zone: tzinfo | None) -> Line:
    return Line(
        OccurrenceId(row.uid, slot_from_text(row.slot)),
        Desired(_shown(event_from_json(row.event), zone), _days(row.days)) if row.event else None,
        row.source,
        Desired(event_from_json(row.left_event), _days(row.left_days)) if row.left_event else None,
    )


def _shown(event: Event, zone: tzinfo | None) -> Event:
    """The store keeps instants; what goes back into a calendar is shown in a zone again."""
    if isinstance(event.when, AllDay):
        return event
    return replace(event, when=Timed(event.when.start.astimezone(zone), event.when.end.astimezone(zone)))


def _unless_drifted(state: State, drifted: State) -> ColumnElement[str]:
    """What an entry is again whose change was refused: a person's version is still known while it stands."""
    return case((tables.entry.c.drift.is_not(null()), drifted.value), else_=state.value)


def _meant(row: Row[Any], state: State) -> dict[str, Any] | None:
    """What the file wants of an event, as far as the ledger knows; None where it was to be deleted."""
    return None if state is State.PENDING_DELETE else {"event": row.event, "days": row.days}


def _days(data: dict[str, str] | None) -> AllDay | None:
    when = when_from_json(data) if data else None
    return when if isinstance(when, AllDay) else None


def _desired_to_json(desired: Desired) -> dict[str, Any]:
    return {"event": event_to_json(desired.event), "days": when_to_json(desired.days) if desired.days else None}


def desired_from_json(data: dict[str, Any]) -> Desired:
    return Desired(event_from_json(data["event"]), _days(data["days"]))
