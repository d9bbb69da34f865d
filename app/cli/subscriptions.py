"""`subscription`: calendars elsewhere that are pulled on a rhythm."""

from __future__ import annotations

import json
import sys
from datetime import timedelta
from typing import TYPE_CHECKING

import click

from app.cli.common import NOTHING_READ, parts, told

if TYPE_CHECKING:
    from collections.abc import Sequence

    from app.imports.pull.fetch import Credential


@click.group()
def subscription() -> None:
    """Calendars elsewhere that are pulled into LMS calendars on a rhythm."""


@subscription.command("add")
@click.argument("url")
@click.argument("settings", nargs=-1, metavar="[KEY=VALUE]...")
@click.option("--into", "calendar", help="The calendar: lms/kind/id; not needed where routes= says what goes where.")
@click.option("--name", required=True, help="What it is called; its imports keep their own events under this name.")
@click.option("--every", type=int, help="Minutes between two looks (default: fetch.every_minutes).")
@click.option("--ahead", type=int, help="How many days ahead to write (default: imports.ahead_days).")
@click.option("--mode", type=click.Choice(["replace", "add"]), default="replace", show_default=True)
@click.option("--agent", default="", help="A user agent of its own, or 'microsoft' for the one that Microsoft likes.")
@click.option("--user", help="Sign in with this name; the password is asked for.")
@click.option("--header", "headers", multiple=True, help="Send this header as well; its value is asked for.")
def subscription_add(
    url: str,
    settings: tuple[str, ...],
    calendar: str | None,
    name: str,
    every: int | None,
    ahead: int | None,
    mode: str,
    agent: str,
    user: str | None,
    headers: tuple[str, ...],
) -> None:
    """Pull the calendar at URL (https, webcal) from now on. KEY=VALUE as for 'subscription set'."""
    from app.imports.pull.wish import Wish, changed
    from app.imports.record.batch import NOWHERE
    from app.imports.run import Mode

    with told():
        joined = parts()
        into = joined.named(calendar) if calendar else NOWHERE
        if calendar:
            joined.sink(into.lms).check_target(into)
        config = joined.config
        pause = timedelta(minutes=every or config.fetch.every_minutes)
        wish = Wish(name, url, into, pause, ahead or config.imports.ahead_days, Mode(mode), agent)
        click.echo(joined.subscriptions.add(changed(wish, _pairs(settings)), _credentials(user, headers)).id)


@subscription.command("set")
@click.argument("id", type=int)
@click.argument("settings", nargs=-1, metavar="[KEY=VALUE]...")
@click.option("--user", help="Sign in with this name; the password is asked for.")
@click.option("--header", "headers", multiple=True, help="Send this header as well; its value is asked for.")
@click.option("--no-header", "without", multiple=True, help="Send this header no longer ('Authorization' for --user).")
def subscription_set(
    id: int, settings: tuple[str, ...], user: str | None, headers: tuple[str, ...], without: tuple[str, ...]
) -> None:
    """Change settings of subscription ID; it is read and planned anew from then on. An empty VALUE: as usual.

    \b
    url                        another address; one at another server forgets the headers of the old one
    every_minutes, ahead_days  how often, and how far ahead
    from, to                   fixed days in place of today and ahead_days
    mode                       replace, or add (nothing is ever deleted)
    grace                      in how many whole readings an event has to be missing before it is deleted
    match                      uid, or content where the UIDs are new at each export
    agent                      a user agent, or 'microsoft'
    zone                       what the source means by zones that nobody knows
    floating                   what it means by times without a zone: home, a zone, or hold (never guess)
    include, exclude, rename   as of 'import', several apart by |
    routes                     PATTERN=>CALENDAR, which event goes where, in place of one calendar; several apart by |
    max_bytes, max_events      the most that is taken
    """
    with told():
        if not (settings or user or headers or without):
            raise ValueError("there is nothing to change: write for example every_minutes=30")
        parts().subscriptions.change(id, _pairs(settings), _credentials(user, headers), without)


