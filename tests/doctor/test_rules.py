"""Each rule of the doctor finds its fault, on its line, for the programs that it concerns; and nothing else does."""

from __future__ import annotations

import time
from collections.abc import Mapping

import pytest

from app.doctor.case import Hop, Visit
from app.doctor.examine import examine
from app.doctor.finding import Client, Diagnosis, Severity, State
from app.doctor.rules import RULES

HEAD = """BEGIN:VCALENDAR
VERSION:2.0
PRODID:-//a school//timetable//EN
CALSCALE:GREGORIAN
METHOD:PUBLISH
X-WR-CALNAME:Biology
REFRESH-INTERVAL;VALUE=DURATION:PT1H
X-PUBLISHED-TTL:PT1H
"""
ZONE = """BEGIN:VTIMEZONE
TZID:Europe/Oslo
BEGIN:STANDARD
DTSTART:19701025T030000
RRULE:FREQ=YEARLY;BYMONTH=10;BYDAY=-1SU
TZOFFSETFROM:+0200
TZOFFSETTO:+0100
END:STANDARD
BEGIN:DAYLIGHT
DTSTART:19700329T020000
RRULE:FREQ=YEARLY;BYMONTH=3;BYDAY=-1SU
TZOFFSETFROM:+0100
TZOFFSETTO:+0200
END:DAYLIGHT
END:VTIMEZONE
"""
EVENT = """BEGIN:VEVENT
UID:a@school
DTSTAMP:20260101T000000Z
DTSTART;TZID=Europe/Oslo:20261021T101500
DTEND;TZID=Europe/Oslo:20261021T120000
RRULE:FREQ=WEEKLY;COUNT=4
SUMMARY:Marine biology
END:VEVENT
"""
CLEAN = HEAD + ZONE + EVENT + "END:VCALENDAR\n"
SIDES = ZONE.split("Oslo\n")[1].split("END:VTIMEZONE")[0]
START, END = "DTSTART;TZID=Europe/Oslo:20261021T101500\n", "DTEND;TZID=Europe/Oslo:20261021T120000\n"
SERIES = "RRULE:FREQ=WEEKLY;COUNT=4\n"
OTHER = EVENT.replace(SERIES, "").replace("UID:a@school", "UID:b@school")


def raw(text: str) -> bytes:
    return text.replace("\n", "\r\n").encode()


def changed(*swaps: tuple[str, str]) -> bytes:
    text = CLEAN
    for old, new in swaps:
        assert old in text
        text = text.replace(old, new, 1)
    return raw(text)


def after(line: str, more: str) -> tuple[str, str]:
    return line, line + more


def ids(diagnosis: Diagnosis) -> set[str]:
    return {finding.rule.id for finding in diagnosis.findings}


