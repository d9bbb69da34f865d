"""Occurrences as one JSON object, or one line of text, each: what `calbridge expand` prints."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from bridges.model import AllDay, Occurrence


def record(occurrence: Occurrence) -> dict[str, Any]:
    """`uid, slot, start, end, all_day, summary, location, status`; times ISO 8601 with offset, dates if all-day.

    `slot` is the original start of a member of a series (a UTC instant, or a date), null for a single event.
    """
    event = occurrence.event
    return {
        "uid": occurrence.id.uid,
        "slot": _iso(occurrence.id.slot),
        "start": _iso(event.when.start),
        "end": _iso(event.when.end),
        "all_day": isinstance(event.when, AllDay),
        "summary": event.title,
        "location": event.place,
        "status": event.status.value,
    }


def line(occurrence: Occurrence) -> str:
    """Start, end, title and place, apart by tabs."""
    facts = record(occurrence)
    return "\t".join([facts["start"], facts["end"], facts["summary"], facts["location"]]).rstrip()


def _iso(moment: date | datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()
