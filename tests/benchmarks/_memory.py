"""`python -m tests.benchmarks._memory read|plan FILE`: occurrences, and the peak memory over the idle process in kB."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from app.ics import read_occurrences
from tests.benchmarks._null import bring, imports
from tests.benchmarks.import_ import WIDE, WINDOW, opened

EMPTY = b"BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n"
PEAK = re.compile(r"VmHWM:\s*(\d+)")


def peak() -> int:
    """ru_maxrss would begin with that of the process before."""
    found = PEAK.search(Path("/proc/self/status").read_text(encoding="ascii"))
    return int(found[1]) if found else 0


def read(path: Path) -> tuple[int, int]:
    """In portions, from the disk."""
    read_occurrences(EMPTY)
    idle = peak()
    with path.open("rb") as file:
        return sum(map(len, opened(file).portions())), peak() - idle


def plan(path: Path) -> tuple[int, int]:
    """The whole plan of a first import."""
    into = imports(path.parent, WIDE)
    bring(into, EMPTY, WINDOW)
    idle = peak()
    return len(bring(into, path.read_bytes(), WINDOW).plan.changes), peak() - idle


if __name__ == "__main__":
    print(*{"read": read, "plan": plan}[sys.argv[1]](Path(sys.argv[2])))
