"""Time zones: names that somebody knows, definitions of a shape that Outlook reads, times that float."""

from __future__ import annotations

import re
from collections.abc import Iterator

from app.doctor.case import Case
from app.doctor.finding import EVERYONE, Client, Rule, Severity, Spot
from app.doctor.rules.sources import STANXICAL, ZONE_RULES, oxcical, rfc5545, thread
from app.doctor.rules.text import OUTLOOK
from app.doctor.sheet import Line, Part
from app.ics.zones import Ladder, Step

TIMES = ("DTSTART", "DTEND", "RECURRENCE-ID", "EXDATE", "RDATE")
_YEARLY = re.compile(r"FREQ=YEARLY", re.IGNORECASE)
_ONE_DAY = re.compile(r"(?:BYDAY=[+-]?\d?[A-Z]{2}|BYMONTHDAY=-?\d{1,2})(?:;|$)", re.IGNORECASE)
_OFFSET = re.compile(r"[+-]\d{4}(?:\d{2})?")
_MOMENT = re.compile(r"\d{8}T\d{6}")


def _named(case: Case) -> Iterator[tuple[str, Line]]:
    """Each TZID with the first line that names it."""
    seen: set[str] = set()
    for event in case.sheet.events:
        for line in event.lines:
            if line.raw and line.name in TIMES and (tzid := line.tzid) and tzid not in seen:
                seen.add(tzid)
                yield tzid, line


def _defined(case: Case) -> set[str]:
    return {zone.value("TZID").strip('"') for zone in case.sheet.zones}


def _step(tzid: str) -> Step:
    """Who knows the name when the file itself says nothing of it."""
    return Ladder().resolve(tzid).step


def _undefined(case: Case) -> Iterator[Spot]:
    defined = _defined(case)
    for tzid, line in _named(case):
        if tzid not in defined:
            yield Spot(line.at, f"TZID={tzid[:80]} has no VTIMEZONE")


def _unknown(case: Case) -> Iterator[Spot]:
    defined = _defined(case)
    for tzid, line in _named(case):
        if tzid not in defined and _step(tzid) is not Step.IANA:
            yield Spot(line.at, f"TZID={tzid[:80]}")


def _windows(case: Case) -> Iterator[Spot]:
    defined = _defined(case)
    for tzid, line in _named(case):
        if tzid in defined and _step(tzid) is not Step.IANA:
            yield Spot(line.at, f"TZID={tzid[:80]}")


def _twice(case: Case) -> Iterator[Spot]:
    seen: set[str] = set()
    for zone in case.sheet.zones:
        name = zone.value("TZID")
        if name in seen:
            yield Spot(zone.at, f"'{name[:80]}' is defined again")
        seen.add(name)


def _sides(zone: Part) -> list[Part]:
    return list(zone.inside("STANDARD", "DAYLIGHT"))


def _bare(case: Case) -> Iterator[Spot]:
    for zone in case.sheet.zones:
        if not _sides(zone):
            yield Spot(zone.at, f"'{zone.value('TZID')[:80]}' has neither STANDARD nor DAYLIGHT")


def _crowded(case: Case) -> Iterator[Spot]:
    for zone in case.sheet.zones:
        kinds = [side.kind for side in _sides(zone)]
        if max(kinds.count("STANDARD"), kinds.count("DAYLIGHT")) > 1:
            yield Spot(zone.at, f"'{zone.value('TZID')[:80]}' has {' and '.join(_counted(kinds))}")


def _counted(kinds: list[str]) -> list[str]:
    return [f"{kinds.count(kind)} {kind}" for kind in ("STANDARD", "DAYLIGHT") if kind in kinds]


def _offsets(case: Case) -> Iterator[Spot]:
    for zone in case.sheet.zones:
        for side in _sides(zone):
            for name in ("TZOFFSETFROM", "TZOFFSETTO"):
                if not _OFFSET.fullmatch(side.value(name)):
                    yield Spot(side.at, f"{name} is '{side.value(name)[:20]}'" if side.value(name) else f"no {name}")


def _no_day(case: Case) -> Iterator[Spot]:
    for line in _rules(case):
        if not _ONE_DAY.search(line.value.strip()):
            yield Spot(line.at, f"RRULE:{line.value[:80]}")


def _not_yearly(case: Case) -> Iterator[Spot]:
    for line in _rules(case):
        if not _YEARLY.search(line.value):
            yield Spot(line.at, f"RRULE:{line.value[:80]}")


def _rules(case: Case) -> Iterator[Line]:
    return (line for zone in case.sheet.zones for side in _sides(zone) for line in side.all("RRULE"))


