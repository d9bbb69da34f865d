"""What readers cost: LMS calls of an hour and bytes in the store, for few and for many. `readers [--people N]`.

People's feeds and enrolments are put into the store at once; everything after that is done as it is in production: the
worker reads what is due, and everybody looks once an hour.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from app.feeds.feed import Form
from tests.feeds.many import Crowd, crowd, queries
from tests.feeds.world import new_world

HOURS = 2


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks readers")
    parser.add_argument("--courses", type=int, default=1000)
    parser.add_argument("--lessons", type=int, default=40)
    parser.add_argument("--people", type=int, default=10_000)
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        many = crowd(new_world(Path(folder)), given.courses, given.lessons)
        for name in many.campus.courses:  # so that all of them are read before anything is counted
            many.feeds.add(name, name, many.course(name), public=True)
        for calendar in many.feeds.due():
            many.feeds.refresh(calendar, unless_fresh=True)
        for count in (given.people // 100, given.people // 10, given.people):
            many.join(count - many.people, looked=False)
            print(measured(many), flush=True)


def measured(many: Crowd) -> str:
    """Lines of figures, for hours in which everybody looks once."""
    told = [f"{many.people:,} people over {len(many.campus.courses):,} courses:"]
    for _ in range(HOURS):
        campus, began = many.campus, time.perf_counter()
        before = campus.reads, campus.called, campus.asked
        many.hour()
        reads, called, asked = (
            now - then for now, then in zip((campus.reads, campus.called, campus.asked), before, strict=True)
        )
        calls = f"{reads:,} readings, {called:,} rosters, {asked:,} questions about people"
        told.append(f"an hour: {calls} ({time.perf_counter() - began:.0f} s)")
    (day,) = many.feeds.forecast()
    stored = many.stored()
    readings = sum(size for name, size in stored.items() if name.startswith(("calendar_", "event_")))
    told.append(f"a day: {day.calls:,} calls by the forecast, {day.calls / 24:,.0f} an hour")
    told.append(f"store {sum(stored.values()) / 1e6:.1f} MB, of which readings {readings / 1e6:.1f} MB")
    return "\n  ".join([*told, _speed(many)])


def _speed(many: Crowd) -> str:
    began = time.perf_counter()
    with queries(many.world.engine) as sent:
        many.feeds.due()
    due, began = time.perf_counter() - began, time.perf_counter()
    for _ in range(200):
        many.feeds.snapshot_for_public("p0", Form.ICS)
    one = (time.perf_counter() - began) / 200
    return f"what is due in {len(sent)} statements and {due * 1000:.1f} ms, one feed in {one * 1000:.2f} ms"
