"""What is done for feeds now and then, beside their readings: forgetting what none uses, and warning of a quota."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import timedelta

from app.feeds.serve import Feeds

EVERY = timedelta(hours=1)
log = logging.getLogger(__name__)


class Chores:
    """Those of one worker; any number may do them."""

    def __init__(self, feeds: Feeds) -> None:
        self._feeds = feeds
        self._warned: set[str] = set()

    def run(self) -> Iterator[tuple[object, object]]:
        """Do them, and tell what came of them. A quota that is too small is told once."""
        tidied = self._feeds.tidy()
        if any((tidied.readings, tidied.enrolments)):
            yield "feeds", f"{tidied.readings} readings and {tidied.enrolments} enrolments forgotten: no feed uses them"
        for one in self._feeds.forecast():
            if one.fits:
                self._warned.discard(one.lms)
            elif one.lms not in self._warned:
                self._warned.add(one.lms)
                log.warning("%s", one)
