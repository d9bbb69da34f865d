"""Keeps one visitor from having costly work done without end: so many times in a minute, and then a wait."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from math import ceil
from threading import Lock

from cachetools import TTLCache

from app.web.guesses import neighbourhood

SPAN = 60.0
REMEMBERED = 10_000


@dataclass(slots=True)
class Pace:
    """`most` times in SPAN seconds for each visitor of this process. Safe between threads."""

    most: int
    timer: Callable[[], float] = time.monotonic
    _began: TTLCache[str, tuple[float, int]] = field(init=False, repr=False)
    _lock: Lock = field(default_factory=Lock, repr=False)

    def __post_init__(self) -> None:
        self._began = TTLCache(REMEMBERED, SPAN, self.timer)

    def wait(self, address: str | None) -> int | None:
        """Count one more time: None, or after how many seconds the next one is let through."""
        who, now = neighbourhood(address or ""), self.timer()
        with self._lock:
            began, count = self._began.get(who, (now, 0))
            if now - began >= SPAN:
                began, count = now, 0
            self._began[who] = began, count + 1
        return None if count < self.most else ceil(began + SPAN - now)
