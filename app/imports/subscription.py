"""The Import: one writing of an ICS into a calendar, as a value."""

from __future__ import annotations

from dataclasses import dataclass

from bridges.model import CalendarRef, Window


@dataclass(frozen=True, slots=True)
class Import:
    """What is written where. `source` tells apart the several files that may go into one calendar: each answers for
    its own events alone. `window` is the time that the file speaks for; its start is in the home zone.

    A `dry_run` decides and touches nothing; `approved` is a person's yes to a plan that the guard would hold.
    """

    data: bytes
    calendar: CalendarRef
    window: Window
    source: str = "upload"
    dry_run: bool = False
    approved: bool = False
