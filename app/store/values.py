"""Events and times as JSON for the store, and back: the shape that the ledger and the readings share."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from bridges.model import AllDay, Calendar, Event, Status, Timed, When, instant


def when_to_json(when: When) -> dict[str, str]:
    """`{"start", "end"}` as UTC instants, or `{"first", "until"}` as dates with `until` not included."""
    if isinstance(when, AllDay):
        return {"first": when.start.isoformat(), "until": when.end.isoformat()}
    return {"start": instant(when.start).isoformat(), "end": instant(when.end).isoformat()}


def when_from_json(data: dict[str, str]) -> When:
    if "first" in data:
        return AllDay(date.fromisoformat(data["first"]), date.fromisoformat(data["until"]))
    return Timed(datetime.fromisoformat(data["start"]), datetime.fromisoformat(data["end"]))


def event_to_json(event: Event) -> dict[str, Any]:
    """Empty fields are left out, so that a field added later changes no stored hash."""
    full = {
        "title": event.title,
        "when": when_to_json(event.when),
        "text": event.text,
        "place": event.place,
        "categories": list(event.categories),
        "url": event.url,
        "status": "" if event.status is Status.CONFIRMED else event.status.value,
    }
    return {key: value for key, value in full.items() if value or key == "title"}


def event_from_json(data: dict[str, Any]) -> Event:
    return Event(
        title=data["title"],
        when=when_from_json(data["when"]),
        text=data.get("text", ""),
        place=data.get("place", ""),
        categories=tuple(data.get("categories", ())),
        url=data.get("url", ""),
        status=Status(data.get("status", Status.CONFIRMED)),
    )


def calendar_to_json(calendar: Calendar) -> dict[str, Any]:
    """A calendar as its LMS lists it."""
    return {"ref": str(calendar.ref), "name": calendar.name, "writable": calendar.writable}
