"""More values than belong into memory: kept in a temporary file, in order, and read back one at a time.

What is small stays a tuple. What is large costs 9 bytes of memory a value, and its file is gone with the last sequence
that reads from it, or with the process. Only what this process has written is ever unpickled.
"""

from __future__ import annotations

import os
import pickle
from array import array
from bisect import bisect_left
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from copyreg import dispatch_table
from datetime import tzinfo
from heapq import merge
from io import BytesIO
from itertools import islice
from operator import itemgetter
from struct import Struct
from tempfile import TemporaryFile
from typing import Any, Generic, TypeVar, overload
from weakref import finalize

from bridges.model import Event, OccurrenceId, Timed, known_timed

HELD = 1_000
"""Values that are kept in memory, and answered inline."""
RUN = 4_000
"""Values that are sorted at a time."""
_BLOCK = 64
_LENGTH = Struct("<I")
_AHEAD = 2_048

T = TypeVar("T")


_SHORT: Mapping[type, Callable[[Any], tuple[Any, ...]]] = {
    Timed: lambda one: (known_timed, (one.start, one.end)),
    Event: lambda one: (Event, (one.title, one.when, one.text, one.place, one.categories, one.url, one.status)),
    OccurrenceId: lambda one: (OccurrenceId, (one.uid, one.slot)),
}
"""How our values are written."""


def _zone(number: int) -> tzinfo:
    """What stands for a zone: the reader has the zones."""
    raise TypeError(f"zone {number} is known to its spool alone")


class _Unpickler(pickle.Unpickler):
    def __init__(self, data: bytes, zones: dict[int, tzinfo]) -> None:
        super().__init__(BytesIO(data))
        self._zones = zones

    def find_class(self, module: str, name: str) -> Any:
        return (
            self._zones.__getitem__
            if (module, name) == (__name__, _zone.__name__)
            else super().find_class(module, name)
        )


def _kinds(kind: type[tzinfo] = tzinfo) -> Iterator[type[tzinfo]]:
    """All classes of zones that there are by now."""
    for each in kind.__subclasses__():
        yield each
        yield from _kinds(each)


class Spool:
    """A temporary file that values are put into, and taken out of by their places. Reading is safe between threads."""

    def __init__(self) -> None:
        self._file = TemporaryFile(buffering=1 << 16)  # noqa: SIM115
        finalize(self, self._file.close)  # with the last that reads from it
        self._end = 0
        self._zones: dict[int, tzinfo] = {}
        self._table = {**dispatch_table, **_SHORT, **dict.fromkeys(_kinds(), self._named)}

    def _named(self, zone: tzinfo) -> tuple[Any, ...]:
        """Zones are passed by reference, whatever they are made of."""
        self._zones[id(zone)] = zone
        return _zone, (id(zone),)

    def put(self, value: object) -> int:
        """The place of the value."""
        buffer = BytesIO()
        pickler = pickle.Pickler(buffer, pickle.HIGHEST_PROTOCOL)
        pickler.dispatch_table = self._table
        pickler.dump(value)
        data = buffer.getvalue()
        place = self._end
        self._file.write(_LENGTH.pack(len(data)))
        self._file.write(data)
        self._end += _LENGTH.size + len(data)
        return place

    def flush(self) -> None:
        """What was put can be taken from now on."""
        self._file.flush()

    def take(self, place: int) -> Any:
        """The value at that place."""
        head = os.pread(self._file.fileno(), _AHEAD, place)
        (length,) = _LENGTH.unpack_from(head)
        end = _LENGTH.size + length
        data = head[_LENGTH.size : end]
        if len(data) < length:
            data += os.pread(self._file.fileno(), length - len(data), place + len(head))
        return _Unpickler(data, self._zones).load()


