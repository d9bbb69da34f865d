"""The nouns that both banks share: events, times, windows, and the names of calendars and of what stands in them.

Everything here is an immutable value. Nothing reads a clock, opens a socket or knows an LMS.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import Any, NewType, Self, cast
from uuid import UUID


def instant(moment: datetime) -> datetime:
    """The same moment in UTC; a floating (naive) time stays as it is.

    Aware datetimes are compared through this: Python compares two times of one zone by their wall clocks (so the
    two 02:30s of an autumn night would be equal), and never finds a folded time equal to its own UTC instant.
    """
    return moment.astimezone(UTC) if moment.tzinfo else moment


@dataclass(frozen=True, slots=True, eq=False)
class Timed:
    """Instants with a zone; the end is not included. start == end is a deadline.

    Both ends are aware, or both are naive: a *floating* time (RFC 5545 section 3.3.5), which only lives between
    the parser and the choice of a home zone and is refused by every sink. Equality is that of the instants; the
    zone is how they are shown.
    """

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        if (self.start.tzinfo is None) != (self.end.tzinfo is None):
            raise ValueError("one end has a zone and the other has none")
        if instant(self.end) < instant(self.start):
            raise ValueError(f"ends ({self.end.isoformat()}) before it starts ({self.start.isoformat()})")

    @property
    def floating(self) -> bool:
        return self.start.tzinfo is None

    def _instants(self) -> tuple[datetime, datetime]:
        return instant(self.start), instant(self.end)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Timed) and self._instants() == other._instants()

    def __hash__(self) -> int:
        return hash(self._instants())


@dataclass(frozen=True, slots=True)
class AllDay:
    """Whole days on a wall calendar, the end not included; no zone, on purpose."""

    start: date
    end: date

    def __post_init__(self) -> None:
        if isinstance(self.start, datetime) or isinstance(self.end, datetime):
            raise ValueError("all-day means dates, not times")
        if self.end <= self.start:
            raise ValueError(f"ends ({self.end}) before the day it starts on ({self.start}) is over")


When = Timed | AllDay


class Status(StrEnum):
    """STATUS of a VEVENT (RFC 5545 section 3.8.1.11), in lower case."""

    CONFIRMED = "confirmed"
    TENTATIVE = "tentative"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Event:
    """What happens, as a value. `text` and `title` are plain text; `url` is the event's own page, or empty."""

    title: str
    when: When
    text: str = ""
    place: str = ""
    categories: tuple[str, ...] = ()
    url: str = ""
    status: Status = Status.CONFIRMED


@dataclass(frozen=True, slots=True)
class OccurrenceId:
    """The UID; for a member of a series also the slot: the original start as a UTC instant, or a date if all-day.

    Derived by us from the rule, never read off RECURRENCE-ID: expanders put one on single events, and overrides
    keep their own zone. `slot` is a naive datetime only where the whole series floats and no home zone was given.
    """

    uid: str
    slot: datetime | date | None = None

    def __str__(self) -> str:
        return self.uid if self.slot is None else f"{self.uid}/{self.slot_text}"

    @property
    def slot_text(self) -> str:
        """The slot as basic ISO 8601 (`20250310T080000Z`, `20250310`), or "" for a single event."""
        if self.slot is None:
            return ""
        if not isinstance(self.slot, datetime):
            return f"{self.slot.year:04}{self.slot:%m%d}"
        return f"{self.slot.year:04}{self.slot:%m%dT%H%M%S}{'Z' if self.slot.tzinfo else ''}"


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One happening of an ICS event."""

    id: OccurrenceId
    event: Event


# A reader of a term's timetable makes these by the hundred thousand, and a frozen dataclass takes its time with each
# field. So the fields are laid out in a class of the same slots that is not frozen, which then becomes the real one.


class _Times:
    __slots__ = ("end", "start")

    def __init__(self, start: datetime, end: datetime) -> None:
        self.start = start
        self.end = end


class _Words:
    __slots__ = ("categories", "place", "status", "text", "title", "url", "when")

    def __init__(self, like: Event, when: When) -> None:
        self.title = like.title
        self.when = when
        self.text = like.text
        self.place = like.place
        self.categories = like.categories
        self.url = like.url
        self.status = like.status


class _Name:
    __slots__ = ("slot", "uid")

    def __init__(self, uid: str, slot: datetime | date | None) -> None:
        self.uid = uid
        self.slot = slot


class _Pair:
    __slots__ = ("event", "id")

    def __init__(self, id: _Name, event: _Words) -> None:
        self.id = id
        self.event = event


def known_timed(start: datetime, end: datetime) -> Timed:
    """Timed(start, end), unchecked: for who has made both in one zone, the end out of the start."""
    made: Any = _Times(start, end)
    made.__class__ = Timed
    return cast(Timed, made)


def happening(uid: str, slot: datetime | date | None, like: Event, when: When) -> Occurrence:
    """Occurrence(OccurrenceId(uid, slot), replace(like, when=when)), several times as fast."""
    name: Any = _Name(uid, slot)
    words: Any = _Words(like, when)
    made: Any = _Pair(name, words)
    name.__class__ = OccurrenceId
    words.__class__ = Event
    made.__class__ = Occurrence
    return cast(Occurrence, made)


@dataclass(frozen=True, slots=True)
class Window:
    """The half-open time [start, end) that a read or a plan speaks for; both ends are aware.

    `start.tzinfo` is the home zone: all-day events are laid out in it when they are held against the window.
    """

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        if self.start.tzinfo is None or self.end.tzinfo is None:
            raise ValueError("a window needs a zone at both ends")
        if instant(self.end) <= instant(self.start):
            raise ValueError("a window has to end after it starts")

    def overlaps(self, when: When) -> bool:
        """Whether some of `when` lies inside; a moment without length counts as inside at the start, not the end."""
        start, end = self.span(when)
        first, last = instant(self.start), instant(self.end)
        return first <= start < last if start == end else start < last and end > first

    def span(self, when: When) -> tuple[datetime, datetime]:
        """`when` as two UTC instants; days begin at midnight of the window's own zone, and so do floating times."""
        zone = self.start.tzinfo
        if isinstance(when, AllDay):
            return (
                datetime.combine(when.start, time(), zone).astimezone(UTC),
                datetime.combine(when.end, time(), zone).astimezone(UTC),
            )
        if when.floating:
            return when.start.replace(tzinfo=zone).astimezone(UTC), when.end.replace(tzinfo=zone).astimezone(UTC)
        return instant(when.start), instant(when.end)


