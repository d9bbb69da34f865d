"""Bytes to content lines (RFC 5545 section 3.1): decoded, unfolded, and still knowing their raw line numbers."""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterator
from functools import cached_property
from io import SEEK_END, BytesIO
from itertools import chain
from typing import BinaryIO

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
_EVENT, _LONG = re.compile(rb"\nBEGIN:VEVENT"), 13
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


Text = tuple[str, int, int]
"""Whole content lines, unfolded and joined by \\n, and at which bytes of the file they begin and end."""


class Source:
    """A file, as texts of whole content lines; NotACalendar for something else, or for more than `cap` bytes of it.

    The file is read piece by piece, and each text is that of one event, so that what it takes in memory does not grow
    with it. Raw line numbers are told on demand: only problems need them.
    """

    def __init__(self, data: bytes | BinaryIO, cap: int) -> None:
        self._file = BytesIO(data) if isinstance(data, bytes) else data
        self.size = self._file.seek(0, SEEK_END)
        self._head = self.raw(0, _PIECE)
        self._refuse_others(cap)

    def texts(self) -> Iterator[Text]:
        """The texts in their order; one ends where an event begins, or the file ends."""
        for raw, cuts in self.pieces():
            texts = self._unfolded(raw).split("\nBEGIN:VEVENT")
            if len(texts) == len(cuts) - 1:
                texts[1:] = ["BEGIN:VEVENT" + text for text in texts[1:]]
                yield from zip(texts, cuts, cuts[1:], strict=False)
            else:  # folds or odd line ends have hidden some of them from the bytes
                yield "\nBEGIN:VEVENT".join(texts), cuts[0], cuts[-1]

    def text(self, begin: int, end: int) -> str:
        """A text that `texts` told of, once more."""
        return self._unfolded(self.raw(begin, end).rstrip(b"\r\n"))

    def raw(self, begin: int, end: int) -> bytes:
        """These bytes of the file."""
        self._file.seek(begin)
        return self._file.read(max(0, min(end, self.size) - begin))

    def _unfolded(self, raw: bytes) -> str:
        folded, strange = self._folded(raw)
        text = folded.replace("\n ", "").replace("\n\t", "")
        return "\n".join(map(_rescued, text.split("\n"))) if strange else text

    def _folded(self, raw: bytes) -> tuple[str, bool]:
        return (_undented(decode(raw)), True) if self.whole else _decoded(raw)

    @cached_property
    def whole(self) -> bool:
        """Whether the file can only be decoded as one: it is in UTF-16, or blanks stand before all its lines."""
        return _WHOLE.match(self._head) is not None

    def pieces(self) -> Iterator[tuple[bytes, list[int]]]:
        """Bytes that end where an event begins, without the line end before it, and at which bytes texts begin."""
        if self.whole:
            yield self.raw(0, self.size), [0, self.size]
            return
        begin = 3 if self._head[:3] == b"\xef\xbb\xbf" else 0
        rest = b""
        while (read := begin + len(rest)) < self.size:
            piece = rest + self.raw(read, read + max(_PIECE, len(rest)))  # or the time would grow with its square
            seen = max(0, len(rest) - _LONG)
            at = [0, *(match.start() + 1 for match in _EVENT.finditer(piece, seen))]
            if at[-1]:
                yield piece[: at[-1] - 1].rstrip(b"\r"), [begin + each for each in at]
                begin += at[-1]
            rest = piece[at[-1] :]
        yield rest, [begin, self.size]

    @cached_property
    def _starts(self) -> array[int]:
        raw = chain.from_iterable(self._folded(raw)[0].split("\n") for raw, _ in self.pieces())
        return array("I", (number for number, line in enumerate(raw, 1) if number == 1 or line[:1] not in (" ", "\t")))

    def number(self, index: int) -> int:
        """The raw line, from 1, on which content line `index` begins."""
        return self._starts[min(index, len(self._starts) - 1)]

    def _refuse_others(self, cap: int) -> None:
        if self.size > cap:
            raise NotACalendar(f"The file has {self.size:,} bytes, and at most {cap:,} are read: send it in parts.")
        pieces = (self.raw(begin, begin + _PIECE) for begin in range(0, self.size, _PIECE))
        if not any(_SOMETHING.search(piece) for piece in pieces):
            raise NotACalendar("The file is empty: look whether the calendar was exported at all.")
        for magic, what in _MAGIC.items():
            if self._head.startswith(magic):
                raise NotACalendar(f"The file is {what}.")
        if _MARKUP.match(self._head[:1024].removeprefix(b"\xef\xbb\xbf").lstrip()):
            raise NotACalendar(
                "The file is a web page, not a calendar: the address may need a login, or be the page about the "
                "calendar."
            )


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
