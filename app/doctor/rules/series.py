"""Series: rules that clients know, ends and exceptions of the right kind, and members that belong to one."""

from __future__ import annotations

import re
from collections.abc import Iterator

from app.doctor.case import Case
from app.doctor.finding import EVERYONE, Client, Rule, Severity, Spot
from app.doctor.rules.sources import oxcical, rfc5545, thread
from app.doctor.rules.text import OUTLOOK
from app.doctor.sheet import Line, Part
from app.ics.rrule import RuleError, TooCostly, parse_rule

_SUB_DAILY = re.compile(r"FREQ=(?:SECONDLY|MINUTELY|HOURLY)|BYHOUR=|BYMINUTE=|BYSECOND=", re.IGNORECASE)
_UNTIL = re.compile(r"UNTIL=([^;]*)", re.IGNORECASE)
_DAY = r"[+-]?[1-5]?(?:MO|TU|WE|TH|FR|SA|SU)"
_TEMPLATES = tuple(
    re.compile(text)
    for text in (
        r"DAILY",
        rf"WEEKLY(?:;BYDAY={_DAY}(?:,{_DAY})*)?",
        r"MONTHLY(?:;BYMONTHDAY=-?\d{1,2})?",
        rf"MONTHLY;BYDAY={_DAY}(?:,{_DAY})*(?:;BYSETPOS=-?\d)?",
        r"YEARLY(?:;BYMONTH=\d{1,2})?(?:;BYMONTHDAY=-?\d{1,2})?",
        rf"YEARLY(?:;BYMONTH=\d{{1,2}})?;BYDAY={_DAY}(?:,{_DAY})*(?:;BYMONTH=\d{{1,2}})?(?:;BYSETPOS=-?\d)?",
    )
)
"""What Outlook can keep of a series (MS-OXCICAL 2.1.3.2.2), apart from INTERVAL, COUNT, UNTIL and WKST."""


def _rules(case: Case) -> Iterator[tuple[Part, Line]]:
    for event in case.sheet.events:
        if line := event.first("RRULE"):
            yield event, line


def _broken(case: Case) -> Iterator[Spot]:
    for event, line in _rules(case):
        try:
            parse_rule(line.value.strip())
        except (RuleError, TooCostly, ValueError) as error:
            yield Spot(line.at, f"RRULE:{line.value[:60]}: {error} ({event.title})")


def _several(case: Case) -> Iterator[Spot]:
    for event in case.sheet.events:
        if len(event.all("RRULE")) > 1:
            yield Spot(event.all("RRULE")[1].at, event.title)


def _utc(case: Case) -> Iterator[Spot]:
    for event, line in _rules(case):
        start = event.first("DTSTART")
        if start and start.value.strip().endswith("Z"):
            yield Spot(line.at, f"begins {start.value.strip()} ({event.title})")


def _until(case: Case) -> Iterator[Spot]:
    for event, line in _rules(case):
        start, until = event.first("DTSTART"), _UNTIL.search(line.value)
        if start is None or until is None:
            continue
        day, floats = _is_day(start), not start.tzid and not start.value.strip().endswith("Z")
        wanted = "a date" if day else "a time without a zone" if floats else "a time in UTC"
        text = until[1].strip().upper()
        found = "a date" if "T" not in text else "a time in UTC" if text.endswith("Z") else "a time without a zone"
        if found != wanted:
            yield Spot(line.at, f"UNTIL={text[:20]} is {found}; for this DTSTART it has to be {wanted} ({event.title})")


def _both(case: Case) -> Iterator[Spot]:
    for event, line in _rules(case):
        if "UNTIL=" in line.value.upper() and "COUNT=" in line.value.upper():
            yield Spot(line.at, f"UNTIL and COUNT ({event.title})")


def _often(case: Case) -> Iterator[Spot]:
    for event, line in _rules(case):
        if _SUB_DAILY.search(line.value):
            yield Spot(line.at, f"RRULE:{line.value[:60]} ({event.title})")


def _strange(case: Case) -> Iterator[Spot]:
    for event, line in _rules(case):
        if not _SUB_DAILY.search(line.value) and not _is_template(line.value.strip().upper()):
            yield Spot(line.at, f"RRULE:{line.value[:80]} ({event.title})")


def _is_template(rule: str) -> bool:
    parts = dict(piece.partition("=")[::2] for piece in rule.split(";") if piece)
    kept = [f"{name}={parts[name]}" for name in ("BYMONTH", "BYMONTHDAY", "BYDAY", "BYSETPOS") if name in parts]
    others = parts.keys() - {"FREQ", "INTERVAL", "COUNT", "UNTIL", "WKST", "BYMONTH", "BYMONTHDAY", "BYDAY", "BYSETPOS"}
    shape = ";".join([parts.get("FREQ", ""), *kept])
    return not others and any(template.fullmatch(shape) for template in _TEMPLATES)


def _masters(case: Case) -> dict[str, Part]:
    return {event.value("UID"): event for event in case.sheet.events if event.first("RECURRENCE-ID") is None}


