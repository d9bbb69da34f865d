"""`subscription`: calendars elsewhere that are pulled on a rhythm."""

from __future__ import annotations

import sys
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import click

from app.cli.common import json_option, parts, quiet_option, slice_options
from app.cli.exits import of_visit
from app.cli.naming import CALENDARS, SUBSCRIPTIONS
from app.cli.progress import bar
from app.cli.tables import Column, tell, tell_facts, tell_part
from app.cli.terminal import moment, say, say_json

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import tzinfo

    from app.imports.pull.fetch import Credential
    from app.store.slices import Slice


@click.group()
def subscription() -> None:
    """Calendars elsewhere that are pulled into LMS calendars on a rhythm.

    Example: calbridge subscription list --search timetable
    """


@subscription.command("add")
@click.argument("url")
@click.argument("settings", nargs=-1, metavar="[KEY=VALUE]...")
@click.option(
    "--into",
    "calendar",
    shell_complete=CALENDARS,
    help="The calendar: lms/kind/id; not needed where routes= says what goes where.",
)
@click.option("--name", required=True, help="What it is called; its imports keep their own events under this name.")
@click.option("--every", type=int, help="Minutes between two looks (default: fetch.every_minutes).")
@click.option("--ahead", type=int, help="How many days ahead to write (default: imports.ahead_days).")
@click.option("--mode", type=click.Choice(["replace", "add"]), default="replace", show_default=True)
@click.option("--agent", default="", help="A user agent of its own, or 'microsoft' for the one that Microsoft likes.")
@click.option("--user", help="Sign in with this name; the password is asked for.")
@click.option("--header", "headers", multiple=True, help="Send this header as well; its value is asked for.")
@json_option
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
    as_json: bool,
) -> None:
    """Pull the calendar at URL (https, webcal) from now on. KEY=VALUE as for 'subscription set'.

    Example: calbridge subscription add https://timetable.example.edu/bio.ics --into learn/course/_12594_1 --name bio
    """
    from app.imports.pull.subscriptions import to_json
    from app.imports.pull.wish import Wish, changed
    from app.imports.record.batch import NOWHERE
    from app.imports.run import Mode

    joined = parts()
    into = joined.named(calendar) if calendar else NOWHERE
    if calendar:
        joined.sink(into.lms).check_target(into)
    config = joined.config
    pause = timedelta(minutes=every or config.fetch.every_minutes)
    wish = Wish(name, url, into, pause, ahead or config.imports.ahead_days, Mode(mode), agent)
    made = joined.subscriptions.add(changed(wish, _pairs(settings)), _credentials(user, headers))
    if as_json:
        say_json(to_json(made))
    else:
        say(made.id)


