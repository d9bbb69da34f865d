"""A stored plan as people read it: its changes by day, in words, and months with what happens on each day."""

from __future__ import annotations

from calendar import Calendar
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import groupby
from typing import Any
from zoneinfo import ZoneInfo

from app.store.values import when_from_json
from app.web.language import gettext, lazy, ngettext
from app.web.pages.shown import span, with_day
from bridges.model import AllDay, When

WORDS = {"create": lazy("new"), "update": lazy("changed"), "delete": lazy("removed")}
"""What a deed is called where people look at it; the plain names are its colours'."""
MOST_MONTHS = 6
LONGEST = 200
"""Letters of what others wrote."""


@dataclass(frozen=True, slots=True)
class Line:
    """One change. `before` is what stands there now, as far as it is otherwise; empty where nothing does."""

    deed: str
    word: str
    time: str
    title: str
    place: str
    before: str
    row: int | None


@dataclass(frozen=True, slots=True)
class Day:
    """What changes on one day, in the order of time."""

    day: date
    lines: Sequence[Line]


@dataclass(frozen=True, slots=True)
class Cell:
    """A day of a month: how much is new, changed and removed on it. None for a day of another month."""

    day: date
    counts: Sequence[tuple[str, str, int]]


@dataclass(frozen=True, slots=True)
class Month:
    first: date
    weeks: Sequence[Sequence[Cell | None]]


def days(changes: Iterable[Mapping[str, Any]], zone: ZoneInfo) -> Sequence[Day]:
    """The changes by day, times in `zone`."""
    told = sorted(((_start(one, zone), one) for one in changes), key=lambda pair: pair[0])
    found = groupby(told, key=lambda pair: pair[0][0])
    return [Day(day, [_line(one, zone) for _, one in pairs]) for day, pairs in found]


def months(shown: Sequence[Day]) -> Sequence[Month]:
    """The months that hold these days, the first ones."""
    counts = {each.day: Counter(line.deed for line in each.lines) for each in shown}
    firsts = sorted({day.replace(day=1) for day in counts})[:MOST_MONTHS]
    return [Month(first, [[_cell(day, first, counts) for day in week] for week in _weeks(first)]) for first in firsts]


def _weeks(first: date) -> Sequence[Sequence[date]]:
    return Calendar().monthdatescalendar(first.year, first.month)


def _cell(day: date, first: date, counts: Mapping[date, Counter[str]]) -> Cell | None:
    if day.month != first.month:
        return None
    found = counts.get(day, Counter())
    return Cell(day, [(deed, _of_several(deed, found[deed]), found[deed]) for deed in WORDS if found[deed]])


def _of_several(deed: str, count: int) -> str:
    """The word for so many: languages have a form of it for several."""
    match deed:
        case "create":
            return ngettext("new", "new", count)
        case "update":
            return ngettext("changed", "changed", count)
        case _:
            return ngettext("removed", "removed", count)


def _start(change: Mapping[str, Any], zone: ZoneInfo) -> tuple[date, str]:
    when = _when(change)
    if isinstance(when, AllDay):
        return when.start, ""
    start = when.start.astimezone(zone)
    return start.date(), start.isoformat()


def _when(change: Mapping[str, Any]) -> When:
    return when_from_json(change.get("days") or change["event"]["when"])


def _line(change: Mapping[str, Any], zone: ZoneInfo) -> Line:
    event, deed = change["event"], change["deed"]
    return Line(
        deed,
        str(WORDS[deed]),
        span(_when(change), zone),
        cut(event["title"]),
        cut(event.get("place", "")),
        _before(change, zone),
        change.get("line"),
    )


def _before(change: Mapping[str, Any], zone: ZoneInfo) -> str:
    before, event = change.get("before"), change["event"]
    if not before:
        return ""
    told = []
    if before["when"] != event["when"]:
        told.append(with_day(when_from_json(before["when"]), zone))
    told += [cut(before["title"])] if before["title"] != event["title"] else []
    if before.get("place", "") != event.get("place", ""):
        told.append(cut(before.get("place", "")) or gettext("no place"))
    return ", ".join(told) or gettext("another text")


def cut(text: str) -> str:
    """No more of it than a page can show."""
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