FAULTS: Mapping[str, bytes] = {
    "empty": b"  \r\n",
    "no-calendar": b"<!doctype html><title>Sign in</title>",
    "cut-short": raw(CLEAN.replace("END:VCALENDAR\n", "")),
    "no-property": changed(after("SUMMARY:Marine biology\n", "and more of it\n")),
    "begin-end": changed(("END:VEVENT\n", "")),
    "utf-16": CLEAN.encode("utf-16"),
    "not-utf-8": changed(("Marine", "Økologi")).replace("Ø".encode(), b"\xd8"),
    "byte-order-mark": b"\xef\xbb\xbf" + raw(CLEAN),
    "line-ends": CLEAN.encode(),
    "bare-cr": raw(CLEAN).replace(b"Marine ", b"Marine\r"),
    "long-line": changed(("Marine", "M" * 90)),
    "fold-parts": raw(CLEAN).replace(b"Marine biology", "Ø".encode()[:1] + b"\r\n " + "Ø".encode()[1:]),
    "control": changed(("Marine", "Ma\x07rine")),
    "lost-letter": changed(("Marine", "Mar�ne")),
    "too-large": changed(("SUMMARY", f"DESCRIPTION:{'x' * 1_000_001}\nSUMMARY")),
    "large": changed(("SUMMARY", f"DESCRIPTION:{'x' * 850_000}\nSUMMARY")),
    "version-missing": changed(("VERSION:2.0\n", "")),
    "version": changed(("VERSION:2.0", "VERSION:1.0")),
    "prodid-missing": changed(("PRODID:-//a school//timetable//EN\n", "")),
    "several-calendars": raw(CLEAN + HEAD + OTHER.replace(";TZID=Europe/Oslo", "") + "END:VCALENDAR\n"),
    "method": changed(("PUBLISH", "REQUEST")),
    "method-missing": changed(("METHOD:PUBLISH\n", "")),
    "calscale": changed(("GREGORIAN", "JULIAN")),
    "nameless": changed(("X-WR-CALNAME:Biology\n", "")),
    "no-ttl": changed(("X-PUBLISHED-TTL:PT1H\n", "")),
    "ttl": changed(("X-PUBLISHED-TTL:PT1H", "X-PUBLISHED-TTL:60")),
    "ttl-type": changed((";VALUE=DURATION", "")),
    "no-events": raw(HEAD + ZONE + "END:VCALENDAR\n"),
    "many-events": changed(after("END:VEVENT\n", "".join(OTHER.replace("b@", f"{n}@") for n in range(1200)))),
    "not-events": changed(after("END:VEVENT\n", "BEGIN:VTODO\nUID:t\nEND:VTODO\n")),
    "zone-undefined": raw(HEAD + EVENT + "END:VCALENDAR\n"),
    "zone-unknown": raw(HEAD + EVENT.replace("Europe/Oslo", "Customized Time Zone") + "END:VCALENDAR\n"),
    "zone-name": raw(CLEAN.replace("Europe/Oslo", "W. Europe Standard Time")),
    "zone-twice": changed(after("END:VTIMEZONE\n", ZONE)),
    "zone-bare": raw(HEAD + "BEGIN:VTIMEZONE\nTZID:Europe/Oslo\nEND:VTIMEZONE\n" + EVENT + "END:VCALENDAR\n"),
    "zone-history": changed(after("END:DAYLIGHT\n", SIDES)),
    "zone-offset": changed(("TZOFFSETTO:+0100\n", "")),
    "zone-rule-day": changed((";BYDAY=-1SU", "")),
    "zone-rule": changed(("FREQ=YEARLY;BYMONTH=10", "FREQ=MONTHLY")),
    "zone-dates": changed(after("TZOFFSETTO:+0100\n", "RDATE:20271031T030000\n")),
    "floating": changed((";TZID=Europe/Oslo:20261021T101500", ":20261021T101500")),
    "bare-utc": changed((START, "DTSTART:20261021T081500Z\n"), (END, "DTEND:20261021T100000Z\n"), (SERIES, "")),
    "utc-with-zone": changed(("101500\n", "101500Z\n")),
    "uid-missing": changed(("UID:a@school\n", "")),
    "dtstamp-missing": changed(("DTSTAMP:20260101T000000Z\n", "")),
    "dtstart-missing": changed((START, "")),
    "title-missing": changed(("SUMMARY:Marine biology\n", "")),
    "unreadable-time": changed(("20261021T101500", "21.10.2026")),
    "uid-twice": changed(after("END:VEVENT\n", OTHER.replace("b@", "a@"))),
    "uid-long": changed(("a@school", "a" * 300)),
    "day-untyped": changed((START, "DTSTART:20261021\n"), (END, "DTEND;VALUE=DATE:20261022\n")),
    "day-with-time": changed((START, "DTSTART;VALUE=DATE:20261021T101500\n")),
    "mixed-ends": changed((END, "DTEND;VALUE=DATE:20261022\n")),
    "mixed-ends-others": changed((END, "DTEND;VALUE=DATE:20261022\n")),
    "empty-day": changed((START, "DTSTART;VALUE=DATE:20261021\n"), (END, "DTEND;VALUE=DATE:20261021\n")),
    "ends-before-start": changed(("T120000", "T090000")),
    "endless": changed((END, "")),
    "two-ends": changed(after(END, "DURATION:PT1H\n")),
    "length": changed((END, "DURATION:1 hour\n")),
    "midnights": changed(("20261021T101500", "20261021T000000"), ("20261021T120000", "20261022T000000")),
    "repeated": changed(after("SUMMARY:Marine biology\n", "SUMMARY:Again\n")),
    "cancelled": changed(after(SERIES, "STATUS:CANCELLED\n")),
    "cancelled-gone": changed(after(SERIES, "STATUS:CANCELLED\n")),
    "status": changed(after(SERIES, "STATUS:MAYBE\n")),
    "html": changed(after(SERIES, "DESCRIPTION:<p>Bring boots</p>\n")),
    "html-type": changed(after(SERIES, "X-ALT-DESC:<p>x</p>\n")),
    "script": changed(after(SERIES, "X-ALT-DESC;FMTTYPE=text/html:<script>x</script>\n")),
    "alarms": changed(after(SERIES, "BEGIN:VALARM\nACTION:DISPLAY\nTRIGGER:-PT15M\nEND:VALARM\n")),
    "attachments": changed(after(SERIES, "ATTACH:https://school.example/a.pdf\n")),
    "inlined": changed(after(SERIES, f"ATTACH;ENCODING=BASE64;VALUE=BINARY:{'A' * 20_000}\n")),
    "attendees": changed(after(SERIES, "ATTENDEE:mailto:a@school.example\n")),
    "dtstamp-utc": changed(("20260101T000000Z", "20260101T000000")),
    "sequence": changed(after(SERIES, "SEQUENCE:one\n")),
    "rule-broken": changed(("FREQ=WEEKLY", "FREQ=SOMETIMES")),
    "rules-several": changed(after(SERIES, SERIES)),
    "rule-utc": changed((START, "DTSTART:20261021T081500Z\n")),
    "until": changed(("COUNT=4", "UNTIL=20261130")),
    "until-and-count": changed(("COUNT=4", "COUNT=4;UNTIL=20261130T000000Z")),
    "sub-daily": changed(("FREQ=WEEKLY", "FREQ=HOURLY")),
    "rule-shape": changed(("FREQ=WEEKLY", "FREQ=YEARLY;BYWEEKNO=20")),
    "orphan": changed(after(SERIES, "RECURRENCE-ID;TZID=Europe/Oslo:20261021T101500\n")),
    "slot-kind": changed(
        after("END:VEVENT\n", OTHER.replace("UID:b", "RECURRENCE-ID;VALUE=DATE:20261028\nUID:a"))
    ),
    "following": changed(
        after("END:VEVENT\n", OTHER.replace("UID:b", "RECURRENCE-ID;RANGE=THISANDFUTURE:20261028T091500Z\nUID:a"))
    ),
    "exdate-kind": changed(after(SERIES, "EXDATE;VALUE=DATE:20261028\n")),
    "exdate-utc": changed(after(SERIES, "EXDATE:20261028T091500Z\n")),
    "periods": changed(after(SERIES, "RDATE;VALUE=PERIOD:20261101T100000Z/PT1H\n")),
}  # fmt: skip