@subscription.command("set")
@click.argument("id", type=int, shell_complete=SUBSCRIPTIONS)
@click.argument("settings", nargs=-1, metavar="[KEY=VALUE]...")
@click.option("--user", help="Sign in with this name; the password is asked for.")
@click.option("--header", "headers", multiple=True, help="Send this header as well; its value is asked for.")
@click.option("--no-header", "without", multiple=True, help="Send this header no longer ('Authorization' for --user).")
@json_option
def subscription_set(
    id: int,
    settings: tuple[str, ...],
    user: str | None,
    headers: tuple[str, ...],
    without: tuple[str, ...],
    as_json: bool,
) -> None:
    """Change settings of subscription ID; it is read and planned anew from then on. An empty VALUE: as usual.

    Example: calbridge subscription set 3 every_minutes=30 floating=hold

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
    from app.imports.pull.subscriptions import to_json

    if not (settings or user or headers or without):
        raise ValueError("there is nothing to change: write for example every_minutes=30")
    told = parts().subscriptions.change(id, _pairs(settings), _credentials(user, headers), without)
    if as_json:
        say_json(to_json(told))


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
@slice_options
@json_option
def subscription_list(wanted: Slice, as_json: bool) -> None:
    """The subscriptions and how each stands; of its address only the host.

    Example: calbridge subscription list --search timetable
    """
    from app.imports.pull.subscriptions import to_json

    columns: Sequence[Column[dict[str, Any]]] = [
        Column("id", lambda one: one["id"], right=True),
        Column("name", lambda one: one["name"], folds=True),
        Column("host", lambda one: one["host"], folds=True),
        Column("calendar", lambda one: one["calendar"] or "routes", folds=True),
        Column("standing", lambda one: one["standing"]),
        Column("problem", lambda one: one["problem"], folds=True),
    ]
    tell_part(parts().subscriptions.some(wanted).map(to_json), columns, dict, as_json)


@subscription.command("show")
@click.argument("id", type=int, shell_complete=SUBSCRIPTIONS)
@json_option
def subscription_show(id: int, as_json: bool) -> None:
    """How subscription ID stands, and what happened to it, the newest first.

    Example: calbridge subscription show 3
    """
    from app.imports.pull.subscriptions import to_json, visit_to_json

    joined = parts()
    zone = joined.config.zone
    facts = to_json(joined.subscriptions.get(id))
    visits = [visit_to_json(visit) for visit in joined.subscriptions.history(id, 50)]
    times = {name: moment(facts[name], zone) for name in ("ok_at", "next_check")}
    tell_facts({**facts, **times}, as_json, {**facts, "history": visits})
    if not as_json:
        tell(visits, _visits(zone), dict, as_json)


@subscription.command("history")
@click.argument("id", type=int, shell_complete=SUBSCRIPTIONS)
@slice_options
@json_option
def subscription_history(wanted: Slice, id: int, as_json: bool) -> None:
    """What happened to subscription ID, the newest first.

    Example: calbridge subscription history 3 --limit 10
    """
    from app.imports.pull.subscriptions import visit_to_json
    from app.store.slices import part_of_all

    joined = parts()
    visits = [visit_to_json(visit) for visit in joined.subscriptions.history(id)]
    found = part_of_all(visits, wanted, lambda visit: f"{visit['what']} {visit['problem']}")
    tell_part(found, _visits(joined.config.zone), dict, as_json)


def _visits(zone: tzinfo) -> Sequence[Column[dict[str, Any]]]:
    counts = "{created} created, {updated} updated, {deleted} deleted"
    return [
        Column("at", lambda visit: moment(visit["at"], zone)),
        Column("what", lambda visit: visit["what"]),
        Column(
            "came to", lambda visit: visit["problem"] or (counts.format_map(visit) if visit["run"] else ""), folds=True
        ),
    ]


@subscription.command("run")
@click.argument("id", type=int, shell_complete=SUBSCRIPTIONS)
@click.option("--approve", is_flag=True, help="Carry the plan out even if it looks reckless.")
@json_option
@quiet_option
def subscription_run(id: int, approve: bool, as_json: bool) -> None:
    """Pull subscription ID now.

    Example: calbridge subscription run 3

    Exit status: 0 done or unchanged, 2 nothing could be fetched or written, 3 held for a yes, 4 unfinished or busy.
    """
    from app.imports.pull.subscriptions import visit_to_json

    with bar("pulling"):
        visit = parts().subscriptions.run(id, approved=approve)
    counts = f"{visit.created} created, {visit.updated} updated, {visit.deleted} deleted"
    if as_json:
        say_json(visit_to_json(visit))
    else:
        say(f"{visit.what}\t{visit.problem or counts}")
    sys.exit(of_visit(visit.what))


@subscription.command("remove")
@click.argument("id", type=int, shell_complete=SUBSCRIPTIONS)
def subscription_remove(id: int) -> None:
    """Pull subscription ID no longer, and forget it; what it wrote stays in the LMS.

    Example: calbridge subscription remove 3
    """
    parts().subscriptions.remove(id)


@subscription.command("enable")
@click.argument("id", type=int, shell_complete=SUBSCRIPTIONS)
def subscription_enable(id: int) -> None:
    """Pull subscription ID again, also if it was parked.

    Example: calbridge subscription enable 3
    """
    parts().subscriptions.enable(id)


@subscription.command("disable")
@click.argument("id", type=int, shell_complete=SUBSCRIPTIONS)
def subscription_disable(id: int) -> None:
    """Pull subscription ID no longer until it is enabled.

    Example: calbridge subscription disable 3
    """
    parts().subscriptions.disable(id)
