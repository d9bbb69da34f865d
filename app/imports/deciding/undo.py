"""The plans that take something back: one run, or all that one import ever wrote. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

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
)
from app.imports.record.report import Note, note
from bridges.contract import SinkRules
from bridges.model import CalendarRef, OccurrenceId, Window

CHANGED_SINCE = "It was left alone: another run has changed it since."
STANDS_DIFFERENTLY = "It was left alone: it does not stand as the run left it."
CHANGED_THERE = "It was left alone: somebody has changed it in the LMS since (calbridge drift list)."
DELETED_THERE = "It was left alone: somebody has deleted it in the LMS since (calbridge drift list)."


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the journal: what stood there before the run (None: nothing) and whose it was, and what it left."""

    id: OccurrenceId
    before: Desired | None
    source: str | None
    left: Desired | None


@dataclass(frozen=True, slots=True)
class Return:
    """The plan that takes a run back; `owners` answer for what returns, `skipped` is what it cannot touch."""

    plan: Plan
    owners: Mapping[OccurrenceId, str] = field(default_factory=dict)
    skipped: tuple[Note, ...] = ()


def undo_plan(
    lines: Iterable[Line],
    ledger: Mapping[OccurrenceId, Entry],
    *,
    run: int,
    calendar: CalendarRef,
    source: str,
    scope: Window,
    rules: SinkRules,
) -> Return:
    """What the run created goes, what it changed returns, what it deleted comes back.

    Only where the (settled) ledger stands as the run left it: every other event is skipped, with the reason.
    """
    changes: list[Change] = []
    adopted, skipped, owners, forgotten = [], [], {}, []
    for line in lines:
        entry = ledger.get(line.id)
        if entry is None:
            continue
        stands = Desired(entry.event, entry.days) if entry.live else None
        change = _back(line, entry, rules)
        if entry.run == run and entry.state is State.DISMISSED and line.before is None:
            forgotten.append(line.id)  # it is gone already
            continue
        if stands == line.before != line.left:
            continue  # it is back already: an undo that was cut off goes on with the rest
        if entry.run != run or stands != line.left or entry.state.drifted:
            skipped += [note(change, _why_not(entry, run))] if change else []
            continue
        if line.source is not None:
            owners[line.id] = line.source
        if change is not None:
            changes.append(change)
        elif line.before is not None:
            adopted.append(line.id)
    plan = Plan(calendar, source, scope, in_order(changes, scope), adopted=tuple(adopted), forgotten=tuple(forgotten))
    return Return(plan, owners, tuple(skipped))


def purge_plan(ledger: Mapping[OccurrenceId, Entry], *, calendar: CalendarRef, source: str, scope: Window) -> Plan:
    """Everything that stands and that this import answers for goes, past events and those that people changed too."""
    ours = [entry for entry in ledger.values() if entry.source == source]
    forgotten = tuple(entry.id for entry in ours if entry.state is State.DISMISSED)
    deletes = [delete_of(entry) for entry in ours if entry.live]
    return Plan(calendar, source, scope, in_order(deletes, scope), forgotten=forgotten)


def _why_not(entry: Entry, run: int) -> str:
    """Why what a run did to an event cannot be taken back."""
    drifted = {State.EDITED: CHANGED_THERE, State.DISMISSED: DELETED_THERE}
    return CHANGED_SINCE if entry.run != run else drifted.get(entry.state, STANDS_DIFFERENTLY)


def _back(line: Line, entry: Entry, rules: SinkRules) -> Change | None:
    """The change from what the run left to what stood before; None where both are the same."""
    if line.before == line.left:
        return None
    if line.before is None:
        return delete_of(entry) if entry.ref is not None else None
    if line.left is None or entry.ref is None:
        return Create(line.id, line.before.event, line.before.days, generation_of(entry, rules))
    return Update(line.id, entry.ref, line.before.event, line.before.days, line.left, entry.generation)
