"""Looks at what stands in an LMS, and writes into the ledger what people made of our events there.

A run looks before it overwrites or deletes, at the time that this concerns; a check looks at all that is to come.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import datetime

from app.imports.deciding.guard import Guard
from app.imports.deciding.plan import Entry, Plan, State
from app.imports.drift.changes import Comparison, Policy, compare, compared, span_of
from app.imports.writing.ledger import Ledger
from bridges.contract import Lookup, Sink, Source
from bridges.errors import Denied, Rejected

Policies = Callable[[str], Policy]
"""What becomes of people's changes, by the name of the import."""

UNREADABLE = "What stands in this calendar cannot be read, so nobody can tell whether people have changed it."


@dataclass(frozen=True, slots=True)
class Seen:
    """What one look showed. `doubtful`: so much was absent that none of it counts as deleted."""

    comparison: Comparison
    doubtful: bool = False


@dataclass(frozen=True, slots=True)
class Looking:
    """Compares entries of one calendar with what its LMS shows. `guard` says how much absence is believed."""

    sink: Sink
    ledger: Ledger
    guard: Guard

    def at(self, entries: Collection[Entry], *, believe: bool = False) -> Seen:
        """Read once, and keep in the ledger what came of it; errors as bridges.errors.

        Denied where the LMS shows nothing to us. With `believe` absence is taken for what it seems, however much it is.
        """
        source = self.sink
        if not isinstance(source, Source):
            raise Denied(UNREADABLE)
        window = span_of(entries, self.ledger.scope)
        if window is None:
            return Seen(Comparison())
        found = {each.ref: each.event for each in source.read(self.ledger.calendar, window)}
        seen = compare(entries, found, self.sink.fit)
        doubtful = seen.doubtful(self.guard) and not believe
        if not doubtful:
            seen = self._looked_up(source, seen)
        self._keep(seen, doubtful)
        return Seen(seen, doubtful)

    def before_settling(self, policies: Policies) -> None:
        """What was cut off is repeated, but not over what somebody has made of the event since."""
        pending = {State.PENDING_UPDATE, State.PENDING_DELETE}
        self._cautiously([entry for entry in self.ledger.pending().values() if entry.state in pending], policies)

    def before_writing(self, plan: Plan, policies: Policies, now: datetime) -> bool:
        """Look at what the plan would overwrite or delete; whether anything there is not as the ledger had it."""
        touching = [change.id for changes in (plan.updates, plan.deletes) for change in changes]
        if not touching:
            return False
        entries = self.ledger.of({id.uid for id in touching})
        touched = (entries.get(id) for id in touching)
        standing = [entry for entry in touched if entry is not None and entry.state is State.PRESENT]
        return self._cautiously(compared(standing, self.ledger.scope, now), policies)

    def _cautiously(self, entries: Iterable[Entry], policies: Policies) -> bool:
        """A look that nobody asked for: where the LMS shows nothing, the run goes on without it."""
        ours = [entry for entry in entries if policies(entry.source) is not Policy.OVERWRITE]
        if not ours or not isinstance(self.sink, Source):
            return False
        try:
            seen = self.at(ours)
        except (Denied, Rejected):
            return False
        return bool(seen.comparison.changed or seen.comparison.absent)

    def _looked_up(self, source: Source, seen: Comparison) -> Comparison:
        """Those that were not where they should be, looked for by their refs: moved away, hidden, or missed."""
        if not seen.absent or not isinstance(source, Lookup):
            return seen
        refs = [entry.ref for entry in seen.absent if entry.ref is not None]
        found = source.look_up(self.ledger.calendar, refs)
        again = compare(seen.absent, {ref: each.event for ref, each in found.items()}, self.sink.fit)
        return Comparison(
            seen.same + again.same,
            (*seen.mended, *again.mended),
            (*seen.changed, *again.changed),
            again.absent,
        )

    def _keep(self, seen: Comparison, doubtful: bool) -> None:
        """A change that is pending and whose event is gone is settled by who repeats it."""
        with self.ledger.together():
            for id in seen.mended:
                self.ledger.mended(id)
            for each in seen.changed:
                self.ledger.drifted(each.entry.id, each.theirs)
            for entry in () if doubtful else seen.absent:
                if not entry.state.pending:
                    self.ledger.drifted(entry.id, None)
