"""The values of publishing: feeds, readings and snapshots, and when to look at an LMS again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from hashlib import sha256
from typing import Any
from zoneinfo import ZoneInfo

from app.feeds.policies import USUAL, Policies
from bridges.model import CalendarRef, Event, Horizon, RemoteRef, Window

USUAL_HORIZON = Horizon(timedelta(weeks=2), timedelta(days=183))
"""Two weeks back and half a year ahead: Google loses events of feeds above about 1 MB."""

FIRST_RETRY = timedelta(minutes=1)
LONGEST_BACKOFF = timedelta(hours=6)
LONGEST_ASKED = timedelta(days=1)


class Form(StrEnum):
    """What a feed comes as; its path says which, and nothing else does."""

    ICS = "ics"
    OUTLOOK = "ics-outlook"
    GOOGLE = "ics-google"
    APPLE = "ics-apple"
    JSON = "json"
    JCAL = "jcal"  # RFC 7265
    ATOM = "atom"  # what has changed (RFC 4287)
    LEARNINGSPACE = "bookings"  # the JSON of CAE LearningSpace's public calendar


AT_EVERY_ADDRESS = (Form.ICS, Form.JSON)
"""Those that people are shown the address of."""
ENDINGS = (*AT_EVERY_ADDRESS, Form.JCAL, Form.ATOM)
"""All that the ending of a feed's address may ask for."""


@dataclass(frozen=True, slots=True)
class Feed:
    """What we publish under one address. `slug` is the address's readable part and the feed's name for operators.

    `also` are further calendars that are joined under the same address. `view` names what a narrower token shows of
    it, empty for all of it.
    """

    id: int
    slug: str
    title: str
    calendar: CalendarRef
    public: bool
    enabled: bool
    created_at: datetime
    also: tuple[CalendarRef, ...] = ()
    policies: Policies = USUAL
    view: str = ""

    @property
    def calendars(self) -> tuple[CalendarRef, ...]:
        """All that it is made of, as its operator named them."""
        return (self.calendar, *self.also)

    def to_json(self) -> dict[str, Any]:
        """What it is; `calendar` is the first of its `calendars`, `policies` what of it is not as usual."""
        return {
            "slug": self.slug,
            "title": self.title,
            "calendar": str(self.calendar),
            "calendars": [str(calendar) for calendar in self.calendars],
            "public": self.public,
            "enabled": self.enabled,
            "policies": self.policies.to_json(),
        }

    def under(self, form: Form) -> str:
        """What its body in that form is kept under: a narrower view of it has bodies of its own."""
        return f"{form}:{self.view}" if self.view else str(form)


@dataclass(frozen=True, slots=True)
class Token:
    """What may be told of a feed's address: whose it is, since and until when, and who used it last; all but itself.

    `used_at` is true to ten minutes; `client` is the family of the program that used it then. `parent` is the name of
    the token that it was made from, and `shows` what it shows less of; empty for all of the feed.
    """

    name: str
    created_at: datetime
    until: datetime | None
    used_at: datetime | None
    client: str | None
    parent: str | None = None
    shows: str = ""

    def to_json(self) -> dict[str, Any]:
        """All of it; times as ISO 8601 in UTC."""
        times = {name: getattr(self, name) for name in ("created_at", "until", "used_at")}
        told = {name: at and at.isoformat() for name, at in times.items()}
        return {"name": self.name, **told, "client": self.client, "parent": self.parent, "shows": self.shows}


@dataclass(frozen=True, slots=True)
class Version:
    """What we know of an event's content: its hash, since when it was seen, how often it changed before."""

    hash: str
    seen_at: datetime
    sequence: int = 0


@dataclass(frozen=True, slots=True)
class Shown:
    """An event of a reading as feeds show it: `modified` is the LMS's time of change, or when we saw this content.

    `kind` is the LMS's word for what it is, `rooms` are those that its bridge told apart.
    """

    ref: RemoteRef
    event: Event
    modified: datetime
    sequence: int
    kind: str = ""
    rooms: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class State:
    """How a calendar's reading stands: `read_at`, `hash` and `window` are None until there was a whole one.

    `problem` is a sentence on why the latest try failed, or is not wholly believed; `failures` counts those in a row.
    Since `missing_since` the LMS says that there is no such calendar. All of its window is due at `far_check`, the
    near part at `next_check`; `quiet` readings in a row brought nothing new. Who is in the course is asked at
    `roster_check`, None for the next reading.
    """

    read_at: datetime | None
    hash: str | None
    window: Window | None
    next_check: datetime
    failures: int = 0
    problem: str = ""
    missing_since: datetime | None = None
    far_check: datetime | None = None
    quiet: int = 0
    roster_check: datetime | None = None

    def lapsed(self, now: datetime, grace: timedelta) -> bool:
        """Whether the LMS has said for longer than `grace` that there is no such calendar."""
        return self.missing_since is not None and now - self.missing_since >= grace


