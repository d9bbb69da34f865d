"""Plain text as LMSs can hold it: clean, on one line, cut to a length, and with what has no field of its own below it.

Lengths are counted in letters of UTF-16, as Java, .NET and JavaScript count them.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from typing import Any

from bridges.model import Event, Status

UNTITLED = "(untitled)"

_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
"""Control characters but for line ends and tabs, and lone surrogates."""
_FLAG_LETTERS = "".join(map(chr, range(0x1F1E6, 0x1F200)))


def cleaned(text: Any) -> str:
    """Text with plain line ends and without control characters or lone surrogates; "" for what is no text."""
    if not isinstance(text, str):
        return ""
    return _UNPRINTABLE.sub("", text.replace("\r\n", "\n").replace("\r", "\n")).strip()


def on_one_line(text: Any) -> str:
    """The same with single blanks and no line ends."""
    return " ".join(cleaned(text).split())


def titled(event: Event, cancelled_prefix: str) -> str:
    """The title on one line; where the LMS keeps no status it is said there that the event is cancelled, once."""
    title, prefix = on_one_line(event.title) or UNTITLED, on_one_line(cancelled_prefix)
    if event.status is Status.CANCELLED and prefix and not title.startswith(prefix):
        return f"{prefix} {title}"
    return title


def unsaid(url: str, text: str) -> str:
    """The address on one line, or "" where the text has it as a word."""
    address = on_one_line(url)
    return "" if address in text.split() else address


def folded(text: str, lines: Iterable[str], limit: int | None = None) -> str:
    """The text, an empty line, and those of the lines that say something; where that is too long, the text is cut."""
    tail = "\n".join(filter(None, lines))
    if limit is not None:
        room = limit - letters(tail) - 2 if tail else limit
        text = cut(text, max(1, room), after_word=True)
    whole = f"{text}\n\n{tail}".strip() if tail else text
    return whole if limit is None else cut(whole, limit, after_word=True)


def letters(text: str) -> int:
    """Letters of UTF-16; the text is a clean one."""
    return len(text.encode("utf-16-le")) // 2


def cut(text: str, limit: int, *, after_word: bool = False) -> str:
    """At most `limit` letters of UTF-16; a longer text ends in an ellipsis after a whole character as people see it.

    With `after_word` it ends after a word, if one ends in the last third.
    """
    if letters(text) <= limit:
        return text
    end = len(text.encode("utf-16-le")[: 2 * (limit - 1)].decode("utf-16-le", "ignore"))
    while end and _joins(text, end):
        end -= 1
    word = text.rfind(" ", 0, end + 1) if after_word else -1
    return f"{text[: word if word > end * 2 // 3 else end].rstrip()}…"


def _joins(text: str, border: int) -> bool:
    """Whether the characters on both sides of a border make one: accents, joined emoji, skin tones, flags."""
    before, after = text[border - 1], text[border]
    if unicodedata.category(after)[0] == "M" or "\u200d" in (before, after):
        return True
    if "\U0001f3fb" <= after <= "\U0001f3ff" or "\U000e0020" <= after <= "\U000e007f":
        return True
    flags = border - len(text[:border].rstrip(_FLAG_LETTERS))
    return after in _FLAG_LETTERS and flags % 2 == 1
