"""Carries out what was decided: settle, decide, forecast and write, under the calendar's lease and in its share of the
account's lanes; and keeps what became of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import islice
from time import sleep
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Engine

from app.imports.deciding.case import Case
from app.imports.deciding.decide import Decision, Importing
from app.imports.deciding.forecast import Forecast, forecast
from app.imports.deciding.guard import Guard
from app.imports.drift.changes import Policy as DriftPolicy
from app.imports.drift.look import Looking
from app.imports.drift.policies import Policies
from app.imports.record.held import HeldImports
from app.imports.record.imprints import Imprints
from app.imports.record.outcome import Outcome
from app.imports.record.pages import Pages
from app.imports.record.report import (
    Lines,
    Progress,
    Report,
    change_to_json,
    note_to_json,
    plan_to_json,
    report_to_json,
    silent,
)
from app.imports.record.runs import Ending, Kind, Run, Runs
from app.imports.record.whereabouts import lines_of
from app.imports.spool import HELD
from app.imports.subscription import Import
from app.imports.writing.apply import PAUSE, apply, nothing_done
from app.imports.writing.progress import Phase
from app.imports.writing.steering import Steering
from app.imports.writing.writer import Writer
from app.store.lanes import lanes
from app.store.leases import Lease, lease
from app.store.quota import StoreMeter
from bridges.contract import BatchSink
from bridges.errors import Denied, Transient
from bridges.model import CalendarRef

MEASURED_FROM = 10
"""So many changes make a measure of how fast an LMS takes them."""
GOES_ON = frozenset({Ending.PAUSED, Ending.QUEUED, Ending.LEFT, Ending.FAILED})
"""How a run stands that may be taken up where it stopped."""
HEEDLESS = frozenset({Kind.RESTORE, Kind.PURGE})
"""What is meant for events that people changed as well."""


@dataclass(frozen=True, slots=True)
class Policy:
    """How imports behave. `reserve` is the share of an account's quota that is left to feeds; with `hold_quota` a plan
    waits for a yes that its quota would not last for. A plan waits `hold_for` for its yes, and the file of what may go
    on in another way is kept for `keep_for`."""

    hold_for: timedelta = timedelta(hours=24)
    keep_for: timedelta = timedelta(days=30)
    reserve: float = 0.0
    hold_quota: bool = True


@dataclass(frozen=True, slots=True)
class Works:
    """Whoever carries out plans. `partner` is the first half of every SyncKey, `zone` the home zone; `changed` is told
    of each calendar that was written to. `policies` say what becomes of what people made of events."""

    engine: Engine
    runs: Runs
    held: HeldImports
    policy: Policy
    partner: str
    zone: ZoneInfo
    now: Callable[[], datetime]
    changed: Callable[[CalendarRef], None]
    policies: Policies
    guard: Guard

    def dry(self, case: Case) -> Outcome:
        """What would be done."""
        return self._outcome(case, Ending.DRY, *self._decided(case))

    def preview(self, case: Case, job: Import) -> int:
        """What would be done, kept as a run with the file for a day; its number."""
        outcome, calendar = self.dry(case), case.ledger.calendar
        run = self.runs.preview(calendar, job.source, job.data)
        plan = plan_to_json(outcome.plan, outcome.lines)
        self._keep_pages(run, outcome, plan, None)
        self.held.keep(run, job, outcome.objections, self.now() + self.policy.hold_for)
        reading = outcome.reading_to_json() | {"unfit": [note_to_json(each, outcome.lines) for each in outcome.unfit]}
        told = {"forecast": outcome.forecast, "read_count": outcome.events, "reading": reading}
        self.runs.end(run, Ending.PREVIEWED, plan, None, **told)
        return run

    def wet(
        self,
        case: Case,
        *,
        basis: str | None = None,
        waiting: Run | None = None,
        progress: Progress | None = None,
        stopping: Callable[[], bool] = bool,
    ) -> Outcome:
        """Do it. `waiting` is the run that goes on with it, else it is a new one. `basis` names all that the plan
        stands on. Busy where another import writes into the calendar."""
        with lease(self.engine, lease_name(case.ledger.calendar), self.now) as held:
            run = self._begin(case, waiting)
            outcome = replace(self._carry_out(case, run, held, progress or silent, stopping), run_id=run)
            self._end(case, run, outcome, waiting, basis)
        return outcome

    def _begin(self, case: Case, waiting: Run | None) -> int:
        if waiting is not None:
            self.runs.resume(waiting)
            return waiting.id
        purpose, calendar = case.purpose, case.ledger.calendar
        events = purpose.reading.events
        part = case.job.part if case.job else None
        batch = part.batch if part else None
        return self.runs.begin(
            calendar, purpose.source, purpose.kind, purpose.body, events, about=case.about, batch=batch
        )

    def _carry_out(
        self, case: Case, run: int, held: Lease, progress: Progress, stopping: Callable[[], bool]
    ) -> Outcome:
        writer = Writer(case.sink, case.ledger, self.partner, case.purpose.source, run, keeps=self._keeps(case))
        with self._steering(case, run, held, progress, stopping) as steering:
            try:
                if case.ledger.unsettled():
                    self._looking(case).before_settling(self.policies.of(case.ledger.calendar))
                    self._settle(writer, steering)
                decision, expected = self._decided_with_care(case, run)
            except (Transient, Denied) as stop:
                decision, expected = self._decided(case, run)
                report = nothing_done(decision.plan, stop)
            else:
                if decision.objections:
                    return self._outcome(case, Ending.HELD, decision, expected)
                writer.owners, writer.reasons = decision.owners, decision.reasons
                if case.purpose.kind in HEEDLESS:
                    writer.keeps = lambda source: False
                report = apply(decision.plan, writer, steering)
            self._measure(case, steering, len(report.done))
        return self._reported(case, decision, expected, report, steering.halted)

    @contextmanager
    def _steering(
        self, case: Case, run: int, held: Lease, progress: Progress, stopping: Callable[[], bool]
    ) -> Iterator[Steering]:
        writers = 1 if isinstance(case.sink, BatchSink) else case.sink.rules.writers
        meter = StoreMeter(self.engine, case.account, self.now)
        with lanes(self.engine, case.account, writers, self.now) as seat:
            yield Steering(
                run,
                self.runs,
                case.ledger,
                held,
                seat,
                meter,
                self.policy.reserve,
                self.now,
                progress,
                stopping,
            )

    def _settle(self, writer: Writer, steering: Steering) -> None:
        """What an earlier run left in the open is found out, in a lane of our own. Raises Transient, Denied."""
        steering.tell(Phase.SETTLING)
        while not steering.one():
            sleep(PAUSE)
        writer.settle()

    def _measure(self, case: Case, steering: Steering, done: int) -> None:
        if done >= MEASURED_FROM and steering.worked:
            StoreMeter(self.engine, case.account, self.now).measured(steering.worked / done)

    # Decisions

    def _decided(self, case: Case, run: int | None = None) -> tuple[Decision, Forecast]:
        """The plan with its forecast. What a quota would not last for is held, unless a run before this one was left
        half-way: then it goes on, for a person has said yes or nobody had to."""
        now = self.now()
        decision = case.decide(now)
        meter = StoreMeter(self.engine, case.account, self.now)
        expected = forecast(
            decision.plan,
            case.sink.rules,
            isinstance(case.sink, BatchSink),
            meter.quota(),
            self.policy.reserve,
            meter.pace(),
            now,
        )
        objection = expected.objection(now, self.zone) if case.asked and self.policy.hold_quota else ""
        if objection and not self.runs.was_left(case.ledger.calendar, case.purpose.source, run):
            decision = replace(decision, objections=(*decision.objections, objection))
        return decision, expected

    def _decided_with_care(self, case: Case, run: int) -> tuple[Decision, Forecast]:
        """What would be overwritten or deleted is looked at first: what somebody has changed there meanwhile is not."""
        decision, expected = self._decided(case, run)
        if decision.objections or case.purpose.kind in HEEDLESS:
            return decision, expected
        policies = self.policies.of(case.ledger.calendar)
        if not self._looking(case).before_writing(decision.plan, policies, self.now()):
            return decision, expected
        return self._decided(case, run)

    def _looking(self, case: Case) -> Looking:
        return Looking(case.sink, case.ledger, self.guard)

    def _keeps(self, case: Case) -> Callable[[str], bool]:
        policies = self.policies.of(case.ledger.calendar)
        return lambda source: policies(source) is not DriftPolicy.OVERWRITE

    # Endings

    def _outcome(self, case: Case, state: Ending, decision: Decision, expected: Forecast) -> Outcome:
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
            forecast=expected.to_json(self.now(), self.zone) if expected.writes else None,
            about=case.about,
            zones=reading.zones,
            lines=self._lines(case, decision),
        )

    def _lines(self, case: Case, decision: Decision) -> Lines:
        """Where in the file those events stand that there is something to tell of."""
        if case.job is None or not (decision.plan.changes or decision.refused):
            return {}
        return decision.lines() if decision.lines else lines_of(case.job.data)

    def _reported(
        self, case: Case, decision: Decision, expected: Forecast, report: Report, halted: Ending | None
    ) -> Outcome:
        """What does not fit was refused as well, before anything was tried."""
        whole = replace(report, refused=(*decision.refused, *report.refused))
        state = Ending.LEFT if report.left or report.stopped else Ending.DONE
        if report.denied:
            state = Ending.FAILED
        elif halted is not None and report.stopped:
            state = halted
        return replace(self._outcome(case, state, decision, expected), report=whole)

    def _end(self, case: Case, run: int, outcome: Outcome, waiting: Run | None, basis: str | None) -> None:
        plan = plan_to_json(outcome.plan, outcome.lines)
        if waiting is not None and outcome.state in GOES_ON:
            plan = waiting.plan or plan  # another yes takes up what this one was given to
        stays = self._keep(case, run, outcome)
        more: dict[str, Any] = {"forecast": outcome.forecast, "read_count": outcome.events}
        more |= {"reading": outcome.reading_to_json()} if case.job else {}
        if basis and outcome.settles_all:
            more |= {"basis": basis, "revision": case.ledger.revision()}
        report = report_to_json(outcome.report, outcome.lines) if outcome.report else None
        self._keep_pages(run, outcome, plan, waiting)
        self._remember(case, outcome)
        self.runs.end(run, outcome.state, plan, report, **more)
        if not stays:  # not before: a run that was begun and has no file any more could never be taken up
            self.held.forget(run)
        if outcome.report and (outcome.report.done or outcome.report.left):
            self.changed(case.ledger.calendar)

    def _keep_pages(self, run: int, outcome: Outcome, plan: dict[str, Any], waiting: Run | None) -> None:
        """What is too long for the run's row. The plan that a yes was given to is kept already."""
        pages, lines, report = Pages(self.engine), outcome.lines, outcome.report
        if waiting is None or plan is not waiting.plan:
            rest = (change_to_json(each, lines) for each in islice(outcome.plan.changes, HELD, None))
            kept = pages.keep(run, "changes", rest)
            if "more" in plan:
                plan["more"]["hash"] = kept
        for what in ("done", "refused", "left"):
            notes = islice(getattr(report, what) if report else (), HELD, None)
            pages.keep(run, what, (note_to_json(each, lines) for each in notes))

    def _remember(self, case: Case, outcome: Outcome) -> None:
        """What the file held, for the next one. Where that cannot be told, nothing is known; where nothing was done,
        what is known of an older file still holds."""
        purpose, ledger = case.purpose, case.ledger
        if isinstance(purpose, Importing) and purpose.remember and outcome.state is Ending.DONE:
            imprint = purpose.remember(outcome)
            known = imprint and replace(imprint, revision=ledger.revision())
            Imprints(self.engine).keep(ledger.calendar, purpose.source, known, self.now())

    def _keep(self, case: Case, run: int, outcome: Outcome) -> bool:
        """The file is kept while something may still be done with it; whether it is."""
        job, now = case.job, self.now()
        refused = outcome.report is not None and outcome.report.refused
        if job is None:
            return True
        if outcome.state is Ending.HELD:
            self.held.keep(run, job, outcome.objections, now + self.policy.hold_for)
        elif outcome.state in GOES_ON or (outcome.state is Ending.DONE and refused):
            self.held.keep(run, job, (), now + self.policy.keep_for)
        else:
            return False
        return True


def lease_name(calendar: CalendarRef) -> str:
    """What whoever writes into the calendar holds."""
    return f"import {calendar}"
