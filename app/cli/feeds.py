"""`feed` and `refresh`: what calendar programs subscribe to."""

from __future__ import annotations

import json
import sys
from datetime import datetime, time, timedelta
from typing import TYPE_CHECKING, Any

import click

from app.cli.common import json_option, parts, quiet_option, slice_options
from app.cli.exits import Exit
from app.cli.naming import CALENDARS, FEEDS
from app.cli.progress import bar
from app.cli.tables import Column, tell, tell_facts, tell_part
from app.cli.terminal import complain, moment, say, say_json

if TYPE_CHECKING:
    from collections.abc import Sequence
    from zoneinfo import ZoneInfo

    from app.feeds.feed import Feed, Outcome
    from app.parts import Parts
    from app.store.slices import Slice

FIRST = "first"
"""The name of the token that a feed begins with."""


@click.group()
def feed() -> None:
    """The feeds that calendar programs subscribe to.

    Example: calbridge feed add biology --calendar learn/course/courseId:BIO101 --title Biology
    """


@feed.command("list")
@slice_options
@json_option
def feed_list(wanted: Slice, as_json: bool) -> None:
    """The feeds by name, each with its calendars and its state.

    Example: calbridge feed list --search BIO --limit 20
    """
    joined = parts()
    found = joined.feeds.some(wanted)
    columns: Sequence[Column[Feed]] = [
        Column("feed", lambda one: one.slug),
        Column("calendars", lambda one: " ".join(map(str, one.calendars)), folds=True),
        Column("state", _standing),
        Column("title", lambda one: one.title, folds=True),
    ]
    tell_part(found, columns, lambda one: _told(joined, one), as_json)
    for one in found.items:
        _warn(joined, one)


def _standing(one: Feed) -> str:
    return f"{'public' if one.public else 'secret'}, {'on' if one.enabled else 'off'}"


def _warn(joined: Parts, one: Feed) -> None:
    """Say on standard error what is wrong with the feed."""
    from app.feeds.serve import HEAVY

    if absence := joined.feeds.absence(one):
        complain(f"'{one.slug}': {absence}")
    if (size := joined.feeds.size(one)) >= HEAVY:
        complain(
            f"'{one.slug}' has {size / 1e6:.1f} MB, and Google loses events of feeds above 1 MB: "
            f"show fewer days, as in 'feed set {one.slug} ahead=90'"
        )


@feed.command("show")
@click.argument("slug", shell_complete=FEEDS)
@json_option
def feed_show(slug: str, as_json: bool) -> None:
    """All of one feed: what it shows, how its calendars stand, who reads it. Its secrets are shown to nobody.

    Example: calbridge feed show biology
    """
    joined = parts()
    one, zone = joined.feeds.by_slug(slug), joined.config.zone
    state = joined.feeds.state(one)
    facts: dict[str, object] = {"feed": slug, "title": one.title, "calendars": list(map(str, one.calendars))}
    facts |= {"state": _standing(one)}
    facts |= {key: _written(value) for key, value in one.policies.to_json().items()}
    facts |= {"last reading": moment(state.read_at if state else None, zone)}
    facts |= {"next look": moment(state.next_check if state else None, zone)}
    facts |= {"problem": state.problem if state else "nobody has tried to read it yet"}
    facts |= {"events": joined.feeds.count(one), "bytes": joined.feeds.size(one)}
    facts |= {f"link ({form})": link for form, link in _links(joined, one)}
    facts |= {f"read by {each.name}": _looked(joined, each) for each in joined.feeds.tokens(slug)}
    tell_facts({name: value for name, value in facts.items() if value not in (None, "")}, as_json, _told(joined, one))
    _warn(joined, one)


def _told(joined: Parts, one: Feed) -> dict[str, Any]:
    from app.web.links import feed_to_json

    return feed_to_json(joined.feeds, one, _base(joined))


@feed.command("preview")
@click.argument("slug", shell_complete=FEEDS)
@click.option("--from", "since", help="The first day, or a time (default: now).")
@click.option("--to", "until", help="The day after the last one, or a time.")
@click.option("--as", "form", type=click.Choice(["table", "ics", "json"]), default="table", help="What it comes as.")
@slice_options
@json_option
def feed_preview(wanted: Slice, slug: str, since: str | None, until: str | None, form: str, as_json: bool) -> None:
    """What the feed SLUG shows: its events from now on, or the bytes that calendar programs get.

    \b
    Example: calbridge feed preview biology --to 2026-10-01
             calbridge feed preview biology --as ics | calbridge doctor /dev/stdin
    """
    from app.feeds.feed import Form

    joined = parts()
    if form != "table":
        click.echo(joined.feeds.preview(slug, Form(form)).body, nl=False)
        return
    from app.store.slices import part_of_all

    shown = json.loads(joined.feeds.preview(slug, Form.JSON).body)
    events = [one for one in shown["events"] if _is_within(one, since, until, joined)]
    found = part_of_all(events, wanted, lambda one: f"{one['title']} {one['place']}")
    columns: Sequence[Column[dict[str, Any]]] = [
        Column("start", lambda one: _when(one, "start", joined.config.zone)),
        Column("end", lambda one: _when(one, "end", joined.config.zone)),
        Column("title", lambda one: one["title"], folds=True),
        Column("place", lambda one: one["place"], folds=True),
    ]
    tell_part(found, columns, lambda one: one, as_json)


