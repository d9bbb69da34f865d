"""The Import: one writing of an ICS into a calendar, as a value."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from zoneinfo import ZoneInfo

from app.ics.floating import NOBODY_SAID, Floating
from app.imports.body import Data
from app.imports.deciding.part import Part
from app.imports.deciding.rules import NO_RULES, Rules
from bridges.model import CalendarRef, Window


class Mode(StrEnum):
    """What an import does about events that earlier files of its name had and this one lacks."""

    REPLACE = "replace"
    """They go."""
    ADD = "add"
    """They stay: nothing is ever deleted."""


class Match(StrEnum):
    """How an import knows an event again that an earlier file of its name had."""

    UID = "uid"
    CONTENT = "content"
    """By title, time and place, for files whose UIDs are new each time."""


@dataclass(frozen=True, slots=True)
class Import:
    """What is written where. `source` tells apart the several files that may go into one calendar: each answers for
    its own events alone. `window` is the time that the file speaks for; its start is in the home zone.

    `grace` is the number of whole readings in a row that have to lack an event before it is deleted. A `dry_run`
    decides and touches nothing; `approved` is a person's yes to a plan that the guard would hold. `zone` is what the
    file's maker means by zones that nobody knows; None: such zones are not guessed at. `floating` is what times
    without a zone mean. `match` says whether its UIDs can be trusted. `part` is what of
    a routed file goes into this calendar; None: all of it.
    """

    data: Data
    calendar: CalendarRef
    window: Window
    source: str = "upload"
    mode: Mode = Mode.REPLACE
    grace: int = 1
    rules: Rules = NO_RULES
    dry_run: bool = False
    approved: bool = False
    zone: ZoneInfo | None = None
    floating: Floating = NOBODY_SAID
    match: Match = Match.UID
    part: Part | None = None

    def __post_init__(self) -> None:
        if self.grace < 1:
            raise ValueError("an event has to be missing at least once before it is deleted")
