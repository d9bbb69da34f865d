"""The JSON form of a feed, as a JSON Schema (draft 2020-12). A change that breaks a reader is a new version."""

from __future__ import annotations

from typing import Any

VERSION = 1
PATH = "/schema/feed-v1.json"
PART_PATH, SINCE_PATH, ROOMS_PATH, NEXT_PATH, NOW_PATH = (
    f"/schema/{name}-v1.json" for name in ("part", "since", "rooms", "next", "now")
)

_MOMENT = {"type": "string", "format": "date-time"}

_EVENT: dict[str, Any] = {
    "type": "object",
    "required": [
        "uid",
        "title",
        "all_day",
        "start",
        "end",
        "text",
        "place",
        "categories",
        "url",
        "status",
        "modified",
        "sequence",
    ],
    "additionalProperties": False,
    "properties": {
        "uid": {"type": "string", "minLength": 1, "description": "the UID of the iCalendar form; never changes"},
        "title": {"type": "string"},
        "all_day": {"type": "boolean"},
        "start": {
            "type": "string",
            "description": "all-day: a date; else a time with its offset (RFC 3339)",
            "pattern": r"^\d{4}-\d\d-\d\d(T\d\d:\d\d:\d\d(Z|[+-]\d\d:\d\d(:\d\d)?))?$",
        },
        "end": {
            "type": "string",
            "description": "as start; not included in the event. Equal to start: a deadline",
            "pattern": r"^\d{4}-\d\d-\d\d(T\d\d:\d\d:\d\d(Z|[+-]\d\d:\d\d(:\d\d)?))?$",
        },
        "text": {"type": "string", "description": "plain text; LF ends a line"},
        "place": {"type": "string"},
        "categories": {"type": "array", "items": {"type": "string", "minLength": 1}},
        "url": {"type": "string", "description": "the event's own page, http or https; or empty"},
        "status": {"type": "string", "enum": ["confirmed", "tentative", "cancelled"]},
        "modified": _MOMENT | {"description": "when this content came to be, in UTC"},
        "sequence": {"type": "integer", "minimum": 0, "description": "grows when the content changes"},
    },
}

SCHEMA: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "A calbridge feed",
    "description": "The same events as the feed's iCalendar form. When it was read stands in the answer's headers.",
    "type": "object",
    "required": ["version", "title", "zone", "window", "events"],
    "additionalProperties": False,
    "properties": {
        "version": {"type": "integer", "enum": [VERSION]},
        "title": {"type": "string"},
        "zone": {"type": "string", "minLength": 1, "description": "IANA name of the zone that times are shown in"},
        "window": {
            "type": "object",
            "description": "the time that this feed speaks for; the end is not included",
            "required": ["start", "end"],
            "additionalProperties": False,
            "properties": {"start": _MOMENT, "end": _MOMENT},
        },
        "cursor": {"type": "string", "minLength": 1, "description": "ask with since= what has changed after this"},
        "events": {"type": "array", "description": "by start, then uid", "items": _EVENT},
    },
}

FIELDS = tuple(_EVENT["properties"])

PART: dict[str, Any] = SCHEMA | {
    "title": "A part of a calbridge feed",
    "description": "A feed asked with from, to, order, offset, limit or fields.",
    "required": ["version", "title", "zone", "window", "events", "total"],
    "properties": {
        **{name: part for name, part in SCHEMA["properties"].items() if name != "cursor"},
        "events": {"type": "array", "items": _EVENT | {"required": []}},
        "total": {"type": "integer", "minimum": 0, "description": "events over all pages"},
        "next_offset": {"type": "integer", "minimum": 1, "description": "where the next page begins, if there is one"},
    },
}

_WITHOUT_EVENTS = {name: part for name, part in SCHEMA["properties"].items() if name != "events"}
SINCE: dict[str, Any] = SCHEMA | {
    "title": "What changed in a calbridge feed since a cursor",
    "description": "Put added and changed events in place by their uid, take the removed ones out: that is the feed.",
    "required": [*_WITHOUT_EVENTS, "added", "changed", "removed"],
    "properties": {
        **_WITHOUT_EVENTS,
        "added": {"type": "array", "items": _EVENT},
        "changed": {"type": "array", "items": _EVENT},
        "removed": {"type": "array", "items": {"type": "string", "minLength": 1}, "description": "by their uid"},
    },
}


def _object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "required": [*properties], "additionalProperties": False, "properties": properties}


def _answer(title: str, **properties: Any) -> dict[str, Any]:
    return {"$schema": SCHEMA["$schema"], "title": title, **_object(**properties)}


_TEXT, _YES = {"type": "string"}, {"type": "boolean"}
_BOOKING = _object(title=_TEXT, start=_MOMENT, end=_MOMENT, rooms={"type": "array", "items": _TEXT}, running=_YES)
_MAYBE = {"anyOf": [_BOOKING, {"type": "null"}]}

ROOMS = _answer(
    "Events for each room on a day",
    date=_TEXT,
    timezone=_TEXT,
    generated=_MOMENT,
    rooms={"type": "array", "items": _object(room=_TEXT, count={"type": "integer", "minimum": 0})},
)
NEXT = _answer("The next events of a title", query=_TEXT, next={"type": "array", "items": _BOOKING})
NOW = _answer(
    "A room now",
    room=_TEXT,
    now=_MAYBE,
    next=_MAYBE,
    free=_YES,
    free_until={"anyOf": [_MOMENT, {"type": "null"}]},
)

SCHEMAS = {PATH: SCHEMA, PART_PATH: PART, SINCE_PATH: SINCE, ROOMS_PATH: ROOMS, NEXT_PATH: NEXT, NOW_PATH: NOW}
"""Every schema that is served, by its path."""
