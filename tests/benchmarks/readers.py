"""What readers cost: LMS calls of an hour and bytes in the store, for few and for many. `readers [--people N]`."""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from app.feeds.feed import Form
from tests.feeds.many import Crowd, crowd, queries
from tests.feeds.world import new_world


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks readers")
    parser.add_argument("--courses", type=int, default=1000)
    parser.add_argument("--lessons", type=int, default=40)
    parser.add_argument("--people", type=int, default=10_000)
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        many = crowd(new_world(Path(folder)), given.courses, given.lessons)
        for count in (given.people // 100, given.people // 10, given.people):
            many.join(count - many.people)
            print(measured(many), flush=True)


def measured(many: Crowd) -> str:
    """A line of figures, for an hour in which everybody looks once."""
    asked = many.campus.asked
    began = time.perf_counter()
    calls = many.hour()
    spent = time.perf_counter() - began
    stored = many.stored()
    with queries(many.world.engine) as sent:
        many.feeds.due()
    began = time.perf_counter()
    for _ in range(200):
        many.feeds.snapshot_for_public("p0", Form.ICS)
    one = (time.perf_counter() - began) / 200
    readings = sum(size for name, size in stored.items() if name.startswith(("calendar_", "event_")))
    return (
        f"{many.people:,} people over {len(many.campus.courses):,} courses: {calls - (many.campus.asked - asked):,} "
        f"readings in an hour ({spent:.0f} s), store {sum(stored.values()) / 1e6:.1f} MB of which readings "
        f"{readings / 1e6:.1f} MB, due() in {len(sent)} statements, one feed in {one * 1000:.2f} ms"
    )
