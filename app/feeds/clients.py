"""Which family of programs reads a feed, and how often that family looks: its vendors tell only roughly."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

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


def rhythm_of(name: str | None) -> timedelta | None:
    """How often that family looks; None if nobody knows."""
    return next((family.every for family in FAMILIES if family.name == name), None)
