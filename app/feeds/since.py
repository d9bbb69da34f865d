"""What is new in a feed since a cursor, and what changed last. It asks the store alone, never an LMS."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Engine, select

from app.feeds.ask import dumped
from app.feeds.build import Press, merged, uid_of, unpack, within
from app.feeds.cursor import Cursor, TooOld, short
from app.feeds.feed import Feed, Form, Snapshot
from app.feeds.history import Lines, Past, Step, past_of
from app.store import tables
from bridges.model import CalendarRef, Window

Told = Mapping[str, Any]
"""An event of the JSON form."""
RECENT, STEPS = 100, 100
"""Changes that are told, and replaced readings of each calendar that are looked through for them."""


@dataclass(frozen=True, slots=True)
class Change:
    """One event's latest change: before and after as the feed tells it, None where it was, or is, not there."""

    uid: str
    at: datetime
    before: Told | None
    after: Told | None


@dataclass(frozen=True, slots=True)
class Changes:
    """The changes of all feeds of one store, whose times are shown in `zone`."""

    engine: Engine
    zone: ZoneInfo

    def since(self, snapshot: Snapshot, text: str) -> bytes:
        """The answer to `since=`: added, changed, removed, and the cursor to ask with next.

        `snapshot` is the feed's JSON form. ValueError for what is no cursor, TooOld for one that cannot be followed.
        """
        head, before = head_of(snapshot.body), Cursor.parse(text, self.zone)
        now = Cursor.parse(head["cursor"], self.zone)
        if before.rules != now.rules or not before.readings.keys() <= now.readings.keys():
            raise TooOld
        if before == now:
            return dumped(head | delta({}, {}))
        sides = {
            calendar: self._lines(calendar, before.readings.get(short(calendar)), now.readings[short(calendar)])
            for calendar in self._named(now.readings)
        }
        if before.window == now.window:
            sides = _moved(sides)
        old = told(snapshot.feed, {calendar: then for calendar, (then, _) in sides.items()}, before.window, self.zone)
        new = told(snapshot.feed, {calendar: lines for calendar, (_, lines) in sides.items()}, now.window, self.zone)
        return dumped(head | delta(old, new))

    def _lines(self, calendar: CalendarRef, before: bytes | None, now: bytes) -> tuple[Lines, Lines]:
        past = past_of(self.engine, calendar)
        old = {} if before is None else past.reading(before.hex()) if past else None
        new = past.reading(now.hex()) if past else None
        if old is None or new is None:
            raise TooOld
        return old, new

    def _named(self, keys: Iterable[bytes]) -> Sequence[CalendarRef]:
        """The calendars of those short names, in the order of their full ones."""
        wanted, table = set(keys), tables.calendar_reading.c
        with self.engine.connect() as connection:
            names = connection.execute(select(table.calendar).order_by(table.calendar)).scalars()
            return [calendar for calendar in map(CalendarRef.parse, names) if short(calendar) in wanted]

    def recent(self, feed: Feed, now: Cursor) -> Sequence[Change]:
        """The latest change of each event that changed lately, the newest first, as the feed tells them."""
        found: dict[str, Change] = {}
        for calendar in self._named(now.readings):
            past = past_of(self.engine, calendar, STEPS)
            for change in _told_changes(feed, calendar, past, now.window, self.zone) if past else ():
                if change.uid not in found or found[change.uid].at < change.at:
                    found[change.uid] = change
        return sorted(found.values(), key=lambda change: (change.at, change.uid), reverse=True)[:RECENT]


def head_of(body: bytes) -> dict[str, Any]:
    """All of a JSON form but its events; in a JSON text these bytes stand nowhere else."""
    head, _, _ = body.partition(b',"events":[')
    found: dict[str, Any] = json.loads(head + b"}")
    return found


def told(feed: Feed, readings: Mapping[CalendarRef, Lines], window: Window, zone: ZoneInfo) -> dict[str, Told]:
    """The events of these lines of its calendars that the feed shows in that window, by UID."""
    press = Press.of(Form.JSON, feed, window, zone)
    pieces = (map(press.maker(calendar), lines.values()) for calendar, lines in readings.items())
    return {piece.uid: json.loads(piece.body) for piece in within(window, merged(pieces))}


def delta(old: Mapping[str, Told], new: Mapping[str, Told]) -> dict[str, Any]:
    """What makes the new events of the old ones."""
    return {
        "added": [event for uid, event in new.items() if uid not in old],
        "changed": [event for uid, event in new.items() if uid in old and old[uid] != event],
        "removed": sorted(old.keys() - new.keys()),
    }


def _moved(sides: Mapping[CalendarRef, tuple[Lines, Lines]]) -> dict[CalendarRef, tuple[Lines, Lines]]:
    """Of both sides what is not equal, with what other calendars of its LMS tell of the same events."""
    refs: dict[str, set[str]] = {}
    for calendar, (then, now) in sides.items():
        apart = {ref for ref in then.keys() | now.keys() if then.get(ref) != now.get(ref)}
        refs.setdefault(calendar.lms, set()).update(apart)
    return {
        calendar: (_only(then, refs[calendar.lms]), _only(now, refs[calendar.lms]))
        for calendar, (then, now) in sides.items()
    }


def _only(lines: Lines, refs: set[str]) -> Lines:
    return {ref: line for ref, line in lines.items() if ref in refs}


def _told_changes(feed: Feed, calendar: CalendarRef, past: Past, window: Window, zone: ZoneInfo) -> Iterator[Change]:
    """What came, changed or went. What merely came into the window with the days, or left it so, is no news."""
    for step, before, after in past.changes():
        old, new = (_one(feed, calendar, line, window, zone) for line in (before, after))
        if old == new or (old is None and after and not _was_in_sight(after, step, window)):
            continue
        ref = unpack(before or after or b"").ref
        yield Change(uid_of(calendar.lms, ref), step.at, old, new)


def _one(feed: Feed, calendar: CalendarRef, line: bytes | None, window: Window, zone: ZoneInfo) -> Told | None:
    if line is None:
        return None
    return next(iter(told(feed, {calendar: {"": line}}, window, zone).values()), None)


def _was_in_sight(line: bytes, step: Step, window: Window) -> bool:
    return step.spoke_for(*window.span(unpack(line).event.when))
