"""The last good reading of each calendar and the last good body of each feed: caches over the store.

The store is the truth that all processes share: each use asks it for the small facts (hashes, times), and only what
those hashes name is taken from the process's own memory. So nothing ever has to be invalidated.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from threading import Lock
from typing import Any
from zoneinfo import ZoneInfo

from cachetools import LRUCache
from sqlalchemy import Connection, Engine, Row, case, delete, func, insert, literal, select, update
from sqlalchemy.exc import IntegrityError, OperationalError

from app.feeds.build import Drawer, Press, agreed, draw, pack, reading_hash, settled, shown, unpack, version_of
from app.feeds.far import Far, Nowhere, is_it
from app.feeds.feed import Shown, State, Unknown, Version
from app.feeds.history import note
from app.feeds.partial import Merged
from app.feeds.rhythm import OUTDATED
from app.feeds.stowed import basis_of, shared, stow, unstow
from app.feeds.tidy import want
from app.store import tables
from app.store.days import remembered_days
from app.store.engine import writing
from bridges.model import CalendarRef, Found, RemoteRef, Window, instant

ROOM = 64 * 1024 * 1024
"""Bytes of bodies that one process remembers; and again, of pieces."""
REMEMBERED = timedelta(days=400)
"""How long the version of an event outlives it, should it come back."""


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
    far: Far = field(default_factory=Nowhere, repr=False)
    _bytes: LRUCache[str, bytes] = field(default_factory=lambda: LRUCache(ROOM, getsizeof=len), repr=False)
    _drawers: LRUCache[tuple[CalendarRef, Press], Drawer] = field(
        default_factory=lambda: LRUCache(ROOM, getsizeof=lambda drawer: drawer.size), repr=False
    )
    _lock: Lock = field(default_factory=Lock, repr=False)

    def state(self, calendar: CalendarRef) -> State | None:
        """How the calendar's reading stands; None if nobody ever tried."""
        return self.states([calendar]).get(calendar)

    def states(self, calendars: Collection[CalendarRef]) -> Mapping[CalendarRef, State]:
        """How their readings stand, in one look; those that nobody ever tried are missing."""
        table = tables.calendar_reading.c
        columns = [column for column in table if column is not table.found]
        names = {str(calendar): calendar for calendar in calendars}
        mine = table.calendar == next(iter(names)) if len(names) == 1 else table.calendar.in_(names)
        with self.engine.connect() as connection:
            rows = {row.calendar: row for row in connection.execute(select(*columns).where(mine))}
        return {calendar: self._state(rows[name]) for name, calendar in names.items() if name in rows}

    def late(self, now: datetime) -> Sequence[str]:
        """The calendars in use whose time to be read has come."""
        table = tables.calendar_reading.c
        with self.engine.connect() as connection:
            query = select(table.calendar).where(table.next_check <= now, table.unused_since.is_(None))
            return connection.execute(query).scalars().all()

    def want(self, calendars: Collection[CalendarRef], now: datetime) -> None:
        """They are in use: whoever keeps the time reads them, at once those that were never read."""
        with writing(self.engine) as connection:
            want(connection, map(str, calendars), now)

    def count(self, lms: str) -> int:
        """How many calendars of that LMS are read."""
        table = tables.calendar_reading.c
        mine = table.calendar.startswith(f"{lms}/", autoescape=True), table.unused_since.is_(None)
        with self.engine.connect() as connection:
            return connection.execute(select(func.count()).where(*mine)).scalar_one()

    def _state(self, row: Row[Any]) -> State:
        window = self._window(row) if row.hash else None
        known = row.read_at, row.hash, window, row.next_check, row.failures, row.problem
        return State(*known, row.missing_since, row.far_check, row.quiet, row.roster_check)

    def drawer(self, calendar: CalendarRef, hash: str, press: Press) -> Drawer:
        """The pieces of the calendar's last reading: of that called `hash`, or of one that has come since.

        Those of the reading before are used again; a process that has none takes them from the store.
        """
        with self._lock:
            old = self._drawers.get((calendar, press))
        if old and old.hash == hash:
            return old
        table = tables.calendar_reading.c
        with self.engine.connect() as connection:
            row = connection.execute(select(table.hash, table.found).where(_of(calendar))).one()
            drawer = None if old else _unstowed(connection, calendar, press, row.hash, row.found)
        if drawer is None:
            drawer = draw(old, row.hash, row.found, press.maker(calendar))
            self._stow(calendar, press, drawer)
        if drawer.size <= ROOM // 2:
            with self._lock:
                self._drawers[calendar, press] = drawer
        return drawer

    def _stow(self, calendar: CalendarRef, press: Press, drawer: Drawer) -> None:
        """Keep the pieces for other processes, if all feeds may share them. A store that is busy may do without."""
        if not shared(press):
            return
        table = tables.calendar_piece
        mine = (table.c.calendar == str(calendar)) & (table.c.form == press.form.value)
        basis = basis_of(press, drawer.hash, calendar.lms)
        values = {"basis": basis, "pieces": stow(drawer)}
        with suppress(OperationalError, IntegrityError), writing(self.engine) as connection:
            if connection.execute(select(table.c.basis).where(mine)).scalar() == basis:
                return
            if not connection.execute(update(table).where(mine).values(values)).rowcount:
                row = {"calendar": str(calendar), "form": press.form.value}
                connection.execute(insert(table).values(row | values))

    def _window(self, row: Row[Any]) -> Window:
        return Window(row.window_start.astimezone(self.zone), row.window_end.astimezone(self.zone))

    def book(self, calendar: CalendarRef, next_check: datetime, now: datetime) -> None:
        """Say when to look next, before looking: whoever dies at it does not make all others try at once.

        A first reading stays due until it came or failed; the lease keeps others from it.
        """
        table = tables.calendar_reading
        with writing(self.engine) as connection:
            want(connection, [str(calendar)], now)
            tried = table.c.hash.is_not(None) | (table.c.failures > 0)
            connection.execute(update(table).where(_of(calendar), tried).values(next_check=next_check))

    def book_roster(self, calendar: CalendarRef, roster_check: datetime) -> None:
        """Say when to ask next who is in the course."""
        table = tables.calendar_reading
        with writing(self.engine) as connection:
            connection.execute(update(table).where(_of(calendar)).values(roster_check=roster_check))

    def known(self, calendar: CalendarRef) -> tuple[Sequence[Shown], datetime | None]:
        """The last reading, and since when a loss in it is doubted."""
        table = tables.calendar_reading.c
        with self.engine.connect() as connection:
            row = connection.execute(select(table.found, table.doubt).where(_of(calendar))).first()
        if row is None or not row.found:
            return [], None
        return [unpack(line) for line in row.found.split(b"\n")], row.doubt

    def outdate(self, calendar: CalendarRef) -> None:
        """It was changed by us: whoever asks for it next waits until all of it is read. Not where it fails anyway."""
        table = tables.calendar_reading
        values = {"next_check": OUTDATED, "far_check": None}
        with writing(self.engine) as connection:
            connection.execute(update(table).where(_of(calendar), table.c.failures == 0).values(values))

    def keep(
        self,
        calendar: CalendarRef,
        merged: Merged,
        window: Window,
        now: datetime,
        next_check: Callable[[int], datetime],
        far_check: datetime | None = None,
    ) -> None:
        """Put a reading in place of the last one, with the versions of its events.

        `now` is when the reading began, `next_check` is asked with the number of readings in a row that brought nothing
        new, and `far_check` is when all of the window is due again, None for as it is. What was called out of date
        since the reading began stays so: it may not have seen the change.
        """
        found = merged.found
        column = tables.calendar_reading.c
        booked = column.hash.is_not(None) | (column.failures > 0)  # see book
        with writing(self.engine) as connection:
            meant = [*settled(found, remembered_days(connection, str(calendar)), self.zone)]
            versions = _versions(connection, calendar, meant, now)
            packed = pack(shown(item, versions[item.ref]) for item in meant)
            quiet, hash = _quiet(connection, calendar, packed, window), reading_hash(packed, window)
            note(connection, calendar, hash, packed, now)
            values = {
                "quiet": quiet,
                "next_check": case(
                    (booked & (column.next_check <= now), column.next_check),
                    else_=literal(next_check(quiet), column.next_check.type),
                ),
                "far_check": far_check or tables.calendar_reading.c.far_check,
                "missing_since": None,
                "found": packed,
                "hash": hash,
                "window_start": window.start,
                "window_end": window.end,
                "read_at": now,
                "failures": 0,
                "problem": _doubts(merged),
                "doubt": func.coalesce(tables.calendar_reading.c.doubt, now) if merged.doubted else None,
            }
            connection.execute(update(tables.calendar_reading).where(_of(calendar)).values(values))

    def fail(
        self,
        calendar: CalendarRef,
        problem: str,
        next_check: Callable[[int], datetime],
        missing: datetime | None = None,
    ) -> None:
        """Mark the last try as failed and keep the reading; `next_check` is asked with the failures in a row.

        `missing` is now where the LMS says that there is no such calendar; the first of such times is kept.
        """
        with writing(self.engine) as connection:
            column = tables.calendar_reading.c.failures
            failures = connection.execute(select(column).where(_of(calendar))).scalar_one() + 1
            values = {"failures": failures, "problem": problem, "next_check": next_check(failures)}
            if missing:
                values["missing_since"] = func.coalesce(tables.calendar_reading.c.missing_since, missing)
            connection.execute(update(tables.calendar_reading).where(_of(calendar)).values(values))

    def body(self, feed_id: int, form: str) -> Body | None:
        """The feed's last good body under that name, if the bytes that the store's etag names are at hand: in this
        process, or in what all processes share."""
        row = self._facts(feed_id, form)
        with self._lock:
            known = self._bytes.get(row.etag) if row else None
        if row and known is None:
            known = self._from_far(row.etag)
        return Body(known, row.etag, row.changed_at, row.basis) if row and known is not None else None

    def _facts(self, feed_id: int, form: str) -> Any:
        table = tables.feed_body.c
        with self.engine.connect() as connection:
            query = select(table.etag, table.changed_at, table.basis).where(_body_of(feed_id, form))
            return connection.execute(query).first()

    def size(self, feed_id: int, form: str) -> int:
        """Bytes of the last body; 0 if there was none."""
        with self.engine.connect() as connection:
            return connection.execute(select(tables.feed_body.c.size).where(_body_of(feed_id, form))).scalar() or 0

    def held(self, feed_id: int, form: str) -> int | None:
        """Events of the last body; None if there was none, or none that is a calendar."""
        with self.engine.connect() as connection:
            return connection.execute(select(tables.feed_body.c.events).where(_body_of(feed_id, form))).scalar()

    def put(self, feed_id: int, form: str, body: bytes, basis: str, now: datetime) -> Body:
        """Keep a body that was built; its time of change moves only if its bytes did. Unknown if the feed is gone.

        The bytes stay in this process and the store has their validators, that it may grow with calendars and not
        with their readers: whoever lacks a body joins it again from the pieces.
        """
        etag = sha256(body).hexdigest()
        self._remember(etag, body)
        self.far.put(etag, body)
        known = self._facts(feed_id, form)
        if known and (known.etag, known.basis) == (etag, basis):  # joined again after a restart: nothing to write
            return Body(body, etag, known.changed_at, basis)
        for _ in range(2):
            with suppress(IntegrityError), writing(self.engine) as connection:
                return Body(body, etag, _put(connection, feed_id, form, Body(body, etag, now, basis)), basis)
            # another process was the first to put one, or the feed has just been removed
        raise Unknown("there is no such feed any more")

    def compressed(self, etag: str, body: bytes) -> bytes:
        """The body with gzip, the same bytes each time."""
        with self._lock:
            known = self._bytes.get(f"{etag}-gzip")
        if known is None:
            known = gzip.compress(body, 6, mtime=0)
            self._remember(f"{etag}-gzip", known)
        return known

    def _from_far(self, etag: str) -> bytes | None:
        found = self.far.get(etag)
        if found is None or not is_it(etag, found):
            return None
        self._remember(etag, found)
        return found

    def _remember(self, key: str, value: bytes) -> None:
        if len(value) <= ROOM // 4:
            with self._lock:
                self._bytes[key] = value


