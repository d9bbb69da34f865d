"""What of a routed file goes into one calendar, as a value that can be kept with a run that waits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from app.ics import Reading
from app.imports.deciding.plan import NOTHING_UNREAD, Unread
from app.imports.deciding.routes import Routes, Sorted, routes_of
from bridges.model import Occurrence


@dataclass(frozen=True, slots=True)
class Part:
    """What `routes` send to one of `targets`, which are all names of one calendar. `batch` keeps the file."""

    batch: int
    routes: Routes
    targets: tuple[str, ...]

    def of(self, reading: Reading) -> tuple[Reading, Unread]:
        """This part of a file, and what is to stay in the calendar although the file wants it elsewhere by now: who
        carries out one part alone knows nothing of the others."""
        found = self.routes.sort(reading.occurrences)
        others = (found.parts[target] for target in found.parts if target not in self.targets)
        return self.reading(reading, found), owed(one for other in others for one in other)

    def reading(self, whole: Reading, found: Sorted) -> Reading:
        """This part of a file that was sorted already. What its reader met is told with the whole."""
        ours = [one for target in self.targets for one in found.parts.get(target, ())]
        once = tuple({one.id: one for one in ours}.values()) if len(self.targets) > 1 else tuple(ours)
        return replace(whole, occurrences=once, problems=(), ignored={})

    def to_json(self) -> dict[str, Any]:
        return {"batch": self.batch, "routes": self.routes.to_json(), "targets": list(self.targets)}


def part_from_json(data: Mapping[str, Any]) -> Part:
    """The inverse of Part.to_json."""
    return Part(data["batch"], routes_of(data["routes"]), tuple(data["targets"]))


def owed(occurrences: Iterable[Occurrence]) -> Unread:
    """These are wanted somewhere, and do not stand there yet: wherever they stand now, they stay."""
    uids, titles = set(), set()
    for one in occurrences:
        uids.add(one.id.uid)
        titles.add(one.event.title)
    return Unread(frozenset(uids), titles=frozenset(titles)) if uids else NOTHING_UNREAD
