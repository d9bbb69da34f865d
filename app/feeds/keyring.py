"""Which token opens which feed, since when and until when, who made it of which other, and who used it last.

A token may be made from another: it shows no more than that one, ends no later, and dies with it. One made so makes no
others, so that who holds what stays easy to see.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, Row, func, or_, select, update
from sqlalchemy.exc import OperationalError

from app.feeds.clients import family_of
from app.feeds.feed import Feed, Token, Unknown
from app.feeds.mint import FIRST, hashed, mint
from app.feeds.narrow import ALL, Narrow
from app.feeds.register import feed_of, named_one, published
from app.ics.render import one_line
from app.store import tables
from app.store.engine import writing

LONGEST_NAME = 100
MOST_CHILDREN = 50
"""Tokens made from one: enough for a class, and no way to fill the store."""
NOTED_EVERY = timedelta(minutes=10)


def rotate(engine: Engine, slug: str, now: datetime) -> str:
    """A new token, told this once; the old ones are dead. ValueError for a public feed, Unknown if there is none."""
    with writing(engine) as connection:
        feed = _secret(connection, slug)
        _revoke(connection, now, tables.feed_token.c.feed_id == feed.id)
        return mint(connection, feed.id, now)


def add(
    engine: Engine,
    slug: str,
    name: str,
    until: datetime | None,
    now: datetime,
    narrow: Narrow = ALL,
    under: str | None = None,
) -> str:
    """One more token, for a reader or a device, told this once; made from that called `under`, if one is named.

    ValueError says why not, Unknown if there is no feed.
    """
    with writing(engine) as connection:
        feed = _secret(connection, slug)
        parent = next((row for row in _alive(connection, feed) if _name(row) == under), None) if under else None
        if under and parent is None:
            raise ValueError(f"'{slug}' has no token called '{under}'")
        return _added(connection, feed, parent, name, until, now, narrow)


def add_child(
    engine: Engine, token: str, slug: str, name: str, until: datetime | None, now: datetime, narrow: Narrow
) -> str:
    """A token that the holder of another makes from it, told this once. ValueError says why not, Unknown as
    `opened_by`, Disabled too."""
    opened_by(engine, token, slug, now)
    with writing(engine) as connection:
        feed = named_one(connection, slug)
        parent = next((row for row in _alive(connection, feed) if row.hash == hashed(token)), None)
        if parent is None:
            raise Unknown("there is no such feed")
        return _added(connection, feed, parent, name, until, now, narrow)


def _added(
    connection: Connection,
    feed: Feed,
    parent: Row[Any] | None,
    name: str,
    until: datetime | None,
    now: datetime,
    narrow: Narrow,
) -> str:
    name, alive = one_line(name), _alive(connection, feed)
    if not 0 < len(name) <= LONGEST_NAME:
        raise ValueError(f"a token needs a name, of {LONGEST_NAME} letters at most")
    if any(_name(row) == name for row in alive):
        raise ValueError(f"'{feed.slug}' has a token called '{name}' already: revoke it first, or choose another name")
    if foreign := [one for one in narrow.calendars if one not in feed.calendars]:
        raise ValueError(f"'{foreign[0]}' is no calendar of '{feed.slug}': {', '.join(map(str, feed.calendars))}")
    if parent is not None:
        narrow, until = _inside(parent, narrow, until)
        if sum(row.parent_id == parent.id for row in alive) >= MOST_CHILDREN:
            raise ValueError(f"'{_name(parent)}' has {MOST_CHILDREN} tokens made from it already: revoke one first")
    if until is not None and until <= now:
        raise ValueError(f"{until.isoformat()} is past: the token would never open anything")
    more = {"until": until, "narrow": narrow.to_json(), "parent_id": parent.id if parent is not None else None}
    return mint(connection, feed.id, now, name, **more)


def _inside(parent: Row[Any], narrow: Narrow, until: datetime | None) -> tuple[Narrow, datetime | None]:
    """What a token made from that one shows, and until when: never more, and never longer."""
    if parent.parent_id is not None:
        raise ValueError(f"'{_name(parent)}' was itself made from another token, and makes no further ones")
    ends = [moment for moment in (until, parent.until) if moment is not None]
    return narrow.within(Narrow.from_json(parent.narrow)), min(ends, default=None)


def tokens(engine: Engine, slug: str) -> Sequence[Token]:
    """The feed's tokens that are not revoked, oldest first; those that have ended too. Unknown if there is no feed."""
    with engine.connect() as connection:
        rows = _alive(connection, named_one(connection, slug))
    names = {row.id: _name(row) for row in rows}
    return [
        Token(names[row.id], row.created_at, row.until, row.used_at, row.client, names.get(row.parent_id), _shows(row))
        for row in rows
    ]


