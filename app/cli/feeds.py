"""`feed`: what calendar programs subscribe to."""

from __future__ import annotations

import click

from app.cli.common import json_option, parts
from app.cli.feed_links import say_links
from app.cli.feed_shown import feed_list, feed_preview, feed_show, feed_told, written
from app.cli.feed_tokens import feed_rotate, feed_token
from app.cli.naming import CALENDARS, FEEDS
from app.cli.terminal import say, say_json


@click.group()
def feed() -> None:
    """The feeds that calendar programs subscribe to.

    Example: calbridge feed add biology --calendar learn/course/courseId:BIO101 --title Biology
    """


@feed.command("add")
@click.argument("slug")
@click.option(
    "--calendar",
    "calendars",
    required=True,
    multiple=True,
    shell_complete=CALENDARS,
    help="Which calendar: lms/kind/id, as 'calbridge calendars' lists them. Several are joined under one address; "
    "lms/person/NAME joins that person's.",
)
@click.option("--title", help="The feed's name in calendar programs (default: the slug).")
@click.option("--public", is_flag=True, help="Anyone who knows the name may read it: no secret in its address.")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="What is shown, as in 'feed set'.")
@json_option
def feed_add(
    slug: str, calendars: tuple[str, ...], title: str | None, public: bool, settings: tuple[str, ...], as_json: bool
) -> None:
    """Publish calendars as the feed SLUG, and print its addresses; the secret ones are shown only now.

    Example: calbridge feed add biology --calendar learn/course/courseId:BIO101 --title Biology
    """
    from app.feeds.feed import Did

    joined = parts()
    refs = [joined.named(calendar) for calendar in calendars]
    for ref in refs:
        joined.source(ref.lms)
    added, token = joined.feeds.add(slug, title or slug, *refs, public=public, settings=settings)
    say_links(joined, added, token, feed_told(joined, added) if as_json else None)
    outcome = joined.feeds.refresh(added.slug)
    if outcome.did is Did.FAILED:
        say(f"It cannot be read yet: {outcome.problem}", err=True)


@feed.command("remove")
@click.argument("slug", shell_complete=FEEDS)
def feed_remove(slug: str) -> None:
    """Forget the feed and its addresses; the calendar stays as it is.

    Example: calbridge feed remove biology
    """
    parts().feeds.remove(slug)


@feed.command("set")
@click.argument("slug", shell_complete=FEEDS)
@click.argument("settings", nargs=-1, metavar="[KEY=VALUE]...")
@json_option
def feed_set(slug: str, settings: tuple[str, ...], as_json: bool) -> None:
    """Decide what the feed SLUG shows, and print all that is not as usual. KEY= brings back the usual.

    Example: calbridge feed set biology ahead=90 title='!Staff*'

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
    policies = parts().feeds.set(slug, settings).to_json()
    if as_json:
        say_json(policies)
        return
    for key, value in policies.items():
        say(f"{key}={written(value)}")


@feed.command("enable")
@click.argument("slug", shell_complete=FEEDS)
def feed_enable(slug: str) -> None:
    """Answer at the feed's links again.

    Example: calbridge feed enable biology
    """
    parts().feeds.enable(slug)


@feed.command("disable")
@click.argument("slug", shell_complete=FEEDS)
def feed_disable(slug: str) -> None:
    """Answer 404 at the feed's links until it is enabled again.

    Example: calbridge feed disable biology
    """
    parts().feeds.disable(slug)


for _command in (feed_list, feed_show, feed_preview, feed_rotate, feed_token):
    feed.add_command(_command)
