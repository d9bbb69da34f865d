"""Which event of the ledger an event of a file is, where its UID does not tell: by what it is. Pure.

Some servers give new UIDs at each export (Office 365's published calendars, some timetable systems). An entry keeps the
identity that it was created under, since its SyncKey is derived from it. What is new is named by its content and a
number, so that no event ever depends on a UID that will not be seen again.
"""

from __future__ import annotations

import json
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from itertools import count

from app.imports.deciding.plan import BY_CONTENT, Desired, Entry, State, is_over
from app.imports.subscription import Match
from app.store.values import event_to_json, when_to_json
from bridges.model import OccurrenceId, Window

Wanted = Mapping[OccurrenceId, Desired]
Ledger = Mapping[OccurrenceId, Entry]
Key = Callable[[Desired], Hashable]


def identified(
    wanted: Wanted, ledger: Ledger, *, source: str, scope: Window, now: datetime, match: Match, loosely: bool
) -> Wanted:
    """What a file wants, under the identities that its events have in the ledger of this calendar.

    By UID, only what was named by content before is looked for by content: nothing is doubled where somebody changes
    the match. `loosely` takes an event for another one that was moved or renamed; not to be done where a file adds
    only, or was not read whole, since what it seems to lack may be meant to stay.
    """
    ours = {id: entry for id, entry in ledger.items() if entry.source == source}
    if match is Match.UID:
        ours = {id: entry for id, entry in ours.items() if id.uid.startswith(BY_CONTENT)}
        if not ours:
            return wanted
    known = {id for id in wanted if match is Match.UID and (entry := ledger.get(id)) and _stands(entry)}
    left = {id: entry for id, entry in ours.items() if id not in known}
    pairing = _Pairing({id: each for id, each in wanted.items() if id not in known}, left, scope)
    pairing.pair(now, loosely=loosely, revive=match is Match.CONTENT)
    named = _names(pairing, ledger, source) if match is Match.CONTENT else {}
    return {pairing.found.get(id) or named.get(id, id): each for id, each in wanted.items()}


@dataclass(slots=True)
class _Pairing:
    """Events of a file and entries of a ledger, as far as they are `free` and `left`; `found` joins them.

    The order of either makes no difference, and UIDs only where they are the same on both sides.
    """

    free: dict[OccurrenceId, Desired]
    left: dict[OccurrenceId, Entry]
    scope: Window
    found: dict[OccurrenceId, OccurrenceId] = field(default_factory=dict)

    def pair(self, now: datetime, *, loosely: bool, revive: bool) -> None:
        """The surest pairs first: what is equal in all, what kept its UID, what was changed a little."""
        dead = {id: entry for id, entry in self.left.items() if not _stands(entry)}
        self.left = {id: entry for id, entry in self.left.items() if id not in dead}
        self._by_identity(equal=True)
        self._by_key(lambda each: each)
        self._by_identity(equal=False)
        self._by_key(lambda each: (each.event.title, each.event.when))
        if loosely:
            self.left = {id: entry for id, entry in self.left.items() if self._in_question(entry, now)}
            self._by_nearest()
            self._by_key(lambda each: (each.event.place, each.event.when) if each.event.place else None)
        if revive:
            self.left = dead
            self._by_key(lambda each: each)

    def _by_identity(self, *, equal: bool) -> None:
        for id in [id for id in self.free if id in self.left]:
            if not equal or _written(self.left[id]) == self.free[id]:
                self._join(id, id)

    def _by_key(self, key: Key) -> None:
        for files, entries in self._groups(key):
            for (_, id), (_, entry) in zip(files, entries, strict=False):
                self._join(id, entry)

    def _by_nearest(self) -> None:
        """Of one title on one day each takes, in order of time, the nearest that is still free."""
        for files, entries in self._groups(lambda each: (each.event.title, self._day(each))):
            for rank, id in files:
                if not entries:
                    break
                after = bisect_left(entries, rank[0], key=lambda each: each[0][0])
                around = range(max(after - 1, 0), min(after + 1, len(entries)))
                nearest = min(around, key=lambda place: abs(entries[place][0][0] - rank[0]))
                self._join(id, entries.pop(nearest)[1])

    def _groups(self, key: Key) -> Iterable[tuple[list[_Place], list[_Place]]]:
        """Those of a file and those of the ledger that share a key (None is none), each by time and content."""
        entries = _grouped(((id, _written(entry)) for id, entry in self.left.items()), key)
        files = _grouped(((id, each) for id, each in self.free.items() if key(each) in entries), key)
        for name, group in files.items():
            yield self._ranked(group), self._ranked(entries[name])

    def _ranked(self, group: Sequence[tuple[OccurrenceId, Desired]]) -> list[_Place]:
        ranked = ((_rank(each, self.scope), id) for id, each in group)
        return sorted(ranked, key=lambda place: (place[0], str(place[1])))

    def _join(self, id: OccurrenceId, entry: OccurrenceId) -> None:
        self.found[id] = entry
        del self.free[id], self.left[entry]

    def _day(self, each: Desired) -> object:
        return self.scope.span(each.event.when)[0].astimezone(self.scope.start.tzinfo).date()

    def _in_question(self, entry: Entry, now: datetime) -> bool:
        return self.scope.overlaps(entry.event.when) and not is_over(entry.event, self.scope, now)


_Rank = tuple[datetime, datetime, str]
_Place = tuple[_Rank, OccurrenceId]


def _grouped(
    items: Iterable[tuple[OccurrenceId, Desired]], key: Key
) -> dict[Hashable, list[tuple[OccurrenceId, Desired]]]:
    groups = defaultdict(list)
    for id, each in items:
        if (name := key(each)) is not None:
            groups[name].append((id, each))
    return dict(groups)


def _rank(each: Desired, scope: Window) -> _Rank:
    return (*scope.span(each.event.when), _content(each))


def _names(pairing: _Pairing, ledger: Ledger, source: str) -> dict[OccurrenceId, OccurrenceId]:
    """Names for what is new: the content and the first number that is free. Equals may swap theirs."""
    taken = {id for id, entry in ledger.items() if _stands(entry) or entry.state.pending} | set(pairing.found.values())
    names = {}
    counts: dict[str, count[int]] = defaultdict(count)
    for id in sorted(pairing.free, key=str):
        hashed = sha256(json.dumps([source, _content(pairing.free[id])]).encode()).hexdigest()[:32]
        tried = (OccurrenceId(f"{BY_CONTENT}{hashed}:{n}") for n in counts[hashed])
        names[id] = next(name for name in tried if name not in taken)
    return names


def _content(each: Desired) -> str:
    days = when_to_json(each.days) if each.days else None
    return json.dumps([event_to_json(each.event), days], sort_keys=True)


def _written(entry: Entry) -> Desired:
    return Desired(entry.event, entry.days)


def _stands(entry: Entry) -> bool:
    """A person may have deleted it in the LMS: it is still this event that is not to be written again."""
    return entry.live or entry.state is State.DISMISSED
