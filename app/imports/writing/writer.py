"""Makes changes in one calendar: into its ledger before, through its sink, and into its ledger after.

A change may take several tries: a key that turns out to be spent gives way to the next generation, and an update of
what somebody deleted becomes a create, unless what people delete is to stay deleted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import TypeVar

from app.imports.deciding.plan import Change, Create, Delete, Desired, Entry, State, Update, next_generation, sync_key
from app.imports.record.report import DELETED_THERE, Deed, Note, note
from app.imports.writing.ledger import Ledger
from bridges.contract import BatchSink, Drop, Order, Put, Sink
from bridges.errors import BridgeError, Denied, Gone, KeyTaken, NotSent, Rejected, Transient
from bridges.model import Event, OccurrenceId, RemoteRef

MOST_SPENT_KEYS = 50
"""Keys in a row that an LMS may call taken before we believe that it is something else."""

_WRITTEN_AGAIN = "Somebody had deleted it in the LMS; it was written again."

T = TypeVar("T")

Outcome = RemoteRef | BridgeError | None
Result = Note | BridgeError
"""What became of a change: done, or the reason why not. A Transient leaves it pending, but for NotSent."""


@dataclass(frozen=True, slots=True)
class _Try:
    """One try at the change that was `meant`: `change` is what has become of it by now.

    `standing` is where a create of this generation was found to have landed; `keys` counts those tried.
    """

    meant: Change
    change: Change
    standing: RemoteRef | None = None
    keys: int = 1


@dataclass(frozen=True, slots=True)
class _Standing:
    """The key was taken, and it is our event that stands under it."""

    ref: RemoteRef


@dataclass(slots=True)
class Writer:
    """Writes into one calendar. Several threads may `make` at a time.

    `run` is the run that the journal names. `source` answers for what is written, but for the `owners` of events
    that are brought back. `reasons` stand beside what was done in the report. `keeps` says of an import, by its name,
    whether what people delete of its events stays deleted.
    """

    sink: Sink
    ledger: Ledger
    partner: str
    source: str
    run: int | None = None
    owners: Mapping[OccurrenceId, str] = field(default_factory=dict)
    reasons: Mapping[OccurrenceId, str] = field(default_factory=dict)
    keeps: Callable[[str], bool] = lambda source: False

    def make(self, changes: Sequence[Change]) -> list[Result]:
        """Make these changes together, and say what became of each, in their order."""
        results: dict[int, Result] = {}
        tries = {place: _Try(change, change) for place, change in enumerate(changes)}
        while tries:
            after = dict(zip(tries, self._round(list(tries.values())), strict=True))
            results |= {place: each for place, each in after.items() if not isinstance(each, _Try)}
            tries = {place: each for place, each in after.items() if isinstance(each, _Try)}
            if stop := next((each for each in after.values() if isinstance(each, Transient | Denied)), None):
                results |= dict.fromkeys(tries, stop)
                break
        return [results[place] for place in range(len(changes))]

    def settle(self) -> None:
        """Find out what became of every pending entry, so that none is left. Raises Transient, Denied.

        A create whose answer was lost is looked for and never written blindly again; updates and deletes are
        repeated.
        """
        entries, known = self.ledger.pending(), self.ledger.refs()
        for entry in _in(State.PENDING_CREATE, entries):
            known |= self._settle_create(entry, known)
        together = self.sink.rules.batch if isinstance(self.sink, BatchSink) else 1
        for state in (State.PENDING_UPDATE, State.PENDING_DELETE):
            for portion in portions(_in(state, entries), together):
                known |= self._repeat(portion, known)

    # One round: intent, deed, outcome

    def _round(self, tries: Sequence[_Try]) -> list[Result | _Try]:
        self._intend(tries)
        outcomes = self._carry_out([self._order(each.change, each.standing) for each in tries])
        seen = self._looked_for(tries, outcomes)
        with self.ledger.together():
            return [self._after(each, outcome) for each, outcome in zip(tries, seen, strict=True)]

    def _intend(self, tries: Sequence[_Try]) -> None:
        """What was found standing is intended already."""
        fresh = [each for each in tries if each.standing is None]
        if not fresh:
            return
        with self.ledger.together():
            for each in fresh:
                self.ledger.intend(each.change, self._owner(each.change.id), self.run)

    def _owner(self, id: OccurrenceId) -> str:
        return self.owners.get(id, self.source)

    def _order(self, change: Change, standing: RemoteRef | None = None) -> Order:
        if isinstance(change, Delete):
            return Drop(change.ref)
        key = sync_key(self.partner, self.ledger.calendar, change.id, change.generation)
        return Put(key, change.event, change.ref if isinstance(change, Update) else standing)

    def _carry_out(self, orders: Sequence[Order]) -> Sequence[Outcome]:
        if isinstance(self.sink, BatchSink):
            return self.sink.carry_out(self.ledger.calendar, orders)
        return [self._call(order) for order in orders]

    def _call(self, order: Order) -> Outcome:
        calendar = self.ledger.calendar
        try:
            if isinstance(order, Drop):
                self.sink.delete(calendar, order.ref)
                return None
            if order.ref is None:
                return self.sink.create(calendar, order.key, order.event)
            return self.sink.update(calendar, order.ref, order.event)
        except BridgeError as error:
            return error

    def _looked_for(self, tries: Sequence[_Try], outcomes: Sequence[Outcome]) -> list[Outcome | _Standing]:
        """The outcomes; where a key was taken and our event stands under it, that one instead."""
        return [
            self._look(each.change) or outcome
            if isinstance(outcome, KeyTaken) and isinstance(each.change, Create)
            else outcome
            for each, outcome in zip(tries, outcomes, strict=True)
        ]

    def _look(self, change: Create) -> _Standing | BridgeError | None:
        try:
            landed = self._landed(change.id, change.generation, change.event, self.ledger.refs())
        except BridgeError as error:
            return error
        return _Standing(landed[0]) if landed else None

    def _after(self, tried: _Try, outcome: Outcome | _Standing) -> Result | _Try:
        """What follows from an outcome, written into the ledger: an end, or another try."""
        change = tried.change
        if isinstance(outcome, Transient):
            if isinstance(outcome, NotSent) and tried.standing is None:
                self.ledger.refused(change, "")
            return outcome
        if isinstance(outcome, _Standing):
            # what stands there may be older than this event: the key says whose it is, not how it looks
            return replace(tried, standing=outcome.ref)
        if isinstance(outcome, Gone) and isinstance(change, Update):
            if self.keeps(self._owner(change.id)):
                self.ledger.drifted(change.id, None)
                return note(change, DELETED_THERE, Deed.LEAVE)
            self.ledger.deleted(change.id)
            generation = next_generation(change.generation, self.sink.rules)
            return replace(tried, change=Create(change.id, change.event, change.days, generation))
        if isinstance(change, Create) and _is_spent(tried, outcome):
            if tried.keys < MOST_SPENT_KEYS:
                another = replace(change, generation=change.generation + 1)
                return replace(tried, change=another, standing=None, keys=tried.keys + 1)
            outcome = Rejected(f"The LMS calls {MOST_SPENT_KEYS} keys in a row taken.")
        if isinstance(outcome, BridgeError):
            self.ledger.refused(change, str(outcome))
            return outcome
        self._settled(change.id, outcome)
        return _done(tried, self.reasons.get(change.id, ""))

    def _settled(self, id: OccurrenceId, outcome: RemoteRef | None) -> None:
        """A put is answered with its ref, a drop with None."""
        if outcome is None:
            self.ledger.deleted(id)
        else:
            self.ledger.written(id, outcome)

    # What an earlier run left pending

    def _settle_create(self, entry: Entry, known: set[RemoteRef]) -> set[RemoteRef]:
        landed = self._landed(entry.id, entry.generation, entry.event, known)
        if not landed:
            self.ledger.unwritten(entry.id)
            return set()
        self.ledger.written(entry.id, landed[0])
        return {landed[0]}

    def _repeat(self, entries: Sequence[Entry], known: set[RemoteRef]) -> set[RemoteRef]:
        """Repeat these updates or deletes; the refs that events were found under. Raises Transient, Denied."""
        changes = [_meant(entry) for entry in entries]
        outcomes = list(self._carry_out([self._order(change) for change in changes]))
        found: set[RemoteRef] = set()
        for place, entry in enumerate(entries):
            if isinstance(outcomes[place], Gone) and entry.state is State.PENDING_UPDATE:
                # the first try may have landed and given the event another ref
                landed = self._landed(entry.id, entry.generation, entry.event, known | found)
                outcomes[place] = landed[0] if landed else None
                found |= set(landed[:1])
        with self.ledger.together():
            for entry, change, outcome in zip(entries, changes, outcomes, strict=True):
                self._repeated(entry, change, outcome)
        if stop := next((each for each in outcomes if isinstance(each, Transient | Denied)), None):
            raise stop
        return found | {each for each in outcomes if isinstance(each, str)}

    def _repeated(self, entry: Entry, change: Change, outcome: Outcome) -> None:
        if outcome is None and isinstance(change, Update) and self.keeps(entry.source):
            self.ledger.drifted(change.id, None)
        elif isinstance(outcome, Rejected):
            self.ledger.refused(change, str(outcome))
        elif not isinstance(outcome, BridgeError):
            self._settled(change.id, outcome)

    def _landed(self, id: OccurrenceId, generation: int, event: Event, known: set[RemoteRef]) -> Sequence[RemoteRef]:
        """What a create of this generation left in the LMS. Found by value it may be any of ours: rule those out."""
        calendar = self.ledger.calendar
        found = self.sink.find(calendar, sync_key(self.partner, calendar, id, generation), event)
        return found if self.sink.rules.finds_by_key else sorted(set(found) - known)


def portions(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """The items in their order, `size` at a time."""
    rest = iter(items)
    while portion := list(islice(rest, size)):
        yield portion


def _in(state: State, entries: Mapping[OccurrenceId, Entry]) -> list[Entry]:
    return [entry for entry in entries.values() if entry.state is state]


def _is_spent(tried: _Try, outcome: Outcome | _Standing) -> bool:
    """The key names no event (any more) that we could write to."""
    return isinstance(outcome, KeyTaken) or (tried.standing is not None and isinstance(outcome, Gone))


def _done(tried: _Try, reason: str) -> Note:
    again = isinstance(tried.meant, Update) and isinstance(tried.change, Create)
    return note(tried.meant, reason or _WRITTEN_AGAIN, Deed.RECREATE) if again else note(tried.meant, reason)


def _meant(entry: Entry) -> Update | Delete:
    """The change that an entry stands pending for."""
    if entry.ref is None:
        raise AssertionError(f"{entry.id} is to be changed and was never written")
    if entry.state is State.PENDING_DELETE:
        return Delete(entry.id, entry.ref, entry.event)
    before = entry.before or Desired(entry.event, entry.days)
    return Update(entry.id, entry.ref, entry.event, entry.days, before, entry.generation)
