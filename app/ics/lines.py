"""Bytes to content lines (RFC 5545 section 3.1): decoded, unfolded, and still knowing their raw line numbers."""

from __future__ import annotations

import re
from functools import cached_property

from app.ics.problems import NotACalendar

_BREAK = re.compile(r"\r++\n?+")
_CHARSET = re.compile(r";CHARSET=\"?([A-Za-z0-9_-]{1,40})", re.IGNORECASE)
_CHARSETS = re.compile(
    r"(?:iso-?8859-\d{1,2}|windows-125\d|cp125\d|us-ascii|utf-?8|shift_jis|gb2312|gbk|gb18030|big5|euc-jp|euc-kr|"
    r"koi8-r|iso-2022-jp|latin1)",
    re.IGNORECASE,
)
_SURROGATES = re.compile("[\ud800-\udfff]")
_MAGIC = {
    b"PK\x03\x04": "a zip archive: unpack it and send the .ics file that is in it",
    b"\x1f\x8b": "compressed with gzip: unpack it and send the .ics file",
    b"%PDF": "a PDF document: export the calendar as iCalendar (.ics) instead",
    b"\x89PNG": "a picture: export the calendar as iCalendar (.ics) instead",
    b"\xd0\xcf\x11\xe0": "an Outlook or Office document: save the calendar as iCalendar (.ics) instead",
    b"{": "JSON: ask for the iCalendar (.ics) form of the calendar",
}
_MARKUP = re.compile(rb"<(?:!doctype|html|head|body|\?xml|!--|script)", re.IGNORECASE)


def read_lines(data: bytes, cap: int) -> Source:
    """The content lines of a file of at most `cap` bytes; NotACalendar for what is something else."""
    _refuse_others(data, cap)
    return Source(decode(data))


class Source:
    """The text of a file, as content lines, with raw line numbers told on demand: only problems need them."""

    def __init__(self, text: str) -> None:
        text = self._text = _undented(text)
        unfolded = text.replace("\n ", "").replace("\n\t", "")
        self.lines = unfolded.split("\n")
        if _SURROGATES.search(unfolded):
            self.lines = [_rescued(line) if _SURROGATES.search(line) else line for line in self.lines]

    @cached_property
    def _starts(self) -> list[int]:
        raw = self._text.split("\n")
        return [number for number, line in enumerate(raw, 1) if number == 1 or line[:1] not in (" ", "\t")]

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
        text = data.decode("utf-16", errors="replace")
    elif data[:2] in (b"B\0", b"\0B"):
        text = data.decode("utf-16-le" if data[1] == 0 else "utf-16-be", errors="replace")
    else:
        text = data.removeprefix(b"\xef\xbb\xbf").decode("utf-8", errors="surrogateescape")
    text = text.replace("\r\n", "\n")
    if "\r" in text:
        text = _BREAK.sub("\n", text)
    return text.replace("\0", "")


def _rescued(line: str) -> str:
    """A line with bytes that were not UTF-8 by themselves: joined again, else its CHARSET, else cp1252 (Blackboard)."""
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
    if not data.strip(b" \t\r\n\0\xef\xbb\xbf"):
        raise NotACalendar("The file is empty: look whether the calendar was exported at all.")
    for magic, what in _MAGIC.items():
        if data.startswith(magic):
            raise NotACalendar(f"The file is {what}.")
    head = data[:1024].removeprefix(b"\xef\xbb\xbf").lstrip()
    if _MARKUP.match(head):
        raise NotACalendar(
            "The file is a web page, not a calendar: the address may need a login, or be the page about the calendar."
        )
