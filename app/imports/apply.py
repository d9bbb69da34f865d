"""Plan → Report, intent before deed: nothing lost, nothing twice, whenever it is interrupted.

What is written comes before what is deleted, so that a run that stops half-way leaves too much in the calendar and
never too little. Within that, changes are made in the plan's order: one at a time, in as many lanes as the LMS takes
writers, or in batches where it takes those.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Lock
from typing import TypeVar

from app.imports.plan import Change, Create, Delete, Plan, Update
from app.imports.report import Note, Progress, Report, note, silent
from app.imports.writer import Result, Writer, portions
from bridges.contract import BatchSink
from bridges.errors import BridgeError, Denied, Transient

T = TypeVar("T")

Place = tuple[int, Change]
"""A change, with its place in the plan."""


def apply(plan: Plan, writer: Writer, progress: Progress = silent) -> Report:
    """Make the changes of a plan that was drawn from a settled ledger.

    Rejected costs one change; Transient and Denied leave this one and all after it.
    """
    writer.ledger.observe(plan, writer.run, writer.owners)
    course = _Course(len(plan.changes), progress)
    rules = writer.sink.rules
    if isinstance(writer.sink, BatchSink):
        for kind in (Create, Update, Delete):
            _in_lanes(course, writer, portions(_of(plan, kind), rules.batch), 1)
    else:
        for kinds in ((Create, Update), (Delete,)):
            _in_lanes(course, writer, portions(_of(plan, *kinds), 1), rules.writers)
    if course.stop is None:
        progress(len(plan.changes), len(plan.changes))
    return _reported(plan, course)


@dataclass(slots=True)
class _Course:
    """How far a plan has come. Lanes ask and tell one at a time.

    `results` by place in the plan; `stop` is the error after which nothing is tried any more; `broken` says that a
    lane ended in an error of ours.
    """

    total: int
    progress: Progress
    results: dict[int, Note | BridgeError] = field(default_factory=dict)
    stop: BridgeError | None = None
    broken: bool = False
    lock: Lock = field(default_factory=Lock)

    def take(self, rest: Iterator[T]) -> T | None:
        """The next of the rest, unless something stopped; tells how many changes are made."""
        with self.lock:
            if self.stop is not None or self.broken or (taken := next(rest, None)) is None:
                return None
            self.progress(len(self.results), self.total)
            return taken

    def note(self, places: Sequence[Place], results: Sequence[Result]) -> None:
        with self.lock:
            for (place, _), result in zip(places, results, strict=True):
                if isinstance(result, Transient | Denied):
                    self.stop = self.stop or result
                else:
                    self.results[place] = result


def _of(plan: Plan, *kinds: type[Change]) -> list[Place]:
    return [(place, change) for place, change in enumerate(plan.changes) if isinstance(change, kinds)]


def _work(course: _Course, writer: Writer, rest: Iterator[list[Place]]) -> None:
    """One lane: portion after portion, until none is left or something stopped."""
    whole = False
    try:
        while (taken := course.take(rest)) is not None:
            course.note(taken, writer.make([change for _, change in taken]))
        whole = True
    finally:
        course.broken = course.broken or not whole


def _in_lanes(course: _Course, writer: Writer, rest: Iterator[list[Place]], lanes: int) -> None:
    if lanes == 1:
        _work(course, writer, rest)
        return
    with ThreadPoolExecutor(lanes) as pool:
        for lane in [pool.submit(_work, course, writer, rest) for _ in range(lanes)]:
            lane.result()


def _reported(plan: Plan, course: _Course) -> Report:
    results = sorted(course.results.items())
    done = tuple(result for _, result in results if isinstance(result, Note))
    refused = tuple(note(plan.changes[place], str(result)) for place, result in results if not isinstance(result, Note))
    left = [change for place, change in enumerate(plan.changes) if place not in course.results]
    return stopped(plan, course.stop, left, done, refused)


def stopped(
    plan: Plan,
    stop: BridgeError | None,
    left: Sequence[Change],
    done: Sequence[Note] = (),
    refused: Sequence[Note] = (),
) -> Report:
    """The report of a plan that left these changes because of `stop`, or came to its end if there is none."""
    reason = str(stop) if stop else ""
    return Report(
        tuple(done),
        plan.unchanged,
        tuple(refused),
        left=tuple(note(change, reason) for change in left),
        stopped=reason,
        denied=isinstance(stop, Denied),
        retry_after=stop.retry_after if isinstance(stop, Transient) else None,
    )
