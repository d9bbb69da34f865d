"""An iCalendar stream of ours as jCal (RFC 7265): the same components, properties and values, in JSON. Pure.

It is made out of the stream, and not of the events beside it, so that the two cannot say different things. It reads
what `render` writes and nothing else: parameters without quotes, values of the types below.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

_TYPES = {
    **dict.fromkeys(("dtstart", "dtend", "dtstamp", "last-modified"), "date-time"),
    **dict.fromkeys(("tzoffsetfrom", "tzoffsetto"), "utc-offset"),
    **dict.fromkeys(("trigger", "refresh-interval"), "duration"),
    "sequence": "integer",
    "rrule": "recur",
    "url": "uri",
}
"""The value types that properties have by themselves (RFC 7265 section 3.4); text for the rest that is registered."""
_ESCAPED = re.compile(r"\\([\\;,nN])")
_COMMA = re.compile(r"(?:[^,\\]|\\.)*")


def jcal(stream: bytes) -> bytes:
    """The stream as one JSON array, ended by LF."""
    lines = iter(stream.decode().replace("\r\n ", "").removesuffix("\r\n").split("\r\n"))
    next(lines)
    return json.dumps(_component("vcalendar", lines), ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def _component(name: str, lines: Iterator[str]) -> list[Any]:
    """The component whose BEGIN has been read, up to its END."""
    properties: list[Any] = []
    parts: list[Any] = []
    for line in lines:
        if line.startswith("END:"):
            break
        if line.startswith("BEGIN:"):
            parts.append(_component(line[6:].lower(), lines))
        else:
            properties.append(_property(line))
    return [name, properties, parts]


def _property(line: str) -> list[Any]:
    head, _, value = line.partition(":")
    name, *rest = head.split(";")
    name = name.lower()
    parameters = {key.lower(): text for key, _, text in (each.partition("=") for each in rest)}
    kind = parameters.pop("value", "").lower() or _TYPES.get(name) or ("unknown" if name[:2] == "x-" else "text")
    return [name, parameters, kind, *_values(name, kind, value)]


def _values(name: str, kind: str, value: str) -> list[Any]:
    if name == "categories":
        return [_unescaped(found) for found in _split(value)]
    read = _READ.get(kind)
    return [read(value) if read else value]


def _split(value: str) -> Iterator[str]:
    """At commas that are not escaped."""
    start = 0
    while start <= len(value):
        found = _COMMA.match(value, start)
        end = found.end() if found else len(value)
        yield value[start:end]
        start = end + 1


def _unescaped(value: str) -> str:
    return _ESCAPED.sub(lambda found: "\n" if found[1] in "nN" else found[1], value)


def _day(value: str) -> str:
    return f"{value[:4]}-{value[4:6]}-{value[6:8]}"


def _moment(value: str) -> str:
    return f"{_day(value)}T{value[9:11]}:{value[11:13]}:{value[13:]}"


def _offset(value: str) -> str:
    return ":".join([value[:3], *re.findall("..", value[3:])])


def _rule(value: str) -> Mapping[str, Any]:
    """RFC 7265 section 3.6.10; our rules have one value for each part."""
    parts = (part.partition("=") for part in value.split(";"))
    return {key.lower(): int(text) if text.isdigit() else text for key, _, text in parts}


_READ: Mapping[str, Any] = {
    "text": _unescaped,
    "date": _day,
    "date-time": _moment,
    "utc-offset": _offset,
    "integer": int,
    "recur": _rule,
}
