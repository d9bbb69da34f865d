"""What more processes bring, and what many feeds cost: `scale [--seconds 3] [--events 200] [--latency 0.05]`.

Requests a second with 1 and 2 web processes; queued imports with 1, 2 and 3 workers against an LMS of fixed latency;
the cost of one feed among 100, 1,000 and 10,000. Side by side in one run.
"""

from __future__ import annotations

import argparse
import http.client
import multiprocessing
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import requests

from app.config import load
from app.feeds.feed import Form
from app.imports.record.runs import Ending
from app.imports.run import Run
from app.imports.subscription import Import
from app.parts import Parts, open_parts
from bridges.model import CalendarRef, Window
from tests.campus import calendar
from tests.feeds.many import crowd
from tests.feeds.world import new_world
from tests.servers import calbridge, free_port, until

FLAT = 1.3
"""How much more a feed may cost among a hundred times as many."""


IMPORTS = 6


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks scale", description=__doc__)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--most", type=int, default=10_000, help="feeds")
    parser.add_argument("--only", choices=["web", "workers", "feeds"])
    parser.add_argument("--events", type=int, default=60, help="of each of the six imports")
    parser.add_argument("--latency", type=float, default=0.25, help="seconds of each answer of the LMS")
    given = parser.parse_args(arguments)
    parts: dict[str, Callable[[], None]] = {
        "feeds": lambda: feeds(given.most),
        "web": lambda: web(given.seconds),
        "workers": lambda: crew(given.events, given.latency),
    }
    for name, measure in parts.items():
        if given.only in (None, name):
            measure()


def said(what: str, figures: Sequence[tuple[object, float]], unit: str) -> None:
    """A line for each, with its ratio to the first."""
    first = figures[0][1]
    for label, figure in figures:
        print(f"{what}, {label}: {figure:,.3g} {unit} ({figure / first:.2f})", flush=True)


# One feed among many


