"""A VEVENT understood: its times, rules and identity as values, and its texts, if it can be shown."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import NamedTuple

from app.ics import repair
from app.ics.parse import Cutter, Head, Line, Properties
from app.ics.place import Key, Place
from app.ics.problems import Problem
from app.ics.rrule import Freq, Rule, RuleError, Until, parse_rule, possible
from app.ics.values import NOTHING, ONE_DAY, Length, Stamp, plain, read_basic, read_duration, split_list
from app.ics.zones import Ladder, Step
from bridges.model import AllDay, Event, Occurrence, Status, When, happening

_MIDNIGHT = time()
_RULES = 24
_REMEMBERED = 10_000
"""Times, rooms and the like that are kept for the events that share them."""
_STATUS = {"TENTATIVE": Status.TENTATIVE, "CANCELLED": Status.CANCELLED, "CANCELED": Status.CANCELLED}


LONGEST_UID = 500
"""Letters: with four bytes each, as many as an index of PostgreSQL takes beside a calendar's name."""


class Extra(NamedTuple):
    """One RDATE; a PERIOD brings its own length."""

    stamp: Stamp
    length: Length | None


@dataclass(slots=True, eq=False)
class Entry:
    """One VEVENT. `slot` is its RECURRENCE-ID, `onward` whether that holds for all that follow (RANGE).

    `said` is all of it but its time; it says nothing where the event can never be shown.
    """

    uid: str
    index: int
    start: Stamp
    length: Length
    said: Event
    slot: Stamp | None = None
    onward: bool = False
    rules: tuple[Rule, ...] = ()
    exrules: tuple[Rule, ...] = ()
    extras: tuple[Extra, ...] = ()
    exdates: tuple[Stamp, ...] = ()
    revision: tuple[int, str, int] = (0, "", 0)
    cancelled: bool = False

    @property
    def recurs(self) -> bool:
        return bool(self.rules or self.extras)

    def happening(self, key: Key | None, when: When) -> Occurrence:
        """The occurrence at that time."""
        return happening(self.uid, key, self.said, when)


SILENT = Event("", AllDay(date(2000, 1, 1), date(2000, 1, 2)))
"""Says nothing; its time means nothing either."""


class Words:
    """Decodes what events say; rooms, categories and the like are kept once."""

    def __init__(self) -> None:
        self._plain: dict[str, str] = {}
        self._categories: dict[str, tuple[str, ...]] = {}

    def event(self, component: Properties) -> Event:
        """All of the event but its time."""
        url = _text(component, "URL").strip()
        return Event(
            title=_text(component, "SUMMARY"),
            when=SILENT.when,
            text=_text(component, "DESCRIPTION"),
            place=self._place(component),
            categories=self._listed(component),
            url=url if url.lower().startswith(("http://", "https://")) else "",
            status=status(component) or Status.CONFIRMED,
        )

    def _place(self, component: Properties) -> str:
        value = component.value("LOCATION")
        if not value or component.printable("LOCATION"):
            return _text(component, "LOCATION")
        known = self._plain.get(value)
        if known is None:
            known = plain(value)
            if len(self._plain) < _REMEMBERED:
                self._plain[value] = known
        return known

    def _listed(self, component: Properties) -> tuple[str, ...]:
        lines = component.all("CATEGORIES")
        if not lines:
            return ()
        if len(lines) > 1 or lines[0].head.printable:
            return tuple(item for line in lines for item in _categories(_raw(line)))
        known = self._categories.get(lines[0].value)
        if known is None:
            known = _categories(lines[0].value)
            if len(self._categories) < _REMEMBERED:
                self._categories[lines[0].value] = known
        return known


def status(component: Properties) -> Status | None:
    """STATUS where it is not CONFIRMED or nothing."""
    value = component.value("STATUS")
    return None if value == "CONFIRMED" or not value else _STATUS.get(value.strip().upper())


def _categories(raw: str) -> tuple[str, ...]:
    return tuple(plain(item).strip() for item in split_list(raw) if item.strip())


def _text(component: Properties, name: str) -> str:
    value = component.value(name)
    if not value:
        return ""
    return plain(repair.unquoted_printable(value) if component.printable(name) else value)


def _raw(line: Line) -> str:
    return repair.unquoted_printable(line.value) if line.head.printable else line.value


class Unreadable(ValueError):
    """A value that the event cannot do without is missing or broken."""


def _is_before(until: Until, start: Stamp) -> bool:
    if until.day or start.day:
        return until.moment.date() < start.local.date()
    if until.utc and start.zone is not None:
        return until.moment.replace(tzinfo=UTC) < start.instant
    return until.moment < start.local


