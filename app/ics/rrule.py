"""Recurrence rules (RFC 5545 section 3.3.10, SKIP of RFC 7529) walked over naive local times."""

from __future__ import annotations

import re
from bisect import bisect_left
from calendar import isleap, monthrange
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time, timedelta
from enum import IntEnum, StrEnum
from functools import lru_cache
from itertools import chain
from math import gcd

DAY = 86_400
_FREE, _NOW_AND_THEN = 100, 1000
_LONGEST = 4000  # letters of a rule; all lists in full have about 2,500
_LAST_DAY = date.max.toordinal()
_WEEKDAYS = {"MO": 0, "TU": 1, "WE": 2, "TH": 3, "FR": 4, "SA": 5, "SU": 6}
_BYDAY = re.compile(r"([+-]?\d{1,3})?(MO|TU|WE|TH|FR|SA|SU)", re.ASCII)
_UNTIL = re.compile(r"(\d{8})(?:T(\d{2})(\d{2})(\d{2})?)?(Z?)", re.ASCII)
_INTEGER = re.compile(r"[+-]?\d{1,10}", re.ASCII)


class Freq(IntEnum):
    """FREQ, from the longest period to the shortest."""

    YEARLY = 0
    MONTHLY = 1
    WEEKLY = 2
    DAILY = 3
    HOURLY = 4
    MINUTELY = 5
    SECONDLY = 6


class Skip(StrEnum):
    """What becomes of a date that a month or year does not have (RFC 7529 section 4.1)."""

    OMIT = "OMIT"
    BACKWARD = "BACKWARD"
    FORWARD = "FORWARD"


class RuleError(ValueError):
    """The rule is not valid; the message says why in a sentence without a full stop."""


class TooCostly(ValueError):
    """The rule was walked too long without an answer."""


class Refused(TooCostly):
    """The rule may cost so much that it was not run at all."""


def never() -> bool:
    """It is never too late."""
    return False


@dataclass(slots=True)
class Work:
    """How many more steps may be walked in vain, by all rules of a file and by those of one event.

    Each rule has a few for free. `late` says that the time is up; it is asked now and then.
    """

    left: int
    late: Callable[[], bool] = never
    most: int = 0
    event: int = 0
    free: int = 0

    def begin(self) -> None:
        """A new event begins."""
        self.event = self.most

    def grant(self) -> None:
        """A new rule begins."""
        self.free = _FREE

    def spend(self) -> None:
        """One step; TooCostly when none is left, or the time is up."""
        if self.free > 0:
            self.free -= 1
            return
        self.left -= 1
        self.event -= 1
        if self.left < 0 or (self.most and self.event < 0):
            raise TooCostly(
                f"its rules ask for more steps than {'an event' if self.left >= 0 else 'a file'} is granted"
            )
        if not self.left % _NOW_AND_THEN and self.late():
            raise TooCostly("the time for this file is up")


@dataclass(frozen=True, slots=True)
class Until:
    """UNTIL as written: `day` for a date without a time, `utc` for one that ends in Z."""

    moment: datetime
    utc: bool
    day: bool


@dataclass(frozen=True, slots=True)
class Rule:
    """One RRULE or EXRULE, checked; `byday` holds (ordinal or 0, weekday with Monday 0); `notes` is what was mended.

    `text` is how it was written.
    """

    freq: Freq
    interval: int = 1
    count: int | None = None
    until: Until | None = None
    wkst: int = 0
    skip: Skip = Skip.OMIT
    bymonth: tuple[int, ...] = ()
    byweekno: tuple[int, ...] = ()
    byyearday: tuple[int, ...] = ()
    bymonthday: tuple[int, ...] = ()
    byday: tuple[tuple[int, int], ...] = ()
    byhour: tuple[int, ...] = ()
    byminute: tuple[int, ...] = ()
    bysecond: tuple[int, ...] = ()
    bysetpos: tuple[int, ...] = ()
    notes: tuple[str, ...] = field(default=(), compare=False)
    text: str = field(default="", compare=False)

    def of_days(self) -> Rule:
        """The rule as an all-day series has it: without times of day (section 3.3.10: they MUST be ignored)."""
        if not (self.byhour or self.byminute or self.bysecond):
            return self
        return replace(self, byhour=(), byminute=(), bysecond=())

    @property
    def limited(self) -> bool:
        """Whether any part but BYDAY chooses days or times."""
        return bool(
            self.bymonth or self.byweekno or self.byyearday or self.bymonthday or self.bysetpos
            or self.byhour or self.byminute or self.bysecond
        )  # fmt: skip

    @property
    def by_dates(self) -> bool:
        """Whether some part chooses days within a period (BYMONTH alone only chooses months)."""
        return bool(self.byweekno or self.byyearday or self.bymonthday or self.byday)


