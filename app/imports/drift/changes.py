"""What people made of our events in an LMS: what was written held against what stands there now. Pure.

An LMS shows what it holds, so what is found is fitted once more before it is compared: an event that nobody touched is
never drift. Whoever is absent from a reading was not necessarily deleted; it may have been moved out of the window.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime, timedelta, tzinfo
from enum import StrEnum
from typing import Any

from app.imports.deciding.guard import Guard
from app.imports.deciding.plan import (
    Change,
    Create,
    Desired,
    Entry,
    Plan,
    State,
    Update,
    delete_of,
    generation_of,
    in_order,
    is_over,
)
from bridges.contract import SinkRules
from bridges.errors import Rejected
from bridges.model import AllDay, CalendarRef, Event, OccurrenceId, RemoteRef, Timed, Window

Fit = Callable[[Event], Event]
_MOMENT = timedelta(seconds=1)
_COMPARED = {State.PRESENT, State.PENDING_UPDATE, State.PENDING_DELETE, State.EDITED, State.DISMISSED}


class Policy(StrEnum):
    """What becomes of what people change or delete in an LMS."""

    KEEP = "keep"
    """It stays as they made it."""
    ASK = "ask"
    """It stays as they made it until somebody has accepted or restored it, and waits in the list for that."""
    OVERWRITE = "overwrite"
    """It is written again as the file has it."""


class Kind(StrEnum):
    """What a person did to an event."""

    EDITED = "edited"
    MOVED = "moved"
    """To another time, and maybe more than that."""
    DELETED = "deleted"


@dataclass(frozen=True, slots=True)
class Finding:
    """An event that does not stand as we wrote it. `theirs` is what stands there, None where nothing does."""

    entry: Entry
    theirs: Event | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """The ledger held against one reading.

    `same` counts what stands as written; `mended` does so again. `changed` stands as somebody else made it. `absent`
    was not in the reading: nobody knows yet whether it was deleted, or moved out of the window, or hidden.
    """

    same: int = 0
    mended: tuple[OccurrenceId, ...] = ()
    changed: tuple[Finding, ...] = ()
    absent: tuple[Entry, ...] = ()

    def doubtful(self, guard: Guard) -> bool:
        """Whether so much is absent that it is rather the calendar that is switched off, or not shown to us."""
        new = sum(entry.state is not State.DISMISSED for entry in self.absent)
        return new > guard.count and new > guard.share * (self.same + len(self.changed) + new)


@dataclass(frozen=True, slots=True)
class Drift:
    """What a person made of one event, as it is listed. `id` numbers it.

    `written` is what we wrote; `theirs` what stands there (None: deleted), `ours` what the file wants by now (None: it
    has the event no more). `accepted` says that somebody has agreed to it.
    """

    id: int
    calendar: CalendarRef
    source: str
    occurrence: OccurrenceId
    seen: datetime
    written: Event
    theirs: Event | None
    ours: Desired | None
    accepted: bool = False

    @property
    def kind(self) -> Kind:
        if self.theirs is None:
            return Kind.DELETED
        return Kind.MOVED if self.theirs.when != self.written.when else Kind.EDITED

    def differences(self) -> Mapping[str, tuple[Any, Any]]:
        """The fields that differ: what we wrote, and what stands there; none for what was deleted."""
        return differences(self.written, self.theirs) if self.theirs else {}


@dataclass(frozen=True, slots=True)
class Return:
    """The plan that writes the file's version again, whose events these are, and what stood there until then."""

    plan: Plan
    owners: Mapping[OccurrenceId, str] = field(default_factory=dict)
    reasons: Mapping[OccurrenceId, str] = field(default_factory=dict)


def compared(entries: Iterable[Entry], window: Window, now: datetime) -> list[Entry]:
    """What a reading of that window can say something about: what stands, or stood, in it and is not over."""
    return [
        entry
        for entry in entries
        if entry.ref is not None
        and entry.state in _COMPARED
        and window.overlaps(entry.event.when)
        and not is_over(entry.event, window, now)
    ]


