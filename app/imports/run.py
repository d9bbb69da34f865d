"""An import from end to end: bytes → occurrences → wishes → plan → report, dry or wet."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from zoneinfo import ZoneInfo

from sqlalchemy import Engine

from app.ics import Limits, Reading, read_occurrences
from app.imports.apply import apply, stopped
from app.imports.desire import Wishes, wishes
from app.imports.guard import Guard, ReadingFacts
from app.imports.ledger import Ledger
from app.imports.outcome import Outcome
from app.imports.plan import Plan, make_plan
from app.imports.report import Progress, Report, plan_to_json, report_to_json, silent
from app.imports.runs import Ending, Runs
from app.imports.subscription import Import
from app.imports.writer import Writer
from app.store.leases import lease
from bridges.contract import Sink
from bridges.errors import Denied, Transient
from bridges.model import CalendarRef, Window

__all__ = ["Imports", "Outcome"]


@dataclass(frozen=True, slots=True)
class _Case:
    """One import while it is being decided."""

    job: Import
    sink: Sink
    ledger: Ledger
    reading: Reading
    wishes: Wishes


class Imports:
    """Writes calendar files into LMS calendars. Safe to share between threads; one calendar has one writer at a time.

    `open_sink` gives the sink of a connection by its name (CalendarRef.lms); `zone` is the home zone, of floating
    times and of whole days; `partner` is the first half of every SyncKey, and must not change once events are written;
    `changed` is told of each calendar that a run wrote to.
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
    ) -> None:
        self._engine = engine
        self._changed = changed
        self._open_sink = open_sink
        self._now = now
        self._zone = zone
        self._guard = guard
        self._partner = partner
        self._limits = limits
        self._runs = Runs(engine, now)

    def run(
        self,
        data: bytes,
        calendar: CalendarRef,
        window: Window,
        *,
        source: str = "upload",
        dry_run: bool = False,
        approved: bool = False,
        progress: Progress | None = None,
    ) -> Outcome:
        """Write the difference between the file and what we wrote before; a dry run only tells it.

        NotACalendar (a ValueError) where the bytes are none; Denied where this calendar can never be written;
        Busy while another import writes into it. All else is in the Outcome.
        """
        home = Window(window.start.astimezone(self._zone), window.end.astimezone(self._zone))
        case = self._open(Import(data, calendar, home, source, dry_run, approved))
        if dry_run:
            return self._dry(case)
        with lease(self._engine, f"import {calendar}", self._now) as held:

            def step(done: int, of: int) -> None:
                held.beat()
                (progress or silent)(done, of)

            return self._wet(case, step)

    def _open(self, job: Import) -> _Case:
        sink = self._open_sink(job.calendar.lms)
        sink.check_target(job.calendar)
        reading = self._read(job)
        ledger = Ledger(self._engine, job.calendar, job.window, self._now())
        return _Case(job, sink, ledger, reading, wishes(reading.occurrences, sink))

    def _read(self, job: Import) -> Reading:
        start, end = job.window.start, job.window.end
        if self._limits is None:
            return read_occurrences(job.data, start, end, zone=self._zone)
        return read_occurrences(job.data, start, end, zone=self._zone, limits=self._limits)

    def _dry(self, case: _Case) -> Outcome:
        plan, objections = self._decide(case)
        return _outcome(case, Ending.DRY, plan, objections=objections)

    def _wet(self, case: _Case, progress: Progress) -> Outcome:
        run = self._runs.begin(case.job, case.reading.events)
        outcome = replace(self._carry_out(case, progress), run_id=run)
        report = report_to_json(outcome.report) if outcome.report else None
        self._runs.end(run, outcome.state, plan_to_json(outcome.plan), report)
        if outcome.report and (outcome.report.done or outcome.report.left):
            self._changed(case.job.calendar)
        return outcome

    def _carry_out(self, case: _Case, progress: Progress) -> Outcome:
        writer = Writer(case.sink, case.ledger, self._partner, case.job.source)
        try:
            writer.settle()
        except (Transient, Denied) as stop:
            plan, _ = self._decide(case)
            return _reported(case, plan, stopped(plan, stop, plan.changes))
        plan, objections = self._decide(case)
        if objections and not case.job.approved:
            return _outcome(case, Ending.HELD, plan, objections=objections)
        return _reported(case, plan, apply(plan, writer, progress))

    def _decide(self, case: _Case) -> tuple[Plan, tuple[str, ...]]:
        job, reading, entries = case.job, case.reading, case.ledger.entries()
        plan = make_plan(
            case.wishes.wanted,
            entries,
            calendar=job.calendar,
            source=job.source,
            scope=job.window,
            rules=case.sink.rules,
            now=self._now(),
            unread=case.wishes.unread(reading.unread, reading.unread_all),
        )
        uids = frozenset(occurrence.id.uid for occurrence in reading.occurrences)
        facts = ReadingFacts(reading.events, uids, self._runs.previous(job))
        return plan, tuple(self._guard.objections(plan, entries, facts))


def _outcome(case: _Case, state: Ending, plan: Plan, *, objections: tuple[str, ...] = ()) -> Outcome:
    return Outcome(
        state,
        plan,
        objections=objections,
        unfit=case.wishes.unfit,
        events=case.reading.events,
        problems=tuple(case.reading.problems),
        ignored=case.reading.ignored,
    )


def _reported(case: _Case, plan: Plan, report: Report) -> Outcome:
    """What does not fit was refused as well, before anything was tried."""
    whole = replace(report, refused=(*case.wishes.unfit, *report.refused))
    left = Ending.LEFT if report.left or report.stopped else Ending.DONE
    return replace(_outcome(case, Ending.FAILED if report.denied else left, plan), report=whole)
