"""The addresses of feeds, as people paste them."""

from __future__ import annotations

from collections.abc import Sequence

from app.feeds.feed import Feed, Form


def links_of(feed: Feed, base: str) -> Sequence[tuple[str, str]]:
    """Form and full address of each of a public feed's links. A secret feed's were shown once."""
    return [(form.value, f"{base}/public/{feed.slug}.{form.value}") for form in Form] if feed.public else []


def secret_links(slug: str, token: str, base: str) -> Sequence[tuple[str, str]]:
    """The same for a secret feed, at the one moment when its token is known."""
    return [(form.value, f"{base}/feeds/{token}/{slug}.{form.value}") for form in Form]