# ---------------------------------------------------------------------------------------------------- reading a rule


def parse_rule(text: str) -> Rule:
    """The rule in the value of an RRULE property, in any case and with stray blanks; RuleError says what is wrong."""
    if len(text) > _LONGEST:
        raise RuleError(f"it has {len(text):,} letters, more than any rule needs")
    return _parsed(text)


@lru_cache(maxsize=2048)
def _parsed(text: str) -> Rule:
    parts, notes = _split("".join(text.split()).upper())
    if "FREQ" not in parts:
        raise RuleError("it has no FREQ")
    if parts["FREQ"] not in Freq.__members__:
        raise RuleError(f"FREQ={parts['FREQ'][:40]} is no frequency")
    rule = Rule(
        freq=Freq[parts["FREQ"]],
        interval=_positive(parts, "INTERVAL") or 1,
        count=_positive(parts, "COUNT"),
        until=_until(parts["UNTIL"]) if "UNTIL" in parts else None,
        wkst=_weekday(parts.get("WKST", "MO")),
        skip=_skip(parts),
        byday=_bydays(parts["BYDAY"]) if "BYDAY" in parts else (),
        notes=tuple(notes),
        text=text[:80],
        **{name: _numbers(parts, name.upper(), *bounds) for name, bounds in _RANGES.items()},
    )
    rule = _unnumbered(rule)
    _check(rule)
    return rule


def _unnumbered(rule: Rule) -> Rule:
    """Without the numbers of BYDAY where section 3.3.10 forbids them and only one meaning is left (WEEKLY, DAILY …)."""
    if rule.freq <= Freq.MONTHLY or not any(nth for nth, _ in rule.byday):
        return rule
    plain = tuple(sorted({(0, weekday) for _, weekday in rule.byday}))
    note = f"BYDAY has numbers, which mean nothing in a {rule.freq.name} rule; they were passed over"
    return replace(rule, byday=plain, notes=(*rule.notes, note))


_RANGES: dict[str, tuple[int, int, bool]] = {
    "bymonth": (1, 12, False),
    "byweekno": (1, 53, True),
    "byyearday": (1, 366, True),
    "bymonthday": (1, 31, True),
    "byhour": (0, 23, False),
    "byminute": (0, 59, False),
    "bysecond": (0, 60, False),
    "bysetpos": (1, 366, True),
}
_KNOWN = {name.upper() for name in _RANGES} | {"FREQ", "INTERVAL", "COUNT", "UNTIL", "WKST", "BYDAY", "RSCALE", "SKIP"}


def _split(text: str) -> tuple[dict[str, str], list[str]]:
    """NAME=value pairs; empty ones and X- ones are passed over, unknown and contradicting ones are errors."""
    parts: dict[str, str] = {}
    notes: list[str] = []
    for piece in text.removeprefix("RRULE:").split(";"):
        name, equals, value = piece.partition("=")
        if not piece or name.startswith("X-"):
            continue
        if not equals or name not in _KNOWN:
            raise RuleError(f"it has the unknown part {piece[:40]}")
        if not value:
            notes.append(f"the part {name} is empty and was passed over")
        elif parts.setdefault(name, value) != value:
            raise RuleError(f"{name} stands in it twice, with different values")
    if "COUNT" in parts and "UNTIL" in parts:
        notes.append("it has both COUNT and UNTIL; the one that ends first holds")
    return parts, notes


