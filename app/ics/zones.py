"""From a TZID to a zone: a ladder whose every answer says on which step it was found (RFC 5545 section 3.2.19)."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from enum import StrEnum
from functools import cached_property, lru_cache
from itertools import islice
from typing import NamedTuple
from zoneinfo import ZoneInfo, available_timezones

from icalendar.timezone.windows_to_olson import WINDOWS_TO_OLSON

from app.ics.floating import HOME, NOBODY_SAID, Floating
from app.ics.rrule import Rule, Work, instances

_ZERO = timedelta()
_LAST = datetime.max  # noqa: DTZ901 - wall clock
_OFFSET_NAME = re.compile(r"(?:UTC|GMT|Z)?\s*([+-])\s*(\d{1,2})(?::?(\d{2}))?", re.ASCII | re.IGNORECASE)
_DISPLAY = re.compile(r"\((?:UTC|GMT)\s*(?:([+-])\s*(\d{1,2})[:.]?(\d{2}))?\)\s*(.+)", re.ASCII | re.IGNORECASE)
_LOTUS = re.compile(
    r"GMT\s*([+-]\d{4})\s*\(standard\)\s*/\s*GMT\s*([+-]\d{4})\s*\(daylight\)", re.ASCII | re.IGNORECASE
)
LONGEST = 200  # letters of a TZID; the longest of Windows has 80
_KEY = re.compile(r"[A-Z][A-Za-z0-9_+-]{1,40}(?:/[A-Z][A-Za-z0-9_+-]{1,40}){0,2}", re.ASCII)
_COUNTED = re.compile(r"[ _]\d{1,2}$", re.ASCII)


class Step(StrEnum):
    """The steps of the ladder, from the top."""

    IANA = "iana"
    EMBEDDED = "vtimezone"
    WINDOWS = "windows"
    LOCATION = "x-lic-location"
    ALIAS = "alias"
    CALENDAR = "calendar"
    SOURCE = "source"
    FLOATING = "floating"
    HOME = "home"
    HELD = "held"


@dataclass(frozen=True, slots=True)
class Resolved:
    """What became of a TZID: the zone, or None where the time has to be held, and the step that told."""

    tzid: str
    zone: tzinfo | None
    step: Step

    @property
    def guessed(self) -> bool:
        """Whether the zone is not the file's own word but a default."""
        return self.step in (Step.CALENDAR, Step.SOURCE)

    def __str__(self) -> str:
        if self.zone is None:
            return f"the time zone '{self.tzid}' is unknown; its times were held without a zone until one is chosen"
        return f"the time zone '{self.tzid}' was read as {zone_name(self.zone)} (by {self.step})"


def zone_name(zone: tzinfo) -> str:
    """The IANA key where there is one, else what the zone calls itself."""
    return str(getattr(zone, "key", None) or zone)


class Ladder:
    """Resolves the TZIDs of one file, each once.

    `calendar` is the file's own zone (X-WR-TIMEZONE), `source` what the caller says of where the file comes from, and
    `home` where floating times are at home. Home says nothing of a TZID that nobody knows: such a time is held.
    `floating` is what somebody said of times without a zone.
    """

    def __init__(
        self,
        embedded: Mapping[str, Observed] | None = None,
        locations: Mapping[str, str] | None = None,
        calendar: tzinfo | None = None,
        source: tzinfo | None = None,
        home: tzinfo | None = None,
        floating: Floating = NOBODY_SAID,
    ) -> None:
        self._embedded = embedded or {}
        self._locations = locations or {}
        self.calendar = calendar
        self.source = source
        self.home = home
        self.floating = floating
        self._known: dict[str, Resolved] = {}

    @property
    def default(self) -> tzinfo | None:
        """The zone of the file as a whole, as far as anybody knows."""
        return self.calendar or self.source or self.home

    @cached_property
    def floats(self) -> Resolved:
        """What times without a zone are read in; a zone of None on the step FLOATING says that they stay floating."""
        if self.floating.held:
            return Resolved("", None, Step.HELD)
        if self.floating.zone is not None:
            return Resolved("", self.floating.zone, Step.FLOATING)
        said_home = self.floating.name == HOME
        steps = ((Step.CALENDAR, self.calendar), (Step.SOURCE, self.source)) if not said_home else ()
        known = ((step, zone) for step, zone in (*steps, (Step.HOME, self.home)) if zone)
        return next((Resolved("", zone, step) for step, zone in known), Resolved("", None, Step.FLOATING))

    @property
    def answers(self) -> tuple[Resolved, ...]:
        """What was asked for until now, and what it was read as: the first hundred."""
        return tuple(islice(self._known.values(), 100))

    def resolve(self, tzid: str) -> Resolved:
        """The answer of the highest step that knows the name as it was written."""
        if tzid not in self._known:
            self._known[tzid] = self._climb(tzid)
        return self._known[tzid]

    def _climb(self, tzid: str) -> Resolved:
        name = tzid.strip().strip('"').strip()
        if not name:
            return self.floats
        if len(name) > LONGEST:
            return Resolved(name[:LONGEST], self.source, Step.SOURCE if self.source else Step.HELD)
        location = self._locations.get(name) or self._locations.get(name.lstrip("/")) or ""
        steps = (
            (Step.IANA, iana(name)),
            (Step.EMBEDDED, self._embedded.get(name) or self._embedded.get(name.lstrip("/"))),
            (Step.WINDOWS, windows(name)),
            (Step.LOCATION, iana(location)),
            (Step.ALIAS, alias(name)),
            (Step.CALENDAR, self.calendar),
            (Step.SOURCE, self.source),
        )
        return next((Resolved(tzid, zone, step) for step, zone in steps if zone), Resolved(tzid, None, Step.HELD))


