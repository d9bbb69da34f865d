"""Lanes: the writes that one LMS account takes at a time, shared by all imports that write to it now, in any process.

Each import has a seat at its account. As many as there are lanes share them alike; more than that take turns. A lane
is handed on only when it is empty, so that the account never has more writes under way than it takes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, Engine, delete, func, insert, select, update

from app.store import tables
from app.store.engine import writing
from app.store.leases import given_back, lives, new_holder

TURN = timedelta(seconds=2)
"""How long an import keeps the only lane while others wait for it; a portion under way is finished."""
LENGTH = timedelta(minutes=5)
"""When the seat of an import on another host that says nothing more is given up; as long as its lease."""

_LANE = tables.lane.c


@dataclass(frozen=True, slots=True)
class Seat:
    """An import at an account. `since` is since when it has its lanes, or has waited for the first."""

    holder: str
    number: int
    lanes: int
    since: datetime
    until: datetime


def share(mine: Seat, others: Sequence[Seat], writers: int, now: datetime) -> int:
    """How many of the account's lanes this import may have now; 0 is to wait. Pure."""
    seats = sorted([mine, *others], key=lambda seat: (seat.number, seat.holder))
    free = max(writers - sum(seat.lanes for seat in others), 0)
    if len(seats) <= writers:
        each, more = divmod(writers, len(seats))
        return min(each + (seats.index(mine) < more), free)
    waiting = sorted((seat for seat in seats if not seat.lanes), key=lambda seat: (seat.since, seat.number))
    if mine.lanes:
        return 0 if waiting and now - mine.since >= TURN else 1
    return int(mine in waiting[:free])


@dataclass(frozen=True, slots=True)
class Lanes:
    """The seat of one import at an account that takes so many writers at a time."""

    account: str
    writers: int
    holder: str

    def look(self, connection: Connection, busy: int, now: datetime) -> int:
        """How many lanes may be at work now, where `busy` still are. The connection is one that writes."""
        seats = _seats(connection, self.account)
        mine = next((seat for seat in seats if seat.holder == self.holder), None)
        if mine is None:  # taken for dead while it slept
            mine = _sit_down(connection, self.account, self.holder, now)
        others = [seat for seat in seats if seat is not mine and lives(seat.holder, seat.until, now)]
        granted = share(mine, others, self.writers, now)
        self._keep(connection, mine, max(granted, busy), now)
        return granted

    def _keep(self, connection: Connection, mine: Seat, lanes: int, now: datetime) -> None:
        if lanes == mine.lanes and now < mine.until - LENGTH / 2:
            return
        since = mine.since if bool(lanes) == bool(mine.lanes) else now
        values = {"lanes": lanes, "since": since, "until": now + LENGTH}
        connection.execute(update(tables.lane).where(*_here(self.account, self.holder)).values(values))


@contextmanager
def lanes(engine: Engine, account: str, writers: int, now: Callable[[], datetime]) -> Iterator[Lanes]:
    """A seat at the account while the block runs, at first without a lane: ask with `look`."""
    seat = Lanes(account, writers, new_holder())
    with writing(engine) as connection:
        _clear(connection, account, now())
        _sit_down(connection, account, seat.holder, now())
    try:
        yield seat
    finally:
        given_back(engine, delete(tables.lane).where(*_here(account, seat.holder)))


def _here(account: str, holder: str) -> tuple[ColumnElement[bool], ...]:
    return _LANE.account == account, _LANE.holder == holder


def _seats(connection: Connection, account: str) -> list[Seat]:
    """All seats at the account, dead ones too. Locked where the database locks rows: two never look at once."""
    query = select(tables.lane).where(_LANE.account == account).order_by(_LANE.number, _LANE.holder).with_for_update()
    return [Seat(row.holder, row.number, row.lanes, row.since, row.until) for row in connection.execute(query)]


def _sit_down(connection: Connection, account: str, holder: str, now: datetime) -> Seat:
    last = connection.execute(select(func.max(_LANE.number)).where(_LANE.account == account)).scalar()
    seat = Seat(holder, (last or 0) + 1, 0, now, now + LENGTH)
    values = {"account": account, "holder": holder, "number": seat.number, "lanes": 0, "since": now}
    connection.execute(insert(tables.lane).values({**values, "until": seat.until}))
    return seat


def _clear(connection: Connection, account: str, now: datetime) -> None:
    for seat in _seats(connection, account):
        if not lives(seat.holder, seat.until, now):
            connection.execute(delete(tables.lane).where(*_here(account, seat.holder)))
