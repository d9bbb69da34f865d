"""Wall clock times put into one zone, with all that repeats kept: the offsets of days, and whole happenings."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import NamedTuple

from app.ics.values import Length
from bridges.model import AllDay, When, known_timed

_DAY = timedelta(days=1)
_NONE = timedelta()
_EPOCH = datetime(2000, 1, 1)  # noqa: DTZ001 - any wall clock time would do
_MOST = 20_000
"""Days or happenings that are kept; a timetable of a year has fewer."""

Key = datetime | date
"""A slot: a UTC instant for zoned series, a naive time for floating ones, a date for all-day ones."""


class Placed(NamedTuple):
    """A wall clock time with its zone: `shown` in the zone, `instant` in UTC (both naive if floating)."""

    shown: datetime
    instant: datetime
    gap: bool


class Happening(NamedTuple):
    """When a member of a series takes place: the UTC instant of its start, its slot, and the time itself."""

    moment: datetime
    key: Key
    when: When


Row = dict[int, Happening]
"""Happenings of one time of day and one length, by the ordinal of their day."""


class Place:
    """Puts wall clock times into one zone; the offset is looked up once a day.

    `datetime.replace` is slow, and adding to an aware datetime moves its wall clock: so a time is put into the zone
    by adding its distance from the epoch to the epoch there, and into UTC by adding it to that day's anchor.
    """

    def __init__(self, zone: tzinfo | None) -> None:
        self.zone = zone
        self._epoch = _EPOCH.replace(tzinfo=zone)
        self._anchors: dict[int, datetime | None] = {}
        self._rows: dict[tuple[timedelta, Length], Row] = {}
        self._kept = 0

    def put(self, local: datetime) -> Placed:
        """The time in the zone; inside a gap it is moved forward by the gap, and the first of two is meant."""
        if self.zone is None:
            return Placed(local, local, False)
        anchor = self.anchor(local.toordinal())
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

    def anchor(self, ordinal: int) -> datetime | None:
        """The instant that the epoch would be at the offset of that day; None on a day that has two offsets."""
        try:
            return self._anchors[ordinal]
        except KeyError:
            if len(self._anchors) >= _MOST:
                self._anchors.clear()
            found = self._anchors[ordinal] = self._anchor(date.fromordinal(ordinal))
            return found

    def _anchor(self, day: date) -> datetime | None:
        midnight = datetime.combine(day, time(), self.zone)
        edges = {edge.replace(fold=fold).utcoffset() for edge in (midnight, midnight + _DAY) for fold in (0, 1)}
        offset = edges.pop()
        return None if edges or offset is None else _EPOCH.replace(tzinfo=UTC) - offset

    def even(self, first: datetime, last: datetime) -> bool:
        """Whether the wall clock tells the time that passes between the two: they share a day, and its offset."""
        day = first.toordinal()
        return day == last.toordinal() and self.zone is not None and self.anchor(day) is not None

    def end(self, placed: Placed, length: Length) -> datetime:
        """From there, days on the wall clock and exact time after them (section 3.3.6)."""
        shown = placed.shown
        rough = shown + length.rough
        if self.zone is None or not (length.days or length.exact):
            return rough
        if not placed.gap:
            day, last = shown.toordinal(), rough.toordinal()
            here = self.anchor(day)
            if here is not None and (day == last or here == self.anchor(last)):
                return rough
        begun = self.put(shown.replace(tzinfo=None) + timedelta(days=length.days)) if length.days else placed
        return max(begun.instant + length.exact, placed.instant).astimezone(self.zone)

    # ---------------------------------------------------------------------------------------- happenings that repeat

    def row(self, clock: timedelta, length: Length) -> Row:
        """What is kept of that time of day and that length: the lessons of a timetable share their hours."""
        if self._kept >= _MOST:
            self._rows.clear()
            self._kept = 0
        return self._rows.setdefault((clock, length), {})

    def timed(self, row: Row, ordinal: int, clock: timedelta, length: Length) -> Happening | None:
        """The one on that day, kept in its row; None on a day with two offsets, which `put` understands."""
        anchor = self.anchor(ordinal)
        if anchor is None:
            return None
        passed = timedelta(days=ordinal - _EPOCH.toordinal()) + clock
        shown, instant = self._epoch + passed, anchor + passed
        end = self.end(Placed(shown, instant, False), length)
        made = row[ordinal] = Happening(instant, instant, known_timed(shown, end))
        self._kept += 1
        return made

    def whole(self, row: Row, ordinal: int, _: timedelta, length: Length) -> Happening | None:
        """As `timed`, for whole days that are laid out here."""
        anchor = self.anchor(ordinal)
        if anchor is None:
            return None
        day = date.fromordinal(ordinal)
        instant = anchor + timedelta(days=ordinal - _EPOCH.toordinal())
        made = row[ordinal] = Happening(instant, day, AllDay(day, day + timedelta(days=length.days)))
        self._kept += 1
        return made
