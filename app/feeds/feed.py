"""The values of publishing: feeds, readings and snapshots, and when to look at an LMS again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from bridges.model import CalendarRef, Event, Horizon, RemoteRef, Window

USUAL_HORIZON = Horizon(timedelta(weeks=2), timedelta(days=183))
"""Two weeks back and half a year ahead: Google loses events of feeds above about 1 MB."""

FIRST_RETRY = timedelta(minutes=1)
LONGEST_BACKOFF = timedelta(hours=6)
LONGEST_ASKED = timedelta(days=1)


class Form(StrEnum):
    """What a feed comes as; the end of its path says which, and nothing else does."""

    ICS = "ics"
    JSON = "json"


class Cancelled(StrEnum):
    """What becomes of cancelled events: Outlook shows them as if they took place, so that leaving them out is usual."""

    OMIT = "omit"
    SHOW = "show"


@dataclass(frozen=True, slots=True)
class Policies:
    """What a feed shows of a reading."""

    cancelled: Cancelled = Cancelled.OMIT


@dataclass(frozen=True, slots=True)
class Feed:
    """What we publish under one address. `slug` is the address's readable part and the feed's name for operators."""

    id: int
    slug: str
    title: str
    calendar: CalendarRef
    public: bool
    enabled: bool
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Version:
    """What we know of an event's content: its hash, since when it was seen, how often it changed before."""

    hash: str
    seen_at: datetime
    sequence: int = 0


@dataclass(frozen=True, slots=True)
class Shown:
    """An event of a reading as feeds show it: `modified` is the LMS's time of change, or when we saw this content."""

    ref: RemoteRef
    event: Event
    modified: datetime
    sequence: int


@dataclass(frozen=True, slots=True)
class Reading:
    """A whole reading of one calendar: what it held in the window. Equal readings have equal hashes."""

    hash: str
    window: Window
    events: tuple[Shown, ...]


@dataclass(frozen=True, slots=True)
class State:
    """How a calendar's reading stands: `read_at`, `hash` and `window` are None until there was a whole one.

    `problem` is a sentence on why the latest try failed, empty if it did not; `failures` counts those in a row.
    """

    read_at: datetime | None
    hash: str | None
    window: Window | None
    next_check: datetime
    failures: int = 0
    problem: str = ""


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


class Unknown(LookupError):
    """There is no such feed, or this token does not open it; nobody learns which."""


class Disabled(Exception):
    """The feed is switched off."""


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