def _unstowed(connection: Connection, calendar: CalendarRef, press: Press, hash: str, packed: bytes) -> Drawer | None:
    """The pieces that the store has of this reading; None if they were never kept, or of another one."""
    table = tables.calendar_piece.c
    mine = table.calendar == str(calendar), table.form == press.form.value
    if not shared(press):
        return None
    blob = connection.execute(select(table.pieces).where(*mine, table.basis == basis_of(press, hash, calendar.lms)))
    found = blob.scalar()
    return None if found is None else unstow(found, hash, packed)


def _quiet(connection: Connection, calendar: CalendarRef, packed: bytes, window: Window) -> int:
    """How many readings in a row brought nothing new, this one included. What the window's roll brings is no news."""
    table = tables.calendar_reading.c
    columns = table.found, table.window_start, table.window_end, table.quiet
    row = connection.execute(select(*columns).where(_of(calendar))).one()
    if row.found is None:
        return 1
    if (row.window_start, row.window_end) != (instant(window.start), instant(window.end)):
        return max(int(row.quiet), 1)
    return int(row.quiet) + 1 if row.found == packed else 0


def batched(names: Sequence[Any], size: int = 500) -> Iterator[Sequence[Any]]:
    """So many at a time: a statement takes only some parameters."""
    return (names[start : start + size] for start in range(0, len(names), size))


