"""What a file wants of an LMS calendar: its occurrences, fitted to what that LMS can hold. Pure, but for a spool."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from app.imports.deciding.difference import Counts
from app.imports.deciding.plan import Desired, Unread
from app.imports.record.report import Deed, Note
from app.imports.spool import Hashed, Spool, Spooled
from app.imports.subscription import Match
from bridges.contract import Sink
from bridges.errors import Rejected
from bridges.model import AllDay, Occurrence, OccurrenceId, Status, Timed, When, Window


@dataclass(frozen=True, slots=True)
class Portion:
    """Some of a file, each UID whole: `wanted` by identity, fitted; `uids` are those of all events, wanted or not."""

    uids: frozenset[str]
    wanted: Mapping[OccurrenceId, Desired]


@dataclass(frozen=True, slots=True)
class Wishes:
    """All portions of a file, and of all of them the `uids` and the `ids` that are wanted; `unfit` with the reason why
    no fit exists."""

    portions: Sequence[Portion] = ()
    unfit: tuple[Note, ...] = ()
    uids: Hashed = field(default_factory=Hashed)
    ids: Hashed = field(default_factory=Hashed)

    @property
    def wanted(self) -> Mapping[OccurrenceId, Desired]:
        """All at once: this grows with the file."""
        return {id: each for portion in self.portions for id, each in portion.wanted.items()}

    def unread(self, uids: frozenset[str], all: bool, match: Match = Match.UID) -> Unread:
        """What the reader missed, and what does not fit: what stands of those is not to be deleted.

        Where UIDs mean nothing, what the reader missed may be any event, and what does not fit is known by its title.
        """
        unfit = {note.id.uid for note in self.unfit}
        if match is Match.UID:
            return Unread(uids | unfit, all, nameless=bool(uids | unfit))
        titles = frozenset(note.title for note in self.unfit)
        return Unread(frozenset(unfit), all or bool(uids), titles, nameless=bool(uids))


def wishes(occurrences: Iterable[Occurrence], sink: Sink) -> Wishes:
    """What these want, as one portion."""
    wanted, unfit = _fitted(occurrences, sink)
    uids = frozenset(id.uid for id in wanted)
    return Wishes((Portion(uids, wanted),), tuple(note for _, note in unfit), Hashed(uids), Hashed(wanted))


@dataclass(slots=True)
class Wishing:
    """Takes a file in portions, and puts them into a spool as soon as there are two of them.

    `scope` lays out days: what does not fit is told by its start.
    """

    sink: Sink
    scope: Window
    uids: Hashed = field(default_factory=Hashed)
    ids: Hashed = field(default_factory=Hashed)
    unfit: list[tuple[When, Note]] = field(default_factory=list)
    counts: Counts = field(default_factory=Counts)
    _first: Portion | None = None
    _spool: Spool | None = None
    _places: array[int] = field(default_factory=lambda: array("Q"))

    def add(self, uids: Iterable[str], taken: Iterable[Occurrence]) -> None:
        """Whole UIDs: all that the file has, and what of it is to be taken."""
        wanted, unfit = _fitted(taken, self.sink)
        portion = Portion(frozenset(uids), wanted)
        self.uids.update(portion.uids)
        self.ids.update(wanted)
        self.counts.add(portion.uids, (id.uid for id in wanted))
        self.unfit += unfit
        if self._first is None:
            self._first = portion
            return
        if self._spool is None:
            self._spool = Spool()
            self._places.append(self._spool.put(self._first))
        self._places.append(self._spool.put(portion))

    def all(self) -> Wishes:
        """What came in portions, as one."""
        unfit = sorted(self.unfit, key=lambda each: (self.scope.span(each[0])[0], each[1].id.uid))
        notes = tuple(note for _, note in unfit)
        return Wishes(self._portions(), notes, self.uids, self.ids)

    def _portions(self) -> Sequence[Portion]:
        if self._spool is None:
            return () if self._first is None else (self._first,)
        self._spool.flush()
        return Spooled(self._spool, self._places, bytearray(len(self._places)), [Portion])


def _fitted(
    occurrences: Iterable[Occurrence], sink: Sink
) -> tuple[dict[OccurrenceId, Desired], list[tuple[When, Note]]]:
    """A cancelled occurrence is not wanted: the file says itself that it does not take place."""
    wanted: dict[OccurrenceId, Desired] = {}
    unfit: list[tuple[When, Note]] = []
    for occurrence in occurrences:
        if occurrence.event.status is Status.CANCELLED:
            continue
        when = occurrence.event.when
        try:
            event = sink.fit(occurrence.event)
        except Rejected as refusal:
            unfit.append((when, Note(occurrence.id, occurrence.event.title, Deed.FIT, str(refusal))))
        else:
            days = when if isinstance(when, AllDay) and isinstance(event.when, Timed) else None
            wanted[occurrence.id] = Desired(event, days)
    return wanted, unfit
