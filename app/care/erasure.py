"""Erases what is kept of one person: the personal calendar with all that was read from it and written into it.

What stands in the LMS is the LMS's. Once the ledger is gone nobody can tell what of it was written by us: whoever wants
it gone there asks for a purge first.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, Table, Text, cast, delete, func, or_, select, true, update

from app.imports.pull import secrets
from app.imports.run import Imports
from app.store import tables
from app.store.engine import writing
from app.store.leases import lease
from bridges.model import CalendarRef, Kind

ERASED = "(erased)"
"""Stands in the audit log where the person's id or name stood."""
BY_CALENDAR = (
    *(tables.calendar_piece, tables.calendar_reading, tables.calendar_history, tables.event_version),
    *(tables.import_change, tables.import_run, tables.entry, tables.ledger_revision, tables.import_source),
    *(tables.drift_check, tables.subscription, tables.imprint),
)
"""What is kept of a calendar, in the order in which it can go; held files and histories go with their rows."""


class NotPurged(RuntimeError):
    """The LMS did not let go of everything: nothing was erased, so that it can be tried again."""


@dataclass(frozen=True, slots=True)
class Erased:
    """What went: rows by table, and events deleted from the LMS. `left` is where the person's id still stands: in what
    is kept of others (the text of an event, a file for many), by table."""

    person: CalendarRef
    removed: Mapping[str, int]
    purged: int = 0
    left: Mapping[str, int] = field(default_factory=dict)

    def to_json(self) -> dict[str, object]:
        return {"removed": dict(self.removed), "purged": self.purged, "left": dict(self.left)}


@dataclass(frozen=True, slots=True)
class Erasure:
    """Over one store. `unlink` takes back the person's own permission at the LMS; `forget_feed` removes a feed."""

    engine: Engine
    imports: Imports
    now: Callable[[], datetime]
    unlink: Callable[[CalendarRef], bool]
    forget_feed: Callable[[str], None]

    def erase(self, person: CalendarRef, *, names: Sequence[str] = (), purge: bool = False) -> Erased:
        """Erase what is kept of the person; tokens, accounts and imports called by one of `names`, too.

        ValueError where the calendar is no person's. NotPurged where the LMS keeps something, Busy while an import
        writes there; else as bridges.errors. Nothing is erased then.
        """
        if person.kind is not Kind.PERSON:
            raise ValueError(f"{person} is no person's calendar: write LMS/person/ID")
        calendars = self._calendars(person)
        purged = sum(self._purge(calendar) for calendar in calendars) if purge else 0
        removed: Counter[str] = Counter()
        with ExitStack() as stack:
            for calendar in calendars:
                stack.enter_context(lease(self.engine, f"import {calendar}", self.now))
            for slug, first, also in self._feeds():
                removed["feed"] += self._feed(slug, first, also, calendars)
            removed["links"] += int(self.unlink(person))
            with writing(self.engine) as connection:
                removed.update(_erase(connection, person, calendars, names))
        _overwrite(self.engine)
        with self.engine.connect() as connection:
            left = dict(_mentions(connection, [str(person), *names]))
        return Erased(person, {table: count for table, count in removed.items() if count}, purged, left)

    def _calendars(self, person: CalendarRef) -> list[CalendarRef]:
        """The personal calendar, and the person's own hours in others' (lms/office-hours/…/ID)."""
        hours = f"{person.lms}/{Kind.OFFICE_HOURS}/"
        found = {person}
        with self.engine.connect() as connection:
            for table in BY_CALENDAR:
                column = table.c.calendar
                like = column.startswith(hours, autoescape=True) & column.endswith(f"/{person.id}", autoescape=True)
                found.update(
                    map(CalendarRef.parse, connection.execute(select(column).where(like).distinct()).scalars())
                )
        return sorted(found)

    def _purge(self, calendar: CalendarRef) -> int:
        """All that our imports wrote there; how many events went."""
        gone = 0
        entry = tables.entry.c
        with self.engine.connect() as connection:
            sources = connection.execute(
                select(entry.source).where(entry.calendar == str(calendar)).distinct()
            ).scalars()
            imports = sorted(sources)
        for source in imports:
            report = self.imports.purge(calendar, source).report
            if report is None or report.left or report.refused:
                raise NotPurged(f"not everything that '{source}' wrote into {calendar} could be deleted: try again")
            gone += report.deleted
        return gone

    def _feeds(self) -> Iterable[Any]:
        with self.engine.connect() as connection:
            query = select(tables.feed.c.slug, tables.feed.c.calendar, tables.feed.c.also).order_by(tables.feed.c.slug)
            return connection.execute(query).all()

    def _feed(self, slug: str, first: str, also: list[str] | None, calendars: Sequence[CalendarRef]) -> int:
        """A feed of the person alone goes with its tokens; one that joins others goes on without the person."""
        theirs = set(map(str, calendars))
        shown = [first, *(also or ())]
        rest = [calendar for calendar in shown if calendar not in theirs]
        if len(rest) == len(shown):
            return 0
        if not rest:
            self.forget_feed(slug)
            return 1
        with writing(self.engine) as connection:
            values = {"calendar": rest[0], "also": rest[1:] or None}
            connection.execute(update(tables.feed).where(tables.feed.c.slug == slug).values(values))
        return 0


