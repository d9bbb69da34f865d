"""What the start page shows: a card for each feed, and the calendars that an import may go into."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from app.feeds.feed import Feed
from app.feeds.readers import Reader
from app.feeds.serve import HEAVY
from app.parts import Parts
from app.store.slices import Part, Slice
from app.web.links import links_of
from app.web.uploads import BadUpload
from bridges.errors import BridgeError
from bridges.model import Calendar

ON_A_PAGE = 25
"""Feeds; a campus has thousands."""
MOST_TARGETS = 1000
"""Calendars that a list on a page can hold; a larger campus writes the calendar's name."""


@dataclass(frozen=True, slots=True)
class Card:
    """One feed on the page. `read_at` and `next_check` are in the home zone, None if nobody ever tried to read it.

    `readers` are the kinds of programs that read it, who looked last first. `problem` is why the last try failed or is
    not wholly believed, `heavy` that it comes near to Google's limit.
    `size` is that of its ICS form, in bytes, 0 while nobody has asked for it; `events` None then.
    """

    feed: Feed
    links: Sequence[tuple[str, str]]
    read_at: datetime | None
    problem: str
    readers: Sequence[Reader] = ()
    next_check: datetime | None = None
    failed: bool = False
    heavy: str = ""
    size: int = 0
    events: int | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """Some of the feeds, which page of how many that is, and `of` how many feeds in all that fit the search."""

    cards: Sequence[Card]
    number: int
    count: int
    of: int


def cards(parts: Parts, base: str, *, with_secret: bool, number: int = 1, search: str = "") -> Page:
    """The feeds that may be shown, by name: public ones to everybody, all of them `with_secret`; so many on a page."""
    found = _part(parts, max(number, 1), with_secret, search)
    count = max(1, -(-found.of // ON_A_PAGE))
    if number > count:
        number, found = count, _part(parts, count, with_secret, search)
    readers = parts.feeds.readers(found.items) if with_secret else {}
    shown = [_card(parts, feed, base, readers.get(feed.id, ())) for feed in found.items]
    return Page(shown, max(number, 1), count, found.of)


def _part(parts: Parts, number: int, with_secret: bool, search: str) -> Part[Feed]:
    asked = Slice(ON_A_PAGE, (number - 1) * ON_A_PAGE, search)
    return parts.feeds.some(asked, public_alone=not with_secret)


def card(parts: Parts, feed: Feed, base: str) -> Card:
    """That of one feed, with its readers."""
    return _card(parts, feed, base, parts.feeds.readers([feed]).get(feed.id, ()))


def _card(parts: Parts, feed: Feed, base: str, readers: Sequence[Reader]) -> Card:
    zone, size, state = parts.config.zone, parts.feeds.size(feed), parts.feeds.state(feed)
    return Card(
        feed,
        links_of(feed, base),
        state.read_at.astimezone(zone) if state and state.read_at else None,
        parts.feeds.absence(feed) or (state.problem if state else ""),
        readers,
        state.next_check.astimezone(zone) if state else None,
        bool(state and state.failures),
        _heavy(size),
        size,
        parts.feeds.count(feed),
    )


def warnings(parts: Parts) -> Sequence[str]:
    """What the administrator should know of the whole: quotas that the configuration cannot fit."""
    return [str(one) for one in parts.feeds.forecast() if not one.fits]


def _heavy(size: int) -> str:
    if size < HEAVY:
        return ""
    return f"This feed has {size / 1e6:.1f} MB, and Google loses events of feeds above 1 MB: show fewer days."


def targets(parts: Parts) -> Sequence[Calendar]:
    """The calendars that an import may go into, of those connections that answer; the first of many."""
    return _targets(parts)[:MOST_TARGETS]


def readable(parts: Parts) -> tuple[Sequence[Calendar], Sequence[str]]:
    """The calendars that a feed may show, the first of many; and the connections that do not tell theirs just now."""
    found, silent = _readable(parts)
    return found[:MOST_TARGETS], silent


def _readable(parts: Parts) -> tuple[Sequence[Calendar], Sequence[str]]:
    found: list[Calendar] = []
    silent: list[str] = []
    for name in sorted(parts.config.connections):
        try:
            found += parts.calendars(name)
        except BridgeError:
            silent.append(name)
    return found, silent


def calendar_called(parts: Parts, text: str, *, to_read: bool = False) -> str:
    """The calendar that a person means by its name as an LMS shows it; else the text as it is, to be read as a ref."""
    name = text.strip()
    if not name or "/" in name:
        return name
    known = _readable(parts)[0] if to_read else _targets(parts)
    found = [one for one in known if name.casefold() in one.name.casefold()]
    exact = [one for one in found if name.casefold() == one.name.casefold()] or found
    if len(exact) > 1:
        some = ", ".join(f"{one.name} ({one.ref})" for one in exact[:5])
        raise BadUpload(f"Several calendars are called so: {some}. Write which one.")
    return str(exact[0].ref) if exact else name


def _targets(parts: Parts) -> Sequence[Calendar]:
    return [calendar for name in sorted(parts.config.connections) for calendar in _writable(parts, name)]


def _writable(parts: Parts, lms: str) -> Sequence[Calendar]:
    try:
        return [calendar for calendar in parts.calendars(lms) if calendar.writable]
    except BridgeError:
        return []  # the page is there all the same; a calendar can be named by hand
