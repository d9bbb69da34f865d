"""A calendar letter by letter, mended nowhere: raw lines, content lines with their numbers, and components. Pure.

The reader of app.ics repairs what it can, so that an import loses nothing. Here every fault has to stay visible.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from app.ics.lines import decode

_PROPERTY = re.compile(r'([A-Za-z0-9_.-]+)((?:;(?:[^":;]|"[^"]*")*)*):(.*)', re.DOTALL)
_PARAMETER = re.compile(r';([A-Za-z0-9-]+)=("[^"]*"|[^;"]*)')


class Line(NamedTuple):
    """A property: its name in capitals, its parameters as written, its value, and the raw line where it begins."""

    name: str
    raw: str
    value: str
    at: int

    @property
    def params(self) -> dict[str, str]:
        return {name.upper(): value.strip('"') for name, value in _PARAMETER.findall(self.raw)}

    @property
    def tzid(self) -> str:
        return self.params.get("TZID", "") if self.raw else ""

    @property
    def day(self) -> bool:
        """Whether it is said to be a date."""
        return "VALUE=DATE" in self.raw.upper().replace("VALUE=DATE-TIME", "")


@dataclass(slots=True)
class Part:
    """A component: its kind, the raw line where it begins, its properties and its own parts."""

    kind: str
    at: int
    lines: list[Line] = field(default_factory=list)
    parts: list[Part] = field(default_factory=list)

    def all(self, name: str) -> Sequence[Line]:
        return [line for line in self.lines if line.name == name]

    def first(self, name: str) -> Line | None:
        return next((line for line in self.lines if line.name == name), None)

    def value(self, name: str) -> str:
        line = self.first(name)
        return line.value.strip() if line else ""

    def inside(self, *kinds: str) -> Iterator[Part]:
        return (part for part in self.parts if part.kind in kinds)

    @property
    def title(self) -> str:
        """The event as a sentence names it."""
        return self.value("SUMMARY")[:60] or self.value("UID")[:60] or "an event without a title"


@dataclass(slots=True)
class Sheet:
    """`strange` are the lines that are no property, `crossed` where BEGIN and END do not fit; both with their text."""

    body: bytes
    calendars: list[Part] = field(default_factory=list)
    strange: list[tuple[int, str]] = field(default_factory=list)
    crossed: list[tuple[int, str]] = field(default_factory=list)
    whole: bool = True
    _events: list[Part] = field(default_factory=list)

    @property
    def events(self) -> Sequence[Part]:
        return self._events

    @property
    def zones(self) -> Sequence[Part]:
        return [zone for calendar in self.calendars for zone in calendar.inside("VTIMEZONE")]


def sheet_of(body: bytes) -> Sheet:
    """The calendar as it stands; whatever the bytes are, there is one."""
    sheet, open_parts = Sheet(body), [Part("", 0)]
    for number, text in _unfolded(decode(body)):
        match = _PROPERTY.fullmatch(text)
        if match is None:
            if text.strip():
                sheet.strange.append((number, text[:80]))
            continue
        line = Line(match[1].upper(), match[2], match[3], number)
        if line.name == "BEGIN":
            part = Part(line.value.strip().upper(), number)
            open_parts[-1].parts.append(part)
            open_parts.append(part)
        elif line.name == "END":
            _close(sheet, open_parts, line)
        else:
            open_parts[-1].lines.append(line)
    sheet.whole = len(open_parts) == 1
    sheet.calendars = list(open_parts[0].inside("VCALENDAR"))
    sheet._events = [event for calendar in sheet.calendars for event in calendar.inside("VEVENT")]
    return sheet


def _close(sheet: Sheet, open_parts: list[Part], line: Line) -> None:
    kind = line.value.strip().upper()
    if kind not in [part.kind for part in open_parts[1:]]:
        sheet.crossed.append((line.at, f"END:{kind[:40]} ends nothing"))
        return
    while (part := open_parts.pop()).kind != kind:
        sheet.crossed.append((line.at, f"{part.kind[:40]} of line {part.at} has no END"))


def _unfolded(text: str) -> Iterator[tuple[int, str]]:
    """Content lines with the raw line, from 1, where each begins (RFC 5545 section 3.1)."""
    pieces: list[str] = []
    begun = 1
    for number, line in enumerate(text.split("\n"), 1):
        if line[:1] in (" ", "\t") and pieces:
            pieces.append(line[1:])
            continue
        if pieces:
            yield begun, "".join(pieces)
        pieces, begun = [line], number
    yield begun, "".join(pieces)
