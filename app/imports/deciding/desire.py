"""What a file wants of an LMS calendar: its occurrences, fitted to what that LMS can hold. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from app.imports.deciding.plan import Desired, Unread
from app.imports.record.report import Deed, Note
from app.imports.subscription import Match
from bridges.contract import Sink
from bridges.errors import Rejected
from bridges.model import AllDay, Occurrence, OccurrenceId, Status, Timed


@dataclass(frozen=True, slots=True)
class Wishes:
    """`wanted` by identity, fitted; `unfit` with the reason why no fit exists."""

    wanted: Mapping[OccurrenceId, Desired]
    unfit: tuple[Note, ...] = ()

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
    """A cancelled occurrence is not wanted: the file says itself that it does not take place."""
    wanted: dict[OccurrenceId, Desired] = {}
    unfit = []
    for occurrence in occurrences:
        if occurrence.event.status is Status.CANCELLED:
            continue
        try:
            event = sink.fit(occurrence.event)
        except Rejected as refusal:
            unfit.append(Note(occurrence.id, occurrence.event.title, Deed.FIT, str(refusal)))
        else:
            when = occurrence.event.when
            days = when if isinstance(when, AllDay) and isinstance(event.when, Timed) else None
            wanted[occurrence.id] = Desired(event, days)
    return Wishes(wanted, tuple(unfit))
