"""What can go wrong while a calendar is read, as values: problems, limits, and the refusal of a whole file."""

from __future__ import annotations

from dataclasses import dataclass


class NotACalendar(ValueError):
    """The bytes are no whole iCalendar file, or more of one than the limits allow; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that was wrong: `text` says in a sentence what it was and what was done about it.

    `line` counts the raw lines of the file from 1. `lost` means that an event or a value is missing because of it;
    otherwise it was mended. `uid` is None where the problem is not one event's, or the event's name cannot be told.
    """

    line: int
    text: str
    uid: str | None = None
    lost: bool = False

    def __str__(self) -> str:
        return f"line {self.line}: {self.text}"


@dataclass(frozen=True, slots=True)
class Limits:
    """How much of a file is read before we refuse.

    `bytes`, `components` and `depth` refuse the file; `series` cuts one series and `occurrences` the whole reading,
    each with a problem that is `lost`; an event with more than `dates` RDATEs or EXDATEs is left out. `work` counts
    the periods of rules that are walked without finding anything to show, over the whole file: it bounds the time,
    and a rule that exceeds it is left out.
    """

    bytes: int = 10 * 1024 * 1024
    components: int = 20_000
    depth: int = 20
    zones: int = 200
    series: int = 10_000
    occurrences: int = 50_000
    work: int = 300_000
    dates: int = 50_000
