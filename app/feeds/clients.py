"""Which family of programs reads a feed, and how often that family looks: its vendors tell only roughly."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

OTHER = "another program"


@dataclass(frozen=True, slots=True)
class Family:
    """A family, words of which one stands in its User-Agent, and how often it looks; None if its user decides."""

    name: str
    words: tuple[str, ...]
    every: timedelta | None = None


FAMILIES = (
    Family("Google", ("google-calendar", "googlebot"), timedelta(hours=12)),
    Family("Outlook", ("outlook", "microsoft office", "exchange", "office365", "owa"), timedelta(hours=24)),
    Family("Apple", ("dataaccessd", "calendaragent", "ical/", "macos", "ios/"), None),
    Family("Thunderbird", ("thunderbird", "lightning"), timedelta(minutes=30)),
    Family("Nextcloud", ("nextcloud",), timedelta(days=7)),
    Family("ICSx5", ("icsx5", "davx5"), timedelta(days=1)),
    Family("Home Assistant", ("homeassistant", "home assistant"), timedelta(minutes=15)),
    Family("Proton", ("proton",), timedelta(hours=16)),
    Family("a browser", ("mozilla/",), None),
)


def family_of(user_agent: str) -> str:
    """The name of the first family whose word stands in it."""
    folded = user_agent.casefold()
    return next((family.name for family in FAMILIES if any(word in folded for word in family.words)), OTHER)


def said(client: str | None, used_at: datetime | None, now: datetime, zone: ZoneInfo) -> str:
    """Who looked last, and when that one will have seen a change that is made now: a sentence."""
    if used_at is None:
        return "nobody has looked yet"
    ago, every = max(now - used_at, timedelta(0)), rhythm_of(client)
    looked = f"{client or OTHER} last looked {_span(ago)} ago"
    if every is None:
        return looked
    due = used_at + every
    if due <= now:
        return f"{looked}; it should have looked again by now"
    local, today = due.astimezone(zone), now.astimezone(zone).date()
    day = "" if local.date() == today else f" on {local:%Y-%m-%d}"
    return f"{looked}; expect a change to be seen by about {local:%H:%M}{day}"


def _span(ago: timedelta) -> str:
    minutes = int(ago.total_seconds()) // 60
    if minutes < 60:
        return f"{minutes} min"
    return f"{minutes // 60} h" if minutes < 48 * 60 else f"{minutes // 1440} days"


def last_day(until: datetime | None, zone: ZoneInfo) -> str:
    """Until when a token opens its feed, as people say it: its last day, or the minute where it ends within one."""
    if until is None:
        return "no end"
    local = until.astimezone(zone)
    if local.time() == time():
        return f"through {local.date() - timedelta(days=1)}"
    return f"until {local:%Y-%m-%d %H:%M}"


def rhythm_of(name: str | None) -> timedelta | None:
    """How often that family looks; None if nobody knows."""
    return next((family.every for family in FAMILIES if family.name == name), None)