def joined(states: Mapping[CalendarRef, State | None], policies: Policies, zone: ZoneInfo) -> State | None:
    """How the calendars of one feed stand together; None if nobody ever tried to read one.

    It is as old as the oldest reading, and has the worst one's problem. Its window is the newest reading's, narrowed
    as the policies say; its hash names the readings, None until there is one.
    """
    known = {calendar: state for calendar, state in states.items() if state}
    if not known:
        return None
    read = {calendar: (state.read_at, state.window) for calendar, state in known.items() if state.read_at}
    newest, window = max(read.values(), key=lambda one: one[0], default=(None, None))
    names = "\n".join(f"{calendar} {known[calendar].hash}" for calendar in read)
    worst = max(known.values(), key=lambda state: (state.failures, bool(state.problem)))
    return State(
        read_at=min((at for at, _ in read.values()), default=None),
        hash=sha256(names.encode()).hexdigest() if read else None,
        window=_narrowed(window, policies, newest.astimezone(zone)) if window and newest else None,
        next_check=min(state.next_check for state in known.values()),
        failures=worst.failures,
        problem=worst.problem,
        missing_since=min((state.missing_since for state in known.values() if state.missing_since), default=None),
    )


def _narrowed(window: Window, policies: Policies, read_at: datetime) -> Window:
    """The part of a reading's window, on the day when it was read, that is shown."""
    if policies.back is None and policies.ahead is None:
        return window
    today = read_at.replace(hour=0, minute=0, second=0, microsecond=0)
    start = window.start if policies.back is None else max(window.start, today - timedelta(days=policies.back))
    end = window.end if policies.ahead is None else min(window.end, today + timedelta(days=policies.ahead))
    return Window(start, end)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The last good body of a feed in one form, at the time `at` when it was asked for; all times are aware.

    `etag` is the body's hash, unquoted. `stale` says that the LMS should have been read again, and could not be.
    """

    feed: Feed
    form: Form
    body: bytes
    etag: str
    changed_at: datetime
    read_at: datetime
    at: datetime
    stale: bool
    problem: str = ""

    @property
    def age(self) -> timedelta:
        """How long ago the LMS last told what is shown."""
        return max(self.at - self.read_at, timedelta(0))


class Did(StrEnum):
    """What a refresh came to."""

    READ = "read"
    FAILED = "failed"
    FRESH = "fresh"  # nothing to do: it was not due any more
    BUSY = "busy"  # somebody else is reading it right now


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a refresh came to, and for a failed one why, in a sentence."""

    did: Did
    problem: str = ""


def worst(outcomes: Iterable[Outcome]) -> Outcome:
    """What refreshes of several calendars came to together: a failure, if there was one."""
    order = [Did.FAILED, Did.BUSY, Did.READ, Did.FRESH]
    return min(outcomes, key=lambda outcome: order.index(outcome.did), default=Outcome(Did.FRESH))


class Unknown(LookupError):
    """There is no such feed, or this token does not open it; nobody learns which."""


class Disabled(Exception):
    """The feed is switched off."""


class Lapsed(Disabled):
    """What the feed shows is gone from the LMS for too long. The message is for people."""


class NotReady(Exception):
    """The calendar could not be read even once; ask again after `retry_after` seconds. The message is for people."""

    def __init__(self, message: str, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after


def next_check(now: datetime, every: timedelta, asked: float | None = None, failures: int = 0) -> datetime:
    """When to read an LMS calendar again.

    After a success in `every`. After the n-th failure in a row in 1, 2, 4 … minutes, six hours at most, and not before
    what the LMS `asked` for in seconds, which counts up to a day.
    """
    if not failures:
        return now + every
    backoff = min(FIRST_RETRY * (1 << min(failures - 1, 20)), LONGEST_BACKOFF)
    if asked is not None and asked > backoff.total_seconds():
        backoff = timedelta(seconds=min(asked, LONGEST_ASKED.total_seconds()))
    return now + backoff
