"""An import from end to end, bytes → occurrences → wishes → plan → report, dry or wet; and the ways back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from zoneinfo import ZoneInfo

from sqlalchemy import Engine

from app.ics import Limits, Reading, read_occurrences
from app.imports.apply import apply, stopped
from app.imports.desire import Wishes, wishes
from app.imports.guard import Guard, ReadingFacts, surprises
from app.imports.held import HeldImports
from app.imports.ledger import Ledger
from app.imports.outcome import Outcome
from app.imports.plan import Plan, make_plan
from app.imports.report import Note, Progress, Report, plan_to_json, report_to_json, silent
from app.imports.rules import NO_RULES, Rules
from app.imports.runs import Ending, Kind, NoRun, NotWaiting, Run, Runs
from app.imports.subscription import Import, Mode
from app.imports.undo import purge_plan, undo_plan
from app.imports.writer import Writer
from app.store.leases import lease
from bridges.contract import Sink
from bridges.errors import Denied, Transient
from bridges.model import CalendarRef, OccurrenceId, Window

__all__ = ["Imports", "Mode", "NoRun", "NotWaiting", "Outcome", "Run"]

HOLD_FOR = timedelta(hours=24)

_NO_FILE = Reading((), 0, (), {})


@dataclass(frozen=True, slots=True)
class _Decision:
    """A plan, what stands against it, and what is no part of it: the events that are `refused` before any try."""

    plan: Plan
    objections: tuple[str, ...] = ()
    refused: tuple[Note, ...] = ()
    owners: Mapping[OccurrenceId, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Case:
    """One calendar while something is decided about it. `decide` may be asked again as the ledger changes."""

    kind: Kind
    source: str
    sink: Sink
    ledger: Ledger
    decide: Callable[[], _Decision]
    job: Import | None = None
    reading: Reading = _NO_FILE


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
        progress: Progress | None = None,
    ) -> Outcome:
        """Write the difference between the file and what we wrote before; a dry run only tells it.

        NotACalendar (a ValueError) where the bytes are none; Denied where this calendar can never be written;
        Busy while another import writes into it. All else is in the Outcome. The arguments are those of Import.
        """
        home = Window(window.start.astimezone(self._zone), window.end.astimezone(self._zone))
        case = self._import(Import(data, calendar, home, source, mode, grace, rules, dry_run, approved))
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
        case = self._case(Kind.UNDO, undone.calendar, undone.source, partial(self._take_back, run))
        return self._dry(case) if dry_run else self._wet(case, progress)

    def purge(
        self, calendar: CalendarRef, source: str, *, dry_run: bool = False, progress: Progress | None = None
    ) -> Outcome:
        """Take away all that this import ever wrote into the calendar, and only that. Denied and Busy as `run`."""
        case = self._case(Kind.PURGE, calendar, source, self._take_away)
        return self._dry(case) if dry_run else self._wet(case, progress)

    # Cases

    def _import(self, job: Import, planned: Mapping[str, object] | None = None) -> _Case:
        """`planned` is what a yes was given to."""
        sink = self._sink(job.calendar)
        reading = self._read(job)
        ledger = Ledger(self._engine, job.calendar, job.window, self._now())
        wanted = wishes(job.rules.taken(reading.occurrences), sink)
        decide = partial(self._decide, job, reading, wanted, sink, ledger, planned)
        return _Case(Kind.IMPORT, job.source, sink, ledger, decide, job, reading)

    def _case(
        self, kind: Kind, calendar: CalendarRef, source: str, decide: Callable[[str, Sink, Ledger, Window], _Decision]
    ) -> _Case:
        sink = self._sink(calendar)
        always = Window(datetime(1970, 1, 1, tzinfo=self._zone), datetime(2200, 1, 1, tzinfo=self._zone))
        ledger = Ledger(self._engine, calendar, always, self._now())
        return _Case(kind, source, sink, ledger, partial(decide, source, sink, ledger, always))

    def _sink(self, calendar: CalendarRef) -> Sink:
        sink = self._open_sink(calendar.lms)
        sink.check_target(calendar)
        return sink

    def _read(self, job: Import) -> Reading:
        start, end = job.window.start, job.window.end
        if self._limits is None:
            return read_occurrences(job.data, start, end, zone=self._zone)
        return read_occurrences(job.data, start, end, zone=self._zone, limits=self._limits)

    # Decisions

    def _decide(
        self,
        job: Import,
        reading: Reading,
        wanted: Wishes,
        sink: Sink,
        ledger: Ledger,
        planned: Mapping[str, object] | None,
    ) -> _Decision:
        entries = ledger.entries()
        plan = make_plan(
            wanted.wanted,
            entries,
            calendar=job.calendar,
            source=job.source,
            scope=job.window,
            rules=sink.rules,
            now=self._now(),
            unread=wanted.unread(reading.unread, reading.unread_all),
            grace=None if job.mode is Mode.ADD else job.grace,
        )
        uids = frozenset(occurrence.id.uid for occurrence in reading.occurrences)
        facts = ReadingFacts(reading.events, uids, self._runs.previous(job))
        objections = self._guard.objections(plan, entries, facts)
        if planned is not None:
            objections = surprises(plan, planned)
        elif job.approved and not job.dry_run:
            objections = []
        return _Decision(plan, tuple(objections), wanted.unfit)

    def _take_back(self, run: int, source: str, sink: Sink, ledger: Ledger, scope: Window) -> _Decision:
        back = undo_plan(
            ledger.journal(run),
            ledger.entries(),
            run=run,
            calendar=ledger.calendar,
            source=source,
            scope=scope,
            rules=sink.rules,
        )
        return _Decision(back.plan, refused=back.skipped, owners=back.owners)

    def _take_away(self, source: str, sink: Sink, ledger: Ledger, scope: Window) -> _Decision:
        return _Decision(purge_plan(ledger.entries(), calendar=ledger.calendar, source=source, scope=scope))

    # Deeds

    def _dry(self, case: _Case) -> Outcome:
        return _outcome(case, Ending.DRY, case.decide())

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
        data = case.job.data if case.job else b""
        return self._runs.begin(case.ledger.calendar, case.source, case.kind, data, case.reading.events)

    def _end(self, case: _Case, run: int, outcome: Outcome, waiting: Run | None) -> None:
        report = report_to_json(outcome.report) if outcome.report else None
        plan = plan_to_json(outcome.plan)
        if waiting is not None and outcome.state in {Ending.LEFT, Ending.FAILED}:
            plan = waiting.plan or plan  # another yes takes up what this one was given to
        if outcome.state is Ending.HELD and case.job is not None:
            self._held.keep(run, case.job, outcome.objections, self._now() + self._hold_for)
        elif outcome.state is Ending.DONE:
            self._held.forget(run)
        self._runs.end(run, outcome.state, plan, report)
        if outcome.report and (outcome.report.done or outcome.report.left):
            self._changed(case.ledger.calendar)

    def _carry_out(self, case: _Case, run: int, progress: Progress) -> Outcome:
        writer = Writer(case.sink, case.ledger, self._partner, case.source, run)
        try:
            writer.settle()
        except (Transient, Denied) as stop:
            decision = case.decide()
            return _reported(case, decision, stopped(decision.plan, stop, decision.plan.changes))
        decision = case.decide()
        if decision.objections:
            return _outcome(case, Ending.HELD, decision)
        writer.owners = decision.owners
        return _reported(case, decision, apply(decision.plan, writer, progress))


def _outcome(case: _Case, state: Ending, decision: _Decision) -> Outcome:
    return Outcome(
        state,
        decision.plan,
        case.kind,
        objections=decision.objections if state in {Ending.HELD, Ending.DRY} else (),
        unfit=decision.refused,
        events=case.reading.events,
        problems=tuple(case.reading.problems),
        ignored=case.reading.ignored,
    )


def _reported(case: _Case, decision: _Decision, report: Report) -> Outcome:
    """What does not fit was refused as well, before anything was tried."""
    whole = replace(report, refused=(*decision.refused, *report.refused))
    left = Ending.LEFT if report.left or report.stopped else Ending.DONE
    return replace(_outcome(case, Ending.FAILED if report.denied else left, decision), report=whole)
