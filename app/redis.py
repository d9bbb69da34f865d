"""A Redis that may be slow or away: whoever uses it does without for a while then, and asks again later."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

PATIENCE = 0.5
"""Seconds that one answer of Redis may take: it is there to save time."""
REST = 5.0
"""Seconds without it after one that did not come."""

log = logging.getLogger(__name__)


class Missing(ImportError):
    """The client is not installed."""


def pool(url: str) -> Any:
    """Connections to the Redis of that URL (redis://, rediss://, unix://), none of them opened yet. Missing."""
    try:
        from redis import ConnectionPool
        from redis.backoff import NoBackoff
        from redis.retry import Retry
    except ImportError:
        raise Missing("Redis needs its client: pip install 'calbridge[redis]'") from None
    return ConnectionPool.from_url(
        url, socket_timeout=PATIENCE, socket_connect_timeout=PATIENCE, retry=Retry(NoBackoff(), 0)
    )


def faults() -> tuple[type[Exception], ...]:
    """What the client raises where Redis is slow, away or out of order."""
    from redis.exceptions import RedisError

    return (RedisError,)


class Breaker:
    """Lets work through to something that may be away, and none at all for a `rest` after it was."""

    def __init__(
        self,
        name: str,
        faults: tuple[type[Exception], ...] = (),
        rest: float = REST,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._name = name
        self._faults: tuple[type[Exception], ...] = (*faults, OSError)
        self._rest = rest
        self._clock = clock
        self._until = 0.0

    @property
    def closed(self) -> bool:
        """Whether it may be asked now."""
        return self._clock() >= self._until

    @contextmanager
    def spared(self) -> Iterator[None]:
        """What fails within the block is told in the log, and the rest begins."""
        try:
            yield
        except self._faults as error:
            self._until = self._clock() + self._rest
            log.warning("%s is away, and done without for %g seconds: %s", self._name, self._rest, error)


class Bodies:
    """Bodies of feeds in the Redis of that URL, by their hashes; done without while it is slow or away. Missing."""

    def __init__(self, url: str, seconds: int) -> None:
        connections = pool(url)
        from redis import Redis

        self._redis: Any = Redis(connection_pool=connections)
        self._seconds = seconds
        self._breaker = Breaker("the cache in Redis", faults())

    def get(self, etag: str) -> bytes | None:
        found = None
        if self._breaker.closed:
            with self._breaker.spared():
                found = self._redis.get(f"calbridge:body:{etag}")
        return found

    def put(self, etag: str, body: bytes) -> None:
        if self._breaker.closed:
            with self._breaker.spared():
                self._redis.set(f"calbridge:body:{etag}", body, ex=self._seconds)


@dataclass(frozen=True, slots=True)
class Tally:
    """How often something was counted in its span, and how many seconds of that are left."""

    count: int
    seconds: float


class Tallies:
    """Counts that processes keep together in the Redis of that URL. Missing."""

    def __init__(self, url: str) -> None:
        connections = pool(url)
        from redis import Redis

        self._redis: Any = Redis(connection_pool=connections)
        self._breaker = Breaker("the counts in Redis", faults())

    def add(self, name: str, span: int) -> Tally | None:
        """Count once more in this span of so many seconds; None while Redis is slow or away."""
        tally = None
        if self._breaker.closed:
            with self._breaker.spared():
                key = f"calbridge:count:{name}"
                with self._redis.pipeline(transaction=True) as steps:
                    steps.set(key, 0, ex=span, nx=True)
                    steps.incr(key)
                    steps.pttl(key)
                    _, count, left = steps.execute()
                tally = Tally(int(count), max(int(left), 0) / 1000)
        return tally
