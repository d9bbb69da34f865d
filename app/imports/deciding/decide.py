"""What a run is for, and what it wants to do: import a file, undo a run, or purge an import. Touches nothing."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import Any, Protocol

from app.ics import Reading
from app.imports.body import Data
from app.imports.deciding.content import identified
from app.imports.deciding.desire import Wishes
from app.imports.deciding.guard import Guard, Names, ReadingFacts, surprises
from app.imports.deciding.imprint import name_in
from app.imports.deciding.plan import NOTHING_UNREAD, Plan, Unread, make_plan
from app.imports.deciding.portions import Entries, Part, plan_in_portions
from app.imports.deciding.undo import purge_plan, undo_plan
from app.imports.drift.changes import Drift, restore_plan
from app.imports.record.imprints import Remembered
from app.imports.record.outcome import Outcome
from app.imports.record.report import Lines, Note
from app.imports.record.runs import Kind
from app.imports.spool import in_blocks
from app.imports.subscription import Import, Match, Mode
from app.imports.writing.ledger import PAGE, Ledger
from bridges.contract import SinkRules
from bridges.model import OccurrenceId

NO_FILE = Reading((), 0, (), {})


@dataclass(frozen=True, slots=True)
class Decision:
    """A plan, what stands against it, and what is no part of it.

    `refused` before any try is what the LMS cannot hold, or what an undo must leave alone. `owners` answer for what
    an undo gives back. `lines` tells where in the file all that this is about stands, if not the file itself has to.
    """

    plan: Plan
    objections: tuple[str, ...] = ()
    refused: tuple[Note, ...] = ()
    owners: Mapping[OccurrenceId, str] = field(default_factory=dict)
    reasons: Mapping[OccurrenceId, str] = field(default_factory=dict)
    lines: Callable[[], Lines] | None = None


class Purpose(Protocol):
    """Why a calendar is written to. `source` is the import whose events are at stake."""

    @property
    def kind(self) -> Kind: ...

    @property
    def source(self) -> str: ...

    @property
    def reading(self) -> Reading: ...

    @property
    def body(self) -> Data: ...

    def decide(self, ledger: Ledger, rules: SinkRules, now: datetime) -> Decision:
        """What is to be done to a calendar whose (settled) ledger this is. `now` is aware."""


@dataclass(frozen=True, slots=True, eq=False)
class Kept:
    """What of a file is as it was the last time, and was not read: so many `events`, of which `unchanged` occurrences
    stand as the file wants them, as long as the ledger has that `revision`.

    `look` are the names (deciding.imprint) of further UIDs whose entries have to be looked at, for the file has them no
    more; `whole` reads all of it after all, and `lines` tells where the rest stands in it.
    """

    events: int
    unchanged: int
    revision: int
    look: frozenset[int]
    whole: Callable[[], Wishes]
    lines: Callable[[], Lines]


@dataclass(frozen=True, slots=True)
class _Few:
    """What of a ledger has to do with some UIDs: it is read for them alone."""

    ledger: Ledger
    names: frozenset[int]

    def of(self, uids: Iterable[str]) -> Entries:
        return self.ledger.of(uids)

    def besides(self, uids: Container[Any], source: str) -> Iterator[Entries]:
        if self.names:
            gone = (uid for uid in self.ledger.uids() if name_in(uid) in self.names and uid not in uids)
            yield from map(self.ledger.of, in_blocks(gone, PAGE))


@dataclass(frozen=True, slots=True)
class Importing:
    """Write a file. `previous` counts the events of the last one; `planned` is the plan that a yes was given to.

    With `overwrite` the file's version takes the place of what people made of it in the LMS.
    """

    job: Import
    reading: Reading
    wishes: Wishes
    guard: Guard
    previous: Callable[[Import], int | None]
    planned: Mapping[str, Any] | None = None
    overwrite: bool = False
    elsewhere: Unread = NOTHING_UNREAD
    """What a routed file wants in another calendar, where it does not stand yet: here it stays."""
    against: tuple[str, ...] = ()
    """What stands against all calendars of a routed file together."""
    kept: Kept | None = None
    remember: Callable[[Outcome], Remembered | None] | None = None
    """Makes the imprint of the file, once it is known what came of it."""

    kind = Kind.IMPORT

    @property
    def source(self) -> str:
        return self.job.source

    @property
    def body(self) -> Data:
        return self.job.data

    def decide(self, ledger: Ledger, rules: SinkRules, now: datetime) -> Decision:
        """Of what differs from the last file alone, if what was kept of it stands, and nobody could object."""
        if self.kept is None:
            return self._decide(ledger, rules, now)
        of_the_rest = self._decide_rest(self.kept, ledger, rules, now)
        return of_the_rest or replace(self, wishes=self.kept.whole(), kept=None).decide(ledger, rules, now)

    def _decide_rest(self, kept: Kept, ledger: Ledger, rules: SinkRules, now: datetime) -> Decision | None:
        """None where there is doubt: then the whole file is decided about."""
        job = self.job
        if self.planned is not None or ledger.revision() != kept.revision or ledger.names_by_content(job.source):
            return None
        book = _Few(ledger, kept.look)
        rest = plan_in_portions(self.wishes, book, self._part(rules, now), whole=job.mode is not Mode.ADD)
        plan = replace(rest, unchanged=rest.unchanged + kept.unchanged)
        facts = self._facts(self.wishes.uids, range(len(self.wishes.ids) + kept.unchanged))
        if not (job.approved and not job.dry_run) and not self.guard.is_silent(plan, kept.unchanged, facts):
            return None
        return Decision(plan, self.against, self.wishes.unfit, lines=kept.lines)

    def _part(self, rules: SinkRules, now: datetime) -> Part:
        job = self.job
        return partial(
            make_plan,
            calendar=job.calendar,
            source=job.source,
            scope=job.window,
            rules=rules,
            now=now,
            unread=self._unread(),
            grace=None if job.mode is Mode.ADD else job.grace,
            overwrite=self.overwrite,
        )

    def _decide(self, ledger: Ledger, rules: SinkRules, now: datetime) -> Decision:
        """In portions, unless events are known by their content: any of the file may then be any of the ledger."""
        job = self.job
        part = self._part(rules, now)
        if job.match is Match.UID and not ledger.names_by_content(job.source):
            plan = plan_in_portions(self.wishes, ledger, part, whole=job.mode is not Mode.ADD)
            facts = self._facts(self.wishes.uids, self.wishes.ids)
        else:
            entries = ledger.entries()
            wanted = identified(
                self.wishes.wanted,
                entries,
                source=job.source,
                scope=job.window,
                now=now,
                match=job.match,
                loosely=job.mode is Mode.REPLACE and self._unread() == NOTHING_UNREAD,
            )
            plan = part(wanted, entries)
            facts = self._facts(self.wishes.uids.also(id.uid for id in wanted), wanted.keys())
        if self.planned is not None:
            objections = surprises(plan, self.planned)
        elif job.approved and not job.dry_run:
            objections = []
        else:
            objections = self.guard.objections(plan, ledger.walk, facts)
        return Decision(plan, (*self.against, *objections), self.wishes.unfit)

    def _unread(self) -> Unread:
        unread = self.wishes.unread(self.reading.unread, self.reading.unread_all, self.job.match)
        if self.job.match is Match.CONTENT:
            return unread.also(self.elsewhere)
        uids = self.elsewhere.uids
        return unread.also(Unread(uids, nameless=bool(uids)))

    def _facts(self, uids: Names, wanted: Names) -> ReadingFacts:
        return ReadingFacts(self.reading.events, uids, self.previous(self.job), wanted, whole=self.job.part is None)


@dataclass(frozen=True, slots=True)
class Undoing:
    """Take one run back."""

    source: str
    run: int

    kind = Kind.UNDO
    reading = NO_FILE
    body = b""

    def decide(self, ledger: Ledger, rules: SinkRules, now: datetime) -> Decision:
        back = undo_plan(
            ledger.journal(self.run),
            ledger.entries(),
            run=self.run,
            calendar=ledger.calendar,
            source=self.source,
            scope=ledger.scope,
            rules=rules,
        )
        return Decision(back.plan, refused=back.skipped, owners=back.owners)


@dataclass(frozen=True, slots=True)
class Purging:
    """Take away all that an import ever wrote."""

    source: str

    kind = Kind.PURGE
    reading = NO_FILE
    body = b""

    def decide(self, ledger: Ledger, rules: SinkRules, now: datetime) -> Decision:
        plan = purge_plan(ledger.entries(), calendar=ledger.calendar, source=self.source, scope=ledger.scope)
        return Decision(plan)


@dataclass(frozen=True, slots=True)
class Restoring:
    """Write again what people changed or deleted: `drifts` are those that somebody, or the policy, decided about."""

    source: str
    drifts: tuple[Drift, ...]

    kind = Kind.RESTORE
    reading = NO_FILE
    body = b""

    def decide(self, ledger: Ledger, rules: SinkRules, now: datetime) -> Decision:
        back = restore_plan(
            self.drifts,
            ledger.entries(),
            calendar=ledger.calendar,
            source=self.source,
            scope=ledger.scope,
            rules=rules,
        )
        return Decision(back.plan, owners=back.owners, reasons=back.reasons)