def _pairs(settings: tuple[str, ...]) -> dict[str, object]:
    for each in settings:
        if "=" not in each:
            raise ValueError(f"'{each}' sets nothing: write KEY=VALUE, for example floating=hold")
    return {name.strip(): value.strip() for name, _, value in (each.partition("=") for each in settings)}


def _credentials(user: str | None, headers: tuple[str, ...]) -> Sequence[Credential]:
    """What opens the source; the secrets are asked for, since a command line is seen by others."""
    from app.imports.pull.fetch import Credential

    signed = [Credential.basic(user, click.prompt("Password", hide_input=True, err=True))] if user else []
    return [*signed, *(Credential(name, click.prompt(name, hide_input=True, err=True)) for name in headers)]


@subscription.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def subscription_list(as_json: bool) -> None:
    """Every subscription and how it stands; of its address only the host."""
    from app.imports.pull.subscriptions import to_json

    with told():
        for one in parts().subscriptions.list():
            facts = to_json(one)
            words = (
                one.id,
                one.wish.source,
                facts["host"],
                facts["calendar"] or "routes",
                facts["standing"],
                one.state.problem,
            )
            click.echo(json.dumps(facts, ensure_ascii=False) if as_json else "\t".join(map(str, words)).rstrip())


@subscription.command("show")
@click.argument("id", type=int)
@click.option("--json", "as_json", is_flag=True, help="Print it as one JSON object.")
def subscription_show(id: int, as_json: bool) -> None:
    """How subscription ID stands, and what happened to it, the newest first."""
    from app.imports.pull.subscriptions import to_json, visit_to_json

    with told():
        subscriptions = parts().subscriptions
        facts = to_json(subscriptions.get(id))
        visits = [visit_to_json(visit) for visit in subscriptions.history(id, 50)]
    if as_json:
        click.echo(json.dumps({**facts, "history": visits}, ensure_ascii=False))
        return
    for name, value in facts.items():
        click.echo(f"{name}: {_words(value)}".rstrip())
    for visit in visits:
        counts = "{created} created, {updated} updated, {deleted} deleted".format_map(visit)
        said = visit["problem"] or (counts if visit["run"] else "")
        click.echo(f"{visit['at']}\t{visit['what']}\t{said}".rstrip())


def _words(value: object) -> str:
    if isinstance(value, list):
        return " | ".join(map(str, value))
    return "" if value is None else str(value)


@subscription.command("run")
@click.argument("id", type=int)
@click.option("--approve", is_flag=True, help="Carry the plan out even if it looks reckless.")
def subscription_run(id: int, approve: bool) -> None:
    """Pull subscription ID now.

    Exit status: 0 done or unchanged, 2 nothing could be fetched or written, 3 held for a yes, 4 unfinished or busy.
    """
    with told():
        visit = parts().subscriptions.run(id, approved=approve)
    counts = f"{visit.created} created, {visit.updated} updated, {visit.deleted} deleted"
    click.echo(f"{visit.what}\t{visit.problem or counts}")
    sys.exit({"done": 0, "unchanged": 0, "held": 3, "left": 4, "busy": 4}.get(visit.what, NOTHING_READ))


@subscription.command("remove")
@click.argument("id", type=int)
def subscription_remove(id: int) -> None:
    """Pull subscription ID no longer, and forget it; what it wrote stays in the LMS."""
    with told():
        parts().subscriptions.remove(id)


@subscription.command("enable")
@click.argument("id", type=int)
def subscription_enable(id: int) -> None:
    """Pull subscription ID again, also if it was parked."""
    with told():
        parts().subscriptions.enable(id)


@subscription.command("disable")
@click.argument("id", type=int)
def subscription_disable(id: int) -> None:
    """Pull subscription ID no longer until it is enabled."""
    with told():
        parts().subscriptions.disable(id)
