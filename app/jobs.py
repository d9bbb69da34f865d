"""The queue between whoever finds work and whoever does it: huey's, in SQLite or Redis by URL.

A job is a kind and an id. Its truth is in the store, where `app.refresh` finds what is due: a queue that is lost, or
away, loses no work. Each strand of work (an LMS, the imports into it, subscriptions, the house) has a queue of its
own, so that a slow LMS has nobody else wait behind its jobs.

Of huey this uses the storages. Its consumer has one queue for everything and takes the process's signals for itself;
its tasks are pickled with the names of our functions, which the next version may have renamed, and keep results and
revocations, two more statements a job. Our messages are two words, and `app.work` takes them.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from threading import Lock
from typing import Protocol, TypeVar

from app.redis import Breaker, faults, pool
from bridges.model import CalendarRef

log = logging.getLogger(__name__)

Answer = TypeVar("Answer")


class Kind(StrEnum):
    """What is to be done, and what its id is."""

    READ = "read"
    """A calendar."""
    CHECK = "check"
    """A calendar that imports wrote into, for drift."""
    PULL = "pull"
    """A subscription's number."""
    IMPORT = "import"
    """A queued run's number."""
    ROUTE = "route"
    """A queued batch's number: a file that goes into many calendars."""
    CHORE = "chore"
    """A chore's name."""


@dataclass(frozen=True, slots=True)
class Job:
    """A piece of work, and the strand in whose queue it waits."""

    kind: Kind
    id: str
    strand: str

    def __str__(self) -> str:
        return f"{self.kind} {self.id}"


PULLS, ROUTES, HOUSE = "subscriptions", "routes", "house"


def reading(calendar: CalendarRef) -> Job:
    return Job(Kind.READ, str(calendar), calendar.lms)


def checking(calendar: CalendarRef) -> Job:
    return Job(Kind.CHECK, str(calendar), calendar.lms)


def pulling(subscription: int) -> Job:
    return Job(Kind.PULL, str(subscription), PULLS)


def importing(run: int, lms: str) -> Job:
    return Job(Kind.IMPORT, str(run), imports_into(lms))


def routing(batch: int) -> Job:
    return Job(Kind.ROUTE, str(batch), ROUTES)


def chore(name: str) -> Job:
    return Job(Kind.CHORE, name, HOUSE)


def imports_into(lms: str) -> str:
    """The strand of imports into this LMS; no LMS has a space in its name."""
    return f"import {lms}"


def strands(connections: Iterable[str]) -> Sequence[str]:
    """All there are, with these LMSs: the short work first."""
    names = list(connections)
    return [HOUSE, *names, PULLS, *map(imports_into, names), ROUTES]


class Storage(Protocol):
    """What we use of a huey storage."""

    def enqueue(self, data: bytes) -> object: ...
    def dequeue(self) -> bytes | None: ...
    def enqueued_items(self) -> Sequence[bytes]: ...


class Queues:
    """The queues of one process, by strand. Safe between threads.

    `far` opens what processes share; None where each has only its own. While that is away, what is put waits in this
    process alone.
    """

    def __init__(self, far: Callable[[str], Storage] | None, breaker: Breaker) -> None:
        from huey.storage import MemoryStorage  # loaded late: most commands queue nothing

        self._far = _opening(far) if far else None
        self._near = _opening(MemoryStorage)
        self._breaker = breaker

    @property
    def shared(self) -> bool:
        """Whether what is put here can be taken by another process now."""
        return self._far is not None and self._breaker.closed

    def put(self, job: Job) -> None:
        """Queue it."""
        if not self.ask(job):
            self._near(job.strand).enqueue(str(job).encode())

    def ask(self, job: Job) -> bool:
        """Have a worker do it at once; whether one can be told. If not, a sweep finds the job in the store."""
        return self._asked(job.strand, lambda storage: (storage.enqueue(str(job).encode()),)) is not None

    def take(self, strand: str) -> Job | None:
        """The job that waits longest; None where none does."""
        data = self._near(strand).dequeue() or self._asked(strand, lambda storage: storage.dequeue())
        return _job(bytes(data), strand) if data else None

    def waiting(self, strand: str) -> set[Job]:
        """What waits there."""
        items = [*self._near(strand).enqueued_items(), *(self._asked(strand, lambda one: one.enqueued_items()) or ())]
        return {job for item in items if (job := _job(bytes(item), strand))}

    def _asked(self, strand: str, ask: Callable[[Storage], Answer]) -> Answer | None:
        """The answer of the shared queue; None without."""
        if self._far is not None and self._breaker.closed:
            with self._breaker.spared():
                return ask(self._far(strand))
        return None


def _opening(make: Callable[[str], Storage]) -> Callable[[str], Storage]:
    """Each opened once, when it is first used."""
    known: dict[str, Storage] = {}
    lock = Lock()

    def opened(strand: str) -> Storage:
        with lock:
            if strand not in known:
                known[strand] = make(strand)
            return known[strand]

    return opened


def _job(data: bytes, strand: str) -> Job | None:
    """What these words mean; None where another version knows more kinds."""
    kind, _, id = data.decode("utf-8", "replace").partition(" ")
    if kind not in set(Kind):
        log.warning("a job of an unknown kind is left to the sweep: %s", kind[:40])
        return None
    return Job(Kind(kind), id, strand)


def queues(url: str, store: str) -> Queues:
    """The queues at this URL (redis://…, sqlite:///…); where that is empty, in a file beside a SQLite store, and else
    each process has its own. app.redis.Missing where Redis is named and its client is not installed."""
    if url.startswith(("redis://", "rediss://", "unix://")):
        return _in_redis(url)
    path = url.removeprefix("sqlite:///") if url else _beside(store)
    return _in_sqlite(path) if path else Queues(None, Breaker("the queue"))


def _beside(store: str) -> str:
    path = store.removeprefix("sqlite:///").partition("?")[0] if store.startswith("sqlite:///") else ""
    return f"{path}.jobs" if path not in {"", ":memory:"} else ""


def _in_redis(url: str) -> Queues:
    from huey.storage import RedisStorage

    connections = pool(url)

    def far(strand: str) -> Storage:
        # a plain pop: one thread takes for all hands, and must not sleep in one strand while another has work
        storage: Storage = RedisStorage(
            f"calbridge.{strand}", blocking=False, connection_pool=connections, clean_name=False
        )
        return storage

    return Queues(far, Breaker("the queue in Redis", faults()))


def _in_sqlite(path: str) -> Queues:
    from huey.storage import SqliteStorage

    def far(strand: str) -> Storage:
        # without fsync: what a power cut takes is found in the store again
        storage: Storage = SqliteStorage(strand, path, cache_mb=0, fsync=False)
        return storage

    return Queues(far, Breaker("the queue", (sqlite3.Error,)))
