"""The JSON form of a feed, as a JSON Schema (draft 2020-12). A change that breaks a reader is a new version."""

from __future__ import annotations

from typing import Any

VERSION = 1
PATH = "/schema/feed-v1.json"

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
        "events": {"type": "array", "description": "by start, then uid", "items": _EVENT},
    },
}
