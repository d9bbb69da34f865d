"""Plan → Report, intent before deed: nothing lost, nothing twice, whenever it is interrupted.

What is written comes before what is deleted, so that a run that stops half-way leaves too much in the calendar and
never too little. Within that, changes are made in the plan's order: one at a time, in as many lanes as the LMS takes
writers, or in batches where it takes those.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Lock
from time import sleep
from typing import TypeVar

from app.imports.deciding.plan import Change, Create, Delete, Plan, Update
from app.imports.record.report import Deed, Note, Report, note, spared_note
from app.imports.writing.progress import At
from app.imports.writing.writer import Result, Writer, portions
from bridges.contract import BatchSink
from bridges.errors import BridgeError, Denied, Transient

T = TypeVar("T")

Place = tuple[int, Change]
"""A change, with its place in the plan."""


Step = Callable[[At], int]
"""Asked before each portion of changes, and told at the end; from any thread, but never from two at a time. Answers
how many lanes may be at work, 0 to wait; raises a Transient or a Denied to stop."""

PAUSE = 0.05
"""Seconds until a lane that has to wait asks again."""


def unhindered(at: At) -> int:
    """The step of a run that has the LMS for itself."""
    return at.of + 1


def apply(plan: Plan, writer: Writer, step: Step = unhindered) -> Report:
    """Make the changes of a plan that was drawn from a settled ledger.

    Rejected costs one change; Transient and Denied leave this one and all after it.
    """
    writer.ledger.observe(plan, writer.run, writer.owners)
    course = _Course(len(plan.changes), step)
    rules = writer.sink.rules
    if isinstance(writer.sink, BatchSink):
        for kind in (Create, Update, Delete):
            _in_lanes(course, writer, portions(_of(plan, kind), rules.batch), 1)
    else:
        for kinds in ((Create, Update), (Delete,)):
            _in_lanes(course, writer, portions(_of(plan, *kinds), 1), rules.writers)
    if course.stop is None:
        with suppress(Transient):  # too late to stop anything
            step(course.at())
    return _reported(plan, course)


@dataclass(slots=True)
class _Course:
    """How far a plan has come. Lanes ask and tell one at a time.

    `results` by place in the plan; `stop` is the error after which nothing is tried any more; `broken` says that a
    lane ended in an error of ours; `busy` lanes have a portion in hand.
    """

    total: int
    step: Step
    results: dict[int, Note | BridgeError] = field(default_factory=dict)
    refused: int = 0
    stop: BridgeError | None = None
    broken: bool = False
    busy: int = 0
    lock: Lock = field(default_factory=Lock)

    def at(self) -> At:
        return At(len(self.results), self.total, self.refused, self.busy)

    def take(self, rest: deque[T]) -> T | None:
        """The next of the rest, as soon as there is a lane for it; None if there is none, or something stopped."""
        while True:
            with self.lock:
                if self.stop is not None or self.broken or not rest:
                    return None
                if self._may_go():
                    self.busy += 1
                    return rest.popleft()
            sleep(PAUSE)

    def _may_go(self) -> bool:
        try:
            return self.step(self.at()) > self.busy
        except (Transient, Denied) as stop:
            self.stop = stop
            return False

    def note(self, places: Sequence[Place], results: Sequence[Result]) -> None:
        with self.lock:
            self.busy -= 1
            for (place, _), result in zip(places, results, strict=True):
                if isinstance(result, Transient | Denied):
                    self.stop = self.stop or result
                else:
                    self.results[place] = result
                    self.refused += isinstance(result, BridgeError)


def _of(plan: Plan, *kinds: type[Change]) -> list[Place]:
    return [(place, change) for place, change in enumerate(plan.changes) if isinstance(change, kinds)]


def _work(course: _Course, writer: Writer, rest: deque[list[Place]]) -> None:
    """One lane: portion after portion, until none is left or something stopped."""
    whole = False
    try:
        while (taken := course.take(rest)) is not None:
            course.note(taken, writer.make([change for _, change in taken]))
        whole = True
    finally:
        course.broken = course.broken or not whole


def _in_lanes(course: _Course, writer: Writer, portions: Iterable[list[Place]], lanes: int) -> None:
    rest = deque(portions)
    if lanes == 1 or len(rest) == 1:
        _work(course, writer, rest)
        return
    with ThreadPoolExecutor(lanes) as pool:
        for lane in [pool.submit(_work, course, writer, rest) for _ in range(lanes)]:
            lane.result()


def _reported(plan: Plan, course: _Course) -> Report:
    results = sorted(course.results.items())
    notes = [result for _, result in results if isinstance(result, Note)]
    done = tuple(each for each in notes if each.deed is not Deed.LEAVE)
    spared = tuple(each for each in notes if each.deed is Deed.LEAVE)
    refused = tuple(note(plan.changes[place], str(result)) for place, result in results if not isinstance(result, Note))
    left = [change for place, change in enumerate(plan.changes) if place not in course.results]
    return stopped(plan, course.stop, left, done, refused, spared)


def stopped(
    plan: Plan,
    stop: BridgeError | None,
    left: Sequence[Change],
    done: Sequence[Note] = (),
    refused: Sequence[Note] = (),
    spared: Sequence[Note] = (),
) -> Report:
    """The report of a plan that left these changes because of `stop`, or came to its end if there is none.

    `spared` is what turned out on the way to have been deleted by people, beside what the plan spares.
    """
    reason = str(stop) if stop else ""
    return Report(
        tuple(done),
        plan.unchanged,
        tuple(refused),
        left=tuple(note(change, reason) for change in left),
        stopped=reason,
        denied=isinstance(stop, Denied),
        retry_after=stop.retry_after if isinstance(stop, Transient) else None,
        spared=(*map(spared_note, plan.spared), *spared),
    )
