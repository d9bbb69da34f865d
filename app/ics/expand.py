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
_FIRST = datetime(1, 1, 4)  # noqa: DTZ001 - the edge of the wall calendar, with room for any zone
_LAST = datetime(9999, 12, 28)  # noqa: DTZ001

Key = datetime | date
"""A slot: a UTC instant for zoned series, a naive time for floating ones, a date for all-day ones."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """The half-open window. `low` and `high` are naive UTC; days and floating times are laid out in `zone`."""

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
        if not _FIRST < moment < _LAST:
            return moment
        return moment.replace(tzinfo=UTC).astimezone(zone or self.zone).replace(tzinfo=None)

    def holds(self, start: datetime, end: datetime) -> bool:
        """Whether a span (aware, or on the wall clock of our zone) overlaps; without length: start <= t < end."""
        first, last = self._utc(start), self._utc(end)
        return self.low <= first < self.high if first == last else first < self.high and last > self.low

    def _utc(self, moment: datetime) -> datetime:
        zoned = moment if moment.tzinfo is not None else moment.replace(tzinfo=self.zone)
        return zoned.astimezone(UTC).replace(tzinfo=None)


def _bound(value: date | None, zone: tzinfo, default: datetime) -> datetime:
    if value is None:
        return default
    moment = value if isinstance(value, datetime) else datetime.combine(value, time())
    zoned = moment if moment.tzinfo is not None else moment.replace(tzinfo=zone)
    try:
        return min(max(zoned.astimezone(UTC).replace(tzinfo=None), _FIRST), _LAST)
    except OverflowError:
        return _FIRST if moment.year < 5000 else _LAST


class Placed(NamedTuple):
    """A wall clock time with its zone: `shown` in the zone, `instant` in UTC (both naive if floating)."""

    shown: datetime
    instant: datetime
    gap: bool


class Place:
    """Puts wall clock times into one zone; the offset is looked up once a day."""

    def __init__(self, zone: tzinfo | None) -> None:
        self.zone = zone
        self._offsets: dict[date, timedelta | None] = {}

    def put(self, local: datetime) -> Placed:
        """The time in the zone; inside a gap it is moved forward by the gap, and the first of two is meant."""
        if self.zone is None:
            return Placed(local, local, False)
        offset = self.offset(local.date())
        if offset is not None:
            return Placed(local.replace(tzinfo=self.zone), (local - offset).replace(tzinfo=UTC), False)
        return self._uneven(local, self.zone)

    def _uneven(self, local: datetime, zone: tzinfo) -> Placed:
        shown = local.replace(tzinfo=zone)
        instant = shown.astimezone(UTC)
        real = instant.astimezone(zone)
        if real.replace(tzinfo=None, fold=0) != local:
            return Placed(real, instant, True)
        return Placed(shown, instant, False)

    def offset(self, day: date) -> timedelta | None:
        """The offset from UTC that holds all that day, None on a day that has two."""
        if day not in self._offsets:
            midnight = datetime.combine(day, time(), self.zone)
            edges = {edge.replace(fold=fold).utcoffset() for edge in (midnight, midnight + _DAY) for fold in (0, 1)}
            self._offsets[day] = edges.pop() if len(edges) == 1 else None
        return self._offsets[day]

    def span(self, placed: Placed, length: Length) -> Timed:
        """From there, days on the wall clock and exact time after them (section 3.3.6)."""
        if self.zone is None:
            return Timed(placed.shown, placed.shown + length.rough)
        if not length.days and not length.exact:
            return Timed(placed.shown, placed.shown)
        end = placed.shown + length.rough
        here = self.offset(placed.shown.date())
        if not placed.gap and here is not None and here == self.offset(end.date()):
            return Timed(placed.shown, end)
        begun = self.put(placed.shown.replace(tzinfo=None) + timedelta(days=length.days)) if length.days else placed
        finish = (begun.instant + length.exact).astimezone(self.zone)
        return Timed(placed.shown, finish if finish.astimezone(UTC) >= placed.instant else placed.shown)


@dataclass(slots=True)
class Onward:
    """An override that holds for its slot and all that follow (RANGE=THISANDFUTURE, section 3.2.13)."""

    key: Key
    slot: datetime
    entry: Entry


Note = Callable[..., None]


@dataclass(slots=True)
class Expander:
    """Expands the events of a file, one UID at a time. `days` is the zone that UTC midnights of all-day series mean."""

    bounds: Bounds
    limits: Limits
    days: tzinfo | None
    note: Note
    work: Work = field(init=False)
    _places: dict[int, Place] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.work = Work(self.limits.work)

    def place(self, zone: tzinfo | None) -> Place:
        found = self._places.get(id(zone))
        if found is None:
            found = self._places[id(zone)] = Place(zone)
        return found

    def expand(self, entries: Sequence[Entry]) -> Iterator[Occurrence]:
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

    def _family(self, masters: list[Entry], overrides: list[Entry]) -> Iterator[Occurrence]:
        """A series, or several, with the overrides of its slots; overrides without a master stand for themselves."""
        model = masters[0] if masters else None
        table: dict[Key, Entry] = {}
        for one in _newest(overrides, lambda one: self._key(one, model)):
            table[self._key(one, model)] = one
        if masters and all(one.cancelled for one in masters):
            return
        onward = [Onward(key, self._slot_local(one, model), one) for key, one in table.items() if one.onward and model]
        onward.sort(key=lambda one: one.key)
        seen: set[Key] = set(table)
        for master in masters:
            if not master.cancelled:
                yield from self._series(master, seen, onward)
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

    def _single(self, one: Entry, key: Key | None) -> Iterator[Occurrence]:
        if one.cancelled:
            return
        when = self._when(one, one.start.local, one.start.zone, one.start.day, one.length)
        if when is not None and self._inside(when):
            yield Occurrence(OccurrenceId(one.uid, key), one.event(when))

    def _when(self, one: Entry, local: datetime, zone: tzinfo | None, day: bool, length: Length) -> When | None:
        try:
            if day:
                return AllDay(local.date(), local.date() + timedelta(days=max(1, length.days)))
            place = self.place(zone)
            placed = place.put(local)
            if placed.gap:
                self.note(one, f"{local:%Y-%m-%d %H:%M} does not exist in its zone; it was moved forward by the gap")
            return place.span(placed, length)
        except OverflowError:
            self.note(one, "the event lies at the edge of the calendar; it was left out", lost=True)
            return None

    def _inside(self, when: When) -> bool:
        if isinstance(when, AllDay):
            start, end = datetime.combine(when.start, time()), datetime.combine(when.end, time())
            return self._days_inside(start, end)
        try:
            return self.bounds.holds(when.start, when.end)
        except OverflowError:
            return False

    def _days_inside(self, start: datetime, end: datetime) -> bool:
        if end > _LAST or start < _FIRST:
            return self.bounds.high == _LAST if end > _LAST else self.bounds.low == _FIRST
        return self.bounds.holds(start, end)

    def _series(self, master: Entry, seen: set[Key], onward: list[Onward]) -> Iterator[Occurrence]:
        shown = 0
        try:
            for local, key, length in self._slots(master, seen, onward):
                seen.add(key)
                when, entry = self._moved(master, local, key, length, onward)
                if when is None or not self._inside(when):
                    continue
                shown += 1
                if shown > self.limits.series:
                    self.note(
                        master,
                        f"the series has more than {self.limits.series:,} occurrences; those after them were left out",
                        lost=True,
                    )
                    return
                yield Occurrence(OccurrenceId(master.uid, key), entry.event(when))
        except TooCostly as error:
            self.note(master, f"the series was left out: {error}", lost=True)
        except OverflowError:
            self.note(master, "the series runs over the edge of the calendar; its rest was left out", lost=True)

    def _moved(
        self, master: Entry, local: datetime, key: Key, length: Length, onward: list[Onward]
    ) -> tuple[When | None, Entry]:
        """Where and as what a slot takes place: as the master says, or as the last THISANDFUTURE before it."""
        start = master.start
        at = bisect_right(onward, key, key=lambda one: one.key) if onward else 0
        if not at:
            return self._when(master, local, start.zone, start.day, length), master
        change = onward[at - 1]
        entry = change.entry
        if entry.cancelled:
            return None, entry
        zone = start.zone if entry.start.day or entry.start.zone in (None, UTC) else entry.start.zone
        slot, here = change.slot, local
        if zone is not start.zone and start.zone is not None and not start.day:
            slot, here = (_wall(Stamp(moment, start.zone, False), zone) for moment in (slot, local))
        goal = entry.start.local if entry.start.day or start.day else _wall(entry.start, zone)
        moved = here + (goal - slot)
        if entry.start.day:
            moved = datetime.combine(here.date() + (goal.date() - slot.date()), time())
        return self._when(entry, moved, zone, entry.start.day, entry.length), entry

    # ------------------------------------------------------------------------------------------------------- slots

    def _slots(self, master: Entry, seen: set[Key], onward: list[Onward]) -> Iterator[tuple[datetime, Key, Length]]:
        """The slots of a series that may touch the window: wall clock, key, length; exceptions are gone."""
        start = master.start
        low, high = self._reach(master, onward)
        lengths, extras = self._extras(master, low, high)
        own = [] if master.rules else [start.local]
        streams = [self._ruled(rule, master, low, high) for rule in master.rules]
        locals_ = merge(sorted({*own, *extras}), *streams) if extras or own or len(streams) != 1 else streams[0]
        place = self.place(start.zone)
        gone, gone_days = self._exceptions(master, low, high)
        previous = None
        for local in locals_:
            if local == previous:
                continue
            previous = local
            key: Key = local.date() if start.day else place.put(local).instant
            if key in seen or key in gone or (gone_days and local.date() in gone_days):
                continue
            yield local, key, lengths.get(local, master.length) if lengths else master.length

    def _reach(self, master: Entry, onward: list[Onward]) -> tuple[datetime, datetime]:
        """The wall clock times between which slots matter: wider than the window by lengths and by moves."""
        start = master.start
        longest = max([master.length, *(one.entry.length for one in onward)], key=lambda one: one.rough).rough
        longest = max([longest, *(one.length.rough for one in master.extras if one.length)])
        moves = [one.entry.start.local - one.slot for one in onward]
        zone = None if start.day else start.zone
        low = _shift(self.bounds.local(self.bounds.low, zone), -longest - max([*moves, _NONE]) - 2 * _DAY)
        high = _shift(self.bounds.local(self.bounds.high, zone), -min([*moves, _NONE]) + 2 * _DAY)
        return low, high

    def _ruled(self, rule: Rule, master: Entry, low: datetime, high: datetime) -> Iterator[datetime]:
        """The rule's times up to UNTIL, which is read as the series is (section 3.3.10, and exporters that differ)."""
        start = master.start
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
        gone = {self._as_key(one, start) for one in master.exdates if start.day or not one.day}
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
