"""What a run is for, and what it wants to do: import a file, undo a run, or purge an import. Touches nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from app.ics import Reading
from app.imports.body import Data
from app.imports.deciding.content import identified
from app.imports.deciding.desire import Wishes
from app.imports.deciding.guard import Guard, Names, ReadingFacts, surprises
from app.imports.deciding.plan import NOTHING_UNREAD, Desired, Plan, Unread, make_plan
from app.imports.deciding.portions import Entries, plan_in_portions
from app.imports.deciding.undo import purge_plan, undo_plan
from app.imports.drift.changes import Drift, restore_plan
from app.imports.record.report import Note
from app.imports.record.runs import Kind
from app.imports.subscription import Import, Match, Mode
from app.imports.writing.ledger import Ledger
from bridges.contract import SinkRules
from bridges.model import OccurrenceId

NO_FILE = Reading((), 0, (), {})


@dataclass(frozen=True, slots=True)
class Decision:
    """A plan, what stands against it, and what is no part of it.

    `refused` before any try is what the LMS cannot hold, or what an undo must leave alone. `owners` answer for what
    an undo gives back.
    """

    plan: Plan
    objections: tuple[str, ...] = ()
    refused: tuple[Note, ...] = ()
    owners: Mapping[OccurrenceId, str] = field(default_factory=dict)
    reasons: Mapping[OccurrenceId, str] = field(default_factory=dict)


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

    kind = Kind.IMPORT

    @property
    def source(self) -> str:
        return self.job.source

    @property
    def body(self) -> Data:
        return self.job.data

    def decide(self, ledger: Ledger, rules: SinkRules, now: datetime) -> Decision:
        """In portions, unless events are known by their content: any of the file may then be any of the ledger."""
        job = self.job
        unread = self._unread()

        def part(wanted: Mapping[OccurrenceId, Desired], entries: Entries) -> Plan:
            return make_plan(
                wanted,
                entries,
                calendar=job.calendar,
                source=job.source,
                scope=job.window,
                rules=rules,
                now=now,
                unread=unread,
                grace=None if job.mode is Mode.ADD else job.grace,
                overwrite=self.overwrite,
            )

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
                loosely=job.mode is Mode.REPLACE and unread == NOTHING_UNREAD,
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
