"""When each calendar that imports write into is compared with what was written: the table behind the rhythm."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import Engine, insert, select, update
from sqlalchemy.exc import IntegrityError

from app.store import tables
from app.store.engine import writing
from bridges.model import CalendarRef

FIRST_PAUSE, LONGEST_PAUSE = timedelta(hours=1), timedelta(hours=24)

_table = tables.drift_check


def begin(engine: Engine, calendar: CalendarRef, first: datetime) -> None:
    """Look at this calendar from `first` on, unless that is decided already."""
    with engine.connect() as connection:
        if connection.execute(select(_table.c.calendar).where(_table.c.calendar == str(calendar))).first():
            return
    values = {"calendar": str(calendar), "next_check": first, "failures": 0, "problem": ""}
    try:
        with writing(engine) as connection:
            connection.execute(insert(_table).values(values))
    except IntegrityError:
        return  # another process did


def set_hours(engine: Engine, calendar: CalendarRef, hours: int | None, now: datetime) -> None:
    """Look every so many hours, 0: never; None: as usual. The next look is due at once."""
    begin(engine, calendar, now)
    with writing(engine) as connection:
        mine = _table.c.calendar == str(calendar)
        connection.execute(update(_table).where(mine).values(every_hours=hours, next_check=now))


def due(engine: Engine, now: datetime, usual: timedelta) -> Sequence[CalendarRef]:
    """The calendars to look at now, the one that waits longest first."""
    query = select(_table.c.calendar, _table.c.every_hours).where(_table.c.next_check <= now)
    with engine.connect() as connection:
        rows = connection.execute(query.order_by(_table.c.next_check, _table.c.calendar)).all()
    return [CalendarRef.parse(row.calendar) for row in rows if _pause(row.every_hours, usual)]


def book(engine: Engine, calendar: CalendarRef, now: datetime, usual: timedelta) -> bool:
    """Put the next look off before this one is made; False where it is not due (any more)."""
    mine = (_table.c.calendar == str(calendar), _table.c.next_check <= now)
    with writing(engine) as connection:
        row = connection.execute(select(_table).where(*mine)).first()
        pause = _pause(row.every_hours, usual) if row is not None else timedelta(0)
        if pause:
            connection.execute(update(_table).where(*mine).values(next_check=now + pause))
        return bool(pause)


def keep(
    engine: Engine, calendar: CalendarRef, now: datetime, problem: str, *, failed: bool, retry_after: float | None
) -> None:
    """What came of a look. One that failed is repeated sooner than usual: after an hour, two, four …"""
    mine = _table.c.calendar == str(calendar)
    with writing(engine) as connection:
        row = connection.execute(select(_table).where(mine)).first()
        if row is None:
            return
        failures = row.failures + 1 if failed else 0
        values = {"failures": failures, "problem": problem} | ({} if failed else {"checked_at": now})
        if failed:
            pause = min(FIRST_PAUSE * 2 ** min(row.failures, 10), LONGEST_PAUSE)
            wait = min(max(pause, timedelta(seconds=retry_after or 0)), LONGEST_PAUSE)
            values["next_check"] = now + wait
        connection.execute(update(_table).where(mine).values(values))


def _pause(hours: int | None, usual: timedelta) -> timedelta:
    return usual if hours is None else timedelta(hours=hours)
