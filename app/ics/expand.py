"""Events of one UID to occurrences within a window (RFC 5545 sections 3.8.4.4 and 3.8.5): slots first, zones after."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from heapq import merge
from typing import NamedTuple

from app.ics.events import Entry, day_of
from app.ics.problems import Limits
from app.ics.rrule import Rule, TooCostly, Work, instances
from app.ics.values import Length, Stamp
from bridges.model import AllDay, Occurrence, OccurrenceId, Timed, When

_DAY = timedelta(days=1)
_NONE = timedelta()
_SLACK = timedelta(hours=3)  # more than clocks are ever put forward or back
_EPOCH = datetime(2000, 1, 1)  # noqa: DTZ001 - any wall clock time would do
_FIRST = datetime(1, 1, 4)  # noqa: DTZ001 - the edge of the wall calendar, with room for any zone
_LAST = datetime(9999, 12, 28)  # noqa: DTZ001

Key = datetime | date
"""A slot: a UTC instant for zoned series, a naive time for floating ones, a date for all-day ones."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """The half-open window, as UTC instants. Days and floating times are laid out in `zone`."""

    low: datetime
    high: datetime
    zone: tzinfo

    @classmethod
    def of(cls, start: date | None, end: date | None, zone: tzinfo | None) -> Bounds:
        """Dates begin at midnight; dates and naive times are read in `zone`, else UTC; None is without a bound."""
        home = zone or (start.tzinfo if isinstance(start, datetime) else None) or UTC
        return cls(_bound(start, home, _FIRST), _bound(end, home, _LAST), home)

    def local(self, moment: datetime, zone: tzinfo | None) -> datetime:
        """A bound on the wall clock of `zone`; without one, on our own."""
        return moment.astimezone(zone or self.zone).replace(tzinfo=None, fold=0)


def _bound(value: date | None, zone: tzinfo, default: datetime) -> datetime:
    if value is None:
        return default.replace(tzinfo=UTC)
    moment = value if isinstance(value, datetime) else datetime.combine(value, time())
    if not _FIRST < moment.replace(tzinfo=None) < _LAST:
        return (_FIRST if moment.year < 5000 else _LAST).replace(tzinfo=UTC)
    return (moment if moment.tzinfo is not None else moment.replace(tzinfo=zone)).astimezone(UTC)


class Placed(NamedTuple):
    """A wall clock time with its zone: `shown` in the zone, `instant` in UTC (both naive if floating)."""

    shown: datetime
    instant: datetime
    gap: bool


class Place:
    """Puts wall clock times into one zone; the offset is looked up once a day.

    `datetime.replace` is slow, and adding to an aware datetime moves its wall clock: so a time is put into the zone
    by adding its distance from the epoch to the epoch there, and into UTC by adding it to that day's anchor.
    """

    def __init__(self, zone: tzinfo | None) -> None:
        self.zone = zone
        self._epoch = _EPOCH.replace(tzinfo=zone)
        self._anchors: dict[date, datetime | None] = {}

    def put(self, local: datetime) -> Placed:
        """The time in the zone; inside a gap it is moved forward by the gap, and the first of two is meant."""
        if self.zone is None:
            return Placed(local, local, False)
        anchor = self.anchor(local.date())
        if anchor is None:
            return self._uneven(local, self.zone)
        passed = local - _EPOCH
        return Placed(self._epoch + passed, anchor + passed, False)

    def _uneven(self, local: datetime, zone: tzinfo) -> Placed:
        shown = local.replace(tzinfo=zone)
        instant = shown.astimezone(UTC)
        real = instant.astimezone(zone)
        if real.replace(tzinfo=None, fold=0) != local:
            return Placed(real, instant, True)
        return Placed(shown, instant, False)

    def anchor(self, day: date) -> datetime | None:
        """The instant that the epoch would be at the offset of that day; None on a day that has two offsets."""
        if day not in self._anchors:
            midnight = datetime.combine(day, time(), self.zone)
            edges = {edge.replace(fold=fold).utcoffset() for edge in (midnight, midnight + _DAY) for fold in (0, 1)}
            offset = edges.pop()
            self._anchors[day] = None if edges or offset is None else _EPOCH.replace(tzinfo=UTC) - offset
        return self._anchors[day]

    def end(self, placed: Placed, length: Length) -> datetime:
        """From there, days on the wall clock and exact time after them (section 3.3.6)."""
        shown = placed.shown
        rough = shown + length.rough
        if self.zone is None or not (length.days or length.exact):
            return rough
        if not placed.gap:
            day, last = shown.date(), rough.date()
            here = self.anchor(day)
            if here is not None and (day == last or here == self.anchor(last)):
                return rough
        begun = self.put(shown.replace(tzinfo=None) + timedelta(days=length.days)) if length.days else placed
        return max(begun.instant + length.exact, placed.instant).astimezone(self.zone)


class Slot(NamedTuple):
    """One slot of a series: its name, where it lies, and how long it is."""

    key: Key
    placed: Placed
    length: Length


class Timeline(NamedTuple):
    """An occurrence and the UTC instant at which it begins, to sort by."""

    moment: datetime
    occurrence: Occurrence


@dataclass(slots=True)
class Onward:
    """An override that holds for its slot and all that follow (RANGE=THISANDFUTURE, section 3.2.13)."""

    key: Key
    slot: datetime
    entry: Entry


Note = Callable[..., None]
Found = tuple[datetime, When]
"""The UTC instant of a start, and the time itself."""


@dataclass(slots=True)
class Expander:
    """Expands the events of a file, one UID at a time. `days` is the zone that UTC midnights of all-day series mean."""

    bounds: Bounds
    limits: Limits
    days: tzinfo | None
    note: Note
    work: Work = field(init=False)
    home: Place = field(init=False)
    _places: dict[int, Place] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.work = Work(self.limits.work)
        self.home = Place(self.bounds.zone)

    def place(self, zone: tzinfo | None) -> Place:
        found = self._places.get(id(zone))
        if found is None:
            found = self._places[id(zone)] = Place(zone)
        return found

    def expand(self, entries: Sequence[Entry]) -> Iterator[Timeline]:
        """The occurrences of all entries with one UID, in no order; what cannot be expanded is noted."""
        if len(entries) == 1 and entries[0].slot is None and not entries[0].recurs:
            yield from self._single(entries[0], None)
            return
        masters, overrides = self._sorted(entries)
        if len(masters) == 1 and not overrides and not masters[0].recurs:
            yield from self._single(masters[0], None)
            return
        yield from self._family(masters, overrides)

    # ------------------------------------------------------------------------------------------------ who is who

    def _sorted(self, entries: Sequence[Entry]) -> tuple[list[Entry], list[Entry]]:
        """Masters and overrides, of each the newest revision; the order in the file does not matter."""
        masters = [one for one in entries if one.slot is None]
        if not masters:
            series = [one for one in entries if one.rules and not one.onward]
            masters = sorted(series, key=lambda one: one.start.local)[:1]
        chosen = {id(one) for one in masters}
        overrides = [one for one in entries if one.slot is not None and id(one) not in chosen]
        newest = max((one.revision[0] for one in masters), default=0)
        current = [one for one in masters if one.revision[0] == newest]
        kept = _newest(current, lambda one: (one.start.day, one.start.instant.replace(tzinfo=None)))
        if len(masters) > 1:
            self._tell_doubles(masters, kept)
        return kept, overrides

    def _tell_doubles(self, masters: list[Entry], kept: list[Entry]) -> None:
        what = "the newest was taken" if len(kept) == 1 else f"{len(kept)} that differ in their start were kept"
        self.note(masters[0], f"{len(masters)} events share one UID without being a series; {what}")

    def _family(self, masters: list[Entry], overrides: list[Entry]) -> Iterator[Timeline]:
        """A series, or several, with the overrides of its slots; overrides without a master stand for themselves."""
        model = masters[0] if masters else None
        table: dict[Key, Entry] = {}
        for one in _newest(overrides, lambda one: self._key(one, model)):
            table[self._key(one, model)] = one
        if masters and all(one.cancelled for one in masters):
            return
        onward = [Onward(key, self._slot_local(one, model), one) for key, one in table.items() if one.onward and model]
        onward.sort(key=lambda one: one.key)
        taken: set[Key] = set(table)
        for number, master in enumerate(masters, 1):
            if master.cancelled:
                continue
            found = self._series(master, taken, onward)
            if number == len(masters):
                yield from found
                continue
            kept = list(found)
            yield from kept
            taken.update(one.occurrence.id.slot for one in kept if one.occurrence.id.slot is not None)
        for key, one in table.items():
            yield from self._single(one, key)

    def _key(self, one: Entry, model: Entry | None) -> Key:
        """The slot that an override names, as the series names it (sections 3.8.4.4; dates and zones may differ)."""
        assert one.slot is not None
        start = model.start if model is not None else one.slot
        return self._as_key(one.slot, start)

    def _as_key(self, stamp: Stamp, start: Stamp) -> Key:
        if start.day:
            return day_of(stamp, self.days)
        return self._in_frame(stamp, start).instant

    def _in_frame(self, stamp: Stamp, start: Stamp) -> Stamp:
        """A stamp as a time of a timed series: a date means that day's time, a floating time the series' zone."""
        if stamp.day:
            return Stamp(datetime.combine(stamp.local.date(), start.local.time()), start.zone, False)
        if start.zone is None or stamp.zone is None:
            return Stamp(stamp.local, start.zone, False)
        return stamp

    def _slot_local(self, one: Entry, model: Entry | None) -> datetime:
        assert one.slot is not None
        start = model.start if model is not None else one.slot
        if start.day:
            return datetime.combine(day_of(one.slot, self.days), time())
        return _wall(self._in_frame(one.slot, start), start.zone)

    # ------------------------------------------------------------------------------------------------- occurrences

    def _single(self, one: Entry, key: Key | None) -> Iterator[Timeline]:
        if one.cancelled:
            return
        try:
            placed = self.place(one.start.zone).put(one.start.local)
            found = self._placed(one, one.start, placed, one.length)
        except OverflowError:
            self.note(one, "the event lies at the edge of the calendar; it was left out", lost=True)
            return
        if found is not None:
            yield Timeline(found[0], Occurrence(OccurrenceId(one.uid, key), one.event(found[1])))

    def _placed(self, one: Entry, kind: Stamp, placed: Placed, length: Length) -> Found | None:
        """The instant of the start and the time itself, if some of it lies in the window.

        `kind` says whether it is a day and whether it floats; days and floating times begin in our own zone.
        """
        floats = kind.day or kind.zone is None
        moment = self.home.put(placed.instant).instant if floats else placed.instant
        if moment >= self.bounds.high:
            return None
        when: When
        if kind.day:
            first = placed.shown.date()
            when = AllDay(first, first + timedelta(days=max(1, length.days)))
        else:
            when = Timed(placed.shown, self.place(kind.zone).end(placed, length))
            if placed.gap:
                self._tell_gap(one, placed)
        if moment < self.bounds.low and self._finish(when) <= self.bounds.low:
            return None
        return moment, when

    def _finish(self, when: When) -> datetime:
        """The end as an instant."""
        end = datetime.combine(when.end, time()) if isinstance(when, AllDay) else when.end
        return self.home.put(end).instant if end.tzinfo is None else end.astimezone(UTC)

    def _tell_gap(self, one: Entry, placed: Placed) -> None:
        self.note(one, f"a time of it does not exist where clocks go forward; it was moved to {placed.shown:%H:%M}")

    def _series(self, master: Entry, seen: set[Key], onward: list[Onward]) -> Iterator[Timeline]:
        shown, limit = 0, self.limits.series
        start, uid, event = master.start, master.uid, master.event
        try:
            for key, placed, length in self._slots(master, seen, onward):
                entry = master
                if onward and onward[0].key <= key:
                    entry, found = self._moved(master, key, placed, onward)
                else:
                    found = self._placed(master, start, placed, length)
                if found is None:
                    continue
                shown += 1
                if shown > limit:
                    cut = f"the series has more than {limit:,} occurrences; those after them were left out"
                    self.note(master, cut, lost=True)
                    return
                happening = event(found[1]) if entry is master else entry.event(found[1])
                yield Timeline(found[0], Occurrence(OccurrenceId(uid, key), happening))
        except TooCostly as error:
            self.note(master, f"the series was left out from some point on: {error}", lost=True)
        except OverflowError:
            self.note(master, "the series runs over the edge of the calendar; its rest was left out", lost=True)

    def _moved(self, master: Entry, key: Key, placed: Placed, onward: list[Onward]) -> tuple[Entry, Found | None]:
        """Where and as what a slot takes place after a THISANDFUTURE: moved as that one was, with its properties."""
        change = onward[bisect_right(onward, key, key=lambda one: one.key) - 1]
        entry = change.entry
        if entry.cancelled:
            return entry, None
        start, goal = master.start, entry.start
        slot, here = change.slot, placed.shown.replace(tzinfo=None, fold=0)
        zone = start.zone if goal.day or goal.zone in (None, UTC) else goal.zone
        if zone is not start.zone and start.zone is not None and not start.day:
            slot, here = (_wall(Stamp(moment, start.zone, False), zone) for moment in (slot, here))
        if goal.day:
            moved = datetime.combine(here.date() + (goal.local.date() - slot.date()), time())
        else:
            moved = here + ((goal.local if start.day else _wall(goal, zone)) - slot)
        kind = Stamp(moved, None if goal.day else zone, goal.day)
        return entry, self._placed(entry, kind, self.place(kind.zone).put(moved), entry.length)

    # ------------------------------------------------------------------------------------------------------- slots

    def _slots(self, master: Entry, seen: set[Key], onward: list[Onward]) -> Iterator[Slot]:
        """The slots of a series that may touch the window, rising; exceptions and overrides are gone."""
        start = master.start
        low, high = self._reach(master, onward)
        lengths, extras = self._extras(master, low, high)
        own = [] if master.rules else [start.local]
        streams = [self._ruled(rule, master, low, high) for rule in master.rules]
        rising = merge(sorted({*own, *extras}), *streams) if extras or own or len(streams) != 1 else streams[0]
        put, length = self.place(start.zone).put, master.length
        gone, gone_days = self._exceptions(master, low, high)
        gone |= seen
        previous: Key | None = None
        for local in rising:
            placed = put(local)
            key: Key = local.date() if start.day else placed.instant
            if key == previous:
                continue
            previous = key
            if (gone and key in gone) or (gone_days and local.date() in gone_days):
                continue
            yield Slot(key, placed, lengths.get(local, length) if lengths else length)

    def _reach(self, master: Entry, onward: list[Onward]) -> tuple[datetime, datetime]:
        """The wall clock times between which slots matter: wider than the window by lengths and by moves."""
        start = master.start
        longest = max([master.length, *(one.entry.length for one in onward)], key=lambda one: one.rough).rough
        longest = max([longest, *(one.length.rough for one in master.extras if one.length)])
        moves = [one.entry.start.local - one.slot for one in onward]
        zone = None if start.day else start.zone
        slack = _DAY if start.day else _NONE if zone in (None, UTC) else _SLACK
        low = _shift(self.bounds.local(self.bounds.low, zone), -longest - max([*moves, _NONE]) - slack)
        high = _shift(self.bounds.local(self.bounds.high, zone), -min([*moves, _NONE]) + slack)
        return low, high

    def _ruled(self, rule: Rule, master: Entry, low: datetime, high: datetime) -> Iterator[datetime]:
        """The rule's times up to UNTIL, which is read as the series is (section 3.3.10, and exporters that differ)."""
        start = master.start
        rule = rule.of_days() if start.day else rule
        last, instant = self._until(rule, start)
        found = instances(rule, start.local, low, min(high, last), self.work)
        if instant is None or start.zone is None:
            return found
        place = self.place(start.zone)
        return (local for local in found if local < last - 4 * _DAY or place.put(local).instant <= instant)

    def _until(self, rule: Rule, start: Stamp) -> tuple[datetime, datetime | None]:
        """The last wall clock time that UNTIL allows; and the instant, where that says it more finely."""
        until = rule.until
        if until is None:
            return _LAST, None
        stamp = Stamp(until.moment, UTC if until.utc else None, until.day)
        if start.day:
            return datetime.combine(day_of(stamp, self.days), time()), None
        if until.day:
            return until.moment + _DAY - timedelta(microseconds=1), None
        if until.utc and start.zone is not None:
            return _shift(until.moment, 2 * _DAY), stamp.instant
        return until.moment, None

    def _extras(self, master: Entry, low: datetime, high: datetime) -> tuple[dict[datetime, Length], list[datetime]]:
        """RDATEs on the series' wall clock, and the lengths of those that are periods."""
        lengths: dict[datetime, Length] = {}
        found = []
        for stamp, length in master.extras:
            local = self._local(stamp, master.start)
            if low <= local <= high:
                found.append(local)
                if length is not None:
                    lengths[local] = length
        return lengths, found

    def _local(self, stamp: Stamp, start: Stamp) -> datetime:
        if start.day:
            return datetime.combine(day_of(stamp, self.days), time())
        return _wall(self._in_frame(stamp, start), start.zone)

    def _exceptions(self, master: Entry, low: datetime, high: datetime) -> tuple[set[Key], set[date]]:
        """The slots that EXDATE and EXRULE take away, and the days that a DATE takes from a timed series."""
        start = master.start
        gone: set[Key] = {self._as_key(one, start) for one in master.exdates if start.day or not one.day}
        days = {one.local.date() for one in master.exdates if one.day and not start.day}
        place = self.place(start.zone)
        for rule in master.exrules:
            for local in self._ruled(rule, master, low, high):
                gone.add(local.date() if start.day else place.put(local).instant)
                if len(gone) > 10 * self.limits.series:
                    raise TooCostly("its EXRULE takes away more than a series may have")
        return gone, days


def _newest(entries: Iterable[Entry], key: Callable[[Entry], object]) -> list[Entry]:
    """For each key the entry of the highest revision."""
    best: dict[object, Entry] = {}
    for one in entries:
        known = best.setdefault(key(one), one)
        if one.revision > known.revision:
            best[key(one)] = one
    return list(best.values())


def _wall(stamp: Stamp, zone: tzinfo | None) -> datetime:
    """A stamp on the wall clock of `zone`."""
    if stamp.zone is None or zone is None or stamp.zone is zone:
        return stamp.local
    return stamp.aware.astimezone(zone).replace(tzinfo=None, fold=0)


def _shift(moment: datetime, by: timedelta) -> datetime:
    """Moved, but not over the edges of the calendar."""
    try:
        return min(max(moment + by, _FIRST), _LAST)
    except OverflowError:
        return _FIRST if by < _NONE else _LAST
