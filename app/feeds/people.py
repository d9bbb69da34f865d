"""Whose calendars a person's feed joins: asked of the LMS's directory once a day, and kept for when it is away.

Of an LMS that has rosters it is asked more rarely: those tell the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from time import sleep

from sqlalchemy import Engine, insert, select, update

from app.feeds import rosters
from app.feeds.behind import Later, at_once
from app.feeds.feed import State, next_check
from app.feeds.rosters import ask_again
from app.ics.render import one_line
from app.store import tables
from app.store.engine import writing
from app.store.leases import Busy, lease
from bridges.contract import Directory, Roster, Source
from bridges.errors import BridgeError, Transient
from bridges.model import CalendarRef, Kind

EVERY = timedelta(days=1)
TURN = timedelta(minutes=2)
PATIENCE, STEP = 300, 0.1
"""How often, and after how many seconds, to look whether another's answer has come."""


@dataclass(frozen=True, slots=True)
class Enrolment:
    """The calendars of a person; None until the directory told. `problem` is why it did not, the last time."""

    calendars: tuple[CalendarRef, ...] | None
    next_check: datetime
    failures: int
    problem: str


@dataclass(slots=True)
class People:
    """Persons' calendars, for feeds that join them. An LMS without a directory is read for the person itself.

    `courses` tells how many calendars of an LMS are read.
    """

    engine: Engine
    open_source: Callable[[str], Source]
    now: Callable[[], datetime]
    courses: Callable[[str], int]
    later: Later = at_once

    def joined(self, named: Iterable[CalendarRef], *, ask: bool, anew: bool = False) -> Sequence[CalendarRef] | None:
        """The calendars that those named come to, each once, in order.

        With `ask` a directory is asked where that is due, or `anew` in any case; else None says that it should be. Who
        has an answer already need not wait for the next one.
        """
        found: list[CalendarRef] = []
        for calendar in named:
            if calendar.kind is not Kind.PERSON:
                found.append(calendar)
                continue
            kept = self.enrolment(calendar)
            if kept is None or kept.next_check <= self.now() or anew:
                if not ask:
                    return None
                if kept and kept.calendars and not anew:
                    self.later(f"enrolment {calendar}", partial(self._asked, calendar, kept))
                    kept = self.enrolment(calendar)
                else:
                    kept = self._asked(calendar, kept)
            found += kept.calendars or () if kept else ()
        return list(dict.fromkeys(found))

    def known(self, named: Iterable[CalendarRef]) -> Sequence[CalendarRef]:
        """What `joined` comes to by what is kept, however old, at the cost of one row for each person named.

        A person nobody asked for yet has no calendars: there is nothing to read before somebody looks.
        """
        found: list[CalendarRef] = []
        for calendar in named:
            if calendar.kind is not Kind.PERSON:
                found.append(calendar)
            elif kept := self.enrolment(calendar):
                found += kept.calendars or ()
        return list(dict.fromkeys(found))

    def enrolment(self, person: CalendarRef) -> Enrolment | None:
        """What is known of the person; None if nobody ever asked."""
        table = tables.enrolment
        with self.engine.connect() as connection:
            row = connection.execute(select(table).where(table.c.person == str(person))).first()
        if row is None:
            return None
        calendars = None if row.calendars is None else tuple(map(CalendarRef.parse, row.calendars))
        return Enrolment(calendars, row.next_check, row.failures, row.problem)

    def _asked(self, person: CalendarRef, before: Enrolment | None) -> Enrolment | None:
        """What the directory says now; what it said last if it is away or being asked already.

        Only who knows nothing at all waits for another's answer.
        """
        for _ in range(PATIENCE):
            try:
                with lease(self.engine, f"enrolment {person}", self.now, TURN):
                    known = self.enrolment(person)
                    if known != before:
                        return known  # another has asked in the meantime
                    self._keep(person, self._told(person, known))
            except Busy:
                if before is None and self.enrolment(person) is None:
                    sleep(STEP)
                    continue
            break
        return self.enrolment(person)

    def trouble(self, named: Iterable[CalendarRef]) -> State | None:
        """Why a person's calendars are not known, if a directory was asked in vain."""
        people = (self.enrolment(calendar) for calendar in named if calendar.kind is Kind.PERSON)
        for one in people:
            if one and one.failures:
                return State(None, None, None, one.next_check, one.failures, one.problem)
        return None

    def _told(self, person: CalendarRef, known: Enrolment | None) -> Enrolment:
        now = self.now()
        try:
            source = self.open_source(person.lms)
            if not isinstance(source, Directory):
                return Enrolment((person,), now + EVERY, 0, "")
            calendars = dict.fromkeys(source.calendars_of(person.id))
            return Enrolment(tuple(calendars), now + self._until_next(source, person, list(calendars)), 0, "")
        except BridgeError as error:
            failures = known.failures + 1 if known else 1
            asked = error.retry_after if isinstance(error, Transient) else None
            calendars_known = known.calendars if known else None
            later = next_check(now, EVERY, asked, failures)
            return Enrolment(calendars_known, later, failures, one_line(str(error)))

    def _until_next(self, source: Directory, person: CalendarRef, calendars: Sequence[CalendarRef]) -> timedelta:
        """Rosters tell of those who are in some course, and are spelled as there."""
        if not calendars or not isinstance(source, Roster) or not source.is_in_rosters(person.id):
            return EVERY
        return ask_again(str(person), rosters.known(self.engine, person.lms), self.courses(person.lms))

    def _keep(self, person: CalendarRef, told: Enrolment) -> None:
        table = tables.enrolment
        calendars = None if told.calendars is None else [str(calendar) for calendar in told.calendars]
        values = {
            "calendars": calendars,
            "next_check": told.next_check,
            "failures": told.failures,
            "problem": told.problem,
        }
        with writing(self.engine) as connection:
            kept = connection.execute(update(table).where(table.c.person == str(person)).values(values))
            if not kept.rowcount:
                connection.execute(insert(table).values(values | {"person": str(person)}))
