"""The addresses of feeds as commands print them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from app.cli.terminal import say, say_json

if TYPE_CHECKING:
    from app.feeds.feed import Feed
    from app.parts import Parts


def base_of(joined: Parts) -> str:
    """How the outside reaches this calbridge, as far as its configuration knows; without a slash at the end."""
    server = joined.config.server
    return server.public_url.rstrip("/") or f"http://{server.host}:{server.port}"


def links_told(joined: Parts, one: Feed) -> Sequence[tuple[str, str]]:
    """Form and full address of each of a public feed's links; of a secret one none."""
    from app.web.links import links_of

    return links_of(one, base_of(joined))


def say_links(joined: Parts, one: Feed, token: str | None, told: dict[str, Any] | None) -> None:
    """Its addresses; those of a secret feed are in no other answer. `told` is the JSON that they are told within."""
    from app.web.links import secret_links

    base = base_of(joined)
    links = secret_links(one.slug, token, base) if token else links_told(joined, one)
    if told is not None:
        say_json(told | {"links": dict(links)})
        return
    for _, link in links:
        say(link)
    say(f"How to subscribe: {base}{f'/feeds/{token}' if token else '/public'}/{one.slug}/")
    if token:
        say("The address is the credential and is shown only now; 'feed rotate' makes a new one.", err=True)
