"""A file cut into its events byte by byte, so that those which are as they were last time need not be read again.

What an event comes to depends on its own lines, on those of other events with its UID, and on what stands outside of
all events. That holds where each piece is one event by itself; whether it is, the parser says, and nobody else: a
piece that is not, or a file that cannot be cut, is nothing for us, and the file is read whole.
"""

from __future__ import annotations

import re
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import pairwise
from typing import BinaryIO, NamedTuple

from app.ics.events import name_of
from app.ics.lines import Source
from app.ics.parse import Cutter, Line, Properties
from app.ics.problems import Limits, Log, NotACalendar

DIGEST = 16
"""Bytes of a piece's hash."""
_STAMP = re.compile(rb"\nDTSTAMP:(\d{8}T\d{6})Z\r?\n(?![ \t])")
_END = re.compile(rb"\nEND:VEVENT\r*+(?:\Z|\n(?![ \t]))")
_BREAK = re.compile(rb"\r*+\n|\r++")
_BETWEEN = (b"BEGIN:", b"END:VCALENDAR")
_BLOCK = 1 << 18
_TIMES = ("DTSTART", "DTEND", "RECURRENCE-ID", "RDATE", "EXDATE")

Span = tuple[int, int]
"""Bytes of a file, the last one not included."""


class Said(NamedTuple):
    """One event by itself: its UID, the TZIDs of its times ("" for times without one), whether it tells when it was
    changed (LAST-MODIFIED: its DTSTAMP means nothing then)."""

    uid: str
    zones: frozenset[str]
    dated: bool


@dataclass(slots=True, eq=False)
class Pieces:
    """The events of a file in their order. `stamps` are their DTSTAMPs as numbers (0: none, or in another form); all
    else of them is in `digests`. `outside` is where everything else stands."""

    source: Source
    limits: Limits
    digests: bytearray = field(default_factory=bytearray)
    stamps: array[int] = field(default_factory=lambda: array("Q"))
    bounds: array[int] = field(default_factory=lambda: array("Q"))
    outside: list[Span] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.stamps)

    def digest(self, number: int) -> bytes:
        return bytes(self.digests[number * DIGEST : (number + 1) * DIGEST])

    def span(self, number: int) -> Span:
        return self.bounds[2 * number], self.bounds[2 * number + 1]

    def around(self) -> str:
        """The hash of all that stands outside of the events."""
        digest = sha256()
        for begin, end in self.outside:
            raw = self.source.raw(begin, end).rstrip(b"\r\n")
            digest.update(b"%d\n" % len(raw) + raw)
        return digest.hexdigest()

    def components(self) -> int | None:
        """How many components stand outside of the events; None where those cannot be told from the events, so that
        the file has to be read whole."""
        cutter = Cutter(self.source, self.limits, Log(0))
        *before, (begin, end) = self.outside
        try:
            for span in before:
                if cutter.cut(self.source.text(*span)) or not cutter.level:
                    return None
            if cutter.cut(self.source.text(begin, end)):
                return None
            cutter.finish()
        except NotACalendar:
            return None
        return None if cutter.log.more else cutter.components

    def said(self, numbers: Iterable[int]) -> Iterator[Said | None]:
        """What these pieces are; None for one that is no event by itself, without anything to tell of it."""
        cutter = Cutter(self.source, Limits(components=len(self) + 1, depth=self.limits.depth), Log(0))
        for number in numbers:
            cutter.open = [cutter.calendar]
            found = cutter.cut(self.source.text(*self.span(number)))
            whole = len(found) == 1 and cutter.level and not cutter.log.more
            yield _said(found[0]) if whole else None

    def only(self, wanted: Sequence[int]) -> list[Span]:
        """Where the wanted pieces stand (1 for each that is), and all that is outside of the events: together they are
        a file again."""
        spans = [self.span(number) for number, one in enumerate(wanted) if one]
        return list(_joined(sorted((*spans, *self.outside))))

    def raw(self, spans: Iterable[Span]) -> Iterator[bytes]:
        """The bytes of these, so much at a time."""
        for begin, end in spans:
            for at in range(begin, end, _BLOCK):
                yield self.source.raw(at, min(at + _BLOCK, end))

    def lines(self, spans: Sequence[Span]) -> Callable[[int], int]:
        """Tells of a line of the file which these spans make, from 1, the line of this file that it is."""
        firsts, passed = [0], [0]
        held, gone, last = 0, 0, 0
        for begin, end in spans:
            gone += self._lines(last, begin)
            firsts.append(held)
            passed.append(gone)
            held += self._lines(begin, end)
            last = end
        return lambda line: line + passed[bisect_left(firsts, line) - 1]

    def _lines(self, begin: int, end: int) -> int:
        """How many lines end between these bytes."""
        count, rest = 0, b""
        for raw in self.raw([(begin, end)]):
            whole = (rest + raw).rstrip(b"\r")
            rest = (rest + raw)[len(whole) :]
            even = whole.count(b"\r") == whole.count(b"\r\n")
            count += whole.count(b"\n") if even else len(_BREAK.findall(whole))
        return count + bool(rest)


