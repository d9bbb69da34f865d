"""How far a run has come, as a value: counted by those who do the work, told once a second. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any


class Phase(StrEnum):
    """What a run is at."""

    READING = "reading"
    """The file is read and compared."""
    SETTLING = "settling"
    """What an earlier run left in the open is found out."""
    WAITING = "waiting"
    """Other imports write to the account, or its quota comes back in a moment."""
    WRITING = "writing"


@dataclass(frozen=True, slots=True)
class At:
    """How far the changes of a plan have come: `done` of `of`, some of which were refused; `busy` lanes are at it."""

    done: int = 0
    of: int = 0
    refused: int = 0
    busy: int = 0


BEFORE = At()
"""Where nothing is planned yet."""


def progress_to_json(phase: Phase, at: At, begun: datetime, now: datetime) -> dict[str, Any]:
    """`rate` is in changes a second since it was `begun`, `rest` in seconds; both null until there is a measure."""
    took = (now - begun).total_seconds()
    rate = at.done / took if took > 0 and at.done else None
    return {
        "phase": phase.value,
        "done": at.done,
        "of": at.of,
        "errors": at.refused,
        "rate": round(rate, 2) if rate else None,
        "rest": round((at.of - at.done) / rate) if rate else None,
        "at": now.isoformat(),
    }
