"""A token may show less of a feed than the feed does: fewer calendars, and less of each event. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any, Self

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


ALL = Narrow()


def stricter(one: Privacy, other: Privacy) -> Privacy:
    """The one of both that tells less."""
    return max(one, other, key=LESS.index)
