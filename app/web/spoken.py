"""Sentences that the core composed in English, told in the language of the page.

The core knows no languages: its plans, refusals and errors carry finished English sentences, which programs, logs and
commands get as they are. Here such a sentence is recognised by the pattern that made it (`app.web.sentences`) and told
anew. One that no pattern fits stays as it is, and is marked as English, for those who have pages read aloud to them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache

from flask import Flask
from markupsafe import Markup, escape

from app.web.language import SOURCE, catalogue, language
from app.web.pages.shown import number
from app.web.sentences import SENTENCES
from app.web.sentences.sentence import Sentence

_PLACE = re.compile(r"%\((\w+)\)s")
REASONS = {"why", "then", "events", "client", "ago", "state", "user"}
"""Places of a pattern in which another sentence stands; `list` is one of several, with commas."""
_BEFORE = re.compile(r"(?P<name>[^\s:]+): (?P<rest>.+)", re.DOTALL)
"""A sentence that says first of what it speaks: a setting, a calendar."""
_GROUPED = re.compile(r"\d{1,3}(?:,\d{3})+", re.ASCII)
"""A number as the core writes it."""
_NEXT = re.compile(r"(?<=[.!?]) (?=[A-Z0-9'])")
_SHORT = r"(?:(?![.!?] [A-Z0-9']).)+?"
"""What stands in a place as long as no other sentence begins."""
MOST_PIECES = 8
"""Sentences after the first ones are taken for one."""
LONGEST = 1200
"""Letters of a sentence that is looked at."""
DEEPEST = 4
"""Sentences within sentences; the core puts three into one another."""


def install(app: Flask) -> None:
    """Templates write `{{ sentence|spoken }}`, and `{{ sentence|plain }}` where no markup can be."""
    app.add_template_filter(spoken)
    app.add_template_filter(plain)
    app.add_template_filter(listed)


def spoken(sentence: object) -> Markup:
    """The sentence in the page's language, else as it is and marked as English. Whatever it holds is text."""
    text = str(sentence)
    if language() == SOURCE:
        return escape(text)
    marked = Markup('<span lang="en">{}</span>')
    return Markup(" ").join(marked.format(was) if told is None else escape(told) for was, told in _pieces(text))


def listed(sentences: object) -> Markup:
    """The same for several in one, with commas between them."""
    return Markup(", ").join(spoken(each) for each in str(sentences).split(", "))


def plain(sentence: object) -> str:
    """The same for a title or an attribute."""
    text = str(sentence)
    return text if language() == SOURCE else " ".join(told or was for was, told in _pieces(text))


def translated(text: str, *, long: bool = False, depth: int = 0) -> str | None:
    """The sentence in the page's language; None where no pattern fits, or where it has no translation.

    What stands in its places is no further sentence, unless it is `long`. `depth` counts the sentences around it.
    """
    if len(text) > LONGEST or depth > DEEPEST:
        return None
    for sentence, short, any_length in _patterns():
        if found := (any_length if long else short).fullmatch(text):
            return _told(sentence, found.groupdict(), depth + 1)
    before = _BEFORE.fullmatch(text)
    told = translated(before["rest"], long=long, depth=depth + 1) if before else None
    return f"{before['name']}: {told}" if before and told else None


def _pieces(text: str) -> Sequence[tuple[str, str | None]]:
    """The text sentence by sentence, each with its translation; as one where that is how it is known."""
    told = list(_one_by_one(text))
    if any(translation is not None for _, translation in told):
        return told
    whole = translated(text, long=True)
    return told if whole is None else [(text, whole)]


def _one_by_one(text: str) -> Iterator[tuple[str, str | None]]:
    """As many sentences at once as one pattern takes."""
    rest = _NEXT.split(text)
    rest[MOST_PIECES:] = [" ".join(rest[MOST_PIECES:])] if len(rest) > MOST_PIECES else []
    while rest:
        tries = ((taken, translated(" ".join(rest[:taken]))) for taken in range(len(rest), 0, -1))
        taken, told = next((pair for pair in tries if pair[1] is not None), (1, None))
        yield " ".join(rest[:taken]), told
        rest = rest[taken:]


def _told(sentence: Sentence, values: Mapping[str, str | None], depth: int) -> str | None:
    known = catalogue(language())
    filled = {name: _filled(name, value, depth) for name, value in values.items() if value is not None}
    if sentence.many:
        count = int(re.sub(r"\D", "", filled.get("num", "1")))
        told = known.ngettext(sentence.one, sentence.many, count)
        filled.setdefault("num", "1")
    else:
        told = known.gettext(sentence.one)
    return None if told in (sentence.one, sentence.many) else told % filled


def _filled(name: str, value: str, depth: int) -> str:
    if name == "list":
        return ", ".join(translated(each, depth=depth) or each for each in value.split(", "))
    if _GROUPED.fullmatch(value):
        return number(int(value.replace(",", "")))
    return _reason(value, depth) if name in REASONS else value


def _reason(text: str, depth: int) -> str:
    """A sentence within another one, whose full stop was left away there."""
    if told := translated(text, long=True, depth=depth):
        return told
    told = translated(f"{text}.", long=True, depth=depth)
    return told.removesuffix(".") if told else text


@cache
def _patterns() -> Sequence[tuple[Sentence, re.Pattern[str], re.Pattern[str]]]:
    """What to look for, the most particular first: the one with the most letters of its own."""
    forms = [(sentence, form) for sentence in SENTENCES for form in (sentence.one, sentence.many) if form]
    forms.sort(key=lambda pair: -len(_PLACE.sub("", pair[1])))
    return [(sentence, pattern_of(form, _SHORT), pattern_of(form, ".+?")) for sentence, form in forms]


def pattern_of(form: str, place: str) -> re.Pattern[str]:
    """What a sentence of that form looks like once its places are filled, each with what fits `place`.

    Between quotation marks stands anything: somebody's title is no sentence, whatever it looks like.
    """
    written, pieces = "", _PLACE.split(form)
    for at, piece in enumerate(pieces):
        if at % 2 == 0:
            written += re.escape(piece.replace("%%", "%"))
        elif piece == "num":
            written += f"(?P<{piece}>[0-9,]+)"
        else:
            quoted = pieces[at - 1].endswith("'") and pieces[at + 1].startswith("'")
            written += f"(?P<{piece}>{'.*?' if quoted else place})"
    return re.compile(written, re.DOTALL)
