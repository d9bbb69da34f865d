"""Content lines to components (RFC 5545 sections 3.1, 3.4, 3.6): one pass, and only the properties that are used."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import NamedTuple, Protocol

from app.ics import repair
from app.ics.lines import Source
from app.ics.problems import Limits, Log, NotACalendar, Problem

_NAME = re.compile(r"[A-Za-z0-9_.-]{1,100}+\s*+(?:;.*)?+", re.DOTALL)
_QUOTED_HEAD = re.compile(r'((?:[^":]++|"[^"]*+")*+):(.*)', re.DOTALL)
_PARAMS = re.compile(r'(?:[^;"]|"[^"]*+")++')

_NO_VALUE = re.compile(r"X-[A-Z0-9-]{1,60}|[A-Z-]{1,60};[A-Z-]{1,60}=")

_TOP = frozenset({"VEVENT", "VTODO", "VJOURNAL", "VFREEBUSY", "VTIMEZONE", "VAVAILABILITY", "VPOLL"})
_EVENT = ("UID", "SUMMARY", "DESCRIPTION", "LOCATION", "CATEGORIES", "URL", "STATUS", "SEQUENCE", "DTSTAMP")
_SERIAL = frozenset({"RECURRENCE-ID", "RRULE", "EXRULE", "RDATE", "EXDATE"})
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


@dataclass(frozen=True, slots=True, eq=False)
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
_HEADS, _SHAPES = 10_000, 1_000
"""How many are remembered; an exporter has some twenty heads and ten shapes."""

Props = dict[str, list[Line]]


class Properties(Protocol):
    """A component by its properties; `index` is its first content line."""

    @property
    def index(self) -> int: ...

    @property
    def single(self) -> bool:
        """Whether no property speaks of other times than its own: it is no series, and no member of one."""

    def first(self, name: str) -> Line | None:
        """The first property of that name."""

    def value(self, name: str) -> str:
        """The raw value of the first property of that name, or ""."""

    def printable(self, name: str) -> bool:
        """Whether the first property of that name is written in quoted-printable (vCalendar 1.0)."""

    def all(self, name: str) -> Sequence[Line]:
        """The properties of that name, as they follow."""


@dataclass(slots=True, eq=False)
class Component:
    """A component of any kind, with the properties that we use."""

    name: str
    index: int
    props: Props = field(default_factory=dict)
    children: list[Component] = field(default_factory=list)

    @property
    def single(self) -> bool:
        return _SERIAL.isdisjoint(self.props)

    def first(self, name: str) -> Line | None:
        lines = self.props.get(name)
        return lines[0] if lines else None

    def value(self, name: str) -> str:
        lines = self.props.get(name)
        return lines[0].value if lines else ""

    def printable(self, name: str) -> bool:
        line = self.first(name)
        return line is not None and line.head.printable

    def all(self, name: str) -> Sequence[Line]:
        return self.props.get(name, ())


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """The heads of a VEVENT's lines, and at which of them each property stands: an exporter has few shapes."""

    heads: tuple[Head, ...]
    at: Mapping[str, tuple[int, ...]]
    single: bool


class Plain:
    """A VEVENT of properties alone: a shape and its values."""

    __slots__ = ("index", "shape", "values")

    def __init__(self, index: int, shape: Shape, values: list[str]) -> None:
        self.index = index
        self.shape = shape
        self.values = values

    @property
    def single(self) -> bool:
        return self.shape.single

    def first(self, name: str) -> Line | None:
        at = self.shape.at.get(name)
        return self._line(at[0]) if at else None

    def value(self, name: str) -> str:
        at = self.shape.at.get(name)
        return self.values[at[0]] if at else ""

    def printable(self, name: str) -> bool:
        at = self.shape.at.get(name)
        return at is not None and self.shape.heads[at[0]].printable

    def all(self, name: str) -> Sequence[Line]:
        at = self.shape.at.get(name)
        return [self._line(each) for each in at] if at else ()

    def _line(self, at: int) -> Line:
        return Line(self.shape.heads[at], self.values[at], self.index + at + 1)


