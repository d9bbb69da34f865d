"""A worker: finds what is due, takes jobs from the queues, and does several at a time, until it is told to stop."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from threading import Event, Lock, Thread
from time import monotonic

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from app.jobs import Job, Kind, Queues
from app.refresh import IN_VAIN, Refreshes
from app.store import schedule, workers
from app.store.leases import new_holder
from app.store.workers import Count
from app.watch.logs import about
from app.watch.traces import step

PAUSE = 0.2
"""Seconds between two looks into the queues: what a person asks for begins within the second."""
SWEEP = timedelta(seconds=10)
"""Between two looks at what is due, by whichever worker is the first."""
ALONE = 1.0
"""Seconds between two looks for queued imports while nobody can tell us of them."""
BEAT = 5.0
"""Seconds between two heartbeats."""
DEEP = 8
"""Jobs for each hand that wait in one strand at most: what waits long may have been done, or have changed."""

FOLLOWED = {Kind.IMPORT, Kind.PULL}
"""After which another may be due that waited for the calendar."""
LONG_AGO = float("-inf")

log = logging.getLogger(__name__)


def may_begin(strand: str, under_way: Mapping[str, int], hands: int) -> bool:
    """Whether another job of this strand may begin now. Pure.

    A strand may have two hands for each that stays free, and the last one goes to whoever has none: so one slow LMS
    alone takes most, two share, and a third still finds a hand. Imports, which may last hours, get half of them all.
    """
    mine, free = under_way.get(strand, 0), hands - sum(under_way.values())
    if _lasts(strand) and sum(count for name, count in under_way.items() if _lasts(name)) >= max(hands // 2, 1):
        return False
    return free > 0 if mine == 0 else free > 1 and mine < 2 * free


def _lasts(strand: str) -> bool:
    return strand.startswith("import ")


class Worker:
    """One worker of any number, in a process of its own. `now` gives aware times, `strands` are taken in their order.

    A store or a queue that is away is waited for: nothing is due that cannot be done later.
    """

    def __init__(
        self,
        engine: Engine,
        refreshes: Refreshes,
        queues: Queues,
        strands: Sequence[str],
        now: Callable[[], datetime],
        *,
        hands: int = 8,
        stop_seconds: float = 25.0,
        stop: Event | None = None,
    ) -> None:
        self._engine = engine
        self._refreshes = refreshes
        self._queues = queues
        self._strands = strands
        self._now = now
        self._hands = hands
        self._stop_seconds = stop_seconds
        self.stop = stop or Event()
        self._register = Register(engine, now)
        self._under_way: set[Job] = set()
        self._cut_off: list[Job] = []
        self._lock = Lock()
        self._wake = Event()
        self._looked = self._asked = LONG_AGO
        self._more = self._idle = True

    def run(self) -> bool:
        """Work until `stop` is set; whether all that was under way came to its end, or was put back, in time."""
        while not self.stop.is_set():
            try:
                self._register.beat(self._doing())
                self._put_back()
                self._sweep()
                self._idle = not self._take()
            except SQLAlchemyError as error:
                log.warning("the store cannot be used: %s", error)
                self.stop.wait(ALONE)
            if self._idle:
                self._wake.wait(PAUSE)
                self._wake.clear()
        return self._end()

    def _doing(self) -> list[Job]:
        with self._lock:
            return sorted(self._under_way, key=str)

    def _put_back(self) -> None:
        """What was cut off by a store that went away is due as soon as that is there again."""
        while self._cut_off:
            self._refreshes.put_back(self._cut_off[-1])
            self._cut_off.pop()
            self._more = True

    # Finding work

    def _sweep(self) -> None:
        """Queue what is due and does not wait already. What nobody could tell us of is looked for often."""
        if self._time_to_look():
            self._looked = self._asked = monotonic()
            self._more = self._queue(self._refreshes.due(self._now()))
        elif not self._queues.shared and monotonic() - self._asked >= ALONE:
            self._asked = monotonic()
            self._queue(self._refreshes.queued())

    def _time_to_look(self) -> bool:
        """Others look, too, where the queue is shared. Whoever left something goes on when that is used up."""
        since = monotonic() - self._looked
        if self._more and self._idle:
            return since >= PAUSE
        if since < SWEEP.total_seconds():
            return False
        if not self._queues.shared:
            return True
        self._looked = monotonic()
        return schedule.book(self._engine, "sweep", SWEEP, self._now())

    def _queue(self, due: Sequence[Job]) -> bool:
        """Whether some had to be left out for now."""
        under_way, left = set(self._doing()), False
        for strand in self._strands:
            waiting = self._queues.waiting(strand)
            new = [job for job in due if job.strand == strand and job not in waiting and job not in under_way]
            room = max(DEEP * self._hands - len(waiting), 0)
            for job in new[:room]:
                self._queues.put(job)
            left = left or len(new) > room
        return left

    # Doing it

    def _take(self) -> bool:
        """Begin what the hands can take, a job of each strand; whether there was any."""
        return sum(self._begin(strand) for strand in self._strands if self._may_begin(strand)) > 0

    def _may_begin(self, strand: str) -> bool:
        return may_begin(strand, Counter(job.strand for job in self._doing()), self._hands)

    def _begin(self, strand: str) -> bool:
        job = self._queues.take(strand)
        if job is None:
            return False
        with self._lock:
            if job in self._under_way:
                return True
            self._under_way.add(job)
        # a thread for each job: it costs nothing beside a job, and no pool waits for one that hangs at the end
        Thread(target=self._do, args=(job,), name=str(job), daemon=True).start()
        return True

    def _do(self, job: Job) -> None:
        begun, how = monotonic(), "fault"
        try:
            with about(job=str(job)), step(str(job)):
                how = self._done(job)
        finally:
            self._register.count(job, how, monotonic() - begun)
            with self._lock:
                self._under_way.discard(job)
            self._more = self._more or job.kind in FOLLOWED
            self._wake.set()

    def _done(self, job: Job) -> str:
        """What came of it, in a word, or the class of what went wrong."""
        try:
            done = self._refreshes.do(job, self._now(), self.stop.is_set)
        except SQLAlchemyError as error:
            log.warning("the store cannot be used: %s", error)
            self._cut_off.append(job)
            return type(error).__name__
        except Exception as error:
            log.exception("it failed, and is tried again")
            return type(error).__name__
        if done is not IN_VAIN:
            log.info("%s", done.text or done.how)
        return done.how

    # The end

    def _end(self) -> bool:
        """Wait for what is under way; imports put themselves back between two portions, and others go on at once."""
        before, deadline = self._doing(), monotonic() + self._stop_seconds
        while (left := self._doing()) and monotonic() < deadline:
            self._wake.wait(PAUSE)
            self._wake.clear()
        for job in left:
            log.warning("%s did not come to its end in %g seconds and is put back", job, self._stop_seconds)
        try:
            for job in left:
                self._refreshes.put_back(job)
            self._register.end()
        except SQLAlchemyError as error:
            log.warning("the store cannot be used: %s", error)
        for job in before:
            if job in left or job.kind is Kind.IMPORT:
                self._queues.ask(job)
        return not left


class Register:
    """What the store is told of one worker, and when."""

    def __init__(self, engine: Engine, now: Callable[[], datetime]) -> None:
        self._engine = engine
        self._now = now
        self._name = new_holder()
        self._counts: dict[tuple[str, str], Count] = {}
        self._lock = Lock()
        self._beaten = LONG_AGO

    def count(self, job: Job, how: str, seconds: float) -> None:
        """A job has ended so."""
        with self._lock:
            known = self._counts.get((job.kind.value, how), Count())
            self._counts[job.kind.value, how] = Count(known.times + 1, known.seconds + seconds)

    def beat(self, doing: Sequence[Job]) -> None:
        """Tell what is done now and what came of the rest, if the time has come."""
        if monotonic() - self._beaten < BEAT:
            return
        if self._beaten == LONG_AGO:
            workers.begin(self._engine, self._name, self._now())
        self._beaten = monotonic()
        self._tell(doing)

    def end(self) -> None:
        """Say good-bye."""
        self._tell([])
        workers.end(self._engine, self._name)

    def _tell(self, doing: Sequence[Job]) -> None:
        with self._lock:
            counts, self._counts = self._counts, {}
        try:
            workers.beat(self._engine, self._name, [str(job) for job in doing], counts, self._now())
        except SQLAlchemyError:
            with self._lock:
                self._counts = added(counts, self._counts)
            raise


def added(some: Mapping[tuple[str, str], Count], more: Mapping[tuple[str, str], Count]) -> dict[tuple[str, str], Count]:
    """Both together."""
    none = Count()
    sums = {key: (some.get(key, none), more.get(key, none)) for key in {**some, **more}}
    return {key: Count(a.times + b.times, a.seconds + b.seconds) for key, (a, b) in sums.items()}
