"""A feed's events as a page shows them: a month as a grid of days, and the next ones as a list. Pure."""

from __future__ import annotations

import calendar
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

LONGEST = 160
"""Letters of a title or a place on the page."""
MOST_DAYS = 62
"""Days of one event that are marked in the grid."""


@dataclass(frozen=True, slots=True)
class Shown:
    """One event; `start` and `end` in the feed's zone, dates where it is `all_day` (then `last` is its last day)."""

    title: str
    place: str
    all_day: bool
    start: date
    end: date
    status: str

    @property
    def first(self) -> date:
        return self.start.date() if isinstance(self.start, datetime) else self.start

    @property
    def last(self) -> date:
        """The last day that it touches; its end is not included."""
        if isinstance(self.end, datetime):
            return max(self.first, (self.end - timedelta(microseconds=1)).date())
        return max(self.first, self.end - timedelta(days=1))


@dataclass(frozen=True, slots=True)
class Day:
    """One square of the grid."""

    day: date
    inside: bool
    today: bool
    events: Sequence[Shown]


def events_of(body: bytes, zone: ZoneInfo) -> Sequence[Shown]:
    """The events of a feed's JSON form, by start."""
    return [_shown(event, zone) for event in json.loads(body)["events"]]


def _shown(event: Mapping[str, Any], zone: ZoneInfo) -> Shown:
    start, end = (_moment(event[name], event["all_day"], zone) for name in ("start", "end"))
    words = _cut(event["title"]), _cut(event["place"])
    return Shown(*words, event["all_day"], start, end, event["status"])


def _moment(text: str, day: bool, zone: ZoneInfo) -> date:
    return date.fromisoformat(text[:10]) if day else datetime.fromisoformat(text).astimezone(zone)


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def coming(events: Iterable[Shown], today: date, most: int) -> Sequence[tuple[date, Sequence[Shown]]]:
    """The next events, `most` of them, by the day on which they begin; those that are running stand under today."""
    days: dict[date, list[Shown]] = {}
    for event in [one for one in events if one.last >= today][:most]:
        days.setdefault(max(event.first, today), []).append(event)
    return sorted(days.items())


def weeks(events: Iterable[Shown], month: date, today: date) -> Sequence[Sequence[Day]]:
    """The weeks of that month, from Monday, with what happens on each day."""
    by_day: dict[date, list[Shown]] = {}
    for event in events:
        span = min((event.last - event.first).days + 1, MOST_DAYS)
        for each in range(span):
            by_day.setdefault(event.first + timedelta(days=each), []).append(event)
    grid = calendar.Calendar().monthdatescalendar(month.year, month.month)
    return [[Day(day, day.month == month.month, day == today, by_day.get(day, [])) for day in week] for week in grid]


def month_of(text: str | None, today: date) -> date:
    """The first day of the month that is asked for as 2026-11; today's where that is none."""
    try:
        asked = date.fromisoformat(f"{text}-01") if text else today
    except ValueError:
        asked = today
    return asked.replace(day=1) if 1970 <= asked.year < 2200 else today.replace(day=1)


def beside(month: date, step: int) -> str:
    """The month before or after, as an address asks for it."""
    return f"{(month + timedelta(days=-1 if step < 0 else 31)).replace(day=1):%Y-%m}"
