"""What became of a plan, as values, and the JSON that plans and reports are kept and answered as."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from typing import Any, overload

from app.imports.deciding.plan import Change, Create, Delete, Desired, Plan, Spared, State, Update
from app.imports.spool import HELD, Spooled
from app.store.values import event_to_json, when_to_json
from bridges.model import OccurrenceId

Progress = Callable[[int, int], None]
"""Called with (changes made, changes in all) before each portion of changes and at the end; from any thread, but
never from two at a time."""


DELETED_THERE = "Somebody has deleted it in the LMS. It was left so: 'calbridge drift restore' writes it again."
LEFT_SO = "It was left so; 'calbridge drift list' shows it, and 'drift restore' writes it again."


def silent(_done: int, _of: int) -> None:
    """The progress that nobody watches."""


class Deed(StrEnum):
    """What was done, or was to be done, to one event."""

    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"
    FIT = "fit"
    """Not even tried: the LMS cannot hold such an event."""
    RECREATE = "recreate"
    """Somebody deleted it in the LMS; the file wants it, so it was written anew."""
    LEAVE = "leave"
    """Somebody changed or deleted it in the LMS, and it was left so."""


@dataclass(frozen=True, slots=True)
class Note:
    """One event of the report; `reason` is a sentence, empty where there is nothing to explain."""

    id: OccurrenceId
    title: str
    deed: Deed
    reason: str = ""


class Notes(Sequence[Note]):
    """The notes of changes that may lie on the disk: made when they are asked for. A slice is a tuple.

    `places` are those of the changes in their plan, `told` what there is to tell of some of them; all others have the
    same reason.
    """

    def __init__(
        self, changes: Sequence[Change], places: array[int], told: Mapping[int, Note], reason: str = ""
    ) -> None:
        self._changes = changes
        self._places = places
        self._told = told
        self._reason = reason

    def __len__(self) -> int:
        return len(self._places)

    @overload
    def __getitem__(self, place: int) -> Note: ...
    @overload
    def __getitem__(self, place: slice) -> tuple[Note, ...]: ...
    def __getitem__(self, place: int | slice) -> Note | tuple[Note, ...]:
        if isinstance(place, slice):
            return tuple(map(self._note, self._places[place]))
        return self._note(self._places[place])

    def deeds(self) -> Counter[Deed]:
        """How often each deed is in it; the changes are not read for it."""
        if not isinstance(self._changes, Spooled):
            return Counter(note.deed for note in self)
        kind, told = self._changes.kind, self._told
        return Counter(told[place].deed if place in told else _DEEDS[kind(place)] for place in self._places)

    def _note(self, place: int) -> Note:
        return self._told.get(place) or note(self._changes[place], self._reason)


@dataclass(frozen=True, slots=True)
class Report:
    """Done, refused, left, spared. `left` was not tried or its answer was lost; the next run takes it up. `spared` is
    as people have it in the LMS.

    `stopped` says why there is something left, and `retry_after` when it is worth a try (seconds, None: unsaid).
    """

    done: Sequence[Note] = ()
    unchanged: int = 0
    refused: tuple[Note, ...] = ()
    left: Sequence[Note] = ()
    stopped: str = ""
    denied: bool = False
    retry_after: float | None = None
    spared: tuple[Note, ...] = ()

    def count(self, *deeds: Deed) -> int:
        """How many events this was done to."""
        if isinstance(self.done, Notes):
            return sum(self.done.deeds()[deed] for deed in deeds)
        return sum(note.deed in deeds for note in self.done)

    @property
    def created(self) -> int:
        return self.count(Deed.CREATE, Deed.RECREATE)

    @property
    def updated(self) -> int:
        return self.count(Deed.UPDATE)

    @property
    def deleted(self) -> int:
        return self.count(Deed.DELETE)

    def __str__(self) -> str:
        text = (
            f"{self.created} created, {self.updated} updated, {self.deleted} deleted, {self.unchanged} unchanged, "
            f"{len(self.refused)} refused, {len(self.left)} left"
        )
        text += f", {len(self.spared)} as people made them" if self.spared else ""
        return f"{text}: {self.stopped}" if self.stopped else text


def note(change: Change, reason: str = "", deed: Deed | None = None) -> Note:
    """The change as a line of a report; `deed` is what was done in its place."""
    return Note(change.id, change.event.title, deed or deed_of(change), reason)


def spared_note(spared: Spared) -> Note:
    """Why an event is left as a person has it in the LMS."""
    wanted = spared.wanted or Desired(spared.entry.event)
    deed = "deleted" if spared.entry.state is State.DISMISSED else "changed"
    file = ", and the file has changed it too" if spared.wanted else ", and the file has it no more"
    also = file if spared.conflict else ""
    return Note(spared.entry.id, wanted.event.title, Deed.LEAVE, f"Somebody {deed} it in the LMS{also}. {LEFT_SO}")


_DEEDS: Mapping[type, Deed] = {Create: Deed.CREATE, Update: Deed.UPDATE, Delete: Deed.DELETE}


def deed_of(change: Change) -> Deed:
    return _DEEDS[type(change)]


Lines = Mapping[str, int]
"""The line of the file on which each UID's event begins."""
NO_LINES: Lines = {}


