"""What we wrote into one calendar and what became of it: every method is one committed transaction.

A row turns pending before the LMS is called and is settled after it answered. Whatever stands pending when a run
begins was interrupted, and nobody knows yet whether it landed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import ColumnElement, Engine, Row, insert, select, update

from app.imports.plan import Change, Create, Desired, Entry, State, Update
from app.store import tables
from app.store.engine import writing
from app.store.values import event_from_json, event_to_json, when_from_json, when_to_json
from bridges.model import AllDay, CalendarRef, Event, OccurrenceId, RemoteRef, Window


class Ledger:
    """The entries of one calendar. `scope` lays out all-day events (in its start's zone); `now` is in UTC or aware."""

    def __init__(self, engine: Engine, calendar: CalendarRef, scope: Window, now: datetime) -> None:
        self.calendar = calendar
        self._engine = engine
        self._scope = scope
        self._now = now

    def entries(self) -> Mapping[OccurrenceId, Entry]:
        """Every entry of the calendar, whichever import wrote it, deleted ones included."""
        with self._engine.connect() as connection:
            query = (
                select(tables.entry).where(tables.entry.c.calendar == str(self.calendar)).order_by(tables.entry.c.id)
            )
            entries = [_to_entry(row) for row in connection.execute(query)]
        return {entry.id: entry for entry in entries}

    def intend(self, change: Change, source: str) -> None:
        """Write down what is about to be done. Committed when this returns: only then may the LMS be called."""
        if isinstance(change, Create):
            self._put(change, source)
        elif isinstance(change, Update):
            self._change(
                change.id,
                **self._content(change.event, change.days),
                before=_desired_to_json(change.before),
                state=State.PENDING_UPDATE,
                source=source,
            )
        else:
            self._change(change.id, state=State.PENDING_DELETE)

    def written(self, id: OccurrenceId, ref: RemoteRef) -> None:
        """The event stands in the LMS as meant, under this ref."""
        self._change(id, state=State.PRESENT, ref=ref, before=None, error="", missing=0)

    def deleted(self, id: OccurrenceId) -> None:
        """The event is not in the LMS any more."""
        self._change(id, state=State.DELETED, before=None, error="")

    def unwritten(self, id: OccurrenceId, reason: str = "") -> None:
        """The create surely did not land."""
        self._change(id, state=State.UNWRITTEN, ref=None, error=reason)

    def refused(self, change: Change, reason: str) -> None:
        """The LMS would not have the change: the entry is again what it was."""
        if isinstance(change, Create):
            self.unwritten(change.id, reason)
        elif isinstance(change, Update):
            content = self._content(change.before.event, change.before.days)
            self._change(change.id, **content, before=None, state=State.PRESENT, error=reason)
        else:
            self._change(change.id, state=State.PRESENT, error=reason)

    def adopt(self, ids: Iterable[OccurrenceId], source: str) -> None:
        """From now on this import answers for these events."""
        with writing(self._engine) as connection:
            for id in ids:
                connection.execute(update(tables.entry).where(*self._row(id)).values(source=source))

    def _put(self, change: Create, source: str) -> None:
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
        }
        name = {"calendar": str(self.calendar), "uid": change.id.uid, "slot": change.id.slot_text}
        with writing(self._engine) as connection:
            if not connection.execute(update(tables.entry).where(*self._row(change.id)).values(values)).rowcount:
                connection.execute(insert(tables.entry).values(name | values))

    def _change(self, id: OccurrenceId, **values: Any) -> None:
        with writing(self._engine) as connection:
            values["changed_at"] = self._now
            connection.execute(update(tables.entry).where(*self._row(id)).values(values))

    def _row(self, id: OccurrenceId) -> tuple[ColumnElement[bool], ...]:
        columns = tables.entry.c
        return columns.calendar == str(self.calendar), columns.uid == id.uid, columns.slot == id.slot_text

    def _content(self, event: Event, days: AllDay | None) -> dict[str, Any]:
        starts, ends = self._scope.span(event.when)
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
    slot = datetime.strptime(text.rstrip("Z"), "%Y%m%dT%H%M%S")  # noqa: DTZ007 - the Z is dealt with below
    return slot.replace(tzinfo=UTC) if text.endswith("Z") else slot


def _to_entry(row: Row[Any]) -> Entry:
    return Entry(
        id=OccurrenceId(row.uid, slot_from_text(row.slot)),
        source=row.source,
        generation=row.generation,
        state=State(row.state),
        ref=RemoteRef(row.ref) if row.ref is not None else None,
        event=event_from_json(row.event),
        days=_days(row.days),
        before=_desired_from_json(row.before) if row.before else None,
        error=row.error,
    )


def _days(data: dict[str, str] | None) -> AllDay | None:
    when = when_from_json(data) if data else None
    return when if isinstance(when, AllDay) else None


def _desired_to_json(desired: Desired) -> dict[str, Any]:
    return {"event": event_to_json(desired.event), "days": when_to_json(desired.days) if desired.days else None}


def _desired_from_json(data: dict[str, Any]) -> Desired:
    return Desired(event_from_json(data["event"]), _days(data["days"]))
