"""`feed` and `refresh`: what calendar programs subscribe to."""

from __future__ import annotations

import json
import sys
from datetime import datetime, time, timedelta
from typing import TYPE_CHECKING

import click

from app.cli.common import bound, parts, told

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from app.parts import Parts


@click.group()
def feed() -> None:
    """The feeds that calendar programs subscribe to."""


@feed.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def feed_list(as_json: bool) -> None:
    """Every feed, its calendar and its state."""
    from app.feeds.serve import HEAVY

    with told():
        feeds = parts().feeds
        for one in feeds.list():
            size = feeds.size(one)
            calendars = [str(calendar) for calendar in one.calendars]
            if as_json:
                facts = {"slug": one.slug, "title": one.title, "calendar": calendars[0], "calendars": calendars}
                more = {"public": one.public, "enabled": one.enabled, "policies": one.policies.to_json(), "bytes": size}
                click.echo(json.dumps({**facts, **more}, ensure_ascii=False))
            else:
                state = f"{'public' if one.public else 'secret'}, {'on' if one.enabled else 'off'}"
                click.echo(f"{one.slug}\t{' '.join(calendars)}\t{state}\t{one.title}")
            if absence := feeds.absence(one):
                click.echo(f"calbridge: '{one.slug}': {absence}", err=True)
            if size >= HEAVY:
                click.echo(
                    f"calbridge: '{one.slug}' has {size / 1e6:.1f} MB, and Google loses events of feeds above 1 MB: "
                    f"show fewer days, as in 'feed set {one.slug} ahead=90'",
                    err=True,
                )


@feed.command("add")
@click.argument("slug")
@click.option(
    "--calendar",
    "calendars",
    required=True,
    multiple=True,
    help="Which calendar: lms/kind/id, as 'calbridge calendars' lists them. Several are joined under one address; "
    "lms/person/NAME joins that person's.",
)
@click.option("--title", help="The feed's name in calendar programs (default: the slug).")
@click.option("--public", is_flag=True, help="Anyone who knows the name may read it: no secret in its address.")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="What is shown, as in 'feed set'.")
def feed_add(slug: str, calendars: tuple[str, ...], title: str | None, public: bool, settings: tuple[str, ...]) -> None:
    """Publish calendars as the feed SLUG."""
    from app.feeds.feed import Did

    with told():
        joined = parts()
        refs = [joined.named(calendar) for calendar in calendars]
        for ref in refs:
            joined.source(ref.lms)
        added, token = joined.feeds.add(slug, title or slug, *refs, public=public, settings=settings)
        _say_links(joined, added.slug, token)
        outcome = joined.feeds.refresh(added.slug)
        if outcome.did is Did.FAILED:
            click.echo(f"It cannot be read yet: {outcome.problem}", err=True)


@feed.command("remove")
@click.argument("slug")
def feed_remove(slug: str) -> None:
    """Forget the feed and its addresses; the calendar stays as it is."""
    with told():
        parts().feeds.remove(slug)


@feed.command("set")
@click.argument("slug")
@click.argument("settings", nargs=-1, metavar="[KEY=VALUE]...")
def feed_set(slug: str, settings: tuple[str, ...]) -> None:
    """Decide what the feed SLUG shows, and print all that is not as usual. KEY= brings back the usual.

    \b
    back, ahead     days before and after today, fewer than are read
    kind, category, title
                    patterns to show, separated by |, as in title='OSCE*|*exam*'; !pattern leaves out
    rename          old title=>new title, several separated by |
    privacy         full, no-description, busy-only
    cancelled       omit, mark, show, both
    alarm           minutes before the start, or none
    colour          a colour's name, such as teal
    learningspace   on: answer at /w/api/v2/public_calendar.ics and .json, too, in LearningSpace's shape
    cors            on: scripts of any web page may read it
    gzip            off: never compressed, for programs that ask for gzip and cannot read it
    tag             calendar=>category, as in tag='learn/course/_12*=>Biology|learn/institution=>Campus'
    utc             on: all times in UTC, for programs that misread time zones
    """
    with told():
        for key, value in parts().feeds.set(slug, settings).to_json().items():
            click.echo(f"{key}={_written(value)}")


def _written(value: object) -> object:
    """A policy's value as it is set."""
    if isinstance(value, bool):
        return "on" if value else "off"
    return "|".join(value) if isinstance(value, list) else value


@feed.command("rotate")
@click.argument("slug")
def feed_rotate(slug: str) -> None:
    """Give the feed a new secret address; the old ones are dead at once."""
    with told():
        joined = parts()
        _say_links(joined, slug, joined.feeds.rotate(slug))


@feed.group("token")
def feed_token() -> None:
    """A feed's secret addresses: one for each reader or device."""


