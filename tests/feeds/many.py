"""Many people over few courses: each has a feed that joins the courses of that person."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from sqlalchemy import Engine, event, insert

from app.feeds.feed import Form
from app.feeds.rosters import ask_again
from app.feeds.serve import Feeds
from app.store import tables
from app.store.engine import writing
from bridges.errors import BridgeError
from bridges.model import CalendarRef, Kind
from tests.feeds.world import MONDAY, School, World, lesson

EACH = 5
"""Courses of a person."""


@dataclass(slots=True)
class Campus(School):
    """A school whose people take courses by their number.

    `asked` counts what its directory was asked about people, `called` its rosters; `refuses` is what those answer,
    and where it `forgets` they are empty.
    """

    asked: int = 0
    called: int = 0
    refuses: BridgeError | None = None
    forgets: bool = False
    members: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))

    def enrol(self, number: int) -> None:
        names = list(self.courses)
        for each in range(EACH):
            self.members[names[(7 * number + 13 * each) % len(names)]].add(str(number))

    def calendars_of(self, person: str) -> Sequence[CalendarRef]:
        self.asked += 1
        return [_course(name) for name, members in self.members.items() if person in members]

    def members_of(self, calendar: CalendarRef) -> Collection[str] | None:
        self.called += 1
        if self.refuses:
            raise self.refuses
        return () if self.forgets else {name for name in self.members[calendar.id] if self.is_in_rosters(name)}

    def is_in_rosters(self, person: str) -> bool:
        return person.isdigit()


@dataclass(slots=True)
class Crowd:
    """The campus with its people's feeds; `feeds` are those of one process."""

    world: World
    campus: Campus
    people: int = 0
    feeds: Feeds = field(init=False)

    def __post_init__(self) -> None:
        self.feeds = self.world.feeds()

    def join(self, count: int, *, looked: bool = True) -> None:
        """So many more people have a feed, and have looked at it once; or their directory alone has been asked."""
        numbers = range(self.people, self.people + count)
        rows = [
            {
                "slug": f"p{number}",
                "title": f"Person {number}",
                "calendar": str(CalendarRef("school", Kind.PERSON, str(number))),
                "public": True,
                "enabled": True,
                "created_at": MONDAY,
            }
            for number in numbers
        ]
        with writing(self.world.engine) as connection:
            connection.execute(insert(tables.feed), rows)
        self.people += count
        for number in numbers:
            self.campus.enrol(number)
        if not looked:
            self._tell(numbers)
        for number in numbers if looked else ():
            self.look(number)

    def _tell(self, numbers: Sequence[int]) -> None:
        """What the first looks would have left of enrolments, at once."""
        courses = defaultdict(list)
        for name, members in self.campus.members.items():
            for person in members:
                courses[person].append(str(_course(name)))
        names = {str(number): str(CalendarRef("school", Kind.PERSON, str(number))) for number in numbers}
        now, known = self.world.clock(), len(self.campus.courses)
        rows = [
            {
                "person": name,
                "calendars": courses[person],
                "next_check": now + ask_again(name, self.people, known),
                "failures": 0,
                "problem": "",
            }
            for person, name in names.items()
        ]
        with writing(self.world.engine) as connection:
            connection.execute(insert(tables.enrolment), rows)

    def look(self, number: int) -> bytes:
        return self.feeds.snapshot_for_public(f"p{number}", Form.ICS).body

    def hour(self) -> int:
        """Let an hour pass, with its worker, and every person looking once; the calls to the LMS."""
        before = self.calls()
        for _ in range(4):
            self.world.clock.forward(timedelta(minutes=15))
            for calendar in self.feeds.due():
                self.feeds.refresh(calendar, unless_fresh=True)
        for number in range(self.people):
            self.look(number)
        return self.calls() - before

    @staticmethod
    def course(name: str) -> CalendarRef:
        return _course(name)

    def calls(self) -> int:
        return self.campus.reads + self.campus.asked + self.campus.called

    def stored(self) -> dict[str, int]:
        """Bytes in the store by table: its pages."""
        with self.world.engine.connect() as connection:
            if connection.dialect.name == "postgresql":
                ours = "FROM pg_tables WHERE schemaname = 'public'"
                sizes = f"SELECT tablename, pg_total_relation_size(tablename::text) {ours}"
                return {str(name): int(size) for name, size in connection.exec_driver_sql(sizes)}
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
            query = "SELECT name, SUM(pgsize) FROM dbstat GROUP BY name"
            return {str(name): int(size) for name, size in connection.exec_driver_sql(query)}


def crowd(world: World, courses: int, lessons: int) -> Crowd:
    """A campus with so many courses of so many lessons, and nobody there yet."""
    campus = Campus({f"c{number}": {} for number in range(courses)})
    for number in range(courses):
        for each in range(lessons):
            start = MONDAY + timedelta(days=each, minutes=number % 300)
            campus.put(f"{number}-{each}", lesson(f"Course {number}, lesson {each}", start), course=f"c{number}")
    world.school = campus
    return Crowd(world, campus)


def _course(name: str) -> CalendarRef:
    return CalendarRef("school", Kind.COURSE, name)


@contextmanager
def queries(engine: Engine) -> Iterator[list[str]]:
    """The statements that the block sends to the store."""
    sent: list[str] = []

    def note(_: Any, __: Any, statement: str, *___: Any) -> None:
        sent.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        event.remove(engine, "before_cursor_execute", note)
