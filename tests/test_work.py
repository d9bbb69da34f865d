"""Workers do what is due, several things at a time; share it; outlive a store that is away; and stop when told to."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Lock, Thread
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from app import jobs
from app.config import parse
from app.imports.record.runs import Ending
from app.imports.subscription import Import
from app.jobs import Job, Queues, queues
from app.parts import Parts, open_parts
from app.refresh import IN_VAIN, Done
from app.store import schedule, workers
from app.work import Worker, may_begin
from bridges.model import CalendarRef
from tests import stores
from tests.campus import NOW, open_campus
from tests.imports.slow import TERM, timetable, until

LMSS = ["learn", "its"]


@pytest.fixture
def campus(tmp_path: Path) -> Iterator[Parts]:
    parts = open_campus(tmp_path)
    yield parts
    parts.close()


@pytest.fixture
def lines(tmp_path: Path) -> Queues:
    return queues(f"sqlite:///{tmp_path}/jobs", "")


class Desk:
    """Work that takes as long as it is told, in place of LMSs; counts what is under way."""

    def __init__(self, *due: Job, seconds: Callable[[Job], float] = lambda _: 0.0) -> None:
        self.left = list(due)
        self.seconds = seconds
        self.begun: list[Job] = []
        self.done: list[Job] = []
        self.back: list[Job] = []
        self.lock = Lock()

    def due(self, now: datetime) -> Sequence[Job]:
        with self.lock:
            return [job for job in self.left if job not in self.begun]

    def queued(self) -> Sequence[Job]:
        return [job for job in self.due(NOW) if job.kind is jobs.Kind.IMPORT]

    def do(self, job: Job, now: datetime, stopping: Callable[[], bool]) -> Done:
        with self.lock:
            if job in self.begun:
                return IN_VAIN
            self.begun.append(job)
        end = time.monotonic() + self.seconds(job)
        while time.monotonic() < end and not (job.kind is jobs.Kind.IMPORT and stopping()):
            time.sleep(0.005)
        with self.lock:
            self.done.append(job)
        return Done("done")

    def put_back(self, job: Job) -> None:
        self.back.append(job)


def readings(lms: str, count: int) -> list[Job]:
    return [jobs.reading(CalendarRef.parse(f"{lms}/course/{number}")) for number in range(count)]


@contextmanager
def at_work(parts: Parts, lines: Queues, desk: Desk | None = None, stop: float = 5) -> Iterator[Worker]:
    """A worker while the block runs, for the desk in place of the campus's own work."""
    names = jobs.strands([*parts.config.connections, *LMSS])
    refreshes: Any = desk or parts.refreshes
    worker = Worker(parts.engine, refreshes, lines, names, parts.now, stop_seconds=stop)
    thread = Thread(target=worker.run)
    thread.start()
    try:
        yield worker
    finally:
        worker.stop.set()
        thread.join(20)
        assert not thread.is_alive()


# Whose turn it is


def test_one_slow_lms_leaves_a_hand_to_others() -> None:
    under_way: dict[str, int] = {}
    for _ in range(100):
        for strand in ("slow", "slower"):
            if may_begin(strand, under_way, 8):
                under_way[strand] = under_way.get(strand, 0) + 1
    assert (under_way["slow"], under_way["slower"]) == (4, 3)
    assert may_begin("quick", under_way, 8)
    assert not may_begin("slow", under_way, 8)
    alone = next(n for n in range(100) if not may_begin("slow", {"slow": n}, 8))
    assert alone == 6
    assert may_begin("quick", {"slow": alone, "other": 1}, 8)


@pytest.mark.parametrize("hands", [2, 3, 8, 50])
def test_no_strand_ever_has_all_hands_and_an_idle_worker_takes_whatever_comes(hands: int) -> None:
    assert may_begin("any", {}, hands)
    assert not may_begin("any", {"any": hands - 1}, hands)
    assert not may_begin("any", {"other": hands}, hands)


def test_imports_have_half_of_the_hands_at_most_since_they_may_last_hours() -> None:
    assert may_begin("import learn", {"import its": 3}, 8)
    assert not may_begin("import learn", {"import its": 4}, 8)
    assert may_begin("learn", {"import its": 4}, 8)


def test_a_slow_lms_delays_no_other(campus: Parts, lines: Queues) -> None:
    desk = Desk(*readings("learn", 40), *readings("its", 40), seconds=lambda job: 0.6 * (job.strand == "learn"))
    with at_work(campus, lines, desk):
        until(lambda: {*readings("its", 40)} <= {*desk.done})
        assert len([job for job in desk.done if job.strand == "learn"]) < 20


# Finding and doing


def test_what_is_due_is_done_and_then_nothing(campus: Parts, lines: Queues) -> None:
    assert len([job for job in campus.refreshes.due(NOW) if job.kind is jobs.Kind.READ]) == 4
    with at_work(campus, lines):
        until(lambda: not campus.refreshes.due(NOW))


def test_what_is_queued_waits_for_no_sweep(campus: Parts, lines: Queues) -> None:
    desk = Desk()
    with at_work(campus, lines, desk):
        time.sleep(0.3)
        asked = time.monotonic()
        lines.ask(jobs.importing(7, "learn"))
        until(lambda: desk.done == [jobs.importing(7, "learn")])
        assert time.monotonic() - asked < 1


