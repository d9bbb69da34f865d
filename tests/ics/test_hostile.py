"""Calendars that are made to cost much, each read in a process of its own whose time and memory are bounded."""

from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import Callable

import pytest

from tests.ics.making import calendar, event

SECONDS = 2
"""Of processor time, for the reading alone."""
MEGABYTES = 160
"""Over the idle process; the file itself is in it."""

READ = """
import re, sys, time
from datetime import date
from pathlib import Path
from app.ics import Limits, NotACalendar, read_occurrences

def peak():  # ru_maxrss would begin with that of the process before
    return int(re.search(r"VmHWM:\\s*(\\d+)", Path("/proc/self/status").read_text())[1])

read_occurrences(b"BEGIN:VCALENDAR\\r\\nEND:VCALENDAR\\r\\n")
idle = peak()
data, begun = sys.stdin.buffer.read(), time.process_time()
try:
    reading = read_occurrences(data, date(2025, 1, 1), date(2026, 1, 1), limits=Limits(bytes=32 << 20))
    assert len(reading.problems) <= 1001
except NotACalendar:
    pass
print(time.process_time() - begun, (peak() - idle) / 1024)
"""


def zone(*lines: str, tzid: str = "Z", start: str = "19700101T000000") -> str:
    body = "\n".join(["BEGIN:STANDARD", f"DTSTART:{start}", "TZOFFSETFROM:+0100", "TZOFFSETTO:+0200", *lines])
    return f"BEGIN:VTIMEZONE\nTZID:{tzid}\n{body}\nEND:STANDARD\nEND:VTIMEZONE\n"


def zoned(*lines: str, start: str = "19700101T000000") -> bytes:
    """A zone that an event asks for."""
    return calendar(zone(*lines, start=start), event("DTSTART;TZID=Z:20250310T090000", "RRULE:FREQ=DAILY"))


def numbers(count: int) -> str:
    return ",".join(map(str, range(1, count + 1)))


