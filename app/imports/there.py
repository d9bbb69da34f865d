"""How an LMS would have an occurrence's time: what goes over the line, and what its people see."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, tzinfo

from bridges.contract import Sink, Wired
from bridges.errors import Rejected
from bridges.model import AllDay, Occurrence


@dataclass(frozen=True, slots=True)
class There:
    """`start` and `end` as they are sent, `shown` the start in the LMS's own zone; or why it cannot be held."""

    start: str = ""
    end: str = ""
    shown: str = ""
    problem: str = ""

    def to_json(self) -> dict[str, str]:
        return {"start": self.start, "end": self.end, "shown": self.shown, "problem": self.problem}

    def line(self, calendar: str) -> str:
        return f"{calendar}: {self.problem or f'sent as {self.start} to {self.end}, shown as {self.shown}'}"


def lines_of(sink: Sink | None, zone: tzinfo, calendar: str, occurrence: Occurrence | None) -> list[str]:
    """The same as a line of text; none where nothing is sent, or nobody asked."""
    return [there(sink, zone, occurrence).line(calendar)] if sink is not None and occurrence is not None else []


def there(sink: Sink, zone: tzinfo, occurrence: Occurrence) -> There:
    """The occurrence's time in that LMS; `zone` is the one that the LMS shows times in."""
    try:
        when = sink.fit(occurrence.event).when
    except Rejected as refusal:
        return There(problem=f"the LMS cannot hold it: {refusal}")
    sent = sink.wired(when) if isinstance(sink, Wired) else (when.start.isoformat(), when.end.isoformat())
    if isinstance(when, AllDay):
        return There(*sent, shown=f"{when.start}, all day")
    shown = when.start if when.start.tzinfo is None else when.start.astimezone(zone)
    assert isinstance(shown, datetime)
    return There(*sent, shown=f"{shown:%a %Y-%m-%d %H:%M} {getattr(zone, 'key', zone)}")
