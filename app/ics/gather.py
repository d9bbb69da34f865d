"""The events of one UID brought together: a small file is held, a large one is read twice and never held."""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import pairwise

from app.ics.events import name_of
from app.ics.lines import Source
from app.ics.parse import Cutter, Place, Properties
from app.ics.problems import Limits, Log

HELD = 8 << 20
"""Bytes of a file whose events are kept from the first pass to the second."""

Member = tuple[int, Properties]
"""An event, and the how manieth of the file it is."""


class Gathered:
    """The VEVENTs of a file, told apart by their UIDs.

    The first pass (the constructor: NotACalendar as of Cutter) reads everything that stands outside of them, and notes
    a number for each event's UID. The second hands the events out as they follow; those of a UID that stands in
    several places of the file come at the end, read again from there.
    """

    def __init__(self, source: Source, limits: Limits, log: Log, *, lanes: bool = True, held: int = HELD) -> None:
        self.cutter = Cutter(source, limits, log, lanes=lanes)
        self._names = array("q")
        self._held: list[Properties] | None = [] if source.size <= held else None
        for event in self.cutter.events():
            self._names.append(hash(name_of(event)))
            if self._held is not None:
                self._held.append(event)
        self._spread = _spread(self._names)

    def families(self) -> Iterator[list[Member]]:
        """All events, those of one UID together (and those of another, where their numbers happen to be equal)."""
        waiting: dict[int, list[tuple[int, Properties | Place]]] = defaultdict(list)
        family: list[Member] = []
        last: int | None = None
        second = self._second()
        for order, event in enumerate(second.events() if self._held is None else self._held):
            name = self._names[order]
            if name in self._spread:
                place = second.place if self._held is None else None
                waiting[name].append((order, place or event))
                continue
            if name != last and family:
                yield family
                family = []
            last = name
            family.append((order, event))
        if family:
            yield family
        for members in waiting.values():
            yield [(order, second.again(one) if isinstance(one, Place) else one) for order, one in members]

    def _second(self) -> Cutter:
        """One that tells nothing again, and counts nothing."""
        first = self.cutter
        limits = replace(first.limits, components=2 * first.components + 1)
        return Cutter(first.source, limits, Log(0), lanes=first.lanes)


def _spread(names: Iterable[int]) -> frozenset[int]:
    """The names that stand in several places."""
    runs: list[int] = []
    for name in names:
        if not runs or name != runs[-1]:
            runs.append(name)
    runs.sort()
    return frozenset(name for name, following in pairwise(runs) if name == following)
