"""Looks a store through: whether its file is whole, its tables are ours, its ledger makes sense. Changes nothing."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import Connection, Engine, func, select, text

from app.store.migrate import alien, is_current
from app.store.tables import entry
from app.store.values import event_from_json

STATES = {
    *("pending-create", "pending-update", "pending-delete"),
    *("present", "deleted", "unwritten", "edited", "dismissed"),
}
MOST = 20
"""Faults of one kind that are told one by one."""


def faults(engine: Engine) -> Iterator[str]:
    """A sentence for each thing that is wrong. SQLAlchemyError where the database cannot even be read."""
    with engine.connect() as connection:
        if connection.dialect.name == "sqlite":
            yield from _file(connection)
    if not is_current(engine):
        yield "the tables are not those that this calbridge needs: 'calbridge migrate' brings them up"
        return
    yield from (f"the tables differ from what they should be: {each}" for each in alien(engine))
    with engine.connect() as connection:
        yield from _few(_entries(connection))
        yield from _few(_twice(connection))


def _file(connection: Connection) -> Iterator[str]:
    """https://sqlite.org/pragma.html#pragma_integrity_check"""
    for line in connection.execute(text(f"PRAGMA integrity_check({MOST})")).scalars():
        if line != "ok":
            yield f"the file is damaged: {line}"
    for table, row, parent, _ in connection.execute(text("PRAGMA foreign_key_check")):
        yield f"row {row} of {table} belongs to a row of {parent} that is not there"


def _entries(connection: Connection) -> Iterator[str]:
    columns = (entry.c.id, entry.c.calendar, entry.c.uid, entry.c.state, entry.c.event, entry.c.starts, entry.c.ends)
    for row in connection.execution_options(yield_per=500).execute(select(*columns)):
        where = f"entry {row.id} of the ledger ({row.calendar}, UID {row.uid[:80]})"
        if row.state not in STATES:
            yield f"{where} has a state that does not exist: {row.state}"
        if row.starts > row.ends:
            yield f"{where} ends before it starts"
        try:
            event_from_json(row.event)
        except (KeyError, TypeError, ValueError) as error:
            yield f"{where} holds no event: {error!r}"


def _twice(connection: Connection) -> Iterator[str]:
    """One event of an LMS that two entries answer for: both would write to it."""
    living = (entry.c.ref.is_not(None), entry.c.state.in_(["present", "pending-update", "pending-delete"]))
    same = select(entry.c.calendar, entry.c.ref).where(*living).group_by(entry.c.calendar, entry.c.ref)
    for row in connection.execute(same.having(func.count() > 1)):
        yield f"two entries of the ledger name the same event: {row.ref} in {row.calendar}"


def _few(found: Iterator[str]) -> Iterator[str]:
    for number, fault in enumerate(found):
        if number == MOST:
            yield "and more of the same kind"
            return
        yield fault
