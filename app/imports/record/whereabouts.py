"""Where in a file each event stands, by UID: looked up afterwards, for what there is something to say about."""

from __future__ import annotations

import re
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from app.imports.body import Data, pieces

_MARK = re.compile(
    rb"^(?:(BEGIN:VEVENT)|UID(?:;[^:\r\n]*)?:([^\r\n]*(?:\r?\n[ \t][^\r\n]*)*))", re.IGNORECASE | re.MULTILINE
)
_FOLD = re.compile(rb"\r?\n[ \t]")
_BEGIN = b"\nBEGIN:VEVENT"
MANY = 1_000
"""So many UIDs are kept by their hashes."""


class Lines(Mapping[str, int]):
    """Lines by UID, 16 bytes each: the UIDs themselves are not kept, and cannot be told."""

    def __init__(self) -> None:
        self._names, self._lines = array("q"), array("L")

    def add(self, found: Mapping[str, int]) -> None:
        """More, of a later part of the file."""
        self._names.extend(map(hash, found))
        self._lines.extend(found.values())

    def sort(self) -> None:
        """Once, after all were added; of those of one name the first stays the first."""
        order = sorted(range(len(self._names)), key=self._names.__getitem__)
        self._names = array("q", map(self._names.__getitem__, order))
        self._lines = array("L", map(self._lines.__getitem__, order))

    def __getitem__(self, uid: str) -> int:
        place = bisect_left(self._names, hash(uid))
        if place == len(self._names) or self._names[place] != hash(uid):
            raise KeyError(uid)
        return self._lines[place]

    def __len__(self) -> int:
        return len(self._names)

    def __iter__(self) -> Iterator[str]:
        raise TypeError("UIDs that were hashed cannot be told")


@dataclass(frozen=True, slots=True)
class Moved(Mapping[str, int]):
    """Lines of a file that is a part of another one, as lines of that."""

    lines: Mapping[str, int]
    line: Callable[[int], int]

    def __getitem__(self, uid: str) -> int:
        return self.line(self.lines[uid])

    def __len__(self) -> int:
        return len(self.lines)

    def __iter__(self) -> Iterator[str]:
        return iter(self.lines)


def lines_of(data: Data) -> Mapping[str, int]:
    """The raw line, from 1, on which the first event of each UID begins. UIDs as they are written, unfolded."""
    lines: dict[str, int] = {}
    many: Lines | None = None
    for _ in _parts(data, lines):
        if len(lines) > MANY:
            many = many or Lines()
            many.add(lines)
            lines.clear()
    if many is None:
        return lines
    many.add(lines)
    many.sort()
    return many


def _parts(data: Data, lines: dict[str, int]) -> Iterator[None]:
    """Adds to `lines` part by part."""
    line, rest = 1, b""
    for piece in pieces(data):
        rest += piece
        cut = rest.rfind(_BEGIN) + 1
        if cut:
            line = _read(rest[:cut], line, lines)
            rest = rest[cut:]
            yield
    _read(rest, line, lines)
    yield


def _read(data: bytes, line: int, lines: dict[str, int]) -> int:
    """The line on which what follows begins."""
    seen, event = 0, 0
    for mark in _MARK.finditer(data):
        line += data.count(b"\n", seen, mark.start())
        seen = mark.start()
        if mark[1]:
            event = line
        elif event:
            lines.setdefault(_FOLD.sub(b"", mark[2]).strip().decode("utf-8", "replace"), event)
            event = 0
    return line + data.count(b"\n", seen)
