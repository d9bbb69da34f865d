"""Bytes to occurrences: the one way into the reading core."""

from __future__ import annotations

import gc
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, tzinfo
from itertools import chain, islice
from typing import BinaryIO

from app.ics.events import Entry, Reader
from app.ics.expand import Bounds, Expander, Timeline
from app.ics.floating import NOBODY_SAID, Floating
from app.ics.gather import HELD, Gathered
from app.ics.lines import Source
from app.ics.parse import Cutter
from app.ics.problems import Limits, Log, NotACalendar, Problem
from app.ics.rrule import never
from app.ics.timezones import embedded_zones
from app.ics.values import plain
from app.ics.zones import LONGEST, Ladder, Resolved, alias, iana, windows
from bridges.model import Occurrence

Zones = tuple[tzinfo | None, tzinfo | None, Floating]
"""The source's zone, that of home, and what floating times mean."""

PORTION = 1_000
"""Occurrences that are handed out at a time, or a few more."""

__all__ = ["Limits", "NotACalendar", "Problem", "Reading", "read_occurrences"]


@dataclass(frozen=True, slots=True)
class Reading:
    """What a file holds within a window.

    `events` counts the VEVENTs that were understood, inside the window or not. `ignored` counts components of kinds
    that we do not read. `zone` is the file's own (X-WR-TIMEZONE), `zones` what its TZIDs were read as. Of the
    UIDs in `unread` something was lost; after `unread_all` nobody may conclude from its absence that an event was
    deleted.
    """

    occurrences: tuple[Occurrence, ...]
    events: int
    problems: tuple[Problem, ...]
    ignored: Mapping[str, int]
    name: str = ""
    zone: tzinfo | None = None
    unread: frozenset[str] = frozenset()
    unread_all: bool = False
    zones: tuple[Resolved, ...] = field(default=(), compare=False)


def read_occurrences(
    data: bytes | BinaryIO,
    start: date | None = None,
    end: date | None = None,
    *,
    zone: tzinfo | None = None,
    source_zone: tzinfo | None = None,
    floating: Floating = NOBODY_SAID,
    limits: Limits = Limits(),  # noqa: B008 - an immutable value
    lanes: bool = True,
    late: Callable[[], bool] = never,
) -> Reading:
    """All occurrences of an iCalendar file that overlap the half-open window [start, end).

    Bounds are dates, naive or aware datetimes; None is without a bound. Dates, naive bounds and floating times are
    read in `zone`; without it, and without a zone of the file's own, floating times stay naive. `source_zone` is what
    the source is known to mean by a TZID that nobody knows, and by floating times; without it such an event is left
    out with a problem (or stays naive, where there is no `zone` either). `floating` is a person's word about times
    without a zone, and stands above all of these. An event without
    length is in if start <= t < end. NotACalendar when the bytes are no whole calendar or exceed the limits;
    everything smaller is a Problem of the reading. Without `lanes` nothing takes a short way: the same answer, later.
    Once `late` says that the time is up, no more is laid out in time, and the reading says so.
    """
    bounds = Bounds.of(start, end, zone)
    opened = open_calendar(data, (source_zone, zone, floating), bounds, limits, lanes=lanes, late=late)
    return opened.reading(opened.occurrences())


@contextmanager
def without_collector() -> Iterator[None]:
    """The collector of cycles rests: reading leaves none, and it would walk all that was read again and again."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


@dataclass(frozen=True, slots=True)
class Spent:
    """How much of a file's limits was used up: `occurrences`, steps of `work`, and `costs` of rules."""

    occurrences: int = 0
    work: int = 0
    costs: int = 0

    def within(self, limits: Limits) -> bool:
        return self.occurrences <= limits.occurrences and self.work <= limits.work and self.costs <= limits.costs

    def also(self, other: Spent) -> Spent:
        """What both take together."""
        return Spent(self.occurrences + other.occurrences, self.work + other.work, self.costs + other.costs)


