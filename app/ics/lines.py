"""Bytes to content lines (RFC 5545 section 3.1): decoded, unfolded, and still knowing their raw line numbers."""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterator
from functools import cached_property
from itertools import chain

from app.ics.problems import NotACalendar

_BREAK = re.compile(r"\r++\n?+")
_CHARSET = re.compile(r";CHARSET=\"?([A-Za-z0-9_-]{1,40})", re.IGNORECASE)
_CHARSETS = re.compile(
    r"(?:iso-?8859-\d{1,2}|windows-125\d|cp125\d|us-ascii|utf-?8|shift_jis|gb2312|gbk|gb18030|big5|euc-jp|euc-kr|"
    r"koi8-r|iso-2022-jp|latin1)",
    re.IGNORECASE,
)
_SURROGATES = re.compile("[\ud800-\udfff]")
_SOMETHING = re.compile(rb"[^ \t\r\n\0\xef\xbb\xbf]")
_WHOLE = re.compile(rb"\xff\xfe|\xfe\xff|B\0|\0B|(?:\xef\xbb\xbf)?\0*+[ \t]")  # UTF-16, or blanks before it all
_PIECE = 1 << 17
_MAGIC = {
    b"PK\x03\x04": "a zip archive: unpack it and send the .ics file that is in it",
    b"\x1f\x8b": "compressed with gzip: unpack it and send the .ics file",
    b"%PDF": "a PDF document: export the calendar as iCalendar (.ics) instead",
    b"\x89PNG": "a picture: export the calendar as iCalendar (.ics) instead",
    b"\xd0\xcf\x11\xe0": "an Outlook or Office document: save the calendar as iCalendar (.ics) instead",
    b"{": "JSON: ask for the iCalendar (.ics) form of the calendar",
}
_MARKUP = re.compile(rb"<(?:!doctype|html|head|body|\?xml|!--|script)", re.IGNORECASE)


class Source:
    """The bytes of a file, at most `cap` of them, as texts of whole content lines; NotACalendar for something else.

    A file is read piece by piece, so that what it takes in memory does not grow with it. Raw line numbers are told on
    demand: only problems need them.
    """

    def __init__(self, data: bytes, cap: int) -> None:
        _refuse_others(data, cap)
        self._data = data

    def texts(self) -> Iterator[str]:
        """The content lines, unfolded and joined by \\n; a text ends where an event begins, or the file ends."""
        for piece, strange in self._pieces():
            text = piece.replace("\n ", "").replace("\n\t", "")
            yield "\n".join(map(_rescued, text.split("\n"))) if strange else text

    def _pieces(self) -> Iterator[tuple[str, bool]]:
        """Decoded pieces, still folded, and whether there are surrogates in them."""
        if _WHOLE.match(self._data):
            yield _undented(decode(self._data)), True
            return
        begin, event = 3 if self._data[:3] == b"\xef\xbb\xbf" else 0, b"\nBEGIN:VEVENT"
        while (cut := self._data.find(event, begin + _PIECE)) >= 0:
            yield _decoded(self._data[begin:cut].rstrip(b"\r"))
            begin = cut + 1
        yield _decoded(self._data[begin:])

    @cached_property
    def _starts(self) -> array[int]:
        raw = chain.from_iterable(piece.split("\n") for piece, _ in self._pieces())
        return array("L", (number for number, line in enumerate(raw, 1) if number == 1 or line[:1] not in (" ", "\t")))

    def number(self, index: int) -> int:
        """The raw line, from 1, on which content line `index` begins."""
        return self._starts[min(index, len(self._starts) - 1)]


def _undented(text: str) -> str:
    """Without blanks before the first line, or before all of them (pasted out of a page): they are no folds."""
    if text[:1] not in (" ", "\t"):
        return text
    if all(line[:1] in (" ", "\t", "") for line in text.split("\n")):
        return "\n".join(line.lstrip(" \t") for line in text.split("\n"))
    return text.lstrip(" \t")


def decode(data: bytes) -> str:
    """The text with every line end as \\n. Bytes that are not UTF-8 stay as surrogates, for `_rescued`.

    Vertical tab, form feed and NEL are no line ends here, though str.splitlines believes so.
    """
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return _evened(data.decode("utf-16", errors="replace"))
    if data[:2] in (b"B\0", b"\0B"):
        return _evened(data.decode("utf-16-le" if data[1] == 0 else "utf-16-be", errors="replace"))
    return _decoded(data.removeprefix(b"\xef\xbb\xbf"))[0]


def _decoded(data: bytes) -> tuple[str, bool]:
    """UTF-8 with even line ends, and whether some bytes of it were none."""
    try:
        return _evened(data.decode("utf-8")), False
    except UnicodeDecodeError:
        return _evened(data.decode("utf-8", errors="surrogateescape")), True


def _evened(text: str) -> str:
    text = text.replace("\r\n", "\n")
    if "\r" in text:
        text = _BREAK.sub("\n", text)
    return text.replace("\0", "")


def _rescued(line: str) -> str:
    """A line with bytes that were not UTF-8 by themselves: joined again, else its CHARSET, else cp1252 (Blackboard)."""
    if not _SURROGATES.search(line):
        return line
    try:
        raw = line.encode("utf-8", errors="surrogateescape")
    except UnicodeEncodeError:
        return line.encode("utf-8", errors="replace").decode("utf-8")
    declared = _CHARSET.search(line)
    named = [declared[1]] if declared and _CHARSETS.fullmatch(declared[1]) else []
    for charset in ("utf-8", *named, "cp1252"):
        try:
            return raw.decode(charset)
        except (UnicodeDecodeError, LookupError):
            continue
    return raw.decode("latin-1")


def _refuse_others(data: bytes, cap: int) -> None:
    if len(data) > cap:
        raise NotACalendar(f"The file has {len(data):,} bytes, and at most {cap:,} are read: send it in parts.")
    if not _SOMETHING.search(data):
        raise NotACalendar("The file is empty: look whether the calendar was exported at all.")
    for magic, what in _MAGIC.items():
        if data.startswith(magic):
            raise NotACalendar(f"The file is {what}.")
    head = data[:1024].removeprefix(b"\xef\xbb\xbf").lstrip()
    if _MARKUP.match(head):
        raise NotACalendar(
            "The file is a web page, not a calendar: the address may need a login, or be the page about the calendar."
        )
