"""Single events: what each has to have, its times, its texts, and what subscriptions make of the rest."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime, time, timedelta

from app.doctor.case import Case
from app.doctor.finding import EVERYONE, Check, Client, Rule, Severity, Spot
from app.doctor.rules.sources import oxcical, rfc, rfc5545, thread
from app.doctor.rules.text import OUTLOOK
from app.doctor.sheet import Line, Part
from app.ics.values import read_duration

_ONCE = {
    "UID",
    "DTSTAMP",
    "DTSTART",
    "DTEND",
    "DURATION",
    "SUMMARY",
    "DESCRIPTION",
    "LOCATION",
    "STATUS",
    "SEQUENCE",
}
LONGEST_UID = 255
MOST_ATTACHED = 10_000
_TIME = re.compile(r"\d{8}(?:T\d{6}Z?)?")
_TAGS = "p|br|div|span|a|b|strong|em|ul|ol|li|table|font|html|body"
_HTML = re.compile(rf"</?(?:{_TAGS})\b[^>]{{0,200}}>|&(?:nbsp|amp|lt|gt|quot);", re.IGNORECASE)


def _lacks(name: str) -> Check:
    def check(case: Case) -> Iterator[Spot]:
        for event in case.sheet.events:
            if not event.value(name):
                yield Spot(event.at, f"{name} is missing ({event.title})")

    return check


def _unreadable(case: Case) -> Iterator[Spot]:
    for event in case.sheet.events:
        for name in ("DTSTART", "DTEND", "RECURRENCE-ID"):
            line = event.first(name)
            if line and line.value.strip() and _moment(line) is None:
                yield Spot(line.at, f"{name}:{line.value[:40]}")


def _doubled(case: Case) -> Iterator[Spot]:
    seen: dict[tuple[str, str], int] = {}
    for event in case.sheet.events:
        key = event.value("UID"), event.value("RECURRENCE-ID")
        if key[0] and key in seen:
            yield Spot(event.at, f"UID:{key[0][:60]} is that of line {seen[key]} too ({event.title})")
        seen.setdefault(key, event.at)


def _long_uid(case: Case) -> Iterator[Spot]:
    for event in case.sheet.events:
        if len(event.value("UID").encode("utf-8", "replace")) > LONGEST_UID:
            yield Spot(event.at, f"a UID of {len(event.value('UID')):,} letters")


def _typeless_day(case: Case) -> Iterator[Spot]:
    for event in case.sheet.events:
        for line in (event.first("DTSTART"), event.first("DTEND")):
            if line and not line.day and re.fullmatch(r"\d{8}", line.value.strip()):
                yield Spot(line.at, f"{line.name}:{line.value.strip()} without ;VALUE=DATE ({event.title})")


def _timed_day(case: Case) -> Iterator[Spot]:
    for event in case.sheet.events:
        for line in (event.first("DTSTART"), event.first("DTEND")):
            if line and line.day and "T" in line.value:
                yield Spot(line.at, f"{line.name};VALUE=DATE:{line.value.strip()[:20]} ({event.title})")


def _mixed(case: Case) -> Iterator[Spot]:
    for start, end, event in _spans(case):
        if _is_day(start) != _is_day(end):
            yield Spot(end.at, f"DTSTART is {_kind(start)}, DTEND {_kind(end)} ({event.title})")


def _empty_day(case: Case) -> Iterator[Spot]:
    for start, end, event in _spans(case):
        if _is_day(start) and _is_day(end) and start.value.strip() == end.value.strip():
            yield Spot(end.at, f"DTEND is DTSTART, {end.value.strip()} ({event.title})")


def _backwards(case: Case) -> Iterator[Spot]:
    for start, end, event in _spans(case):
        begin, finish = _moment(start), _moment(end)
        alike = _is_day(start) == _is_day(end) and (start.tzid, _is_utc(start)) == (end.tzid, _is_utc(end))
        if begin and finish and alike and finish < begin:
            yield Spot(end.at, f"ends {end.value.strip()}, begins {start.value.strip()} ({event.title})")


def _endless(case: Case) -> Iterator[Spot]:
    for event in case.sheet.events:
        start = event.first("DTSTART")
        if start and not _is_day(start) and not event.first("DTEND") and not event.first("DURATION"):
            yield Spot(event.at, f"neither DTEND nor DURATION ({event.title})")


def _two_ends(case: Case) -> Iterator[Spot]:
    for event in case.sheet.events:
        line = event.first("DURATION")
        if line and event.first("DTEND"):
            yield Spot(line.at, f"both DTEND and DURATION ({event.title})")


def _lengths(case: Case) -> Iterator[Spot]:
    for event in case.sheet.events:
        line = event.first("DURATION")
        if line and not _is_length(line.value):
            yield Spot(line.at, f"DURATION:{line.value[:30]} ({event.title})")


def _midnights(case: Case) -> Iterator[Spot]:
    for start, end, event in _spans(case):
        begin, finish = _moment(start), _moment(end)
        if not begin or not finish or _is_day(start):
            continue
        if begin.time() == finish.time() == time() and finish - begin >= timedelta(days=1):
            yield Spot(start.at, f"from midnight to midnight ({event.title})")


def _repeated(case: Case) -> Iterator[Spot]:
    for event in case.sheet.events:
        for name, count in Counter(line.name for line in event.lines if line.name in _ONCE).items():
            if count > 1:
                yield Spot(event.all(name)[1].at, f"{name} stands {count} times ({event.title})")


def _cancelled(case: Case) -> Iterator[Spot]:
    for event in case.sheet.events:
        line = event.first("STATUS")
        if line and line.value.strip().upper() == "CANCELLED" and "cancel" not in event.title.lower():
            yield Spot(line.at, event.title)


def _status(case: Case) -> Iterator[Spot]:
    for event in case.sheet.events:
        line = event.first("STATUS")
        if line and line.value.strip().upper() not in ("TENTATIVE", "CONFIRMED", "CANCELLED"):
            yield Spot(line.at, f"STATUS:{line.value[:30]} ({event.title})")


def _markup(case: Case) -> Iterator[Spot]:
    for event in case.sheet.events:
        for name in ("DESCRIPTION", "SUMMARY", "LOCATION"):
            line = event.first(name)
            if line and (found := _HTML.search(line.value)):
                yield Spot(line.at, f"{found[0][:40]} in {name} ({event.title})")


def _html_untyped(case: Case) -> Iterator[Spot]:
    for event in case.sheet.events:
        line = event.first("X-ALT-DESC")
        if line and line.params.get("FMTTYPE", "").lower() != "text/html":
            yield Spot(line.at, f"X-ALT-DESC without ;FMTTYPE=text/html ({event.title})")


def _scripted(case: Case) -> Iterator[Spot]:
    for event in case.sheet.events:
        line = event.first("X-ALT-DESC")
        if line and "<script" in line.value.lower():
            yield Spot(line.at, f"a script in X-ALT-DESC ({event.title})")


def _alarms(case: Case) -> Iterator[Spot]:
    return (Spot(alarm.at, event.title) for event in case.sheet.events for alarm in event.inside("VALARM"))


def _attached(case: Case) -> Iterator[Spot]:
    for event in case.sheet.events:
        for line in event.all("ATTACH"):
            if len(line.value) < MOST_ATTACHED:
                yield Spot(line.at, event.title)


def _inlined(case: Case) -> Iterator[Spot]:
    for event in case.sheet.events:
        for line in event.all("ATTACH"):
            if len(line.value) >= MOST_ATTACHED:
                yield Spot(line.at, f"{len(line.value):,} letters ({event.title})")


def _people(case: Case) -> Iterator[Spot]:
    for event in case.sheet.events:
        if line := event.first("ATTENDEE"):
            yield Spot(line.at, event.title)


def _each(name: str, wrong: Callable[[str], bool]) -> Check:
    def check(case: Case) -> Iterator[Spot]:
        for event in case.sheet.events:
            line = event.first(name)
            if line and wrong(line.value.strip()):
                yield Spot(line.at, f"{name}:{line.value[:40]} ({event.title})")

    return check


def _spans(case: Case) -> Iterator[tuple[Line, Line, Part]]:
    for event in case.sheet.events:
        start, end = event.first("DTSTART"), event.first("DTEND")
        if start and end:
            yield start, end, event


def _moment(line: Line) -> datetime | None:
    text = line.value.strip()
    if not _TIME.fullmatch(text):
        return None
    try:
        return datetime.fromisoformat(text.removesuffix("Z"))
    except ValueError:
        return None


def _is_day(line: Line) -> bool:
    return "T" not in line.value.upper()


def _is_utc(line: Line) -> bool:
    return line.value.strip().endswith("Z")


def _kind(line: Line) -> str:
    return "a day" if _is_day(line) else "a time"


def _is_length(text: str) -> bool:
    try:
        read_duration(text.strip())
    except ValueError:
        return False
    return True


_E, _W, _N = Severity.ERROR, Severity.WARNING, Severity.NOTE
_REMOVES = frozenset({Client.GOOGLE})
_PLAIN = frozenset({Client.OUTLOOK, Client.APPLE, Client.THUNDERBIRD})
RULES = (
    Rule(
        "uid-missing",
        _W,
        EVERYONE,
        _lacks("UID"),
        "Without a UID each refresh makes new events of old ones.",
        *rfc5545("3.8.4.7"),
    ),
    Rule(
        "dtstamp-missing",
        _N,
        EVERYONE,
        _lacks("DTSTAMP"),
        "DTSTAMP is required; most readers forgive it.",
        *rfc5545("3.8.7.2"),
    ),
    Rule(
        "dtstart-missing",
        _E,
        EVERYONE,
        _lacks("DTSTART"),
        "An event without a start is not shown.",
        *rfc5545("3.8.2.4"),
    ),
    Rule("title-missing", _N, EVERYONE, _lacks("SUMMARY"), "The event has no title.", *rfc5545("3.8.1.12")),
    Rule(
        "unreadable-time", _E, EVERYONE, _unreadable, "This is no date or time: the event is lost.", *rfc5545("3.3.5")
    ),
    Rule(
        "uid-twice",
        _E,
        EVERYONE,
        _doubled,
        "Of events with one UID only one is kept: give each its own, or make a series of them with RECURRENCE-ID.",
        *thread("geeksforsocialchange/PlaceCal#2993"),
    ),
    Rule("uid-long", _W, EVERYONE, _long_uid, "UIDs of more than 255 octets are cut by some.", *rfc(7986, "5.3")),
    Rule(
        "day-untyped",
        _W,
        EVERYONE,
        _typeless_day,
        "A date needs ;VALUE=DATE, or is taken for a broken time.",
        *rfc5545("3.3.4"),
    ),
    Rule(
        "day-with-time",
        _E,
        EVERYONE,
        _timed_day,
        "It says that it is a date, and has a time: the event is lost.",
        *rfc5545("3.3.4"),
    ),
    Rule(
        "mixed-ends",
        _E,
        OUTLOOK,
        _mixed,
        "Start and end have to be of one kind: both days, or both times.",
        *oxcical("2.1.3.1.1.20.8"),
    ),
    Rule(
        "mixed-ends-others",
        _W,
        EVERYONE - OUTLOOK,
        _mixed,
        "Start and end have to be of one kind.",
        *rfc5545("3.8.2.2"),
    ),
    Rule(
        "empty-day",
        _W,
        EVERYONE,
        _empty_day,
        "A day's DTEND is the day after: this event lasts no time, and some do not show it.",
        *thread("instructure/canvas-lms#1201"),
    ),
    Rule(
        "ends-before-start",
        _E,
        EVERYONE,
        _backwards,
        "The event ends before it begins: it is lost, or refused.",
        *rfc5545("3.8.2.2"),
    ),
    Rule(
        "endless",
        _W,
        OUTLOOK,
        _endless,
        "Exchange fails to import an event with neither DTEND nor DURATION.",
        *oxcical("2.1.3.1.1.20.8"),
    ),
    Rule("two-ends", _W, EVERYONE, _two_ends, "An event has DTEND or DURATION, not both.", *rfc5545("3.6.1")),
    Rule("length", _E, EVERYONE, _lengths, "This is no duration: write PT1H30M.", *rfc5545("3.3.6")),
    Rule(
        "midnights",
        _N,
        EVERYONE,
        _midnights,
        "A whole day that is told as times moves to the day before in other zones: use ;VALUE=DATE.",
        *thread("instructure/canvas-lms#1820"),
    ),
    Rule("repeated", _W, EVERYONE, _repeated, "This property stands once in an event.", *rfc5545("3.6.1")),
    Rule(
        "cancelled",
        _W,
        OUTLOOK,
        _cancelled,
        "Outlook shows a cancelled event as if it took place: leave it out, or say it in the title.",
        *thread("aluxnimm/outlookcaldavsynchronizer#105"),
    ),
    Rule(
        "cancelled-gone",
        _N,
        _REMOVES,
        _cancelled,
        "Google takes cancelled events out of view.",
        *thread("hackgvl/hackgreenville-com#498"),
    ),
    Rule("status", _W, OUTLOOK, _status, "STATUS is TENTATIVE, CONFIRMED or CANCELLED.", *rfc5545("3.8.1.11")),
    Rule(
        "html",
        _W,
        _PLAIN,
        _markup,
        "Tags and entities are shown as they stand: send plain text.",
        *thread("lochmueller/calendarize#521"),
    ),
    Rule("html-type", _W, OUTLOOK, _html_untyped, "X-ALT-DESC needs ;FMTTYPE=text/html.", *oxcical("2.1.3.1.1.20.27")),
    Rule(
        "script",
        _W,
        OUTLOOK,
        _scripted,
        "Scripts in texts are stripped, and make filters suspicious.",
        *oxcical("2.1.3.1.1.20.27"),
    ),
    Rule(
        "alarms",
        _N,
        EVERYONE,
        _alarms,
        "Google, Outlook and Apple ignore the alarms of subscriptions.",
        *rfc5545("3.6.6"),
    ),
    Rule(
        "attachments", _N, EVERYONE, _attached, "Most readers drop attachments of subscriptions.", *rfc5545("3.8.1.1")
    ),
    Rule(
        "inlined",
        _W,
        EVERYONE,
        _inlined,
        "A file inside the feed makes it heavy at each refresh: link to it.",
        *rfc5545("3.8.1.1"),
    ),
    Rule(
        "attendees",
        _N,
        OUTLOOK,
        _people,
        "A published event has no attendees: Outlook makes meetings of them.",
        *rfc(5546, "3.2.1"),
    ),
    Rule(
        "dtstamp-utc",
        _N,
        EVERYONE,
        _each("DTSTAMP", lambda text: not text.endswith("Z")),
        "DTSTAMP is in UTC.",
        *rfc5545("3.8.7.2"),
    ),
    Rule(
        "sequence",
        _W,
        EVERYONE,
        _each("SEQUENCE", lambda text: not text.isdecimal()),
        "SEQUENCE is a whole number.",
        *rfc5545("3.8.7.4"),
    ),
)
