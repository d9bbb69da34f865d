"""Two fetches of one feed, one after the other: what must not change, and what a server must not answer."""

from __future__ import annotations

from collections.abc import Iterator

from app.doctor.case import Case
from app.doctor.finding import EVERYONE, Client, Rule, Severity, Spot
from app.doctor.rules.sources import thread
from app.doctor.sheet import Part, Sheet


def _uids(case: Case) -> Iterator[Spot]:
    if case.again is None:
        return
    before, after = _by_uid(case.sheet), _by_uid(case.again)
    lost = [event for uid, event in before.items() if uid not in after]
    titles = {event.value("SUMMARY") + event.value("DTSTART") for uid, event in after.items() if uid not in before}
    for event in lost:
        if event.value("SUMMARY") + event.value("DTSTART") in titles:
            yield Spot(event.at, f"{event.title} has another UID in the second fetch")


def _stamps(case: Case) -> Iterator[Spot]:
    if case.again is None:
        return
    after = _by_uid(case.again)
    for uid, event in _by_uid(case.sheet).items():
        then = after.get(uid)
        if then and event.value("DTSTAMP") != then.value("DTSTAMP") and _rest(event) == _rest(then):
            yield Spot(event.at, f"DTSTAMP {event.value('DTSTAMP')}, then {then.value('DTSTAMP')} ({event.title})")


def _validators(case: Case) -> Iterator[Spot]:
    visit = case.visit
    if visit is None or case.again is None or not visit.again or not visit.last:
        return
    before, after = visit.last.header("etag"), visit.again[-1].header("etag")
    if before and after and before != after and case.again.body == case.sheet.body:
        yield Spot(0, f"ETag {before[:50]}, then {after[:50]}")


def _always_304(case: Case) -> Iterator[Spot]:
    if case.visit and case.visit.again and case.visit.again[-1].status == 304:
        yield Spot(0, "304 to an ETag that nobody gave out")


def _by_uid(sheet: Sheet) -> dict[str, Part]:
    return {event.value("UID"): event for event in sheet.events if event.value("UID")}


def _rest(event: Part) -> list[tuple[str, str]]:
    return [(line.name, line.value) for line in event.lines if line.name != "DTSTAMP"]


_E, _W, _N = Severity.ERROR, Severity.WARNING, Severity.NOTE
RULES = (
    Rule(
        "uids-change",
        _W,
        EVERYONE,
        _uids,
        "UIDs are new at each fetch: events flicker or double, and reminders are "
        "lost. Make the UID of what never changes.",
        *thread("ellite/Wallos#966"),
    ),
    Rule(
        "dtstamps-change",
        _N,
        EVERYONE,
        _stamps,
        "DTSTAMP is new though nothing changed: no copy is ever the same.",
        *thread("Liturgical-Calendar/LiturgicalCalendarAPI#860"),
    ),
    Rule(
        "etags-change",
        _N,
        EVERYONE,
        _validators,
        "The ETag changes though the body does not.",
        *thread("AI-Shipping-Labs/website#1030"),
    ),
    Rule(
        "always-304",
        _E,
        frozenset({Client.APPLE, Client.THUNDERBIRD, Client.OUTLOOK}),
        _always_304,
        "The server says 'not modified' to anybody: subscribers get the feed once, and never a change.",
        *thread("jsenecal/netbox-notices#68"),
    ),
)
