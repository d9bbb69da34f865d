"""The addresses of feeds, as people paste them."""

from __future__ import annotations

from collections.abc import Sequence

from app.feeds.feed import AT_EVERY_ADDRESS, Feed


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
