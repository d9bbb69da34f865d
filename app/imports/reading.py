"""Reads the file of an import: whole, or only what of it is not as it was when it was imported last."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cache, partial
from hashlib import sha256
from zoneinfo import ZoneInfo

from app.ics import Limits, NotACalendar, Problem, Reading, read_occurrences
from app.ics.expand import Bounds
from app.ics.pieces import Pieces, cut_up
from app.ics.read import Opened, Spent, open_calendar
from app.imports.body import Body, Data, opened
from app.imports.deciding.basis import terms_of
from app.imports.deciding.decide import Kept
from app.imports.deciding.desire import Wishes, Wishing
from app.imports.deciding.difference import Counts, Difference, Roll, difference, imprint_of, roll_of
from app.imports.deciding.imprint import Imprint, imprint_from_bytes, name_in
from app.imports.record.imprints import Imprints, Remembered
from app.imports.record.outcome import Outcome
from app.imports.record.runs import Ending
from app.imports.record.whereabouts import Moved, lines_of
from app.imports.subscription import Import, Match
from bridges.contract import Sink

Remember = Callable[[Outcome], Remembered | None]


@dataclass(frozen=True, slots=True)
class Read:
    """What a file says, without its occurrences, and what it wants. `kept` is what of it was not read now; `remember`
    makes an imprint of it, once it is known what came of it."""

    reading: Reading
    wishes: Wishes
    remember: Remember
    kept: Kept | None = None


@dataclass(frozen=True, slots=True)
class _Held:
    """What is known of a file besides: enough to make an imprint of it."""

    counts: Counts
    spent: Spent
    pieces: Pieces | None = None
    roll: Callable[[], Roll | None] | None = None
    components: int | None = None


@dataclass(frozen=True, slots=True)
class Files:
    """Reads files for one home zone. `partner` is the first half of every SyncKey; `now` gives aware times."""

    imprints: Imprints
    zone: ZoneInfo
    limits: Limits
    partner: str
    now: Callable[[], datetime]

    def occurrences(self, job: Import) -> Reading:
        """The file whole, held at once. NotACalendar as `read`."""
        reading = read_occurrences(
            opened(job.data),
            job.window.start,
            job.window.end,
            zone=self.zone,
            source_zone=job.zone,
            floating=job.floating,
            limits=self.limits,
            late=self._late(),
        )
        return told(reading)

    def read(self, job: Import, sink: Sink, revision: int, *, overwrite: bool, whole: bool = False) -> Read:
        """What differs from the last file, and what is known of the rest; all of it where there is no telling, or where
        that is asked for. `revision` is that of the calendar's ledger; `overwrite` is a term of the import, too.
        NotACalendar (a ValueError) for what is none."""
        terms = terms_of(job, sink, self.limits, self.partner) if job.match is Match.UID else None
        known = terms and sha256(terms + b"\0" + str(overwrite).encode()).digest()
        last = self.imprints.find(job.calendar, job.source) if known and not whole else None
        if last is not None and known and last.revision == revision:
            return self._short(job, sink, known, last) or self._whole(job, sink, known)
        return self._whole(job, sink, known)

    def _whole(self, job: Import, sink: Sink, terms: bytes | None) -> Read:
        found, wanted = self._wanted(job, sink, job.data)
        held = _Held(wanted.counts, found.spent)
        return Read(told(found.reading(())), wanted.all(), partial(_remembered, job, self.limits, terms, held))

    def _short(self, job: Import, sink: Sink, terms: bytes, last: Remembered) -> Read | None:
        """None where the file has to be read whole."""
        pieces = cut_up(opened(job.data), self.limits)
        if pieces is None or _basis(terms, pieces) != last.basis:
            return None
        old = imprint_from_bytes(last.data)
        if old is None or len(pieces) + old.components > self.limits.components:
            return None
        differs = difference(old, pieces)
        return self._rest(job, sink, terms, last, old, pieces, differs) if differs is not None else None

    def _rest(
        self,
        job: Import,
        sink: Sink,
        terms: bytes,
        last: Remembered,
        old: Imprint,
        pieces: Pieces,
        differs: Difference,
    ) -> Read | None:
        """What differs, read as a file of its own: in it stands, too, what stands outside of all events."""
        spans = pieces.only(differs.read)
        rest = Body.spooled(pieces.raw(spans))
        try:
            found, wanted = self._wanted(job, sink, rest)
        except NotACalendar:
            return None
        for tzid in differs.zones:
            found.reader.ladder.resolve(tzid)
        reading = found.reading(())
        spent = found.spent.also(old.spent)
        if not spent.within(self.limits) or any(problem.uid is None for problem in reading.problems):
            return None
        if reading.problems:
            line = pieces.lines(spans)
            reading = replace(reading, problems=tuple(replace(one, line=line(one.line)) for one in reading.problems))
        kept = Kept(
            differs.events,
            differs.unchanged,
            last.revision,
            look=frozenset(name for name in differs.look if name not in wanted.counts),
            whole=cache(lambda: self._wanted(job, sink, job.data)[1].all()),
            lines=cache(lambda: Moved(lines_of(rest), pieces.lines(spans))),
        )
        held = _Held(wanted.counts, spent, pieces, differs.roll, old.components)
        reading = told(replace(reading, events=reading.events + kept.events))
        return Read(reading, wanted.all(), partial(_remembered, job, self.limits, terms, held), kept)

    def _wanted(self, job: Import, sink: Sink, data: Data) -> tuple[Opened, Wishing]:
        """What a file wants, in portions: it is never held whole."""
        found = open_calendar(
            opened(data),
            (job.zone, self.zone, job.floating),
            Bounds.of(job.window.start, job.window.end, self.zone),
            self.limits,
            late=self._late(),
        )
        wanted = Wishing(sink, job.window)
        for portion in found.portions():
            wanted.add((one.id.uid for one in portion), job.rules.taken(portion))
        return found, wanted

    def _late(self) -> Callable[[], bool]:
        """Whether the time for one file is up, counted from now."""
        end = self.now() + timedelta(seconds=self.limits.seconds)
        return lambda: self.now() >= end


def _basis(terms: bytes, pieces: Pieces) -> str:
    return sha256(terms + pieces.around().encode()).hexdigest()


def _remembered(job: Import, limits: Limits, terms: bytes | None, held: _Held, outcome: Outcome) -> Remembered | None:
    """None where there is something to say of the file as a whole, or it cannot be told apart."""
    restless = _restless(outcome)
    if terms is None or restless is None:
        return None
    pieces = held.pieces or cut_up(opened(job.data), limits)
    if pieces is None:
        return None
    components = pieces.components() if held.components is None else held.components
    if components is None or (roll := held.roll() if held.roll else roll_of(pieces)) is None:
        return None
    imprint = imprint_of(pieces, roll, held.counts, restless, components, held.spent)
    return Remembered(_basis(terms, pieces), imprint.to_bytes())


def _restless(outcome: Outcome) -> frozenset[int] | None:
    """Of which UIDs something was left to say or to do, so that it has to be said and done again; None: of the file."""
    report, plan = outcome.report, outcome.plan
    if outcome.state is not Ending.DONE or report is None or report.left or report.stopped:
        return None
    guessed = any(each.guessed for each in outcome.zones if each.tzid.strip())  # which is told once in a file
    if guessed or len(outcome.zones) >= MOST_ZONES or any(problem.uid is None for problem in outcome.problems):
        return None
    notes = (*report.refused, *report.spared, *outcome.unfit)
    ids = (*(note.id for note in notes), *plan.absent, *(each.entry.id for each in plan.spared))
    uids = {problem.uid for problem in outcome.problems if problem.uid is not None}.union(id.uid for id in ids)
    return frozenset(map(name_in, uids))


MOST_ZONES = 100
"""So many are told of a file, and no more."""


def told(reading: Reading) -> Reading:
    """With a problem where there is nothing at all to tell of it."""
    if reading.events or reading.problems:
        return reading
    return replace(reading, problems=(Problem(1, without_events(reading.ignored)),))


def without_events(ignored: Mapping[str, int]) -> str:
    """What is said of a file that holds none."""
    held = " and ".join(f"{count:,} {kind}" for kind, count in sorted(ignored.items()))
    return f"the file holds no events: it has {held}" if held else "the file holds no events"
