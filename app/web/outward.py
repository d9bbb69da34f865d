"""Lets few requests at a time wait for a server that their caller named: each costs a thread, and a slow one all of
them, so that nobody would be served any more."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Lock

from flask import current_app

from app.web.door import access
from bridges.errors import Transient

MOST = 4
"""Of the 16 threads that serve requests."""
EACH = 2
"""Of these, one caller: else one would keep all others from it."""
AGAIN = 5.0
"""Seconds after which to ask again."""


@dataclass(slots=True)
class Outward:
    """Who waits at the moment, in this process. Safe between threads."""

    _waiting: Counter[str] = field(default_factory=Counter)
    _lock: Lock = field(default_factory=Lock, repr=False)

    @contextmanager
    def turn(self, who: str) -> Iterator[None]:
        """Within the block `who` may wait. Transient where too many do already."""
        with self._lock:
            if self._waiting.total() >= MOST or self._waiting[who] >= EACH:
                raise Transient(
                    "Too many wait for servers elsewhere just now: try again in a moment.", retry_after=AGAIN
                )
            self._waiting[who] += 1
        try:
            yield
        finally:
            with self._lock:
                self._waiting -= Counter([who])  # which forgets those who are at nothing


@contextmanager
def outward() -> Iterator[None]:
    """A turn for the caller of this request."""
    turns: Outward = current_app.extensions.setdefault("calbridge.outward", Outward())
    with turns.turn(access.caller_key()):
        yield
