"""What an import would change, decided as values: desired × ledger × scope × rules → Plan. Pure.

Identity is (calendar, UID, slot), whichever import wrote it. Deletion for absence is another matter: it needs an
entry that this very import wrote last, inside the window, not yet over, and a file that was read whole.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TypeVar
from uuid import UUID, uuid5

from app.imports.spool import Spooled
from bridges.contract import SinkRules
from bridges.model import AllDay, CalendarRef, Event, OccurrenceId, RemoteRef, SyncKey, Window, instant

_OURS = UUID("0d4a3a52-6a3e-5c0e-9a0e-5f6d2f1f7c11")
"""The namespace of every GUID that we derive. Changing it would make strangers of all events written so far."""


class State(StrEnum):
    """What became of an entry. The pending ones are intents whose outcome is not known yet."""

    PENDING_CREATE = "pending-create"
    PENDING_UPDATE = "pending-update"
    PENDING_DELETE = "pending-delete"
    PRESENT = "present"
    DELETED = "deleted"
    UNWRITTEN = "unwritten"
    """Meant once, and surely not in the LMS: its key is still unspent."""
    EDITED = "edited"
    """It stands, as a person made it in the LMS."""
    DISMISSED = "dismissed"
    """A person deleted it in the LMS: it is not written again unasked."""

    @property
    def drifted(self) -> bool:
        """Whether a person has changed what we wrote, and it was left so."""
        return self in {State.EDITED, State.DISMISSED}

    @property
    def pending(self) -> bool:
        return self in {State.PENDING_CREATE, State.PENDING_UPDATE, State.PENDING_DELETE}


@dataclass(frozen=True, slots=True)
class Desired:
    """A fitted event, with the days that `fit` made instants of (None where it did not)."""

    event: Event
    days: AllDay | None = None

    def __reduce__(self) -> tuple[type[Desired], tuple[Event, AllDay | None]]:
        """For a spool: what a dataclass brings of itself takes several times as long."""
        return Desired, (self.event, self.days)


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of the ledger. `event` and `days` are as last written, or as meant while pending.

    `before` is what stood there before, while an update is pending. `ref` is None until the LMS has told. `missing`
    counts the whole readings in a row that lacked it; `run` is the run that left it so.
    """

    id: OccurrenceId
    source: str
    generation: int
    state: State
    ref: RemoteRef | None
    event: Event
    days: AllDay | None = None
    before: Desired | None = None
    error: str = ""
    missing: int = 0
    run: int | None = None

    @property
    def live(self) -> bool:
        """Whether it stands in the LMS, as far as we know."""
        return self.ref is not None and self.state in {State.PRESENT, State.PENDING_UPDATE, State.EDITED}


@dataclass(frozen=True, slots=True)
class Create:
    """Write a new event, under the key of this generation."""

    id: OccurrenceId
    event: Event
    days: AllDay | None = None
    generation: int = 0


@dataclass(frozen=True, slots=True)
class Update:
    """Make the event at `ref` as given; `before` is what we wrote there last, in this generation."""

    id: OccurrenceId
    ref: RemoteRef
    event: Event
    days: AllDay | None
    before: Desired
    generation: int = 0


@dataclass(frozen=True, slots=True)
class Delete:
    """Take the event at `ref` away; `event` is what we wrote there last."""

    id: OccurrenceId
    ref: RemoteRef
    event: Event


Change = Create | Update | Delete
Kind = TypeVar("Kind", Create, Update, Delete)


@dataclass(frozen=True, slots=True)
class Spared:
    """An event that is left as a person has it in the LMS. `wanted` is what the file says; None where it lacks it."""

    entry: Entry
    wanted: Desired | None

    @property
    def conflict(self) -> bool:
        """Whether the file has changed as well, since it was written."""
        return self.wanted != Desired(self.entry.event, self.entry.days)


@dataclass(frozen=True, slots=True)
class Plan:
    """The changes, in the order in which they are made: what is written by its start, then what is deleted.

    `adopted` are events that stand as wanted but were written by another import: this one answers for them now.
    `absent` are those that the file lacks, but not often enough yet to be deleted; `found` are there again. `spared`
    are left to the people who changed or deleted them in the LMS; `forgotten` were deleted there and are not wanted.
    Changes that are many lie on the disk.
    """

    calendar: CalendarRef
    source: str
    window: Window
    changes: Sequence[Change] = ()
    unchanged: int = 0
    adopted: tuple[OccurrenceId, ...] = ()
    absent: tuple[OccurrenceId, ...] = ()
    found: tuple[OccurrenceId, ...] = ()
    spared: tuple[Spared, ...] = ()
    forgotten: tuple[OccurrenceId, ...] = ()

    @property
    def creates(self) -> Sequence[Create]:
        return _only(self.changes, Create)

    @property
    def updates(self) -> Sequence[Update]:
        return _only(self.changes, Update)

    @property
    def deletes(self) -> Sequence[Delete]:
        return _only(self.changes, Delete)

    def __str__(self) -> str:
        return (
            f"{self.calendar}: {len(self.creates)} to create, {len(self.updates)} to update, "
            f"{len(self.deletes)} to delete, {self.unchanged} unchanged"
        )


BY_CONTENT = "content:"
"""How the UIDs of our own making begin: those of events that no UID of a file names."""


