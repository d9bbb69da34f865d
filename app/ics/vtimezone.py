"""Writes a zone as the one VTIMEZONE that Outlook accepts, and tells where that simple rule is not the truth.

Outlook reads one STANDARD and at most one DAYLIGHT, each with a yearly rule of one BYMONTH and one BYDAY
(MS-OXCICAL section 2.1.3.1.1.19.2). Real zones know more than that: Ramadan in Morocco, "the Friday before the last
Sunday" in Israel, laws that change in the middle of a year. So we choose, among the rules that can be said, the one
that is wrong for the shortest time, and `differs` names the spans in which it is: times there are written in UTC.

STANDARD is the side with the smaller offset, whatever tzdata calls it (Irish law has its standard time in summer).
Both begin in 1970, as everyone writes them, so that the text does not change with the year that a feed begins in.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from itertools import pairwise, product
from zoneinfo import ZoneInfo

Span = tuple[datetime, datetime]
"""Two UTC instants, the second not included."""

BEGINS = 1970
LOOK_AHEAD = 8  # years after the last one that decide between rules which are equally right until then
MARGIN = timedelta(days=1)  # around a wrong span, so that no wall time beside it can be read in two ways
DAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")


@dataclass(frozen=True, slots=True)
class Turn:
    """A yearly moment on the wall clock that is about to change: the `week`-th `weekday` (Monday 0) of a month.

    `week` is 1 to 4, or -1 for the last one.
    """

    month: int
    week: int
    weekday: int
    clock: time

    def on(self, year: int) -> datetime:
        """The naive local moment in that year."""
        if self.week > 0:
            first = date(year, self.month, 1)
            day = 1 + (self.weekday - first.weekday()) % 7 + 7 * (self.week - 1)
        else:
            last = date(year, self.month, monthrange(year, self.month)[1])
            day = last.day - (last.weekday() - self.weekday) % 7
        return datetime.combine(date(year, self.month, day), self.clock)

    def __str__(self) -> str:
        return f"FREQ=YEARLY;BYMONTH={self.month};BYDAY={self.week}{DAYS[self.weekday]}"


@dataclass(frozen=True, slots=True)
class Side:
    """An offset from UTC, and the turn that leads to it; no turn means that it always holds."""

    offset: timedelta
    turn: Turn | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """A zone as Outlook can hold it."""

    standard: Side
    daylight: Side | None = None

    def changes(self, first_year: int, last_year: int) -> Iterator[tuple[datetime, timedelta]]:
        """Each UTC instant from which another offset holds, with that offset, in no order."""
        if self.daylight is None:
            return
        for into, out_of in (self.standard, self.daylight), (self.daylight, self.standard):
            for year in range(first_year, last_year + 1):
                if into.turn:
                    yield (into.turn.on(year) - out_of.offset).replace(tzinfo=UTC), into.offset

    def timeline(self, first_year: int, last_year: int) -> dict[datetime, timedelta]:
        """The offsets by the UTC instant from which they hold, beginning with the first year."""
        begin = datetime(first_year, 1, 1, tzinfo=UTC)
        changes = sorted(self.changes(first_year - 1, last_year + 1))
        before = [offset for moment, offset in changes if moment <= begin]
        return {begin: before[-1] if before else self.standard.offset} | {
            moment: offset for moment, offset in changes if begin < moment < datetime(last_year + 1, 1, 1, tzinfo=UTC)
        }


@lru_cache(maxsize=512)
def vtimezone(zone: ZoneInfo, first_year: int, last_year: int) -> str:
    """The VTIMEZONE component (RFC 5545 section 3.6.5), CRLF after each line, for the years shown, both included."""
    rule = _rule(zone, first_year, last_year)
    lines = ["BEGIN:VTIMEZONE", f"TZID:{zone.key}"]
    if rule.daylight:
        lines += _observance("DAYLIGHT", zone, rule.daylight, rule.standard, last_year)
        lines += _observance("STANDARD", zone, rule.standard, rule.daylight, last_year)
    else:
        lines += _observance("STANDARD", zone, rule.standard, rule.standard, last_year)
    return "\r\n".join([*lines, "END:VTIMEZONE", ""])


@lru_cache(maxsize=512)
def differs(zone: ZoneInfo, first_year: int, last_year: int) -> tuple[Span, ...]:
    """Where the zone is not what `vtimezone` says of it: empty for most zones. Each span has a day's margin."""
    real = _timeline(zone, first_year, last_year)
    spans = _apart(real, _rule(zone, first_year, last_year).timeline(first_year, last_year), last_year)
    return tuple((start - MARGIN, end + MARGIN) for start, end in spans)


