"""When a subscription is looked at next, and how it stands after each visit. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum

from app.imports.pull.fetch import Validators

FIRST_PAUSE, LONGEST_PAUSE = timedelta(hours=1), timedelta(hours=24)
JITTER = 0.1
"""How much longer a pause may grow, as a share: subscriptions that failed together do not come back together."""
BUSY_PAUSE = timedelta(minutes=10)
MISSED_FOR = timedelta(days=3)


class What(StrEnum):
    """What came of one visit."""

    DONE = "done"
    UNCHANGED = "unchanged"
    HELD = "held"
    """Read, and the plan waits for a person's yes."""
    LEFT = "left"
    """Read, and the LMS stopped us half-way."""
    DENIED = "denied"
    """Read, and the LMS will have nothing of it."""
    MISSING = "missing"
    """404 or 410."""
    REFUSED = "refused"
    """Our own rules forbid the way there."""
    FAILED = "failed"
    BUSY = "busy"
    """Somebody else was at it; kept in no history."""


class Standing(StrEnum):
    """How a subscription stands."""

    NEW = "new"
    FINE = "fine"
    HELD = "held"
    LEFT = "left"
    FAILING = "failing"
    PARKED = "parked"
    """No longer looked at until a person says so."""


@dataclass(frozen=True, slots=True)
class Visit:
    """One run of a subscription: what came of it, and why, as a sentence.

    Counts are those of the import, `run` is its id, or `batch` that of all its runs where it goes into many calendars.
    `retry_after` is in seconds, what the server or the LMS asked for; `for_ever` is a 410.
    """

    what: What
    at: datetime
    problem: str = ""
    run: int | None = None
    batch: int | None = None
    events: int = 0
    created: int = 0
    updated: int = 0
    deleted: int = 0
    retry_after: float | None = None
    for_ever: bool = False


@dataclass(frozen=True, slots=True)
class Body:
    """The body that was read last: its SHA-256, what its server said of it, and how often it was imported over the
    window that ends at `until`."""

    hash: str = ""
    validators: Validators = field(default_factory=Validators)
    readings: int = 0
    until: datetime | None = None

    def is_settled(self, until: datetime, grace: int) -> bool:
        """Whether it was read over the window that ends so as often as an event has to be missing: then nothing could
        change."""
        return self.readings >= grace and self.until == until

    def is_same(self, hash: str, until: datetime) -> bool:
        return (self.hash, self.until) == (hash, until)

    def read_again(self, hash: str, validators: Validators, until: datetime) -> Body:
        """It, or another one, was imported."""
        return Body(hash, validators, self.readings + 1 if self.is_same(hash, until) else 1, until)


@dataclass(frozen=True, slots=True)
class State:
    """How it stands. `problem` is a sentence, empty if nothing stands in the way; `ok_at` is when a whole calendar was
    last had or confirmed, `missing_since` when the server began to know of none."""

    next_check: datetime
    standing: Standing = Standing.NEW
    failures: int = 0
    missing_since: datetime | None = None
    ok_at: datetime | None = None
    problem: str = ""
    body: Body = field(default_factory=Body)


def after(state: State, visit: Visit, every: timedelta, dice: float) -> State:
    """The state after a visit; `dice` is a share from 0 to 1."""
    now = visit.at
    well = replace(state, next_check=now + every, failures=0, missing_since=None, ok_at=now)
    match visit.what:
        case What.BUSY:
            return replace(state, next_check=now + min(every, BUSY_PAUSE))
        case What.DONE:
            return replace(well, standing=Standing.FINE, problem=visit.problem)
        case What.UNCHANGED if state.standing is Standing.HELD:
            return well
        case What.UNCHANGED:
            return replace(well, standing=Standing.FINE)
        case What.HELD:
            return replace(well, standing=Standing.HELD, problem=visit.problem)
        case What.LEFT:
            pause = max(min(every, FIRST_PAUSE), _asked(visit))
            return replace(well, standing=Standing.LEFT, problem=visit.problem, next_check=now + pause)
    return _failed(state, visit, dice)


def _failed(state: State, visit: Visit, dice: float) -> State:
    """1, 2, 4 … 24 hours, and not before what was asked for. A calendar that is gone is not asked for for ever."""
    failures = state.failures + 1
    pause = min(FIRST_PAUSE * (1 << min(failures - 1, 10)), LONGEST_PAUSE) * (1 + JITTER * dice)
    since = (state.missing_since or visit.at) if visit.what is What.MISSING else None
    gone = visit.for_ever or (since is not None and visit.at - since >= MISSED_FOR)
    return replace(
        state,
        standing=Standing.PARKED if gone else Standing.FAILING,
        next_check=visit.at + max(pause, _asked(visit)),
        failures=failures,
        missing_since=since,
        problem=visit.problem,
    )


def _asked(visit: Visit) -> timedelta:
    return min(timedelta(seconds=min(visit.retry_after or 0.0, 1e6)), LONGEST_PAUSE)
