"""The same plan, drawn so many UIDs at a time: what it takes in memory does not grow with the file or the ledger.

An event's UID says which entries it can have to do with, so the plan of some UIDs and their entries is a part of the
whole one. What the file lacks altogether is found last, by a walk through the ledger.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from app.ics.read import without_collector
from app.imports.deciding.desire import Wishes
from app.imports.deciding.plan import Change, Desired, Entry, Plan, Spared, place_in
from app.imports.spool import Pile
from bridges.model import OccurrenceId

Entries = Mapping[OccurrenceId, Entry]
Part = Callable[[Mapping[OccurrenceId, Desired], Entries], Plan]
"""The plan of some UIDs with their entries."""


class Book(Protocol):
    """A ledger, read in parts."""

    def of(self, uids: Iterable[str]) -> Entries:
        """All entries of these UIDs."""

    def besides(self, uids: Container[Any], source: str) -> Iterator[Entries]:
        """The entries that this import answers for, under any other UID; some at a time."""


def plan_in_portions(
    wishes: Wishes,
    book: Book,
    part: Part,
    *,
    whole: bool = True,
    pile: Pile[Change] | None = None,
) -> Plan:
    """The plan of all portions; not `whole`: nothing is deleted."""
    nothing = part({}, {})
    sums = _Sum(nothing, pile or Pile(place_in(nothing.window)))
    for number in range(len(wishes.portions)):
        with without_collector():
            portion = wishes.portions[number]
            sums.add(part(portion.wanted, book.of(portion.uids)))
    if whole:
        for entries in book.besides(wishes.uids, nothing.source):
            sums.add(part({}, entries))
    return sums.plan()


@dataclass(slots=True)
class _Sum:
    """What parts come to."""

    empty: Plan
    changes: Pile[Change]
    unchanged: int = 0
    adopted: list[OccurrenceId] = field(default_factory=list)
    absent: list[OccurrenceId] = field(default_factory=list)
    found: list[OccurrenceId] = field(default_factory=list)
    spared: list[Spared] = field(default_factory=list)
    forgotten: list[OccurrenceId] = field(default_factory=list)

    def add(self, part: Plan) -> None:
        self.changes.add(part.changes)
        self.unchanged += part.unchanged
        self.adopted += part.adopted
        self.absent += part.absent
        self.found += part.found
        self.spared += part.spared
        self.forgotten += part.forgotten

    def plan(self) -> Plan:
        return Plan(
            self.empty.calendar,
            self.empty.source,
            self.empty.window,
            self.changes.sequence(),
            self.unchanged,
            tuple(sorted(self.adopted, key=str)),
            tuple(sorted(self.absent, key=str)),
            tuple(sorted(self.found, key=str)),
            tuple(sorted(self.spared, key=lambda each: str(each.entry.id))),
            tuple(sorted(self.forgotten, key=str)),
        )
