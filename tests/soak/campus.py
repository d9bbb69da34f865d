"""A campus on PostgreSQL and Redis whose workers, Redis and PostgreSQL are killed in turn while it is at work.

Two web and three worker processes; clients that poll feeds; a large import and refreshes of all calendars meanwhile.
The verdict is the journal's of the LMS: each event once, never twice; and the clients': 200 or 304, whatever was down.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import requests
from sqlalchemy import func, select, update
from sqlalchemy.exc import SQLAlchemyError

from app.config import load
from app.imports.record.runs import Ending
from app.parts import Parts, open_parts
from app.store import tables, workers
from app.store.engine import writing
from bridges.model import CalendarRef
from tests.campus import calendar
from tests.servers import Postgres, Process, Redis, calbridge, free_port, postgres, until

INTO = CalendarRef.parse("learn/course/_12594_1")
POLLED, CLIENTS, WORKERS = 20, 3, 3
DOWN = 4.0
"""Seconds that each server stays away."""
LONGEST = 900.0
LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)

Say = Callable[[str], None]


@dataclass(slots=True)
class Readers:
    """Clients that poll; `seen` counts the statuses, `slowest` is in seconds, `wrong` tells what must not be."""

    url: str
    paths: Sequence[str]
    seen: Counter[int] = field(default_factory=Counter)
    slowest: float = 0.0
    wrong: list[str] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)

    def once(self, path: str, tags: dict[str, str]) -> int:
        begun = time.monotonic()
        try:
            answer = requests.get(self.url + path, headers={"If-None-Match": tags.get(path, "")}, timeout=30)
        except requests.RequestException as error:
            self.wrong.append(f"{path}: {type(error).__name__}")
            return 0
        self.slowest = max(self.slowest, time.monotonic() - begun)
        self.seen[answer.status_code] += 1
        if answer.status_code == 200:
            tags[path] = answer.headers["ETag"]
            whole = answer.content.startswith(b"BEGIN:VCALENDAR") and answer.content.endswith(b"END:VCALENDAR\r\n")
            if not whole:
                self.wrong.append(f"{path}: no whole calendar")
        elif answer.status_code != 304:
            self.wrong.append(f"{path}: {answer.status_code} {answer.text[:200]}")
        return answer.status_code

    def poll(self) -> None:
        tags: dict[str, str] = {}
        while not self._stop.is_set():
            for path in self.paths:
                self.once(path, tags)
                time.sleep(0.01)

    @contextmanager
    def at_it(self) -> Iterator[None]:
        threads = [threading.Thread(target=self.poll, daemon=True) for _ in range(CLIENTS)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._stop.set()
            for thread in threads:
                thread.join(40)


def killed_in_turn(*, events: int, calendars: int, say: Say, down: float = DOWN, latency: float = 0.0) -> str:
    """Run it once, with an LMS that takes `latency` seconds for each answer. AssertionError where anything was lost,
    doubled or not answered; else what happened."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as name, postgres() as database:
        folder = Path(name)
        redis = Redis(folder)
        redis.start()
        try:
            with _lms(folder, calendars, latency) as connection:
                config = _config(folder, database, redis, connection)
                told = _told(folder, config, database, redis, events, calendars, say, down)
        finally:
            redis.kill()
    return f"{told} ({time.monotonic() - began:.0f} s)"


def _told(
    folder: Path, config: Path, database: Postgres, redis: Redis, events: int, calendars: int, say: Say, down: float
) -> str:
    parts = open_parts(load(config, {}))
    refs = [CalendarRef.parse(f"learn/course/_{number + 1}_1") for number in range(calendars)]
    for number, ref in enumerate(refs):
        parts.feeds.add(f"c{number}", f"Course {number}", ref, public=True)
    port = free_port()
    web = calbridge(config, "web", "serve", "--no-worker", "--workers", "2", "--port", str(port)).start()
    crew = [calbridge(config, f"worker-{number}", "work").start() for number in range(WORKERS)]
    readers = Readers(
        f"http://127.0.0.1:{port}", [f"/public/c{number}.ics" for number in range(min(POLLED, calendars))]
    )
    try:
        until(lambda: _alive(readers.url), 60, "the start of the web processes")
        _warm(readers)
        run = _sent(readers.url, events)
        with readers.at_it():
            story = _Story(parts, run, events, refs, say)
            story.strike(0.1, "worker", lambda: _kill_the_importer(parts, crew))
            story.strike(0.35, "Redis", lambda: _restarted(redis.kill, redis.start, down))
            story.strike(0.6, "PostgreSQL", lambda: _restarted(database.kill, database.start, down))
            story.ended()
        assert not readers.wrong, f"{len(readers.wrong)} answers were wrong, the first: {readers.wrong[:3]}"
        told = _verdict(folder, parts, run, events, refs)
        polls = f"{readers.seen[200]:,} times 200, {readers.seen[304]:,} times 304, the slowest {readers.slowest:.1f} s"
        return f"{told}; {readers.seen.total():,} polls: {polls}; killed in turn: {', '.join(story.struck)}"
    except BaseException:
        _complain(folder)
        raise
    finally:
        for process in (web, *crew):
            process.kill()
        parts.close()