def _orphans(case: Case) -> Iterator[Spot]:
    masters = _masters(case)
    for event, line in _members(case):
        if event.value("UID") not in masters:
            yield Spot(line.at, f"no series has the UID {event.value('UID')[:60]} ({event.title})")


def _slots(case: Case) -> Iterator[Spot]:
    masters = _masters(case)
    for event, line in _members(case):
        master = masters.get(event.value("UID"))
        start = master.first("DTSTART") if master else None
        if start and _is_day(start) != _is_day(line):
            yield Spot(line.at, f"RECURRENCE-ID is {_kind(line)}, the series has {_kind(start)}s ({event.title})")


def _following(case: Case) -> Iterator[Spot]:
    for event, line in _members(case):
        if line.params.get("RANGE"):
            yield Spot(line.at, f"RANGE={line.params['RANGE'][:30]} ({event.title})")


def _exceptions(case: Case) -> Iterator[Spot]:
    for event in case.sheet.events:
        start = event.first("DTSTART")
        for line in event.all("EXDATE"):
            if start and _is_day(start) != _is_day(line):
                yield Spot(line.at, f"EXDATE is {_kind(line)}, the series has {_kind(start)}s ({event.title})")


def _exceptions_utc(case: Case) -> Iterator[Spot]:
    for event in case.sheet.events:
        start = event.first("DTSTART")
        for line in event.all("EXDATE"):
            if start and start.tzid and line.value.strip().endswith("Z"):
                yield Spot(line.at, f"EXDATE:{line.value.strip()[:20]} ({event.title})")


def _periods(case: Case) -> Iterator[Spot]:
    for event in case.sheet.events:
        for line in event.all("RDATE"):
            if line.params.get("VALUE", "").upper() == "PERIOD" or "/" in line.value:
                yield Spot(line.at, f"RDATE;VALUE=PERIOD ({event.title})")


def _members(case: Case) -> Iterator[tuple[Part, Line]]:
    for event in case.sheet.events:
        if line := event.first("RECURRENCE-ID"):
            yield event, line


def _is_day(line: Line) -> bool:
    return "T" not in line.value.upper()


def _kind(line: Line) -> str:
    return "a day" if _is_day(line) else "a time"


_E, _W, _N = Severity.ERROR, Severity.WARNING, Severity.NOTE
RULES = (
    Rule(
        "rule-broken",
        _E,
        EVERYONE,
        _broken,
        "This rule cannot be read: the series is lost, or is one event.",
        *rfc5545("3.3.10"),
    ),
    Rule(
        "rules-several",
        _W,
        EVERYONE,
        _several,
        "An event has one RRULE; of more, one is read.",
        *rfc5545("3.8.5.3"),
    ),
    Rule(
        "rule-utc",
        _W,
        EVERYONE,
        _utc,
        "A series in UTC moves by an hour when clocks change: name the zone.",
        *rfc5545("3.3.10"),
    ),
    Rule(
        "until",
        _W,
        EVERYONE,
        _until,
        "UNTIL has to be of DTSTART's kind, in UTC where there is a zone: else the last event is lost or added.",
        *rfc5545("3.3.10"),
    ),
    Rule("until-and-count", _W, EVERYONE, _both, "A series ends by UNTIL or by COUNT, not both.", *rfc5545("3.3.10")),
    Rule(
        "sub-daily",
        _E,
        frozenset({Client.OUTLOOK, Client.GOOGLE}),
        _often,
        "Outlook and Google know no series more often than daily: write the events out.",
        *oxcical("2.1.3.2.2"),
    ),
    Rule(
        "rule-shape",
        _W,
        OUTLOOK,
        _strange,
        "Outlook keeps plain daily, weekly, monthly and yearly series alone.",
        *oxcical("2.1.3.2.2"),
    ),
    Rule(
        "orphan",
        _W,
        EVERYONE,
        _orphans,
        "A changed member without its series: shown as a lone event, or not at all.",
        *rfc5545("3.8.4.4"),
    ),
    Rule(
        "slot-kind",
        _W,
        EVERYONE,
        _slots,
        "The member is not recognised: the event is shown twice.",
        *rfc5545("3.8.4.4"),
    ),
    Rule(
        "following",
        _W,
        EVERYONE,
        _following,
        "THISANDFUTURE is read by few: split the series in two.",
        *rfc5545("3.2.13"),
    ),
    Rule(
        "exdate-kind",
        _W,
        EVERYONE,
        _exceptions,
        "EXDATE has to be of DTSTART's kind: else the event is shown that was taken out.",
        *thread("tutao/tutanota#5318"),
    ),
    Rule(
        "exdate-utc",
        _N,
        EVERYONE,
        _exceptions_utc,
        "An EXDATE in UTC in a series with a zone: some miss it.",
        *thread("u01jmg3/ics-parser#161"),
    ),
    Rule("periods", _W, OUTLOOK, _periods, "Outlook does not take periods as further dates.", *oxcical("2.1.3.2.2")),
)
