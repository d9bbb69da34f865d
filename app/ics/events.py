"""A VEVENT understood: its times, rules and identity as values; its texts are decoded only when they are shown."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import NamedTuple

from app.ics import repair
from app.ics.parse import Component, Line, Parsed
from app.ics.problems import Limits, Problem
from app.ics.rrule import Rule, RuleError, parse_rule, possible
from app.ics.values import NOTHING, ONE_DAY, Length, Stamp, plain, read_basic, read_duration, split_list
from app.ics.zones import Ladder
from bridges.model import Event, Status, When

_MIDNIGHT = time()
_RULES = 24
_STATUS = {"TENTATIVE": Status.TENTATIVE, "CANCELLED": Status.CANCELLED, "CANCELED": Status.CANCELLED}


class Extra(NamedTuple):
    """One RDATE; a PERIOD brings its own length."""

    stamp: Stamp
    length: Length | None


@dataclass(slots=True, eq=False)
class Entry:
    """One VEVENT. `slot` is its RECURRENCE-ID, `onward` whether that holds for all that follow (RANGE)."""

    uid: str
    component: Component
    start: Stamp
    length: Length
    slot: Stamp | None = None
    onward: bool = False
    rules: tuple[Rule, ...] = ()
    exrules: tuple[Rule, ...] = ()
    extras: tuple[Extra, ...] = ()
    exdates: tuple[Stamp, ...] = ()
    revision: tuple[int, str, int] = (0, "", 0)
    cancelled: bool = False
    _texts: _Texts | None = field(default=None, repr=False)

    @property
    def recurs(self) -> bool:
        return bool(self.rules or self.extras)

    def event(self, when: When) -> Event:
        """The event at that time; the texts are decoded once."""
        texts = self._texts
        if texts is None:
            texts = self._texts = _decoded(self.component)
        return Event(texts.title, when, texts.text, texts.place, texts.categories, texts.url, texts.status)


class _Texts(NamedTuple):
    title: str
    text: str
    place: str
    categories: tuple[str, ...]
    url: str
    status: Status


def _decoded(component: Component) -> _Texts:
    url = _text(component, "URL").strip()
    categories = tuple(
        plain(item).strip()
        for line in component.props.get("CATEGORIES", ())
        for item in split_list(_raw(line))
        if item.strip()
    )
    return _Texts(
        title=_text(component, "SUMMARY"),
        text=_text(component, "DESCRIPTION"),
        place=_text(component, "LOCATION"),
        categories=categories,
        url=url if url.lower().startswith(("http://", "https://")) else "",
        status=_STATUS.get(component.value("STATUS").strip().upper(), Status.CONFIRMED),
    )


def _text(component: Component, name: str) -> str:
    lines = component.props.get(name)
    return plain(_raw(lines[0])) if lines else ""


def _raw(line: Line) -> str:
    return repair.unquoted_printable(line.value) if line.head.printable else line.value


class Unreadable(ValueError):
    """A value that the event cannot do without is missing or broken."""


class Reader:
    """Understands the VEVENTs of one file, and keeps what was wrong with them."""

    def __init__(self, parsed: Parsed, ladder: Ladder, limits: Limits = Limits()) -> None:  # noqa: B008 - immutable
        self.parsed = parsed
        self.dates = limits.dates
        self.ladder = ladder
        self.problems: list[Problem] = []
        self.timeless: list[str | None] = []
        self.method = parsed.calendar.value("METHOD").strip().upper()
        self._uid: str | None = None
        self._index = 0
        self._told: set[str] = set()

    def entries(self) -> Iterator[Entry]:
        """All events that have a time; the others are problems."""
        for order, component in enumerate(self.parsed.events):
            self._index = component.index
            self._uid = component.value("UID").strip() or None
            try:
                entry = self._understood(component, order)
            except (Unreadable, RuleError) as error:
                self.note(f"{error}; the event was left out", lost=True)
                continue
            if entry is not None:
                yield entry

    def note(self, text: str, *, lost: bool = False, index: int | None = None) -> None:
        line = self.parsed.source.number(self._index if index is None else index)
        self.problems.append(Problem(line, text, self._uid, lost))

    def _understood(self, component: Component, order: int) -> Entry | None:
        props = component.props
        begin = component.first("DTSTART")
        if begin is None or not begin.value.strip():
            return self._timeless(component, begin)
        start = self.stamp(begin)
        if self._uid is None:
            self._uid = _made_uid(component)
            self.note(f"the event has no UID; it was given {self._uid}")
        slot = component.first("RECURRENCE-ID")
        return Entry(
            uid=self._uid,
            component=component,
            start=start,
            length=self._length(component, start),
            slot=self._slot(slot),
            onward=slot is not None and slot.head.params.get("RANGE", "").strip().upper() == "THISANDFUTURE",
            rules=self._rules(component, "RRULE") if "RRULE" in props else (),
            exrules=self._rules(component, "EXRULE") if "EXRULE" in props else (),
            extras=tuple(self._extras(component, start)) if "RDATE" in props else (),
            exdates=tuple(self._exdates(component)) if "EXDATE" in props else (),
            revision=(_number(component.value("SEQUENCE")), _latest(component), order),
            cancelled=_STATUS.get(component.value("STATUS").strip().upper()) is Status.CANCELLED,
        )

    def _timeless(self, component: Component, begin: Line | None) -> Entry | None:
        """Without DTSTART nothing takes place at any time (section 3.6.1 allows that beside METHOD)."""
        end = component.first("DTEND")
        if begin is not None and end is not None and end.value.strip():
            self.note("DTSTART is empty; the event was put at its end")
            return self._with_start(component, end)
        self.timeless.append(self._uid)
        if not self.method:
            self.note("the event has no DTSTART: it takes place at no time, and nothing can be shown of it")
        return None

    def _with_start(self, component: Component, begin: Line) -> Entry:
        start = self.stamp(begin)
        uid = self._uid or _made_uid(component)
        return Entry(uid, component, start, ONE_DAY if start.day else NOTHING)

    def _slot(self, line: Line | None) -> Stamp | None:
        if line is None or not line.value.strip():
            return None
        return self.stamp(line)

    # ------------------------------------------------------------------------------------------------------- values

    def stamp(self, line: Line) -> Stamp:
        """The time in a property; Unreadable says why it is none (a zone that nobody knows is a reason)."""
        return self._stamp(line.value.strip(), line)

    def _stamp(self, text: str, line: Line) -> Stamp:
        try:
            basic = read_basic(text)
        except ValueError as error:
            raise Unreadable(f"{line.head.name} cannot be read: {error}") from error
        for note in basic.notes:
            self.note(f"{line.head.name}: {note}", index=line.at)
        if basic.day or line.head.day:
            return Stamp(datetime.combine(basic.local, _MIDNIGHT), None, True)
        if basic.utc and line.head.tzid and line.head.tzid.upper() not in ("UTC", "ETC/UTC", "GMT"):
            self.note(f"{line.head.name} has a TZID and a Z; it was read as UTC (section 3.2.19)", index=line.at)
        return Stamp(basic.local, UTC if basic.utc else self._zone(line), False)

    def _zone(self, line: Line) -> tzinfo | None:
        tzid = line.head.tzid
        if not tzid or not tzid.strip():
            return self.ladder.default
        resolved = self.ladder.resolve(tzid)
        if tzid not in self._told and (resolved.zone is None or resolved.guessed):
            self._told.add(tzid)
            self.note(str(resolved), index=line.at)
        return resolved.zone

    def _length(self, component: Component, start: Stamp) -> Length:
        default = ONE_DAY if start.day else NOTHING
        end, duration = component.first("DTEND"), component.first("DURATION")
        try:
            if end is not None and end.value.strip():
                length = self._until(self.stamp(end), start)
            elif duration is not None and duration.value.strip():
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

    def _rules(self, component: Component, name: str) -> tuple[Rule, ...]:
        lines = component.props.get(name, ())
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
        for note in rule.notes:
            self.note(f"{line.head.name}: {note}", index=line.at)
        yield rule

    def _items(self, component: Component, name: str) -> Iterator[tuple[str, Line]]:
        lines = component.props.get(name, ())
        if sum(line.value.count(",") + 1 for line in lines) > self.dates:
            raise Unreadable(f"the event has more than {self.dates:,} {name}s")
        for line in lines:
            for item in line.value.replace(";", ",").split(","):
                if item.strip():
                    yield item.strip(), line

    def _exdates(self, component: Component) -> Iterator[Stamp]:
        for text, line in self._items(component, "EXDATE"):
            try:
                yield self._stamp(text.partition("/")[0], line)
            except Unreadable as error:
                self.note(f"{error}; that exception was passed over", lost=True, index=line.at)

    def _extras(self, component: Component, start: Stamp) -> Iterator[Extra]:
        for text, line in self._items(component, "RDATE"):
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
    text = text.strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) < 12 else 0


def _latest(component: Component) -> str:
    """LAST-MODIFIED or DTSTAMP as text: basic ISO 8601 sorts by time."""
    return component.value("LAST-MODIFIED").strip() or component.value("DTSTAMP").strip()


def _made_uid(component: Component) -> str:
    """A UID out of what the event says, so that the same event has the same one in the next file."""
    names = ("DTSTART", "DTEND", "DURATION", "RRULE", "SUMMARY", "LOCATION", "RECURRENCE-ID")
    said = "\n".join(f"{name}:{line.value}" for name in names for line in component.props.get(name, ()))
    return f"{hashlib.sha256(said.encode('utf-8', 'replace')).hexdigest()[:32]}@no-uid"


def day_of(stamp: Stamp, zone: tzinfo | None) -> date:
    """The day that a stamp names for an all-day series: a UTC midnight elsewhere is that place's day."""
    if not stamp.day and stamp.zone is UTC and zone is not None:
        return stamp.aware.astimezone(zone).date()
    return stamp.local.date()
