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
from bridges.errors import BridgeError
from bridges.model import Calendar

MOST_TARGETS = 200
"""Calendars that a list on a page can hold; a larger campus writes the calendar's name."""


@dataclass(frozen=True, slots=True)
class Card:
    """One feed on the page. `read_at` is in the home zone, None if its calendar was never read.

    `looked` says of each of a secret feed's addresses who looked last; empty for a public one.
    """

    feed: Feed
    links: Sequence[tuple[str, str]]
    read_at: datetime | None
    problem: str
    looked: Sequence[str] = ()


def cards(parts: Parts, base: str, *, with_secret: bool) -> Sequence[Card]:
    """The feeds that may be shown: public ones to everybody, all of them `with_secret`."""
    return [
        _card(parts, feed, parts.feeds.state(feed), base) for feed in parts.feeds.list() if feed.public or with_secret
    ]


def _card(parts: Parts, feed: Feed, state: State | None, base: str) -> Card:
    read_at = state.read_at.astimezone(parts.config.zone) if state and state.read_at else None
    problem = parts.feeds.absence(feed) or (state.problem if state else "")
    looked = () if feed.public else _looked(parts, feed)
    return Card(feed, links_of(feed, base), read_at, problem or _heavy(parts.feeds.size(feed)), looked)


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
    """The calendars that an import may go into, of those connections that answer; none where there are too many."""
    found = [calendar for name in sorted(parts.config.connections) for calendar in _writable(parts, name)]
    return found if len(found) <= MOST_TARGETS else []


def _writable(parts: Parts, lms: str) -> Sequence[Calendar]:
    try:
        return [calendar for calendar in parts.calendars(lms) if calendar.writable]
    except BridgeError:
        return []  # the page is there all the same; a calendar can be named by hand
