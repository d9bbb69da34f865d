"""An import from end to end, bytes → occurrences → wishes → plan → report, dry or wet; and the ways back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Engine

from app.ics import Limits, NotACalendar, Reading
from app.ics.floating import NOBODY_SAID, Floating
from app.imports.body import Data
from app.imports.deciding.basis import basis_of, same_again
from app.imports.deciding.case import Case, Retrying
from app.imports.deciding.decide import Importing, Purging, Restoring, Undoing
from app.imports.deciding.desire import Wishes, Wishing
from app.imports.deciding.guard import Guard
from app.imports.deciding.plan import NOTHING_UNREAD, Unread
from app.imports.deciding.rules import NO_RULES, Rules
from app.imports.drift.changes import Drift
from app.imports.drift.changes import Policy as DriftPolicy
from app.imports.drift.policies import Policies
from app.imports.reading import Files, Read
from app.imports.record.held import RESUMABLE, TAKEN_UP, TRIED_AGAIN, FileGone, HeldImports
from app.imports.record.imprints import Imprints
from app.imports.record.outcome import Outcome
from app.imports.record.pages import Pages
from app.imports.record.report import Progress, Report, report_to_json
from app.imports.record.runs import Ending, Kind, NoRun, NotWaiting, Run, Runs
from app.imports.spool import HELD
from app.imports.subscription import Import, Match, Mode
from app.imports.writing.ledger import Ledger
from app.imports.writing.works import Policy, Works, lease_name
from app.store.leases import Busy, is_held, lease
from app.store.slices import Part, Slice
from bridges.contract import Sink
from bridges.errors import BridgeError, Denied
from bridges.model import CalendarRef, Window

__all__ = ["Imports", "Match", "Mode", "NoRun", "NotWaiting", "Outcome", "Policy", "Run"]

MOST_TRIES = 5
"""How many workers may die over one queued run."""


class Imports:
    """Writes calendar files into LMS calendars, and takes back what was written.

    Safe to share between threads; one calendar has one writer at a time. `open_sink` gives the sink of a connection
    by its name (CalendarRef.lms); `zone` is the home zone, of floating times and of whole days; `partner` is the
    first half of every SyncKey, and must not change once events are written. `changed` is told of each calendar that
    a run wrote to; `policy` says how plans wait and what they leave of a quota, `policies` what becomes of people's
    changes (by default they are kept).
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
        policy: Policy = Policy(),  # noqa: B008 - an immutable value
        policies: Policies | None = None,
    ) -> None:
        self._engine = engine
        self._open_sink = open_sink
        self._now = now
        self._zone = zone
        self._guard = guard
        self._partner = partner
        self._limits = limits or Limits()
        self._policy = policy
        self._policies = policies or Policies(engine)
        self._runs = Runs(engine, now)
        self._held = HeldImports(engine)
        self._pages = Pages(engine)
        self._files = Files(Imprints(engine), zone, self._limits, partner, now)
        self._works = Works(engine, self._runs, self._held, policy, partner, zone, now, changed, self._policies, guard)

    def run(
        self,
        data: Data,
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
        return self.do(job, progress)

    def do(self, job: Import, progress: Progress | None = None) -> Outcome:
        """The same for an import as a value, whose window is in the home zone."""
        sink = self._sink(job.calendar)
        basis = basis_of(job, sink, self._limits, self._partner)
        if same := self._unchanged(job, basis):
            return same
        case = self._import(job, sink)
        return self._works.dry(case) if job.dry_run else self._works.wet(case, basis=basis, progress=progress)

    def _unchanged(self, job: Import, basis: str | None) -> Outcome | None:
        """The outcome of the same file in the same terms as last time, where nothing has changed since."""
        last = self._runs.last(job.calendar, job.source) if basis else None
        if last is None or last.basis != basis or last.state != Ending.DONE.value:
            return None
        if last.revision != self._ledger(job.calendar, job.window).revision():
            return None
        return same_again(job, last, self._runs.report(last.id))

    def preview(self, job: Import) -> Run:
        """What would be done, kept with the file: `approve` or `approve_later` do it. Errors as `run`."""
        case = self._import(replace(job, dry_run=True, approved=False), self._sink(job.calendar))
        return self._runs.get(self._works.preview(case, job))

    def preview_again(self, run: int, zone: ZoneInfo | None, floating: Floating | None = None) -> Run:
        """The file of a preview, planned anew with what it means by zones that nobody knows, and by times without one;
        None leaves that as it was. NotWaiting where the run is no preview (any more); else as `preview`."""
        shown = self.get(run)
        job = self._held.job(shown, {Ending.PREVIEWED}, "show a plan")
        made = self.preview(replace(job, zone=zone or job.zone, floating=floating or job.floating))
        self.cancel(run)
        return made

    def queue(self, job: Import) -> Run:
        """Have a worker do it: the file is kept, and read there. Denied where the calendar can never be written."""
        self._sink(job.calendar)
        run = self._runs.queue(job.calendar, job.source, job.data)
        self._held.keep(run, job, (), self._now() + self._policy.keep_for)
        return self._runs.get(run)

    def due(self) -> Sequence[tuple[int, CalendarRef]]:
        """The runs that a worker has to take up, the oldest first: queued, or left by a worker that died."""
        return [(run, calendar) for run, calendar in self._runs.queued() if not self._goes_on(calendar)]

    def take_up(self, run: int, stopping: Callable[[], bool] = bool) -> Outcome | None:
        """Do what was queued; None where that ended before anything could be planned, and the run says why.

        When `stopping`, it stops between two portions and is queued again. Busy and NotWaiting where somebody was
        faster.
        """
        with lease(self._engine, f"run {run}", self._now):
            waiting = self.get(run)
            try:
                job = self._held.job(waiting, TAKEN_UP, "wait for a worker")
                if self._held.tried(run, again=True) > MOST_TRIES:
                    raise Denied(f"It was begun {MOST_TRIES} times, and its worker died each time.")
                return self._taken_up(waiting, job, stopping)
            except (NotACalendar, BridgeError) as error:
                self._give_up(waiting, str(error))
                return None
            except FileGone:
                self._give_up(waiting, "Its file is not kept any more: import it again.")
                return None

    def _taken_up(self, waiting: Run, job: Import, stopping: Callable[[], bool]) -> Outcome:
        """Only a worker that dies, or a fault of ours, leaves it counted as tried."""
        sink = self._sink(job.calendar)
        basis = basis_of(job, sink, self._limits, self._partner)
        case = self._import(job, sink, self.planned(waiting))
        try:
            outcome = self._works.wet(case, basis=basis, waiting=waiting, stopping=stopping)
        except Busy:
            self._held.tried(waiting.id, again=False)
            raise
        self._held.tried(waiting.id, again=False)
        return outcome

    def _give_up(self, run: Run, reason: str) -> None:
        with lease(self._engine, lease_name(run.calendar), self._now):
            self._runs.end(run.id, Ending.FAILED, run.plan, report_to_json(Report(stopped=reason)))
            self._held.forget(run.id)

    def _goes_on(self, calendar: CalendarRef) -> bool:
        """Whether somebody works on the run's calendar, so that it is this run's turn later, or its worker lives."""
        return is_held(self._engine, lease_name(calendar), self._now())

    def standing(self, run: int) -> tuple[Ending, Mapping[str, Any] | None]:
        """How a run stands and how far it has come: cheaper than `get`. NoRun where there is none."""
        return self._runs.standing(run)

    def latest(
        self, count: int = 50, *, calendar: str = "", state: Ending | None = None, before: int | None = None
    ) -> Sequence[Run]:
        """The latest runs, newest first; of one calendar, in one state, and older than that one, if told."""
        self._runs.expire()
        return self._runs.latest(count, calendar=calendar, state=state, before=before)

    def some(self, asked: Slice, *, calendar: str = "", state: Ending | None = None) -> Part[Run]:
        """Some runs, newest first, of one calendar and in one state, if told; searched are calendar and source."""
        self._runs.expire()
        return self._runs.some(asked, calendar=calendar, state=state)

    def get(self, run: int) -> Run:
        """One run. NoRun where there is none."""
        self._runs.expire()
        return self._runs.get(run)

    def part(self, run: Run, what: str, offset: int = 0, limit: int = HELD) -> tuple[list[Any], int]:
        """So many of a run's "changes", or of what is "done", "refused" or "left", from that one on; of how many."""
        return self._pages.part(run, what, offset, limit), self._pages.count(run, what)

    def whole(self, run: Run, what: str) -> Iterable[Any]:
        """All of such a list, a page at a time."""
        return self._pages.whole(run, what)

    def planned(self, waiting: Run) -> Mapping[str, Any] | None:
        """What a yes was given to, whole."""
        return waiting.plan and {**waiting.plan, "changes": self._pages.whole(waiting, "changes")}

    def pause(self, run: int) -> Run:
        """Have a run that goes on stop between two portions of its changes; `resume` goes on with it.

        The Run may still be running when this returns: it stops within a second or two. NoRun where there is none,
        NotWaiting where it does not go on.
        """
        return self._stop(self.get(run), Ending.PAUSED)

    def cancel(self, run: int) -> Run:
        """Say no to a run that waits, or have one that goes on end as with `pause`, for good. What it wrote stays.

        NoRun where there is none, NotWaiting where it neither waits nor goes on.
        """
        one = self.get(run)
        if one.state is Ending.RUNNING:
            return self._stop(one, Ending.CANCELLED)
        if one.state is Ending.PAUSED:
            self._runs.settle(one, Ending.CANCELLED)
            self._held.forget(run)
        else:
            self._runs.cancel(run)
        return self._runs.get(run)

    def _stop(self, run: Run, ending: Ending) -> Run:
        """A process that died looks at no wish: then it is done here."""
        if run.state is Ending.QUEUED:
            self._runs.settle(run, ending)
        elif run.state is not Ending.RUNNING or not self._runs.wish(run.id, ending):
            raise NotWaiting(f"run {run.id} does not go on: it is {run.state}")
        with suppress(Busy), lease(self._engine, lease_name(run.calendar), self._now):
            now = self._runs.get(run.id)
            if now.state is Ending.RUNNING:
                self._runs.settle(now, ending)
        return self._runs.get(run.id)

    def approve(self, run: int, *, progress: Progress | None = None) -> Outcome:
        """Carry out a run that waits for a yes, planned anew from its file.

        It waits again, and says so, where it would by now delete what it did not want to delete then. NoRun where
        there is none, NotWaiting where it does not wait (any more); otherwise as `run`.
        """
        waiting = self.get(run)
        job = self._held.job(waiting)
        case = self._import(job, None, self.planned(waiting))
        return self._works.wet(case, waiting=waiting, progress=progress)

    def approve_later(self, run: int) -> Run:
        """The same yes, for a worker to carry out. NoRun and NotWaiting as `approve`."""
        waiting = self.get(run)
        job = self._held.job(waiting)
        if waiting.state is Ending.RUNNING:
            raise NotWaiting(f"run {run} does not wait for a yes: it is running")
        self._runs.settle(waiting, Ending.QUEUED, background=True)
        self._held.keep(run, job, (), self._now() + self._policy.keep_for)
        return self._runs.get(run)

    def resume(self, run: int, *, progress: Progress | None = None) -> Outcome:
        """Go on with a run that was paused, left half-way or cut off; planned anew, as `approve`."""
        waiting = self.get(run)
        if waiting.kind in {Kind.UNDO, Kind.PURGE} and waiting.state in RESUMABLE:
            back = self._back(waiting)
        else:
            job = self._held.job(waiting, RESUMABLE, "wait to be resumed")
            back = self._import(job, None, self.planned(waiting))
            if waiting.kind is Kind.RETRY and waiting.about is not None:
                back = self._again(back, self.get(waiting.about))
        return self._works.wet(back, waiting=waiting, progress=progress)

    def requeue(self, run: int) -> Run:
        """Have a worker go on with a run that was queued once. NotWaiting where it does not wait to be resumed."""
        waiting = self.get(run)
        self._held.job(waiting, RESUMABLE, "wait to be resumed")
        self._runs.settle(waiting, Ending.QUEUED)
        return self._runs.get(run)

    def retry(self, run: int, *, dry_run: bool = False, progress: Progress | None = None) -> Outcome:
        """Try again what was refused in a run, and nothing else, from its file. NotWaiting where nothing was refused,
        or the file is not kept any more: a newer one of this import has overtaken it."""
        tried = self.get(run)
        job = self._held.job(tried, TRIED_AGAIN, "have a file to try again from")
        case = self._again(self._import(replace(job, approved=True)), tried)
        return self._works.dry(case) if dry_run else self._works.wet(case, progress=progress)

    def _again(self, case: Case, tried: Run) -> Case:
        refused = frozenset((each["uid"], each["slot"]) for each in self.whole(tried, "refused"))
        if not refused:
            raise NotWaiting(f"run {tried.id} had nothing refused")
        if not isinstance(case.purpose, Importing):
            raise TypeError("only an import is tried again")
        return replace(case, purpose=Retrying(case.purpose, refused), about=tried.id)

    def undo(self, run: int, *, dry_run: bool = False, progress: Progress | None = None) -> Outcome:
        """Take back what one run did: where the ledger still stands as it left it, and nowhere else.

        The Outcome is that of a run of its own; what was changed since is among the refused. NoRun where there is
        no such run, NotWaiting where it was taken back already; Denied and Busy as `run`.
        """
        undone = self.get(run)
        by = self._runs.undone_by(run)
        if by is not None and self._runs.undone_by(by) is None:
            raise NotWaiting(f"run {run} was taken back already, by run {by}")
        case = self._case(undone.calendar, Undoing(undone.source, run), run)
        return self._works.dry(case) if dry_run else self._works.wet(case, progress=progress)

    def _back(self, run: Run) -> Case:
        """An undo or a purge that goes on."""
        if run.kind is Kind.PURGE or run.about is None:
            return self._case(run.calendar, Purging(run.source))
        return self._case(run.calendar, Undoing(run.source, run.about), run.about)

    def purge(
        self, calendar: CalendarRef, source: str, *, dry_run: bool = False, progress: Progress | None = None
    ) -> Outcome:
        """Take away all that this import ever wrote into the calendar, and only that. Denied and Busy as `run`."""
        case = self._case(calendar, Purging(source))
        if not self._runs.knows(calendar, source):
            raise NoRun(f"no import called '{source}' has ever written into {calendar}")
        return self._works.dry(case) if dry_run else self._works.wet(case, progress=progress)

    def restore(self, calendar: CalendarRef, drifts: Sequence[Drift], *, progress: Progress | None = None) -> Outcome:
        """Write again what people changed or deleted in the calendar, as the file has it. Denied and Busy as `run`."""
        source = drifts[0].source if len({each.source for each in drifts}) == 1 else ""
        return self._works.wet(self._case(calendar, Restoring(source, tuple(drifts))), progress=progress)

    # Cases

    def _import(self, job: Import, sink: Sink | None = None, planned: Mapping[str, Any] | None = None) -> Case:
        """`planned` is what a yes was given to."""
        sink = sink or self._sink(job.calendar)
        if job.part is not None:
            reading, elsewhere = job.part.of(self.reading(job))
            return self._importing(job, reading, self._wishes(job, reading, sink), elsewhere, sink, planned)
        revision = self._ledger(job.calendar, job.window).revision()
        read = self._files.read(job, sink, revision, overwrite=self._overwrites(job), whole=planned is not None)
        return self._importing(job, read.reading, read.wishes, NOTHING_UNREAD, sink, planned, read)

    def _wishes(self, job: Import, reading: Reading, sink: Sink) -> Wishes:
        wanted = Wishing(sink, job.window)
        wanted.add((one.id.uid for one in reading.occurrences), job.rules.taken(reading.occurrences))
        return wanted.all()

    def _importing(
        self,
        job: Import,
        reading: Reading,
        wanted: Wishes,
        elsewhere: Unread,
        sink: Sink,
        planned: Mapping[str, Any] | None = None,
        read: Read | None = None,
    ) -> Case:
        purpose = Importing(
            job,
            reading,
            wanted,
            self._guard,
            self._runs.previous,
            planned,
            self._overwrites(job),
            elsewhere=elsewhere,
            kept=read.kept if read else None,
            remember=read.remember if read else None,
        )
        asked = planned is None and (job.dry_run or not job.approved)
        return Case(purpose, sink, self._ledger(job.calendar, job.window), asked=asked)

    def _overwrites(self, job: Import) -> bool:
        return self._policies.of(job.calendar)(job.source) is DriftPolicy.OVERWRITE

    # For a file that goes into many calendars

    def reading(self, job: Import) -> Reading:
        """The file whole, whatever becomes of it. NotACalendar as `run`."""
        return self._files.occurrences(job)

    def check_target(self, calendar: CalendarRef) -> None:
        """Denied where this calendar can never be written."""
        self._sink(calendar)

    def part_of(
        self, job: Import, reading: Reading, elsewhere: Unread, planned: Mapping[str, Any] | None = None
    ) -> Case:
        """One calendar of a file that was read before. What `elsewhere` hides stays; else as `_import`."""
        sink = self._sink(job.calendar)
        return self._importing(job, reading, self._wishes(job, reading, sink), elsewhere, sink, planned)

    def carry_out(
        self, case: Case, *, dry_run: bool = False, waiting: Run | None = None, progress: Progress | None = None
    ) -> Outcome:
        """Decide and do it, or decide alone. Busy as `run`."""
        return self._works.dry(case) if dry_run else self._works.wet(case, waiting=waiting, progress=progress)

    # Of other purposes

    def _case(self, calendar: CalendarRef, purpose: Undoing | Purging | Restoring, about: int | None = None) -> Case:
        always = Window(datetime(1970, 1, 1, tzinfo=self._zone), datetime(2200, 1, 1, tzinfo=self._zone))
        return Case(purpose, self._sink(calendar), self._ledger(calendar, always), about)

    def _ledger(self, calendar: CalendarRef, window: Window) -> Ledger:
        return Ledger(self._engine, calendar, window, self._now())

    def _sink(self, calendar: CalendarRef) -> Sink:
        sink = self._open_sink(calendar.lms)
        sink.check_target(calendar)
        return sink
