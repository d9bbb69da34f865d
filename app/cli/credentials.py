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
def token_add(name: str) -> None:
    """Make a token called NAME; it is shown only now."""
    from app import tokens

    with told():
        joined = parts()
        click.echo(tokens.add(joined.engine, name, joined.now()))


@token.command("list")
def token_list() -> None:
    """The tokens' names and ages."""
    from app import tokens

    with told():
        for name, made in tokens.names(parts().engine):
            click.echo(f"{name}\t{made:%Y-%m-%d %H:%M}Z")


@token.command("revoke")
@click.argument("name")
def token_revoke(name: str) -> None:
    """Kill the token called NAME."""
    from app import tokens

    with told():
        if not tokens.revoke(parts().engine, name):
            raise ValueError(f"there is no token called '{name}'")


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
