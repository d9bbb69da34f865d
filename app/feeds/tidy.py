"""Which calendars feeds use, and the forgetting of what none uses any more: readings, versions, enrolments."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Engine, delete, insert, select, update

from app.store import tables
from app.store.engine import writing
from bridges.model import Kind

UNUSED = timedelta(days=14)
"""How long a reading that no feed shows is kept, should its feed come back."""
AT_A_TIME = 500
"""A statement takes only some parameters."""


@dataclass(frozen=True, slots=True)
class Tidied:
    """How many readings and how many enrolments were forgotten."""

    readings: int
    enrolments: int


def used(engine: Engine, *, enabled: bool = False) -> set[str]:
    """The names of the calendars that feeds show, or those that are `enabled`: two looks, however many there are.

    A person nobody asked for yet has no calendars: there is nothing to read before somebody looks.
    """
    with engine.connect() as connection:
        calendars, _ = _used(connection, enabled)
    return calendars


def persons(engine: Engine) -> set[str]:
    """The persons that enabled feeds name: their directory is asked once a day for each."""
    with engine.connect() as connection:
        return _used(connection, True)[1]


def tidy(engine: Engine, now: datetime) -> Tidied:
    """Mark what is unused since now, and forget what has been for long. What a feed uses again is marked no more."""
    with writing(engine) as connection:
        calendars, people = _used(connection, False)
        want(connection, _used(connection, True)[0], now)
        table = tables.calendar_reading.c
        rows = connection.execute(select(table.calendar, table.unused_since)).all()
        _mark(connection, now, [row.calendar for row in rows if row.calendar not in calendars and not row.unused_since])
        _mark(connection, None, [row.calendar for row in rows if row.calendar in calendars and row.unused_since])
        old = [row.calendar for row in rows if row.unused_since and now - row.unused_since >= UNUSED]
        gone = [name for name in old if name not in calendars]
        known = connection.execute(select(tables.enrolment.c.person)).scalars().all()
        strangers = [name for name in known if name not in people]
        forget(connection, gone)
        _delete(connection, tables.enrolment.c.person, strangers)
    return Tidied(len(gone), len(strangers))


def mark(engine: Engine, now: datetime, calendars: Sequence[str]) -> None:
    """They are in no feed's use since now."""
    with writing(engine) as connection:
        _mark(connection, now, calendars)


def want(connection: Connection, calendars: Iterable[str], now: datetime) -> None:
    """These are in use, whether or not anything was read of them."""
    table, names = tables.calendar_reading, list(calendars)
    known: dict[str, bool] = {}
    for some in _some(names):
        rows = select(table.c.calendar, table.c.unused_since).where(table.c.calendar.in_(some))
        known |= {row.calendar: row.unused_since is not None for row in connection.execute(rows)}
    _mark(connection, None, [name for name, marked in known.items() if marked])
    first = {"next_check": now, "failures": 0, "problem": ""}
    if new := [{"calendar": name, **first} for name in dict.fromkeys(names) if name not in known]:
        connection.execute(insert(table), new)


def forget(connection: Connection, calendars: Sequence[str]) -> None:
    """All that is kept of these calendars' readings."""
    for column in (tables.event_version.c.calendar, tables.calendar_history.c.calendar):
        _delete(connection, column, calendars)
    _delete(connection, tables.calendar_reading.c.calendar, calendars)


def _used(connection: Connection, enabled: bool) -> tuple[set[str], set[str]]:
    """Calendars, those of persons' feeds among them; and the persons."""
    feed = tables.feed.c
    query = select(feed.calendar, feed.also)
    rows = connection.execute(query.where(feed.enabled) if enabled else query)
    named = {name for row in rows for name in (row.calendar, *(row.also or ()))}
    people = {name for name in named if name.split("/", 2)[1] == Kind.PERSON}
    calendars = named - people
    for row in connection.execute(select(tables.enrolment.c.person, tables.enrolment.c.calendars)) if people else ():
        if row.person in people:
            calendars.update(row.calendars or ())
    return calendars, people


def _mark(connection: Connection, since: datetime | None, calendars: Sequence[str]) -> None:
    table = tables.calendar_reading
    for some in _some(calendars):
        connection.execute(update(table).where(table.c.calendar.in_(some)).values(unused_since=since))


def _delete(connection: Connection, column: Any, names: Sequence[str]) -> None:
    for some in _some(names):
        connection.execute(delete(column.table).where(column.in_(some)))


def _some(names: Sequence[str]) -> Iterator[Iterable[str]]:
    return (names[start : start + AT_A_TIME] for start in range(0, len(names), AT_A_TIME))
