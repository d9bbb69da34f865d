"""One function for each malformation that real exporters write, with the section it breaks and who needs it."""

from __future__ import annotations

import re
from datetime import date, datetime, time, timedelta
from quopri import decodestring

_ISO = re.compile(
    r"(\d{4})-?(\d{2})-?(\d{2})(?:[T ]?(\d{1,2}):?(\d{2}):?(\d{2})?(?:[.,]\d{1,9})?)?(Z|[+-]\d{2}:?\d{2})?", re.ASCII
)


def time_text(text: str) -> tuple[str, tuple[str, ...]]:
    """A DATE or DATE-TIME in another shape, as basic ISO 8601, and what was done.

    RFC 5545 sections 3.3.4 and 3.3.5. Blanks and small letters (hand-made files), dashes and colons (web shops and
    CMS exports), no seconds (Lotus), a fraction (JavaScript's toISOString), a date with Z (Google's RDATE:20131210Z),
    midnight as 24:00 (hand-made timetables), an offset from UTC (scripts that know ISO 8601 and not iCalendar). What
    is none of these comes back as it was.
    """
    compact = " ".join(text.split()).upper()
    match = _ISO.fullmatch(compact)
    if not match:
        return text, ()
    year, month, day, hour, minute, second, zone = match.groups()
    if hour is None:
        return f"{year}{month}{day}", ("a date written in another way was read",)
    late = hour == "24" and minute == "00"
    try:
        clock = time(0 if late else int(hour), int(minute), int(second or 0))
        moment = datetime.combine(date(int(year), int(month), int(day)), clock)
        moment += timedelta(days=late) - _offset(zone or "Z")
    except (ValueError, OverflowError):
        return text, ()
    note = "24:00 was read as midnight of the next day" if late else "a time written in another way was read"
    return f"{moment.year:04}{moment:%m%dT%H%M%S}{'Z' if zone else ''}", (note,)


def _offset(zone: str) -> timedelta:
    if zone == "Z":
        return timedelta()
    size = timedelta(hours=int(zone[1:3]), minutes=int(zone[-2:]))
    return -size if zone[0] == "-" else size


def unquoted_printable(value: str) -> str:
    """A value in quoted-printable, decoded (vCalendar 1.0 section 2.1.5; phones and old Outlook still send it)."""
    raw = decodestring(value.encode("utf-8"))
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("cp1252", errors="replace")


def component_name(value: str) -> str:
    """The name behind BEGIN or END without trailing blanks and in capitals (section 3.6; a hand-made timetable)."""
    return value.strip().upper()


_VCAL = re.compile(
    r"(D|W|MP|MD|YM|YD)(\d{1,4})((?: (?:[A-Z]{2}|\d{1,2}[+-]?|LD))*)(?: #(\d{1,5}))?(?: (\d{8}(?:T\d{6}Z?)?))?",
    re.ASCII,
)
_VCAL_FREQ = {"D": "DAILY", "W": "WEEKLY", "MP": "MONTHLY", "MD": "MONTHLY", "YM": "YEARLY", "YD": "YEARLY"}


def vcalendar_rule(text: str) -> str:
    """A rule of vCalendar 1.0 (`W1 MO WE #10`), as one of RFC 5545; other text comes back as it was.

    vCalendar 1.0 section 3.4; old phones and Outlook's .vcs. `#0` is for ever, nothing at all is twice.
    """
    match = _VCAL.fullmatch(" ".join(text.upper().split()))
    if not match:
        return text
    kind, interval, items, count, until = match.groups()
    rule = f"FREQ={_VCAL_FREQ[kind]};INTERVAL={interval}"
    words = items.split()
    if kind == "MP":
        rule += _vcalendar_positions(words)
    elif words:
        part = {"W": "BYDAY", "MD": "BYMONTHDAY", "YM": "BYMONTH", "YD": "BYYEARDAY"}.get(kind, "BYDAY")
        rule += f";{part}=" + ",".join(_vcalendar_number(word) for word in words)
    if until:
        return f"{rule};UNTIL={until}"
    return rule if count == "0" else f"{rule};COUNT={count or 2}"


def _vcalendar_number(word: str) -> str:
    if word == "LD":
        return "-1"
    return f"-{word[:-1]}" if word.endswith("-") else word.rstrip("+")


def _vcalendar_positions(words: list[str]) -> str:
    """`1+ MO TU 2- FR` as BYDAY=1MO,1TU,-2FR."""
    number, found = "", []
    for word in words:
        if word[0].isdigit():
            number = _vcalendar_number(word)
        else:
            found.append(number + word)
    return ";BYDAY=" + ",".join(found) if found else ""