def plan_to_json(plan: Plan, lines: Lines = NO_LINES) -> dict[str, Any]:
    """Counts first, then every change with its event, updates with what they replace: of many the first, and in `more`
    how many more there are."""
    return {
        "calendar": str(plan.calendar),
        "source": plan.source,
        "window": {"start": plan.window.start.isoformat(), "end": plan.window.end.isoformat()},
        "create": len(plan.creates),
        "update": len(plan.updates),
        "delete": len(plan.deletes),
        "unchanged": plan.unchanged,
        "absent": len(plan.absent),
        "spared": [note_to_json(spared_note(each), lines) for each in plan.spared],
        "changes": [change_to_json(change, lines) for change in islice(plan.changes, HELD)],
    } | _more(changes=plan.changes)


def report_to_json(report: Report, lines: Lines = NO_LINES) -> dict[str, Any]:
    """Counts first, then every event that something was done to or that something stood against; `more` as of plans."""
    return {
        "created": report.created,
        "updated": report.updated,
        "deleted": report.deleted,
        "unchanged": report.unchanged,
        "done": [note_to_json(each, lines) for each in islice(report.done, HELD)],
        "refused": [note_to_json(each, lines) for each in islice(report.refused, HELD)],
        "left": [note_to_json(each, lines) for each in islice(report.left, HELD)],
        "spared": [note_to_json(each, lines) for each in report.spared],
        "stopped": report.stopped,
        "denied": report.denied,
        "retry_after": report.retry_after,
    } | _more(done=report.done, refused=report.refused, left=report.left)


def _more(**lists: Sequence[Any]) -> dict[str, Any]:
    """What has no place in the object itself: it is kept in pages beside it."""
    more = {name: len(each) - HELD for name, each in lists.items() if len(each) > HELD}
    return {"more": more} if more else {}


def change_to_json(change: Change, lines: Lines) -> dict[str, Any]:
    data: dict[str, Any] = {
        "deed": deed_of(change).value,
        "uid": change.id.uid,
        "slot": change.id.slot_text,
        "line": lines.get(change.id.uid),
        "event": event_to_json(change.event),
    }
    if isinstance(change, Update):
        data["before"] = event_to_json(change.before.event)
    days = change.days if isinstance(change, Create | Update) else None
    return data | ({"days": when_to_json(days)} if days else {})


def note_to_json(note: Note, lines: Lines = NO_LINES) -> dict[str, Any]:
    """One line of a report; `line` is that of the file, null where it is not known or the file lacks the event."""
    return {
        "deed": note.deed.value,
        "uid": note.id.uid,
        "slot": note.id.slot_text,
        "title": note.title,
        "line": lines.get(note.id.uid),
        "reason": note.reason,
    }