def _is_within(event: dict[str, Any], since: str | None, until: str | None, joined: Parts) -> bool:
    zone = joined.config.zone
    start, end = _instant(event["start"], zone), _instant(event["end"], zone)
    first = _instant(since, zone) if since else joined.now()
    return (end > first or start >= first) and (not until or start < _instant(until, zone))


def _instant(text: str, zone: ZoneInfo) -> datetime:
    """The time, or the midnight with which the day begins."""
    from app.imports.window import bound

    found = bound(text, zone)
    return found if isinstance(found, datetime) else datetime.combine(found, time(), zone)


def _when(event: dict[str, Any], which: str, zone: ZoneInfo) -> str:
    text: str = event[which]
    return text if event["all_day"] else moment(text, zone)


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
    _say_links(joined, added, token, _told(joined, added) if as_json else None)
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
        say(f"{key}={_written(value)}")


def _written(value: object) -> object:
    """A policy's value as it is set."""
    if isinstance(value, bool):
        return "on" if value else "off"
    return "|".join(value) if isinstance(value, list) else value


@feed.command("rotate")
@click.argument("slug", shell_complete=FEEDS)
@json_option
def feed_rotate(slug: str, as_json: bool) -> None:
    """Give the feed a new secret address; the old ones are dead at once.

    Example: calbridge feed rotate biology
    """
    joined = parts()
    token = joined.feeds.rotate(slug)
    _say_links(joined, joined.feeds.by_slug(slug), token, {"slug": slug, "name": FIRST} if as_json else None)


@feed.group("token")
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
    _say_links(joined, joined.feeds.by_slug(slug), token, {"slug": slug, "name": name} if as_json else None)


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
    columns: Sequence[Column[Any]] = [
        Column("token", lambda one: one.name),
        Column("good", lambda one: last_day(one.until, joined.config.zone)),
        Column("last look", lambda one: _looked(joined, one), folds=True),
        Column("made from", lambda one: f"made from {one.parent}" if one.parent else ""),
        Column("shows", lambda one: f"shows {one.shows}" if one.shows else "", folds=True),
    ]
    tell(joined.feeds.tokens(slug), columns, lambda one: one.to_json(), as_json)


def _looked(joined: Parts, token: Any) -> str:
    from app.feeds.clients import said

    return said(token.client, token.used_at, joined.now(), joined.config.zone)


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


def _base(joined: Parts) -> str:
    server = joined.config.server
    return server.public_url.rstrip("/") or f"http://{server.host}:{server.port}"


def _links(joined: Parts, one: Feed) -> Sequence[tuple[str, str]]:
    from app.web.links import links_of

    return links_of(one, _base(joined))


def _say_links(joined: Parts, one: Feed, token: str | None, told: dict[str, Any] | None) -> None:
    """Its addresses; those of a secret feed are in no other answer. `told` is the JSON that they are told within."""
    from app.web.links import secret_links

    base = _base(joined)
    links = secret_links(one.slug, token, base) if token else _links(joined, one)
    if told is not None:
        say_json(told | {"links": dict(links)})
        return
    for _, link in links:
        say(link)
    say(f"How to subscribe: {base}{f'/feeds/{token}' if token else '/public'}/{one.slug}/")
    if token:
        say("The address is the credential and is shown only now; 'feed rotate' makes a new one.", err=True)


@click.command()
@click.argument("slugs", nargs=-1, shell_complete=FEEDS)
@click.option("--forecast", is_flag=True, help="Read nothing; tell what the readings of a day cost at each LMS.")
@json_option
@quiet_option
def refresh(slugs: tuple[str, ...], forecast: bool, as_json: bool) -> None:
    """Read the calendars of these feeds (default: of all) from their LMS now.

    Example: calbridge refresh biology

    Exit status: 0 all were read, 1 some could not be; with --forecast 1 where an LMS permits fewer calls than a day
    needs.
    """
    joined = parts()
    if forecast:
        _forecast(joined, as_json)
        return
    names = slugs or [one.slug for one in joined.feeds.list() if one.enabled]
    found: list[tuple[str, Outcome]] = []
    with bar("reading feeds", go_on="What was read is kept: 'calbridge refresh' reads all anew.") as progress:
        for count, slug in enumerate(names, 1):
            found.append((slug, joined.feeds.refresh(slug)))
            progress(count, len(names))
    columns: Sequence[Column[tuple[str, Outcome]]] = [
        Column("feed", lambda each: each[0]),
        Column("did", lambda each: each[1].did),
        Column("problem", lambda each: each[1].problem, folds=True),
    ]
    tell(found, columns, lambda each: {"slug": each[0], "did": each[1].did, "problem": each[1].problem}, as_json)
    sys.exit(Exit.ATTENTION if any(outcome.did == "failed" for _, outcome in found) else Exit.DONE)


def _forecast(joined: Parts, as_json: bool) -> None:
    told_of = joined.feeds.forecast()
    for one in told_of:
        if as_json:
            say_json({"lms": one.lms, "calendars": one.calendars, "calls": one.calls, "limit": one.limit})
        else:
            say(one)
    if not told_of:
        say("No feed shows a calendar yet.", err=as_json)
    sys.exit(Exit.DONE if all(one.fits for one in told_of) else Exit.ATTENTION)
