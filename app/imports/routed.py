"""A routed import from end to end: one file, read once, into many calendars, each with a plan and a run of its own.

An event that goes elsewhere by now is written there and deleted here. Where it cannot be written there, it stays.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from sqlalchemy import Engine

from app.ics import NotACalendar, Reading
from app.imports.deciding.case import Case
from app.imports.deciding.decide import Decision, Importing
from app.imports.deciding.guard import Guard, ReadingFacts
from app.imports.deciding.part import Part, owed
from app.imports.deciding.plan import NOTHING_UNREAD, Plan, Unread
from app.imports.deciding.routes import Routes, Sorted, unmatched
from app.imports.record.batch import PREVIEW, Batch, Batches, Standing
from app.imports.record.outcome import Outcome
from app.imports.record.report import Progress
from app.imports.record.routed_outcome import Missing, RoutedOutcome
from app.imports.record.runs import Ending, NotWaiting, Run
from app.imports.run import Imports
from app.imports.subscription import Import
from app.store.leases import Busy, is_held, lease
from bridges.errors import BridgeError, Transient
from bridges.model import CalendarRef

TURN = timedelta(minutes=30)
"""Longer than the longest silence between two steps of a routed import."""
MOST_TRIES = 5
"""Workers that may die over one batch before it is given up."""


@dataclass(slots=True)
class _Survey:
    """A file that is sorted: where its parts go, and what of it goes nowhere."""

    reading: Reading
    found: Sorted
    targets: dict[CalendarRef, list[str]] = field(default_factory=dict)
    missing: list[Missing] = field(default_factory=list)

    @property
    def owed(self) -> Unread:
        """What cannot be written where it should be."""
        return owed(one for each in self.missing for one in self.found.parts.get(each.target, ()))


class Routed:
    """Writes one file into many calendars. Safe to share between threads; one import's name has one writer at a time.

    `named` gives the one calendar that a text names, with the errors of Parts.named.
    """

    def __init__(
        self,
        engine: Engine,
        imports: Imports,
        named: Callable[[str], CalendarRef],
        *,
        guard: Guard,
        now: Callable[[], datetime],
    ) -> None:
        self._engine = engine
        self._imports = imports
        self._named = named
        self._guard = guard
        self._now = now
        self._batches = Batches(engine, now)

    def run(self, job: Import, routes: Routes, *, progress: Progress | None = None) -> RoutedOutcome:
        """Write the difference between the file and what this import wrote before, in every calendar.

        The calendar of `job` is not looked at. NotACalendar as Imports.run; Busy while the same import goes on.
        """
        survey = self._survey(job, routes)
        if job.dry_run:
            return self._decided(job, routes, survey)
        with lease(self._engine, _name(job.source), self._now, TURN) as held:
            self._overtake(job.source)
            batch = self._batches.begin(job, routes, survey.reading.events)
            return self._carried_out(job, routes, survey, batch, {}, _beating(held.beat, progress))

    def queue(self, job: Import, routes: Routes) -> Batch:
        """Have a worker do it: the file is kept, and read there."""
        return self.get(self._batches.begin(job, routes, state=Ending.QUEUED))

    def preview(self, job: Import, routes: Routes) -> Batch:
        """What would go where, kept with the file: `approve_later` has it done. Errors as `run`."""
        survey = self._survey(job, routes)
        told = self._decided(replace(job, dry_run=True, approved=False), routes, survey)
        report = {**told.summary(), PREVIEW: told.preview()}
        return self.get(self._batches.preview(job, routes, survey.reading.events, report))

    def approve_later(self, batch: int) -> Batch:
        """The yes to what was previewed: a worker does it, planned anew from its file. A yes to what has objections
        holds against them; else they may still come up, and it waits then. NoRun, NotWaiting."""
        shown = self.get(batch)
        objected = bool(shown.report.get("held")) or any(plan["objections"] for plan in shown.plans)
        self._batches.said_yes(batch, approved=objected)
        return self.get(batch)

    def due(self) -> Sequence[int]:
        """The batches that a worker has to take up, the oldest first: queued, or left by a worker that died."""
        return [
            batch for batch, source in self._batches.queued() if not is_held(self._engine, _name(source), self._now())
        ]

    def take_up(self, batch: int, *, progress: Progress | None = None) -> RoutedOutcome | None:
        """Do what was queued; None where that ended before anything could be planned, and the batch says why.

        Busy and NotWaiting where somebody was faster.
        """
        job, routes = self._batches.job(batch)
        with lease(self._engine, _name(job.source), self._now, TURN) as held:
            if self._batches.take_up(batch) > MOST_TRIES:
                self._give_up(batch, f"It was begun {MOST_TRIES} times, and its worker died each time.")
                return None
            try:
                survey = self._survey(job, routes)
            except NotACalendar as error:
                self._give_up(batch, str(error))
                return None
            self._batches.counted(batch, survey.reading.events)
            self._overtake(job.source)
            return self._carried_out(job, routes, survey, batch, {}, _beating(held.beat, progress))

    def _give_up(self, batch: int, problem: str) -> None:
        self._batches.end(batch, Ending.FAILED, {"stopped": problem})

    def approve(self, batch: int, *, progress: Progress | None = None) -> RoutedOutcome:
        """Carry out all that waits in a batch, planned anew from its file. NoRun, NotWaiting as Imports.approve."""
        waiting = {run: self._imports.get(run) for run, _, state in self.get(batch).runs if state is Ending.HELD}
        if not waiting:
            raise NotWaiting(f"nothing of batch {batch} waits for a yes")
        job, routes = self._batches.job(batch)
        survey = self._survey(job, routes)
        held_runs = {run.calendar: run for run in waiting.values()}
        with lease(self._engine, _name(job.source), self._now, TURN) as held:
            return self._carried_out(job, routes, survey, batch, held_runs, _beating(held.beat, progress))

    def cancel(self, batch: int) -> Batch:
        """Say no to all that waits in a batch, or was previewed. NotWaiting where nothing does."""
        if self._batches.said_no(batch):
            return self.get(batch)
        waiting = [run for run, _, state in self.get(batch).runs if state is Ending.HELD]
        if not waiting:
            raise NotWaiting(f"nothing of batch {batch} waits for a yes")
        for run in waiting:
            self._imports.cancel(run)
        self._batches.end(batch, Ending.CANCELLED, self.get(batch).report)
        return self.get(batch)

    def undo(self, batch: int, *, dry_run: bool = False, progress: Progress | None = None) -> Sequence[Outcome]:
        """Take back what all runs of a batch did, each as Imports.undo; those that did nothing are passed over."""
        ended = {Ending.DONE, Ending.LEFT, Ending.FAILED, Ending.CANCELLED, Ending.PAUSED}
        outcomes = []
        for run, _, state in reversed(self.get(batch).runs):
            if state in ended and (self._imports.get(run).report or {}).get("done"):
                try:
                    outcomes.append(self._imports.undo(run, dry_run=dry_run, progress=progress))
                except NotWaiting:
                    continue
        if not outcomes:
            raise NotWaiting(f"batch {batch} has done nothing, or was taken back already")
        return outcomes

    def get(self, batch: int) -> Batch:
        """NoRun where there is none."""
        return self._batches.get(batch)

    def _overtake(self, source: str) -> None:
        """What waits of earlier files is called off."""
        for waiting in self._batches.waiting(source):
            with suppress(NotWaiting):
                self._imports.cancel(waiting)

    # What goes where

    def _survey(self, job: Import, routes: Routes) -> _Survey:
        reading = self._imports.reading(job)
        survey = _Survey(reading, routes.sort(one for one in reading.occurrences if job.rules.takes(one.event)))
        away: dict[str, str] = {}
        for target in sorted(survey.found.parts):
            lms = target.partition("/")[0]
            try:
                if lms in away:
                    raise Transient(away[lms])
                ref = self._named(target)
                self._imports.check_target(ref)
            except (BridgeError, ValueError) as error:
                later = isinstance(error, Transient)
                if later:
                    away[lms] = str(error)
                events = len(survey.found.parts[target])
                survey.missing.append(Missing(target, str(error), events, later))
            else:
                survey.targets.setdefault(ref, []).append(target)
        return survey

    def _cases(
        self,
        job: Import,
        routes: Routes,
        survey: _Survey,
        standing: Mapping[CalendarRef, Standing],
        batch: int,
        held: Mapping[CalendarRef, Run],
    ) -> Iterator[Case]:
        """One for each calendar that the file names, and for each that it names no more."""
        kept = survey.owed
        for ref in sorted({*survey.targets, *standing, *held}):
            part = Part(batch, routes, tuple(survey.targets.get(ref, ())))
            planned = self._imports.planned(held[ref]) if ref in held else None
            yield self._imports.part_of(
                replace(job, data=b"", calendar=ref, part=part),
                part.reading(survey.reading, survey.found),
                kept,
                planned,
            )

    # Deciding

    def _plans(
        self,
        job: Import,
        survey: _Survey,
        standing: Mapping[CalendarRef, Standing],
        cases: Sequence[Case],
        asked: bool,
    ) -> tuple[list[tuple[Case, Decision]], tuple[str, ...]]:
        """What is to be done in each calendar, and what stands against all of it."""
        decided = [(case, case.decide(self._now())) for case in cases]
        stuck = _wanted([decision.plan for _, decision in decided if decision.objections])
        if stuck != NOTHING_UNREAD:
            decided = [self._spared(case, decision, stuck) for case, decision in decided]
        if not asked:
            return decided, ()
        facts = ReadingFacts(
            survey.reading.events,
            frozenset(one.id.uid for one in survey.reading.occurrences),
            self._batches.previous(job.source),
            (),
        )
        events = sum(each.events for each in standing.values())
        return decided, tuple(self._guard.over_all([decision.plan for _, decision in decided], events, facts))

    def _spared(self, case: Case, decision: Decision, stuck: Unread) -> tuple[Case, Decision]:
        """The same where nothing is deleted that is held elsewhere."""
        if decision.objections or not decision.plan.deletes:
            return case, decision
        kept = _keeping(case, stuck)
        return kept, kept.decide(self._now())

    def _decided(self, job: Import, routes: Routes, survey: _Survey) -> RoutedOutcome:
        standing = self._batches.standing(job.source, job.window)
        cases = list(self._cases(job, routes, survey, standing, 0, {}))
        decided, against = self._plans(job, survey, standing, cases, True)
        outcomes = [self._imports.carry_out(case, dry_run=True) for case, decision in decided if _matters(decision)]
        return self._told(survey, Ending.DRY, None, outcomes, decided, against)

    # Doing

    def _carried_out(
        self,
        job: Import,
        routes: Routes,
        survey: _Survey,
        batch: int,
        held: Mapping[CalendarRef, Run],
        progress: Progress,
    ) -> RoutedOutcome:
        standing = self._batches.standing(job.source, job.window)
        cases = list(self._cases(job, routes, survey, standing, batch, held))
        decided, against = self._plans(job, survey, standing, cases, asked=not (job.approved or held))
        outcomes: list[Outcome] = []
        owing = NOTHING_UNREAD
        for case, decision in sorted(decided, key=_growth):
            ref = case.ledger.calendar
            if not (_matters(decision) or (ref in standing and standing[ref].pending) or ref in held):
                continue
            try:
                doing = _against(_keeping(case, owing), against)
                outcome = self._imports.carry_out(doing, waiting=held.get(ref), progress=progress)
            except Busy as busy:
                survey.missing.append(Missing(str(ref), str(busy), len(decision.plan.creates), True))
                owing = owing.also(_wanted([decision.plan]))
                continue
            outcomes.append(outcome)
            if outcome.state is not Ending.DONE:
                owing = owing.also(_wanted([outcome.plan]))
        ending = Ending.HELD if against else _ending(outcomes, survey.missing)
        told = self._told(survey, ending, batch, outcomes, decided, against)
        self._batches.end(batch, ending, told.summary())
        return told

    def _told(
        self,
        survey: _Survey,
        state: Ending,
        batch: int | None,
        outcomes: Sequence[Outcome],
        decided: Sequence[tuple[Case, Decision]],
        against: tuple[str, ...],
    ) -> RoutedOutcome:
        return RoutedOutcome(
            state,
            batch,
            tuple(sorted(outcomes, key=lambda each: each.plan.calendar)),
            len(decided),
            sum(decision.plan.unchanged for _, decision in decided),
            against,
            unmatched(survey.found.unmatched),
            tuple(survey.missing),
            survey.reading.events,
            tuple(survey.reading.problems),
            survey.reading.ignored,
        )


def _name(source: str) -> str:
    """That of the lease under which one import's files are carried out, one after the other."""
    return f"routed {source}"


