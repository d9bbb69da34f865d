"""Times as people read them."""

from __future__ import annotations

from typing import Protocol
from zoneinfo import ZoneInfo

from bridges.model import AllDay, Event


class Happening(Protocol):
    """A change of a plan, or what stood there before it."""

    @property
    def event(self) -> Event: ...


def moment(what: Happening, zone: ZoneInfo) -> str:
    """When it happens, in `zone`; the days that were meant where an LMS made instants of them."""
    when = getattr(what, "days", None) or what.event.when
    if isinstance(when, AllDay):
        return f"{when.start:%a %Y-%m-%d}, all day"
    start, end = when.start.astimezone(zone), when.end.astimezone(zone)
    until = f"{end:%H:%M}" if end.date() == start.date() else f"{end:%a %Y-%m-%d %H:%M}"
    return f"{start:%a %Y-%m-%d %H:%M} – {until}"
