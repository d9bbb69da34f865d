"""How the server answers: address, status, headers, certificate, speed, robots.txt."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit
from urllib.robotparser import RobotFileParser

from app.doctor.case import Case, Hop, Visit
from app.doctor.finding import EVERYONE, Check, Client, Rule, Severity, Spot
from app.doctor.rules.sources import rfc, thread
from app.doctor.rules.text import GOOGLE, OUTLOOK

GOOGLES_AGENT = "Google-Calendar-Importer"
SLOW = 5.0
"""Seconds: servers of Google and Microsoft are reported to give up at about ten."""
_TAG = re.compile(r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"')
_MAX_AGE = re.compile(r"max-age=(\d{1,9})")
_DAY = 86_400


def _visited(look: Callable[[Visit], Iterator[str]]) -> Check:
    """A check that looks at the visit alone; a file breaks no rule of servers."""

    def check(case: Case) -> Iterator[Spot]:
        return (Spot(0, what) for what in look(case.visit)) if case.visit else iter(())

    return check


def _answered(look: Callable[[Hop], Iterator[str]]) -> Check:
    """A check that looks at the answer that brought the calendar."""

    def check(visit: Visit) -> Iterator[str]:
        return look(visit.last) if visit.last and visit.last.status == 200 and not visit.failed else iter(())

    return _visited(check)


def _failed(visit: Visit) -> Iterator[str]:
    if visit.failed and visit.hops and not visit.refused:
        yield visit.failed


def _sign_in(visit: Visit) -> Iterator[str]:
    if visit.last and visit.last.status in (401, 403, 407):
        yield f"the server answers {visit.last.status}"


def _closed(visit: Visit) -> Iterator[str]:
    if visit.refused and ("closed network" in visit.failed or "only public" in visit.failed):
        yield visit.failed


def _certificate(visit: Visit) -> Iterator[str]:
    if "no certificate that we can trust" in visit.failed:
        yield visit.failed


def _scheme(name: str) -> Callable[[Visit], Iterator[str]]:
    def look(visit: Visit) -> Iterator[str]:
        if urlsplit(visit.asked).scheme.lower() == name:
            yield f"the address begins with {name}://"

    return look


def _onward(visit: Visit) -> Iterator[str]:
    if len(visit.hops) > 1:
        yield f"{len(visit.hops) - 1} redirect(s), to {urlsplit(visit.hops[-1].url).hostname}"


def _ending(visit: Visit) -> Iterator[str]:
    if visit.hops and not urlsplit(visit.asked).path.lower().endswith(".ics"):
        yield "the path does not end in .ics"


def _slow(visit: Visit) -> Iterator[str]:
    if visit.seconds > SLOW:
        yield f"{visit.seconds:.1f} seconds"


def _robots(visit: Visit) -> Iterator[str]:
    if visit.robots and visit.last:
        rules = RobotFileParser()
        rules.parse(visit.robots.splitlines())
        if not rules.can_fetch(GOOGLES_AGENT, visit.last.url):
            yield f"robots.txt of {urlsplit(visit.last.url).hostname} forbids this path to {GOOGLES_AGENT}"


def _type(hop: Hop) -> Iterator[str]:
    kind = hop.header("content-type")
    if kind.partition(";")[0].strip().lower() != "text/calendar":
        yield f"Content-Type is '{kind[:80]}'" if kind else "no Content-Type"


def _charset(hop: Hop) -> Iterator[str]:
    kind = hop.header("content-type").lower().replace('"', "")
    if kind.startswith("text/calendar") and "charset=" in kind and "charset=utf-8" not in kind:
        yield f"Content-Type is '{kind[:80]}'"


def _no_charset(hop: Hop) -> Iterator[str]:
    if hop.header("content-type").strip().lower() == "text/calendar":
        yield "Content-Type has no charset"


def _attachment(hop: Hop) -> Iterator[str]:
    if hop.header("content-disposition").lower().startswith("attachment"):
        yield "Content-Disposition is attachment"


def _unvaried(hop: Hop) -> Iterator[str]:
    if hop.header("content-encoding") and "accept-encoding" not in hop.header("vary").lower():
        yield f"Content-Encoding is {hop.header('content-encoding')[:20]}, and Vary does not name Accept-Encoding"


def _no_validators(hop: Hop) -> Iterator[str]:
    if not hop.header("etag") and not hop.header("last-modified"):
        yield "neither ETag nor Last-Modified"


def _etag(hop: Hop) -> Iterator[str]:
    tag = hop.header("etag")
    if tag and not _TAG.fullmatch(tag):
        yield f"ETag is {tag[:60]}"


def _modified(hop: Hop) -> Iterator[str]:
    text = hop.header("last-modified")
    try:
        if text:
            parsedate_to_datetime(text)
    except ValueError:
        yield f"Last-Modified is '{text[:60]}'"


def _unkept(hop: Hop) -> Iterator[str]:
    if "no-store" in hop.header("cache-control").lower():
        yield f"Cache-Control is {hop.header('cache-control')[:60]}"


def _kept_long(hop: Hop) -> Iterator[str]:
    age = _MAX_AGE.search(hop.header("cache-control").lower())
    if age and int(age[1]) > _DAY:
        yield f"Cache-Control lets it be kept for {int(age[1]) // 3600} hours"


_E, _W, _N = Severity.ERROR, Severity.WARNING, Severity.NOTE
_THEIR_SERVERS = frozenset({Client.OUTLOOK, Client.GOOGLE})
RULES = (
    Rule("no-answer", _E, EVERYONE, _visited(_failed), "The address does not give a calendar.", *rfc(9110, "15")),
    Rule(
        "sign-in",
        _E,
        EVERYONE,
        _visited(_sign_in),
        "Subscriptions of Google and outlook.com cannot sign in: publish a secret address instead.",
        *rfc(9110, "15.5.2"),
    ),
    Rule(
        "not-public",
        _E,
        _THEIR_SERVERS,
        _visited(_closed),
        "Google's and Microsoft's servers fetch the feed, and cannot come here: only a public address works.",
        *thread("icalendar/icalendar#137"),
    ),
    Rule(
        "certificate",
        _E,
        EVERYONE,
        _visited(_certificate),
        "Calendar programs do not trust this certificate.",
        *rfc(9110, "4.3.4"),
    ),
    Rule(
        "plain-http",
        _W,
        EVERYONE,
        _visited(_scheme("http")),
        "Over http anybody on the way reads the feed, and its secret address; outlook.com takes https alone.",
        *rfc(9110, "4.2.2"),
    ),
    Rule(
        "webcal",
        _N,
        frozenset({Client.OUTLOOK, Client.GOOGLE, Client.THUNDERBIRD}),
        _visited(_scheme("webcal")),
        "webcal:// opens Apple's dialog; elsewhere paste the same address with https://.",
        *thread("fossasia/eventyay#989"),
    ),
    Rule(
        "redirect",
        _N,
        EVERYONE,
        _visited(_onward),
        "Some programs follow no redirect: paste the last address.",
        *rfc(9110, "15.4"),
    ),
    Rule(
        "ending", _N, OUTLOOK, _visited(_ending), "Some programs tell calendars by the ending .ics.", *rfc(5545, "8.1")
    ),
    Rule(
        "slow",
        _W,
        _THEIR_SERVERS,
        _visited(_slow),
        "Google's and Microsoft's servers give up on slow feeds.",
        "reports of subscribers; no vendor gives a figure",
    ),
    Rule(
        "robots",
        _E,
        GOOGLE,
        _visited(_robots),
        "Google obeys robots.txt, and says that it cannot fetch the address: "
        "allow the path; a header X-Robots-Tag: noindex keeps it out of search.",
        *thread("TracksApp/tracks#1252"),
    ),
    Rule(
        "content-type",
        _W,
        OUTLOOK,
        _answered(_type),
        "A calendar is text/calendar; some refuse others.",
        *thread("doubtfire-lms/doubtfire-api#361"),
    ),
    Rule(
        "charset",
        _W,
        EVERYONE,
        _answered(_charset),
        "Calendars are in UTF-8, and the header says otherwise.",
        *rfc(5545, "3.1.4"),
    ),
    Rule(
        "no-charset",
        _N,
        OUTLOOK,
        _answered(_no_charset),
        "Without charset=utf-8 letters may be guessed wrongly.",
        *rfc(5545, "3.1.4"),
    ),
    Rule(
        "attachment",
        _N,
        EVERYONE,
        _answered(_attachment),
        "Browsers offer a download instead of a subscription.",
        *rfc(6266, "4.2"),
    ),
    Rule(
        "unvaried",
        _N,
        OUTLOOK,
        _answered(_unvaried),
        "Outlook refused feeds that were always compressed: compress only when asked, and say so in Vary.",
        *thread("markuspoerschke/iCal#541"),
    ),
    Rule(
        "no-validators",
        _N,
        EVERYONE,
        _answered(_no_validators),
        "Every look costs the whole feed: send an ETag, the hash of the body.",
        *thread("indico/indico#4784"),
    ),
    Rule(
        "etag",
        _W,
        EVERYONE,
        _answered(_etag),
        "An ETag stands in double quotes, or never matches.",
        *rfc(9110, "8.8.3"),
    ),
    Rule(
        "last-modified",
        _W,
        frozenset({Client.APPLE}),
        _answered(_modified),
        "This is no HTTP date: Apple asks by it.",
        *rfc(9110, "8.8.2"),
    ),
    Rule(
        "no-store",
        _N,
        EVERYONE,
        _answered(_unkept),
        "No program may keep a copy for when you are away.",
        *rfc(9111, "5.2.2.5"),
    ),
    Rule(
        "kept-long",
        _W,
        EVERYONE,
        _answered(_kept_long),
        "Changes are hidden by caches for longer than a day.",
        *rfc(9111, "5.2.2.1"),
    ),
)
