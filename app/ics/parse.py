"""Content lines to components (RFC 5545 sections 3.1, 3.4, 3.6): one pass, and only the properties that are used."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import NamedTuple

from app.ics import repair
from app.ics.lines import Source, read_lines
from app.ics.problems import Limits, NotACalendar, Problem

_NAME = re.compile(r"[A-Za-z0-9_.-]{1,100}+\s*+(?:;.*)?+", re.DOTALL)
_QUOTED_HEAD = re.compile(r'((?:[^":]++|"[^"]*+")*+):(.*)', re.DOTALL)
_PARAMS = re.compile(r'(?:[^;"]|"[^"]*+")++')

_NO_VALUE = re.compile(r"X-[A-Z0-9-]{1,60}|[A-Z-]{1,60};[A-Z-]{1,60}=")

_TOP = frozenset({"VEVENT", "VTODO", "VJOURNAL", "VFREEBUSY", "VTIMEZONE", "VAVAILABILITY", "VPOLL"})
_EVENT = ("UID", "SUMMARY", "DESCRIPTION", "LOCATION", "CATEGORIES", "URL", "STATUS", "SEQUENCE", "DTSTAMP")
_TIMES = ("LAST-MODIFIED", "DTSTART", "DTEND", "DURATION", "RRULE", "EXRULE", "RDATE", "EXDATE", "RECURRENCE-ID")
_CALENDAR = ("METHOD", "NAME", "X-WR-CALNAME", "X-WR-TIMEZONE")
_ZONE = ("TZID", "X-LIC-LOCATION", "TZOFFSETFROM", "TZOFFSETTO", "TZNAME")
_WANTED = frozenset((*_EVENT, *_TIMES, *_CALENDAR, *_ZONE))


class Kind(IntEnum):
    """What a line is, told by what stands before its colon."""

    UNUSED = 0
    WANTED = 1
    BEGIN = 2
    END = 3
    QUOTED = 4
    NONE = 5


@dataclass(frozen=True, slots=True)
class Head:
    """The part of a content line before its value: name and parameters, in capitals; made once for all its lines."""

    kind: Kind
    name: str = ""
    params: Mapping[str, str] = field(default_factory=dict)
    tzid: str | None = None
    day: bool = False
    printable: bool = False


class Line(NamedTuple):
    """One property: its head, its raw value, and its place among the content lines."""

    head: Head
    value: str
    at: int


_NOTHING = Head(Kind.NONE)

Props = dict[str, list[Line]]


@dataclass(slots=True, eq=False)
class Component:
    """A component with the properties that we use; `index` and `end` are its first and last content line."""

    name: str
    index: int
    props: Props = field(default_factory=dict)
    children: list[Component] = field(default_factory=list)
    end: int = 0

    def first(self, name: str) -> Line | None:
        """The first property of that name."""
        lines = self.props.get(name)
        return lines[0] if lines else None

    def value(self, name: str) -> str:
        """The raw value of the first property of that name, or ""."""
        lines = self.props.get(name)
        return lines[0].value if lines else ""


@dataclass(slots=True)
class Parsed:
    """A file cut into components: those we read, and how many of each other kind were passed over."""

    source: Source
    calendar: Component
    events: list[Component] = field(default_factory=list)
    zones: list[Component] = field(default_factory=list)
    ignored: Counter[str] = field(default_factory=Counter)
    problems: list[Problem] = field(default_factory=list)


def parse(data: bytes, limits: Limits = Limits()) -> Parsed:  # noqa: B008 - an immutable value
    """The components of a whole file; NotACalendar for what is none, is cut short, or exceeds the limits."""
    source = read_lines(data, limits.bytes)
    cutter = _Cutter(source, limits)
    cutter.run()
    return cutter.finish()


class _Tail(NamedTuple):
    """A property that goes on over lines without a name; joined at the end, or time would grow with its square."""

    lines: list[Line]
    at: int
    pieces: list[str]


class _Cutter:
    """The state of one pass: the open components, and where properties go."""

    def __init__(self, source: Source, limits: Limits) -> None:
        self.parsed = Parsed(source, Component("VCALENDAR", 0))
        self.limits = limits
        self.open: list[Component] = []
        self.heads: dict[str, Head] = {}
        self.tails: list[_Tail] = []
        self.calendars = self.components = 0

    def run(self) -> None:
        heads, unused, wanted = self.heads, Kind.UNUSED, Kind.WANTED
        props: Props = {}
        last: list[Line] | None = None
        for index, line in enumerate(self.parsed.source.lines):
            text, colon, value = line.partition(":")
            head = heads.get(text) if colon else _NOTHING
            if head is None:
                head = self.learn(text)
            kind = head.kind
            if kind is unused:
                last = None
            elif kind is wanted:
                if head.name in props:
                    last = props[head.name]
                    last.append(Line(head, value, index))
                else:
                    props[head.name] = last = [Line(head, value, index)]
            elif kind == Kind.NONE:
                self.continued(last, line, index)
            elif kind == Kind.QUOTED:
                last = self.quoted(props, line, index)
            else:
                (self.begin if kind == Kind.BEGIN else self.end)(repair.component_name(value), index)
                props, last = (self.open[-1].props if self.open else {}), None

    def learn(self, text: str) -> Head:
        """The meaning of a line's head; remembered, unless it is the text of a broken line."""
        if text.count('"') % 2:
            head = Head(Kind.QUOTED)
        elif not _NAME.fullmatch(text):
            return _NOTHING
        else:
            head = _head(text)
        self.heads[text] = head
        return head

    def quoted(self, props: Props, line: str, index: int) -> list[Line] | None:
        """A line with a colon inside a quoted parameter (Exchange: `TZID="(UTC+01:00) Berlin"`)."""
        match = _QUOTED_HEAD.fullmatch(line)
        text, value = (match[1], match[2]) if match else line.replace('"', "").partition(":")[::2]
        head = self.heads.get(text) or self.learn(text)
        if head.kind != Kind.WANTED:
            return None
        props.setdefault(head.name, []).append(Line(head, value, index))
        return props[head.name]

    def continued(self, last: list[Line] | None, line: str, index: int) -> None:
        """A line without a name: the exporter broke a text without folding it (section 3.1)."""
        if not last or not line.strip() or _NO_VALUE.match(line):
            return
        head, value, _ = last[-1]
        soft = head.printable and (self.tails[-1].pieces[-1] if self.more(last) else value).endswith("=")
        if not soft and head.name not in ("DESCRIPTION", "SUMMARY", "LOCATION"):
            return
        if not self.more(last):
            self.tails.append(_Tail(last, len(last) - 1, [value]))
            if not soft:
                self.note(index, f"a line that is no property; it was read as more of the {head.name} before it")
        pieces = self.tails[-1].pieces
        if soft:
            pieces[-1] = pieces[-1][:-1]
        pieces.append(line if soft else f"\\n{line}")

    def more(self, lines: list[Line]) -> bool:
        """Whether the last property of these is already being continued."""
        return bool(self.tails) and self.tails[-1].lines is lines and self.tails[-1].at == len(lines) - 1

    def begin(self, name: str, index: int) -> None:
        if name == "VCALENDAR":
            self.calendars += 1
        elif name in _TOP:
            self.components += 1
            self.close_unfinished(index)
        if self.components > self.limits.components:
            raise NotACalendar(f"The file has more than {self.limits.components:,} components: send it in parts.")
        if len(self.open) >= self.limits.depth:
            raise NotACalendar("The file nests components deeper than any calendar does: export it again.")
        fresh = self.parsed.calendar if name == "VCALENDAR" else Component(name, index)
        if self.open and name in ("STANDARD", "DAYLIGHT") and self.open[-1].name == "VTIMEZONE":
            self.open[-1].children.append(fresh)
        self.open.append(fresh)

    def close_unfinished(self, index: int) -> None:
        """A component that begins inside another of its kind: the END before it is missing."""
        if any(one.name in _TOP for one in self.open):
            self.note(index, "a component begins before the one above it has ended; that one was read up to here")
            while self.open and self.open[-1].name != "VCALENDAR":
                self.keep(self.open.pop(), index - 1)

    def end(self, name: str, index: int) -> None:
        if all(one.name != name for one in self.open):
            self.note(index, f"END:{name[:40]} ends nothing that was begun; it was passed over")
            return
        while self.open[-1].name != name:
            self.note(index, f"{self.open[-1].name[:40]} has no END; it was read up to here")
            self.keep(self.open.pop(), index - 1)
        self.keep(self.open.pop(), index)

    def keep(self, one: Component, end: int) -> None:
        one.end = end
        if one.name == "VEVENT":
            self.parsed.events.append(one)
        elif one.name == "VTIMEZONE":
            self.parsed.zones.append(one)
        elif one.name in _TOP:
            self.parsed.ignored[one.name] += 1

    def note(self, index: int, text: str) -> None:
        self.parsed.problems.append(Problem(self.parsed.source.number(index), text))

    def finish(self) -> Parsed:
        for lines, at, pieces in self.tails:
            lines[at] = lines[at]._replace(value="".join(pieces))
        if any(one.name == "VCALENDAR" or one.name in _TOP for one in self.open):
            missing = self.open[0].name
            raise NotACalendar(f"The file is cut short (END:{missing} is missing): load it again, or export it again.")
        if not self.calendars:
            if not self.parsed.events:
                raise NotACalendar("The file has no BEGIN:VCALENDAR: it is not an iCalendar (.ics) file.")
            self.note(0, "the events stand without a VCALENDAR around them; they were read all the same")
        return self.parsed


def _head(text: str) -> Head:
    pieces = _PARAMS.findall(text) if '"' in text else text.split(";")
    name = pieces[0].strip().upper()
    if name in ("BEGIN", "END"):
        return Head(Kind[name])
    if name not in _WANTED:
        return Head(Kind.UNUSED)
    params: dict[str, str] = {}
    for piece in pieces[1:]:
        key, equals, value = piece.partition("=")
        params.setdefault(key.strip().upper() if equals else "ENCODING", value.strip().strip('"') if equals else key)
    printable = params.get("ENCODING", "").upper() == "QUOTED-PRINTABLE"
    day = params.get("VALUE", "").upper() == "DATE"
    return Head(Kind.WANTED, name, params, params.get("TZID"), day, printable)
