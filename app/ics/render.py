"""Writes events as an iCalendar stream (RFC 5545): the same events give the same bytes, always.

A stream is a header, one piece per event, and a footer; a piece depends on its own event and on the Clock alone, so
that pieces may be kept and joined again. Nothing is taken from the clock on the wall, and no library writes for us:
icalendar stamps a random UID, and is thirty times slower.

Choices that clients made for us:

* Times carry the feed's zone, with one VTIMEZONE that Outlook accepts; where that zone has no plain yearly rule, where
  an hour happens twice, and outside the years shown, a time is written in UTC instead: never a wrong instant. RFC 5545
  section 3.3.5 would have a time of that hour be its first, but ical.js takes it for the second.
* A deadline has no DTEND: RFC 5545 section 3.8.2.2 wants the end later than the start, and section 3.6.1 says that an
  event without one ends when it starts. Those whose reader wants one all the same add it (app/feeds/dialects.py).
* Whole days and deadlines are TRANSPARENT: a holiday or a due date keeps nobody busy.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from urllib.parse import quote, urlsplit
from zoneinfo import ZoneInfo

from app.ics.vtimezone import differs, vtimezone
from bridges.model import AllDay, Event, Status, When

PRODID = "-//calbridge//calbridge//EN"
FOOTER = b"END:VCALENDAR\r\n"

_LINE_BREAK = re.compile(r"\r\n?")
_NOT_TEXT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")  # CONTROL of RFC 5545 section 3.1; it has no escape
_NEEDS_ESCAPE = re.compile(r"[\\;,\n]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_PLAIN_URL = re.compile(r"https?://[\w!#$%&'()*+,/:;=?@~.-]+", re.ASCII)
_ENDS_FOR_SOME = re.compile(b"\xc2\x85|\xe2\x80[\xa8\xa9]")  # NEL, U+2028, U+2029, as for vdirsyncer, by splitlines
_BACKSLASHES_AT_END = re.compile(rb"\\+$")


@dataclass(frozen=True, slots=True)
class Published:
    """An event with what a feed says of it: `stamp` is DTSTAMP, `modified` LAST-MODIFIED; both are aware.

    A `free` one keeps nobody busy; `alarm` is how many minutes before its start a reader is reminded.
    """

    uid: str
    event: Event
    stamp: datetime
    modified: datetime
    sequence: int = 0
    free: bool = False
    alarm: int | None = None


@dataclass(frozen=True, slots=True)
class Cover:
    """What a feed says before its first event. `zone` holds for the years shown, both included.

    `colour` is a name of CSS and its six digits, such as ("red", "#FF0000").
    """

    name: str
    zone: ZoneInfo
    ttl: timedelta
    first_year: int
    last_year: int
    colour: tuple[str, str] | None = None


class Clock:
    """Says an instant in the feed's zone where its VTIMEZONE speaks the truth and is clear, in UTC elsewhere."""

    def __init__(self, zone: ZoneInfo, first_year: int, last_year: int) -> None:
        self._zone = zone
        self._prefix = f";TZID={zone.key}:"
        self._told: dict[datetime, str] = {}  # lessons begin and end together
        self._borders: list[datetime] = []  # of the spans that are told in the zone
        if named(zone):
            self._borders = [
                datetime(first_year, 1, 1, tzinfo=UTC),
                *(moment for span in differs(zone, first_year, last_year) for moment in span),
                datetime(last_year + 1, 1, 1, tzinfo=UTC),
            ]

    def local(self, moment: datetime) -> datetime:
        """An aware time as the feed shows it: in the feed's zone, or in UTC."""
        instant = moment.astimezone(UTC)
        if bisect_right(self._borders, instant) % 2 == 0:
            return instant
        local = instant.astimezone(self._zone)
        twice = local.fold or local.utcoffset() != local.replace(fold=1).utcoffset()
        return instant if twice else local

    def text(self, moment: datetime) -> str:
        """The end of a DTSTART or DTEND line, from its parameters on (RFC 5545 section 3.3.5)."""
        instant = moment.astimezone(UTC)
        told = self._told.get(instant)
        if told is None:
            local = self.local(instant)
            told = f":{_basic(local)}Z" if local.tzinfo is UTC else f"{self._prefix}{_basic(local)}"
            self._told[instant] = told
        return told


