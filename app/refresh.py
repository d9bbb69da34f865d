"""What is due, and the doing of it: feeds to read anew, subscriptions to pull, calendars to check. No more."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from app.feeds.feed import Outcome
from app.feeds.serve import Feeds
from app.imports.drift.drifts import Check, Drifts
from app.imports.pull.subscriptions import NoSubscription, Subscriptions, Visit
from bridges.model import CalendarRef


@dataclass(frozen=True, slots=True)
class Due:
    """Calendars that feeds show, the numbers of subscriptions, and calendars that imports wrote into."""

    calendars: Sequence[CalendarRef]
    subscriptions: Sequence[int]
    checks: Sequence[CalendarRef] = ()

    def __bool__(self) -> bool:
        return bool(self.calendars or self.subscriptions or self.checks)


@dataclass(frozen=True, slots=True)
class Refreshes:
    """Feeds, subscriptions and checks, joined for whoever keeps the time. Any number of processes may run what is due:
    each calendar and each subscription is worked on by one of them."""

    feeds: Feeds
    subscriptions: Subscriptions
    drifts: Drifts

    def due(self, now: datetime) -> Due:
        """What should be done now; `now` is aware."""
        return Due(self.feeds.due(), self.subscriptions.due(now), self.drifts.due(now))

    def run(self, now: datetime) -> Iterator[tuple[CalendarRef | int | str, Outcome | Visit | Check]]:
        """Do what is due, subscriptions first and checks last, and tell what came of each as soon as it is done.

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
        for calendar in due.checks:
            if (check := self.drifts.run(calendar)) is not None:
                yield f"drift in {calendar}", check
