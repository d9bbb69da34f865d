"""LMSs at the end of the line, for imports: one in memory of each kind that SinkRules tell apart, and faults for any.

The LMS outlives the process that writes to it: a crash is an exception that nothing of ours catches.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, time
from enum import Enum
from itertools import count
from threading import Lock
from typing import TypeVar

from bridges.contract import BatchSink, Order, Put, Sink, SinkRules
from bridges.errors import BridgeError, Denied, Gone, KeyTaken, Rejected, Transient
from bridges.model import AllDay, CalendarRef, Event, RemoteRef, SyncKey, Timed

KINDS = {
    "keys come back": SinkRules(keys_reusable=True, keeps_all_day=True, finds_by_key=True),
    "keys are spent": SinkRules(keys_reusable=False, keeps_all_day=True, finds_by_key=True),
    "no keys, no days": SinkRules(keys_reusable=True, keeps_all_day=False, finds_by_key=False),
}

T = TypeVar("T")

UNFIT, UNWANTED = "does not fit", "refused on arrival"
"""Titles of events that the LMS has no place for: told by `fit`, or only when it is asked to write them."""


class Crash(BaseException):
    """The process is gone."""


@dataclass
class MemoryLms:
    """A sink over a dictionary. `journal` is every write that was accepted."""

    rules: SinkRules
    events: dict[RemoteRef, tuple[CalendarRef, SyncKey | None, Event]] = field(default_factory=dict)
    journal: list[tuple[str, Event | RemoteRef]] = field(default_factory=list)
    keys: set[tuple[CalendarRef, SyncKey]] = field(default_factory=set)
    reads: int = 0
    numbers: Iterator[int] = field(default_factory=count)

    def standing(self, calendar: CalendarRef) -> list[Event]:
        return [event for where, _, event in self.events.values() if where == calendar]

    def entered(self, calendar: CalendarRef, event: Event) -> RemoteRef:
        """What a person writes there."""
        ref = RemoteRef(f"e{next(self.numbers)}")
        self.events[ref] = (calendar, None, event)
        return ref

    def check_target(self, calendar: CalendarRef) -> None:
        if calendar.lms != "lms":
            raise Denied(f"{calendar} is elsewhere")

    def fit(self, event: Event) -> Event:
        if event.title == UNFIT or (isinstance(event.when, Timed) and event.when.floating):
            raise Rejected("no place for it")
        when = event.when
        if isinstance(when, AllDay) and not self.rules.keeps_all_day:
            when = Timed(datetime.combine(when.start, time(), UTC), datetime.combine(when.end, time(), UTC))
        return replace(event, title=event.title[:20], when=when)

    def create(self, calendar: CalendarRef, key: SyncKey, event: Event) -> RemoteRef:
        if event.title == UNWANTED:
            raise Rejected("it will not have it")
        if self.rules.finds_by_key and (calendar, key) in self._taken():
            raise KeyTaken("key is taken")
        ref = RemoteRef(f"e{next(self.numbers)}")
        self.keys.add((calendar, key))
        self.events[ref] = (calendar, key, event)
        self.journal.append(("create", event))
        return ref

    def update(self, calendar: CalendarRef, ref: RemoteRef, event: Event) -> RemoteRef:
        if event.title == UNWANTED:
            raise Rejected("it will not have it")
        if ref not in self.events:
            raise Gone("it is not there")
        self.events[ref] = (calendar, self.events[ref][1], event)
        self.journal.append(("update", event))
        return ref

    def delete(self, calendar: CalendarRef, ref: RemoteRef) -> None:
        self.events.pop(ref, None)
        self.journal.append(("delete", ref))

    def find(self, calendar: CalendarRef, key: SyncKey, event: Event) -> Sequence[RemoteRef]:
        self.reads += 1
        if self.rules.finds_by_key:
            return [ref for ref, (where, name, _) in list(self.events.items()) if (where, name) == (calendar, key)]
        return [ref for ref, (where, _, value) in list(self.events.items()) if (where, value) == (calendar, event)]

    def _taken(self) -> set[tuple[CalendarRef, SyncKey]]:
        living = {(where, key) for where, key, _ in list(self.events.values()) if key is not None}
        return living if self.rules.keys_reusable else self.keys


@dataclass
class BatchLms(MemoryLms):
    """The same, with calls that hold many orders; `calls` has the size of each."""

    calls: list[int] = field(default_factory=list)

    def carry_out(self, calendar: CalendarRef, orders: Sequence[Order]) -> Sequence[RemoteRef | BridgeError | None]:
        kinds = Counter((isinstance(order, Put), isinstance(order, Put) and order.ref is None) for order in orders)
        for orders_of_kind in kinds.values():
            whole, rest = divmod(orders_of_kind, self.rules.batch)
            self.calls += [self.rules.batch] * whole + [rest] * bool(rest)
        return [carried_out(self, calendar, order) for order in orders]


def carried_out(sink: Sink, calendar: CalendarRef, order: Order) -> RemoteRef | BridgeError | None:
    """One order by the plain methods."""
    try:
        if not isinstance(order, Put):
            sink.delete(calendar, order.ref)
            return None
        if order.ref is None:
            return sink.create(calendar, order.key, order.event)
        return sink.update(calendar, order.ref, order.event)
    except BridgeError as error:
        return error


def lms_of(kind: str, shape: str = "one by one") -> MemoryLms:
    """An LMS of this kind: written to one by one, in batches of three, or by three at a time."""
    if shape == "in batches":
        return BatchLms(replace(KINDS[kind], batch=3))
    return MemoryLms(replace(KINDS[kind], writers=3 if shape == "by three" else 1))


SHAPES = ("one by one", "in batches", "by three")


class Fault(Enum):
    """What happens to one call."""

    NONE = "none"
    REFUSED = "busy, and nothing was done"
    LOST = "done, and the answer was lost"
    KILLED = "the process died before the call"
    KILLED_AFTER = "the process died after the call"


@dataclass
class Faulty:
    """Any sink behind a bad line: call by call, the faults that it was given; then none."""

    sink: Sink
    faults: Sequence[Fault]
    calls: int = 0
    lock: Lock = field(default_factory=Lock)

    @property
    def rules(self) -> SinkRules:
        return self.sink.rules

    def check_target(self, calendar: CalendarRef) -> None:
        self.sink.check_target(calendar)

    def fit(self, event: Event) -> Event:
        return self.sink.fit(event)

    def create(self, calendar: CalendarRef, key: SyncKey, event: Event) -> RemoteRef:
        return self._call(lambda: self.sink.create(calendar, key, event))

    def update(self, calendar: CalendarRef, ref: RemoteRef, event: Event) -> RemoteRef:
        return self._call(lambda: self.sink.update(calendar, ref, event))

    def delete(self, calendar: CalendarRef, ref: RemoteRef) -> None:
        return self._call(lambda: self.sink.delete(calendar, ref))

    def find(self, calendar: CalendarRef, key: SyncKey, event: Event) -> Sequence[RemoteRef]:
        return self._call(lambda: self.sink.find(calendar, key, event))

    def _call(self, call: Callable[[], T]) -> T:
        fault = self._next()
        if fault is Fault.REFUSED:
            raise Transient("busy", retry_after=30)
        if fault is Fault.KILLED:
            raise Crash
        answer = call()
        if fault is Fault.LOST:
            raise Transient("no answer")
        if fault is Fault.KILLED_AFTER:
            raise Crash
        return answer

    def _next(self) -> Fault:
        with self.lock:
            self.calls += 1
            return self.faults[self.calls - 1] if self.calls <= len(self.faults) else Fault.NONE


@dataclass
class FaultyBatches(Faulty):
    """The same for a sink of batches. What is lost on the way, or cut off, was done by half."""

    def carry_out(self, calendar: CalendarRef, orders: Sequence[Order]) -> Sequence[RemoteRef | BridgeError | None]:
        assert isinstance(self.sink, BatchSink)
        fault = self._next()
        if fault is Fault.KILLED:
            raise Crash
        if fault is Fault.REFUSED:
            return [Transient("busy", retry_after=30) for _ in orders]
        outcomes = self.sink.carry_out(calendar, orders if fault is Fault.NONE else orders[::2])
        if fault is Fault.KILLED_AFTER:
            raise Crash
        return [Transient("no answer") for _ in orders] if fault is Fault.LOST else outcomes


def faulty(sink: Sink, faults: Sequence[Fault]) -> Faulty:
    """The sink behind a bad line."""
    return FaultyBatches(sink, faults) if isinstance(sink, BatchSink) else Faulty(sink, faults)