def _positive(parts: dict[str, str], name: str) -> int | None:
    if name not in parts:
        return None
    if not _INTEGER.fullmatch(parts[name]) or int(parts[name]) < 1:
        raise RuleError(f"{name}={parts[name][:40]} is no positive number")
    return int(parts[name])


def _numbers(parts: dict[str, str], name: str, low: int, high: int, negative: bool) -> tuple[int, ...]:
    """The list of a BYxxx part, sorted and each once; second 60 counts as 59 (section 3.3.10)."""
    found = set()
    for item in filter(None, parts.get(name, "").split(",")):
        value = int(item) if _INTEGER.fullmatch(item) else None
        if value is None or not (low <= value <= high or (negative and low <= -value <= high)):
            raise RuleError(f"{name} has the value {item[:40]}")
        found.add(min(value, 59) if name == "BYSECOND" else value)
    return tuple(sorted(found))


def _weekday(text: str) -> int:
    if text not in _WEEKDAYS:
        raise RuleError(f"{text[:40]} is no weekday")
    return _WEEKDAYS[text]


def _bydays(text: str) -> tuple[tuple[int, int], ...]:
    found = set()
    for item in filter(None, text.split(",")):
        match = _BYDAY.fullmatch(item)
        if not match or (match[1] and not 1 <= abs(int(match[1])) <= 53):
            raise RuleError(f"BYDAY has the value {item[:40]}")
        found.add((int(match[1] or 0), _WEEKDAYS[match[2]]))
    return tuple(sorted(found))


def _skip(parts: dict[str, str]) -> Skip:
    if parts.get("RSCALE", "GREGORIAN") != "GREGORIAN":
        raise RuleError(f"it counts in the {parts['RSCALE'][:40]} calendar, and only GREGORIAN is understood")
    if "SKIP" in parts and "RSCALE" not in parts:
        raise RuleError("it has SKIP without RSCALE")
    if parts.get("SKIP", "OMIT") not in set(Skip):
        raise RuleError(f"SKIP={parts['SKIP'][:40]} is unknown")
    return Skip(parts.get("SKIP", "OMIT"))


def _until(text: str) -> Until:
    """All shapes met in the field: date, local and UTC date-time, without seconds; a date with a Z is midnight UTC."""
    match = _UNTIL.fullmatch(text.replace("-", "").replace(":", ""))
    try:
        if match:
            day = date.fromisoformat(match[1])
            clock = time(int(match[2]), int(match[3]), min(int(match[4] or 0), 59)) if match[2] else time()
            return Until(datetime.combine(day, clock), utc=bool(match[5]), day=not match[2] and not match[5])
    except ValueError as error:
        raise RuleError(f"UNTIL={text[:40]} is no time: {error}") from error
    raise RuleError(f"UNTIL={text[:40]} is no time")


def _check(rule: Rule) -> None:
    """The combinations that RFC 5545 section 3.3.10 forbids: they would mean something else to every reader."""
    freq = rule.freq
    forbidden = {
        "BYWEEKNO": rule.byweekno and freq != Freq.YEARLY,
        "BYYEARDAY": rule.byyearday and freq in (Freq.MONTHLY, Freq.WEEKLY, Freq.DAILY),
        "BYMONTHDAY": rule.bymonthday and freq == Freq.WEEKLY,
        "BYDAY with a number": any(n for n, _ in rule.byday) and rule.byweekno,
    }
    for part, broken in forbidden.items():
        if broken:
            raise RuleError(f"{part} cannot stand in a {freq.name} rule" + (" with BYWEEKNO" if rule.byweekno else ""))
    others = (rule.bymonth, rule.by_dates, rule.byhour, rule.byminute, rule.bysecond)
    if rule.bysetpos and not any(others):
        raise RuleError("BYSETPOS stands in it without another BY part")


# --------------------------------------------------------------------------------------------------- walking a rule