def compare(entries: Iterable[Entry], found: Mapping[RemoteRef, Event], fit: Fit) -> Comparison:
    """These entries held against what was found under their refs."""
    same, mended, changed, absent = 0, [], [], []
    for entry in entries:
        theirs = found.get(entry.ref) if entry.ref is not None else None
        if theirs is None:
            absent.append(entry)
        elif not _as_written(entry, theirs, fit):
            changed.append(Finding(entry, theirs))
        else:
            same += 1
            if entry.state.drifted:
                mended.append(entry.id)
    return Comparison(same, tuple(mended), tuple(changed), tuple(absent))


def span_of(entries: Iterable[Entry], zone: Window) -> Window | None:
    """The shortest window that holds all of these, in that one's zone; None for none."""
    spans = [zone.span(entry.event.when) for entry in entries]
    if not spans:
        return None
    home = zone.start.tzinfo
    start, end = min(start for start, _ in spans), max(end for _, end in spans)
    return Window(start.astimezone(home), (end + _MOMENT).astimezone(home))


def differences(ours: Event, theirs: Event) -> Mapping[str, tuple[Any, Any]]:
    """The fields in which two events differ, with both values."""
    pairs = {each.name: (getattr(ours, each.name), getattr(theirs, each.name)) for each in fields(Event)}
    return {name: (one, other) for name, (one, other) in pairs.items() if one != other}


def restore_plan(
    drifts: Iterable[Drift],
    ledger: Mapping[OccurrenceId, Entry],
    *,
    calendar: CalendarRef,
    source: str,
    scope: Window,
    rules: SinkRules,
) -> Return:
    """What makes the LMS again what the file wants: written again, or gone where the file has it no more."""
    changes: list[Change] = []
    owners, reasons, forgotten = {}, {}, []
    for drift in drifts:
        entry = ledger.get(drift.occurrence)
        if entry is None or not entry.state.drifted:
            continue
        owners[entry.id] = entry.source
        reasons[entry.id] = _overwritten(drift)
        if (change := _back(entry, drift.ours, rules)) is not None:
            changes.append(change)
        else:
            forgotten.append(entry.id)
    return Return(
        Plan(calendar, source, scope, in_order(changes, scope), forgotten=tuple(forgotten)),
        owners,
        reasons,
    )


def _as_written(entry: Entry, theirs: Event, fit: Fit) -> bool:
    """A change that is pending may have landed or not: either is ours."""
    try:
        fitted = fit(theirs)
    except Rejected:
        fitted = theirs
    return fitted == entry.event or (entry.before is not None and fitted == entry.before.event)


def _back(entry: Entry, ours: Desired | None, rules: SinkRules) -> Change | None:
    if entry.state is State.DISMISSED:
        return Create(entry.id, ours.event, ours.days, generation_of(entry, rules)) if ours else None
    if ours is None or entry.ref is None:
        return delete_of(entry)
    before = Desired(entry.event, entry.days)
    return Update(entry.id, entry.ref, ours.event, ours.days, before, entry.generation)


def _overwritten(drift: Drift) -> str:
    """What is lost by it, for the report."""
    if drift.theirs is None:
        return "Somebody had deleted it in the LMS."
    were = (f"{name} {shown(theirs)}" for name, (_, theirs) in drift.differences().items())
    return f"Somebody had made it in the LMS: {'; '.join(were)}."


def shown(value: Any, zone: tzinfo = UTC) -> str:
    """A field of an event on one line; times in `zone`."""
    if isinstance(value, Timed):
        start, end = value.start.astimezone(zone), value.end.astimezone(zone)
        return f"{start:%Y-%m-%d %H:%M} – {end:%Y-%m-%d %H:%M %Z}"
    if isinstance(value, AllDay):
        return f"{value.start} – {value.end} (not included)"
    text = ", ".join(value) if isinstance(value, tuple) else str(value)
    return f"'{' '.join(text.split())[:200]}'"