HERE = "https://school.example/c.ics"
TYPE = {"content-type": "text/calendar; charset=utf-8", "etag": '"a"', "last-modified": "Tue, 20 Oct 2026 09:30:00 GMT"}


def hop(status: int = 200, url: str = HERE, **headers: str) -> Hop:
    return Hop(url, status, TYPE | {name.replace("_", "-"): value for name, value in headers.items()})


FETCHES: Mapping[str, Visit] = {
    "no-answer": Visit(HERE, [hop(500)], failed="school.example is out of order (500)."),
    "sign-in": Visit(HERE, [hop(401)], failed="school.example wants a sign-in that it accepts (401)."),
    "not-public": Visit(HERE, failed="x lies in a closed network: only public addresses are fetched.", refused=True),
    "certificate": Visit(HERE, failed="x shows no certificate that we can trust: it has expired."),
    "plain-http": Visit(HERE.replace("https", "http"), [hop()]),
    "webcal": Visit(HERE.replace("https", "webcal"), [hop()]),
    "redirect": Visit(HERE, [hop(302), hop(url="https://other.example/c.ics")]),
    "ending": Visit(HERE.removesuffix(".ics"), [hop()]),
    "slow": Visit(HERE, [hop()], seconds=9),
    "robots": Visit(HERE, [hop()], robots="User-agent: *\nDisallow: /"),
    "content-type": Visit(HERE, [hop(content_type="application/octet-stream")]),
    "charset": Visit(HERE, [hop(content_type="text/calendar; charset=iso-8859-1")]),
    "no-charset": Visit(HERE, [hop(content_type="text/calendar")]),
    "attachment": Visit(HERE, [hop(content_disposition="attachment; filename=c.ics")]),
    "unvaried": Visit(HERE, [hop(content_encoding="gzip")]),
    "no-validators": Visit(HERE, [hop(etag="", last_modified="")]),
    "etag": Visit(HERE, [hop(etag="abc")]),
    "last-modified": Visit(HERE, [hop(last_modified="yesterday")]),
    "no-store": Visit(HERE, [hop(cache_control="no-store")]),
    "kept-long": Visit(HERE, [hop(cache_control="public, max-age=604800")]),
    "uids-change": Visit(HERE, [hop()], again=[hop()], again_body=changed(("a@school", "z@school"))),
    "dtstamps-change": Visit(HERE, [hop()], again=[hop()], again_body=changed(("20260101", "20260102"))),
    "etags-change": Visit(HERE, [hop()], again=[hop(etag='"b"')], again_body=raw(CLEAN)),
    "always-304": Visit(HERE, [hop()], again=[hop(304)]),
}