def test_two_workers_share_what_is_due_and_a_thousand_jobs_leave_a_short_queue(campus: Parts, lines: Queues) -> None:
    """The queue never holds more than a few times what is done at once, and yet all is done without a pause."""
    desk = Desk(*readings("learn", 500), *readings("its", 500))
    most = 0
    with at_work(campus, lines, desk), at_work(campus, lines, desk):
        while len(desk.done) < 1000:
            most = max(most, len(lines.waiting("learn")))
            time.sleep(0.005)
    assert 0 < most <= 64
    assert len(desk.done) == 1000


def test_a_queue_that_is_lost_loses_no_work(campus: Parts, lines: Queues) -> None:
    desk = Desk(*readings("learn", 30))
    for job in readings("learn", 30):
        lines.put(job)
    while lines.take("learn"):
        pass
    with at_work(campus, lines, desk):
        until(lambda: len(desk.done) == 30)


def test_a_fault_of_ours_is_told_counted_and_tried_again(
    campus: Parts, lines: Queues, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(Desk):
        def do(self, job: Job, now: datetime, stopping: Callable[[], bool]) -> Done:
            super().do(job, now, stopping)
            if job.strand == "learn":
                raise RuntimeError("mail is broken")
            return Done("done")

    with at_work(campus, lines, Broken(*readings("learn", 1), *readings("its", 3))) as worker:
        until(lambda: sum(count.times for count in worker._register._counts.values()) >= 4)
    assert "it failed" in caplog.text
    counts = workers.counts(campus.engine)
    assert (counts["read", "RuntimeError"].times, counts["read", "done"].times) == (1, 3)


def test_a_store_that_is_away_is_waited_for(campus: Parts, lines: Queues, caplog: pytest.LogCaptureFixture) -> None:
    class Away(Desk):
        looks = 0

        def due(self, now: datetime) -> Sequence[Job]:
            self.looks += 1
            if self.looks < 2:
                raise OperationalError("SELECT", {}, OSError("away"))
            return super().due(now)

    desk = Away(*readings("learn", 1))
    with at_work(campus, lines, desk):
        until(lambda: len(desk.done) == 1)
    assert "the store cannot be used" in caplog.text


def test_of_several_workers_one_looks_what_is_due(campus: Parts, lines: Queues) -> None:
    pause = timedelta(seconds=10)
    assert [schedule.book(campus.engine, "sweep", pause, NOW) for _ in range(3)] == [True, False, False]
    assert schedule.book(campus.engine, "sweep", pause, NOW + pause)


# Stopping


def test_what_ends_in_time_is_finished(campus: Parts, lines: Queues) -> None:
    desk = Desk(*readings("learn", 3), seconds=lambda _: 0.4)
    with at_work(campus, lines, desk):
        until(lambda: len(desk.begun) == 3)
    assert (len(desk.done), desk.back) == (3, [])


def test_what_does_not_end_in_time_is_put_back_and_queued_for_others(campus: Parts, lines: Queues) -> None:
    desk = Desk(*readings("learn", 1), seconds=lambda _: 2)
    begun = time.monotonic()
    with at_work(campus, lines, desk, stop=0.2):
        until(lambda: len(desk.begun) == 1)
    assert time.monotonic() - begun < 2
    assert desk.back == readings("learn", 1)
    assert lines.waiting("learn") == {*readings("learn", 1)}


@contextmanager
def a_process(folder: Path, url: str) -> Iterator[subprocess.Popen[str]]:
    (folder / "config.toml").write_text(url)
    environment = os.environ | {"CALBRIDGE_CONFIG": str(folder / "config.toml")}
    command = [sys.executable, "-m", "app.cli", "work"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert "works" in process.stdout.readline()
        yield process
        process.kill()


def real(folder: Path) -> Parts:
    """The demo campus by the real clock, so that processes agree on the time."""
    return open_parts(parse(stores.setting(folder / "x.sqlite3"), {}), now=lambda: datetime.now(UTC))


def test_a_stopped_worker_puts_its_import_back_and_another_goes_on_at_once(tmp_path: Path) -> None:
    parts, setting = real(tmp_path), stores.setting(tmp_path / "x.sqlite3")
    there = CalendarRef.parse("demo/course/statistics")
    run = parts.told_a_worker(parts.imports.queue(Import(timetable(600), there, TERM)))
    with a_process(tmp_path, setting) as process:
        until(lambda: (parts.imports.standing(run.id)[1] or {}).get("done", 0) > 5)
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    assert parts.imports.standing(run.id)[0] is Ending.QUEUED
    assert workers.known(parts.engine) == []
    with at_work(parts, parts.queues):
        until(lambda: parts.imports.standing(run.id)[0] is Ending.DONE, 60)
    found = parts.source("demo").read(there, TERM)
    assert sum(each.event.title.startswith("lecture ") for each in found) == 600
    parts.close()


def test_a_worker_is_seen_while_it_works_and_told_silent_after_it_was_killed(tmp_path: Path) -> None:
    parts = real(tmp_path)
    with a_process(tmp_path, stores.setting(tmp_path / "x.sqlite3")) as process:
        until(lambda: bool(workers.known(parts.engine)))
        process.kill()
    (seen,) = workers.known(parts.engine)
    assert seen.pid == process.pid
    assert not seen.is_silent(seen.seen_at + timedelta(seconds=20))
    assert seen.is_silent(seen.seen_at + timedelta(minutes=1))
    parts.close()
