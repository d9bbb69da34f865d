"""`feed list`, `feed show` and `feed preview`: what feeds there are, how each stands, what it shows."""

from __future__ import annotations

import json
from datetime import datetime, time
from typing import TYPE_CHECKING, Any

import click

from app.cli.common import json_option, parts, slice_options
from app.cli.feed_links import base_of, links_told
from app.cli.naming import FEEDS
from app.cli.tables import Column, tell_facts, tell_part
from app.cli.terminal import complain, moment

if TYPE_CHECKING:
    from collections.abc import Sequence
    from zoneinfo import ZoneInfo

    from app.feeds.feed import Feed, Token
    from app.parts import Parts
    from app.store.slices import Slice


@click.command("list")
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
    tell_part(found, columns, lambda one: feed_told(joined, one), as_json)
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


TITLES = "only titles"
"""What the policy `title` is called where the feed's own title stands beside it."""


@click.command("show")
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
    facts |= {TITLES if key == "title" else key: written(value) for key, value in one.policies.to_json().items()}
    facts |= {"last reading": moment(state.read_at if state else None, zone)}
    facts |= {"next look": moment(state.next_check if state else None, zone)}
    facts |= {"problem": state.problem if state else "nobody has tried to read it yet"}
    facts |= {"events": joined.feeds.count(one), "bytes": joined.feeds.size(one)}
    facts |= {f"link ({form})": link for form, link in links_told(joined, one)}
    facts |= {f"read by {each.name}": looked(joined, each) for each in joined.feeds.tokens(slug)}
    tell_facts(
        {name: value for name, value in facts.items() if value not in (None, "")}, as_json, feed_told(joined, one)
    )
    _warn(joined, one)


def feed_told(joined: Parts, one: Feed) -> dict[str, Any]:
    from app.web.links import feed_to_json

    return feed_to_json(joined.feeds, one, base_of(joined))


@click.command("preview")
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


def written(value: object) -> object:
    """A policy's value as it is set."""
    if isinstance(value, bool):
        return "on" if value else "off"
    return "|".join(value) if isinstance(value, list) else value


def looked(joined: Parts, token: Token) -> str:
    """Who looked last with this token, and when a change will be seen."""
    from app.feeds.clients import said

    return said(token.client, token.used_at, joined.now(), joined.config.zone)
