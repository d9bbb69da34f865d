"""What is done now and then, once, however many workers there are: the next time of each, by its name.

And the clock itself, by which all tables book: where it was put back, what was booked by it would wait for that time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta

from sqlalchemy import Engine, insert, select, update
from sqlalchemy.exc import IntegrityError

from app.store import tables
from app.store.engine import writing

_table = tables.schedule
CLOCK = "clock"
OFTEN = timedelta(minutes=1)
"""How often the time is noted."""
APART = timedelta(hours=1)
"""Clocks of several hosts that differ by less were not put back."""


def due(engine: Engine, every: Mapping[str, timedelta], now: datetime) -> Sequence[str]:
    """The names whose time has come, of those that are done so often."""
    with engine.connect() as connection:
        times = {row.name: row.next_at for row in connection.execute(select(_table))}
    return [name for name, pause in every.items() if name not in times or _is_due(times[name], pause, now)]


def book(engine: Engine, name: str, every: timedelta, now: datetime) -> bool:
    """Put the next time off; False where it is not due (any more): somebody else has just booked it."""
    mine = _table.c.name == name
    try:
        with writing(engine) as connection:
            seen = connection.execute(select(_table.c.next_at).where(mine)).scalar()
            if seen is None:
                connection.execute(insert(_table).values(name=name, next_at=now + every))
                return True
            if not _is_due(seen, every, now):
                return False
            booked = update(_table).where(mine, _table.c.next_at == seen).values(next_at=now + every)
            return bool(connection.execute(booked).rowcount)
    except IntegrityError:
        return False


def _is_due(next_at: datetime, every: timedelta, now: datetime) -> bool:
    """Also where the clock was put back since: nothing is booked further ahead than that."""
    return next_at <= now or next_at > now + every


def put_back(engine: Engine, now: datetime) -> timedelta:
    """By how much the clock was put back since it was last noted; nothing where it goes as it should."""
    mine = _table.c.name == CLOCK
    with engine.connect() as connection:
        seen: datetime | None = connection.execute(select(_table.c.next_at).where(mine)).scalar()
    if seen is not None and now - OFTEN < seen < now + APART:
        return timedelta(0)
    with suppress(IntegrityError), writing(engine) as connection:
        if seen is None:
            connection.execute(insert(_table).values(name=CLOCK, next_at=now))
        elif connection.execute(update(_table).where(mine, _table.c.next_at == seen).values(next_at=now)).rowcount:
            return max(seen - now, timedelta(0))
    return timedelta(0)


def put_right(engine: Engine, now: datetime, by: timedelta) -> None:
    """The clock was put back by so much: what was booked by it is due. What it had booked and done since is not."""
    wrong = now + by
    with writing(engine) as connection:
        for table in (tables.calendar_reading, tables.subscription, tables.drift_check, tables.enrolment):
            connection.execute(update(table).where(table.c.next_check > wrong).values(next_check=now))
        connection.execute(update(tables.notice).where(tables.notice.c.next_try > wrong).values(next_try=now))
        connection.execute(update(tables.account).where(tables.account.c.rests_until > wrong).values(rests_until=None))
        for column in (tables.calendar_reading.c.far_check, tables.calendar_reading.c.roster_check):
            connection.execute(update(tables.calendar_reading).where(column > wrong).values({column: None}))