def _erase(
    connection: Connection, person: CalendarRef, calendars: Sequence[CalendarRef], names: Sequence[str]
) -> Iterator[str]:
    """The name of the table for each row that went."""

    def gone(table: Table, *which: ColumnElement[bool]) -> Iterator[str]:
        yield from [table.name] * connection.execute(delete(table).where(*which)).rowcount

    where = list(map(str, calendars))
    subscription = tables.subscription.c
    tied = select(subscription.id).where(or_(subscription.calendar.in_(where), subscription.source.in_(names)))
    for id in list(connection.execute(tied).scalars()):
        yield from gone(tables.secret, tables.secret.c.name.in_(secrets.names(id)))
    yield from _batches(connection, where)
    for table in BY_CALENDAR:
        yield from gone(table, table.c.calendar.in_(where))
    if names:
        yield from _from_courses(connection, names)
        named = (tables.import_run, tables.import_source, tables.entry, tables.subscription, tables.import_batch)
        for table in (*named, tables.imprint):
            yield from gone(table, table.c.source.in_(names))
        for table in (tables.api_token, tables.account, tables.feed_token):
            yield from gone(table, table.c.name.in_(names))
    yield from gone(tables.enrolment, tables.enrolment.c.person == str(person))
    yield from gone(tables.kept_answer, true())  # nobody can tell which tell of the person: they are sealed
    yield from gone(tables.lease, or_(*(tables.lease.c.name == f"{kind} {one}" for kind in _HELD for one in where)))
    yield from _pseudonymised(connection, [*where, person.id, *names])


_HELD = ("enrolment", "read")


def _from_courses(connection: Connection, names: Sequence[str]) -> Iterator[str]:
    """Addresses that people got from inside a course, where the LMS calls them by one of these names."""
    table = tables.lti_address.c
    found = connection.execute(select(table.id, table.token_id).where(table.person.in_(names))).all()
    of_vault = [f"{tables.LTI_ADDRESS}{row.id}" for row in found]
    connection.execute(delete(tables.secret).where(tables.secret.c.name.in_(of_vault)))
    tokens = tables.feed_token.c.id.in_([row.token_id for row in found])
    connection.execute(delete(tables.feed_token).where(tokens))  # the addresses go with it
    yield from [tables.lti_address.name] * len(found)


def _batches(connection: Connection, calendars: Sequence[str]) -> Iterator[str]:
    """Files that went into this calendar among others: their other runs go on without a batch."""
    run = tables.import_run.c
    ids = list(
        connection.execute(select(run.batch).where(run.calendar.in_(calendars), run.batch.is_not(None))).scalars()
    )
    connection.execute(update(tables.import_run).where(run.batch.in_(ids)).values(batch=None))
    count = connection.execute(delete(tables.import_batch).where(tables.import_batch.c.id.in_(ids))).rowcount
    yield from [tables.import_batch.name] * count


def _pseudonymised(connection: Connection, words: Iterable[str]) -> Iterator[str]:
    """What was done stays told; to whom and by whom does not."""
    pattern = re.compile(
        "|".join(rf"(?<![\w]){re.escape(word)}(?![\w])" for word in sorted(words, key=len, reverse=True))
    )
    audit = tables.audit.c
    for row in connection.execute(select(tables.audit)).all():
        texts = {"who": row.who, "what": row.what, "subject": row.subject}
        changed = {name: pattern.sub(ERASED, text)[:200] for name, text in texts.items() if pattern.search(text)}
        if changed:
            connection.execute(update(tables.audit).where(audit.id == row.id).values(changed))
            yield "audit"


def _overwrite(engine: Engine) -> None:
    """SQLite leaves what was deleted in its file until the place is needed (https://sqlite.org/lang_vacuum.html)."""
    if engine.dialect.name == "sqlite":
        with engine.connect() as connection:
            raw: Any = connection.connection.driver_connection
            raw.execute("VACUUM")
            raw.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def _mentions(connection: Connection, words: Sequence[str]) -> Iterator[tuple[str, int]]:
    """How many rows of each table still hold one of the words in a text."""
    for table in tables.metadata.sorted_tables:
        texts = [cast(column, Text) for column in table.columns if column.type.python_type in (str, dict)]
        found = [text.contains(word, autoescape=True) for text in texts for word in words]
        if found and (count := connection.execute(select(func.count()).select_from(table).where(or_(*found))).scalar()):
            yield table.name, count
