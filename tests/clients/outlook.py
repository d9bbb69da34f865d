"""A calendar as Outlook and Exchange read it, by their own rules (MS-OXCICAL), and what of it breaks one.

No program of theirs runs here. So the rules stand below as a table, each with its section, and times are reckoned from
nothing but what Outlook keeps of a zone: two offsets and two yearly moments.
"""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from tests.clients.seen import written

DAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
MOST_OCTETS_OF_UID = 202


@dataclass(frozen=True, slots=True)
class Line:
    """A property: its name, what stands between name and value, the value."""

    name: str
    parameters: str
    value: str


@dataclass(frozen=True, slots=True)
class Component:
    """A component with its own lines and the components in it."""

    kind: str
    lines: Sequence[Line]
    parts: Sequence[Component]

    def all(self, name: str) -> list[Line]:
        return [line for line in self.lines if line.name == name]

    def value(self, name: str) -> str:
        return self.all(name)[0].value

    def inside(self, kind: str) -> list[Component]:
        return [part for part in self.parts if part.kind == kind]


def parsed(body: bytes) -> list[Component]:
    """The VCALENDARs of a stream, letter by letter: no library may mend anything before it is looked at."""
    text = body.decode().replace("\r\n ", "")
    stack = [Component("", [], [])]
    for row in text.split("\r\n")[:-1]:
        match = re.fullmatch(r'([A-Z0-9-]+)((?:;[A-Z-]+=(?:"[^"]*"|[^";:]*))*):(.*)', row, re.DOTALL)
        assert match, f"this is no line of a calendar: {row!a}"
        line = Line(*match.groups())
        if line.name == "BEGIN":
            stack.append(Component(line.value, [], []))
        elif line.name == "END":
            done = stack.pop()
            assert done.kind == line.value
            stack[-1] = Component(stack[-1].kind, stack[-1].lines, [*stack[-1].parts, done])
        else:
            stack[-1] = Component(stack[-1].kind, [*stack[-1].lines, line], stack[-1].parts)
    (root,) = stack
    return list(root.parts)


# Times, as Outlook reckons them


def times(calendar: Component) -> Iterator[tuple[str, str, str]]:
    """The UID, start and end of each event; an event without an end ends when it starts (2.1.3.1.1.20.10)."""
    zones = {zone.value("TZID"): zone for zone in calendar.inside("VTIMEZONE")}
    for event in calendar.inside("VEVENT"):
        start = _instant(event.all("DTSTART")[0], zones)
        end = _instant(event.all("DTEND")[0], zones) if event.all("DTEND") else start
        yield event.value("UID"), written(start), written(end)


def _instant(line: Line, zones: Mapping[str, Component]) -> date:
    if line.parameters == ";VALUE=DATE":
        return date.fromisoformat(line.value)
    local = datetime.fromisoformat(line.value.removesuffix("Z"))
    if line.value.endswith("Z"):
        return local.replace(tzinfo=UTC)
    zone = zones[line.parameters.removeprefix(";TZID=")]
    return (local - _offset(zone, local)).replace(tzinfo=UTC)


def _offset(zone: Component, local: datetime) -> timedelta:
    """By a PidLidTimeZoneStruct: daylight from its moment of the year to the standard's, whatever the year."""
    (standard,) = zone.inside("STANDARD")
    if not zone.inside("DAYLIGHT"):
        return _signed(standard.value("TZOFFSETTO"))
    (daylight,) = zone.inside("DAYLIGHT")
    begins, ends = (_moment(part, local.year) for part in (daylight, standard))
    summer = begins <= local < ends if begins < ends else not ends <= local < begins
    return _signed((daylight if summer else standard).value("TZOFFSETTO"))


def _moment(part: Component, year: int) -> datetime:
    rule = re.fullmatch(YEARLY, part.value("RRULE"))
    assert rule
    month, week, weekday = int(rule[1]), int(rule[2]), DAYS.index(rule[3])
    days = [day for day in range(1, monthrange(year, month)[1] + 1) if date(year, month, day).weekday() == weekday]
    begun = datetime.fromisoformat(part.value("DTSTART"))
    return begun.replace(year=year, month=month, day=days[week - 1 if week > 0 else -1])


