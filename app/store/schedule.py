"""What is done now and then, once, however many workers there are: the next time of each, by its name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from sqlalchemy import Engine, insert, select, update
from sqlalchemy.exc import IntegrityError

from app.store import tables
from app.store.engine import writing

_table = tables.schedule


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