def _matters(decision: Decision) -> bool:
    plan = decision.plan
    told = (plan.changes, plan.adopted, plan.absent, plan.found, plan.spared, plan.forgotten)
    return any(told) or bool(decision.objections or decision.refused)


def _growth(pair: tuple[Case, Decision]) -> tuple[int, CalendarRef]:
    """Calendars that grow come first, so that what moves is written before it is deleted, nearly always."""
    plan = pair[1].plan
    return len(plan.deletes) - len(plan.creates), plan.calendar


def _wanted(plans: Sequence[Plan]) -> Unread:
    """What these plans would create."""
    creates = [change for plan in plans for change in plan.creates]
    uids = frozenset(change.id.uid for change in creates)
    return Unread(uids, titles=frozenset(change.event.title for change in creates))


def _importing(case: Case) -> Importing:
    if not isinstance(case.purpose, Importing):
        raise TypeError("a routed file is imported and nothing else")
    return case.purpose


def _keeping(case: Case, owing: Unread) -> Case:
    if owing == NOTHING_UNREAD:
        return case
    purpose = _importing(case)
    return replace(case, purpose=replace(purpose, elsewhere=purpose.elsewhere.also(owing)))


def _against(case: Case, objections: tuple[str, ...]) -> Case:
    return replace(case, purpose=replace(_importing(case), against=objections)) if objections else case


def _ending(outcomes: Sequence[Outcome], missing: Sequence[Missing]) -> Ending:
    states = {outcome.state for outcome in outcomes}
    if any(each.later for each in missing):
        states.add(Ending.LEFT)
    order = (Ending.LEFT, Ending.PAUSED, Ending.HELD, Ending.CANCELLED, Ending.FAILED)
    return next((state for state in order if state in states), Ending.DONE)


def _beating(beat: Callable[[], None], progress: Progress | None) -> Progress:
    def step(done: int, of: int) -> None:
        beat()
        if progress is not None:
            progress(done, of)

    return step