def named(zone: ZoneInfo) -> bool:
    """Whether times carry a TZID at all; UTC has its own form in iCalendar and needs none."""
    return zone.key not in {"UTC", "Etc/UTC"}


def render(cover: Cover, items: Iterable[Published]) -> bytes:
    """The whole stream, in the order given."""
    clock = Clock(cover.zone, cover.first_year, cover.last_year)
    return join(cover, (piece(item, clock) for item in items))


def join(cover: Cover, pieces: Iterable[bytes]) -> bytes:
    """A stream out of ready pieces."""
    return b"".join([header(cover), *pieces, FOOTER])


def header(cover: Cover) -> bytes:
    """Everything before the first VEVENT; name and refresh time in RFC 7986's form, and in the one of before it."""
    name, ttl = escaped(one_line(cover.name)), _duration(cover.ttl)
    lines = [
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        f"PRODID:{PRODID}",
        "CALSCALE:GREGORIAN",
        "METHOD:PUBLISH",
        fold(f"NAME:{name}"),
        fold(f"X-WR-CALNAME:{name}"),
        f"X-WR-TIMEZONE:{cover.zone.key}",
        f"REFRESH-INTERVAL;VALUE=DURATION:{ttl}",
        f"X-PUBLISHED-TTL:{ttl}",
        *([f"COLOR:{cover.colour[0]}", f"X-APPLE-CALENDAR-COLOR:{cover.colour[1]}"] if cover.colour else []),
        "",
    ]
    zone = vtimezone(cover.zone, cover.first_year, cover.last_year) if named(cover.zone) else ""
    return ("\r\n".join(lines) + zone).encode()


def piece(item: Published, clock: Clock, more: str = "") -> bytes:
    """One VEVENT; `more` are ready lines for its end. ValueError for a floating time: no feed ever shows one."""
    event = item.event
    optional = (
        (fold(f"DESCRIPTION:{text}\r\n") if event.text and (text := escaped(event.text)) else "")
        + (fold(f"LOCATION:{place}\r\n") if event.place and (place := escaped(event.place)) else "")
        + (_categories(event.categories) if event.categories else "")
        + (fold(f"URL:{link}\r\n") if event.url and (link := clean_url(event.url)) else "")
    )
    if item.alarm is not None:
        more += _alarm(event, item.alarm)
    return (
        f"BEGIN:VEVENT\r\n{fold(f'UID:{escaped(item.uid)}')}\r\nDTSTAMP:{in_utc(item.stamp)}\r\n"
        f"LAST-MODIFIED:{in_utc(item.modified)}\r\nSEQUENCE:{item.sequence}\r\n{_when(event.when, clock, item.free)}"
        f"{fold(f'SUMMARY:{escaped(event.title)}')}\r\n{_STATUS[event.status]}{optional}{more}END:VEVENT\r\n"
    ).encode()


def _categories(names: Iterable[str]) -> str:
    """One line for all, or one for each where a name has an escape or a quote (RFC 5545 section 3.8.1.2 permits both).

    For libical splits a line no further after either, and ical.js takes the comma after `\\\\` for escaped.
    """
    known = list(filter(None, map(escaped, names)))
    joined = ",".join(known)
    if "\\" in joined or '"' in joined:
        return "".join(fold(f"CATEGORIES:{name}\r\n") for name in known)
    return joined and fold(f"CATEGORIES:{joined}\r\n")


_STATUS = {status: f"STATUS:{status.upper()}\r\n" for status in Status}


def _alarm(event: Event, minutes: int) -> str:
    """RFC 5545 section 3.6.6."""
    said = fold(f"DESCRIPTION:{escaped(event.title)}")
    return f"BEGIN:VALARM\r\nACTION:DISPLAY\r\n{said}\r\nTRIGGER:-PT{minutes}M\r\nEND:VALARM\r\n"


