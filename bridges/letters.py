"""What is said of events by mail, as values: what is remembered of each, and which share a letter. Pure."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime, timedelta
from enum import StrEnum
from itertools import pairwise
from typing import Self
from uuid import NAMESPACE_URL, uuid5

from bridges.errors import Gone
from bridges.model import AllDay, Event, RemoteRef, Timed, When, instant

LONGEST_TITLE = 150
"""Letters of a title that are remembered, for the message that takes the event away."""


class State(StrEnum):
    """How far the last message about an event came."""

    SENDING = "sending"
    SENT = "sent"
    CANCELLING = "cancelling"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Record:
    """What is remembered of one SyncKey at one calendar.

    uid, slot  its name in people's calendars, given once; `slot` is the RECURRENCE-ID of a date of a series, or ""
    size       how many dates that series had
    known      whether some message about it was surely taken
    mark       hash of the event as it was last sent
    title, start, end  for the message that takes it away (times as in iCalendar)
    """

    uid: str
    slot: str = ""
    size: int = 1
    sequence: int = 0
    state: State = State.SENDING
    known: bool = False
    mark: str = ""
    title: str = ""
    start: str = ""
    end: str = ""

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        record = cls(**json.loads(text))
        return replace(record, state=State(record.state))

    @property
    def is_open(self) -> bool:
        """Whether nobody knows if any message about it ever arrived."""
        return self.state is State.SENDING and not self.known

    @property
    def when(self) -> When:
        first, last = moment(self.start), moment(self.end)
        if isinstance(first, datetime) and isinstance(last, datetime):
            return Timed(first, last)
        return AllDay(first, last)

    def ref(self, key: str) -> RemoteRef:
        uid = "-" if self.uid == key else self.uid
        return RemoteRef(f"{key} {self.sequence} {uid} {self.slot or '-'}")


def is_ours(ref: RemoteRef) -> bool:
    parts = ref.rsplit(" ", 3)
    return len(parts) == 4 and parts[1].isascii() and parts[1].isdecimal()


def parsed(ref: RemoteRef) -> tuple[str, Record]:
    """The key, and what a ref tells by itself. Gone for a text that is no ref of ours."""
    if not is_ours(ref):
        raise Gone(f"'{ref}' names nothing that was sent by e-mail.")
    key, sequence, uid, slot = ref.rsplit(" ", 3)
    name = (key if uid == "-" else uid, "" if slot == "-" else slot)
    return key, Record(*name, sequence=int(sequence), state=State.SENT, known=True)


@dataclass(frozen=True, slots=True)
class Line:
    """One event in a message: the order that it answers, and its record before and while the message is under way."""

    order: int
    key: str
    before: Record | None
    after: Record
    event: Event | None

    @property
    def is_due(self) -> bool:
        """Whether anything is left to say about it."""
        return self.after.state in (State.SENDING, State.CANCELLING)

    @property
    def settled(self) -> Record:
        state = State.SENT if self.event else State.CANCELLED
        return replace(self.after, state=state, known=True)

    @property
    def outcome(self) -> RemoteRef | None:
        return self.after.ref(self.key) if self.event else None


@dataclass(frozen=True, slots=True)
class Letter:
    """One message. `whole`: its lines are all the dates of a series, which is written as one event with a rule."""

    method: str
    lines: tuple[Line, ...]
    whole: bool = False

    @property
    def name(self) -> str:
        """The same for the same content, so that a repeated message can be told."""
        named = [f"{line.after.uid} {line.after.slot} {line.after.sequence}" for line in self.lines]
        return hashlib.sha256("\n".join([self.method, *named]).encode()).hexdigest()[:40]


def newest(told: Record, before: Record | None) -> Record:
    """What the register says; without it, or behind it, what the ref says."""
    return replace(before, sequence=max(before.sequence, told.sequence)) if before else told


def described(record: Record, event: Event) -> Record:
    """The record of this event, about to be sent."""
    start, end = _wire(event.when)
    details = [event.title, start, end, event.text, event.place, *event.categories, event.url, event.status.value]
    mark = hashlib.sha256(json.dumps(details).encode()).hexdigest()[:20]
    return replace(record, mark=mark, title=event.title[:LONGEST_TITLE], start=start, end=end)


def by_uid(lines: Iterable[Line]) -> list[tuple[Line, ...]]:
    """What may share a REQUEST or a CANCEL (RFC 5546 sections 3.2.2 and 3.2.5), each by its start."""
    groups: dict[str, list[Line]] = {}
    for line in sorted(lines, key=lambda line: line.after.start):
        groups.setdefault(line.after.uid, []).append(line)
    return [tuple(group) for group in groups.values()]


def is_whole(group: Sequence[Line]) -> bool:
    """Whether these are all the dates of a series."""
    return len(group) > 1 and len(group) == group[0].after.size


def series(new: Sequence[Line], least: int) -> Iterator[list[Line]]:
    """New events that can be said as a rule: by weekday and time first, then what is left by time of day alone."""
    left = list(new)
    for weekly in (True, False):
        groups: dict[object, list[Line]] = {}
        for line in left:
            groups.setdefault(_likeness(line, weekly=weekly), []).append(line)
        for group in groups.values():
            group.sort(key=lambda line: line.after.start)
            if least and len(group) >= least and _is_even(group):
                left = [line for line in left if line not in group]
                yield _named(group)


def _likeness(line: Line, *, weekly: bool) -> object:
    """What the dates of a series have in common."""
    assert line.event is not None
    start, when = moment(line.after.start), line.event.when
    clock = start.time() if isinstance(start, datetime) else None
    return replace(line.event, when=_EPOCH), clock, when.end - when.start, start.weekday() if weekly else None


_EPOCH = AllDay(date(1970, 1, 1), date(1970, 1, 2))


def steps(records: Sequence[Record]) -> list[timedelta]:
    """From each start to the next."""
    starts = [moment(record.start) for record in records]
    return [later - earlier for earlier, later in pairwise(starts)]


def _is_even(group: Sequence[Line]) -> bool:
    """Whether the starts differ, and most dates of the rule would be real ones."""
    gaps = [step.days for step in steps([line.after for line in group])]
    return min(gaps) > 0 and sum(gaps) // math.gcd(*gaps) + 1 <= 2 * len(group)


def _named(group: Sequence[Line]) -> list[Line]:
    uid = str(uuid5(NAMESPACE_URL, "\n".join(line.key for line in group)))
    return [replace(line, after=replace(line.after, uid=uid, slot=line.after.start, size=len(group))) for line in group]


def highest(lines: Iterable[Line]) -> int:
    """The highest SEQUENCE among them."""
    return max(line.after.sequence for line in lines)


def _wire(when: When) -> tuple[str, str]:
    return (basic(when.start), basic(when.end))


def basic(moment: datetime | date) -> str:
    """As iCalendar writes it: `20250310`, `20250310T080000Z`."""
    if isinstance(moment, datetime):
        return f"{instant(moment).year:04}{instant(moment):%m%dT%H%M%SZ}"
    return f"{moment.year:04}{moment:%m%d}"


def moment(text: str) -> datetime | date:
    """The inverse of basic()."""
    return datetime.fromisoformat(text) if "T" in text else date.fromisoformat(text)
