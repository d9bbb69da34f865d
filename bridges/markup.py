"""HTML ↔ plain text: what an LMS shows of its HTML, and plain text as HTML that shows it unchanged.

Reading takes time in proportion to the markup, however broken that is. (The standard library's parser takes minutes
for some of it, and one that builds a tree takes long for what is nested deeply.)
"""

from __future__ import annotations

import html
import re
from typing import Any

import nh3

SAFE_TAGS = {"p", "br", "b", "strong", "i", "em", "u", "ul", "ol", "li", "a"}

_MARKS = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9]*+)([^<>]*+)>|<[!?/][^<>]*+>|([^<]++|<)")
"""A tag (its slash, name and the rest), another mark, or text. No part looks beyond the next `<`."""
_BLOCK = re.compile("p|div|[uo]l|li|table|tr|h[1-6r]|blockquote|pre|section")
_UNSEEN = frozenset(("script", "style", "head", "title", "template"))
_HREF = re.compile(r"""(?i)\bhref\s*+=\s*+(?:"([^"]*+)"|'([^']*+)'|([^\s"']++))""")
_ABSURD_NUMBER = re.compile(r"&#[xX]?[0-9a-fA-F]{9,};?")
_WEB_ADDRESS = re.compile(r"https?://\S+")
_SHOWN_ADDRESS = re.compile(r"(?:https?://|mailto:)\S+")
_ADDRESS_IN_TEXT = re.compile(r"(https?://[^\s<>\"']*[^\s<>\"'.,;:!?()\[\]])")


def address_of(text: Any) -> str:
    """The text, if all of it is a web address; else ""."""
    return text if isinstance(text, str) and _WEB_ADDRESS.fullmatch(text) else ""


def html_of(text: str) -> str:
    """Plain text as HTML that shows it unchanged: breaks, blanks, and links on lines of their own."""
    lines = (re.sub(r"^ |(?<= ) ", "&nbsp;", line_of(line)) for line in text.split("\n"))
    return f"<p>{'<br>'.join(lines)}</p>" if text else ""


def line_of(text: str) -> str:
    """A line of plain text as HTML; a link if all of it is a web address."""
    shown = html.escape(text)
    return f'<a href="{shown}">{shown}</a>' if address_of(text) else shown


def paragraphs_of(text: str, *, links: bool) -> str:
    """Plain text as paragraphs and lines of safe HTML; with `links`, web addresses within the text can be clicked."""

    def line(text: str) -> str:
        pieces = [html.escape(piece, quote=False) for piece in _ADDRESS_IN_TEXT.split(text)]
        if links:
            pieces[1::2] = [f'<a href="{address}">{address}</a>' for address in pieces[1::2]]
        return "".join(pieces)

    paragraphs = (map(line, each.split("\n")) for each in text.split("\n\n") if each)
    return safe("".join(f"<p>{'<br>'.join(lines)}</p>" for lines in paragraphs))


def safe(markup: str) -> str:
    """The markup less all that is not in the safe subset: SAFE_TAGS, and links to web and mail addresses."""
    return nh3.clean(
        markup,
        tags=SAFE_TAGS,
        attributes={"a": {"href"}},
        url_schemes={"http", "https", "mailto"},
        link_rel=None,
    )


def text_of(markup: Any) -> str:
    """What a browser would show, as plain text; "" for what is no text.

    A link that shows other words is told in brackets behind them.
    """
    reader = _Reader()
    for closing, tag, rest, text in _MARKS.findall(_uncommented(markup) if isinstance(markup, str) else ""):
        if tag:
            reader.pass_tag(tag.lower(), rest, closes=bool(closing))
        else:
            reader.show(text)
    return reader.text.replace("\N{NO-BREAK SPACE}", " ")


def _uncommented(markup: str) -> str:
    head, *parts = markup.split("<!--")
    return head + "".join(part.partition("-->")[2] for part in parts)


def _unescaped(text: str) -> str:
    return html.unescape(_ABSURD_NUMBER.sub("\N{REPLACEMENT CHARACTER}", text))


class _Reader:
    """Collects what a browser would show, tag by tag. As there, a link ends where the next one begins."""

    def __init__(self) -> None:
        self._shown: list[str] = []
        self._breaks = 0
        self._hidden = 0
        self._link: tuple[str, int] | None = None

    @property
    def text(self) -> str:
        return "".join(self._shown)

    def pass_tag(self, tag: str, rest: str, *, closes: bool) -> None:
        if _BLOCK.fullmatch(tag):
            self._breaks = max(self._breaks, 2 if tag in ("p", "ul", "ol") else 1)
        if tag in _UNSEEN:
            self._hidden = max(0, self._hidden + (-1 if closes else 1))
        elif tag == "br":
            self._append("\n")
        elif tag == "li" and not closes:
            self._append("- ")
        elif tag == "a":
            self._end_link()
            self._link = None if closes else (_linked(rest), len(self._shown))

    def _end_link(self) -> None:
        address, start = self._link or ("", 0)
        if address and address.removeprefix("mailto:") not in "".join(self._shown[start:]):
            self._append(f" ({address})")

    def show(self, text: str) -> None:
        """Text between tags; blanks and breaks in it count as one blank."""
        text = re.sub(r"[ \t\r\n\f]+", " ", _unescaped(text))
        if self._breaks or not self._shown or self._shown[-1][-1] in "\n ":
            text = text.removeprefix(" ")
        if text:
            self._append(text)

    def _append(self, text: str) -> None:
        if self._hidden:
            return
        if self._shown and self._breaks:
            self._shown.append("\n" * self._breaks)
        self._breaks = 0
        self._shown.append(text)


def _linked(attributes: str) -> str:
    """The web or mail address that a link leads to, or ""."""
    href = _HREF.search(attributes)
    address = _unescaped(href[1] or href[2] or href[3] or "") if href else ""
    return address if _SHOWN_ADDRESS.fullmatch(address) else ""