ALL_DAY_LONG = f"BYHOUR=0,{numbers(23)};BYMINUTE=0,{numbers(59)};BYSECOND=0,{numbers(59)}"
HOSTILE: dict[str, Callable[[], bytes]] = {
    "a zone that turns each second": lambda: zoned("RRULE:FREQ=SECONDLY"),
    "a zone that turns each minute": lambda: zoned("RRULE:FREQ=MINUTELY;INTERVAL=7"),
    "a zone that turns each day": lambda: zoned("RRULE:FREQ=DAILY"),
    "a zone of a product of lists": lambda: zoned(f"RRULE:FREQ=YEARLY;BYYEARDAY={numbers(366)};{ALL_DAY_LONG}"),
    "a zone of all days of the year": lambda: zoned(f"RRULE:FREQ=YEARLY;BYYEARDAY={numbers(366)}"),
    "a zone with 24 rules": lambda: zoned(*[f"RRULE:FREQ=MONTHLY;BYMONTHDAY={numbers(31)}"] * 24),
    "a zone of 100,000 dates": lambda: zoned("RDATE:" + ",".join(["20250101T000000"] * 100_000)),
    "a zone since 1601": lambda: zoned("RRULE:FREQ=YEARLY;BYMONTH=3;BYDAY=-1SU", start="16010101T000000"),
    "a zone since the year 1": lambda: zoned("RRULE:FREQ=YEARLY", start="00010101T000000"),
    "5,000 zones, each asked for": lambda: calendar(
        *[zone("RRULE:FREQ=YEARLY;BYMONTH=3;BYDAY=-1SU", tzid=f"Z{n}", start="16010101T000000") for n in range(5000)],
        *[event(f"DTSTART;TZID=Z{n}:20250310T090000", uid=str(n)) for n in range(5000)],
    ),
    "a chain of 2,000 moves of all that follows": lambda: calendar(
        event("DTSTART:20250101T080000Z", "RRULE:FREQ=HOURLY"),
        *[
            event(
                f"RECURRENCE-ID;RANGE=THISANDFUTURE:2025{1 + n // 672:02}{1 + n % 672 // 24:02}T{n % 24:02}0000Z",
                "DTSTART:20250101T090000Z",
            )
            for n in range(2000)
        ],
    ),
    "19,000 overrides of one series": lambda: calendar(
        event("RRULE:FREQ=MINUTELY"),
        *[event(f"RECURRENCE-ID:20250310T{n // 3600 % 24:02}{n // 60 % 60:02}{n % 60:02}Z") for n in range(19_000)],
    ),
    "50,000 overrides of one series": lambda: calendar(
        event("RRULE:FREQ=MINUTELY"), *[event("RECURRENCE-ID:20250310T080000Z")] * 50_000
    ),
    "19,990 series of huge steps": lambda: calendar(
        *[event(f"RRULE:FREQ=DAILY;INTERVAL=999999999{n % 10}", uid=str(n)) for n in range(19_990)]
    ),
    "6,000 series of long lists": lambda: calendar(
        *[event(f"RRULE:FREQ=YEARLY;INTERVAL=99;BYYEARDAY={numbers(300)}", uid=str(n)) for n in range(6_000)]
    ),
    "a zone of the calendar that is nonsense": lambda: calendar(
        event(), head="X-WR-TIMEZONE:" + "(UTC+99:99) /../" * 60_000 + "\n"
    ),
    "a million folds": lambda: calendar(event("DESCRIPTION:" + "\n a" * 1_000_000)),
    "folds in folds": lambda: calendar(event("DESCRIPTION:" + "\n \t" * 1_000_000)),
    "100,000 problems": lambda: calendar(event(), *["END:VEVENT\n"] * 100_000),
    "19,000 events that are none": lambda: calendar(*[event("DTSTART:never", uid=str(n)) for n in range(19_000)]),
    "heads that never repeat": lambda: calendar(*[event(f"SUMMARY;X={n}:s", uid=str(n)) for n in range(19_000)]),
    "100,000 components in one another": lambda: calendar("BEGIN:X\n" * 100_000),
    "a million exceptions": lambda: calendar(event("RRULE:FREQ=DAILY", "EXDATE:" + "20250310T080000Z," * 1_000_000)),
    "each second": lambda: calendar(event("RRULE:FREQ=SECONDLY")),
    "each minute": lambda: calendar(event("RRULE:FREQ=MINUTELY")),
    "a billion seconds since 2000": lambda: calendar(
        event("DTSTART:20000101T000000Z", "RRULE:FREQ=SECONDLY;COUNT=1000000000")
    ),
    "100 rules that never match": lambda: calendar(
        *[event("RRULE:FREQ=SECONDLY;BYMONTH=2;BYMONTHDAY=30", uid=str(n)) for n in range(100)]
    ),
    "seconds whose days are all excepted": lambda: calendar(
        event("DTSTART:20250101T000000Z", "RRULE:FREQ=SECONDLY;UNTIL=20250102T030000Z", "EXDATE;VALUE=DATE:20250101")
    ),
    "19,000 series of all seconds of a day": lambda: calendar(
        *[event(f"RRULE:FREQ=DAILY;{ALL_DAY_LONG}", uid=str(n)) for n in range(19_000)]
    ),
    "a length beyond time": lambda: calendar(event("DURATION:P99999999W"), event(uid="kept")),
    "100,000 plain events": lambda: calendar(*[event(uid=str(n)) for n in range(100_000)]),
    "a line of 20 MB": lambda: calendar(event("DESCRIPTION:" + "x" * (20 << 20))),
    "200,000 folds": lambda: calendar(event("DESCRIPTION:" + "x\n " * 200_000)),
    "100,000 parameters": lambda: calendar(event("SUMMARY" + ";X=1" * 100_000 + ":s")),
    "5 million backslashes": lambda: calendar(event("DESCRIPTION:" + "\\" * 5_000_000)),
    "the name of a property with a million letters": lambda: calendar(event("X" * 1_000_000 + ":s")),
    "100,000 alarms in one another": lambda: calendar("BEGIN:VEVENT\n" + "BEGIN:VALARM\n" * 100_000),
    "200,000 quotes": lambda: calendar(event('SUMMARY;X="' + 'a"b:' * 50_000 + ":s")),
    "a million carriage returns": lambda: calendar(event("SUMMARY:" + "\r" * 1_000_000)),
    "only NULs": lambda: b"\0" * (20 << 20),
    "half a file in UTF-16": lambda: calendar(event("DESCRIPTION:" + "x" * 5_000_000)).decode().encode("utf-16")[:-1],
    "20,000 zones inside one another": lambda: calendar("BEGIN:VTIMEZONE\nTZID:Z\n" * 20_000, event()),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_made_to_cost_much_costs_little(name: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", READ], input=HOSTILE[name](), capture_output=True, preexec_fn=_bounded, check=False
    )
    assert not done.returncode, done.stderr.decode()[-400:]
    seconds, megabytes = map(float, done.stdout.split())
    assert seconds < SECONDS
    assert megabytes < MEGABYTES


def _bounded() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (600 << 20, 600 << 20))
    resource.setrlimit(resource.RLIMIT_CPU, (10, 10))