def test_a_feed_without_fault_gets_no_finding() -> None:
    told = examine(raw(CLEAN), Visit(HERE, [hop()], 0.2, again=[hop()], again_body=raw(CLEAN)))
    assert not told.findings
    assert {one.state for one in told.verdicts()} == {State.WORKS}


@pytest.mark.parametrize("rule", FAULTS)
def test_a_fault_of_a_file_is_found(rule: str) -> None:
    assert rule in ids(examine(FAULTS[rule]))


@pytest.mark.parametrize("rule", FETCHES)
def test_a_fault_of_a_server_is_found(rule: str) -> None:
    visit = FETCHES[rule]
    assert rule in ids(examine(None if visit.failed else raw(CLEAN), visit))


def test_every_rule_has_a_fault_a_source_and_a_name_of_its_own() -> None:
    names = [rule.id for rule in RULES]
    assert sorted(names) == sorted({*FAULTS, *FETCHES})
    for rule in RULES:
        assert rule.sentence.endswith(".")
        assert rule.source
        assert rule.clients
        assert not rule.url or rule.url.startswith("https://")


def test_a_finding_names_the_line_at_fault() -> None:
    (finding,) = [one for one in examine(FAULTS["zone-undefined"]).findings if one.rule.id == "zone-undefined"]
    (spot,) = finding.spots
    assert FAULTS["zone-undefined"].split(b"\r\n")[spot.line - 1].startswith(b"DTSTART;TZID=Europe/Oslo")
    assert "Europe/Oslo" in spot.what


def test_a_folded_line_is_named_where_it_begins() -> None:
    folded = changed(("SUMMARY:Marine", "DESCRIPTION:a\n b\n c\nSTATUS:MAYBE\nSUMMARY:Marine"))
    (finding,) = examine(folded).findings
    assert folded.split(b"\r\n")[finding.spots[0].line - 1] == b"STATUS:MAYBE"


def test_a_warning_for_one_program_is_none_for_another() -> None:
    told = examine(FAULTS["zone-undefined"])
    assert told.verdict(Client.OUTLOOK).state is State.FLAWS
    assert told.verdict(Client.THUNDERBIRD).state is State.WORKS


def test_what_a_program_refuses_is_said_to_be_refused() -> None:
    assert examine(FAULTS["zone-bare"]).verdict(Client.OUTLOOK).state is State.REFUSED
    assert {one.state for one in examine(FAULTS["no-calendar"]).verdicts()} == {State.REFUSED}


def test_a_fault_made_a_thousand_times_is_counted_and_not_listed() -> None:
    many = changed(after("END:VEVENT\n", "".join(OTHER.replace("b@", f"{n}@").replace(END, "") for n in range(1000))))
    (finding,) = [one for one in examine(many).findings if one.rule.id == "endless"]
    assert (finding.count, len(finding.spots)) == (1000, 5)


def test_the_worst_stands_first() -> None:
    severities = [one.rule.severity for one in examine(FAULTS["several-calendars"]).findings]
    assert severities == sorted(severities, reverse=True)
    assert Severity.WARNING in severities


@pytest.mark.parametrize(
    "hostile", [b"\xff" * 5000, b"BEGIN:VCALENDAR\n" * 3000, b"\n ;:\n" * 2000, b"BEGIN:VCALENDAR\r\nBEGIN"]
)
def test_whatever_the_bytes_are_there_is_a_diagnosis(hostile: bytes) -> None:
    assert examine(hostile).findings


def test_ten_thousand_events_are_judged_within_seconds() -> None:
    many = changed(after("END:VEVENT\n", "".join(OTHER.replace("b@", f"{n}@") for n in range(10_000))))
    began = time.perf_counter()
    examine(many)
    assert time.perf_counter() - began < 15
