"""Keeps the time: does what is due, waits a little, and looks again, until it is told to stop."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from itertools import chain
from threading import Event

from sqlalchemy.exc import SQLAlchemyError

from app.refresh import Refreshes

PAUSE = 15.0
"""Seconds between two looks at what is due. A look costs two short queries."""

log = logging.getLogger(__name__)


Chore = Callable[[], Iterable[tuple[object, object]]]
"""Does what is due of one kind, and tells of each what came of it."""


def work(
    refreshes: Refreshes,
    now: Callable[[], datetime],
    stop: Event,
    *,
    pause: float = PAUSE,
    chores: Sequence[Chore] = (),
) -> None:
    """Run what is due until `stop` is set, the chores last; what is under way then is finished first.

    A store that is away for a while is waited for: nothing is due that cannot be done later.
    """
    while not stop.is_set():
        try:
            for subject, outcome in chain(refreshes.run(now()), *(_later(chore) for chore in chores)):
                log.info("%s: %s", subject, outcome)
                if stop.is_set():
                    return
        except SQLAlchemyError as error:
            log.warning("the store cannot be used: %s", error)
        stop.wait(pause)


def _later(chore: Chore) -> Iterator[tuple[object, object]]:
    """The chore, begun when its turn has come. What is wrong with one keeps neither feeds nor the others waiting."""
    try:
        yield from chore()
    except SQLAlchemyError:
        raise
    except Exception:
        log.exception("a chore failed, and is tried again")
