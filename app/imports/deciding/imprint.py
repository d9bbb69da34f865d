"""What a file held and what each of its events came to, in hashes: a value that the store keeps. Pure.

An imprint speaks of events of which nothing was left to say or to do after a run, so that they stand in the LMS as the
file wants them while the terms, the ledger and all that stands outside of the file's events are the same.
"""

from __future__ import annotations

import json
import sys
import zlib
from array import array
from bisect import bisect_left
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b

from app.ics.pieces import DIGEST
from app.ics.read import Spent

_MAGIC = b"calbridge imprint 1\n"
EQUAL = 1
"""The DTSTAMPs of a group are all the same."""


def name_in(uid: str) -> int:
    """What a UID is called in an imprint: 8 bytes."""
    return int.from_bytes(blake2b(uid.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")


@dataclass(frozen=True, eq=False)
class Imprint:
    """Of each piece its hash, the group that it belongs to, whether it says when it was changed, and the kind of its
    zones; of each group, the pieces of one UID, its name, its size, how many occurrences are wanted of it, and what its
    DTSTAMPs come to (0: nothing, EQUAL: they are all the same). `restless` are names of which something was left to say
    or to do: they are always looked at. `components` stand outside of the events."""

    digests: bytes
    groups: array[int]
    dated: bytes
    zones: bytes
    kinds: tuple[frozenset[str], ...]
    names: array[int]
    sizes: array[int]
    wanted: array[int]
    stamps: array[int]
    restless: array[int]
    components: int
    spent: Spent

    def to_bytes(self) -> bytes:
        columns = [self.digests, self.names.tobytes(), self.restless.tobytes()]
        small = [each.tobytes() for each in (self.groups, self.sizes, self.wanted, self.stamps)]
        columns += [zlib.compress(each, 1) for each in (*small, self.dated, self.zones)]
        head = {
            "order": sys.byteorder,
            "kinds": [sorted(each) for each in self.kinds],
            "components": self.components,
            "spent": [self.spent.occurrences, self.spent.work, self.spent.costs],
            "columns": [len(each) for each in columns],
            "sum": zlib.crc32(b"".join(columns)),
        }
        return b"".join((_MAGIC, json.dumps(head).encode(), b"\n", *columns))

    @cached_property
    def _index(self) -> tuple[array[int], array[int]]:
        """The beginnings of the hashes in order, and whose they are."""
        firsts = array("Q", self.digests)[::2]
        order = sorted(range(len(firsts)), key=firsts.__getitem__)
        return array("Q", map(firsts.__getitem__, order)), array("I", order)

    def find(self, digest: bytes) -> int:
        """The first piece with that hash, -1 for none."""
        firsts, order = self._index
        first = int.from_bytes(digest[:8], sys.byteorder)
        place = bisect_left(firsts, first)
        while place < len(firsts) and firsts[place] == first:
            number = order[place]
            if self.digests[number * DIGEST : (number + 1) * DIGEST] == digest:
                return number
            place += 1
        return -1


def imprint_from_bytes(data: bytes) -> Imprint | None:
    """The inverse of Imprint.to_bytes; None for what is none, or one of another calbridge or machine."""
    try:
        return _read(data)
    except (ValueError, KeyError, TypeError, zlib.error):
        return None


def _read(data: bytes) -> Imprint | None:
    line, _, rest = data.removeprefix(_MAGIC).partition(b"\n")
    head = json.loads(line) if data.startswith(_MAGIC) else {}
    if head.get("order") != sys.byteorder or head["sum"] != zlib.crc32(rest) or sum(head["columns"]) != len(rest):
        return None
    columns: list[bytes] = []
    for length in head["columns"]:
        columns.append(rest[:length])
        rest = rest[length:]
    digests, names, restless, *packed = columns
    groups, sizes, wanted, stamps, dated, zones = map(zlib.decompress, packed)
    return Imprint(
        digests,
        array("I", groups),
        dated,
        zones,
        tuple(map(frozenset, head["kinds"])),
        array("Q", names),
        array("I", sizes),
        array("I", wanted),
        array("Q", stamps),
        array("Q", restless),
        head["components"],
        Spent(*head["spent"]),
    )
