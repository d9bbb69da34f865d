"""`feed rotate` and `feed token`: the secret addresses of a feed."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from typing import TYPE_CHECKING

import click

from app.cli.common import json_option, parts
from app.cli.feed_links import say_links
from app.cli.feed_shown import looked
from app.cli.naming import FEEDS
from app.cli.tables import Column, tell
from app.cli.terminal import say

if TYPE_CHECKING:
    from collections.abc import Sequence
    from zoneinfo import ZoneInfo

    from app.feeds.feed import Token

FIRST = "first"
"""The name of the token that a feed begins with."""


@click.command("rotate")
@click.argument("slug", shell_complete=FEEDS)
@json_option
def feed_rotate(slug: str, as_json: bool) -> None:
    """Give the feed a new secret address; the old ones are dead at once.

    Example: calbridge feed rotate biology
    """
    joined = parts()
    token = joined.feeds.rotate(slug)
    say_links(joined, joined.feeds.by_slug(slug), token, {"slug": slug, "name": FIRST} if as_json else None)


@click.group("token")
def feed_token() -> None:
    """A feed's secret addresses: one for each reader or device.

    Example: calbridge feed token add biology --name phone
    """


@feed_token.command("add")
@click.argument("slug", shell_complete=FEEDS)
@click.option("--name", required=True, help="Whose it is, such as 'phone'.")
@click.option("--until", help="The last day on which it opens the feed (default: no end).")
@click.option("--under", metavar="NAME", help="The token it is made from: it shows no more, and dies with that one.")
@click.option("--calendar", "calendars", multiple=True, help="Show this calendar of the feed alone (may stand again).")
@click.option("--privacy", type=click.Choice(["full", "no-description", "busy-only"]), default="full", help="At most.")
@json_option
def feed_token_add(
    slug: str,
    name: str,
    until: str | None,
    under: str | None,
    calendars: tuple[str, ...],
    privacy: str,
    as_json: bool,
) -> None:
    """Make one more secret address for the feed SLUG, for all of it or for less; it is shown only now.

    Example: calbridge feed token add biology --name phone --until 2027-06-30
    """
    from app.feeds.narrow import Narrow
    from app.feeds.policies import Privacy

    joined = parts()
    narrow = Narrow(tuple(map(joined.named, calendars)), Privacy(privacy))
    last = _end_of(until, joined.config.zone) if until else None
    token = joined.feeds.add_token(slug, name, last, narrow, under)
    say_links(joined, joined.feeds.by_slug(slug), token, {"slug": slug, "name": name} if as_json else None)


def _end_of(until: str, zone: ZoneInfo) -> datetime:
    """The midnight after a day, or the time itself."""
    from app.imports.window import bound

    last = bound(until, zone)
    return last if isinstance(last, datetime) else datetime.combine(last + timedelta(days=1), time(), zone)


@feed_token.command("list")
@click.argument("slug", shell_complete=FEEDS)
@json_option
def feed_token_list(slug: str, as_json: bool) -> None:
    """The feed's tokens: name, until when, who looked last, when a change will be seen, what it shows.

    Example: calbridge feed token list biology
    """
    from app.feeds.clients import last_day

    joined = parts()
    columns: Sequence[Column[Token]] = [
        Column("token", lambda one: one.name),
        Column("good", lambda one: last_day(one.until, joined.config.zone)),
        Column("last look", lambda one: looked(joined, one), folds=True),
        Column("made from", lambda one: f"made from {one.parent}" if one.parent else ""),
        Column("shows", lambda one: f"shows {one.shows}" if one.shows else "", folds=True),
    ]
    tell(joined.feeds.tokens(slug), columns, lambda one: one.to_json(), as_json)


@feed_token.command("revoke")
@click.argument("slug", shell_complete=FEEDS)
@click.option("--name", required=True, help="Which one, as 'feed token list' has it.")
def feed_token_revoke(slug: str, name: str) -> None:
    """Kill the token of that name, and those made from it; the others go on.

    Example: calbridge feed token revoke biology --name phone
    """
    if not parts().feeds.revoke(slug, name):
        raise ValueError(f"'{slug}' has no token called '{name}'")


@feed_token.command("revoke-all")
@click.argument("slug", required=False, shell_complete=FEEDS)
@click.option("--everywhere", is_flag=True, help="Of every feed.")
def feed_token_revoke_all(slug: str | None, everywhere: bool) -> None:
    """Kill all tokens of the feed SLUG, or of every feed.

    Example: calbridge feed token revoke-all biology
    """
    if (slug is None) is not everywhere:
        raise ValueError("name a feed, or say --everywhere")
    feeds = parts().feeds
    say(f"{feeds.revoke(slug) if slug else feeds.revoke_everything()} revoked")
