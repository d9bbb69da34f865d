"""`python -m tests.benchmarks._memory read|plan|write|again FILE`: occurrences, peak memory over idle in kB."""

from __future__ import annotations

import re
import sys
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from app.ics import read_occurrences
from app.imports.body import Body
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
    """The whole plan of a first import, which lies on the disk."""
    return _imported(path, dry=True)


def write(path: Path) -> tuple[int, int]:
    """The first import; into an LMS that is nowhere, and takes many in one call."""
    return _imported(path, dry=False)


def again(path: Path) -> tuple[int, int]:
    """The same once more, in a window that is a day longer, so that each event is looked at."""
    return _imported(path, dry=False, later=timedelta(days=1))


def _imported(path: Path, *, dry: bool, later: timedelta = timedelta()) -> tuple[int, int]:
    with TemporaryDirectory() as folder:
        bring(imports(Path(folder), WIDE), EMPTY, WINDOW)
    into = imports(path.parent, WIDE, batch=200)
    idle = peak()
    with path.open("rb") as file:
        plan = bring(into, Body(file), (WINDOW[0], WINDOW[1] + later), dry=dry).plan
    return len(plan.changes) + plan.unchanged, peak() - idle


if __name__ == "__main__":
    print(*{"read": read, "plan": plan, "write": write, "again": again}[sys.argv[1]](Path(sys.argv[2])))
