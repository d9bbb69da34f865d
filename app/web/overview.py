"""What the start page shows: a card for each feed, and the calendars that an import may go into."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from app.feeds.clients import said
from app.feeds.feed import Feed, State
from app.feeds.serve import HEAVY
from app.parts import Parts
from app.web.links import links_of
from app.web.uploads import BadUpload
from bridges.errors import BridgeError
from bridges.model import Calendar

ON_A_PAGE = 50
"""Feeds; a campus has thousands."""
MOST_TARGETS = 1000
"""Calendars that a list on a page can hold; a larger campus writes the calendar's name."""


@dataclass(frozen=True, slots=True)
class Card:
    """One feed on the page. `read_at` and `next_check` are in the home zone, None if nobody ever tried to read it.

    `looked` says of each of a secret feed's addresses who looked last; empty for a public one, whose readers are not
    noted. `problem` is why the last try failed or is not wholly believed, `heavy` that it comes near to Google's limit.
    `size` is that of its ICS form, in bytes, 0 while nobody has asked for it; `events` None then.
    """

    feed: Feed
    links: Sequence[tuple[str, str]]
    read_at: datetime | None
    problem: str
    looked: Sequence[str] = ()
    next_check: datetime | None = None
    failed: bool = False
    heavy: str = ""
    size: int = 0
    events: int | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """Some of the feeds, and which page of how many that is."""

    cards: Sequence[Card]
    number: int
    count: int


def cards(parts: Parts, base: str, *, with_secret: bool, number: int = 1) -> Page:
    """The feeds that may be shown: public ones to everybody, all of them `with_secret`; so many on a page."""
    feeds = [feed for feed in parts.feeds.list() if feed.public or with_secret]
    count = max(1, -(-len(feeds) // ON_A_PAGE))
    number = min(max(number, 1), count)
    chosen = feeds[(number - 1) * ON_A_PAGE : number * ON_A_PAGE]
    return Page([_card(parts, feed, parts.feeds.state(feed), base) for feed in chosen], number, count)


def _card(parts: Parts, feed: Feed, state: State | None, base: str) -> Card:
    zone, size = parts.config.zone, parts.feeds.size(feed)
    return Card(
        feed,
        links_of(feed, base),
        state.read_at.astimezone(zone) if state and state.read_at else None,
        parts.feeds.absence(feed) or (state.problem if state else ""),
        () if feed.public else _looked(parts, feed),
        state.next_check.astimezone(zone) if state else None,
        bool(state and state.failures),
        _heavy(size),
        size,
        parts.feeds.count(feed),
    )


def _looked(parts: Parts, feed: Feed) -> Sequence[str]:
    now, zone = parts.now(), parts.config.zone
    return [f"{one.name}: {said(one.client, one.used_at, now, zone)}" for one in parts.feeds.tokens(feed.slug)]


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


def calendar_called(parts: Parts, text: str) -> str:
    """The calendar that a person means by its name as an LMS shows it; else the text as it is, to be read as a ref."""
    name = text.strip()
    if not name or "/" in name:
        return name
    found = [one for one in _targets(parts) if name.casefold() in one.name.casefold()]
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
