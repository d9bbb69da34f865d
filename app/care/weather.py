"""The weather of an LMS's quota of calls: what is left, what feeds need until its reset, what imports may use. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from math import ceil
from typing import Any

from app.imports.deciding.forecast import reserved
from bridges.contract import Quota

DAY = timedelta(days=1)


class Sky(StrEnum):
    UNKNOWN = "unknown"
    """The LMS has not said what it permits, or not lately."""
    FAIR = "fair"
    """Enough for feeds until the reset, and more than the reserve besides."""
    CLOUDY = "cloudy"
    """Enough for feeds; imports that are large will wait."""
    STORMY = "stormy"
    """Not enough for feeds at their usual rhythm: they are read less often."""


@dataclass(frozen=True, slots=True)
class Weather:
    """One LMS account's. `left` and `limit` are calls, None where the LMS has not said; `resets_at` is aware.

    `a_day` is what feeds need in a usual day, `until_reset` what of it falls before the reset (a day's where nobody
    knows when that is), `reserve` what imports leave to feeds.
    """

    lms: str
    limit: int | None
    left: int | None
    resets_at: datetime | None
    a_day: int
    until_reset: int
    reserve: int

    @property
    def at_reset(self) -> int | None:
        """What will be left at the reset, if nothing but feeds asks; below 0 what will be lacking."""
        return None if self.left is None else self.left - self.until_reset

    @property
    def sky(self) -> Sky:
        if self.at_reset is None:
            return Sky.UNKNOWN
        if self.at_reset < 0:
            return Sky.STORMY
        return Sky.FAIR if self.at_reset >= self.reserve else Sky.CLOUDY

    def __str__(self) -> str:
        need = f"feeds need about {self.a_day:,} calls a day"
        if self.left is None or self.limit is None:
            return f"{self.lms}: {need}; the LMS has not said how many it permits."
        left = f"{self.lms}: {self.left:,} of {self.limit:,} calls left"
        return f"{left}, {need}, {self.until_reset:,} until the reset; imports leave {self.reserve:,} of them."

    def to_json(self) -> dict[str, Any]:
        return {
            "lms": self.lms,
            "sky": self.sky.value,
            "limit": self.limit,
            "left": self.left,
            "resets_at": self.resets_at.isoformat() if self.resets_at else None,
            "needed_a_day": self.a_day,
            "needed_until_reset": self.until_reset,
            "left_at_reset": self.at_reset,
            "reserve": self.reserve,
        }


def weather(lms: str, quota: Quota | None, a_day: int, share: float, now: datetime) -> Weather:
    """Of the account of `lms`: what its LMS said last, what feeds need in a day, and the share kept from imports."""
    if quota is None:
        return Weather(lms, None, None, None, a_day, a_day, 0)
    ahead = max(quota.resets_at - now, timedelta(0)) if quota.resets_at else DAY
    facts = quota.limit, quota.remaining, quota.resets_at
    return Weather(lms, *facts, a_day, ceil(a_day * (ahead / DAY)), reserved(quota, share))
