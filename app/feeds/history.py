"""What a calendar's readings were before: for each that was replaced, what has to be undone to have it back.

A row is written where a reading is kept, in the same transaction; the oldest go. So a feed of any calendars can tell
what is new since a reading it once showed, at a cost that does not grow with feeds or their readers.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Engine, delete, insert, select

from app.store import tables
from bridges.model import CalendarRef

KEPT = timedelta(days=30)
MOST = 500
"""Readings of one calendar that are remembered: three weeks of a calendar that changes every hour."""
TRIES = 5

Lines = Mapping[str, bytes]
"""A packed reading's lines by the event's name in its LMS."""


@dataclass(frozen=True, slots=True)
class Step:
    """One replacement: at that time the reading called `hash` went, which spoke for `window`.

    `undo` has the old line of each event that changed or went, and None for each that came.
    """

    hash: str
    at: datetime
    window: tuple[datetime, datetime]
    undo: Mapping[str, bytes | None]

    def undone(self, lines: Lines) -> Lines:
        """The old reading out of the new one."""
        return {ref: line for ref, line in {**lines, **self.undo}.items() if line is not None}

    def spoke_for(self, first: datetime, last: datetime) -> bool:
        """Whether the old reading would have shown an event of that span, both in UTC."""
        start, end = self.window
        return first < end and (last > start or first == last == start)


@dataclass(frozen=True, slots=True)
class Past:
    """A calendar's last reading, and the steps that led to it, the newest first."""

    hash: str
    lines: Lines
    steps: Sequence[Step]

    def reading(self, name: str) -> Lines | None:
        """The reading whose hash begins with `name`; None if it is not remembered."""
        lines = self.lines
        if self.hash.startswith(name):
            return lines
        for step in self.steps:
            lines = step.undone(lines)
            if step.hash.startswith(name):
                return lines
        return None

    def changes(self) -> Iterator[tuple[Step, bytes | None, bytes | None]]:
        """Each change of an event, the newest first: its step, the line before and the line after."""
        lines = self.lines
        for step in self.steps:
            before = step.undone(lines)
            for ref in step.undo:
                yield step, before.get(ref), lines.get(ref)
            lines = before


def by_ref(packed: bytes) -> dict[str, bytes]:
    """The lines of a packed reading by the event's name."""
    return {json.loads(line)[0]: line for line in packed.split(b"\n")} if packed else {}


def undo_of(old: bytes, new: bytes) -> dict[str, bytes | None]:
    """What makes the old packed reading of the new one; only lines that differ are looked into."""
    before, after = set(old.split(b"\n")), set(new.split(b"\n"))
    gone, come = by_ref(b"\n".join(filter(None, before - after))), by_ref(b"\n".join(filter(None, after - before)))
    return {**dict.fromkeys(sorted(come)), **dict(sorted(gone.items()))}


def note(connection: Connection, calendar: CalendarRef, hash: str, packed: bytes, now: datetime) -> None:
    """Remember what the reading called `hash` is about to replace; nothing where it is the first, or the same."""
    table = tables.calendar_reading.c
    columns = (table.hash, table.found, table.window_start, table.window_end)
    old = connection.execute(select(*columns).where(table.calendar == str(calendar))).first()
    if old is None or old.hash is None or old.hash == hash:
        return
    history = tables.calendar_history
    undo = _stored(undo_of(old.found, packed), (old.window_start, old.window_end))
    row = {"calendar": str(calendar), "hash": old.hash, "at": now, "undo": undo}
    connection.execute(insert(history).values(row))
    mine = history.c.calendar == str(calendar)
    last = select(history.c.id).where(mine).order_by(history.c.id.desc()).offset(MOST).limit(1)
    oldest = connection.execute(last).scalar() or 0
    connection.execute(delete(history).where(mine, (history.c.id <= oldest) | (history.c.at < now - KEPT)))


def past_of(engine: Engine, calendar: CalendarRef, most: int = MOST) -> Past | None:
    """What is remembered of the calendar, of `most` steps at most; None if it was never read."""
    for _ in range(TRIES):
        with engine.connect() as connection:
            past = _past(connection, calendar, most)
            if past is None or _hash(connection, calendar) == past.hash:  # nothing came in between
                return past
    return None


def _past(connection: Connection, calendar: CalendarRef, most: int) -> Past | None:
    reading, history = tables.calendar_reading.c, tables.calendar_history
    row = connection.execute(select(reading.hash, reading.found).where(reading.calendar == str(calendar))).first()
    if row is None or row.hash is None:
        return None
    mine = history.c.calendar == str(calendar)
    steps = connection.execute(select(history).where(mine).order_by(history.c.id.desc()).limit(most))
    return Past(row.hash, by_ref(row.found), [_step(step) for step in steps])


def _hash(connection: Connection, calendar: CalendarRef) -> str | None:
    table = tables.calendar_reading.c
    hash: str | None = connection.execute(select(table.hash).where(table.calendar == str(calendar))).scalar()
    return hash


def _stored(undo: Mapping[str, bytes | None], window: tuple[datetime, datetime]) -> bytes:
    lines = {ref: line.decode() if line else None for ref, line in undo.items()}
    return zlib.compress(json.dumps([[moment.isoformat() for moment in window], lines]).encode())


def _step(row: Any) -> Step:
    window, lines = json.loads(zlib.decompress(row.undo))
    start, end = map(datetime.fromisoformat, window)
    undo = {ref: line.encode() if line else None for ref, line in lines.items()}
    return Step(row.hash, row.at, (start, end), undo)
