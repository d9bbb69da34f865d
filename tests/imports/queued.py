"""A worker to kill: it takes up what is queued in the demo campus whose store is in the folder given."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from threading import Event

from app.config import parse
from app.parts import Parts, open_parts
from bridges.model import CalendarRef
from tests import stores
from tests.imports.attended import attended


def campus(folder: Path) -> tuple[Parts, CalendarRef]:
    """The demo campus by the real clock, so that processes agree on the time; and one of its courses."""
    config = parse(stores.setting(folder / "campus.sqlite3"), {})
    return open_parts(config, now=lambda: datetime.now(UTC)), CalendarRef.parse("demo/course/statistics")


if __name__ == "__main__":
    with attended(campus(Path(sys.argv[1]))[0].imports, Event(), pause=0.05):
        Event().wait()
