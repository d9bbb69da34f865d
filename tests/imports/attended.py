"""Hands that take up queued imports, as a worker's do, without its queue."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread

from app.imports.run import Imports, NoRun
from app.store.leases import Busy


@contextmanager
def attended(imports: Imports, stop: Event, *, hands: int = 4, pause: float = 0.05) -> Iterator[None]:
    """Take up what is queued while the block runs. At its end what is under way is stopped and queued again."""
    threads = [Thread(target=_attend, args=(imports, stop, pause), name=f"hand-{n}") for n in range(hands)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def _attend(imports: Imports, stop: Event, pause: float) -> None:
    while not stop.is_set():
        if not any(_taken_up(imports, run, stop) for run, _ in imports.due()):
            stop.wait(pause)


def _taken_up(imports: Imports, run: int, stop: Event) -> bool:
    try:
        imports.take_up(run, stop.is_set)
    except (Busy, NoRun):  # another hand was faster
        return False
    return True