# ---------------------------------------------------------------------------------------------------------------- names


@lru_cache(maxsize=1)
def _names() -> dict[str, str]:
    """All IANA names by their small letters."""
    return {name.lower(): name for name in available_timezones()}


@lru_cache(maxsize=1024)
def iana(name: str) -> tzinfo | None:
    """An IANA name in any case, also behind the prefixes of Mozilla and Evolution (`/x.org/2007_1/Area/City`)."""
    parts = [part for part in name.replace(" ", "_").strip("/").lower().split("/") if part]
    if parts in (["utc"], ["z"], ["etc", "utc"]):
        return UTC
    exact = _zone(name)
    if exact is not None:
        return exact
    starts = range(max(0, len(parts) - 3), len(parts)) if name.startswith("/") or len(parts) > 3 else (0,)
    for start in starts:
        key = _names().get("/".join(parts[start:]))
        if key and (start == 0 or len(parts) - start > 1):
            return ZoneInfo(key)
    return None


def _zone(key: str) -> ZoneInfo | None:
    """The zone of exactly that key, without listing them all."""
    if not _KEY.fullmatch(key) or key.startswith(("posix", "right/", "localtime")):
        return None
    try:
        return ZoneInfo(key)
    except (KeyError, ValueError, OSError):
        return None


@lru_cache(maxsize=1)
def _windows_names() -> dict[str, str]:
    """Windows zone names without the word that says which half of the year it is, small: `w. europe` → IANA."""
    return {_bare(name): key for name, key in WINDOWS_TO_OLSON.items()}


def _bare(name: str) -> str:
    small = " ".join(name.lower().split())
    for word in (" standard time", " daylight time", " summer time", " time"):
        if small.endswith(word):
            return small.removesuffix(word)
    return small


@lru_cache(maxsize=1024)
def windows(name: str) -> tzinfo | None:
    """A Windows zone by its name, with Outlook's variants: ` 1` behind it, `Daylight`, no `Standard`, display names."""
    bare = _COUNTED.sub("", " ".join(name.split()))
    key = WINDOWS_TO_OLSON.get(bare)
    if key is None and bare.lower().endswith(" time"):
        key = _windows_names().get(_bare(bare))
    if key is not None:
        return UTC if key in ("Etc/GMT", "Etc/UTC") else ZoneInfo(key)
    return _displayed(bare)


def _displayed(name: str) -> tzinfo | None:
    """`(UTC+01:00) Amsterdam, Berlin, Bern`: by its words where they are a zone's, else by a city at that offset."""
    match = _DISPLAY.fullmatch(name)
    offset = timedelta(hours=int(match[2] or 0), minutes=int(match[3] or 0)) if match else None
    if match and offset is not None and match[1] == "-":
        offset = -offset
    words = match[4] if match else name
    known = _WORDS.get(_bare(words.split(",")[0] if "(" in words else words).lower())
    if known:
        return ZoneInfo(known)
    if offset is None:
        return None
    if words.lower().startswith(("coordinated universal", "dublin, edinburgh", "greenwich mean time")):
        return UTC if words.lower().startswith("coordinated") else ZoneInfo("Europe/London")
    for city in re.split(r"[,/]", words):
        zone = _city(city.strip(), offset)
        if zone:
            return zone
    return None


def _city(city: str, offset: timedelta) -> ZoneInfo | None:
    """The IANA zone of that city, if its standard time is that far from UTC."""
    tail = "/" + city.lower().replace(" ", "_").replace(".", "")
    named = sorted(key for small, key in _names().items() if small.endswith(tail) and not small.startswith("etc/"))
    candidates = (ZoneInfo(key) for key in [*([_CITIES[city.lower()]] if city.lower() in _CITIES else []), *named])
    return next((zone for zone in candidates if _standard(zone) == offset), None)


