"""Counts what each visitor of this process asks for in a minute, so that nobody has costly work done without end."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from math import ceil
from threading import Lock

from cachetools import TTLCache

from app.redis import Tally
from app.web.door.guesses import neighbourhood

SPAN = 60
"""Seconds. A visitor's minute begins with the first request in it."""
REMEMBERED = 10_000
"""Visitors; beyond that the oldest minute is forgotten."""


@dataclass(slots=True)
class Here:
    """Counts of this process. Safe between threads. `timer` gives seconds that only grow."""

    timer: Callable[[], float] = time.monotonic
    _began: TTLCache[str, tuple[float, int]] = field(init=False, repr=False)
    _lock: Lock = field(default_factory=Lock, repr=False)

    def __post_init__(self) -> None:
        self._began = TTLCache(REMEMBERED, SPAN, self.timer)

    def add(self, who: str) -> Tally:
        """Count one more of that visitor: how many there were in this minute, and how much is left of it."""
        with self._lock:
            now = self.timer()
            began, count = self._began.get(who, (now, 0))
            if now - began >= SPAN:
                began, count = now, 0
            self._began[who] = began, count + 1
        return Tally(count + 1, began + SPAN - now)


@dataclass(slots=True)
class Pace:
    """`most` times in SPAN seconds for each address."""

    most: int
    here: Here = field(default_factory=Here)

    def wait(self, address: str | None) -> int | None:
        """Count one more time: None, or after how many seconds the next one is let through."""
        tally = self.here.add(neighbourhood(address or ""))
        return None if tally.count <= self.most else ceil(tally.seconds)
