"""A file held against the imprint of the one before: what differs has to be read, with all that shares its UID. Pure.

Of the rest it is known what it comes to. A DTSTAMP that alone is new (many servers write the time of the export) makes
no difference, unless it decides which of two events with one UID is the newer one.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import islice
from operator import lt

from app.ics.pieces import DIGEST, Pieces, Said
from app.ics.read import Spent
from app.imports.deciding.imprint import EQUAL, Imprint, name_in

_MOST_KINDS = 255
_STRETCH = 32
_AT_ONCE = 10_000
_MOST = 0.5
"""Of more than this share of a file nothing is gained by reading it in parts."""


@dataclass(slots=True)
class Counts:
    """How many events of an LMS each UID of a file is wanted as; 12 bytes each. Asked for once all are added."""

    _names: array[int] = field(default_factory=lambda: array("Q"))
    _counts: array[int] = field(default_factory=lambda: array("I"))
    _sorted: bool = True

    def add(self, uids: Iterable[str], wanted: Iterable[str]) -> None:
        """UIDs that are new, and of each occurrence that is wanted its UID."""
        counts = Counter(wanted)
        for uid in uids:
            self._names.append(name_in(uid))
            self._counts.append(counts[uid])
        self._sorted = False

    def __getitem__(self, name: int) -> int:
        """By what the UID is called in an imprint; 0 for one that is nowhere."""
        place = self._place(name)
        return self._counts[place] if place is not None else 0

    def __contains__(self, name: object) -> bool:
        return isinstance(name, int) and self._place(name) is not None

    def _place(self, name: int) -> int | None:
        if not self._sorted:
            order = sorted(range(len(self._names)), key=self._names.__getitem__)
            self._names = array("Q", map(self._names.__getitem__, order))
            self._counts = array("I", map(self._counts.__getitem__, order))
            self._sorted = True
        place = bisect_left(self._names, name)
        return place if place < len(self._names) and self._names[place] == name else None


@dataclass(slots=True)
class Roll:
    """Which event each piece of a file is of, and what else was seen of it, in the order of the file. `wanted` says how
    many occurrences of its UID are, -1 where that was read now."""

    names: array[int] = field(default_factory=lambda: array("Q"))
    dated: bytearray = field(default_factory=bytearray)
    zones: bytearray = field(default_factory=bytearray)
    wanted: array[int] = field(default_factory=lambda: array("l"))
    kinds: list[frozenset[str]] = field(default_factory=list)

    def add(self, said: Said) -> bool:
        """False where it holds too many kinds of zones to be kept."""
        if said.zones not in self.kinds:
            self.kinds.append(said.zones)
        if len(self.kinds) > _MOST_KINDS:
            return False
        self.names.append(name_in(said.uid))
        self.dated.append(said.dated)
        self.zones.append(self.kinds.index(said.zones))
        self.wanted.append(-1)
        return True

    def add_known(self, old: Imprint, piece: int, *, changed: bool) -> None:
        """A piece of an imprint whose kinds these are."""
        group = old.groups[piece]
        self.names.append(old.names[group])
        self.dated.append(old.dated[piece])
        self.zones.append(old.zones[piece])
        self.wanted.append(-1 if changed else old.wanted[group])


@dataclass(frozen=True, eq=False)
class Difference:
    """A file held against an imprint: the pieces to `read` (1), and the names to `look` up in the ledger.

    All else is kept: so many `events`, of which so many occurrences stand `unchanged`, in these `zones`. `known` says
    which piece of the imprint each one is, -1 for none: then `said` has it.
    """

    old: Imprint
    known: array[int]
    said: Mapping[int, Said]
    changed: bytearray
    read: bytearray
    look: frozenset[int]

    @property
    def events(self) -> int:
        return sum(self.old.sizes) - sum(self.old.sizes[group] for group in self._changed)

    @property
    def unchanged(self) -> int:
        return sum(self.old.wanted) - sum(self.old.wanted[group] for group in self._changed)

    @property
    def zones(self) -> list[str]:
        """The TZIDs of what is kept, in any order; "" for times without one."""
        old, changed = self.old, self.changed
        kinds = set(zip(old.zones, map(changed.__getitem__, old.groups), strict=True))
        return sorted({zone for kind, differs in kinds if not differs for zone in old.kinds[kind]})

    @property
    def _changed(self) -> Iterator[int]:
        return (group for group, differs in enumerate(self.changed) if differs)

    def roll(self) -> Roll | None:
        """Every piece of the file; None where there is no room for all."""
        roll = Roll(kinds=list(self.old.kinds))
        for number, piece in enumerate(self.known):
            if piece >= 0:
                roll.add_known(self.old, piece, changed=bool(self.changed[self.old.groups[piece]]))
            elif not roll.add(self.said[number]):
                return None
        return roll


def difference(old: Imprint, pieces: Pieces) -> Difference | None:
    """None where most of the file differs, or something in it is no event by itself: it is to be read whole."""
    known = _recognized(old, pieces)
    fresh = [number for number, piece in enumerate(known) if piece < 0]
    if len(fresh) > _MOST * len(pieces):
        return None
    said = {number: one for number, one in zip(fresh, pieces.said(fresh), strict=True) if one is not None}
    if len(said) < len(fresh):
        return None
    names = {name_in(one.uid) for one in said.values()}
    changed = _changed(old, pieces, known, names)
    read = bytearray(piece < 0 or changed[old.groups[piece]] for piece in known)
    if sum(read) > _MOST * len(pieces):
        return None
    gone = (name for name, differs in zip(old.names, changed, strict=True) if differs)
    return Difference(old, known, said, changed, read, frozenset((*names, *gone, *old.restless)))


def roll_of(pieces: Pieces) -> Roll | None:
    """Of a file that nothing is known of; None where something in it is no event by itself."""
    roll = Roll()
    for said in pieces.said(range(len(pieces))):
        if said is None or not roll.add(said):
            return None
    return roll


def imprint_of(
    pieces: Pieces, roll: Roll, counts: Counts, restless: Set[int], components: int, spent: Spent
) -> Imprint:
    """What is to be known of a file the next time. `restless` are names of which something was left to say or to do:
    their pieces will be strange again."""
    settled = array("I", (number for number, name in enumerate(roll.names) if name not in restless))
    groups, first = _grouped(roll.names, settled)
    sizes = array("I", bytes(4 * len(first)))
    for group in groups:
        sizes[group] += 1
    return Imprint(
        _digests(pieces, settled),
        groups,
        bytes(roll.dated[number] for number in settled),
        bytes(roll.zones[number] for number in settled),
        tuple(roll.kinds),
        array("Q", (roll.names[number] for number in first)),
        sizes,
        array("I", (_wanted(roll, counts, number) for number in first)),
        _stamps(pieces, roll, settled, groups, sizes),
        array("Q", sorted(restless)),
        components,
        spent,
    )


def _digests(pieces: Pieces, settled: Sequence[int]) -> bytes:
    digests = bytearray()
    for number in settled:
        digests += pieces.digest(number)
    return bytes(digests)


def _grouped(names: Sequence[int], settled: Sequence[int]) -> tuple[array[int], array[int]]:
    """Of each settled piece its group, and of each group its first piece, in the order of the file."""
    leaders = array("I", bytes(4 * len(settled)))
    parts = min(len(settled) // _AT_ONCE + 1, 16)
    for part in range(parts):  # one after the other, or all would be in memory as numbers of Python's
        leads: dict[int, int] = {}
        for place, number in enumerate(settled):
            if names[number] % parts == part:
                leaders[place] = leads.setdefault(names[number], place)
    groups, first = array("I"), array("I")
    for place, leader in enumerate(leaders):
        if leader == place:
            first.append(settled[place])
            groups.append(len(first) - 1)
        else:
            groups.append(groups[leader])
    return groups, first


def _wanted(roll: Roll, counts: Counts, number: int) -> int:
    return roll.wanted[number] if roll.wanted[number] >= 0 else counts[roll.names[number]]


def _stamps(
    pieces: Pieces, roll: Roll, settled: Sequence[int], groups: Sequence[int], sizes: Sequence[int]
) -> array[int]:
    """What the DTSTAMPs of each group come to: nothing for an event alone, or where all say when they were changed."""
    stamps = array("Q", bytes(8 * len(sizes)))
    several: dict[int, list[int]] = {}
    for number, group in zip(settled, groups, strict=True):
        if sizes[group] > 1:
            several.setdefault(group, []).append(number)
            if len(several[group]) == sizes[group]:
                stamps[group] = _stamp(pieces, roll, several.pop(group))
    return stamps


def _stamp(pieces: Pieces, roll: Roll, numbers: Sequence[int]) -> int:
    dated = [roll.dated[number] for number in numbers]
    if all(dated):
        return 0
    stamps = array("Q", (pieces.stamps[number] for number in numbers))
    return EQUAL if not any(dated) and len(set(stamps)) == 1 else _hashed(stamps)


def _hashed(stamps: array[int]) -> int:
    return int.from_bytes(blake2b(stamps.tobytes(), digest_size=8).digest(), "little") | 2


def _recognized(old: Imprint, pieces: Pieces) -> array[int]:
    """Which piece of the imprint each one is, -1 for none; mostly it is the next, and so is a whole stretch."""
    theirs, mine = old.digests, pieces.digests
    known = array("l")
    expected = 0
    while len(known) < len(pieces):
        here, there = len(known) * DIGEST, expected * DIGEST
        if mine[here : here + _STRETCH * DIGEST] == theirs[there : there + _STRETCH * DIGEST]:
            more = min(_STRETCH, len(pieces) - len(known))
        elif mine[here : here + DIGEST] == theirs[there : there + DIGEST]:
            more = 1
        elif (found := old.find(pieces.digest(len(known)))) >= 0:
            expected, more = found, 1
        else:
            known.append(-1)
            continue
        known.extend(range(expected, expected + more))
        expected += more
    return known


def _changed(old: Imprint, pieces: Pieces, known: array[int], fresh: Container[int]) -> bytearray:
    """Which groups have not all their pieces, in their order and none other, or other DTSTAMPs where these matter."""
    if _is_plain(old, pieces, known):
        present = bytearray(len(old.groups) + 1)  # with room for those that are none
        for piece in known:
            present[piece] = 1
        changed = bytearray(name in fresh for name in old.names) if fresh else bytearray(len(old.names))
        for piece, group in enumerate(old.groups):
            if not present[piece]:
                changed[group] = 1
        return changed
    seen = _Seen(old)
    for number, piece in enumerate(known):
        if piece >= 0:
            seen.add(piece, pieces.stamps[number])
    return seen.changed(fresh)


def _is_plain(old: Imprint, pieces: Pieces, known: Sequence[int]) -> bool:
    """Whether all pieces are in the order that they had, and all DTSTAMPs where these matter the same."""
    rising = [piece for piece in known if piece >= 0]
    ordered = all(map(lt, rising, islice(rising, 1, None)))
    return ordered and (not any(old.stamps) or (set(old.stamps) <= {0, EQUAL} and len(set(pieces.stamps)) == 1))


class _Seen:
    """What was seen of the groups of an imprint in another file."""

    def __init__(self, old: Imprint) -> None:
        count = len(old.names)
        self._old = old
        self._changed = bytearray(count)
        self._pieces = array("I", bytes(4 * count))
        self._last = array("l", [-1]) * count
        self._stamp = array("Q", bytes(8 * count))
        self._stamps: dict[int, array[int]] = {}

    def add(self, piece: int, stamp: int) -> None:
        group = self._old.groups[piece]
        kind = self._old.stamps[group]
        if piece <= self._last[group]:
            self._changed[group] = 1
        if kind == EQUAL:
            if self._pieces[group] and stamp != self._stamp[group]:
                self._changed[group] = 1
            self._stamp[group] = stamp
        elif kind:
            self._stamps.setdefault(group, array("Q")).append(stamp)
        self._last[group] = piece
        self._pieces[group] += 1

    def changed(self, fresh: Container[int]) -> bytearray:
        """Told once all were added; `fresh` are the names of pieces that the imprint does not have."""
        old, changed = self._old, self._changed
        for group, stamps in self._stamps.items():
            if _hashed(stamps) != old.stamps[group]:
                changed[group] = 1
        for group, name in enumerate(old.names):
            if self._pieces[group] != old.sizes[group] or name in fresh:
                changed[group] = 1
        return changed
