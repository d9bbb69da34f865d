"""Two calendar files, of a term and of the same term changed, with what each must come to, computed by hand."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from tests.campus import calendar

HOUR = timedelta(hours=1)
WEEK = timedelta(weeks=1)
SERIES = 5
"""Occurrences of each weekly series; every tenth event of a file begins one."""

Lesson = tuple[str, datetime, datetime]
"""Title, start and end (UTC)."""


@dataclass(frozen=True, slots=True)
class File:
    """A calendar file, and the lessons that it means."""

    data: bytes
    lessons: Counter[Lesson]


@dataclass(frozen=True, slots=True)
class Term:
    """`first`, and what it changed to: a fifth of it is gone, a fifth renamed, a fifth moved, a tenth is new."""

    first: File
    changed: File
    begins: datetime
    ends: datetime


@dataclass(frozen=True, slots=True)
class _Item:
    number: int
    title: str
    start: datetime
    times: int

    def vevent(self) -> str:
        rule = f"\nRRULE:FREQ=WEEKLY;COUNT={self.times}" if self.times > 1 else ""
        return (
            f"UID:{self.number}@soak.example\nSUMMARY:{self.title}\nDTSTART:{self.start:%Y%m%dT%H%M%SZ}\n"
            f"DURATION:PT45M{rule}"
        )

    def lessons(self) -> list[Lesson]:
        starts = (self.start + week * WEEK for week in range(self.times))
        return [(self.title, start, start + timedelta(minutes=45)) for start in starts]


def make_term(count: int, today: datetime) -> Term:
    """A term of about so many lessons, from a week after `today` on: what is over could not be deleted."""
    begins = datetime(today.year, today.month, today.day, 8, tzinfo=UTC) + WEEK
    items: list[_Item] = []
    while sum(item.times for item in items) < count:
        items.append(_item(len(items), begins))
    changed = [changed for item in items if (changed := _changed(item))]
    new = [_item(len(items) + number, begins) for number in range(max(1, len(items) // 10))]
    return Term(_file(items), _file([*changed, *new]), begins - WEEK, begins + 52 * WEEK)


def _item(number: int, begins: datetime) -> _Item:
    start = begins + timedelta(days=number // 8, hours=number % 8)
    return _Item(number, f"Økologi {number}", start, SERIES if number % 10 == 9 else 1)


def _changed(item: _Item) -> _Item | None:
    match item.number % 5:
        case 0:
            return None
        case 1:
            return _Item(item.number, f"{item.title} (new)", item.start, item.times)
        case 2:
            return _Item(item.number, item.title, item.start + timedelta(minutes=15), item.times)
    return item


def _file(items: list[_Item]) -> File:
    return File(
        calendar(*(item.vevent() for item in items)), Counter(lesson for item in items for lesson in item.lessons())
    )