@dataclass(frozen=True, slots=True)
class Unread:
    """What of the file could not be read or written: events of these UIDs or titles, or nobody knows which (`all`).

    Their absence means nothing. `nameless`: they may also be any of those that are named by their content.
    """

    uids: frozenset[str] = frozenset()
    all: bool = False
    titles: frozenset[str] = frozenset()
    nameless: bool = False

    def hides(self, entry: Entry) -> bool:
        """Whether this entry may be among it."""
        if self.all or entry.id.uid in self.uids or entry.event.title in self.titles:
            return True
        return self.nameless and entry.id.uid.startswith(BY_CONTENT)

    def also(self, other: Unread) -> Unread:
        """What either of them hides."""
        uids, titles = self.uids | other.uids, self.titles | other.titles
        return Unread(uids, self.all or other.all, titles, self.nameless or other.nameless)


NOTHING_UNREAD = Unread()


def make_plan(
    desired: Mapping[OccurrenceId, Desired],
    ledger: Mapping[OccurrenceId, Entry],
    *,
    calendar: CalendarRef,
    source: str,
    scope: Window,
    rules: SinkRules,
    now: datetime,
    unread: Unread = NOTHING_UNREAD,
    grace: int | None = 1,
    overwrite: bool = False,
) -> Plan:
    """The difference between what the file wants and what stands in the ledger of this calendar.

    `desired` holds fitted events and is complete for `scope`, but for `unread`. `now` is aware. `grace` is the
    number of whole readings, this one included, that an event has to be missing in before it is deleted; None: never.
    What people changed or deleted in the LMS is spared, unless it is to be overwritten.
    """
    writes: list[Create | Update] = []
    spared: list[Spared] = []
    unchanged = 0
    adopted, found = [], []
    for id, wanted in desired.items():
        entry = ledger.get(id)
        if entry is not None and entry.state.drifted and not overwrite:
            spared.append(Spared(entry, wanted))
            if entry.missing:
                found.append(id)
            continue
        if entry is None or not entry.live or entry.ref is None:
            writes.append(Create(id, wanted.event, wanted.days, generation_of(entry, rules)))
            continue
        if entry.missing:
            found.append(id)
        if (written := Desired(entry.event, entry.days)) != wanted or entry.state is State.EDITED:
            writes.append(Update(id, entry.ref, wanted.event, wanted.days, written, entry.generation))
        else:
            unchanged += 1
            if entry.source != source:
                adopted.append(id)
    missing = [
        entry
        for id, entry in ledger.items()
        if id not in desired
        and (entry.live or entry.state is State.DISMISSED)
        and entry.source == source
        and not unread.hides(entry)
        and scope.overlaps(entry.event.when)
        and not is_over(entry.event, scope, now)
    ]
    due = [] if grace is None else [entry for entry in missing if entry.missing + 1 >= grace]
    waiting = [] if grace is None else [entry.id for entry in missing if entry.missing + 1 < grace]
    kept = [entry for entry in due if entry.state is State.EDITED and not overwrite]
    deleted = [entry for entry in due if entry.live and (overwrite or entry.state is not State.EDITED)]
    return Plan(
        calendar,
        source,
        scope,
        in_order([*writes, *map(delete_of, deleted)], scope),
        unchanged,
        tuple(sorted(adopted, key=str)),
        tuple(sorted(waiting, key=str)),
        tuple(sorted(found, key=str)),
        tuple(sorted((*spared, *(Spared(entry, None) for entry in kept)), key=lambda each: str(each.entry.id))),
        tuple(sorted((entry.id for entry in due if entry.state is State.DISMISSED), key=str)),
    )


def in_order(changes: Iterable[Change], scope: Window) -> tuple[Change, ...]:
    """As they are made: what is written by its start, then what is deleted by its start."""
    return tuple(sorted(changes, key=place_in(scope)))


def place_in(scope: Window) -> Callable[[Change], tuple[bool, datetime, str]]:
    """What changes are put in order by."""

    def place(change: Change) -> tuple[bool, datetime, str]:
        return isinstance(change, Delete), scope.span(change.event.when)[0], str(change.id)

    return place


def _only(changes: Sequence[Change], kind: type[Kind]) -> Sequence[Kind]:
    if isinstance(changes, Spooled):
        return changes.of(kind)
    return tuple(change for change in changes if isinstance(change, kind))


def delete_of(entry: Entry) -> Delete:
    """The deletion of an event that stands."""
    if entry.ref is None:
        raise ValueError(f"{entry.id} does not stand in the LMS")
    return Delete(entry.id, entry.ref, entry.event)


def sync_key(partner: str, calendar: CalendarRef, id: OccurrenceId, generation: int) -> SyncKey:
    """Our name for one life of an occurrence in one calendar: the same for the same arguments, for ever."""
    name = json.dumps([str(calendar), id.uid, id.slot_text, generation])
    return SyncKey(partner, uuid5(_OURS, name))


def is_over(event: Event, scope: Window, now: datetime) -> bool:
    """Whether the event ended before `now`; days end at midnight of the window's own zone."""
    return scope.span(event.when)[1] < instant(now)


def next_generation(generation: int, rules: SinkRules) -> int:
    """The generation for an event that comes back after it was deleted."""
    return generation if rules.keys_reusable else generation + 1


def generation_of(entry: Entry | None, rules: SinkRules) -> int:
    """The generation for an event that is to be created, where this is what the ledger says of it."""
    if entry is None:
        return 0
    if entry.state in {State.UNWRITTEN, State.PENDING_CREATE}:
        return entry.generation
    return next_generation(entry.generation, rules)
