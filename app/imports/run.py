"""An import from end to end, bytes → occurrences → wishes → plan → report, dry or wet; and the ways back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Engine

from app.ics import Limits, Reading, read_occurrences
from app.ics.floating import NOBODY_SAID, Floating
from app.imports.apply import apply, stopped
from app.imports.decide import Decision, Importing, Purging, Purpose, Undoing
from app.imports.desire import wishes
from app.imports.guard import Guard
from app.imports.held import HeldImports
from app.imports.ledger import Ledger
from app.imports.outcome import Outcome
from app.imports.report import Progress, Report, plan_to_json, report_to_json, silent
from app.imports.rules import NO_RULES, Rules
from app.imports.runs import Ending, NoRun, NotWaiting, Run, Runs
from app.imports.subscription import Import, Match, Mode
from app.imports.writer import Writer
from app.store.leases import lease
from bridges.contract import Sink
from bridges.errors import Denied, Transient
from bridges.model import CalendarRef, Window

__all__ = ["Imports", "Match", "Mode", "NoRun", "NotWaiting", "Outcome", "Run"]

HOLD_FOR = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class _Case:
    """One calendar while it is decided what becomes of it, and while that is done."""

    purpose: Purpose
    sink: Sink
    ledger: Ledger

    def decide(self, now: datetime) -> Decision:
        """What is to be done by now: it may be asked again as the ledger changes."""
        return self.purpose.decide(self.ledger, self.sink.rules, now)


class Imports:
    """Writes calendar files into LMS calendars, and takes back what was written.

    Safe to share between threads; one calendar has one writer at a time. `open_sink` gives the sink of a connection
    by its name (CalendarRef.lms); `zone` is the home zone, of floating times and of whole days; `partner` is the
    first half of every SyncKey, and must not change once events are written. `changed` is told of each calendar that
    a run wrote to. A held plan waits `hold_for` for its yes.
    """

    def __init__(
        self,
        engine: Engine,
        open_sink: Callable[[str], Sink],
        *,
        now: Callable[[], datetime],
        zone: ZoneInfo,
        guard: Guard,
        partner: str,
        limits: Limits | None = None,
        changed: Callable[[CalendarRef], None] = lambda calendar: None,
        hold_for: timedelta = HOLD_FOR,
    ) -> None:
        self._engine = engine
        self._changed = changed
        self._open_sink = open_sink
        self._now = now
        self._zone = zone
        self._guard = guard
        self._partner = partner
        self._limits = limits
        self._hold_for = hold_for
        self._runs = Runs(engine, now)
        self._held = HeldImports(engine)

    def run(
        self,
        data: bytes,
        calendar: CalendarRef,
        window: Window,
        *,
        source: str = "upload",
        mode: Mode = Mode.REPLACE,
        grace: int = 1,
        rules: Rules = NO_RULES,
        dry_run: bool = False,
        approved: bool = False,
        zone: ZoneInfo | None = None,
        floating: Floating = NOBODY_SAID,
        match: Match = Match.UID,
        progress: Progress | None = None,
    ) -> Outcome:
        """Write the difference between the file and what we wrote before; a dry run only tells it.

        NotACalendar (a ValueError) where the bytes are none; Denied where this calendar can never be written;
        Busy while another import writes into it. All else is in the Outcome. The arguments are those of Import.
        """
        home = Window(window.start.astimezone(self._zone), window.end.astimezone(self._zone))
        job = Import(data, calendar, home, source, mode, grace, rules, dry_run, approved, zone, floating, match)
        case = self._import(job)
        return self._dry(case) if dry_run else self._wet(case, progress)

    def latest(self, count: int = 50) -> Sequence[Run]:
        """The latest runs, newest first."""
        self._runs.expire()
        return self._runs.latest(count)

    def get(self, run: int) -> Run:
        """One run. NoRun where there is none."""
        self._runs.expire()
        return self._runs.get(run)

    def cancel(self, run: int) -> Run:
        """Say no to a run that waits. NoRun where there is none, NotWaiting where it does not."""
        self.get(run)
        self._runs.cancel(run)
        return self._runs.get(run)

    def approve(self, run: int, *, progress: Progress | None = None) -> Outcome:
        """Carry out a run that waits for a yes, planned anew from its file.

        It waits again, and says so, where it would by now delete what it did not want to delete then. NoRun where
        there is none, NotWaiting where it does not wait (any more); otherwise as `run`.
        """
        waiting = self.get(run)
        return self._wet(self._import(self._held.job(waiting), waiting.plan), progress, waiting)

    def undo(self, run: int, *, dry_run: bool = False, progress: Progress | None = None) -> Outcome:
        """Take back what one run did: where the ledger still stands as it left it, and nowhere else.

        The Outcome is that of a run of its own; what was changed since is among the refused. NoRun where there is
        no such run, or it goes on; Denied and Busy as `run`.
        """
        undone = self.get(run)
        case = self._case(undone.calendar, Undoing(undone.source, run))
        return self._dry(case) if dry_run else self._wet(case, progress)

    def purge(
        self, calendar: CalendarRef, source: str, *, dry_run: bool = False, progress: Progress | None = None
    ) -> Outcome:
        """Take away all that this import ever wrote into the calendar, and only that. Denied and Busy as `run`."""
        case = self._case(calendar, Purging(source))
        return self._dry(case) if dry_run else self._wet(case, progress)

    # Cases

    def _import(self, job: Import, planned: Mapping[str, Any] | None = None) -> _Case:
        """`planned` is what a yes was given to."""
        sink = self._sink(job.calendar)
        reading = self._read(job)
        wanted = wishes(job.rules.taken(reading.occurrences), sink)
        purpose = Importing(job, reading, wanted, self._guard, self._runs.previous, planned)
        return _Case(purpose, sink, Ledger(self._engine, job.calendar, job.window, self._now()))

    def _case(self, calendar: CalendarRef, purpose: Undoing | Purging) -> _Case:
        sink = self._sink(calendar)
        always = Window(datetime(1970, 1, 1, tzinfo=self._zone), datetime(2200, 1, 1, tzinfo=self._zone))
        return _Case(purpose, sink, Ledger(self._engine, calendar, always, self._now()))

    def _sink(self, calendar: CalendarRef) -> Sink:
        sink = self._open_sink(calendar.lms)
        sink.check_target(calendar)
        return sink

    def _read(self, job: Import) -> Reading:
        start, end = job.window.start, job.window.end
        limits = self._limits or Limits()
        return read_occurrences(
            job.data, start, end, zone=self._zone, source_zone=job.zone, floating=job.floating, limits=limits
        )

    # Deeds

    def _dry(self, case: _Case) -> Outcome:
        return _outcome(case, Ending.DRY, case.decide(self._now()))

    def _wet(self, case: _Case, progress: Progress | None, waiting: Run | None = None) -> Outcome:
        with lease(self._engine, f"import {case.ledger.calendar}", self._now) as held:

            def step(done: int, of: int) -> None:
                held.beat()
                (progress or silent)(done, of)

            run = self._begin(case, waiting)
            outcome = replace(self._carry_out(case, run, step), run_id=run)
            self._end(case, run, outcome, waiting)
        return outcome

    def _begin(self, case: _Case, waiting: Run | None) -> int:
        if waiting is not None:
            self._runs.resume(waiting)
            return waiting.id
        purpose = case.purpose
        return self._runs.begin(
            case.ledger.calendar, purpose.source, purpose.kind, purpose.body, purpose.reading.events
        )

    def _end(self, case: _Case, run: int, outcome: Outcome, waiting: Run | None) -> None:
        report = report_to_json(outcome.report) if outcome.report else None
        plan = plan_to_json(outcome.plan)
        if waiting is not None and outcome.state in {Ending.LEFT, Ending.FAILED}:
            plan = waiting.plan or plan  # another yes takes up what this one was given to
        if outcome.state is Ending.HELD and isinstance(case.purpose, Importing):
            self._held.keep(run, case.purpose.job, outcome.objections, self._now() + self._hold_for)
        elif outcome.state is Ending.DONE:
            self._held.forget(run)
        self._runs.end(run, outcome.state, plan, report)
        if outcome.report and (outcome.report.done or outcome.report.left):
            self._changed(case.ledger.calendar)

    def _carry_out(self, case: _Case, run: int, progress: Progress) -> Outcome:
        writer = Writer(case.sink, case.ledger, self._partner, case.purpose.source, run)
        try:
            writer.settle()
        except (Transient, Denied) as stop:
            decision = case.decide(self._now())
            return _reported(case, decision, stopped(decision.plan, stop, decision.plan.changes))
        decision = case.decide(self._now())
        if decision.objections:
            return _outcome(case, Ending.HELD, decision)
        writer.owners = decision.owners
        return _reported(case, decision, apply(decision.plan, writer, progress))


def _outcome(case: _Case, state: Ending, decision: Decision) -> Outcome:
    reading = case.purpose.reading
    return Outcome(
        state,
        decision.plan,
        case.purpose.kind,
        objections=decision.objections if state in {Ending.HELD, Ending.DRY} else (),
        unfit=decision.refused,
        events=reading.events,
        problems=tuple(reading.problems),
        ignored=reading.ignored,
    )


def _reported(case: _Case, decision: Decision, report: Report) -> Outcome:
    """What does not fit was refused as well, before anything was tried."""
    whole = replace(report, refused=(*decision.refused, *report.refused))
    left = Ending.LEFT if report.left or report.stopped else Ending.DONE
    return replace(_outcome(case, Ending.FAILED if report.denied else left, decision), report=whole)