def instances(rule: Rule, start: datetime, first: datetime, last: datetime, work: Work) -> Iterator[datetime]:
    """The times of the rule in [first, last], rising, each once; all naive and in the wall clock of `start`.

    UNTIL is the caller's to put into `last`: it needs the zone. COUNT counts from `start`, everything else begins
    at `first` without walking there. TooCostly when `work` is spent.
    """
    first = max(first, start)
    step = _stride(rule, start)
    if step is not None:
        return _strides(step, rule.count, start, first, last)
    if not possible(rule):
        return iter(())
    work.grant()
    walked = _by_ticks if rule.freq > Freq.DAILY else _by_days
    return walked(rule, start, first, last, work)


def ordinals(rule: Rule, start: datetime, first: datetime, last: datetime, most: int) -> Sequence[int] | None:
    """As `instances`, the days alone, of a DAILY or WEEKLY rule that only chooses weekdays; None for every other one.

    All members are at the time of day of `start`. None as well where more than `most` days would be walked.
    """
    if not (rule.freq is Freq.WEEKLY or (rule.freq is Freq.DAILY and not rule.byday)) or rule.limited:
        return None
    clock = start.time()
    final = last.toordinal() - (last.time() < clock)
    earliest = max(first.toordinal() + (first.time() > clock), start.toordinal())
    begin = earliest if rule.count is None else start.toordinal()
    step = rule.interval * (7 if rule.freq is Freq.WEEKLY else 1)
    origins = _weekdays_of(rule, start) if rule.freq is Freq.WEEKLY else [start.toordinal()]
    if rule.count is not None:
        final = min(final, begin + rule.count * step)
    if (final - begin) // step * len(origins) > most:
        return None
    runs = [range(begin + (origin - begin) % step, final + 1, step) for origin in origins]
    days: Sequence[int] = runs[0] if len(runs) == 1 else sorted(chain.from_iterable(runs))
    return days[bisect_left(days, earliest) : rule.count]


def _weekdays_of(rule: Rule, start: datetime) -> list[int]:
    """The ordinals of the days that a WEEKLY rule chooses, in the week of `start`."""
    week = start.toordinal() - (start.weekday() - rule.wkst) % 7
    return [week + (weekday - rule.wkst) % 7 for _, weekday in rule.byday] or [start.toordinal()]


def _stride(rule: Rule, start: datetime) -> timedelta | None:
    """The even distance between the instances of a plain rule, or None."""
    if rule.bymonth or rule.byhour or rule.byminute or rule.bysecond or rule.bysetpos or rule.freq < Freq.WEEKLY:
        return None
    if rule.by_dates and (rule.freq != Freq.WEEKLY or rule.byday != ((0, start.weekday()),)):
        return None
    seconds = (7 * DAY, DAY, 3600, 60, 1)[rule.freq - Freq.WEEKLY] * rule.interval
    return timedelta(seconds=seconds) if seconds < _LAST_DAY * DAY else timedelta.max