def _signed(offset: str) -> timedelta:
    span = timedelta(hours=int(offset[1:3]), minutes=int(offset[3:5]))
    return -span if offset[0] == "-" else span


# The rules

YEARLY = r"FREQ=YEARLY;BYMONTH=(\d{1,2});BYDAY=([1-4]|-1)(MO|TU|WE|TH|FR|SA|SU)"
ONCE = ("UID", "DTSTAMP", "DTSTART", "SUMMARY", "STATUS", "SEQUENCE", "LAST-MODIFIED")
AT_MOST_ONCE = ("DTEND", "DESCRIPTION", "LOCATION", "URL", "TRANSP", "X-ALT-DESC", "X-MICROSOFT-CDO-BUSYSTATUS")
ANY_NUMBER = ("CATEGORIES",)


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule, with where it stands; `broken` tells each breach of it, `special` is what of a feed it holds for."""

    section: str
    what: str
    broken: Callable[[Component], Iterator[str]]
    special: str = ""


def _head(calendar: Component) -> Iterator[str]:
    wanted = {"METHOD": "PUBLISH", "VERSION": "2.0", "CALSCALE": "GREGORIAN", "PRODID": ".+", "X-WR-CALNAME": ".+"}
    for name, form in {**wanted, "X-PUBLISHED-TTL": r"PT(\d+H)?(\d+M)?"}.items():
        values = [line.value for line in calendar.all(name)]
        if len(values) != 1 or not re.fullmatch(form, values[0]):
            yield f"{name} is {values}"


def _components(calendar: Component) -> Iterator[str]:
    kinds = [part.kind for part in calendar.parts]
    if kinds != sorted(kinds, key=("VTIMEZONE", "VEVENT").index):
        yield f"{kinds}"


def _zones(calendar: Component) -> Iterator[str]:
    names = [zone.value("TZID") for zone in calendar.inside("VTIMEZONE")]
    used = {
        line.parameters[6:]
        for event in calendar.inside("VEVENT")
        for line in event.lines
        if ";TZID=" in line.parameters
    }
    if len(names) != len(set(names)) or not used <= set(names):
        yield f"{names} are defined, {used} are named"


def _sides(calendar: Component) -> Iterator[str]:
    for zone in calendar.inside("VTIMEZONE"):
        kinds = sorted(part.kind for part in zone.parts)
        if kinds not in (["STANDARD"], ["DAYLIGHT", "STANDARD"]):
            yield f"{kinds}"
        for part in zone.parts:
            rules = [line.value for line in part.all("RRULE")]
            if len(rules) != len(kinds) - 1 or not all(re.fullmatch(YEARLY, rule) for rule in rules):
                yield f"{part.kind} has the rules {rules}"
            for name in ("TZOFFSETFROM", "TZOFFSETTO"):
                if not re.fullmatch(r"[+-]\d{4}", part.value(name)):
                    yield f"{name} is {part.value(name)}"
            if part.all("RDATE") or len(part.all("DTSTART")) != 1:
                yield f"{part.kind} has RDATE, or not one DTSTART"


def _instances(calendar: Component) -> Iterator[str]:
    for event in calendar.inside("VEVENT"):
        names = [line.name for line in event.lines]
        wrong = [name for name in ONCE if names.count(name) != 1]
        wrong += [name for name in AT_MOST_ONCE if names.count(name) > 1]
        wrong += sorted({*names} - {*ONCE, *AT_MOST_ONCE, *ANY_NUMBER})
        if wrong:
            yield f"{event.value('SUMMARY')!a}: {wrong}"


def _ends(calendar: Component) -> Iterator[str]:
    for event in calendar.inside("VEVENT"):
        if not event.all("DTEND"):
            yield event.value("SUMMARY")


def _moments(calendar: Component) -> Iterator[str]:
    for event in calendar.inside("VEVENT"):
        told = [line for name in ("DTSTART", "DTEND") for line in event.all(name)]
        if len({line.parameters == ";VALUE=DATE" for line in told}) > 1:
            yield f"{event.value('SUMMARY')!a} begins as one kind and ends as another"
        for line in told:
            known = line.parameters == ";VALUE=DATE" or line.parameters.startswith(";TZID=") or line.value.endswith("Z")
            if not known:
                yield f"{event.value('SUMMARY')!a} floats"
    for uid, start, end in times(calendar):
        if end < start or (end == start and "T" not in start):
            yield f"{uid} ends at {end} and starts at {start}"


def _uids(calendar: Component) -> Iterator[str]:
    uids = [event.value("UID") for event in calendar.inside("VEVENT")]
    for uid in uids:
        if len(uid.encode()) > MOST_OCTETS_OF_UID or uid.upper().startswith("040000008200E000") or uids.count(uid) > 1:
            yield uid


def _busy(calendar: Component) -> Iterator[str]:
    for event in calendar.inside("VEVENT"):
        said = event.value("X-MICROSOFT-CDO-BUSYSTATUS")
        free = bool(event.all("TRANSP")) and event.value("TRANSP") == "TRANSPARENT"
        if said not in ("FREE", "TENTATIVE", "BUSY") or (said == "FREE") is not free:
            yield f"{event.value('SUMMARY')!a} is {said}"


def _html(calendar: Component) -> Iterator[str]:
    for event in calendar.inside("VEVENT"):
        html = [line for line in event.all("X-ALT-DESC") if line.parameters != ";FMTTYPE=text/html"]
        if html or bool(event.all("X-ALT-DESC")) is not bool(event.all("DESCRIPTION")):
            yield f"{event.value('SUMMARY')!a} has no text, or not as HTML too"
        if "<script" in "".join(line.value for line in event.all("X-ALT-DESC")).lower():
            yield f"{event.value('SUMMARY')!a} brings a script"


def _cancelled(calendar: Component) -> Iterator[str]:
    for event in calendar.inside("VEVENT"):
        if event.value("STATUS") == "CANCELLED" and not event.value("SUMMARY").startswith("Cancelled: "):
            yield f"{event.value('SUMMARY')!a}"


def _alarms(calendar: Component) -> Iterator[str]:
    for event in calendar.inside("VEVENT"):
        if len(event.parts) > 1 or any(part.kind != "VALARM" for part in event.parts):
            yield f"{event.value('SUMMARY')!a} has {[part.kind for part in event.parts]}"
        for alarm in event.parts:
            if not re.fullmatch(r"-PT\d+M", alarm.value("TRIGGER")) or alarm.value("ACTION") != "DISPLAY":
                yield f"{event.value('SUMMARY')!a} reminds at {alarm.value('TRIGGER')}"


FOR_OUTLOOK = "for-outlook"
RULES = (
    Rule("2.1.3.1.1.1 to .5, .19; clients' cadence", "the head says once what the calendar is", _head),
    Rule("2.1.3.1.1.19, .20", "zones, then appointments, and nothing else", _components),
    Rule("2.1.3.1.1.19.1, .20.10.1 (TZID)", "a zone that is named is defined, once", _zones),
    Rule("2.1.3.1.1.19.2 and .3", "one STANDARD, at most one DAYLIGHT, plain yearly rules, offsets in both", _sides),
    Rule(
        "2.1.3.1.1.20, its Number of Instances Allowed", "no property too often, none that makes a meeting", _instances
    ),
    Rule("2.1.3.1.1.20.8 (DTEND), MS-STANXICAL 3.6.1", "every appointment has an end", _ends, FOR_OUTLOOK),
    Rule("2.1.3.1.1.20.8 and .10", "start and end are of one kind, none floats, no day is empty", _moments),
    Rule("2.1.3.1.1.20.26 (UID), MS-STANOICAL 2.1.10", "UIDs are short, and not mistaken for Outlook's own", _uids),
    Rule("2.1.3.1.1.20.31, .25 (TRANSP)", "who is busy is said, and said alike", _busy, FOR_OUTLOOK),
    Rule("2.1.3.1.1.20.27 (X-ALT-DESC)", "a text comes as HTML too, without scripts", _html, FOR_OUTLOOK),
    Rule("2.1.3.1.1.20.23 (STATUS), outlookcaldavsynchronizer#105", "what is off says so", _cancelled, FOR_OUTLOOK),
    Rule("2.1.3.1.1.20.62 (VALARM)", "at most one alarm, so many minutes before", _alarms),
)
