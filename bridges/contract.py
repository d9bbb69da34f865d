"""What a bridge promises: a Source reads calendars, a Sink writes to them, and SinkRules say how a Sink differs.

The suite in tests/bridges/contract.py is the contract's other half: every bridge inherits it.
Every method may raise the errors of bridges.errors and no others.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from threading import RLock
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from bridges.errors import BridgeError
from bridges.model import Calendar, CalendarRef, Event, Found, RemoteRef, SyncKey, When, Window

if TYPE_CHECKING:
    import requests


@runtime_checkable
class Source(Protocol):
    """Reads calendars."""

    def calendars(self) -> Iterable[Calendar]:
        """Every calendar that this connection can see."""

    def read(self, calendar: CalendarRef, window: Window) -> Sequence[Found]:
        """Everything that overlaps the window, whole, or an error; series come as their single occurrences.

        Order is by start, then ref; no ref twice. A partial reading is never returned: silence means absence.
        """


@runtime_checkable
class Priced(Protocol):
    """A Source that knows what a reading costs; of any other it is one call."""

    def read_cost(self, window: Window) -> int:
        """The calls that a reading of one calendar over that window takes at least. Pure."""


@dataclass(frozen=True, slots=True)
class SinkRules:
    """How this LMS differs, as data: the planner and apply take it as one more argument.

    keys_reusable   a SyncKey may be used again after its event was deleted
    keeps_all_day   all-day events are held as such; else `fit` makes instants and the ledger remembers the days
    finds_by_key    `find` asks by SyncKey; else it matches by value, and the caller rules out refs it knows
    writers         how many writes the LMS takes at a time, each from a thread of its own; a BatchSink has one writer
    batch           how many orders a BatchSink is handed at a time: best the number that fits into one of its calls
    """

    keys_reusable: bool = True
    keeps_all_day: bool = True
    finds_by_key: bool = False
    writers: int = 1
    batch: int = 100


@runtime_checkable
class Sink(Protocol):
    """Writes single events to calendars. `event` is always a fitted one."""

    @property
    def rules(self) -> SinkRules: ...

    def check_target(self, calendar: CalendarRef) -> None:
        """Denied, with the reason, where this connection can never write into the calendar. Costs no call."""

    def fit(self, event: Event) -> Event:
        """The event as this LMS can hold it. Pure and idempotent: fit(fit(e)) == fit(e).

        Rejected where no fit exists (a floating time).
        """

    def create(self, calendar: CalendarRef, key: SyncKey, event: Event) -> RemoteRef:
        """Write a new event, once. KeyTaken where the LMS knows keys and has seen this one."""

    def update(self, calendar: CalendarRef, ref: RemoteRef, event: Event) -> RemoteRef:
        """Make the event as given; safe to repeat. Returns the ref it has from now on. Gone if it is not there."""

    def delete(self, calendar: CalendarRef, ref: RemoteRef) -> None:
        """Take the event away; safe to repeat: one that is already gone counts as done."""

    def find(self, calendar: CalendarRef, key: SyncKey, event: Event) -> Sequence[RemoteRef]:
        """What a create whose answer was lost may have left behind: by key where keys are ours, else by equal value."""


@dataclass(frozen=True, slots=True)
class Put:
    """One event to write: a new one where `ref` is None, else the one at `ref`. `key` names it in either case."""

    key: SyncKey
    event: Event
    ref: RemoteRef | None = None


@dataclass(frozen=True, slots=True)
class Drop:
    """One event to take away."""

    ref: RemoteRef


Order = Put | Drop


@runtime_checkable
class BatchSink(Sink, Protocol):
    """A Sink whose LMS takes many changes in one call."""

    def carry_out(self, calendar: CalendarRef, orders: Sequence[Order]) -> Sequence[RemoteRef | BridgeError | None]:
        """One outcome for each order, in their order: the ref of what was put, None for what was dropped, or the error.

        An error is returned, never raised, so that no outcome hides another. A Transient means that the order may
        have landed; NotSent, Rejected and Denied mean that it surely did not. The bridge cuts the orders into calls.
        """


@runtime_checkable
class Lookup(Source, Protocol):
    """A Source that finds an event by its ref, wherever in time it lies and whether or not people are shown it."""

    def look_up(self, calendar: CalendarRef, refs: Sequence[RemoteRef]) -> Mapping[RemoteRef, Found]:
        """Those of these events that are there. What is missing from the answer surely is not there (any more)."""


@runtime_checkable
class Directory(Protocol):
    """An LMS that can say which calendars are a person's."""

    def calendars_of(self, person: str) -> Sequence[CalendarRef]:
        """The calendars that this person (in the LMS's own spelling of people) may see now. Gone for nobody known."""


