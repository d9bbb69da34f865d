"""Bytes and lines: encoding, line ends, folds, and whether the file is whole."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

from app.doctor.case import Case
from app.doctor.finding import EVERYONE, Client, Rule, Severity, Spot
from app.doctor.rules.sources import rfc, rfc5545, thread

GOOGLES_MOST, NEAR_GOOGLES = 1_000_000, 800_000
LONGEST_LINE = 75
_CONTROL = re.compile(rb"[\x01-\x08\x0b\x0c\x0e-\x1f\x7f]")
_FOLD = re.compile(rb"\r?\n[ \t]")
OUTLOOK, GOOGLE = frozenset({Client.OUTLOOK}), frozenset({Client.GOOGLE})


def _empty(case: Case) -> Iterator[Spot]:
    if not case.sheet.body.strip():
        yield Spot(0, "there is nothing in it")


def _no_calendar(case: Case) -> Iterator[Spot]:
    body = case.sheet.body
    if body.strip() and not case.sheet.calendars:
        page = body.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<")
        yield Spot(1, "it is a web page" if page else "no BEGIN:VCALENDAR is in it")


def _cut(case: Case) -> Iterator[Spot]:
    if case.sheet.calendars and not case.sheet.whole:
        yield Spot(case.sheet.body.count(b"\n") + 1, "the last line is not END:VCALENDAR")


def _strange(case: Case) -> Iterator[Spot]:
    if case.sheet.calendars:
        for line, text in case.sheet.strange:
            yield Spot(line, f"'{text}'")


def _crossed(case: Case) -> Iterator[Spot]:
    for line, text in case.sheet.crossed:
        yield Spot(line, text)


def _sixteen(case: Case) -> Iterator[Spot]:
    if case.sheet.body[:2] in (b"\xff\xfe", b"\xfe\xff", b"B\0", b"\0B"):
        yield Spot(1, "the file is in UTF-16")


def _letters(case: Case) -> Iterator[Spot]:
    body = case.sheet.body
    if any(_sixteen(case)):
        return
    if _decodes(_FOLD.sub(b"", body)):  # what only folds part is told by another rule
        return
    for number, line in enumerate(body.split(b"\n"), 1):
        if not _decodes(line):
            yield Spot(number, f"'{line[:60].decode('utf-8', 'replace').strip()}'")


def _mark(case: Case) -> Iterator[Spot]:
    if case.sheet.body.startswith(b"\xef\xbb\xbf"):
        yield Spot(1, "the file begins with a byte order mark")


def _ends(case: Case) -> Iterator[Spot]:
    body = case.sheet.body
    bare = body.count(b"\n") - body.count(b"\r\n")
    if bare and not any(_sixteen(case)):
        first = next(number for number, line in enumerate(body.split(b"\n"), 1) if not line.endswith(b"\r"))
        yield Spot(first, f"{bare:,} lines end in LF alone")


def _returns(case: Case) -> Iterator[Spot]:
    for number, line in enumerate(case.sheet.body.split(b"\n"), 1):
        if b"\r" in line.removesuffix(b"\r") and not any(_sixteen(case)):
            yield Spot(number, "a CR without LF")


def _long(case: Case) -> Iterator[Spot]:
    if not any(_sixteen(case)):
        for number, line in enumerate(case.sheet.body.split(b"\n"), 1):
            if len(line.removesuffix(b"\r")) > LONGEST_LINE:
                yield Spot(number, f"{len(line):,} octets")


def _split(case: Case) -> Iterator[Spot]:
    """A fold in the middle of a letter, or between a backslash and the letter that it escapes."""
    lines = case.sheet.body.split(b"\n")
    for number, (line, after) in enumerate(pairwise(lines), 1):
        if after[:1] not in (b" ", b"\t"):
            continue
        text = line.removesuffix(b"\r")
        backslashes = len(text) - len(text.rstrip(b"\\"))
        if backslashes % 2:
            yield Spot(number, "a fold parts an escape")
        elif not _decodes(text) and len(after) > 1 and 0x80 <= after[1] < 0xC0:
            yield Spot(number, "a fold parts a letter")


def _controls(case: Case) -> Iterator[Spot]:
    if not any(_sixteen(case)):
        for number, line in enumerate(case.sheet.body.split(b"\n"), 1):
            if found := _CONTROL.search(line):
                yield Spot(number, f"the control character U+{found[0][0]:04X}")


def _replaced(case: Case) -> Iterator[Spot]:
    if b"\xef\xbf\xbd" in case.sheet.body:
        for number, line in enumerate(case.sheet.body.split(b"\n"), 1):
            if b"\xef\xbf\xbd" in line:
                yield Spot(number, "U+FFFD stands where a letter was")


def _too_large(case: Case) -> Iterator[Spot]:
    if (size := len(case.sheet.body)) > GOOGLES_MOST:
        yield Spot(0, f"{size / 1e6:.1f} MB")


def _large(case: Case) -> Iterator[Spot]:
    if NEAR_GOOGLES < (size := len(case.sheet.body)) <= GOOGLES_MOST:
        yield Spot(0, f"{size / 1e6:.2f} MB")


def _decodes(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


_E, _W, _N = Severity.ERROR, Severity.WARNING, Severity.NOTE
RULES = (
    Rule("empty", _E, EVERYONE, _empty, "An empty feed is refused, or empties the calendar.", *rfc5545("3.4")),
    Rule(
        "no-calendar",
        _E,
        EVERYONE,
        _no_calendar,
        "This is no iCalendar stream: every program refuses it.",
        *rfc5545("3.4"),
    ),
    Rule(
        "cut-short", _E, EVERYONE, _cut, "The stream breaks off: programs refuse it or lose its end.", *rfc5545("3.4")
    ),
    Rule(
        "no-property",
        _W,
        EVERYONE,
        _strange,
        "A line that is neither a property nor a fold: what it says is lost, and strict readers refuse the whole feed. "
        "Write line breaks of texts as \\n, and fold with a blank.",
        *rfc5545("3.1"),
    ),
    Rule(
        "begin-end", _E, EVERYONE, _crossed, "BEGIN and END do not fit one another: events are lost.", *rfc5545("3.6")
    ),
    Rule("utf-16", _E, EVERYONE, _sixteen, "Calendars are in UTF-8; this one is not.", *rfc5545("3.1.4")),
    Rule(
        "not-utf-8", _W, EVERYONE, _letters, "Bytes that are not UTF-8: letters are shown wrongly.", *rfc5545("3.1.4")
    ),
    Rule(
        "byte-order-mark",
        _W,
        OUTLOOK,
        _mark,
        "A byte order mark hides the first BEGIN from strict readers: write the file without one.",
        *rfc(3629, "6"),
    ),
    Rule("line-ends", _W, OUTLOOK, _ends, "Lines end in CR LF; some readers take nothing else.", *rfc5545("3.1")),
    Rule(
        "bare-cr",
        _W,
        EVERYONE,
        _returns,
        "A CR alone ends no line, or ends one that was to go on.",
        *rfc5545("3.1"),
    ),
    Rule("long-line", _N, EVERYONE, _long, "Lines are folded at 75 octets; most readers forgive it.", *rfc5545("3.1")),
    Rule(
        "fold-parts",
        _W,
        OUTLOOK,
        _split,
        "A fold in the middle of a letter or an escape garbles the text in some readers: fold between letters.",
        *thread("libical/libical#427"),
    ),
    Rule("control", _W, EVERYONE, _controls, "Control characters are not allowed in texts.", *rfc5545("3.1")),
    Rule("lost-letter", _N, EVERYONE, _replaced, "A letter was lost before the feed was written.", *rfc5545("3.1.4")),
    Rule(
        "too-large",
        _E,
        GOOGLE,
        _too_large,
        "Google loses events of feeds above about 1 MB: publish fewer days or shorter texts.",
        *thread("roed314/seminars#777"),
    ),
    Rule(
        "large",
        _N,
        GOOGLE,
        _large,
        "The feed comes near to the 1 MB above which Google loses events.",
        *thread("roed314/seminars#777"),
    ),
)
