"""The addresses of feeds, as people paste them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from app.feeds.feed import AT_EVERY_ADDRESS, Feed
from app.feeds.serve import Feeds


def links_of(feed: Feed, base: str) -> Sequence[tuple[str, str]]:
    """Form and full address of each of a public feed's links. A secret feed's were shown once."""
    if not feed.public:
        return []
    links = [(form.value, f"{base}/public/{feed.slug}.{form.value}") for form in AT_EVERY_ADDRESS]
    if feed.policies.learningspace:
        links += [
            (f"learningspace-{ending}", f"{base}/w/api/v2/public_calendar.{ending}") for ending in ("ics", "json")
        ]
    return links


def secret_links(slug: str, token: str, base: str) -> Sequence[tuple[str, str]]:
    """The same for a secret feed, at the one moment when its token is known."""
    return [(form.value, f"{base}/feeds/{token}/{slug}.{form.value}") for form in AT_EVERY_ADDRESS]


def feed_to_json(feeds: Feeds, feed: Feed, base: str) -> dict[str, Any]:
    """A feed with its links and how it stands, as programs are told of it; times as ISO 8601 in UTC."""
    state = feeds.state(feed)
    return feed.to_json() | {
        "links": dict(links_of(feed, base)),
        "bytes": feeds.size(feed),
        "read_at": state.read_at.isoformat() if state and state.read_at else None,
        "next_check": state.next_check.isoformat() if state else None,
        "readers": [reader.to_json() for reader in feeds.readers([feed]).get(feed.id, ())],
        "problem": feeds.absence(feed) or (state.problem if state else ""),
    }
