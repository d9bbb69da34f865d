"""Twice as much of anything takes at most about twice the time."""

from __future__ import annotations

import gc
from collections.abc import Callable
from contextlib import suppress
from datetime import date
from time import process_time

import pytest

from app.ics import Limits, NotACalendar, read_occurrences
from tests.ics.making import calendar, event

WIDE = Limits(bytes=1 << 28, components=1 << 20, occurrences=1 << 20, dates=1 << 20, problems=100)
TIMES = 3
"""2.3 on a machine of one's own, where this one is shared."""

MASTER_AND_OVERRIDE = (("RRULE:FREQ=DAILY;COUNT=3",), ("RECURRENCE-ID;TZID=Europe/Berlin:20250311T090000",))

GROWING: dict[str, tuple[int, Callable[[int], bytes]]] = {
    "events": (2_000, lambda n: calendar(*[event("SUMMARY:s", uid=str(k)) for k in range(n)])),
    "events with alarms": (
        800, lambda n: calendar(*[event("BEGIN:VALARM", "END:VALARM", uid=str(k)) for k in range(n)])
    ),
    "events of one UID": (1_000, lambda n: calendar(event(), *[event(f"RECURRENCE-ID:{k + 1:08}") for k in range(n)])),
    "events without a UID": (1_500, lambda n: calendar(*[event(f"SUMMARY:{k}", uid=None) for k in range(n)])),
    "overrides far behind their masters": (
        600, lambda n: calendar(*[event(*more, uid=str(k)) for more in MASTER_AND_OVERRIDE for k in range(n)])
    ),
    "a line": (8 << 20, lambda n: calendar(event("DESCRIPTION:" + "x" * n))),
    "folds": (400_000, lambda n: calendar(event("DESCRIPTION:" + "x\n " * n))),
    "backslashes": (4 << 20, lambda n: calendar(event("DESCRIPTION:" + "\\" * n))),
    "escapes": (200_000, lambda n: calendar(event("DESCRIPTION:" + "\\n\v" * n))),
    "parameters": (100_000, lambda n: calendar(event("SUMMARY" + ";X=1" * n + ":s"))),
    "quoted parameters": (50_000, lambda n: calendar(event("SUMMARY" + ';X="a:b"' * n + ":s"))),
    "a name": (8 << 20, lambda n: calendar(event("X" * n + ":s"))),
    "exceptions": (20_000, lambda n: calendar(event("RRULE:FREQ=DAILY", "EXDATE:" + "20250310T080000Z," * n))),
    "further dates": (5_000, lambda n: calendar(event("RDATE:" + ",".join(f"2025{m:04}T{m:06}" for m in range(n))))),
    "broken lines": (20_000, lambda n: calendar(event("DESCRIPTION:a", *["more of it"] * n))),
    "categories": (100_000, lambda n: calendar(event("CATEGORIES:" + "a\\,b," * n))),
    "problems": (2_000, lambda n: calendar(*[event("DTSTART:never", uid=str(k)) for k in range(n)])),
    "bytes that are no UTF-8": (20_000, lambda n: calendar(event(*["COMMENT:x"] * n)).replace(b"x", b"\xe9")),
    "ends that end nothing": (20_000, lambda n: calendar(event(), "END:VALARM\n" * n)),
    "zones": (400, lambda n: calendar(*["BEGIN:VTIMEZONE\nTZID:Z\nEND:VTIMEZONE\n"] * 20 * n, event())),
}  # fmt: skip


def spent(data: bytes) -> float:
    gc.collect()
    begun = process_time()
    with suppress(NotACalendar):
        read_occurrences(data, date(2025, 1, 1), date(2026, 1, 1), limits=WIDE)
    return process_time() - begun


@pytest.mark.parametrize("name", GROWING)
def test_the_time_grows_no_faster_than_the_file(name: str) -> None:
    count, made = GROWING[name]
    small, large = made(count), made(2 * count)
    for tries in (1, 3, 5):
        if min(spent(large) for _ in range(tries)) <= TIMES * min(spent(small) for _ in range(tries)) + 0.005:
            return
    pytest.fail("the time grows faster than the file")