def feeds(most: int) -> None:
    """The least of several rounds for each size, with the processor's time: what lies between is no cost of ours."""
    figures = []
    with tempfile.TemporaryDirectory() as folder:
        many = crowd(new_world(Path(folder)), 200, 20)
        for count in (most // 100, most // 10, most):
            many.join(count - many.people, looked=False)
            for number in range(20):
                many.look(number)
            figures.append((f"among {count:,}", 1e6 * min(_a_feed(many.feeds, count) for _ in range(7))))
    said("an answer of one feed", figures, "µs")
    assert figures[-1][1] <= FLAT * figures[0][1], "a feed costs more where there are more"


def _a_feed(feeds: object, count: int, times: int = 200) -> float:
    at_hand = feeds.at_hand  # type: ignore[attr-defined]
    for number in range(20):
        assert at_hand(None, f"p{number}", Form.ICS)
    begun = time.process_time()
    for number in range(times):
        assert at_hand(None, f"p{number % 20}", Form.ICS)
    return (time.process_time() - begun) / times


# Requests


def web(seconds: float) -> None:
    figures = [(f"{count} web processes", _requests(count, seconds)) for count in (1, 2)]
    said("304s of a feed", figures, "requests/s")


def _requests(processes: int, seconds: float) -> float:
    with tempfile.TemporaryDirectory() as name:
        config, port = Path(name) / "config.toml", free_port()
        config.write_text(f'store.url = "sqlite:///{name}/store.sqlite3"\n')
        words = ("serve", "--no-worker", "--workers", str(processes), "--port", str(port))
        server = calbridge(config, "web", *words).start()
        try:
            until(lambda: _status(port) == 200, 60, "the start of the server")
            with multiprocessing.Pool(4) as pool:
                counts = pool.starmap(_hammer, [(port, seconds)] * 4)
            return sum(counts) / seconds
        finally:
            server.kill(signal.SIGTERM)


def _status(port: int) -> int:
    line = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        line.request("GET", PATH)
        return line.getresponse().status
    except OSError:
        return 0
    finally:
        line.close()


PATH = "/public/anatomy-i.ics"


def _hammer(port: int, seconds: float) -> int:
    """One client on one kept connection."""
    line = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    line.request("GET", PATH)
    answer = line.getresponse()
    answer.read()
    tag, count, end = answer.headers["ETag"], 0, time.monotonic() + seconds
    while time.monotonic() < end:
        line.request("GET", PATH, headers={"If-None-Match": tag})
        answer = line.getresponse()
        answer.read()
        assert answer.status == 304
        count += 1
    return count


# Imports


def crew(events: int, latency: float) -> None:
    figures = [(f"{count} workers", _imported(count, events, latency)) for count in (1, 2, 3)]
    said(f"six imports of {events} events, an LMS that answers in {latency * 1000:g} ms", figures, "events/s")


def _imported(workers: int, events: int, latency: float) -> float:
    """Six imports, into LMSs of their own, are queued; the clock runs from the first write to the last."""
    with tempfile.TemporaryDirectory() as name, _learns(Path(name), latency) as connections:
        config = Path(name) / "config.toml"
        lines = [f'[store]\nurl = "sqlite:///{name}/store.sqlite3"\n[jobs]\nthreads = 2', *connections]
        config.write_text("\n".join(lines))
        parts = open_parts(load(config, {}))
        runs = [parts.told_a_worker(parts.imports.queue(_job(events, number))) for number in range(IMPORTS)]
        crowd = [calbridge(config, f"worker-{number}", "work").start() for number in range(workers)]
        try:
            until(lambda: _written(parts, runs) > 0, 120, "the first write")
            begun, before = time.monotonic(), _written(parts, runs)
            until(lambda: all(parts.imports.standing(run.id)[0] is Ending.DONE for run in runs), 600, "the end")
            return (IMPORTS * events - before) / (time.monotonic() - begun)
        finally:
            for process in crowd:
                process.kill()
            parts.close()


def _written(parts: Parts, runs: Sequence[Run]) -> int:
    return sum((parts.imports.standing(run.id)[1] or {}).get("done", 0) for run in runs)


def _job(events: int, number: int) -> Import:
    zone = ZoneInfo("Europe/Oslo")
    first = datetime.now(zone).replace(hour=8, minute=0, second=0, microsecond=0) + timedelta(days=7)
    starts = [(first + timedelta(hours=hour)).astimezone(UTC) for hour in range(events)]
    data = calendar(
        *(
            f"UID:{number}-{each}\nSUMMARY:Lesson {each}\nDTSTART:{start:%Y%m%dT%H%M%SZ}\nDURATION:PT45M"
            for each, start in enumerate(starts)
        )
    )
    window = Window(first - timedelta(days=1), first + timedelta(days=90))
    return Import(data, CalendarRef.parse(f"learn{number}/course/_{number + 1}_1"), window)


@contextmanager
def _learns(folder: Path, latency: float) -> Iterator[list[str]]:
    """A fake Blackboard that takes its time, under six names, each with a course and a quota of its own."""
    command = [sys.executable, "-m", "tests.fakes", "blackboard", "--journal", str(folder / "journal")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = process.stdout.readline().removeprefix("# ").strip()
        process.stdout.readline()
        table = "".join(process.stdout.readline() for _ in range(6))
        try:
            _tell(url, "settings", {"limit": 10**9})
            for number in range(IMPORTS):
                _tell(url, "courses", {"id": f"_{number + 1}_1", "course_id": f"C{number}", "name": f"{number}"})
            _tell(url, "faults", {"kind": "slow", "seconds": latency, "times": -1})
            yield [table.replace("[lms.learn]", f"[lms.learn{number}]") for number in range(IMPORTS)]
        finally:
            process.kill()


def _tell(url: str, what: str, body: dict[str, object]) -> None:
    requests.post(f"{url}/_fake/{what}", json=body, timeout=60).raise_for_status()