def _standard(zone: tzinfo) -> timedelta:
    """The offset outside summer time, as it was in 2024."""
    winter, summer = (datetime(2024, month, 15, tzinfo=zone) for month in (1, 7))
    moment = winter if not winter.dst() else summer
    return moment.utcoffset() or _ZERO


# The words of display names that are neither a Windows name nor a city.
_WORDS = {
    "eastern time (us & canada)": "America/New_York",
    "eastern time (us and canada)": "America/New_York",
    "central time (us & canada)": "America/Chicago",
    "central time (us and canada)": "America/Chicago",
    "mountain time (us & canada)": "America/Denver",
    "mountain time (us and canada)": "America/Denver",
    "pacific time (us & canada)": "America/Los_Angeles",
    "pacific time (us and canada)": "America/Los_Angeles",
    "atlantic time (canada)": "America/Halifax",
    "indiana (east)": "America/Indiana/Indianapolis",
}
_CITIES = {
    "abu dhabi": "Asia/Dubai",
    "alaska": "America/Anchorage",
    "arizona": "America/Phoenix",
    "astana": "Asia/Almaty",
    "bern": "Europe/Zurich",
    "beijing": "Asia/Shanghai",
    "central america": "America/Guatemala",
    "chennai": "Asia/Kolkata",
    "edinburgh": "Europe/London",
    "georgetown": "America/Guyana",
    "hanoi": "Asia/Bangkok",
    "hawaii": "Pacific/Honolulu",
    "islamabad": "Asia/Karachi",
    "kyiv": "Europe/Kyiv",
    "monterrey": "America/Monterrey",
    "mumbai": "Asia/Kolkata",
    "new delhi": "Asia/Kolkata",
    "newfoundland": "America/St_Johns",
    "osaka": "Asia/Tokyo",
    "pretoria": "Africa/Johannesburg",
    "saskatchewan": "America/Regina",
    "st. petersburg": "Europe/Moscow",
    "wellington": "Pacific/Auckland",
    "west central africa": "Africa/Lagos",
}
_ALIASES = {
    "eastern": "America/New_York",
    "central": "America/Chicago",
    "mountain": "America/Denver",
    "pacific": "America/Los_Angeles",
    "us-eastern": "America/New_York",
    "us-central": "America/Chicago",
    "us-mountain": "America/Denver",
    "us-pacific": "America/Los_Angeles",
    "edt": "America/New_York",
    "cst": "America/Chicago",
    "cdt": "America/Chicago",
    "mdt": "America/Denver",
    "pst": "America/Los_Angeles",
    "pdt": "America/Los_Angeles",
    "cest": "Europe/Berlin",
    "mez": "Europe/Berlin",
    "mesz": "Europe/Berlin",
    "bst": "Europe/London",
    "western/central europe": "Europe/Berlin",
    "germany/berlin": "Europe/Berlin",
    "tzone://microsoft/utc": "Etc/UTC",
}
# A pair of offsets as Lotus Notes and old Outlook write it, by the zone that most people mean.
_PAIRS = {
    ("-1000", "-0900"): "America/Adak",
    ("-0900", "-0800"): "America/Anchorage",
    ("-0800", "-0700"): "America/Los_Angeles",
    ("-0700", "-0600"): "America/Denver",
    ("-0600", "-0500"): "America/Chicago",
    ("-0500", "-0400"): "America/New_York",
    ("-0400", "-0300"): "America/Halifax",
    ("-0330", "-0230"): "America/St_Johns",
    ("+0000", "+0100"): "Europe/London",
    ("+0100", "+0200"): "Europe/Berlin",
    ("+0200", "+0300"): "Europe/Helsinki",
    ("+0930", "+1030"): "Australia/Adelaide",
    ("+1000", "+1100"): "Australia/Sydney",
    ("+1200", "+1300"): "Pacific/Auckland",
}


@lru_cache(maxsize=1024)
def alias(name: str) -> tzinfo | None:
    """Names that are nobody's standard: abbreviations, pairs of offsets, `UTC+2`, a name quoted by an URL."""
    small = " ".join(name.lower().split())
    pair = _LOTUS.search(name)
    if pair:
        key = _PAIRS.get((pair[1], pair[2]))
        return ZoneInfo(key) if key else None
    if small in _ALIASES:
        key = _ALIASES[small]
        return UTC if key == "Etc/UTC" else ZoneInfo(key)
    match = _OFFSET_NAME.fullmatch(small.strip("()"))
    if match and int(match[2]) < 15:
        size = timedelta(hours=int(match[2]), minutes=int(match[3] or 0))
        return timezone(-size if match[1] == "-" else size)
    return None


# ------------------------------------------------------------------------------------------------- embedded VTIMEZONEs