def _doubts(merged: Merged) -> str:
    if not merged.doubted:
        return ""
    return f"{merged.doubted} events are gone at once; they are shown until another reading says so too."


def _of(calendar: CalendarRef) -> Any:
    return tables.calendar_reading.c.calendar == str(calendar)


def _body_of(feed_id: int, form: str) -> Any:
    return (tables.feed_body.c.feed_id == feed_id) & (tables.feed_body.c.form == str(form))


def _put(connection: Connection, feed_id: int, form: str, new: Body) -> datetime:
    """Since when the body has these bytes. One second after the last change at least, for HTTP's dates know no less."""
    table = tables.feed_body
    old = connection.execute(select(table.c.etag, table.c.changed_at).where(_body_of(feed_id, form))).first()
    if old is None:
        row = {"feed_id": feed_id, "form": str(form), "etag": new.etag, **_measured(new.body)}
        connection.execute(insert(table).values(row | {"changed_at": new.changed_at, "basis": new.basis}))
        return new.changed_at
    if old.etag == new.etag:
        same = {"basis": new.basis, **_measured(new.body)}
        connection.execute(update(table).where(_body_of(feed_id, form)).values(same))
        changed_at: datetime = old.changed_at
        return changed_at
    changed_at = max(new.changed_at, old.changed_at + timedelta(seconds=1))
    values = {"etag": new.etag, "changed_at": changed_at, "basis": new.basis, **_measured(new.body)}
    connection.execute(update(table).where(_body_of(feed_id, form)).values(values))
    return changed_at