def _strides(
    step: timedelta, count: int | None, start: datetime, first: datetime, last: datetime
) -> Iterator[datetime]:
    skipped = -((start - first) // step)
    left = last - start
    number = min(left // step + 1, count if count is not None else left // step + 1)
    return (start + step * k for k in range(skipped, number))


@dataclass(frozen=True, slots=True)
class Clock:
    """The times of day that BYHOUR, BYMINUTE and BYSECOND (or DTSTART) give to each day of a rule."""

    hours: tuple[int, ...]
    minutes: tuple[int, ...]
    seconds: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.hours) * len(self.minutes) * len(self.seconds)

    def on(self, day: date) -> Iterator[datetime]:
        """All times of that day, rising and lazily: there may be 86,400."""
        for hour in self.hours:
            for minute in self.minutes:
                for second in self.seconds:
                    yield datetime(day.year, day.month, day.day, hour, minute, second)  # noqa: DTZ001 - local on purpose

    def at(self, index: int) -> time:
        """The index-th time of a day, without making the ones before."""
        rest, second = divmod(index, len(self.seconds))
        hour, minute = divmod(rest, len(self.minutes))
        return time(self.hours[hour], self.minutes[minute], self.seconds[second])


def _clock(rule: Rule, start: datetime) -> Clock:
    return Clock(rule.byhour or (start.hour,), rule.byminute or (start.minute,), rule.bysecond or (start.second,))


def _by_days(rule: Rule, start: datetime, first: datetime, last: datetime, work: Work) -> Iterator[datetime]:
    """Rules from YEARLY to DAILY: periods give days, days give times."""
    counted, previous = 0, datetime.min  # noqa: DTZ901 - local on purpose
    clock = _clock(rule, start)
    begin = start if rule.count is not None else first
    silence = 0
    for days in _PERIODS[rule.freq](rule, start, begin.date(), last.date()):
        silence = 0 if days else silence + 1
        if silence:
            work.spend()
            if silence > _CYCLE[rule.freq]:
                return
        for moment in _set_of(rule, days, clock, start if rule.count is not None else max(start, first)):
            if moment < start or moment <= previous:
                continue
            if moment > last:
                return
            previous = moment
            counted += 1
            if moment >= first:
                yield moment
            else:
                work.spend()
            if counted == rule.count:
                return


def _set_of(rule: Rule, days: list[date], clock: Clock, begin: datetime) -> Iterable[datetime]:
    """The times of one period, BYSETPOS applied; days before `begin` are passed over where nothing counts them."""
    if rule.bysetpos:
        width = len(clock)
        return (datetime.combine(days[at // width], clock.at(at % width)) for at in _positions(rule, len(days) * width))
    days = days[bisect_left(days, begin.date()) :] if days else days
    if len(clock) == 1:
        only = clock.at(0)
        return [datetime.combine(day, only) for day in days]
    return chain.from_iterable(clock.on(day) for day in days)


def _positions(rule: Rule, size: int) -> list[int]:
    """BYSETPOS as rising indices into a set of that size."""
    wanted = {at - 1 if at > 0 else size + at for at in rule.bysetpos}
    return sorted(at for at in wanted if 0 <= at < size)


# The Gregorian calendar repeats after 400 years, so this many empty periods in a row prove a rule empty for ever.
_CYCLE = {Freq.YEARLY: 400, Freq.MONTHLY: 4800, Freq.WEEKLY: 20_871, Freq.DAILY: 146_097}


@lru_cache(maxsize=1024)
def possible(rule: Rule) -> bool:
    """Whether any day of a common or a leap year passes the parts that do not depend on weekdays."""
    if rule.skip != Skip.OMIT or rule.byweekno or not (rule.bymonthday or rule.byyearday):
        return True
    year = (date.fromordinal(n) for n in range(date(2023, 1, 1).toordinal(), date(2025, 1, 1).toordinal()))
    return any(_in_month(rule, day) and _in_yeardays(rule, day) and _in_monthdays(rule, day) for day in year)


# ------------------------------------------------------------------------------------------------- the parts as filters


def _in_month(rule: Rule, day: date) -> bool:
    return not rule.bymonth or day.month in rule.bymonth


def _in_monthdays(rule: Rule, day: date) -> bool:
    if not rule.bymonthday:
        return True
    return day.day in rule.bymonthday or day.day - 1 - monthrange(day.year, day.month)[1] in rule.bymonthday


def _in_yeardays(rule: Rule, day: date) -> bool:
    if not rule.byyearday:
        return True
    number = day.timetuple().tm_yday
    return number in rule.byyearday or number - 1 - _days_in(day.year) in rule.byyearday


def _in_days(rule: Rule, day: date) -> bool:
    """BYDAY as a limit; ordinals count within the month where the rule has months, else within the year."""
    if not rule.byday:
        return True
    weekday = day.weekday()
    if (0, weekday) in rule.byday:
        return True
    monthly = rule.freq == Freq.MONTHLY or bool(rule.bymonth)
    at = day.day if monthly else day.timetuple().tm_yday
    size = monthrange(day.year, day.month)[1] if monthly else _days_in(day.year)
    return ((at - 1) // 7 + 1, weekday) in rule.byday or (-((size - at) // 7) - 1, weekday) in rule.byday


def _days_in(year: int) -> int:
    return 366 if isleap(year) else 365


# --------------------------------------------------------------------------------------------- periods: lists of days


def _years(rule: Rule, start: datetime, begin: date, last: date) -> Iterator[list[date]]:
    """One list for each year of the rule. With BYWEEKNO the years are those that the weeks belong to."""
    if rule.byweekno:
        origin, earliest, final = (_week_year(day, rule.wkst) for day in (start.date(), begin, last))
    else:
        origin, earliest, final = start.year, begin.year, last.year
    if rule.skip == Skip.FORWARD:
        earliest -= 1
    passed = max(0, -((origin - earliest) // rule.interval))
    if rule.skip == Skip.FORWARD:
        passed = max(0, (earliest - origin) // rule.interval)
    for year in range(origin + passed * rule.interval, final + 1, rule.interval):
        yield _year(rule, start, year)


def _year(rule: Rule, start: datetime, year: int) -> list[date]:
    months = rule.bymonth or range(1, 13)
    if rule.byweekno:
        days = [day for day in _weeks(rule, year) if _in_month(rule, day) and _in_yeardays(rule, day)]
        days = [day for day in days if _in_monthdays(rule, day)]
        if not rule.byday and not rule.byyearday and not rule.bymonthday:
            return [day for day in days if day.weekday() == start.weekday()]
    elif rule.byyearday:
        days = [day for day in _yeardays(rule, year) if _in_month(rule, day) and _in_monthdays(rule, day)]
    elif rule.bymonthday:
        days = _monthdays(rule, ((year, month) for month in months), rule.bymonthday)
    elif rule.byday:
        if not rule.bymonth:
            return _nth(rule, date(year, 1, 1), _days_in(year))
        return [day for month in months for day in _nth(rule, date(year, month, 1), monthrange(year, month)[1])]
    else:
        return _monthdays(rule, ((year, month) for month in rule.bymonth or (start.month,)), (start.day,))
    return [day for day in days if _in_days(rule, day)]


def _months(rule: Rule, start: datetime, begin: date, last: date) -> Iterator[list[date]]:
    origin = start.year * 12 + start.month - 1
    earliest = begin.year * 12 + begin.month - 1 - (rule.skip == Skip.FORWARD)
    passed = max(0, -((origin - earliest) // rule.interval))
    for number in range(origin + passed * rule.interval, last.year * 12 + last.month, rule.interval):
        year, month = number // 12, number % 12 + 1
        if rule.bymonth and month not in rule.bymonth:
            yield []
        elif rule.byday and not rule.bymonthday:
            yield _nth(rule, date(year, month, 1), monthrange(year, month)[1])
        else:
            days = _monthdays(rule, ((year, month),), rule.bymonthday or (start.day,))
            yield [day for day in days if _in_days(rule, day)]


def _weeks_of(rule: Rule, start: datetime, begin: date, last: date) -> Iterator[list[date]]:
    wanted = {weekday for _, weekday in rule.byday} or {start.weekday()}
    offsets = sorted((weekday - rule.wkst) % 7 for weekday in wanted)
    monday = start.toordinal() - (start.weekday() - rule.wkst) % 7
    step = 7 * rule.interval
    passed = max(0, (begin.toordinal() - monday) // step)
    for week in range(monday + passed * step, last.toordinal() + 1, step):
        days = [date.fromordinal(week + offset) for offset in offsets if 0 < week + offset <= _LAST_DAY]
        yield [day for day in days if day.month in rule.bymonth] if rule.bymonth else days


def _days(rule: Rule, start: datetime, begin: date, last: date) -> Iterator[list[date]]:
    origin, final = start.toordinal(), last.toordinal()
    number = origin + rule.interval * max(0, -((origin - begin.toordinal()) // rule.interval))
    while number <= final:
        day = date.fromordinal(number)
        if not _in_month(rule, day):
            number += rule.interval * max(1, -((number - _next_month(rule, day)) // rule.interval))
            yield []
            continue
        yield [day] if _in_monthdays(rule, day) and _in_yeardays(rule, day) and _in_days(rule, day) else []
        number += rule.interval


def _next_month(rule: Rule, day: date) -> int:
    """The ordinal of the first day of the next month that BYMONTH allows."""
    later = [month for month in rule.bymonth if month > day.month]
    year = day.year if later else day.year + 1
    return date(year, later[0] if later else rule.bymonth[0], 1).toordinal() if year <= date.max.year else _LAST_DAY + 1


_PERIODS: dict[Freq, Callable[[Rule, datetime, date, date], Iterator[list[date]]]] = {
    Freq.YEARLY: _years,
    Freq.MONTHLY: _months,
    Freq.WEEKLY: _weeks_of,
    Freq.DAILY: _days,
}


def _nth(rule: Rule, first: date, size: int) -> list[date]:
    """BYDAY as an expansion over `size` days from `first`: plain weekdays, and the n-th from either end."""
    found: set[int] = set()
    for nth, weekday in rule.byday:
        offset = (weekday - first.weekday()) % 7
        hits = range(offset, size, 7)
        if nth == 0:
            found.update(hits)
        elif abs(nth) <= len(hits):
            found.add(hits[nth - 1 if nth > 0 else nth])
    origin = first.toordinal()
    return [date.fromordinal(origin + offset) for offset in sorted(found)]


def _monthdays(rule: Rule, months: Iterable[tuple[int, int]], wanted: tuple[int, ...]) -> list[date]:
    """Those days of the month, in each month; a day that a month lacks follows SKIP (RFC 7529 section 4.1)."""
    found = set()
    for year, month in months:
        size = monthrange(year, month)[1]
        origin = date(year, month, 1).toordinal() - 1
        for number in wanted:
            at = number if number > 0 else size + 1 + number
            if 1 <= at <= size:
                found.add(origin + at)
            elif rule.skip != Skip.OMIT:
                found.add(_skipped(rule.skip, origin, size, at))
    return [date.fromordinal(number) for number in sorted(found) if 0 < number <= _LAST_DAY]


def _skipped(skip: Skip, origin: int, size: int, at: int) -> int:
    """The ordinal that stands for a missing day before or behind the `size` days that follow `origin`."""
    edge = origin + size if at > size else origin
    return edge + (skip == Skip.FORWARD)


def _yeardays(rule: Rule, year: int) -> list[date]:
    size, origin = _days_in(year), date(year, 1, 1).toordinal() - 1
    found = set()
    for number in rule.byyearday:
        at = number if number > 0 else size + 1 + number
        if 1 <= at <= size:
            found.add(origin + at)
        elif rule.skip != Skip.OMIT:
            found.add(_skipped(rule.skip, origin, size, at))
    return [date.fromordinal(number) for number in sorted(found) if 0 < number <= _LAST_DAY]


def _first_week(year: int, wkst: int) -> int:
    """The ordinal on which week 1 begins: the first week with four days in the year (section 3.3.10)."""
    fourth = date(year, 1, 4) if year <= date.max.year else date(date.max.year, 12, 31)
    return fourth.toordinal() - (fourth.weekday() - wkst) % 7


def _week_year(day: date, wkst: int) -> int:
    """The year that the week of this day belongs to."""
    if day.year < date.max.year and day.toordinal() >= _first_week(day.year + 1, wkst):
        return day.year + 1
    return day.year - 1 if day.toordinal() < _first_week(day.year, wkst) else day.year


def _weeks(rule: Rule, year: int) -> list[date]:
    """All days of the numbered weeks of a year; some lie in its neighbours."""
    if not 1 <= year < date.max.year:
        return []
    first, following = _first_week(year, rule.wkst), _first_week(year + 1, rule.wkst)
    size = (following - first) // 7
    weeks = {n - 1 if n > 0 else size + n for n in rule.byweekno}
    starts = [first + 7 * week for week in sorted(weeks) if 0 <= week < size]
    return [date.fromordinal(number) for begin in starts for number in range(max(1, begin), begin + 7)]


# ------------------------------------------------------------------------------------------- HOURLY, MINUTELY, SECONDLY


def _by_ticks(rule: Rule, start: datetime, first: datetime, last: datetime, work: Work) -> Iterator[datetime]:
    """Rules shorter than a day: days pass the date parts, evenly spaced ticks within them the rest."""
    unit = (3600, 60, 1)[rule.freq - Freq.HOURLY]
    step = min(unit * rule.interval, _LAST_DAY * DAY)
    phase = (start.hour * 3600 + start.minute * 60 + start.second) // unit * unit
    shared = gcd(step, DAY)
    clock = _clock(rule, start)
    width = (len(clock.minutes) * len(clock.seconds), len(clock.seconds), 1)[rule.freq - Freq.HOURLY]
    if next(_ticks(rule, phase % shared, shared), None) is None or (rule.bysetpos and not _positions(rule, width)):
        return
    begin = first if rule.count is None else start
    counted, day = 0, start.toordinal() if rule.count is not None else first.toordinal()
    while day <= last.toordinal():
        offset = (phase - (day - start.toordinal()) * DAY) % step
        today = date.fromordinal(day)
        if offset >= DAY or not _in_month(rule, today):
            day = day + offset // DAY if offset >= DAY else _next_month(rule, today)
            work.spend()
            continue
        day += 1
        if not (_in_monthdays(rule, today) and _in_yeardays(rule, today) and _in_days(rule, today)):
            work.spend()
            continue
        for moment in _tick_times(rule, today, offset, step, begin, clock):
            if moment < start:
                continue
            if moment > last:
                return
            counted += 1
            if moment >= first:
                yield moment
            else:
                work.spend()
            if counted == rule.count:
                return


def _ticks(rule: Rule, offset: int, step: int, begin: int = 0) -> Iterator[int]:
    """The seconds of a day, from `begin`, that are `offset` plus a multiple of `step` and pass the parts that limit."""
    seconds = set(rule.bysecond) if rule.freq == Freq.SECONDLY else set()
    for low, high in _spans(rule):
        low = max(low, begin)
        ticks = range(low + (offset - low) % step, high, step)
        yield from (tick for tick in ticks if tick % 60 in seconds) if seconds else ticks


def _spans(rule: Rule) -> Iterable[tuple[int, int]]:
    """The stretches of a day that BYHOUR, and BYMINUTE where it limits, leave open."""
    minutes = rule.byminute if rule.freq >= Freq.MINUTELY else ()
    if not minutes:
        return [(hour * 3600, hour * 3600 + 3600) for hour in rule.byhour] or [(0, DAY)]
    starts = (hour * 3600 + minute * 60 for hour in rule.byhour or range(24) for minute in minutes)
    return ((begin, begin + 60) for begin in starts)


def _tick_times(rule: Rule, day: date, offset: int, step: int, begin: datetime, clock: Clock) -> Iterator[datetime]:
    """The times of one day, but none from ticks before the hour of `begin`."""
    midnight = datetime.combine(day, time())
    early = begin.hour * 3600 if begin > midnight else 0
    for tick in _ticks(rule, offset, step, early):
        yield from _within(rule, midnight + timedelta(seconds=tick), clock)


def _within(rule: Rule, tick: datetime, clock: Clock) -> Iterator[datetime]:
    """The times inside one tick: HOURLY expands minutes and seconds, MINUTELY seconds, SECONDLY nothing."""
    if rule.freq == Freq.SECONDLY:
        yield tick
        return
    minutes = clock.minutes if rule.freq == Freq.HOURLY else (tick.minute,)
    inner = Clock((tick.hour,), minutes, clock.seconds)
    if not rule.bysetpos:
        yield from inner.on(tick)
        return
    for at in _positions(rule, len(inner)):
        yield datetime.combine(tick, inner.at(at))
