"""Events of one UID to occurrences within a window (RFC 5545 sections 3.8.4.4 and 3.8.5): slots first, zones after."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from heapq import merge
from typing import NamedTuple

from app.ics.cost import cost
from app.ics.events import Entry, day_of
from app.ics.place import Happening, Key, Place, Placed
from app.ics.problems import Limits
from app.ics.rrule import Freq, Refused, Rule, TooCostly, Work, instances, never, ordinals
from app.ics.values import Length, Stamp
from bridges.model import AllDay, Occurrence, Timed, When

_DAY = timedelta(days=1)
_MIDNIGHT = time()
_NONE = timedelta()
_SLACK = timedelta(hours=3)  # more than clocks are ever put forward or back
_FIRST = datetime(1, 1, 4)  # noqa: DTZ001 - the edge of the wall calendar, with room for any zone
_LAST = datetime(9999, 12, 28)  # noqa: DTZ001


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

    @property
    def around(self) -> tuple[datetime, datetime]:
        """Wall clock times, in whatever zone, before and behind which nothing can touch the window."""
        low, high = (bound.replace(tzinfo=None) for bound in (self.low, self.high))
        return _shift(low, -2 * _DAY), _shift(high, 2 * _DAY)


def _bound(value: date | None, zone: tzinfo, default: datetime) -> datetime:
    if value is None:
        return default.replace(tzinfo=UTC)
    moment = value if isinstance(value, datetime) else datetime.combine(value, time())
    if not _FIRST < moment.replace(tzinfo=None) < _LAST:
        return (_FIRST if moment.year < 5000 else _LAST).replace(tzinfo=UTC)
    return (moment if moment.tzinfo is not None else moment.replace(tzinfo=zone)).astimezone(UTC)


class Slot(NamedTuple):
    """One slot of a series: its name, where it lies, and how long it is."""

    key: Key
    placed: Placed
    length: Length


Timeline = tuple[datetime, Occurrence]
"""An occurrence behind the UTC instant at which it begins, to sort by."""


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
    lanes: bool = True
    late: Callable[[], bool] = never
    work: Work = field(init=False)
    costs: int = field(init=False)
    home: Place = field(init=False)
    _places: dict[int, Place] = field(default_factory=dict)
    _edges: dict[int, tuple[datetime, datetime]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.work = Work(self.limits.work, self.late, self.limits.event_work)
        self.costs = self.limits.costs
        self.home = Place(self.bounds.zone)

    def place(self, zone: tzinfo | None) -> Place:
        found = self._places.get(id(zone))
        if found is None:
            found = self._places[id(zone)] = Place(zone)
        return found

    def edges(self, zone: tzinfo | None) -> tuple[datetime, datetime]:
        """The window on the wall clock of `zone`; without one, on our own."""
        found = self._edges.get(id(zone))
        if found is None:
            low, high = (self.bounds.local(bound, zone) for bound in (self.bounds.low, self.bounds.high))
            found = self._edges[id(zone)] = low, high
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
            found = self._series(master, taken, onward if _alike(master, masters[0]) else [])
            if number == len(masters):
                yield from found
                continue
            kept = list(found)
            yield from kept
            taken.update(one.id.slot for _, one in kept if one.id.slot is not None)
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
        framed = self._in_frame(stamp, start)
        return self.place(framed.zone).put(framed.local).instant

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
            yield found[0], one.happening(key, found[1])

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
        start = master.start
        self.work.begin()
        try:
            plain = self._plain(master, seen) if self.lanes and not onward else None
            if plain is not None:
                yield from plain
                return
            for key, placed, length in self._slots(master, seen, onward):
                entry = master
                if onward and onward[0].key <= key:
                    entry, found = self._moved(master, key, placed, onward)
                else:
                    found = self._placed(master, start, placed, length)
                if found is None:
                    self.work.spend()
                    continue
                shown += 1
                if shown > limit:
                    cut = f"the series has more than {limit:,} occurrences; those after them were left out"
                    self.note(master, cut, lost=True)
                    return
                yield found[0], entry.happening(key, found[1])
        except Refused as error:
            self.note(master, f"the series was left out: {error}", lost=True)
        except TooCostly as error:
            self.note(master, f"the series was left out from some point on: {error}", lost=True)
        except OverflowError:
            self.note(master, "the series runs over the edge of the calendar; its rest was left out", lost=True)

    def _plain(self, master: Entry, seen: set[Key]) -> list[Timeline] | None:
        """A series of even days at one time of day, with no further dates; None for every other one.

        The common case of a timetable, many times as fast as the general way, and with the same result.
        """
        start = master.start
        if len(master.rules) != 1 or master.extras or master.exrules or (start.zone is None and not start.day):
            return None
        rule = master.rules[0].of_days() if start.day else master.rules[0]
        low, high = self._reach(master, [])
        last, instant = self._until(rule, start)
        days = ordinals(rule, start.local, low, min(high, last), self.limits.series)
        if days is None:
            return None
        if instant is not None:
            days = self._until_instant(days, start, instant)
        gone, gone_days = self._exceptions(master, low, high)
        return self._laid(master, days, gone | seen, {day.toordinal() for day in gone_days})

    def _until_instant(self, days: Sequence[int], start: Stamp, instant: datetime) -> Sequence[int]:
        """Without the last days that begin behind UNTIL in UTC: there are two of them at the most."""
        place, clock = self.place(start.zone), start.local.time()
        count = len(days)
        while count and place.put(_at(days[count - 1], clock)).instant > instant:
            count -= 1
        return days[:count]

    def _laid(self, master: Entry, days: Sequence[int], gone: set[Key], gone_days: set[int]) -> list[Timeline]:
        start, length = master.start, master.length
        clock = start.local - datetime.combine(start.local, _MIDNIGHT)
        place = self.home if start.day else self.place(start.zone)
        if start.day:
            length = Length(max(1, length.days), _NONE)
        row = place.row(clock, length) if not start.day else place.row(-_DAY, length)
        make = place.whole if start.day else place.timed
        low, high = self.bounds.low, self.bounds.high
        laid: list[Timeline] = []
        for day in days:
            if day in gone_days:
                continue
            found = row.get(day) or make(row, day, clock, length) or self._uneven(master, day, gone)
            if found is None or found.key in gone:
                continue
            moment, key, when = found
            if low <= moment < high or (moment < low < self._finish(when)):
                laid.append((moment, master.happening(key, when)))
        return laid

    def _uneven(self, master: Entry, day: int, gone: set[Key]) -> Happening | None:
        """The member on a day with two offsets, the general way."""
        start = master.start
        local = _at(day, start.local.time())
        placed = self.place(start.zone).put(local)
        key: Key = local.date() if start.day else placed.instant
        found = self._placed(master, start, placed, master.length) if key not in gone else None
        return found and Happening(found[0], key, found[1])

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
                self.work.spend()
                continue
            previous = key
            if (gone and key in gone) or (gone_days and local.date() in gone_days):
                self.work.spend()
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
        low, high = self.edges(zone)
        return _shift(low, -longest - max([*moves, _NONE]) - slack), _shift(high, -min([*moves, _NONE]) + slack)

    def _ruled(self, rule: Rule, master: Entry, low: datetime, high: datetime) -> Iterator[datetime]:
        """The rule's times up to UNTIL, which is read as the series is (section 3.3.10, and exporters that differ)."""
        start = master.start
        rule = rule.of_days() if start.day else rule
        last, instant = self._until(rule, start)
        finish = last if instant is None else _wall(Stamp(instant.replace(tzinfo=None), UTC, False), start.zone)
        self._afford(rule, start.local, low, min(high, finish))
        found = instances(rule, start.local, low, min(high, last), self.work)
        if instant is None or start.zone is None:
            return found
        place = self.place(start.zone)
        return (local for local in found if local < last - 4 * _DAY or place.put(local).instant <= instant)

    def _afford(self, rule: Rule, start: datetime, low: datetime, high: datetime) -> None:
        """TooCostly where a rule with several times a day may have too many: others are cheap, or cut as they run."""
        if rule.freq <= Freq.DAILY and not (rule.byhour or rule.byminute or rule.bysecond):
            return
        price = cost(rule, start, low, high)
        self.costs -= price
        if price > self.limits.cost or self.costs < 0:
            most = self.limits.cost if price > self.limits.cost else self.limits.costs
            whose = "an event" if price > self.limits.cost else "all events of a file"
            raise Refused(f"the rule {rule.text} may have {price:,} times in the window, and {whose} only {most:,}")

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


def _alike(one: Entry, other: Entry) -> bool:
    """Whether the slots of two series can be compared."""
    return (one.start.day, one.start.zone is None) == (other.start.day, other.start.zone is None)


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


def _at(day: int, clock: time) -> datetime:
    return datetime.combine(date.fromordinal(day), clock)


def _shift(moment: datetime, by: timedelta) -> datetime:
    """Moved, but not over the edges of the calendar."""
    try:
        return min(max(moment + by, _FIRST), _LAST)
    except OverflowError:
        return _FIRST if by < _NONE else _LAST