@dataclass(slots=True)
class _Story:
    """What happens while the import goes on: a refresh of all calendars, and something is killed."""

    parts: Parts
    run: int
    events: int
    refs: Sequence[CalendarRef]
    say: Say
    struck: list[str] = field(default_factory=list)
    marked: datetime = LONG_AGO

    def strike(self, share: float, what: str, kill: Callable[[], object]) -> None:
        """Once so much of the import is done."""
        until(lambda: self.done() >= share * self.events, LONGEST, f"{share:.0%} of the import")
        assert self.standing() in {Ending.RUNNING, Ending.QUEUED}, f"it was over before {what} could be killed"
        self.refresh()
        self.say(f"{self.done():,} of {self.events:,} events are written; {what} is killed")
        at = self.done()
        kill()
        self.struck.append(f"{what} at {at:,}")

    def refresh(self) -> None:
        """All calendars are due."""
        self.marked = datetime.now(UTC)
        with writing(self.parts.engine) as connection:
            connection.execute(update(tables.calendar_reading).values(next_check=LONG_AGO, far_check=LONG_AGO))

    def ended(self) -> None:
        until(lambda: self.standing() not in {Ending.RUNNING, Ending.QUEUED}, LONGEST, "the end of the import")
        self.say("the import is over; the last readings")
        until(lambda: self.unread() == 0, LONGEST, "the reading of all calendars")

    def done(self) -> int:
        """By the journal of our own; it only grows."""
        query = select(func.count()).select_from(tables.import_change).where(tables.import_change.c.run_id == self.run)
        with _patiently(self.parts) as connection:
            return int(connection.execute(query).scalar_one())

    def standing(self) -> Ending:
        with _patiently(self.parts):
            return self.parts.imports.standing(self.run)[0]

    def unread(self) -> int:
        """Calendars that were not read since the last refresh began."""
        reading = tables.calendar_reading.c
        since = (reading.read_at >= self.marked) & (reading.failures == 0)
        with _patiently(self.parts) as connection:
            read = connection.execute(select(func.count()).select_from(tables.calendar_reading).where(since)).scalar()
        return len(self.refs) - int(read or 0)


@contextmanager
def _patiently(parts: Parts) -> Iterator[Any]:
    """A connection, when the store is there again."""
    for _ in range(60):
        try:
            connection = parts.engine.connect()
            break
        except SQLAlchemyError:
            time.sleep(0.5)
    with connection:
        yield connection


def _kill_the_importer(parts: Parts, crew: Sequence[Process]) -> None:
    """The worker that writes, by what the store knows of it; a new one takes its place."""

    def importers() -> set[int]:
        return {seen.pid for seen in workers.known(parts.engine) if any(job.startswith("import") for job in seen.doing)}

    until(importers, 30, "a heartbeat of the worker that imports")
    victim = next(process for process in crew if process.pid in importers())
    victim.kill()
    victim.start()


def _restarted(kill: Callable[[], None], start: Callable[[], None], down: float) -> None:
    kill()
    time.sleep(down)
    start()


def _warm(readers: Readers) -> None:
    """Each web process has answered each feed."""
    tags: dict[str, str] = {}
    until(lambda: all(readers.once(path, tags) in {200, 304} for path in readers.paths), 60, "the first answers")
    for _ in range(12):
        for path in readers.paths:
            readers.once(path, {})
    readers.wrong.clear()
    readers.seen.clear()
    readers.slowest = 0.0