@dataclass(frozen=True, slots=True)
class Observance:
    """One STANDARD or DAYLIGHT (section 3.6.5): from `start` on the old wall clock, and again by `rule` and `dates`."""

    start: datetime
    before: timedelta
    after: timedelta
    daylight: bool
    name: str = ""
    rules: tuple[tuple[Rule, datetime], ...] = ()
    dates: tuple[datetime, ...] = ()

    def onsets(self, year: int) -> Iterable[datetime]:
        """Its beginnings in one year, on the wall clock before the change."""
        first, last = _span(year)
        yield from (moment for moment in (self.start, *self.dates) if first <= moment <= last)
        for rule, until in self.rules:
            yield from instances(rule, self.start, first, min(last, until), Work(1000))

    def final_year(self) -> int:
        """The last year in which it may begin, 9999 without an end."""
        ends = [until.year for _, until in self.rules]
        return max([self.start.year, *(moment.year for moment in self.dates), *ends])


def _span(year: int) -> tuple[datetime, datetime]:
    return datetime(year, 1, 1), datetime(year, 12, 31, 23, 59, 59)  # noqa: DTZ001 - wall clock


class Turn(NamedTuple):
    """A change of offset: when in UTC (naive), and the observances' offsets and name."""

    at: datetime
    before: timedelta
    after: timedelta
    daylight: bool
    name: str


@dataclass(eq=False)
class Observed(tzinfo):
    """A zone made of a VTIMEZONE's observances; PEP 495 folds and gaps as in zoneinfo."""

    tzid: str
    observances: tuple[Observance, ...]
    _years: dict[int, list[Turn]] = field(default_factory=dict, repr=False)

    def __str__(self) -> str:
        return self.tzid

    def __reduce__(self) -> tuple[type[Observed], tuple[str, tuple[Observance, ...]]]:
        return Observed, (self.tzid, self.observances)

    def utcoffset(self, moment: datetime | None, /) -> timedelta | None:
        return self._at(moment).after if moment is not None else None

    def dst(self, moment: datetime | None, /) -> timedelta | None:
        if moment is None:
            return None
        turn = self._at(moment)
        return max(turn.after - turn.before, timedelta(hours=1)) if turn.daylight else _ZERO

    def tzname(self, moment: datetime | None, /) -> str | None:
        return self._at(moment).name or None if moment is not None else None

    def fromutc(self, moment: datetime, /) -> datetime:
        plain = moment.replace(tzinfo=None)
        turns = self._around(plain.year)
        index = bisect_right(turns, plain, key=lambda turn: turn.at)
        current = turns[index - 1] if index else self._before(turns)
        folded = index > 0 and plain - current.at < current.before - current.after
        return (plain + current.after).replace(tzinfo=self, fold=int(folded))

    def _at(self, moment: datetime) -> Turn:
        """The turn in force at a wall clock time."""
        plain = moment.replace(tzinfo=None, fold=0)
        turns = self._around(plain.year)
        side = min if moment.fold else max
        index = bisect_right(turns, plain, key=lambda turn: turn.at + side(turn.before, turn.after))
        return turns[index - 1] if index else self._before(turns)

    def _before(self, turns: list[Turn]) -> Turn:
        """What held before the first turn: the offset that it turned from."""
        first = turns[0]
        return Turn(first.at, first.before, first.before, False, "")

    def _around(self, year: int) -> list[Turn]:
        """The turns of the year and its neighbours, led by the last one before them."""
        if year not in self._years:
            turns = [turn for near in (year - 1, year, year + 1) for turn in self._in(near)]
            turns.sort()
            self._years[year] = [*self._last_before(year - 1), *turns] or [self._earliest()]
        return self._years[year]

    def _in(self, year: int) -> list[Turn]:
        if not 1 <= year <= 9999:
            return []
        return [turn for one in self.observances for turn in _turns(one, one.onsets(year))]

    def _last_before(self, year: int) -> list[Turn]:
        """The last turn before that year: its observances may have ended long ago."""
        years = sorted({min(one.final_year(), year - 1) for one in self.observances if one.start.year < year})
        for candidate in reversed(years):
            for near in (candidate, candidate - 1):
                turns = self._in(near)
                if turns:
                    return [max(turns)]
        started = [turn for one in self.observances if one.start.year < year for turn in _turns(one, [one.start])]
        return [max(started)] if started else []

    def _earliest(self) -> Turn:
        return min(turn for one in self.observances for turn in _turns(one, [one.start]))


def _turns(one: Observance, onsets: Iterable[datetime]) -> list[Turn]:
    """Onsets in UTC; those at the edge of time are pushed back into it."""
    found = []
    for onset in onsets:
        low, high = datetime.min + timedelta(days=2), datetime.max - timedelta(days=2)  # noqa: DTZ901 - wall clock
        at = min(max(onset, low), high) - one.before
        found.append(Turn(at, one.before, one.after, one.daylight, one.name))
    return found