class Reader:
    """Understands the VEVENTs of one file; `shown` says between which wall clock times plain ones can be shown."""

    def __init__(self, cutter: Cutter, ladder: Ladder, shown: tuple[datetime, datetime]) -> None:
        self.cutter = cutter
        self.limits = cutter.limits
        self.ladder = ladder
        self.timeless: list[str | None] = []
        self.method = cutter.calendar.value("METHOD").strip().upper()
        self.words = Words()
        self._first, self._last = shown
        self._uid: str | None = None
        self._index = 0
        self._told: set[str] = set()
        self._stamps: dict[tuple[Head, str], Stamp] = {}
        self._lengths: dict[timedelta, Length] = {}
        self._places: dict[int, Place] = {}

    def entries(self, events: Iterable[tuple[int, Properties]]) -> Iterator[Entry]:
        """Of numbered events all that have a time; the others are problems."""
        for order, component in events:
            self._index = component.index
            self._uid = _uid(component) or None
            try:
                entry = self._understood(component, order)
            except (Unreadable, RuleError) as error:
                self.note(f"{error}; the event was left out", lost=True)
                continue
            if entry is not None:
                yield entry

    def note(self, text: str, *, lost: bool = False, index: int | None = None) -> None:
        line = self.cutter.source.number(self._index if index is None else index)
        self.cutter.log.add(Problem(line, text, self._uid, lost))

    def _understood(self, component: Properties, order: int) -> Entry | None:
        begin = component.first("DTSTART")
        if begin is None or not begin.value.strip():
            return self._timeless(component, begin)
        start = self._begun(begin)
        if self._uid is None:
            self._uid = _made_uid(component)
            self.note(f"the event has no UID; it was given {self._uid}")
        length = self._length(component, start)
        revision = (_number(component.value("SEQUENCE")), _latest(component), order)
        cancelled = status(component) is Status.CANCELLED
        if component.single:
            said = SILENT if self._unseen(start, length) else self.words.event(component)
            return Entry(self._uid, self._index, start, length, said, revision=revision, cancelled=cancelled)
        slot = component.first("RECURRENCE-ID")
        rules, extras = self._lasting(self._rules(component, "RRULE"), start), self._extras(component)
        plainly = slot is None and not rules and not extras
        return Entry(
            uid=self._uid,
            index=self._index,
            start=start,
            length=length,
            said=SILENT if plainly and self._unseen(start, length) else self.words.event(component),
            slot=None if slot is None else self._slot(slot, start),
            onward=slot is not None and slot.head.params.get("RANGE", "").strip().upper() == "THISANDFUTURE",
            rules=rules,
            exrules=self._rules(component, "EXRULE"),
            extras=extras,
            exdates=self._exdates(component),
            revision=revision,
            cancelled=cancelled,
        )

    def _unseen(self, start: Stamp, length: Length) -> bool:
        """Whether an event that takes place once can lie in no window that is asked for."""
        local = start.local
        return local > self._last or (local < self._first and local + length.rough < self._first)

    def _timeless(self, component: Properties, begin: Line | None) -> Entry | None:
        """Without DTSTART nothing takes place at any time (section 3.6.1 allows that beside METHOD)."""
        end = component.first("DTEND")
        if begin is not None and end is not None and end.value.strip():
            self.note("DTSTART is empty; the event was put at its end")
            return self._with_start(component, end)
        self.timeless.append(self._uid)
        if not self.method:
            self.note("the event has no DTSTART: it takes place at no time, and nothing can be shown of it")
        return None

    def _with_start(self, component: Properties, begin: Line) -> Entry:
        start = self._begun(begin)
        uid = self._uid or _made_uid(component)
        length = ONE_DAY if start.day else NOTHING
        return Entry(uid, self._index, start, length, self.words.event(component))

    def _slot(self, line: Line, start: Stamp) -> Stamp | None:
        if not line.value.strip():
            return None
        stamp = self.stamp(line)
        return stamp._replace(zone=start.zone) if self._is_held(stamp) else stamp

    def _begun(self, line: Line) -> Stamp:
        """The start, on which all else hangs: the event is Unreadable where it floats and nobody may guess."""
        start = self.stamp(line)
        if self._is_held(start):
            raise Unreadable("its start names no time zone, and nobody said which one such times of this source mean")
        return start

    def _is_held(self, stamp: Stamp) -> bool:
        return stamp.zone is None and not stamp.day and self.ladder.floats.step is Step.HELD

    # ------------------------------------------------------------------------------------------------------- values

    def stamp(self, line: Line) -> Stamp:
        """The time in a property; Unreadable says why it is none (a zone that nobody knows is a reason)."""
        return self._stamp(line.value, line)

    def _stamp(self, text: str, line: Line) -> Stamp:
        """The same text behind the same head is the same time: a timetable's repeat, and are kept once."""
        known = self._stamps.get((line.head, text))
        if known is not None:
            return known
        stamp, sound = self._read(text.strip(), line)
        if sound and len(self._stamps) < _REMEMBERED:
            self._stamps[line.head, text] = stamp
        return stamp

    def _read(self, text: str, line: Line) -> tuple[Stamp, bool]:
        """The time, and whether there is nothing to tell of it."""
        try:
            basic = read_basic(text)
        except ValueError as error:
            raise Unreadable(f"{line.head.name} cannot be read: {error}") from error
        for note in basic.notes:
            self.note(f"{line.head.name}: {note}", index=line.at)
        if basic.day or line.head.day:
            return Stamp(datetime.combine(basic.local, _MIDNIGHT), None, True), not basic.notes
        doubled = bool(basic.utc and line.head.tzid and line.head.tzid.upper() not in ("UTC", "ETC/UTC", "GMT"))
        if doubled:
            self.note(f"{line.head.name} has a TZID and a Z; it was read as UTC (section 3.2.19)", index=line.at)
        return Stamp(basic.local, UTC if basic.utc else self._zone(line), False), not (basic.notes or doubled)

    def _zone(self, line: Line) -> tzinfo | None:
        tzid = line.head.tzid
        if not tzid or not tzid.strip():
            return self.ladder.resolve("").zone
        resolved = self.ladder.resolve(tzid)
        if resolved.zone is None and self.ladder.home is not None:
            raise Unreadable(f"its time zone '{tzid[:80]}' is unknown, and nobody said which zone the source means")
        if tzid not in self._told and (resolved.zone is None or resolved.guessed):
            self._told.add(tzid)
            self.note(str(resolved), index=line.at)
        return resolved.zone

    def _length(self, component: Properties, start: Stamp) -> Length:
        default = ONE_DAY if start.day else NOTHING
        end = component.first("DTEND")
        try:
            if end is not None and end.value.strip():
                finish = self.stamp(end)
                known = self._between(start, finish)
                if known is not None:
                    return known
                length = self._until(finish, start)
            elif (duration := component.first("DURATION")) is not None and duration.value.strip():
                length = _fitting(read_duration(duration.value), start)
                _checked_end(start, length)
            else:
                return default
        except (Unreadable, ValueError, OverflowError) as error:
            self.note(f"the end of the event cannot be read ({error}); it was given the shortest length", lost=True)
            return default
        if length.rough < timedelta() or (start.day and length.days < 1):
            if length.rough < timedelta():
                self.note("the event ends before it starts; its start was kept")
            return default
        return length

    def _between(self, start: Stamp, end: Stamp) -> Length | None:
        """The length within one day of one zone, where wall clocks can be compared; None where it is not so easy."""
        if start.day or start.zone is None or end.zone is not start.zone or end.local < start.local:
            return None
        place = self._places.get(id(start.zone))
        if place is None:
            place = self._places[id(start.zone)] = Place(start.zone)
        if not place.even(start.local, end.local):
            return None
        exact = end.local - start.local
        return self._lengths.setdefault(exact, Length(0, exact))

    def _until(self, end: Stamp, start: Stamp) -> Length:
        """The length between two stamps: days between days, else exact time (section 3.8.5.3)."""
        if start.day:
            days = (end.local.date() - start.local.date()).days + (not end.day and end.local.time() > _MIDNIGHT)
            return Length(days, timedelta())
        if end.day:
            self.note("DTEND is a date and DTSTART a time; the event ends at the beginning of that day")
        if start.zone is None or end.zone is None:
            zone = start.zone if end.zone is None else None
            finish = Stamp(end.local, zone, False)
            return Length(0, finish.instant - start.instant)
        return Length(0, end.instant - start.instant)

    def _lasting(self, rules: tuple[Rule, ...], start: Stamp) -> tuple[Rule, ...]:
        """The rules but for those that end before the event starts: its start still counts (section 3.8.5.3)."""
        lasting = tuple(rule for rule in rules if rule.until is None or not _is_before(rule.until, start))
        if len(lasting) < len(rules):
            self.note("the rule ends before the event starts; the event takes place once")
        return lasting

    def _rules(self, component: Properties, name: str) -> tuple[Rule, ...]:
        lines = component.all(name)
        if not lines:
            return ()
        if len(lines) > _RULES:
            raise RuleError(f"the event has {len(lines)} {name}s, more than any calendar needs")
        return tuple(rule for line in lines for rule in self._rule(line))

    def _rule(self, line: Line) -> Iterator[Rule]:
        text = line.value.strip()
        if not text:
            self.note(f"{line.head.name} is empty; it was passed over", index=line.at)
            return
        try:
            rule = parse_rule(text if "=" in text else repair.vcalendar_rule(text))
        except RuleError as error:
            raise RuleError(f"the rule {text[:80]} is not valid: {error}") from error
        if not possible(rule):
            raise RuleError(f"the rule {text[:80]} fits no day of any year")
        if rule.freq > Freq.DAILY and not self.limits.sub_daily:
            raise RuleError(f"the rule {text[:80]} repeats within a day, which is not allowed here")
        for note in rule.notes:
            self.note(f"{line.head.name}: {note}", index=line.at)
        yield rule

    def _items(self, lines: Sequence[Line]) -> Iterator[tuple[str, Line]]:
        if sum(line.value.count(",") + 1 for line in lines) > self.limits.dates:
            raise Unreadable(f"the event has more than {self.limits.dates:,} {lines[0].head.name}s")
        for line in lines:
            for item in line.value.replace(";", ",").split(","):
                if item.strip():
                    yield item.strip(), line

    def _exdates(self, component: Properties) -> tuple[Stamp, ...]:
        lines = component.all("EXDATE")
        return tuple(self._exceptions(lines)) if lines else ()

    def _exceptions(self, lines: Sequence[Line]) -> Iterator[Stamp]:
        for text, line in self._items(lines):
            try:
                yield self._stamp(text.partition("/")[0], line)
            except Unreadable as error:
                self.note(f"{error}; that exception was passed over", lost=True, index=line.at)

    def _extras(self, component: Properties) -> tuple[Extra, ...]:
        lines = component.all("RDATE")
        return tuple(self._further(lines)) if lines else ()

    def _further(self, lines: Sequence[Line]) -> Iterator[Extra]:
        for text, line in self._items(lines):
            begin, slash, end = text.partition("/")
            try:
                stamp = self._stamp(begin, line)
                yield Extra(stamp, self._period(end, stamp, line) if slash else None)
            except (Unreadable, ValueError) as error:
                self.note(f"{error}; that date was left out", lost=True, index=line.at)

    def _period(self, end: str, stamp: Stamp, line: Line) -> Length | None:
        """The length of a PERIOD (section 3.3.9); one that ends before it starts has none of its own."""
        if end[:1] in "+-Pp":
            length = _fitting(read_duration(end), stamp)
            _checked_end(stamp, length)
        else:
            length = self._until(self._stamp(end, line), stamp)
        if length.rough < timedelta():
            self.note("a period in RDATE ends before it starts; its start was kept", index=line.at)
            return None
        return length


