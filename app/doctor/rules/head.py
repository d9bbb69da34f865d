"""The calendar's own properties: version, method, name, and how often it asks to be read."""

from __future__ import annotations

import re
from collections.abc import Iterator

from app.doctor.case import Case
from app.doctor.finding import EVERYONE, Check, Client, Rule, Severity, Spot
from app.doctor.rules.sources import oxcical, rfc, rfc5545, thread
from app.doctor.rules.text import GOOGLE, OUTLOOK
from app.doctor.sheet import Line

MOST_EVENTS = 1111
"""Events that Google takes of one feed, by report."""
_DURATION = re.compile(r"P(?:\d+W|(?:\d+D)?(?:T(?=\d)(?:\d+H)?(?:\d+M)?(?:\d+S)?)?)")


def _missing(name: str) -> Check:
    def check(case: Case) -> Iterator[Spot]:
        for calendar in case.sheet.calendars:
            if calendar.first(name) is None:
                yield Spot(calendar.at, f"{name} is missing")

    return check


def _old(case: Case) -> Iterator[Spot]:
    for line in _all(case, "VERSION"):
        if line.value.strip() != "2.0":
            yield Spot(line.at, f"VERSION:{line.value[:20]}")


def _several(case: Case) -> Iterator[Spot]:
    for calendar in case.sheet.calendars[1:]:
        yield Spot(calendar.at, "another VCALENDAR begins")


def _method(case: Case) -> Iterator[Spot]:
    for line in _all(case, "METHOD"):
        if line.value.strip().upper() not in ("PUBLISH", "ADD"):
            yield Spot(line.at, f"METHOD:{line.value[:20]}")


def _scale(case: Case) -> Iterator[Spot]:
    for line in _all(case, "CALSCALE"):
        if line.value.strip().upper() != "GREGORIAN":
            yield Spot(line.at, f"CALSCALE:{line.value[:20]}")


def _nameless(case: Case) -> Iterator[Spot]:
    for calendar in case.sheet.calendars:
        if not calendar.value("X-WR-CALNAME") and not calendar.value("NAME"):
            yield Spot(calendar.at, "X-WR-CALNAME and NAME are missing")


def _no_rhythm(case: Case) -> Iterator[Spot]:
    for calendar in case.sheet.calendars:
        if calendar.first("X-PUBLISHED-TTL") is None:
            yield Spot(calendar.at, "X-PUBLISHED-TTL is missing")


def _rhythm(case: Case) -> Iterator[Spot]:
    for line in (*_all(case, "X-PUBLISHED-TTL"), *_all(case, "REFRESH-INTERVAL")):
        if not _DURATION.fullmatch(line.value.strip()) or len(line.value.strip()) < 3:
            yield Spot(line.at, f"{line.name}:{line.value[:30]}")


def _typeless(case: Case) -> Iterator[Spot]:
    for line in _all(case, "REFRESH-INTERVAL"):
        if line.params.get("VALUE", "").upper() != "DURATION":
            yield Spot(line.at, "REFRESH-INTERVAL without ;VALUE=DURATION")


def _no_events(case: Case) -> Iterator[Spot]:
    if case.sheet.calendars and not case.sheet.events:
        yield Spot(case.sheet.calendars[0].at, "no VEVENT")


def _many(case: Case) -> Iterator[Spot]:
    if (count := len(case.sheet.events)) > MOST_EVENTS:
        yield Spot(0, f"{count:,} events")


def _others(case: Case) -> Iterator[Spot]:
    for calendar in case.sheet.calendars:
        for part in calendar.inside("VTODO", "VJOURNAL", "VFREEBUSY"):
            yield Spot(part.at, part.kind)


def _all(case: Case, name: str) -> list[Line]:
    return [line for calendar in case.sheet.calendars for line in calendar.all(name)]


_E, _W, _N = Severity.ERROR, Severity.WARNING, Severity.NOTE
_NOT_THUNDERBIRD = frozenset({Client.OUTLOOK, Client.GOOGLE, Client.APPLE})
RULES = (
    Rule("version-missing", _W, EVERYONE, _missing("VERSION"), "VERSION:2.0 is required.", *rfc5545("3.7.4")),
    Rule(
        "version", _E, OUTLOOK, _old, "Only version 2.0 is iCalendar; others are read wrongly.", *oxcical("2.1.3.1.1")
    ),
    Rule("prodid-missing", _W, EVERYONE, _missing("PRODID"), "PRODID is required.", *rfc5545("3.7.3")),
    Rule("several-calendars", _W, OUTLOOK, _several, "Many readers stop after the first VCALENDAR.", *rfc5545("3.4")),
    Rule(
        "method",
        _W,
        OUTLOOK,
        _method,
        "Outlook takes this for an invitation or its answer: a feed is METHOD:PUBLISH.",
        "MS-STANOICAL 2.2.99",
        "https://learn.microsoft.com/en-us/openspecs/exchange_standards/ms-stanoical/",
    ),
    Rule(
        "method-missing",
        _N,
        OUTLOOK,
        _missing("METHOD"),
        "METHOD:PUBLISH says that this is a feed.",
        *oxcical("2.1.3.1.1"),
    ),
    Rule("calscale", _E, EVERYONE, _scale, "Dates are Gregorian, or are read wrongly.", *rfc5545("3.7.1")),
    Rule(
        "nameless",
        _N,
        _NOT_THUNDERBIRD,
        _nameless,
        "Without a name the subscription is called after its address.",
        *rfc(7986, "5.1"),
    ),
    Rule(
        "no-ttl",
        _N,
        OUTLOOK,
        _no_rhythm,
        "Without X-PUBLISHED-TTL Outlook has been seen to wait for 168 hours.",
        *thread("markuspoerschke/iCal#81"),
    ),
    Rule("ttl", _W, OUTLOOK, _rhythm, "This is no duration: write PT1H for an hour.", *rfc5545("3.3.6")),
    Rule("ttl-type", _N, EVERYONE, _typeless, "REFRESH-INTERVAL needs ;VALUE=DURATION.", *rfc(7986, "5.7")),
    Rule(
        "no-events",
        _W,
        EVERYONE,
        _no_events,
        "The feed is empty: whoever subscribes sees nothing, and no error.",
        *thread("SuperKenVery/nju-schedule-ics#8"),
    ),
    Rule(
        "many-events",
        _W,
        GOOGLE,
        _many,
        "Google was seen to show about 1,111 events of a feed: publish fewer days.",
        *thread("roed314/seminars#777"),
    ),
    Rule(
        "not-events",
        _N,
        EVERYONE,
        _others,
        "Subscriptions show events alone; tasks and journals are not seen.",
        *rfc5545("3.6"),
    ),
)
