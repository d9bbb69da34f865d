"""What times without a zone mean, as somebody said of the source: home's time, another zone's, or nothing at all."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

HOME, HOLD = "home", "hold"


@dataclass(frozen=True)
class Floating:
    """A policy for floating times (RFC 5545 section 3.3.5, form 1).

    `name` is "home" (the home zone), "hold" (such events are left out and reported, never guessed at), an IANA name,
    or empty where nobody said: then the file's own zone counts, else the source's, else home's. ValueError for others.
    """

    name: str = ""

    def __post_init__(self) -> None:
        try:
            _ = self.zone
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(
                f"floating times are read in 'home', held by 'hold', or lie in a zone such as Europe/Oslo: "
                f"'{self.name[:80]}' is none of them"
            ) from None

    @cached_property
    def zone(self) -> ZoneInfo | None:
        """The zone that was named, if one was."""
        return None if self.name in ("", HOME, HOLD) else ZoneInfo(self.name)

    @property
    def held(self) -> bool:
        return self.name == HOLD


NOBODY_SAID = Floating()
