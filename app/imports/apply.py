"""Plan → Report, intent before deed: nothing lost, nothing twice, whenever it is interrupted.

Changes are made one at a time, in the plan's order: what is written comes before what is deleted, so that a run
that stops half-way leaves too much in the calendar and never too little.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from app.imports.ledger import Ledger
from app.imports.plan import Change, Create, Delete, Desired, Entry, Plan, State, Update, next_generation, sync_key
from app.imports.report import Deed, Note, Report, note
from bridges.contract import Sink
from bridges.errors import BridgeError, Denied, Gone, KeyTaken, Rejected, Transient
from bridges.model import Event, OccurrenceId, RemoteRef

MOST_SPENT_KEYS = 50
"""Keys in a row that an LMS may call taken before we believe that it is something else."""

_DELETED_THERE = "Somebody had deleted it in the LMS; it was written again."

Progress = Callable[[int, int], None]
"""Called with (changes made, changes in all), before each change and at the end."""


def silent(_done: int, _of: int) -> None:
    """The progress that nobody watches."""


@dataclass(slots=True)
class Writer:
    """Writes into one calendar through its sink, and into its ledger before and after."""

    sink: Sink
    ledger: Ledger
    partner: str
    source: str

    def settle(self) -> None:
        """Find out what became of every pending entry, so that none is left. Raises Transient, Denied.

        A create whose answer was lost is looked for and never written blindly again; updates and deletes are
        repeated.
        """
        entries = self.ledger.entries()
        known = {entry.ref for entry in entries.values() if entry.ref is not None}
        for entry in entries.values():
            if entry.state is State.PENDING_CREATE:
                known |= self._settle_create(entry, known)
            elif entry.state is State.PENDING_UPDATE:
                known |= self._settle_update(entry, known)
            elif entry.state is State.PENDING_DELETE:
                self._settle_delete(entry)

    def make(self, change: Change) -> Note:
        """Make one change, and say what was done. Raises the errors of bridges.errors; Transient leaves it pending."""
        try:
            return self._deed(change)
        except (Rejected, Denied) as refusal:
            if not (isinstance(change, Update) and isinstance(refusal, Gone)):
                self.ledger.refused(change, str(refusal))
                raise
        self.ledger.deleted(change.id)
        generation = next_generation(change.generation, self.sink.rules)
        again = self.make(Create(change.id, change.event, change.days, generation))
        return replace(again, deed=Deed.RECREATE, reason=_DELETED_THERE)

    def _deed(self, change: Change) -> Note:
        if isinstance(change, Create):
            return self._create(change)
        return self._update(change) if isinstance(change, Update) else self._delete(change)

    def _create(self, change: Create) -> Note:
        for generation in range(change.generation, change.generation + MOST_SPENT_KEYS):
            self.ledger.intend(replace(change, generation=generation), self.source)
            ref = self._claim(change.id, generation, change.event)
            if ref is not None:
                self.ledger.written(change.id, ref)
                return note(change)
        raise Rejected(f"The LMS calls {MOST_SPENT_KEYS} keys in a row taken.")

    def _claim(self, id: OccurrenceId, generation: int, event: Event) -> RemoteRef | None:
        """The event under this generation's key: written now, or found standing there; None if the key is spent."""
        calendar, key = self.ledger.calendar, sync_key(self.partner, self.ledger.calendar, id, generation)
        try:
            return self.sink.create(calendar, key, event)
        except KeyTaken:
            landed = self._landed(id, generation, event, self._known())
        try:
            # what stands there may be older than this event: the key says whose it is, not how it looks
            return self.sink.update(calendar, landed[0], event) if landed else None
        except Gone:
            return None

    def _update(self, change: Update) -> Note:
        self.ledger.intend(change, self.source)
        self.ledger.written(change.id, self.sink.update(self.ledger.calendar, change.ref, change.event))
        return note(change)

    def _delete(self, change: Delete) -> Note:
        self.ledger.intend(change, self.source)
        self.sink.delete(self.ledger.calendar, change.ref)
        self.ledger.deleted(change.id)
        return note(change)

    def _settle_create(self, entry: Entry, known: set[RemoteRef]) -> set[RemoteRef]:
        landed = self._landed(entry.id, entry.generation, entry.event, known)
        if not landed:
            self.ledger.unwritten(entry.id)
            return set()
        self.ledger.written(entry.id, landed[0])
        return {landed[0]}

    def _settle_update(self, entry: Entry, known: set[RemoteRef]) -> set[RemoteRef]:
        """The first try may have landed and given the event another ref: before it counts as gone, look for it."""
        if entry.ref is None:
            raise AssertionError(f"{entry.id} is to be updated and was never written")
        try:
            ref = self.sink.update(self.ledger.calendar, entry.ref, entry.event)
        except Gone:
            landed = self._landed(entry.id, entry.generation, entry.event, known)
            if not landed:
                self.ledger.deleted(entry.id)
                return set()
            ref = landed[0]
        except Rejected as refusal:
            before = entry.before or Desired(entry.event, entry.days)
            self.ledger.refused(Update(entry.id, entry.ref, entry.event, entry.days, before), str(refusal))
            return set()
        self.ledger.written(entry.id, ref)
        return {ref}

    def _settle_delete(self, entry: Entry) -> None:
        if entry.ref is None:
            raise AssertionError(f"{entry.id} is to be deleted and was never written")
        try:
            self.sink.delete(self.ledger.calendar, entry.ref)
        except Rejected as refusal:
            self.ledger.refused(Delete(entry.id, entry.ref, entry.event), str(refusal))
        else:
            self.ledger.deleted(entry.id)

    def _landed(self, id: OccurrenceId, generation: int, event: Event, known: set[RemoteRef]) -> Sequence[RemoteRef]:
        """What a create of this generation left in the LMS. Found by value it may be any of ours: rule those out."""
        calendar = self.ledger.calendar
        found = self.sink.find(calendar, sync_key(self.partner, calendar, id, generation), event)
        return found if self.sink.rules.finds_by_key else sorted(set(found) - known)

    def _known(self) -> set[RemoteRef]:
        return {entry.ref for entry in self.ledger.entries().values() if entry.ref is not None}


@dataclass(slots=True)
class _Tally:
    done: list[Note] = field(default_factory=list)
    refused: list[Note] = field(default_factory=list)


def apply(plan: Plan, writer: Writer, progress: Progress = silent) -> Report:
    """Make the changes of a plan that was drawn from a settled ledger.

    Rejected costs one change; Transient and Denied leave this one and all after it.
    """
    writer.ledger.adopt(plan.adopted, plan.source)
    tally = _Tally()
    for position, change in enumerate(plan.changes):
        progress(position, len(plan.changes))
        try:
            tally.done.append(writer.make(change))
        except Rejected as refusal:
            tally.refused.append(note(change, str(refusal)))
        except (Transient, Denied) as stop:
            return stopped(plan, stop, tally.done, tally.refused, position)
    progress(len(plan.changes), len(plan.changes))
    return Report(tuple(tally.done), plan.unchanged, tuple(tally.refused))


def stopped(
    plan: Plan, stop: BridgeError, done: Sequence[Note] = (), refused: Sequence[Note] = (), position: int = 0
) -> Report:
    """The report of a plan that came no further than the change at `position`."""
    return Report(
        tuple(done),
        plan.unchanged,
        tuple(refused),
        left=tuple(note(change, str(stop)) for change in plan.changes[position:]),
        stopped=str(stop),
        denied=isinstance(stop, Denied),
        retry_after=stop.retry_after if isinstance(stop, Transient) else None,
    )