@feed_token.command("add")
@click.argument("slug")
@click.option("--name", required=True, help="Whose it is, such as 'phone'.")
@click.option("--until", help="The last day on which it opens the feed (default: no end).")
@click.option("--under", metavar="NAME", help="The token it is made from: it shows no more, and dies with that one.")
@click.option("--calendar", "calendars", multiple=True, help="Show this calendar of the feed alone (may stand again).")
@click.option("--privacy", type=click.Choice(["full", "no-description", "busy-only"]), default="full", help="At most.")
def feed_token_add(
    slug: str, name: str, until: str | None, under: str | None, calendars: tuple[str, ...], privacy: str
) -> None:
    """Make one more secret address for the feed SLUG, for all of it or for less; it is shown only now."""
    from app.feeds.narrow import Narrow
    from app.feeds.policies import Privacy

    with told():
        joined = parts()
        narrow = Narrow(tuple(map(joined.named, calendars)), Privacy(privacy))
        last = _end_of(until, joined.config.zone) if until else None
        _say_links(joined, slug, joined.feeds.add_token(slug, name, last, narrow, under))


def _end_of(until: str, zone: ZoneInfo) -> datetime:
    """The midnight after a day, or the time itself."""
    last = bound(until, zone)
    return last if isinstance(last, datetime) else datetime.combine(last + timedelta(days=1), time(), zone)


@feed_token.command("list")
@click.argument("slug")
def feed_token_list(slug: str) -> None:
    """The feed's tokens: name, until when, who looked last, when a change will be seen, what it shows."""
    from app.feeds.clients import last_day, said

    with told():
        joined = parts()
        zone = joined.config.zone
        for one in joined.feeds.tokens(slug):
            looked = said(one.client, one.used_at, joined.now(), zone)
            made = [f"made from {one.parent}"] if one.parent else []
            shows = [f"shows {one.shows}"] if one.shows else []
            click.echo("\t".join([one.name, last_day(one.until, zone), looked, *made, *shows]))


@feed_token.command("revoke")
@click.argument("slug")
@click.option("--name", required=True, help="Which one, as 'feed token list' has it.")
def feed_token_revoke(slug: str, name: str) -> None:
    """Kill the token of that name, and those made from it; the others go on."""
    with told():
        if not parts().feeds.revoke(slug, name):
            raise ValueError(f"'{slug}' has no token called '{name}'")


@feed_token.command("revoke-all")
@click.argument("slug", required=False)
@click.option("--everywhere", is_flag=True, help="Of every feed.")
def feed_token_revoke_all(slug: str | None, everywhere: bool) -> None:
    """Kill all tokens of the feed SLUG, or of every feed."""
    with told():
        if (slug is None) is not everywhere:
            raise ValueError("name a feed, or say --everywhere")
        feeds = parts().feeds
        click.echo(f"{feeds.revoke(slug) if slug else feeds.revoke_everything()} revoked")


@feed.command("enable")
@click.argument("slug")
def feed_enable(slug: str) -> None:
    """Answer at the feed's links again."""
    with told():
        parts().feeds.enable(slug)


@feed.command("disable")
@click.argument("slug")
def feed_disable(slug: str) -> None:
    """Answer 404 at the feed's links until it is enabled again."""
    with told():
        parts().feeds.disable(slug)


def _say_links(joined: Parts, slug: str, token: str | None) -> None:
    from app.web.links import links_of, secret_links

    server = joined.config.server
    base = server.public_url.rstrip("/") or f"http://{server.host}:{server.port}"
    for _, link in secret_links(slug, token, base) if token else links_of(joined.feeds.by_slug(slug), base):
        click.echo(link)
    click.echo(f"How to subscribe: {base}{f'/feeds/{token}' if token else '/public'}/{slug}/")
    if token:
        click.echo("The address is the credential and is shown only now; 'feed rotate' makes a new one.", err=True)


@click.command()
@click.argument("slugs", nargs=-1)
@click.option("--forecast", is_flag=True, help="Read nothing; tell what the readings of a day cost at each LMS.")
def refresh(slugs: tuple[str, ...], forecast: bool) -> None:
    """Read the calendars of these feeds (default: of all) from their LMS now."""
    from app.feeds.feed import Did

    with told():
        joined = parts()
        if forecast:
            told_of = joined.feeds.forecast()
            click.echo("\n".join(map(str, told_of)) or "No feed shows a calendar yet.")
            sys.exit(0 if all(one.fits for one in told_of) else 1)
        failed = False
        for slug in slugs or [one.slug for one in joined.feeds.list() if one.enabled]:
            outcome = joined.feeds.refresh(slug)
            failed |= outcome.did is Did.FAILED
            click.echo(f"{slug}\t{outcome.did}\t{outcome.problem}".rstrip())
        sys.exit(1 if failed else 0)
