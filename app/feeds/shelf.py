"""The last good reading of each calendar and the last good body of each feed: caches over the store.

The store is the truth that all processes share: each use asks it for the small facts (hashes, times), and only what
those hashes name is taken from the process's own memory. So nothing ever has to be invalidated.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from threading import Lock
from typing import Any
from zoneinfo import ZoneInfo

from cachetools import LRUCache
from sqlalchemy import Connection, Engine, Row, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from app.feeds.build import Drawer, Press, draw, pack, reading_hash, settled, shown, unpack, version_of
from app.feeds.feed import Shown, State, Unknown, Version
from app.feeds.partial import Merged
from app.store import tables
from app.store.days import remembered_days
from app.store.engine import writing
from bridges.model import CalendarRef, Found, RemoteRef, Window

ROOM = 64 * 1024 * 1024
"""Bytes of bodies that one process remembers; and again, of pieces."""


@dataclass(frozen=True, slots=True)
class Body:
    """A feed's body in one form: `etag` is its hash, `changed_at` since when it has these bytes.

    `basis` is the hash of all that it was built from.
    """

    body: bytes
    etag: str
    changed_at: datetime
    basis: str


@dataclass(slots=True)
class Shelf:
    """What is kept for feeds, in the store and in this process. Times are shown in `zone`. Safe between threads."""

    engine: Engine
    zone: ZoneInfo
    _bytes: LRUCache[str, bytes] = field(default_factory=lambda: LRUCache(ROOM, getsizeof=len), repr=False)
    _drawers: LRUCache[tuple[CalendarRef, Press], Drawer] = field(
        default_factory=lambda: LRUCache(ROOM, getsizeof=lambda drawer: drawer.size), repr=False
    )
    _lock: Lock = field(default_factory=Lock, repr=False)

    def state(self, calendar: CalendarRef) -> State | None:
        """How the calendar's reading stands; None if nobody ever tried."""
        table = tables.calendar_reading.c
        columns = [column for column in table if column is not table.found]
        with self.engine.connect() as connection:
            row = connection.execute(select(*columns).where(_of(calendar))).first()
        if row is None:
            return None
        window = self._window(row) if row.hash else None
        return State(row.read_at, row.hash, window, row.next_check, row.failures, row.problem)

    def drawer(self, calendar: CalendarRef, hash: str, press: Press) -> Drawer:
        """The pieces of the calendar's last reading: of that called `hash`, or of one that has come since."""
        with self._lock:
            old = self._drawers.get((calendar, press))
        if old and old.hash == hash:
            return old
        table = tables.calendar_reading.c
        with self.engine.connect() as connection:
            row = connection.execute(select(table.hash, table.found).where(_of(calendar))).one()
        drawer = draw(old, row.hash, row.found, press.maker(calendar.lms))
        if drawer.size <= ROOM // 2:
            with self._lock:
                self._drawers[calendar, press] = drawer
        return drawer

    def _window(self, row: Row[Any]) -> Window:
        return Window(row.window_start.astimezone(self.zone), row.window_end.astimezone(self.zone))

    def book(self, calendar: CalendarRef, next_check: datetime) -> None:
        """Say when to look next, before looking: whoever dies at it does not make all others try at once."""
        with writing(self.engine) as connection:
            booked = connection.execute(
                update(tables.calendar_reading).where(_of(calendar)).values(next_check=next_check)
            )
            if not booked.rowcount:
                first = {"calendar": str(calendar), "next_check": next_check, "failures": 0, "problem": ""}
                connection.execute(insert(tables.calendar_reading).values(first))

    def known(self, calendar: CalendarRef) -> tuple[Sequence[Shown], datetime | None]:
        """The last reading, and since when a loss in it is doubted."""
        table = tables.calendar_reading.c
        with self.engine.connect() as connection:
            row = connection.execute(select(table.found, table.doubt).where(_of(calendar))).first()
        if row is None or not row.found:
            return [], None
        return [unpack(line) for line in row.found.split(b"\n")], row.doubt

    def keep(self, calendar: CalendarRef, merged: Merged, window: Window, now: datetime, next_check: datetime) -> None:
        """Put a whole reading in place of the last one, with the versions of its events."""
        found = merged.found
        with writing(self.engine) as connection:
            meant = [*settled(found, remembered_days(connection, str(calendar)), self.zone)]
            versions = _versions(connection, calendar, meant, now)
            packed = pack(shown(item, versions[item.ref]) for item in meant)
            values = {
                "found": packed,
                "hash": reading_hash(packed, window),
                "window_start": window.start,
                "window_end": window.end,
                "read_at": now,
                "next_check": next_check,
                "failures": 0,
                "problem": _doubts(merged),
                "doubt": func.coalesce(tables.calendar_reading.c.doubt, now) if merged.doubted else None,
            }
            connection.execute(update(tables.calendar_reading).where(_of(calendar)).values(values))

    def fail(self, calendar: CalendarRef, problem: str, next_check: Callable[[int], datetime]) -> None:
        """Mark the last try as failed and keep the reading; `next_check` is asked with the failures in a row."""
        with writing(self.engine) as connection:
            column = tables.calendar_reading.c.failures
            failures = connection.execute(select(column).where(_of(calendar))).scalar_one() + 1
            values = {"failures": failures, "problem": problem, "next_check": next_check(failures)}
            connection.execute(update(tables.calendar_reading).where(_of(calendar)).values(values))

    def body(self, feed_id: int, form: str) -> Body | None:
        """The feed's last good body under that name; its bytes out of our memory where the store's etag names them."""
        table = tables.feed_body.c
        with self.engine.connect() as connection:
            row = connection.execute(
                select(table.etag, table.changed_at, table.basis).where(_body_of(feed_id, form))
            ).first()
            if row is None:
                return None
            with self._lock:
                known = self._bytes.get(row.etag)
            if known is not None:
                return Body(known, row.etag, row.changed_at, row.basis)
            columns = (table.body, table.etag, table.changed_at, table.basis)
            body = Body(*connection.execute(select(*columns).where(_body_of(feed_id, form))).one())
        if not body.body:
            return None
        self._remember(body.etag, body.body)
        return body

    def size(self, feed_id: int, form: str) -> int:
        """Bytes of the last body, whether the store has it or its validators alone."""
        with self.engine.connect() as connection:
            return connection.execute(select(tables.feed_body.c.size).where(_body_of(feed_id, form))).scalar() or 0

    def put(self, feed_id: int, form: str, body: bytes, basis: str, now: datetime, whole: bool = True) -> Body:
        """Keep a body that was built; its time of change moves only if its bytes did. Unknown if the feed is gone.

        What is not `whole` leaves only its validators in the store, that it may grow with calendars and not with
        their readers: it is joined again from the readings.
        """
        etag = sha256(body).hexdigest()
        self._remember(etag, body)
        try:
            with writing(self.engine) as connection:
                new = Body(body if whole else b"", etag, now, basis)
                changed_at = _put(connection, feed_id, form, new, len(body))
        except IntegrityError:  # another process was the first to put one, or the feed has just been removed
            known = self.body(feed_id, form)
            if known is None:
                raise Unknown("there is no such feed any more") from None
            return known
        return Body(body, etag, changed_at, basis)

    def compressed(self, etag: str, body: bytes) -> bytes:
        """The body with gzip, the same bytes each time."""
        with self._lock:
            known = self._bytes.get(f"{etag}-gzip")
        if known is None:
            known = gzip.compress(body, 6, mtime=0)
            self._remember(f"{etag}-gzip", known)
        return known

    def _remember(self, key: str, value: bytes) -> None:
        if len(value) <= ROOM // 4:
            with self._lock:
                self._bytes[key] = value