@lru_cache(maxsize=512)
def _rule(zone: ZoneInfo, first_year: int, last_year: int) -> Rule:
    """The rule that is wrong for the shortest time in the years shown; of equals, in the years that follow."""
    far = last_year + LOOK_AHEAD
    real, later = _timeline(zone, first_year, last_year), _timeline(zone, first_year, far)

    def wrong(rule: Rule) -> tuple[timedelta, timedelta]:
        return (
            _length(_apart(real, rule.timeline(first_year, last_year), last_year)),
            _length(_apart(later, rule.timeline(first_year, far), far)),
        )

    fixed = (Rule(Side(offset)) for offset in dict.fromkeys(real.values()))
    return min([*fixed, *dict.fromkeys(_yearly(later, first_year, far))], key=wrong)


def _yearly(real: dict[datetime, timedelta], first_year: int, last_year: int) -> Iterator[Rule]:
    """Each pair of turns that describes at least one of the years."""
    steps = [(moment, before, after) for (_, before), (moment, after) in pairwise(sorted(real.items()))]
    for year in range(first_year, last_year + 1):
        turns = [(moment + before, before, after) for moment, before, after in steps if moment.year == year]
        if len(turns) != 2 or turns[0][1] != turns[1][2]:
            continue
        forward, back = sorted(turns, key=lambda turn: turn[1])
        for into_daylight, into_standard in product(_turns(forward[0]), _turns(back[0])):
            yield Rule(Side(back[2], into_standard), Side(forward[2], into_daylight))


def _turns(local: datetime) -> Iterator[Turn]:
    """The ways to say this day as a weekday of its month: the nth, the last, or both."""
    week, clock = (local.day + 6) // 7, local.time()
    if local.day + 7 > monthrange(local.year, local.month)[1]:
        yield Turn(local.month, -1, local.weekday(), clock)
    if week < 5:
        yield Turn(local.month, week, local.weekday(), clock)


@lru_cache(maxsize=512)
def _timeline(zone: ZoneInfo, first_year: int, last_year: int) -> dict[datetime, timedelta]:
    """The zone's real offsets by the UTC instant from which they hold; looked for day by day, then to the second."""
    begin, day = datetime(first_year, 1, 1, tzinfo=UTC), timedelta(days=1)
    found = {begin: _offset(zone, begin)}
    for number in range((datetime(last_year + 1, 1, 1, tzinfo=UTC) - begin).days):
        morning = begin + day * number
        if _offset(zone, morning) != _offset(zone, morning + day):
            moment = _change(zone, morning, morning + day)
            found[moment] = _offset(zone, moment)
    return found


def _change(zone: ZoneInfo, before: datetime, after: datetime) -> datetime:
    old = _offset(zone, before)
    while after - before > timedelta(seconds=1):
        middle = before + (after - before) // 2
        middle = middle.replace(microsecond=0)
        before, after = (middle, after) if _offset(zone, middle) == old else (before, middle)
    return after


def _offset(zone: ZoneInfo, moment: datetime) -> timedelta:
    return moment.astimezone(zone).utcoffset() or timedelta(0)


def _apart(one: dict[datetime, timedelta], other: dict[datetime, timedelta], last_year: int) -> list[Span]:
    """The spans in which two timelines differ; both begin at the same instant."""
    borders = [*sorted({*one, *other}), datetime(last_year + 1, 1, 1, tzinfo=UTC)]
    spans: list[Span] = []
    left = right = timedelta(0)
    for start, end in pairwise(borders):
        left, right = one.get(start, left), other.get(start, right)
        if left != right:
            spans.append((start, end))
    return spans


def _length(spans: list[Span]) -> timedelta:
    return sum((end - start for start, end in spans), timedelta(0))


def _observance(kind: str, zone: ZoneInfo, side: Side, other: Side, year: int) -> list[str]:
    start = side.turn.on(BEGINS) if side.turn else datetime(BEGINS, 1, 1)  # noqa: DTZ001 - a wall clock's time
    return [
        f"BEGIN:{kind}",
        f"DTSTART:{start:%Y%m%dT%H%M%S}",
        f"TZOFFSETFROM:{_written(other.offset)}",
        f"TZOFFSETTO:{_written(side.offset)}",
        *([f"RRULE:{side.turn}"] if side.turn else []),
        *_name(zone, side.offset, year),
        f"END:{kind}",
    ]


def _name(zone: ZoneInfo, offset: timedelta, year: int) -> list[str]:
    """TZNAME as tzdata has it for this offset, where the year has it at all."""
    for month in range(1, 13):
        local = datetime(year, month, 15, tzinfo=UTC).astimezone(zone)
        if local.utcoffset() == offset:
            return [f"TZNAME:{local.tzname()}"]
    return []


def _written(offset: timedelta) -> str:
    """`±HHMM`, with seconds where there are any (RFC 5545 section 3.3.14)."""
    sign = "-" if offset < timedelta(0) else "+"
    minutes, seconds = divmod(int(abs(offset).total_seconds()), 60)
    return f"{sign}{minutes // 60:02}{minutes % 60:02}" + (f"{seconds:02}" if seconds else "")
