"""Bytes to occurrences: the one way into the reading core."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, tzinfo
from itertools import islice

from app.ics.events import Entry, Reader
from app.ics.expand import Bounds, Expander, Timeline
from app.ics.parse import Parsed, parse
from app.ics.problems import Limits, NotACalendar, Problem
from app.ics.timezones import embedded_zones
from app.ics.values import plain
from app.ics.zones import Ladder, alias, iana, windows
from bridges.model import Occurrence

__all__ = ["Limits", "NotACalendar", "Problem", "Reading", "read_occurrences"]


@dataclass(frozen=True, slots=True)
class Reading:
    """What a file holds within a window.

    `events` counts the VEVENTs that were understood, inside the window or not. `ignored` counts components of kinds
    that we do not read. `zone` is the file's own (X-WR-TIMEZONE). Of the UIDs in `unread` something was lost; after
    `unread_all` nobody may conclude from its absence that an event was deleted.
    """

    occurrences: tuple[Occurrence, ...]
    events: int
    problems: tuple[Problem, ...]
    ignored: Mapping[str, int]
    name: str = ""
    zone: tzinfo | None = None
    unread: frozenset[str] = frozenset()
    unread_all: bool = False


def read_occurrences(
    data: bytes,
    start: date | None = None,
    end: date | None = None,
    *,
    zone: tzinfo | None = None,
    limits: Limits = Limits(),  # noqa: B008 - an immutable value
) -> Reading:
    """All occurrences of an iCalendar file that overlap the half-open window [start, end).

    Bounds are dates, naive or aware datetimes; None is without a bound. Dates, naive bounds and floating times are
    read in `zone`; without it, and without a zone of the file's own, floating times stay naive. An event without
    length is in if start <= t < end. NotACalendar when the bytes are no whole calendar or exceed the limits;
    everything smaller is a Problem of the reading.
    """
    parsed = parse(data, limits)
    embedded, locations, problems = embedded_zones(parsed, limits)
    own = _own_zone(parsed)
    ladder = Ladder(embedded, locations, own, zone)
    reader = Reader(parsed, ladder, limits)
    entries = list(reader.entries())
    days = ladder.default or _only([one for one in embedded.values() if one.utcoffset(_SUMMER)])
    told: set[tuple[str, str]] = set()

    def note(entry: Entry, text: str, *, lost: bool = False) -> None:
        if (entry.uid, text[16:]) not in told:
            told.add((entry.uid, text[16:]))
            problems.append(Problem(parsed.source.number(entry.component.index), text, entry.uid, lost))

    expander = Expander(Bounds.of(start, end, zone), limits, days, note)
    occurrences = _expanded(entries, expander, limits, problems)
    told_all = sorted([*parsed.problems, *problems, *reader.problems], key=lambda one: one.line)
    lost = {problem.uid for problem in told_all if problem.lost}
    return Reading(
        occurrences=occurrences,
        events=len(entries) + len(reader.timeless),
        problems=tuple(told_all),
        ignored=dict(parsed.ignored),
        name=plain(parsed.calendar.value("NAME") or parsed.calendar.value("X-WR-CALNAME")).strip(),
        zone=own,
        unread=frozenset(uid for uid in lost.union(reader.timeless) if uid is not None),
        unread_all=None in lost,
    )


_SUMMER = datetime(2024, 7, 1)  # noqa: DTZ001 - wall clock


def _only(zones: Sequence[tzinfo]) -> tzinfo | None:
    return zones[0] if len(zones) == 1 else None


def _own_zone(parsed: Parsed) -> tzinfo | None:
    """X-WR-TIMEZONE: Google's and Apple's word for the zone that floating times of the file mean."""
    name = parsed.calendar.value("X-WR-TIMEZONE").strip()
    return (iana(name) or windows(name) or alias(name)) if name else None


def _expanded(
    entries: list[Entry], expander: Expander, limits: Limits, problems: list[Problem]
) -> tuple[Occurrence, ...]:
    families: dict[str, list[Entry]] = defaultdict(list)
    for entry in entries:
        families[entry.uid].append(entry)
    found: list[Timeline] = []
    for family in families.values():
        found.extend(islice(expander.expand(family), limits.occurrences + 1 - len(found)))
    if len(found) > limits.occurrences:
        cut = f"the file has more than {limits.occurrences:,} occurrences; the rest was left out"
        problems.append(Problem(1, cut, lost=True))
        found.pop()
    found.sort(key=lambda one: (one.moment, one.occurrence.id.uid))
    return tuple(one.occurrence for one in found)