def _doubts(merged: Merged) -> str:
    if not merged.doubted:
        return ""
    return f"{merged.doubted} events are gone at once; they are shown until another reading says so too."


def _of(calendar: CalendarRef) -> Any:
    return tables.calendar_reading.c.calendar == str(calendar)


def _body_of(feed_id: int, form: str) -> Any:
    return (tables.feed_body.c.feed_id == feed_id) & (tables.feed_body.c.form == str(form))


def _put(connection: Connection, feed_id: int, form: str, new: Body, size: int) -> datetime:
    """Since when the body has these bytes. One second after the last change at least, for HTTP's dates know no less."""
    table = tables.feed_body
    old = connection.execute(select(table.c.etag, table.c.changed_at).where(_body_of(feed_id, form))).first()
    if old is None:
        row = {"feed_id": feed_id, "form": str(form), "body": new.body, "size": size, "etag": new.etag}
        connection.execute(insert(table).values(row | {"changed_at": new.changed_at, "basis": new.basis}))
        return new.changed_at
    if old.etag == new.etag:
        connection.execute(update(table).where(_body_of(feed_id, form)).values(basis=new.basis))
        changed_at: datetime = old.changed_at
        return changed_at
    changed_at = max(new.changed_at, old.changed_at + timedelta(seconds=1))
    values = {"body": new.body, "size": size, "etag": new.etag, "changed_at": changed_at, "basis": new.basis}
    connection.execute(update(table).where(_body_of(feed_id, form)).values(values))
    return changed_at


def _versions(
    connection: Connection, calendar: CalendarRef, found: Sequence[Found], now: datetime
) -> Mapping[RemoteRef, Version]:
    """Each event's version, those that are new written down."""
    table = tables.event_version
    known = {
        row.ref: Version(row.hash, row.seen_at, row.sequence)
        for row in connection.execute(select(table).where(table.c.calendar == str(calendar)))
    }
    versions = {item.ref: version_of(item.event, known.get(item.ref), now) for item in found}
    changed = [(ref, version) for ref, version in versions.items() if known.get(ref) != version]
    for ref, version in changed:
        if ref in known:
            mine = table.c.calendar == str(calendar), table.c.ref == ref
            values = {"hash": version.hash, "seen_at": version.seen_at, "sequence": version.sequence}
            connection.execute(update(table).where(*mine).values(values))
    rows = [
        {
            "calendar": str(calendar),
            "ref": ref,
            "hash": version.hash,
            "seen_at": version.seen_at,
            "sequence": version.sequence,
        }
        for ref, version in changed
        if ref not in known
    ]
    if rows:
        connection.execute(insert(table), rows)
    return versions
