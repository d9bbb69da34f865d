"""One calendar while it is decided what becomes of it, and while that is done: as values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from app.ics import Reading
from app.imports.body import Data
from app.imports.deciding.decide import Decision, Importing, Purpose
from app.imports.record.runs import Kind
from app.imports.subscription import Import
from app.imports.writing.ledger import Ledger
from bridges.contract import Sink, SinkRules


@dataclass(frozen=True, slots=True)
class Retrying:
    """Try again what was `refused`, by UID and slot, and nothing else of what the import wants."""

    importing: Importing
    refused: frozenset[tuple[str, str]]

    kind = Kind.RETRY

    @property
    def source(self) -> str:
        return self.importing.source

    @property
    def reading(self) -> Reading:
        return self.importing.reading

    @property
    def body(self) -> Data:
        return self.importing.body

    def decide(self, ledger: Ledger, rules: SinkRules, now: datetime) -> Decision:
        whole = self.importing.decide(ledger, rules, now)
        changes = tuple(each for each in whole.plan.changes if (each.id.uid, each.id.slot_text) in self.refused)
        plan = type(whole.plan)(whole.plan.calendar, whole.plan.source, whole.plan.window, changes)
        unfit = tuple(each for each in whole.refused if (each.id.uid, each.id.slot_text) in self.refused)
        return Decision(plan, refused=unfit, owners=whole.owners)


@dataclass(frozen=True, slots=True)
class Case:
    """A purpose with the calendar that it is about. `about` is the run that is taken back or tried again; `asked` says
    that no person has said yes to it yet."""

    purpose: Purpose
    sink: Sink
    ledger: Ledger
    about: int | None = None
    asked: bool = False

    @property
    def account(self) -> str:
        """Whose quota and whose lanes it uses: one LMS connection is one account."""
        return self.ledger.calendar.lms

    @property
    def job(self) -> Import | None:
        """The import with its file, where there is one."""
        purpose = self.purpose.importing if isinstance(self.purpose, Retrying) else self.purpose
        return purpose.job if isinstance(purpose, Importing) else None

    def decide(self, now: datetime) -> Decision:
        """What is to be done by now: it may be asked again as the ledger changes."""
        return self.purpose.decide(self.ledger, self.sink.rules, now)