class Spooled(Sequence[T]):
    """Values of a spool in an order of their own. A slice is a tuple."""

    def __init__(self, spool: Spool, places: array[int], kinds: bytearray, types: Sequence[type]) -> None:
        self._spool = spool
        self._places = places
        self._kinds = kinds
        self._types = types

    def __len__(self) -> int:
        return len(self._places)

    def __iter__(self) -> Iterator[T]:
        return map(self._spool.take, self._places)

    @overload
    def __getitem__(self, place: int) -> T: ...
    @overload
    def __getitem__(self, place: slice) -> tuple[T, ...]: ...
    def __getitem__(self, place: int | slice) -> T | tuple[T, ...]:
        if isinstance(place, slice):
            return tuple(map(self._spool.take, self._places[place]))
        value: T = self._spool.take(self._places[place])
        return value

    def kind(self, place: int) -> type:
        """The type of one of them, which is not read for it."""
        return self._types[self._kinds[place]]

    def places(self, kinds: tuple[type, ...]) -> Iterator[int]:
        """Where values of these types stand in it."""
        wanted = {number for number, kind in enumerate(self._types) if issubclass(kind, kinds)}
        return (place for place, kind in enumerate(self._kinds) if kind in wanted)

    def of(self, *kinds: type) -> Sequence[Any]:
        """Those of these types; nothing is read for it."""
        found = array("L", self.places(kinds))
        places = array("Q", (self._places[place] for place in found))
        return Spooled(self._spool, places, bytearray(self._kinds[place] for place in found), self._types)


class Pile(Generic[T]):
    """Values that come in any order and are wanted in that of `key`; equals in the order in which they came."""

    def __init__(self, key: Callable[[T], Any], held: int = HELD, run: int = RUN) -> None:
        self._key = key
        self._held = held
        self._run = max(run, 1)
        self._fresh: list[tuple[Any, T]] = []
        self._runs: list[list[int]] = []
        self._values: Spool | None = None
        self._keys: Spool | None = None
        self._types: list[type] = []

    def add(self, values: Iterable[T]) -> None:
        for value in values:
            self._fresh.append((self._key(value), value))
            if len(self._fresh) >= self._run:
                self._put_down()

    def sequence(self) -> Sequence[T]:
        """All of them, in order: a tuple where they are few."""
        if self._values is None and len(self._fresh) <= self._held:
            return tuple(value for _, value in sorted(self._fresh, key=itemgetter(0)))
        spool = self._put_down()
        places, kinds = array("Q"), bytearray()
        for _, place, kind in merge(*map(self._sorted, self._runs), key=itemgetter(0)):
            places.append(place)
            kinds.append(kind)
        return Spooled(spool, places, kinds, self._types)

    def _put_down(self) -> Spool:
        spool = self._values = self._values or Spool()
        keys = self._keys = self._keys or Spool()
        self._fresh.sort(key=itemgetter(0))
        rows = [(key, spool.put(value), self._kind(value)) for key, value in self._fresh]
        self._runs.append([keys.put(block) for block in in_blocks(rows, _BLOCK)])
        self._fresh = []
        spool.flush()
        keys.flush()
        return spool

    def _kind(self, value: object) -> int:
        if type(value) not in self._types:
            self._types.append(type(value))
        return self._types.index(type(value))

    def _sorted(self, run: list[int]) -> Iterator[tuple[Any, int, int]]:
        if self._keys is not None:
            for place in run:
                yield from self._keys.take(place)


class Hashed:
    """Names, to be recognized again: 8 bytes each. Another name passes for one of them once in 2^64 / their number."""

    def __init__(self, names: Iterable[Hashable] = ()) -> None:
        self._sorted = array("q")
        self._fresh = array("q", map(hash, names))

    def update(self, names: Iterable[Hashable]) -> None:
        """Names that are new."""
        self._fresh.extend(map(hash, names))

    def also(self, names: Iterable[Hashable]) -> Hashed:
        """These and those."""
        both = Hashed(names)
        both._fresh.extend(self._sorted + self._fresh)
        return both

    def __len__(self) -> int:
        return len(self._sorted) + len(self._fresh)

    def __contains__(self, name: object) -> bool:
        if self._fresh:
            self._sorted = array("q", sorted(self._sorted + self._fresh))
            self._fresh = array("q")
        wanted = hash(name)
        place = bisect_left(self._sorted, wanted)
        return place < len(self._sorted) and self._sorted[place] == wanted


def in_blocks(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """The items in their order, `size` at a time."""
    rest = iter(items)
    while block := list(islice(rest, size)):
        yield block
