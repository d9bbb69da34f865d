"""Leases: a name that two workers never hold at once, and that a dead one does not keep."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from threading import Thread
from time import sleep
from uuid import uuid4

from sqlalchemy import Delete, Engine, Update, delete, insert, select, update
from sqlalchemy.exc import IntegrityError, InterfaceError, OperationalError, SQLAlchemyError

from app.store import tables
from app.store.engine import writing

FARTHEST = timedelta(days=1)
"""Ahead of any time that a lease is held for: what a holder has beyond it was written by a clock that was wrong."""
PAUSE, TRIES = 1.0, 600
"""Seconds between two tries to give something back to a store that is away, and how many there are."""


class Busy(Exception):
    """Somebody else holds the lease; `until` is when it runs out if that holder says nothing more (aware)."""

    def __init__(self, name: str, until: datetime) -> None:
        super().__init__(f"'{name}' is being worked on right now")
        self.name = name
        self.until = until


class Lost(Busy):
    """The lease ran out and somebody else has taken it: stop at once, without another write."""


@dataclass(slots=True)
class Lease:
    """A lease that is held. Work that takes long calls `beat` between its steps."""

    name: str
    holder: str
    until: datetime
    _engine: Engine
    _now: Callable[[], datetime]
    _length: timedelta

    def beat(self) -> None:
        """Go on holding it; writes to the store only when half of the time is used up. Lost if it was taken."""
        now = self._now()
        if now < self.until - self._length / 2:
            return
        mine = (tables.lease.c.name == self.name, tables.lease.c.holder == self.holder)
        with writing(self._engine) as connection:
            kept = connection.execute(update(tables.lease).where(*mine).values(until=now + self._length)).rowcount
        if not kept:
            raise Lost(self.name, now + self._length)
        self.until = now + self._length


@contextmanager
def lease(
    engine: Engine, name: str, now: Callable[[], datetime], length: timedelta = timedelta(minutes=5)
) -> Iterator[Lease]:
    """Hold `name` while the block runs; Busy if another does. `now` gives aware times.

    A holder that died on this host is followed at once, one elsewhere when its time has run out. `length` has to be
    longer than the longest step between two beats. Work that the store itself cut off leaves a lease that has run out,
    as a dead holder does: `left_behind` names it.
    """
    held = Lease(name, new_holder(), now() + length, engine, now, length)
    mine = (tables.lease.c.name == name, tables.lease.c.holder == held.holder)
    _take(held, now())
    try:
        yield held
    except (OperationalError, InterfaceError):
        given_back(engine, update(tables.lease).where(*mine).values(until=now()))
        raise
    except BaseException:
        given_back(engine, delete(tables.lease).where(*mine))
        raise
    given_back(engine, delete(tables.lease).where(*mine))


def given_back(engine: Engine, row: Delete | Update) -> None:
    """Remove what this process held, or let it run out. While the store is away that is tried on behind the caller's
    back: others take a process that lives at its word until the time of what it held has run out."""
    try:
        _remove(engine, row)
    except (OperationalError, InterfaceError):
        Thread(target=_remove_later, args=(engine, row), daemon=True).start()
        raise


def _remove(engine: Engine, row: Delete | Update) -> None:
    with writing(engine) as connection:
        connection.execute(row)


def _remove_later(engine: Engine, row: Delete | Update) -> None:
    for _ in range(TRIES):
        sleep(PAUSE)
        with suppress(SQLAlchemyError):
            _remove(engine, row)
            return


def _take(wanted: Lease, now: datetime) -> None:
    """Put the row in place of none, or of exactly the dead one that was seen."""
    with writing(wanted._engine) as connection:
        row = connection.execute(select(tables.lease).where(tables.lease.c.name == wanted.name)).first()
        if row is not None and lives(row.holder, row.until, now):
            raise Busy(wanted.name, row.until)
        try:
            with connection.begin_nested():
                if row is not None:
                    seen = (tables.lease.c.name == row.name, tables.lease.c.holder == row.holder)
                    still = connection.execute(
                        delete(tables.lease).where(*seen, tables.lease.c.until == row.until)
                    ).rowcount
                    if not still:
                        raise Busy(wanted.name, row.until)
                connection.execute(
                    insert(tables.lease).values(name=wanted.name, holder=wanted.holder, until=wanted.until)
                )
        except IntegrityError as taken:
            raise Busy(wanted.name, wanted.until) from taken


def is_held(engine: Engine, name: str, now: datetime) -> bool:
    """Whether somebody who lives holds this name right now."""
    with engine.connect() as connection:
        row = connection.execute(select(tables.lease).where(tables.lease.c.name == name)).first()
    return row is not None and lives(row.holder, row.until, now)


def left_behind(engine: Engine, now: datetime) -> Sequence[tuple[str, str]]:
    """The names, each with its holder, that dead ones held: what they were at was cut off."""
    with engine.connect() as connection:
        rows = connection.execute(select(tables.lease)).all()
    return [(row.name, row.holder) for row in rows if not lives(row.holder, row.until, now)]


def forget(engine: Engine, name: str, holder: str) -> None:
    """What was cut off has been seen to."""
    given_back(engine, delete(tables.lease).where(tables.lease.c.name == name, tables.lease.c.holder == holder))


def new_holder() -> str:
    """A name for one piece of work of this process, that tells others whether the process still lives."""
    return f"{_here()}/{_process(os.getpid())}/{uuid4().hex[:12]}"


def lives(holder: str, until: datetime, now: datetime) -> bool:
    """Whether a holder still has to be reckoned with: one that died on this host is told at once, one elsewhere by
    its time."""
    place, _, rest = holder.partition("/")
    process = rest.partition("/")[0]
    if place == _here():
        return until > now and process == _process(int(process.partition("@")[0]))
    return now < until < now + FARTHEST


def _here() -> str:
    """This host and the space that its process numbers count in: a number says nothing in another container."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii")[:8]
        space = os.readlink("/proc/self/ns/pid").strip("pid:[]")
    except OSError:
        return socket.gethostname()
    return f"{socket.gethostname()}.{boot}.{space}"


def _process(number: int) -> str:
    """The number with the tick the process began at, for numbers are used again; the number alone if it is gone."""
    try:
        text = Path(f"/proc/{number}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return _without_proc(number)
    fields = text.rpartition(")")[2].split()
    zombie = fields[0] == "Z"  # killed, and nobody has asked after it yet
    return f"{number}" if zombie else f"{number}@{fields[19]}"


def _without_proc(number: int) -> str:
    """Where there is no /proc, whether it lives is all that can be told."""
    if Path("/proc/self").exists():
        return f"{number}"
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return f"{number}"
    except PermissionError:
        pass
    return f"{number}@alive"