@runtime_checkable
class Roster(Directory, Protocol):
    """A Directory that can also say who is in a course: one question for all of its people."""

    def members_of(self, calendar: CalendarRef) -> Collection[str] | None:
        """Those to whom `calendars_of` would name this calendar now. None, at no cost, where it has no such list."""

    def is_in_rosters(self, person: str) -> bool:
        """Whether these lists spell this person so. Pure."""


@dataclass(frozen=True, slots=True)
class Part:
    """A whole reading that speaks for less time than was asked for.

    `window` is that time, None for none at all. An event that does not lie wholly inside it may exist and still not
    be in `found`: its absence means nothing, and what was known of it is to be kept.
    """

    found: Sequence[Found]
    window: Window | None


@runtime_checkable
class PartialSource(Source, Protocol):
    """A Source whose LMS shows a moving part of its calendars, and may name no event."""

    def read_part(self, calendar: CalendarRef, window: Window) -> Part:
        """As `read`, with the part of the window that the reading speaks for."""

    def recognise(self, before: Iterable[Found], now: Iterable[Found]) -> Sequence[Found]:
        """The reading `now` under the refs that its events had in the reading `before`. Pure."""


@runtime_checkable
class Keyed(Protocol):
    """A Source that can only read what it is asked for by name: whoever holds the ledger sets `known_keys`."""

    known_keys: Callable[[CalendarRef, Window], Iterable[RemoteRef]] | None


@runtime_checkable
class Aliases(Protocol):
    """An LMS whose calendars go by several names."""

    def canonical(self, calendar: CalendarRef) -> CalendarRef:
        """The one name that stands for all of them, equal for equal calendars. Gone for one that is not there."""


@runtime_checkable
class Wired(Protocol):
    """A sink whose times go over the line in a form of their own."""

    def wired(self, when: When) -> tuple[str, str]:
        """Start and end of a fitted time, as they are sent."""


@dataclass(frozen=True, slots=True)
class Quota:
    """What an LMS account has left. `resets_at` is aware, None if unknown."""

    limit: int
    remaining: int
    resets_at: datetime | None


class Meter(Protocol):
    """Remembers the quota of one LMS account, across restarts and workers."""

    def spent(self, calls: int = 1) -> None:
        """Count calls that were sent."""

    def note(self, quota: Quota) -> None:
        """Keep what the LMS said last."""

    def quota(self) -> Quota | None:
        """What was noted last, if it still holds."""


@dataclass(slots=True)
class PlainMeter:
    """A meter for one process that remembers nothing beyond it."""

    calls: int = 0
    last: Quota | None = None

    def spent(self, calls: int = 1) -> None:
        self.calls += calls

    def note(self, quota: Quota) -> None:
        self.last = quota

    def quota(self) -> Quota | None:
        return self.last


class Vault(Protocol):
    """Secrets that an LMS changes by itself, such as refresh tokens: encrypted at rest, shared by all processes."""

    def get(self, name: str) -> str | None:
        """The secret, or None if none was put."""

    def put(self, name: str, secret: str) -> None:
        """Keep the secret; it is safely stored when this returns."""

    def alone(self, name: str) -> AbstractContextManager[None]:
        """Held by one thread of one process at a time: read, use up and replace a one-time secret within it."""


@dataclass(slots=True)
class PlainVault:
    """A vault for one process that forgets everything at its end."""

    secrets: dict[str, str] = field(default_factory=dict, repr=False)
    lock: AbstractContextManager[Any] = field(default_factory=RLock)

    def get(self, name: str) -> str | None:
        return self.secrets.get(name)

    def put(self, name: str, secret: str) -> None:
        self.secrets[name] = secret

    @contextmanager
    def alone(self, name: str) -> Iterator[None]:
        with self.lock:
            yield


@dataclass(frozen=True, slots=True)
class Tools:
    """What the app lends to a bridge: nothing in here is read from the environment.

    `session` makes a requests session for one thread (tests mount an in-process server on it); `now` is the one
    clock, in UTC; `database` is the SQLAlchemy URL of the store, for the bridge whose LMS is our own; `vault` keeps
    the secrets that an LMS hands out one by one.
    """

    now: Callable[[], datetime]
    session: Callable[[], requests.Session]
    meter: Meter = field(default_factory=PlainMeter)
    database: str = "sqlite://"
    vault: Vault = field(default_factory=PlainVault)
