"""Work behind a request's back: a few threads, and each piece of work once at a time."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Lock

from sqlalchemy.exc import SQLAlchemyError

THREADS = 4
log = logging.getLogger(__name__)

Later = Callable[[str, Callable[[], object]], None]
"""Has work done that bears a name; one of that name that is under way is enough."""


def at_once(name: str, work: Callable[[], object]) -> None:
    """For who has time: tests, and commands."""
    work()


class Behind:
    """Has work done in threads of its own, so that whoever asks need not wait."""

    def __init__(self, threads: int = THREADS) -> None:
        self._threads = ThreadPoolExecutor(threads, "behind")
        self._under_way: set[str] = set()
        self._lock = Lock()

    def __call__(self, name: str, work: Callable[[], object]) -> None:
        with self._lock:
            if name in self._under_way:
                return
            self._under_way.add(name)
        self._threads.submit(self._do, name, work)

    def _do(self, name: str, work: Callable[[], object]) -> None:
        try:
            work()
        except SQLAlchemyError as error:  # the store is away; whoever asks next tries again
            log.warning("%s: the store cannot be used: %s", name, error)
        finally:
            with self._lock:
                self._under_way.discard(name)

    def close(self) -> None:
        """Take no more work, and wait for what is under way."""
        self._threads.shutdown(cancel_futures=True)