def _checked_end(start: Stamp, length: Length) -> None:
    """ValueError when the end lies beyond year 9999."""
    try:
        _ = start.local + length.rough
    except OverflowError as error:
        raise ValueError("it ends after the year 9999") from error


def _fitting(length: Length, start: Stamp) -> Length:
    """A duration as the type of DTSTART can hold it: whole days for a day, rounded up (section 3.6.1)."""
    if not start.day or not length.exact:
        return length
    return Length(length.days - (-length.exact // timedelta(days=1)), timedelta())


def _number(text: str) -> int:
    if text == "0" or not text:
        return 0
    text = text.strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) < 12 else 0


def _latest(component: Properties) -> str:
    """LAST-MODIFIED or DTSTAMP as text: basic ISO 8601 sorts by time."""
    return component.value("LAST-MODIFIED").strip() or component.value("DTSTAMP").strip()


def name_of(component: Properties) -> str:
    """What the event is known by: its UID, or the one that is made for it."""
    return _uid(component) or _made_uid(component)


def _uid(component: Properties) -> str:
    """As it is written; one that no index takes by its hash. RFC 7986, section 5.3, asks for less than 255 octets."""
    uid = component.value("UID").strip()
    if len(uid) <= LONGEST_UID:
        return uid
    return f"{hashlib.sha256(uid.encode('utf-8', 'replace')).hexdigest()[:32]}@long-uid"


def _made_uid(component: Properties) -> str:
    """A UID out of what the event says, so that the same event has the same one in the next file."""
    names = ("DTSTART", "DTEND", "DURATION", "RRULE", "SUMMARY", "LOCATION", "RECURRENCE-ID")
    said = "\n".join(f"{name}:{line.value}" for name in names for line in component.all(name))
    return f"{hashlib.sha256(said.encode('utf-8', 'replace')).hexdigest()[:32]}@no-uid"


def day_of(stamp: Stamp, zone: tzinfo | None) -> date:
    """The day that a stamp names for an all-day series: a UTC midnight elsewhere is that place's day."""
    if not stamp.day and stamp.zone is UTC and zone is not None:
        return stamp.aware.astimezone(zone).date()
    return stamp.local.date()
