"""The value types of properties that we read (RFC 5545 section 3.3): times, durations, offsets, text."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import NamedTuple

from app.ics import repair

_DURATION = re.compile(
    r"([+-]?)P(?:(\d{1,9})W)?(?:(\d{1,9})D)?(?:T(?:(\d{1,9})H)?(?:(\d{1,9})M)?(?:(\d{1,9})S)?)?", re.ASCII
)
_OFFSET = re.compile(r"([+-])(\d{2}):?(\d{2}):?(\d{2})?", re.ASCII)
_MOMENT = re.compile(r"\d{8}T\d{6}Z?", re.ASCII)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f]")
_NO_TIME = timedelta()


class Stamp(NamedTuple):
    """A DATE or DATE-TIME as read. `local` is naive, midnight for a `day`; without a zone it floats."""

    local: datetime
    zone: tzinfo | None
    day: bool

    @property
    def aware(self) -> datetime:
        """With its zone attached (RFC 5545 section 3.3.5: the first of two, the offset before a gap)."""
        return self.local.replace(tzinfo=self.zone)

    @property
    def instant(self) -> datetime:
        """In UTC; floating ones and days stay naive."""
        return self.aware.astimezone(UTC) if self.zone is not None else self.local


class Length(NamedTuple):
    """How long an event is: whole days on the wall clock first, then exact time (section 3.3.6)."""

    days: int
    exact: timedelta

    @property
    def rough(self) -> timedelta:
        """As one span, for windows."""
        return timedelta(days=self.days) + self.exact if self.days else self.exact


NOTHING = Length(0, _NO_TIME)
ONE_DAY = Length(1, _NO_TIME)


class Basic(NamedTuple):
    """The text of a time in its parts: `day`, the clock or None, and whether it ends in Z (or an offset's zone)."""

    local: datetime
    day: bool
    utc: bool
    notes: tuple[str, ...] = ()


def read_basic(text: str) -> Basic:
    """`20250310`, `20250310T080000`, `20250310T080000Z`, or what `repair.time_text` turns into one; else ValueError."""
    size = len(text)
    if size == 8 and text.isascii() and text.isdigit():
        return Basic(datetime.combine(date.fromisoformat(text), time()), True, False)
    if _MOMENT.fullmatch(text) and text[9:11] != "24":
        return Basic(_clocked(text), False, size == 16)
    mended, notes = repair.time_text(text)
    if mended == text:
        raise ValueError(f"'{text[:40]}' is no date or time")
    basic = read_basic(mended)
    return Basic(basic.local, basic.day, basic.utc, notes)


def _clocked(text: str) -> datetime:
    if text[13:15] == "60":  # a leap second, read as second 59 (section 3.3.12)
        text = text[:13] + "59"
    return datetime.fromisoformat(text[:15])


def read_duration(text: str) -> Length:
    """`P1DT2H`, `-PT15M`, `P2W`; ValueError for what is none. Signs outside apply to all of it."""
    compact = "".join(text.split()).upper()
    match = _DURATION.fullmatch(compact)
    if not match or len(compact.lstrip("+-")) < 1:
        raise ValueError(f"'{text[:40]}' is no duration")
    weeks, days, hours, minutes, seconds = (int(part or 0) for part in match.groups()[1:])
    sign = -1 if match[1] == "-" else 1
    if weeks * 7 + days > 3_660_000 or hours > 10**8:
        raise ValueError(f"'{text[:40]}' is longer than time itself")
    exact = timedelta(hours=hours, minutes=minutes, seconds=seconds)
    return Length(sign * (weeks * 7 + days), sign * exact)


def read_offset(text: str) -> timedelta:
    """`+0100`, `-0330`, `+010000`; ValueError beyond a day (section 3.3.14)."""
    match = _OFFSET.fullmatch(text.strip())
    if not match or int(match[2]) > 23 or int(match[3]) > 59:
        raise ValueError(f"'{text[:40]}' is no offset from UTC")
    size = timedelta(hours=int(match[2]), minutes=int(match[3]), seconds=int(match[4] or 0))
    return -size if match[1] == "-" else size


def plain(text: str) -> str:
    """TEXT without its escapes (section 3.3.11) and without control characters (Moodle sends vertical tabs)."""
    if text.isprintable():
        return _unescaped(text) if "\\" in text else text
    if "\\" in text:
        text = _ESCAPE.sub(lambda match: "\n" if match[1] in "nN" else match[1], text)
    return _CONTROL.sub("", text)


def _unescaped(text: str) -> str:
    """As `_ESCAPE` does it, without a call for each escape: a backslash that is escaped itself stands aside."""
    aside = text.split("\\\\")
    for number, piece in enumerate(aside):
        if "\\" in piece:
            piece = piece.replace("\\n", "\n").replace("\\N", "\n").replace("\\", "")
            aside[number] = piece
    return "\\".join(aside)


def split_list(text: str) -> list[str]:
    """The items of a comma-separated TEXT list, each still escaped."""
    if "\\" not in text:
        return text.split(",")
    items, current = [], ""
    for piece in re.split(r"(\\.|,)", text, flags=re.DOTALL):
        if piece == ",":
            items.append(current)
            current = ""
        else:
            current += piece
    return [*items, current]
