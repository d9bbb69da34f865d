"""Who is in which course, asked course by course: one question a day for all of a course's people.

A person's enrolment is asked for at the person's first look, and rarely afterwards: the rosters of the courses that
somebody was told to be in keep everybody's up to date. So an LMS is asked for as much as it has courses, however many
people look. Of the names in a roster only those are kept, and looked at, that a feed was made for.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

from sqlalchemy import Connection, Engine, Text, cast, func, select, update

from app.store import tables
from app.store.engine import writing
from bridges.contract import Roster, Source
from bridges.errors import BridgeError, Transient
from bridges.model import CalendarRef, Kind

DAY = timedelta(days=1)
SELDOM = timedelta(days=7)
"""A person may be in a course that no feed shows yet, which no roster tells."""
AT_A_TIME = 500
"""A statement takes only some parameters."""
log = logging.getLogger(__name__)


def ask_again(person: str, people: int, courses: int) -> timedelta:
    """After how long a person whom rosters name is asked about again.

    So rarely that an LMS is asked about no more people in a day than it has courses, and each at a time of its own.
    """
    share = int.from_bytes(sha256(person.encode("utf-8", "surrogatepass")).digest()[:2]) / 0xFFFF
    return max(SELDOM, DAY * people / max(courses, 1)) * (0.5 + share)


@dataclass(frozen=True, slots=True)
class Rosters:
    """The rosters of the courses that persons' feeds join."""

    engine: Engine
    open_source: Callable[[str], Source]
    now: Callable[[], datetime]

    def call(self, course: CalendarRef) -> bool:
        """Ask who is in the course and note it with everybody known. Whether that settles it for a day: not where the
        LMS is away. Where it refuses, or knows nobody, those who were told to be in the course ask for themselves."""
        try:
            source = self.open_source(course.lms)
            if not isinstance(source, Roster) or not (holders := self._holders(course)):
                return True
            members, spelled_so = source.members_of(course), source.is_in_rosters
        except Transient:
            return False
        except BridgeError as error:
            log.warning("the roster of %s is refused, so that its people are asked for one by one: %s", course, error)
            members = []
        if members:
            self._note(course, members, holders, spelled_so)
        elif members is not None:
            self._ask_themselves(holders)
        return True

    def _holders(self, course: CalendarRef) -> Sequence[str]:
        """The persons who were told to be in the course."""
        table = tables.enrolment.c
        theirs = cast(table.calendars, Text).contains(json.dumps(str(course)), autoescape=True)
        with self.engine.connect() as connection:
            return connection.execute(select(table.person).where(_of(course.lms), theirs)).scalars().all()

    def _note(
        self, course: CalendarRef, members: Collection[str], holders: Sequence[str], spelled_so: Callable[[str], bool]
    ) -> None:
        name, inside = str(course), {str(CalendarRef(course.lms, Kind.PERSON, each)) for each in members}
        with writing(self.engine) as connection:
            for person, calendars in _enrolled(connection, sorted(inside.union(holders))):
                told = [each for each in calendars if each != name] + ([name] if person in inside else [])
                if spelled_so(CalendarRef.parse(person).id) and set(told) != set(calendars):
                    _change(connection, person, calendars=told)

    def _ask_themselves(self, persons: Sequence[str]) -> None:
        now = self.now()
        with writing(self.engine) as connection:
            for person in persons:
                _change(connection, person, next_check=now)


def known(engine: Engine, lms: str) -> int:
    """How many persons of that LMS have feeds that somebody looked at."""
    with engine.connect() as connection:
        return connection.execute(select(func.count()).select_from(tables.enrolment).where(_of(lms))).scalar_one()


def _of(lms: str) -> Any:
    return tables.enrolment.c.person.startswith(f"{lms}/{Kind.PERSON}/", autoescape=True)


def _enrolled(connection: Connection, persons: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    """Those of these persons whose calendars are known, with them."""
    table = tables.enrolment.c
    for start in range(0, len(persons), AT_A_TIME):
        some = table.person.in_(persons[start : start + AT_A_TIME])
        for row in connection.execute(select(table.person, table.calendars).where(some)).all():
            if row.calendars is not None:
                yield row.person, row.calendars


def _change(connection: Connection, person: str, **values: Any) -> None:
    connection.execute(update(tables.enrolment).where(tables.enrolment.c.person == person).values(**values))
