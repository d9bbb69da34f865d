"""Where in a file each event stands, by UID: looked up afterwards, for what there is something to say about."""

from __future__ import annotations

import re
from collections.abc import Mapping

_MARK = re.compile(
    rb"^(?:(BEGIN:VEVENT)|UID(?:;[^:\r\n]*)?:([^\r\n]*(?:\r?\n[ \t][^\r\n]*)*))", re.IGNORECASE | re.MULTILINE
)
_FOLD = re.compile(rb"\r?\n[ \t]")


def lines_of(data: bytes) -> Mapping[str, int]:
    """The raw line, from 1, on which the first event of each UID begins. UIDs as they are written, unfolded."""
    lines: dict[str, int] = {}
    line, seen, event = 1, 0, 0
    for mark in _MARK.finditer(data):
        line += data.count(b"\n", seen, mark.start())
        seen = mark.start()
        if mark[1]:
            event = line
        elif event:
            lines.setdefault(_FOLD.sub(b"", mark[2]).strip().decode("utf-8", "replace"), event)
            event = 0
    return lines
