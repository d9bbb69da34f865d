"""Bytes to occurrences: the one way into the reading core."""

from __future__ import annotations

import gc
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, tzinfo
from itertools import chain, islice

from app.ics.events import Entry, Reader
from app.ics.expand import Bounds, Expander
from app.ics.floating import NOBODY_SAID, Floating
from app.ics.parse import Cutter, Properties
from app.ics.problems import Limits, Log, NotACalendar, Problem
from app.ics.timezones import embedded_zones
from app.ics.values import plain
from app.ics.zones import LONGEST, Ladder, alias, iana, windows
from bridges.model import Occurrence

Zones = tuple[tzinfo | None, tzinfo | None, Floating]
"""The source's zone, that of home, and what floating times mean."""

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
    source_zone: tzinfo | None = None,
    floating: Floating = NOBODY_SAID,
    limits: Limits = Limits(),  # noqa: B008 - an immutable value
    lanes: bool = True,
) -> Reading:
    """All occurrences of an iCalendar file that overlap the half-open window [start, end).

    Bounds are dates, naive or aware datetimes; None is without a bound. Dates, naive bounds and floating times are
    read in `zone`; without it, and without a zone of the file's own, floating times stay naive. `source_zone` is what
    the source is known to mean by a TZID that nobody knows, and by floating times; without it such an event is left
    out with a problem (or stays naive, where there is no `zone` either). `floating` is a person's word about times
    without a zone, and stands above all of these. An event without
    length is in if start <= t < end. NotACalendar when the bytes are no whole calendar or exceed the limits;
    everything smaller is a Problem of the reading. Without `lanes` nothing takes a short way: the same answer, later.
    """
    bounds = Bounds.of(start, end, zone)
    opened = open_calendar(data, (source_zone, zone, floating), bounds, limits, lanes=lanes)
    return opened.reading(opened.occurrences(bounds))


@contextmanager
def _without_collector() -> Iterator[None]:
    """The collector of cycles rests: reading leaves none, and it would walk all that was read again and again."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


@dataclass(slots=True)
class Opened:
    """A file whose events are understood, and not yet laid out in time."""

    cutter: Cutter
    reader: Reader
    days: tzinfo | None
    families: dict[str, list[Entry]]
    events: int

    @_without_collector()
    def occurrences(self, bounds: Bounds) -> tuple[Occurrence, ...]:
        """All occurrences within bounds, by start and UID. Asked once: an event is forgotten when it is laid out."""
        limits, log = self.cutter.limits, self.cutter.log
        expander = Expander(bounds, limits, self.days, self._note_once(), lanes=self.cutter.lanes)
        moments: dict[datetime, list[Occurrence]] = defaultdict(list)
        left = limits.occurrences
        for uid in sorted(self.families):
            for moment, occurrence in expander.expand(self.families.pop(uid)):
                left -= 1
                if left < 0:
                    cut = f"the file has more than {limits.occurrences:,} occurrences; the rest was left out"
                    log.add(Problem(1, cut, lost=True))
                    break
                moments[moment].append(occurrence)
            if left < 0:
                break
        return tuple(chain.from_iterable(moments.pop(moment) for moment in sorted(moments)))

    def _note_once(self) -> Callable[..., None]:
        """Tells each problem of a series once, not for each of its members."""
        told: set[tuple[str, str]] = set()
        source, log = self.cutter.source, self.cutter.log

        def note(entry: Entry, text: str, *, lost: bool = False) -> None:
            if (entry.uid, text[16:]) not in told:
                told.add((entry.uid, text[16:]))
                log.add(Problem(source.number(entry.index), text, entry.uid, lost))

        return note

    def reading(self, occurrences: tuple[Occurrence, ...]) -> Reading:
        cutter, reader, log = self.cutter, self.reader, self.cutter.log
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
        )


@_without_collector()
def open_calendar(data: bytes, zones: Zones, bounds: Bounds, limits: Limits, *, lanes: bool = True) -> Opened:
    """The events of a file, one after the other, so that no more than what is understood of them is ever held.

    Zones and the like stand before the events nearly always. Where some come behind them, all is read once more.
    """
    cutter = Cutter(data, limits, Log(limits.problems), lanes=lanes)
    events = cutter.events()
    first = list(islice(events, 1))
    settled = cutter.settled
    opened = _opened(cutter, chain(first, events), zones, bounds)
    if cutter.settled == settled:
        return opened
    cutter = Cutter(data, limits, Log(limits.problems), lanes=lanes)
    return _opened(cutter, list(cutter.events()), zones, bounds)


def _opened(cutter: Cutter, events: Iterable[Properties], zones: Zones, bounds: Bounds) -> Opened:
    embedded, locations = embedded_zones(cutter)
    ladder = Ladder(embedded, locations, _own_zone(cutter), *zones)
    reader = Reader(cutter, ladder, bounds.around)
    families: dict[str, list[Entry]] = defaultdict(list)
    count = 0
    for count, entry in enumerate(reader.entries(events), 1):  # noqa: B007 - counted for afterwards
        families[entry.uid].append(entry)
    days = ladder.default or _only([one for one in embedded.values() if one.utcoffset(_SUMMER)])
    return Opened(cutter, reader, days, families, count)


_SUMMER = datetime(2024, 7, 1)  # noqa: DTZ001 - wall clock


def _only(zones: Sequence[tzinfo]) -> tzinfo | None:
    return zones[0] if len(zones) == 1 else None


def _own_zone(cutter: Cutter) -> tzinfo | None:
    """X-WR-TIMEZONE: Google's and Apple's word for the zone that floating times of the file mean."""
    name = cutter.calendar.value("X-WR-TIMEZONE").strip()
    return (iana(name) or windows(name) or alias(name)) if 0 < len(name) <= LONGEST else None
