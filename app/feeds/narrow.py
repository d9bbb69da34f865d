"""A token may show less of a feed than the feed does: fewer calendars, and less of each event. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from hashlib import sha256
from typing import Any, Self
from zoneinfo import ZoneInfo

from app.feeds.feed import Feed
from app.feeds.policies import Privacy
from bridges.model import CalendarRef

LESS = list(Privacy)
"""From the one that tells most to the one that tells least."""


@dataclass(frozen=True, slots=True)
class Narrow:
    """What a token shows: these of the feed's calendars (none named: all), and no more of an event than this."""

    calendars: tuple[CalendarRef, ...] = ()
    privacy: Privacy = Privacy.FULL

    def within(self, outer: Narrow) -> Self:
        """What is in both. ValueError where this one asks for a calendar that the outer does not show."""
        if foreign := [one for one in self.calendars if outer.calendars and one not in outer.calendars]:
            raise ValueError(f"'{foreign[0]}' is not among the calendars that its parent shows")
        return replace(self, calendars=self.calendars or outer.calendars, privacy=stricter(self.privacy, outer.privacy))

    def of(self, feed: Feed) -> Feed | None:
        """The feed as this token shows it; None where nothing is left of it, since its calendars have changed."""
        calendars = [one for one in feed.calendars if not self.calendars or one in self.calendars]
        if not calendars:
            return None
        policies = replace(feed.policies, privacy=stricter(feed.policies.privacy, self.privacy))
        view = sha256(json.dumps(self.to_json()).encode()).hexdigest()[:16]
        return replace(feed, calendar=calendars[0], also=tuple(calendars[1:]), policies=policies, view=view)

    def to_json(self) -> dict[str, Any] | None:
        """None where nothing is left out."""
        if not self.calendars and self.privacy is Privacy.FULL:
            return None
        return {"calendars": [str(one) for one in self.calendars], "privacy": self.privacy.value}

    @classmethod
    def from_json(cls, data: Mapping[str, Any] | None) -> Self:
        if data is None:
            return cls()
        return cls(tuple(map(CalendarRef.parse, data["calendars"])), Privacy(data["privacy"]))


@dataclass(frozen=True, slots=True)
class Wish:
    """A narrower token that the holder of another asks for."""

    name: str
    until: datetime | None
    narrow: Narrow

    @classmethod
    def of(cls, data: Any, zone: ZoneInfo) -> Self:
        """Out of JSON: `name`, and if wanted `until` (the last day, in `zone`), `calendars`, `privacy`.

        ValueError says what fits.
        """
        if not isinstance(data, dict) or not isinstance(data.get("name"), str):
            raise ValueError('name: send JSON such as {"name": "phone"}')
        if unknown := data.keys() - {"name", "until", "calendars", "privacy"}:
            raise ValueError(f"'{min(unknown)[:30]}' is not known here; there are name, until, calendars, privacy")
        calendars, privacy = data.get("calendars", []), data.get("privacy", Privacy.FULL.value)
        if not isinstance(calendars, list) or not all(isinstance(one, str) for one in calendars):
            raise ValueError("calendars: this is a list of names such as learn/course/_12594_1")
        if privacy not in LESS:
            raise ValueError(f"privacy: this is one of {', '.join(LESS)}")
        return cls(
            data["name"],
            _end(data.get("until"), zone),
            Narrow(tuple(map(CalendarRef.parse, calendars)), Privacy(privacy)),
        )


def _end(day: Any, zone: ZoneInfo) -> datetime | None:
    """The midnight after that day."""
    if day is None:
        return None
    try:
        return datetime.combine(date.fromisoformat(day) + timedelta(days=1), time(), zone)
    except (TypeError, ValueError, OverflowError):
        raise ValueError("until: this is the last day, such as 2027-06-30") from None


ALL = Narrow()


def stricter(one: Privacy, other: Privacy) -> Privacy:
    """The one of both that tells less."""
    return max(one, other, key=LESS.index)
