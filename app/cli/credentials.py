"""`token` and `link`: who may write here, and whose accounts this calbridge may use."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from app.cli.common import parts, told

if TYPE_CHECKING:
    pass


@click.group()
def token() -> None:
    """API tokens: once there is one, whatever writes needs one."""


@token.command("add")
@click.argument("name")
@click.option("--scope", type=click.Choice(["read", "import", "admin"]), default="admin", help="What it may do.")
def token_add(name: str, scope: str) -> None:
    """Make a token called NAME; it is shown only now."""
    from app import tokens

    with told():
        joined = parts()
        click.echo(tokens.add(joined.engine, name, joined.now(), tokens.Scope(scope)))


@token.command("list")
def token_list() -> None:
    """The tokens' names, ages and scopes."""
    from app import tokens

    with told():
        for each in tokens.every_one(parts().engine):
            click.echo(f"{each.name}\t{each.created_at:%Y-%m-%d %H:%M}Z\t{each.scope}")


@token.command("revoke")
@click.argument("name")
def token_revoke(name: str) -> None:
    """Kill the token called NAME."""
    from app import tokens

    with told():
        if not tokens.revoke(parts().engine, name):
            raise ValueError(f"there is no token called '{name}'")


@click.group()
def admin() -> None:
    """Administrators who sign in on the pages with a password, where there is no identity provider."""


@admin.command("set")
@click.argument("name")
@click.password_option(envvar="CALBRIDGE_PASSWORD", help="Asked for at the prompt, or CALBRIDGE_PASSWORD.")
def admin_set(name: str, password: str) -> None:
    """Make the administrator called NAME, or give NAME another password; older sessions are over then."""
    from app import accounts

    with told():
        joined = parts()
        new = accounts.put(joined.engine, name, password, joined.now())
        click.echo(f"'{name}' can sign in now" if new else f"'{name}' has a new password")


@admin.command("list")
def admin_list() -> None:
    """Who may sign in with a password."""
    from app import accounts

    with told():
        for each in accounts.every_one(parts().engine):
            click.echo(f"{each.name}\tpassword of {each.changed_at:%Y-%m-%d %H:%M}Z")


@admin.command("remove")
@click.argument("name")
def admin_remove(name: str) -> None:
    """Let NAME sign in no longer."""
    from app import accounts

    with told():
        if not accounts.remove(parts().engine, name):
            raise ValueError(f"there is no administrator called '{name}'")


@click.group()
def link() -> None:
    """Accounts that people have linked, at /link/LMS of a running calbridge."""


@link.command("list")
def link_list() -> None:
    """The personal calendars that are open to this calbridge."""
    from app.parts import Linkable

    with told():
        joined = parts()
        for name in sorted(joined.config.connections):
            bridge = joined.bridge(name)
            for calendar in bridge.links() if isinstance(bridge, Linkable) else ():
                click.echo(f"{calendar.ref}\t{calendar.name}")


@link.command("remove")
@click.argument("calendar")
def link_remove(calendar: str) -> None:
    """Forget what the person of CALENDAR permitted (as 'calbridge link list' writes it)."""
    from bridges.model import CalendarRef

    with told():
        ref = CalendarRef.parse(calendar)
        if not parts().linkable(ref.lms).unlink(ref.id):
            raise ValueError(f"nobody has linked '{calendar}'")
