"""Plan → Report, intent before deed: nothing lost, nothing twice, whenever it is interrupted.

What is written comes before what is deleted, so that a run that stops half-way leaves too much in the calendar and
never too little. Within that, changes are made in the plan's order: one at a time, in as many lanes as the LMS takes
writers, or in batches where it takes those.
"""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from threading import Lock
from time import sleep
from typing import Generic, TypeVar

from app.imports.deciding.plan import Change, Create, Delete, Plan, Update
from app.imports.record.report import Deed, Note, Notes, Report, deed_of, note, spared_note
from app.imports.spool import HELD, Spooled
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
    course = _Course(len(plan.changes), step, bytearray(len(plan.changes)))
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

    `came` says of each place in the plan what came of it, and `told` what there is to tell of some, or why they were
    refused; `stop` is the error after which nothing is tried any more; `broken` says that a lane ended in an error of
    ours; `busy` lanes have a portion in hand.
    """

    total: int
    step: Step
    came: bytearray
    told: dict[int, Note | BridgeError] = field(default_factory=dict)
    made: int = 0
    refused: int = 0
    stop: BridgeError | None = None
    broken: bool = False
    busy: int = 0
    lock: Lock = field(default_factory=Lock)

    def at(self) -> At:
        return At(self.made, self.total, self.refused, self.busy)

    def take(self, rest: _Rest[T]) -> T | None:
        """The next of the rest, as soon as there is a lane for it; None if there is none, or something stopped."""
        while True:
            with self.lock:
                if self.stop is not None or self.broken or not rest:
                    return None
                if self._may_go():
                    self.busy += 1
                    return rest.next()
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
            for (place, change), result in zip(places, results, strict=True):
                if isinstance(result, Transient | Denied):
                    self.stop = self.stop or result
                else:
                    self._came(place, change, result)

    def _came(self, place: int, change: Change, result: Note | BridgeError) -> None:
        self.made += 1
        if not isinstance(result, Note):
            self.came[place], self.told[place] = _REFUSED, result
            self.refused += 1
            return
        self.came[place] = _LEFT if result.deed is Deed.LEAVE else _DONE
        if result.reason or result.deed is not deed_of(change):
            self.told[place] = result


_DONE, _LEFT, _REFUSED = 1, 2, 3


class _Rest(Generic[T]):
    """What is still to be done; of the items, no more than two are known at a time."""

    def __init__(self, items: Iterable[T]) -> None:
        self._items = iter(items)
        self._known = deque(islice(self._items, 2))

    def __len__(self) -> int:
        """How many are left, as far as two."""
        return len(self._known)

    def next(self) -> T:
        self._known.extend(islice(self._items, 1))
        return self._known.popleft()


def _of(plan: Plan, *kinds: type[Change]) -> Iterator[Place]:
    if isinstance(plan.changes, Spooled):
        return ((place, plan.changes[place]) for place in plan.changes.places(kinds))
    return ((place, change) for place, change in enumerate(plan.changes) if isinstance(change, kinds))


def _work(course: _Course, writer: Writer, rest: _Rest[list[Place]]) -> None:
    """One lane: portion after portion, until none is left or something stopped."""
    whole = False
    try:
        while (taken := course.take(rest)) is not None:
            course.note(taken, writer.make([change for _, change in taken]))
        whole = True
    finally:
        course.broken = course.broken or not whole


def _in_lanes(course: _Course, writer: Writer, portions: Iterable[list[Place]], lanes: int) -> None:
    rest = _Rest(portions)
    if lanes == 1 or len(rest) == 1:
        _work(course, writer, rest)
        return
    with ThreadPoolExecutor(lanes) as pool:
        for lane in [pool.submit(_work, course, writer, rest) for _ in range(lanes)]:
            lane.result()


def _reported(plan: Plan, course: _Course) -> Report:
    told = {place: each for place, each in course.told.items() if isinstance(each, Note)}
    refused = tuple(
        note(plan.changes[place], str(each)) for place, each in sorted(course.told.items()) if place not in told
    )

    def those(came: int, reason: str = "") -> Sequence[Note]:
        return _notes(plan, (place for place, each in enumerate(course.came) if each == came), told, reason)

    return _stopped(plan, course.stop, those(0, str(course.stop or "")), those(_DONE), refused, those(_LEFT))


def _notes(plan: Plan, places: Iterable[int], told: Mapping[int, Note], reason: str = "") -> Sequence[Note]:
    """A tuple where they are few."""
    notes = Notes(plan.changes, array("L", places), told, reason)
    return notes if len(notes) > HELD else tuple(notes)


def nothing_done(plan: Plan, stop: BridgeError) -> Report:
    """The report of a plan that was stopped before its first change."""
    return _stopped(plan, stop, _notes(plan, range(len(plan.changes)), {}, str(stop)))


def _stopped(
    plan: Plan,
    stop: BridgeError | None,
    left: Sequence[Note],
    done: Sequence[Note] = (),
    refused: Sequence[Note] = (),
    spared: Sequence[Note] = (),
) -> Report:
    """The report of a plan that left these changes because of `stop`, or came to its end if there is none.

    `spared` is what turned out on the way to have been deleted by people, beside what the plan spares.
    """
    reason = str(stop) if stop else ""
    return Report(
        done,
        plan.unchanged,
        tuple(refused),
        left=left,
        stopped=reason,
        denied=isinstance(stop, Denied),
        retry_after=stop.retry_after if isinstance(stop, Transient) else None,
        spared=(*map(spared_note, plan.spared), *spared),
    )