@dataclass(frozen=True, slots=True)
class Horizon:
    """How far around *now* we look."""

    back: timedelta
    ahead: timedelta

    def at(self, now: datetime) -> Window:
        """The window around `now`, cut at midnights of now's own zone, so that it moves once a day and not always."""
        today = now.replace(hour=0, minute=0, second=0, microsecond=0)
        return Window(today - self.back, today + self.ahead)


class Kind(StrEnum):
    """What kind of calendar a CalendarRef names."""

    COURSE = "course"
    INSTITUTION = "institution"
    OFFICE_HOURS = "office-hours"
    PERSON = "person"
    ROOM = "room"


@dataclass(frozen=True, slots=True, order=True)
class CalendarRef:
    """One calendar at one configured LMS. Written `lms/kind/id`, for example `learn/course/_12594_1`.

    `lms` is the connection's name in the configuration. `id` is the LMS's own name for it (it may hold any
    character but control characters); INSTITUTION calendars have none and are written `lms/institution`.
    """

    lms: str
    kind: Kind
    id: str = ""

    def __str__(self) -> str:
        return f"{self.lms}/{self.kind}/{self.id}" if self.id else f"{self.lms}/{self.kind}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """The inverse of str(); ValueError says what the form is."""
        lms, _, rest = text.partition("/")
        kind, _, id = rest.partition("/")
        if not lms or kind not in set(Kind) or not (id or kind == Kind.INSTITUTION) or not text.isprintable():
            raise ValueError(
                f"'{text}' names no calendar: write lms/kind/id, for example learn/course/_12594_1 "
                f"(kinds: {', '.join(Kind)})"
            )
        return cls(lms, Kind(kind), id)


@dataclass(frozen=True, slots=True)
class Calendar:
    """A calendar as its LMS lists it: `writable` says whether this connection may write into it."""

    ref: CalendarRef
    name: str
    writable: bool = False


RemoteRef = NewType("RemoteRef", str)
"""An event's name in its LMS, opaque to everyone but its bridge; unique within one connection."""


@dataclass(frozen=True, slots=True)
class SyncKey:
    """Our name for an occurrence at an LMS: partner + GUID. A new generation makes a new one."""

    partner: str
    guid: UUID

    def __str__(self) -> str:
        return f"{self.partner}-{self.guid}"


@dataclass(frozen=True, slots=True)
class Found:
    """An event as it stands in an LMS.

    `modified` is the LMS's own time of last change (aware), None where it keeps none. `kind` is the LMS's word
    for what it is (`Course`, `GradebookColumn` …), for filters. Not `writable`: it is never planned against.
    """

    ref: RemoteRef
    event: Event
    writable: bool = True
    modified: datetime | None = None
    kind: str = ""
    extra: Mapping[str, str] = field(default_factory=dict, hash=False)
