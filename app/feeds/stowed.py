"""The pieces of a reading as one blob, so that a feed is joined in another process without rendering an event. Pure.

A blob is an index in JSON, a line break, and the pieces one after the other, in the order of the reading's lines.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from hashlib import sha256
from typing import Any

from app.feeds.build import EDITION, Drawer, Piece, Press, drawn
from app.feeds.feed import Form
from app.feeds.policies import USUAL
from app.ics.vtimezone import differs

FORMS = (Form.ICS, Form.JSON)


def shared(press: Press) -> bool:
    """Whether its pieces are worth keeping: those that any feed shows that changes nothing."""
    return press.form in FORMS and press.policies == USUAL and press.longest is None


def basis_of(press: Press, hash: str, lms: str) -> str:
    """Hash of all that the pieces of the reading called `hash` depend on."""
    rules = differs(press.zone, press.first_year, press.last_year)
    years = press.first_year, press.last_year
    return sha256(repr((EDITION, press.form.value, press.zone.key, *years, rules, lms, hash)).encode()).hexdigest()


def stow(drawer: Drawer) -> bytes:
    """The blob of a drawer's pieces."""
    pieces = list(drawer.by_line.values())
    index = json.dumps([_entry(each) for each in pieces], separators=(",", ":")).encode()
    return b"".join([index, b"\n", *(each.body for each in pieces)])


def _entry(piece: Piece) -> list[Any]:
    return [piece.order, piece.first.isoformat(), piece.last.isoformat(), len(piece.body), piece.modified]


def unstow(blob: bytes, hash: str, packed: bytes) -> Drawer:
    """The drawer whose pieces were stowed, for the packed reading of that hash that they were made of."""
    head, _, _ = blob.partition(b"\n")
    index = json.loads(head)
    lines = dict.fromkeys(packed.split(b"\n") if packed else [])
    by_line: Mapping[bytes, Piece] = dict(zip(lines, _pieces(index, blob, len(head) + 1), strict=True))
    return drawn(hash, by_line, len(packed))


def _pieces(index: Iterable[Any], blob: bytes, start: int) -> Iterator[Piece]:
    read = datetime.fromisoformat
    for order, first, last, size, modified in index:
        yield Piece(order, read(first), read(last), blob[start : start + size], modified)
        start += size
