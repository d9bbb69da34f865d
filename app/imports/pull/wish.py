"""What a person asks of a subscription: the values, and the names under which people and programs write them. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from app.ics.floating import NOBODY_SAID, Floating
from app.imports.deciding.routes import Routes, routes_of
from app.imports.deciding.rules import NO_RULES, Rules, rename
from app.imports.pull.addresses import Refused
from app.imports.subscription import Match, Mode
from app.imports.window import window_of
from bridges.model import CalendarRef, Window

GRACE = 2
"""In how many whole readings an event has to be missing before it is deleted, where nobody says otherwise."""


@dataclass(frozen=True, slots=True)
class Wish:
    """The calendar at `url` into `calendar`, every so often, from today for `ahead_days`. ValueError where it is none.

    source      its name, unique, and that of its imports: events of other sources are not touched
    mode        whether what is gone from it is deleted, after it was missing in `grace` whole readings
    agent       a User-Agent, or "microsoft" for the preset; empty: ours
    zone        what the source means by a TZID that nobody knows; None: such events are held
    floating    what it means by times without a zone
    since       the first day to write, in place of today; `until` the day after the last, in place of `ahead_days`
    match       whether its UIDs can be trusted
    routes      what of it goes into which calendar; None: all of it into `calendar`
    max_bytes   the largest body to take, max_events the most events in it; 0: as configured
    """

    source: str
    url: str = field(repr=False)
    calendar: CalendarRef
    every: timedelta
    ahead_days: int
    mode: Mode = Mode.REPLACE
    agent: str = ""
    zone: ZoneInfo | None = None
    floating: Floating = NOBODY_SAID
    rules: Rules = NO_RULES
    since: date | None = None
    until: date | None = None
    grace: int = GRACE
    match: Match = Match.UID
    routes: Routes | None = None
    max_bytes: int = 0
    max_events: int = 0

    def __post_init__(self) -> None:
        if not (0 < len(self.source) <= 200 and self.source.isprintable() and self.source.strip() == self.source):
            raise ValueError("a subscription needs a name, of 200 letters at most")
        if not timedelta(minutes=5) <= self.every <= timedelta(days=31):
            raise ValueError("a subscription is pulled at most every 5 minutes and at least every 31 days")
        if not 1 <= self.ahead_days <= 3650:
            raise ValueError("a subscription reaches 1 to 3650 days ahead")
        if not (len(self.agent) <= 300 and self.agent.isascii() and (self.agent.isprintable() or not self.agent)):
            raise ValueError("the user agent holds letters that no header can carry")
        if self.since and self.until and self.until <= self.since:
            raise ValueError(f"the window is empty: 'to' ({self.until}) has to come after 'from' ({self.since})")

    def window(self, now: datetime, home: ZoneInfo) -> Window:
        """The time that a body pulled `now` speaks for, in the home zone. Refused where all of it is over."""
        if self.until and self.until <= now.astimezone(home).date():
            raise Refused(f"The time of this subscription is over: it ended on {self.until} (its setting 'to').")
        return window_of(_iso(self.since), _iso(self.until), now, home, self.ahead_days)


def changed(wish: Wish, given: Mapping[str, object]) -> Wish:
    """The wish with other settings, each by its name, as text or as JSON has it. ValueError says what is wrong.

    An empty text, or null, takes a setting back to the usual. Several patterns are a list, or a text with `|` between.
    """
    fields: dict[str, Any] = {}
    rules: dict[str, Any] = {}
    for name, value in given.items():
        room, _, part = _known(name).field.partition(".")
        (rules if part else fields)[part or room] = _read(name, value)
    return replace(wish, **fields, rules=replace(wish.rules, **rules))


def _known(name: str) -> _Setting:
    if name not in SETTINGS:
        known = ", ".join(SETTINGS)
        raise ValueError(f"a subscription has no setting '{name[:80]}' that could be changed; there are: {known}")
    return SETTINGS[name]


def _read(name: str, value: object) -> Any:
    one = SETTINGS[name]
    if value in ("", None) and one.usual is REQUIRED:
        raise ValueError(f"{name}: it cannot be empty")
    try:
        return one.usual if value in ("", None, []) else one.read(value)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error


def shown(wish: Wish) -> dict[str, Any]:
    """All settings by their names, as JSON; not the URL, which is often a secret."""
    return {name: one.show(wish) for name, one in SETTINGS.items() if name != "url"}


def unusual(wish: Wish) -> dict[str, Any]:
    """Of the settings without a column of their own those that are not as usual; `changed` reads them again."""
    plain = changed(wish, dict.fromkeys(WITHOUT_COLUMN, ""))
    usual = shown(plain)
    return {name: value for name, value in shown(wish).items() if name in WITHOUT_COLUMN and value != usual[name]}


@dataclass(frozen=True, slots=True)
class _Setting:
    """How one setting is read, the field of the wish that it is, and how it is shown."""

    read: Callable[[object], Any]
    usual: Any
    field: str
    show_as: Callable[[Any], Any] = lambda value: value

    def show(self, wish: Wish) -> Any:
        room, _, part = self.field.partition(".")
        value = getattr(wish, room)
        return self.show_as(getattr(value, part) if part else value)


REQUIRED = object()
"""No usual value: a subscription cannot do without."""


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("it has to be a text")
    return value.strip()


def _number(least: int, most: int) -> Callable[[object], int]:
    def read(value: object) -> int:
        text = str(value).strip()
        if isinstance(value, bool) or not (text.isascii() and text.isdecimal() and least <= int(text[:15]) <= most):
            raise ValueError(f"'{text[:40]}' is no whole number from {least:,} to {most:,}")
        return int(text)

    return read


def _minutes(value: object) -> timedelta:
    return timedelta(minutes=_number(5, 44_640)(value))


def _one_of(kind: type[Mode] | type[Match]) -> Callable[[object], StrEnum]:
    def read(value: object) -> StrEnum:
        text = _text(value)
        if text not in list(kind):
            raise ValueError(f"it is one of {', '.join(kind)}")
        return kind(text)

    return read


def _zone(value: object) -> ZoneInfo:
    name = _text(value)
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"no time zone is called '{name[:80]}'; write an IANA name such as Europe/Oslo") from None


def _day(value: object) -> date:
    try:
        day = date.fromisoformat(_text(value))
    except ValueError:
        raise ValueError("it is a day, as 2026-09-01") from None
    if not 1970 <= day.year <= 2200:
        raise ValueError("it lies too far away")
    return day


def _patterns(value: object) -> tuple[str, ...]:
    parts = value.split("|") if isinstance(value, str) else value
    if not isinstance(parts, Sequence) or len(parts) > 200 or not all(isinstance(part, str) for part in parts):
        raise ValueError("it is a list of patterns, 200 at the most")
    return tuple(text for part in parts if (text := part.strip()))


def _renames(value: object) -> tuple[tuple[str, str], ...]:
    return tuple(map(rename, _patterns(value)))


def _routes(value: object) -> Routes:
    return routes_of(_patterns(value))


def _iso(day: date | None) -> str | None:
    return day.isoformat() if day else None


SETTINGS: Mapping[str, _Setting] = {
    "url": _Setting(_text, REQUIRED, "url"),
    "every_minutes": _Setting(_minutes, REQUIRED, "every", lambda every: every // timedelta(minutes=1)),
    "ahead_days": _Setting(_number(1, 3650), REQUIRED, "ahead_days"),
    "mode": _Setting(_one_of(Mode), Mode.REPLACE, "mode", str),
    "agent": _Setting(_text, "", "agent"),
    "zone": _Setting(_zone, None, "zone", lambda zone: zone and zone.key),
    "floating": _Setting(lambda value: Floating(_text(value)), NOBODY_SAID, "floating", lambda policy: policy.name),
    "include": _Setting(_patterns, (), "rules.include", list),
    "exclude": _Setting(_patterns, (), "rules.exclude", list),
    "rename": _Setting(_renames, (), "rules.renames", lambda pairs: [f"{old}={new}" for old, new in pairs]),
    "from": _Setting(_day, None, "since", _iso),
    "to": _Setting(_day, None, "until", _iso),
    "grace": _Setting(_number(1, 50), GRACE, "grace"),
    "match": _Setting(_one_of(Match), Match.UID, "match", str),
    "routes": _Setting(_routes, None, "routes", lambda routes: routes.to_json() if routes else []),
    "max_bytes": _Setting(_number(1024, 2**31), 0, "max_bytes"),
    "max_events": _Setting(_number(1, 10_000_000), 0, "max_events"),
}
"""What may be changed of a subscription. Its name and its calendar may not: what it wrote hangs on them."""

WITHOUT_COLUMN = [name for name in SETTINGS if name not in ("url", "every_minutes", "ahead_days", "mode", "agent")]