class _Tail(NamedTuple):
    """A property that goes on over lines without a name; joined at the end, or time would grow with its square."""

    lines: list[Line]
    at: int
    pieces: list[str]


class Place(NamedTuple):
    """Bytes of a file that hold one event and are read by themselves, and the content line that they begin with."""

    begin: int
    end: int
    line: int


class Cutter:
    """Cuts a file into components, in one pass; NotACalendar for what is none, is cut short, or exceeds the limits.

    `events` yields the VEVENTs one at a time and keeps none; `place` is where the last one stands, if it can be read
    `again` from there. What was read of all else stands in `calendar`, `zones` and `ignored` (how many of each other
    kind were passed over). Without `lanes` each line is looked at by itself, which gives the same components.
    """

    def __init__(self, source: Source, limits: Limits, log: Log, *, lanes: bool = True) -> None:
        self.source = source
        self.calendar = Component("VCALENDAR", 0)
        self.zones: list[Component] = []
        self.ignored: Counter[str] = Counter()
        self.limits = limits
        self.log = log
        self.lanes = lanes
        self.open: list[Component] = []
        self.heads: dict[str, Head] = {}
        self.shapes: dict[tuple[str, ...], Shape | None] = {}
        self.tails: list[_Tail] = []
        self.found: list[Properties] = []
        self.last: list[Line] | None = None
        self.here: tuple[int, int, int] | None = None
        self.calendars = self.components = self.index = 0

    def events(self) -> Iterator[Properties]:
        for text, begin, end in self.source.texts():
            here = (begin, end, self.index) if self.level else None
            found = self.cut(text)
            self.here = here if len(found) == 1 and self.level else None
            yield from found
        self.finish()

    @property
    def level(self) -> bool:
        """Whether nothing is open but the calendar."""
        return len(self.open) == 1 and self.open[0] is self.calendar

    @property
    def place(self) -> Place | None:
        """Where the event stands that was yielded last, if it can be read again from there."""
        return Place(*self.here) if self.here else None

    def again(self, place: Place) -> Properties:
        """The one event of a place."""
        self.open, self.index = [self.calendar], place.line
        (event,) = self.cut(self.source.text(place.begin, place.end))
        return event

    def even(self) -> bool:
        """Whether an event may begin here."""
        around = self.open
        if len(around) == 1 and around[0].name == "VCALENDAR":
            return self.lanes
        return self.lanes and len(around) < self.limits.depth and all(one.name not in _TOP for one in around)

    def plain(self, body: str) -> Plain | None:
        """The event of these lines, if all are properties."""
        parts = [line.partition(":") for line in body.split("\n")]
        values = [part[2] for part in parts]
        if "" in values and not all(part[1] for part in parts):
            return None
        texts = tuple([part[0] for part in parts])
        try:
            shape = self.shapes[texts]
        except KeyError:
            shape = self.shape(texts)
        if shape is None:
            return None
        self.count()
        self.last = None
        begun = self.index
        self.index += len(values) + 2
        return Plain(begun, shape, values)

    def shape(self, texts: tuple[str, ...]) -> Shape | None:
        """What lines with these heads are, None where some are no plain properties; the first shapes are remembered."""
        heads = tuple(self.heads.get(text) or self.learn(text) for text in texts)
        shape = None
        if all(head.kind in (Kind.UNUSED, Kind.WANTED) for head in heads):
            at: dict[str, tuple[int, ...]] = {}
            for number, head in enumerate(heads):
                if head.kind is Kind.WANTED:
                    at[head.name] = (*at.get(head.name, ()), number)
            shape = Shape(heads, at, _SERIAL.isdisjoint(at))
        if len(self.shapes) < _SHAPES and len(texts) < _SHAPES:
            self.shapes[texts] = shape
        return shape

    def cut(self, text: str) -> list[Properties]:
        """The events that end in these lines."""
        body, end, rest = text.partition("\nEND:VEVENT")
        if end and rest[:1] in ("", "\n") and body.startswith("BEGIN:VEVENT\n") and self.even():
            plain = self.plain(body[13:])
            if plain is not None:
                return [plain, *self.cut_lines(rest[1:])] if rest else [plain]
        return self.cut_lines(text)

    def cut_lines(self, text: str) -> list[Properties]:
        """As `cut`, line by line."""
        self.lines(text.split("\n"))
        found, self.found = self.found, []
        return found

    def lines(self, lines: list[str]) -> None:
        heads, unused, wanted = self.heads, Kind.UNUSED, Kind.WANTED
        props: Props = self.open[-1].props if self.open else {}
        last = self.last
        for index, line in enumerate(lines, self.index):
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
        self.last = last
        self.index += len(lines)

    def learn(self, text: str) -> Head:
        """The meaning of a line's head; remembered, unless it is the text of a broken line."""
        if text.count('"') % 2:
            head = Head(Kind.QUOTED)
        elif not _NAME.fullmatch(text):
            return _NOTHING
        else:
            head = _head(text)
        if len(self.heads) < _HEADS:
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

    def count(self) -> None:
        """One more component."""
        self.components += 1
        if self.components > self.limits.components:
            raise NotACalendar(f"The file has more than {self.limits.components:,} components: send it in parts.")

    def begin(self, name: str, index: int) -> None:
        if name == "VCALENDAR":
            self.calendars += 1
        elif name in _TOP:
            self.count()
            self.close_unfinished(index)
        if len(self.open) >= self.limits.depth:
            raise NotACalendar("The file nests components deeper than any calendar does: export it again.")
        fresh = self.calendar if name == "VCALENDAR" else Component(name, index)
        if self.open and name in ("STANDARD", "DAYLIGHT") and self.open[-1].name == "VTIMEZONE":
            self.open[-1].children.append(fresh)
        self.open.append(fresh)

    def close_unfinished(self, index: int) -> None:
        """A component that begins inside another of its kind: the END before it is missing."""
        if any(one.name in _TOP for one in self.open):
            self.note(index, "a component begins before the one above it has ended; that one was read up to here")
            while self.open and self.open[-1].name != "VCALENDAR":
                self.keep(self.open.pop())

    def end(self, name: str, index: int) -> None:
        if all(one.name != name for one in self.open):
            self.note(index, f"END:{name[:40]} ends nothing that was begun; it was passed over")
            return
        while self.open[-1].name != name:
            self.note(index, f"{self.open[-1].name[:40]} has no END; it was read up to here")
            self.keep(self.open.pop())
        self.keep(self.open.pop())

    def keep(self, one: Component) -> None:
        self.join()
        if one.name == "VEVENT":
            self.found.append(one)
        elif one.name == "VTIMEZONE":
            self.zones.append(one)
        elif one.name in _TOP:
            self.ignored[one.name] += 1

    def join(self) -> None:
        """The properties that went on over lines without a name."""
        for lines, at, pieces in self.tails:
            lines[at] = lines[at]._replace(value="".join(pieces))
        self.tails.clear()

    def note(self, index: int, text: str) -> None:
        self.log.add(Problem(self.source.number(index), text))

    def finish(self) -> None:
        self.join()
        if any(one.name == "VCALENDAR" or one.name in _TOP for one in self.open):
            missing = self.open[0].name
            raise NotACalendar(f"The file is cut short (END:{missing} is missing): load it again, or export it again.")
        if not self.calendars:
            if not self.components - self.ignored.total() - len(self.zones):
                raise NotACalendar("The file has no BEGIN:VCALENDAR: it is not an iCalendar (.ics) file.")
            self.note(0, "the events stand without a VCALENDAR around them; they were read all the same")


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