def _sent(url: str, events: int) -> int:
    answer = requests.post(
        f"{url}/api/imports?calendar={INTO}&background=true",
        data=timetable(events),
        headers={"Content-Type": "text/calendar"},
        timeout=120,
    )
    assert answer.status_code == 202, answer.text
    return int(answer.json()["run"])


def timetable(events: int) -> bytes:
    """So many events of one hour within a term that begins in a week, each with a title of its own."""
    first = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) + timedelta(days=7)
    starts = [first + timedelta(hours=number % 2400) for number in range(events)]
    return calendar(
        *(
            f"UID:{number}@campus\nSUMMARY:Lesson {number}\nDTSTART:{start:%Y%m%dT%H%M%SZ}\nDURATION:PT45M"
            for number, start in enumerate(starts)
        )
    )


def _verdict(folder: Path, parts: Parts, run: int, events: int, refs: Sequence[CalendarRef]) -> str:
    assert parts.imports.standing(run)[0] is Ending.DONE, parts.imports.get(run).report
    standing: dict[str, str] = {}
    held = Counter[str]()
    for line in (folder / "journal").read_text("utf-8").splitlines():
        row = json.loads(line)
        if (old := standing.pop(row["id"], None)) is not None:
            held[old] -= 1
        if row["do"] != "delete":
            standing[row["id"]] = row["title"]
            held[row["title"]] += 1
            assert held[row["title"]] == 1, f"{row['title']} stood there twice"
    lost = {f"Lesson {number}" for number in range(events)} - {title for title, count in held.items() if count}
    assert not lost, f"{len(lost)} events were lost"
    assert len(standing) == events
    with parts.engine.connect() as connection:
        states = connection.execute(select(tables.entry.c.state, func.count()).group_by(tables.entry.c.state)).all()
    assert {row[0]: row[1] for row in states} == {"present": events}, states
    return f"{events:,} events stand once each, by the LMS's journal and our ledger; {len(refs)} calendars read"


def _alive(url: str) -> bool:
    try:
        return requests.get(f"{url}/healthz", timeout=2).ok
    except requests.RequestException:
        return False


@contextmanager
def _lms(folder: Path, calendars: int, latency: float) -> Iterator[str]:
    """The fake Blackboard in a process of its own; yields the table that connects to it."""
    journal = folder / "journal"
    command = [sys.executable, "-m", "tests.fakes", "blackboard", "--journal", str(journal)]
    with subprocess.Popen([*command, "--write", f"{journal}.toml"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = process.stdout.readline().removeprefix("# ").strip()
        process.stdout.readline()
        try:
            requests.post(f"{url}/_fake/settings", json={"limit": 10**9}, timeout=60).raise_for_status()
            for number in range(calendars):
                course = {"id": f"_{number + 1}_1", "course_id": f"C{number}", "name": f"Course {number}"}
                requests.post(f"{url}/_fake/courses", json=course, timeout=60).raise_for_status()
                starts = datetime.now(UTC) + timedelta(days=1 + number % 9)
                item = {"calendarId": f"_{number + 1}_1", "title": "Seminar", "start": _iso(starts)}
                item["end"] = _iso(starts + timedelta(hours=1))
                requests.post(f"{url}/_fake/items", json=item, timeout=60).raise_for_status()
            if latency:
                slow = {"kind": "slow", "seconds": latency, "times": -1}
                requests.post(f"{url}/_fake/faults", json=slow, timeout=60).raise_for_status()
            yield Path(f"{journal}.toml").read_text("utf-8")
        finally:
            process.kill()


def _iso(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%S.000Z}"


def _config(folder: Path, database: Postgres, redis: Redis, connection: str) -> Path:
    path = folder / "config.toml"
    lines = [
        'zone = "Europe/Oslo"',
        f'[store]\nurl = "{database.url}"\nkey = "{"k" * 43}="',
        f'[jobs]\nurl = "{redis.url}/0"',
        f'[cache]\nurl = "{redis.url}/1"',
        "[feeds]\nahead_days = 60",
        connection,
        "backoff_seconds = 0.2\npatience_seconds = 2",
    ]
    path.write_text("\n".join(lines), "utf-8")
    return path


def _complain(folder: Path) -> None:
    """What the processes said last."""
    for path in sorted(folder.glob("*.log")):
        print(f"--- {path.name}", *path.read_text("utf-8", "replace").splitlines()[-25:], sep="\n", file=sys.stderr)
