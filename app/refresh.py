"""What is due, and the doing of it: feeds that should be read anew, subscriptions that should be pulled. No more."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from app.feeds.feed import Outcome
from app.feeds.serve import Feeds
from app.imports.pull.subscriptions import NoSubscription, Subscriptions, Visit
from bridges.model import CalendarRef


@dataclass(frozen=True, slots=True)
class Due:
    """Calendars that feeds show, and the numbers of subscriptions."""

    calendars: Sequence[CalendarRef]
    subscriptions: Sequence[int]

    def __bool__(self) -> bool:
        return bool(self.calendars or self.subscriptions)


@dataclass(frozen=True, slots=True)
class Refreshes:
    """Feeds and subscriptions, joined for whoever keeps the time. Any number of processes may run what is due: each
    calendar and each subscription is worked on by one of them."""

    feeds: Feeds
    subscriptions: Subscriptions

    def due(self, now: datetime) -> Due:
        """What should be done now; `now` is aware."""
        return Due(self.feeds.due(), self.subscriptions.due(now))

    def run(self, now: datetime) -> Iterator[tuple[CalendarRef | int, Outcome | Visit]]:
        """Do what is due, subscriptions first, and tell what came of each as soon as it is done.

        No failure of one keeps another from its turn: all are told in the outcomes.
        """
        due = self.due(now)
        for id in due.subscriptions:
            try:
                yield id, self.subscriptions.run(id, unless_early=True)
            except NoSubscription:  # removed since
                continue
        for calendar in due.calendars:
            yield calendar, self.feeds.refresh(calendar, unless_fresh=True)
