"""Takes up the imports that were queued, several at a time, beside whatever else a worker does."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread

from sqlalchemy.exc import SQLAlchemyError

from app.imports.run import Imports, NoRun
from app.store.leases import Busy

HANDS = 4
"""Queued imports that one worker has under way at a time, so that a short one need not wait for a long one."""
PAUSE = 1.0
"""Seconds between two looks for what is queued; a look costs one short query."""

log = logging.getLogger(__name__)


@contextmanager
def attended(imports: Imports, stop: Event, *, hands: int = HANDS, pause: float = PAUSE) -> Iterator[None]:
    """Take up what is queued while the block runs. At its end what is under way is stopped and queued again."""
    threads = [Thread(target=attend, args=(imports, stop, pause), name=f"queue-{n}") for n in range(hands)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def attend(imports: Imports, stop: Event, pause: float = PAUSE) -> None:
    """One pair of hands: run after run until `stop` is set."""
    while not stop.is_set():
        try:
            if any(take_up(imports, run, stop) for run in imports.due()):
                continue
        except SQLAlchemyError as error:
            log.warning("the store cannot be used: %s", error)
        stop.wait(pause)


def take_up(imports: Imports, run: int, stop: Event) -> bool:
    """Do this run; whether it was ours to do. A fault of ours is logged, and the run tried again a few times."""
    try:
        outcome = imports.take_up(run, stop.is_set)
    except (Busy, NoRun):  # somebody was faster
        return False
    except SQLAlchemyError:
        raise
    except Exception:
        log.exception("run %s", run)
        return False
    log.info("run %s: %s", run, outcome.to_text().partition("\n")[0] if outcome else "it could not be begun")
    return True