def cut_up(data: bytes | BinaryIO, limits: Limits) -> Pieces | None:
    """The file in pieces; None where it can only be read whole. NotACalendar as of Source."""
    source = Source(data, limits.bytes)
    if source.whole:
        return None
    found = Pieces(source, limits)
    digests, stamps, bounds, outside = found.digests, found.stamps, found.bounds, found.outside
    known: dict[bytes, int] = {}
    for raw, cuts in source.pieces():
        for begin, end in pairwise(cuts):
            chunk = raw[begin - cuts[0] : end - cuts[0]]
            if not outside:
                outside.append((begin, end))
                continue
            piece = chunk.rstrip(b"\r\n")
            if not piece.endswith(b"\nEND:VEVENT"):
                event, rest = _parted(chunk)
                if event is None:
                    return None
                outside.append((begin + len(chunk) - len(rest), end))
                piece, end = event.rstrip(b"\r\n"), begin + len(event)
            stamp = _STAMP.search(piece)
            if stamp is not None:
                text = stamp[1]
                if text not in known:
                    known = {text: int(text.replace(b"T", b""))}
                stamps.append(known[text])
                first, last = stamp.span(1)
                piece = piece[:first] + piece[last:]
            else:
                stamps.append(0)
            digests += sha256(piece).digest()[:DIGEST]
            bounds.append(begin)
            bounds.append(end)
    return found if len(found) and len(outside) > 1 else None


def _parted(chunk: bytes) -> tuple[bytes | None, bytes]:
    """An event, and what stands behind it outside of all events; None where they cannot be told apart."""
    close = _END.search(chunk)
    rest = chunk[close.end() :].lstrip(b"\r\n") if close else b""
    return (chunk[: close.end()], rest) if close and rest.startswith(_BETWEEN) else (None, rest)


def _said(event: Properties) -> Said:
    zones = {zone for name in _TIMES for line in event.all(name) for zone in _zones(line)}
    return Said(name_of(event), frozenset(zones), bool(event.value("LAST-MODIFIED").strip()))


def _zones(line: Line) -> Iterator[str]:
    """The TZID of its times, as far as they are in need of one."""
    if not line.head.day and any(map(_needs_zone, line.value.replace(";", ",").replace("/", ",").split(","))):
        yield line.head.tzid if line.head.tzid and line.head.tzid.strip() else ""


def _needs_zone(time: str) -> bool:
    """Whether it is neither a day, nor in UTC, nor a duration."""
    time = time.strip().upper()
    return len(time) > 8 and not time.endswith("Z") and time[0] not in "+-P"


def _joined(spans: list[Span]) -> Iterator[Span]:
    """Those that follow each other as one."""
    begin, end = spans[0]
    for following in spans[1:]:
        if following[0] != end:
            yield begin, end
            begin = following[0]
        end = following[1]
    yield begin, end
