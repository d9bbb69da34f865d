"""What is due, and the doing of it: feeds to read anew, subscriptions to pull, imports to take up, chores. No more."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import Engine

from app import jobs
from app.feeds.feed import Outcome
from app.feeds.serve import Feeds
from app.imports.drift.drifts import Drifts
from app.imports.pull.subscriptions import NoSubscription, Subscriptions, Visit
from app.imports.routed import Routed
from app.imports.run import Imports, NoRun
from app.imports.run import Outcome as Imported
from app.jobs import Job, Kind
from app.store import schedule
from app.store.leases import Busy, forget, left_behind
from bridges.model import CalendarRef

Stopping = Callable[[], bool]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Chore:
    """Done so often, by one worker of all. `run` tells of each thing what came of it."""

    every: timedelta
    run: Callable[[], Iterable[tuple[object, object]]]


@dataclass(frozen=True, slots=True)
class Done:
    """What came of a job: the word for it, that is counted, and what the log is told."""

    how: str
    text: str = ""


IN_VAIN = Done("in vain")
"""Somebody was faster, or it is not there any more."""


@dataclass(frozen=True, slots=True)
class Refreshes:
    """All work that has its time, joined for whoever keeps the time. Any number of processes may do what is due: each
    calendar, subscription, run and chore is worked on by one of them."""

    engine: Engine
    feeds: Feeds
    subscriptions: Subscriptions
    imports: Imports
    routed: Routed
    drifts: Drifts
    chores: Mapping[str, Chore] = field(default_factory=dict)

    def due(self, now: datetime) -> Sequence[Job]:
        """What should be done now, the short work first; `now` is aware."""
        self._put_back_what_died(now)
        if by := schedule.put_back(self.engine, now):
            log.warning("the clock was put back by %s: what was booked by it is due now", by)
            schedule.put_right(self.engine, now, by)
        pauses = {name: chore.every for name, chore in self.chores.items()}
        return [
            *map(jobs.chore, schedule.due(self.engine, pauses, now)),
            *map(jobs.pulling, self.subscriptions.due(now)),
            *map(jobs.reading, self.feeds.due()),
            *map(jobs.checking, self.drifts.due(now)),
            *self.queued(),
        ]

    def queued(self) -> Sequence[Job]:
        """The imports that wait for a worker."""
        runs = [jobs.importing(run, calendar.lms) for run, calendar in self.imports.due()]
        return [*runs, *map(jobs.routing, self.routed.due())]

    def do(self, job: Job, now: datetime, stopping: Stopping = bool) -> Done:
        """Do it, if it is still due. Whatever goes wrong outside is told in what came of it; a fault of ours is
        raised, and a store that is away. What takes long looks now and then whether it is `stopping`, and is put
        back then."""
        match job.kind:
            case Kind.READ:
                return _read(self.feeds.refresh(CalendarRef.parse(job.id), unless_fresh=True))
            case Kind.CHECK:
                check = self.drifts.run(CalendarRef.parse(job.id))
                return Done(check.look, str(check)) if check else IN_VAIN
            case Kind.PULL:
                return self._pulled(int(job.id))
            case Kind.IMPORT:
                return self._imported(int(job.id), stopping)
            case Kind.ROUTE:
                return self._routed(int(job.id))
            case Kind.CHORE:
                return self._chore(job.id, now)

    def put_back(self, job: Job) -> None:
        """Have what is cut off in the midst be due again, as soon as its worker is gone."""
        if job.kind is Kind.READ:
            self.feeds.put_back(CalendarRef.parse(job.id))
        elif job.kind is Kind.PULL:
            self.subscriptions.put_back(int(job.id))

    def _put_back_what_died(self, now: datetime) -> None:
        """Each books its next time before it begins: what a killed worker was at would wait for that."""
        for name, holder in left_behind(self.engine, now):
            what, _, id = name.partition(" ")
            if what == "read":
                self.feeds.put_back(CalendarRef.parse(id))
            elif what == "subscription":
                self.subscriptions.put_back(int(id))
            else:
                continue
            forget(self.engine, name, holder)

    def run(self, now: datetime) -> Iterator[tuple[Job, Done]]:
        """Do what is due, one after the other, and tell what came of each as soon as it is done."""
        for job in self.due(now):
            yield job, self.do(job, now)

    def _pulled(self, id: int) -> Done:
        with suppress(NoSubscription):  # removed since
            return _visited(self.subscriptions.run(id, unless_early=True))
        return IN_VAIN

    def _imported(self, run: int, stopping: Stopping) -> Done:
        try:
            outcome = self.imports.take_up(run, stopping)
        except (Busy, NoRun):
            return IN_VAIN
        return _written(outcome) if outcome else Done("failed", "it could not be begun")

    def _routed(self, batch: int) -> Done:
        try:
            outcome = self.routed.take_up(batch)
        except (Busy, NoRun):
            return IN_VAIN
        return Done(outcome.state, outcome.to_text().partition("\n")[0]) if outcome else Done("failed", "not begun")

    def _chore(self, name: str, now: datetime) -> Done:
        chore = self.chores.get(name)
        if chore is None or not schedule.book(self.engine, name, chore.every, now):
            return IN_VAIN
        told = [f"{subject}: {outcome}" for subject, outcome in chore.run()]
        return Done("done", "; ".join(told))


def _read(outcome: Outcome) -> Done:
    return Done(outcome.did, f"{outcome.did}: {outcome.problem}" if outcome.problem else outcome.did)


def _visited(visit: Visit) -> Done:
    return Done(visit.what, visit.problem or f"{visit.what}, {visit.events} events")


def _written(outcome: Imported) -> Done:
    return Done(outcome.state, outcome.to_text().partition("\n")[0])