def _dates(case: Case) -> Iterator[Spot]:
    for zone in case.sheet.zones:
        for side in _sides(zone):
            if line := side.first("RDATE"):
                yield Spot(line.at, f"'{zone.value('TZID')[:80]}' lists RDATEs")


def _floating(case: Case) -> Iterator[Spot]:
    for event in case.sheet.events:
        for name in ("DTSTART", "DTEND"):
            line = event.first(name)
            if line and not line.tzid and not line.day and _MOMENT.fullmatch(line.value.strip()):
                yield Spot(line.at, f"{name}:{line.value.strip()} ({event.title})")


def _bare_utc(case: Case) -> Iterator[Spot]:
    lines = [line for event in case.sheet.events if (line := event.first("DTSTART"))]
    timed = [line for line in lines if not line.day]
    if timed and all(line.value.strip().endswith("Z") for line in timed):
        yield Spot(timed[0].at, "all times are in UTC")


def _z_with_zone(case: Case) -> Iterator[Spot]:
    for event in case.sheet.events:
        for line in event.lines:
            if line.raw and line.name in TIMES and line.value.strip().endswith("Z") and line.tzid:
                yield Spot(line.at, f"{line.name};TZID={line.tzid[:60]}:{line.value.strip()[:20]}")


_E, _W, _N = Severity.ERROR, Severity.WARNING, Severity.NOTE
_OTHERS = frozenset({Client.GOOGLE, Client.APPLE, Client.THUNDERBIRD})
_STANDARD_RULES = ("MS-OXCICAL 2.1.3.1.1.19.2", ZONE_RULES)
RULES = (
    Rule(
        "zone-undefined",
        _W,
        OUTLOOK,
        _undefined,
        "A zone that is named and not defined: Outlook was seen to show "
        "such events an hour late. Send one VTIMEZONE for each TZID.",
        *thread("thomersch/openstreetmap-calendar#185"),
    ),
    Rule(
        "zone-unknown",
        _W,
        EVERYONE,
        _unknown,
        "Nobody knows this zone for sure and the feed does not define it: each "
        "program takes the reader's own. Use an IANA name (Europe/Oslo), and define it.",
        *rfc5545("3.2.19"),
    ),
    Rule(
        "zone-name",
        _N,
        _OTHERS,
        _windows,
        "This is no IANA name; programs go by the VTIMEZONE, or guess.",
        *thread("derekantrican/GAS-ICS-Sync#194"),
    ),
    Rule("zone-twice", _W, OUTLOOK, _twice, "A zone is defined once.", *oxcical("2.1.3.1.1.19.1")),
    Rule(
        "zone-bare",
        _E,
        OUTLOOK,
        _bare,
        "A zone without a STANDARD part: Outlook for Mac refuses the feed.",
        "drupal.org 3252918",
        "https://www.drupal.org/node/3252918",
    ),
    Rule(
        "zone-history",
        _W,
        OUTLOOK,
        _crowded,
        "Of several STANDARD or DAYLIGHT parts Outlook reads the latest, or "
        "refuses the feed: send one of each, of these years.",
        *_STANDARD_RULES,
    ),
    Rule(
        "zone-offset",
        _E,
        OUTLOOK,
        _offsets,
        "Exchange fails the whole import without both offsets.",
        "MS-STANXICAL V0145",
        STANXICAL,
    ),
    Rule(
        "zone-rule-day",
        _E,
        OUTLOOK,
        _no_day,
        "Outlook cannot read a zone's rule without one BYDAY or BYMONTHDAY. A zone without summer time needs no rule.",
        *thread("py-vobject/vobject#11"),
    ),
    Rule("zone-rule", _W, OUTLOOK, _not_yearly, "A zone's rule is yearly, for Outlook.", *_STANDARD_RULES),
    Rule("zone-dates", _W, OUTLOOK, _dates, "Outlook goes by yearly rules, not by lists of dates.", *_STANDARD_RULES),
    Rule(
        "floating",
        _W,
        EVERYONE,
        _floating,
        "A time without a zone is another moment for each reader: name the zone.",
        *thread("ulsklyc/yuvomi#818"),
    ),
    Rule(
        "bare-utc",
        _N,
        OUTLOOK,
        _bare_utc,
        "Classic Outlook shows times as 'UTC' in the details of such events: name the zone of the place instead.",
        *thread("ridafkih/keeper.sh#417"),
    ),
    Rule("utc-with-zone", _W, EVERYONE, _z_with_zone, "A time is in UTC or in a zone, not both.", *rfc5545("3.2.19")),
)
