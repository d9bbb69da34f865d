"""`token`, `admin` and `link`: who may write here, and whose accounts this calbridge may use."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from app.cli.common import json_option, parts, slice_options
from app.cli.tables import Column, tell, tell_part
from app.cli.terminal import moment, say, say_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from app.people.accounts import Account
    from app.people.tokens import Token
    from app.store.slices import Slice
    from bridges.model import Calendar


@click.group()
def token() -> None:
    """API tokens: once there is one, whatever writes needs one.

    Example: calbridge token add timetable-office --scope import
    """


@token.command("add")
@click.argument("name")
@click.option("--scope", type=click.Choice(["read", "import", "admin"]), default="admin", help="What it may do.")
@json_option
def token_add(name: str, scope: str, as_json: bool) -> None:
    """Make a token called NAME; it is shown only now.

    Example: calbridge token add timetable-office --scope import
    """
    from app.people import tokens

    joined = parts()
    made = tokens.add(joined.engine, name, joined.now(), tokens.Scope(scope))
    if as_json:
        say_json({"name": name, "scope": scope, "token": made})
    else:
        say(made)


@token.command("list")
@json_option
def token_list(as_json: bool) -> None:
    """The tokens' names, ages and scopes.

    Example: calbridge token list
    """
    from app.people import tokens

    joined = parts()
    columns: Sequence[Column[Token]] = [
        Column("token", lambda one: one.name),
        Column("made", lambda one: moment(one.created_at, joined.config.zone)),
        Column("scope", lambda one: one.scope),
        Column("last used", lambda one: moment(one.used_at, joined.config.zone)),
    ]
    tell(tokens.every_one(joined.engine), columns, lambda one: one.to_json(), as_json)


@token.command("revoke")
@click.argument("name")
def token_revoke(name: str) -> None:
    """Kill the token called NAME.

    Example: calbridge token revoke timetable-office
    """
    from app.people import tokens

    if not tokens.revoke(parts().engine, name):
        raise ValueError(f"there is no token called '{name}'")


@click.group()
def admin() -> None:
    """Administrators who sign in on the pages with a password, where there is no identity provider.

    Example: calbridge admin set jane
    """


@admin.command("set")
@click.argument("name")
@click.password_option(envvar="CALBRIDGE_PASSWORD", help="Asked for at the prompt, or CALBRIDGE_PASSWORD.")
def admin_set(name: str, password: str) -> None:
    """Make the administrator called NAME, or give NAME another password; older sessions are over then.

    Example: calbridge admin set jane
    """
    from app.people import accounts

    joined = parts()
    new = accounts.put(joined.engine, name, password, joined.now())
    say(f"'{name}' can sign in now" if new else f"'{name}' has a new password")


@admin.command("list")
@json_option
def admin_list(as_json: bool) -> None:
    """Who may sign in with a password.

    Example: calbridge admin list
    """
    from app.people import accounts

    joined = parts()
    columns: Sequence[Column[Account]] = [
        Column("name", lambda one: one.name),
        Column("password of", lambda one: f"password of {moment(one.changed_at, joined.config.zone)}"),
    ]
    told = accounts.every_one(joined.engine)
    tell(told, columns, lambda one: {"name": one.name, "changed_at": one.changed_at.isoformat()}, as_json)


@admin.command("remove")
@click.argument("name")
def admin_remove(name: str) -> None:
    """Let NAME sign in no longer.

    Example: calbridge admin remove jane
    """
    from app.people import accounts

    if not accounts.remove(parts().engine, name):
        raise ValueError(f"there is no administrator called '{name}'")


@click.group()
def link() -> None:
    """Accounts that people have linked, at /link/LMS of a running calbridge.

    Example: calbridge link list --search jdoe
    """


@link.command("list")
@slice_options
@json_option
def link_list(wanted: Slice, as_json: bool) -> None:
    """The personal calendars that are open to this calbridge.

    Example: calbridge link list --search jdoe
    """
    from app.care.connections import linked
    from app.store.slices import part_of_all

    found = part_of_all(linked(parts()), wanted, lambda one: f"{one[1].ref} {one[1].name}")
    columns: Sequence[Column[tuple[str, Calendar]]] = [
        Column("calendar", lambda one: one[1].ref),
        Column("name", lambda one: one[1].name, folds=True),
    ]
    tell_part(found, columns, _link_to_json, as_json)


def _link_to_json(one: tuple[str, Calendar]) -> dict[str, str]:
    lms, calendar = one
    return {"lms": lms, "calendar": str(calendar.ref), "name": calendar.name}


@link.command("remove")
@click.argument("calendar")
def link_remove(calendar: str) -> None:
    """Forget what the person of CALENDAR permitted (as 'calbridge link list' writes it).

    Example: calbridge link remove learn/person/_5_1
    """
    from bridges.model import CalendarRef

    ref = CalendarRef.parse(calendar)
    if not parts().linkable(ref.lms).unlink(ref.id):
        raise ValueError(f"nobody has linked '{calendar}'")