@dataclass(slots=True)
class Opened:
    """A file whose zones are known, and whose events are asked for once, in one of three ways."""

    gathered: Gathered
    reader: Reader
    bounds: Bounds
    days: tzinfo | None
    late: Callable[[], bool] = never
    events: int = 0
    laid_out: int = 0
    expander: Expander | None = None

    @property
    def spent(self) -> Spent:
        """What was asked of the limits of a file until now."""
        if self.expander is None:
            return Spent()
        limits = self.expander.limits
        return Spent(self.laid_out, limits.work - self.expander.work.left, limits.costs - self.expander.costs)

    def families(self) -> Iterator[list[Entry]]:
        """The events of each UID, understood."""
        for members in self.gathered.families():
            entries = list(self.reader.entries(members))
            self.events += len(entries)
            if len(entries) == 1:
                yield entries
                continue
            named: dict[str, list[Entry]] = defaultdict(list)
            for entry in entries:
                named[entry.uid].append(entry)
            yield from named.values()

    def portions(self) -> Iterator[list[Occurrence]]:
        """All occurrences, so many UIDs at a time, each of them whole: what is held does not grow with the file."""
        timelines = self.timelines(self.families())
        while (portion := self._portion(timelines)) is not None:
            yield portion

    @without_collector()
    def _portion(self, timelines: Iterator[list[Timeline]]) -> list[Occurrence] | None:
        """None behind the last one."""
        portion: list[Occurrence] | None = None
        for timeline in timelines:
            portion = portion or []
            portion.extend(occurrence for _, occurrence in timeline)
            if len(portion) >= PORTION:
                break
        return portion

    @without_collector()
    def occurrences(self) -> tuple[Occurrence, ...]:
        """All occurrences at once, by start and UID."""
        named = {timeline[0][1].id.uid: timeline for timeline in self.timelines(self.families()) if timeline}
        moments: dict[datetime, list[Occurrence]] = defaultdict(list)
        for uid in sorted(named):
            for moment, occurrence in named.pop(uid):
                moments[moment].append(occurrence)
        return tuple(chain.from_iterable(moments.pop(moment) for moment in sorted(moments)))

    def timelines(self, families: Iterable[list[Entry]]) -> Iterator[list[Timeline]]:
        """Each of these families laid out in time, until there are too many occurrences."""
        cutter = self.gathered.cutter
        expander = Expander(self.bounds, cutter.limits, self.days, self._note_once(), cutter.lanes, self.late)
        self.expander = expander
        left = most = cutter.limits.occurrences
        for number, family in enumerate(families):
            if not number % 100 and self.late():
                cut = "the time for this file is up; the rest was left out"
                cutter.log.add(Problem(1, cut, lost=True))
                return
            timeline = list(islice(expander.expand(family), left + 1))
            if len(timeline) > left:
                cutter.log.add(
                    Problem(1, f"the file has more than {most:,} occurrences; the rest was left out", lost=True)
                )
                yield timeline[:left]
                return
            left -= len(timeline)
            self.laid_out = most - left
            yield timeline

    def _note_once(self) -> Callable[..., None]:
        """Tells each problem of a series once, not for each of its members."""
        told: set[tuple[str, str]] = set()
        cutter = self.gathered.cutter
        source, log = cutter.source, cutter.log

        def note(entry: Entry, text: str, *, lost: bool = False) -> None:
            if (entry.uid, text[16:]) not in told:
                told.add((entry.uid, text[16:]))
                log.add(Problem(source.number(entry.index), text, entry.uid, lost))

        return note

    def reading(self, occurrences: tuple[Occurrence, ...]) -> Reading:
        cutter, reader = self.gathered.cutter, self.reader
        log = cutter.log
        name = cutter.calendar.value("NAME") or cutter.calendar.value("X-WR-CALNAME")
        return Reading(
            occurrences=occurrences,
            events=self.events + len(reader.timeless),
            problems=log.told(),
            ignored=dict(cutter.ignored),
            name=plain(name).strip(),
            zone=reader.ladder.calendar,
            unread=frozenset(uid for uid in log.lost.union(reader.timeless) if uid is not None),
            unread_all=None in log.lost,
            zones=reader.ladder.answers,
        )


@without_collector()
def open_calendar(
    data: bytes | BinaryIO,
    zones: Zones,
    bounds: Bounds,
    limits: Limits,
    *,
    lanes: bool = True,
    held: int = HELD,
    late: Callable[[], bool] = never,
) -> Opened:
    """A file, read once for its zones and for which of its events belong together; `held` as of Gathered.

    NotACalendar as `read_occurrences`.
    """
    gathered = Gathered(Source(data, limits.bytes), limits, Log(limits.problems), lanes=lanes, held=held)
    cutter = gathered.cutter
    embedded, locations = embedded_zones(cutter)
    ladder = Ladder(embedded, locations, _own_zone(cutter), *zones)
    days = ladder.default or _only([one for one in embedded.values() if one.utcoffset(_SUMMER)])
    return Opened(gathered, Reader(cutter, ladder, bounds.around), bounds, days, late)


_SUMMER = datetime(2024, 7, 1)  # noqa: DTZ001 - wall clock


def _only(zones: Sequence[tzinfo]) -> tzinfo | None:
    return zones[0] if len(zones) == 1 else None


def _own_zone(cutter: Cutter) -> tzinfo | None:
    """X-WR-TIMEZONE: Google's and Apple's word for the zone that floating times of the file mean."""
    name = cutter.calendar.value("X-WR-TIMEZONE").strip()
    return (iana(name) or windows(name) or alias(name)) if 0 < len(name) <= LONGEST else None