def _shows(row: Row[Any]) -> str:
    narrow = Narrow.from_json(row.narrow)
    told = [*map(str, narrow.calendars), *([] if narrow.privacy is ALL.privacy else [str(narrow.privacy)])]
    return " ".join(told)


def revoke(engine: Engine, slug: str, name: str | None, now: datetime) -> int:
    """Kill the token of that name and those made from it, or all of them for None: how many. Unknown for no feed."""
    table = tables.feed_token.c
    with writing(engine) as connection:
        mine = table.feed_id == named_one(connection, slug).id
        if name is None:
            return _revoke(connection, now, mine)
        named = select(table.id).where(mine, table.revoked_at.is_(None), func.coalesce(table.name, FIRST) == name)
        ids = connection.execute(named).scalars().all()
        return _revoke(connection, now, or_(table.id.in_(ids), table.parent_id.in_(ids)))


def renew(engine: Engine, token: str, slug: str, now: datetime) -> str:
    """A new secret in place of this one, told this once, by whoever holds it; what was made from it is dead.

    Unknown as `opened_by`, Disabled too.
    """
    opened_by(engine, token, slug, now)
    table = tables.feed_token.c
    with writing(engine) as connection:
        row = _own(connection, token, slug)
        _revoke(connection, now, or_(table.id == row.id, table.parent_id == row.id))
        more = {"until": row.until, "narrow": row.narrow, "parent_id": row.parent_id}
        return mint(connection, row.feed_id, now, _name(row), **more)


def give_up(engine: Engine, token: str, slug: str, now: datetime) -> int:
    """Kill the token and those made from it, by whoever holds it: how many. Errors as those of `renew`."""
    opened_by(engine, token, slug, now)
    table = tables.feed_token.c
    with writing(engine) as connection:
        row = _own(connection, token, slug)
        return _revoke(connection, now, or_(table.id == row.id, table.parent_id == row.id))


def _own(connection: Connection, token: str, slug: str) -> Row[Any]:
    """The row of a token that is alive. Unknown if it has died meanwhile."""
    found = next((row for row in _alive(connection, named_one(connection, slug)) if row.hash == hashed(token)), None)
    if found is None:
        raise Unknown("there is no such feed")
    return found


def revoke_everything(engine: Engine, now: datetime) -> int:
    """Kill every token of every feed: how many there were."""
    with writing(engine) as connection:
        return _revoke(connection, now)


def _revoke(connection: Connection, now: datetime, *which: ColumnElement[bool]) -> int:
    alive = tables.feed_token.c.revoked_at.is_(None)
    return connection.execute(update(tables.feed_token).where(alive, *which).values(revoked_at=now)).rowcount


def opened_by(engine: Engine, token: str, slug: str, now: datetime, user_agent: str | None = None) -> Feed:
    """The feed that the token opens under this slug, as it shows it; who asks is noted, once in ten minutes.

    Unknown whether the token is malformed, never was, has ended, was revoked or opens another feed: each costs one
    look-up of a hash. Disabled if the feed is switched off.
    """
    table = tables.feed_token.c
    query = (
        select(tables.feed, table.id.label("token_id"), table.used_at, table.narrow)
        .join(tables.feed_token, table.feed_id == tables.feed.c.id)
        .where(table.hash == hashed(token), table.revoked_at.is_(None), or_(table.until.is_(None), table.until > now))
    )
    row = published(engine, query, slug)
    feed = Narrow.from_json(row.narrow).of(feed_of(row)) if row.narrow else feed_of(row)
    if feed is None:
        raise Unknown("there is no such feed")
    if user_agent is not None and (row.used_at is None or now - row.used_at >= NOTED_EVERY):
        _note(engine, row.token_id, now, family_of(user_agent))
    return feed


def _note(engine: Engine, token_id: int, now: datetime, client: str) -> None:
    """A store that cannot be written just now keeps nobody from reading."""
    mine = tables.feed_token.c.id == token_id
    with suppress(OperationalError), writing(engine) as connection:
        connection.execute(update(tables.feed_token).where(mine).values(used_at=now, client=client))


def _alive(connection: Connection, feed: Feed) -> Sequence[Row[Any]]:
    table = tables.feed_token.c
    mine = table.feed_id == feed.id, table.revoked_at.is_(None)
    return connection.execute(select(tables.feed_token).where(*mine).order_by(table.id)).all()


def _name(row: Row[Any]) -> str:
    return str(row.name or FIRST)


def _secret(connection: Connection, slug: str) -> Feed:
    feed = named_one(connection, slug)
    if feed.public:
        raise ValueError(f"'{slug}' is public: it has no token")
    return feed