def _measured(body: bytes) -> dict[str, int | None]:
    """What is told of a body where it is not at hand."""
    is_calendar = body.startswith(b"BEGIN:VCALENDAR")
    return {"size": len(body), "events": body.count(b"\r\nBEGIN:VEVENT") if is_calendar else None}


def _versions(
    connection: Connection, calendar: CalendarRef, found: Sequence[Found], now: datetime
) -> Mapping[RemoteRef, Version]:
    """Each event's version, those that are new written down.

    An event that stands in several calendars of its LMS has one number, which only grows, and one time of its content.
    """
    table = tables.event_version
    known = {
        row.ref: Version(row.hash, row.seen_at, row.sequence)
        for row in connection.execute(select(table).where(table.c.calendar == str(calendar)))
    }
    versions = {item.ref: version_of(item.event, known.get(item.ref), now) for item in found}
    changed = {ref: version for ref, version in versions.items() if known.get(ref) != version}
    changed |= {ref: agreed(changed[ref], others) for ref, others in _elsewhere(connection, calendar, changed).items()}
    versions |= changed
    for ref, version in changed.items():
        if ref in known:
            mine = table.c.calendar == str(calendar), table.c.ref == ref
            values = {"hash": version.hash, "seen_at": version.seen_at, "sequence": version.sequence}
            connection.execute(update(table).where(*mine).values(values))
    if past := [ref for ref, one in known.items() if ref not in versions and now - one.seen_at > REMEMBERED]:
        for some in batched(past):
            connection.execute(delete(table).where(table.c.calendar == str(calendar), table.c.ref.in_(some)))
    rows = [
        {
            "calendar": str(calendar),
            "ref": ref,
            "hash": version.hash,
            "seen_at": version.seen_at,
            "sequence": version.sequence,
        }
        for ref, version in changed.items()
        if ref not in known
    ]
    if rows:
        connection.execute(insert(table), rows)
    return versions


def _elsewhere(
    connection: Connection, calendar: CalendarRef, refs: Iterable[RemoteRef]
) -> Mapping[RemoteRef, Sequence[Version]]:
    """The versions of these events in other calendars of the LMS."""
    table = tables.event_version.c
    theirs = table.calendar.startswith(f"{calendar.lms}/", autoescape=True), table.calendar != str(calendar)
    found: dict[RemoteRef, list[Version]] = {}
    for some in batched(list(refs)):
        for row in connection.execute(select(tables.event_version).where(table.ref.in_(some), *theirs)):
            found.setdefault(row.ref, []).append(Version(row.hash, row.seen_at, row.sequence))
    return found