def _when(when: When, clock: Clock, free: bool) -> str:
    if isinstance(when, AllDay):
        days = f"DTSTART;VALUE=DATE:{_day(when.start)}\r\nDTEND;VALUE=DATE:{_day(when.end)}\r\n"
        return f"{days}TRANSP:TRANSPARENT\r\n"
    if when.floating:
        raise ValueError(f"a floating time ({when.start.isoformat()}) cannot be published")
    if when.start == when.end:
        return f"DTSTART{clock.text(when.start)}\r\nTRANSP:TRANSPARENT\r\n"
    timed = f"DTSTART{clock.text(when.start)}\r\nDTEND{clock.text(when.end)}\r\n"
    return f"{timed}TRANSP:TRANSPARENT\r\n" if free else timed


def clean(text: str) -> str:
    """Text as iCalendar can hold it: LF ends a line, no control characters, U+FFFD for half a surrogate pair."""
    if text.replace("\n", "").isprintable():  # which no surrogate and no control character is
        return text
    return _SURROGATE.sub("\N{REPLACEMENT CHARACTER}", _NOT_TEXT.sub("", _LINE_BREAK.sub("\n", text)))


def one_line(text: str) -> str:
    """A name: clean, and with one blank for each stretch of blanks and line breaks."""
    return " ".join(clean(text).split())


def clean_url(url: str) -> str:
    """A web address with nothing in it that ends a line, percent-encoded where a URI needs it; else "".

    Only http and https: a calendar that people click in is no place for `javascript:`.
    """
    if _PLAIN_URL.fullmatch(url):
        return url
    try:
        known = urlsplit(url.strip()).scheme.lower() in {"http", "https"}
    except ValueError:
        return ""
    return quote(clean(url.strip()), safe="!#$%&'()*+,/:;=?@[]~", errors="replace") if known else ""


def escaped(text: str) -> str:
    """A TEXT value (RFC 5545 section 3.3.11)."""
    text = clean(text)
    if _NEEDS_ESCAPE.search(text) is None:
        return text
    return text.replace("\\", "\\\\").replace(";", "\\;").replace(",", "\\,").replace("\n", "\\n")


def fold(line: str) -> str:
    """The line in parts of at most 75 octets (RFC 5545 section 3.1), whole in letters and in escapes.

    A part ends where some readers see the end of a line, so that for them, too, the rest is no line of its own. A line
    break at the end is not counted, and stays where it is.
    """
    if len(line) < 76 and line.isascii():
        return line
    body = line.removesuffix("\r\n")
    end = line[len(body) :]
    raw = body.encode()
    plain = body.isprintable()  # none of those is
    if len(raw) < 76 and plain:
        return line
    parts, start, room = [], 0, 75
    while start < len(raw):
        cut = _border(raw, start, start + room) if len(raw) - start > room else len(raw)
        if not plain and (strange := _ENDS_FOR_SOME.search(raw, start, cut)):
            cut = strange.end()
        parts.append(raw[start:cut])
        start, room = cut, 74
    return b"\r\n ".join(parts).decode() + end


def _border(raw: bytes, start: int, cut: int) -> int:
    """The last place at or before `cut` that splits neither a UTF-8 sequence nor an escape pair."""
    while raw[cut] & 0xC0 == 0x80:
        cut -= 1
    if raw[cut - 1] == 0x5C:
        run = _BACKSLASHES_AT_END.search(raw, start, cut)
        cut -= len(run.group()) % 2 if run else 0
    return cut


_TWO = tuple(f"{number:02}" for number in range(60))


def _basic(moment: datetime) -> str:
    """`20260310T090000`, by table: a feed says four times an event, and strftime takes five times as long."""
    day = f"{moment.year:04}{_TWO[moment.month]}{_TWO[moment.day]}"
    return f"{day}T{_TWO[moment.hour]}{_TWO[moment.minute]}{_TWO[moment.second]}"


@lru_cache(maxsize=4096)
def in_utc(moment: datetime) -> str:
    """An aware time in UTC's form of RFC 5545 section 3.3.5, `20260310T090000Z`."""
    return f"{_basic(moment.astimezone(UTC))}Z"


def _day(day: date) -> str:
    return day.isoformat().replace("-", "")


def _duration(span: timedelta) -> str:
    """Whole minutes as RFC 5545 section 3.3.6 has them; at least one."""
    hours, minutes = divmod(max(1, int(span.total_seconds()) // 60), 60)
    return "PT" + (f"{hours}H" if hours else "") + (f"{minutes}M" if minutes or not hours else "")
