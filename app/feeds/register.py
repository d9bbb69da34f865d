"""Which feeds there are, and which token opens which. A token is kept as its SHA-256 alone, and looked up by it."""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, Row, Select, delete, func, insert, or_, select, update
from sqlalchemy.exc import IntegrityError, OperationalError

from app.feeds.clients import family_of
from app.feeds.feed import Disabled, Feed, Token, Unknown
from app.feeds.policies import USUAL, Policies, changed, from_json
from app.ics.render import one_line
from app.store import tables
from app.store.engine import writing
from bridges.model import CalendarRef

SLUG = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,98}[a-z0-9])?")
LONGEST_TITLE, LONGEST_NAME = 255, 100
FIRST = "first"
"""What the token is called that a feed begins with."""
NOTED_EVERY = timedelta(minutes=10)


def add(
    engine: Engine,
    slug: str,
    title: str,
    calendars: Sequence[CalendarRef],
    public: bool,
    now: datetime,
    policies: Policies = USUAL,
) -> tuple[Feed, str | None]:
    """A new feed, and its token, told this once; a public one has none. ValueError says what is wrong."""
    if not SLUG.fullmatch(slug):
        raise ValueError(f"'{slug}' cannot stand in an address: use small letters, digits and hyphens, 100 at most")
    title = one_line(title)
    if not 0 < len(title) <= LONGEST_TITLE:
        raise ValueError(f"a feed needs a title, of {LONGEST_TITLE} letters at most")
    first, *also = map(str, dict.fromkeys(calendars))
    values = {"slug": slug, "title": title, "calendar": first, "also": also, "public": public}
    values |= {"policies": policies.to_json()}
    try:
        with writing(engine) as connection:
            connection.execute(insert(tables.feed).values(values | {"enabled": True, "created_at": now}))
            feed = _one(connection, slug)
            return feed, None if public else _new_token(connection, feed, now)
    except IntegrityError:
        raise ValueError(f"there is a feed called '{slug}' already") from None


def every_feed(engine: Engine) -> Sequence[Feed]:
    """All feeds, by slug."""
    with engine.connect() as connection:
        return [_feed(row) for row in connection.execute(select(tables.feed).order_by(tables.feed.c.slug))]


def by_slug(engine: Engine, slug: str) -> Feed:
    """The feed of that name. Unknown if there is none."""
    with engine.connect() as connection:
        return _one(connection, slug)


def remove(engine: Engine, slug: str) -> None:
    """Forget the feed, its tokens and its bodies. Unknown if there is none."""
    with writing(engine) as connection:
        connection.execute(delete(tables.feed).where(tables.feed.c.id == _one(connection, slug).id))


def switch(engine: Engine, slug: str, enabled: bool) -> None:
    """Publish the feed, or do so no longer; its tokens are kept. Unknown if there is none."""
    with writing(engine) as connection:
        feed = _one(connection, slug)
        connection.execute(update(tables.feed).where(tables.feed.c.id == feed.id).values(enabled=enabled))


def decide(engine: Engine, slug: str, settings: Sequence[str]) -> Policies:
    """Change the feed's policies by `key=value` settings. ValueError says what fits, Unknown if there is none."""
    with writing(engine) as connection:
        feed = _one(connection, slug)
        policies = changed(feed.policies, settings)
        if policies.learningspace and not feed.public:
            raise ValueError("learningspace: its addresses hold no secret, so that the feed has to be a public one")
        values = {"policies": policies.to_json()}
        connection.execute(update(tables.feed).where(tables.feed.c.id == feed.id).values(values))
    return policies


def rotate(engine: Engine, slug: str, now: datetime) -> str:
    """A new token, told this once; the old ones are dead. ValueError for a public feed, Unknown if there is none."""
    with writing(engine) as connection:
        feed = _secret(connection, slug)
        _revoke(connection, now, tables.feed_token.c.feed_id == feed.id)
        return _new_token(connection, feed, now)


def add_token(engine: Engine, slug: str, name: str, until: datetime | None, now: datetime) -> str:
    """One more token, for a reader or a device, told this once. ValueError says why not, Unknown if no feed."""
    name = one_line(name)
    if not 0 < len(name) <= LONGEST_NAME:
        raise ValueError(f"a token needs a name, of {LONGEST_NAME} letters at most")
    if until is not None and until <= now:
        raise ValueError(f"{until.isoformat()} is past: the token would never open anything")
    with writing(engine) as connection:
        feed = _secret(connection, slug)
        if any(token.name == name for token in _tokens(connection, feed)):
            raise ValueError(f"'{slug}' has a token called '{name}' already: revoke it first, or choose another name")
        return _new_token(connection, feed, now, name, until)


def tokens(engine: Engine, slug: str) -> Sequence[Token]:
    """The feed's tokens that are not revoked, oldest first; those that have ended too. Unknown if there is no feed."""
    with engine.connect() as connection:
        return _tokens(connection, _one(connection, slug))


def revoke(engine: Engine, slug: str, name: str | None, now: datetime) -> int:
    """Kill the token of that name, or all of them for None: how many there were. Unknown if there is no feed."""
    with writing(engine) as connection:
        mine = [tables.feed_token.c.feed_id == _one(connection, slug).id]
        if name is not None:
            mine.append(func.coalesce(tables.feed_token.c.name, FIRST) == name)
        return _revoke(connection, now, *mine)


def _revoke(connection: Connection, now: datetime, *which: ColumnElement[bool]) -> int:
    alive = tables.feed_token.c.revoked_at.is_(None)
    return connection.execute(update(tables.feed_token).where(alive, *which).values(revoked_at=now)).rowcount


def _tokens(connection: Connection, feed: Feed) -> Sequence[Token]:
    table = tables.feed_token.c
    mine = table.feed_id == feed.id, table.revoked_at.is_(None)
    rows = connection.execute(select(tables.feed_token).where(*mine).order_by(table.id))
    return [Token(row.name or FIRST, row.created_at, row.until, row.used_at, row.client) for row in rows]


def opened_by(engine: Engine, token: str, slug: str, now: datetime, user_agent: str | None = None) -> Feed:
    """The feed that the token opens under this slug; who asks for it is noted, once in ten minutes.

    Unknown whether the token is malformed, never was, has ended, was revoked or opens another feed: each costs one
    look-up of a hash. Disabled if the feed is switched off.
    """
    table = tables.feed_token.c
    query = (
        select(tables.feed, table.id.label("token_id"), table.used_at)
        .join(tables.feed_token, table.feed_id == tables.feed.c.id)
        .where(table.hash == _hash(token), table.revoked_at.is_(None), or_(table.until.is_(None), table.until > now))
    )
    row = _published(engine, query, slug)
    if user_agent is not None and (row.used_at is None or now - row.used_at >= NOTED_EVERY):
        _note(engine, row.token_id, now, family_of(user_agent))
    return _feed(row)


def _note(engine: Engine, token_id: int, now: datetime, client: str) -> None:
    """A store that cannot be written just now keeps nobody from reading."""
    mine = tables.feed_token.c.id == token_id
    with suppress(OperationalError), writing(engine) as connection:
        connection.execute(update(tables.feed_token).where(mine).values(used_at=now, client=client))


def open_to_all(engine: Engine, slug: str) -> Feed:
    """The public feed of that name. Unknown if there is none, Disabled if it is switched off."""
    return _feed(_published(engine, select(tables.feed).where(tables.feed.c.public), slug))


def of_learningspace(engine: Engine) -> Feed:
    """The public feed that answers at LearningSpace's addresses; the first by slug of several. Unknown if none does."""
    for feed in every_feed(engine):
        if feed.policies.learningspace and feed.public and feed.enabled:
            return feed
    raise Unknown("no feed answers at LearningSpace's addresses")


def _published(engine: Engine, query: Select[Any], slug: str) -> Row[Any]:
    known = slug if SLUG.fullmatch(slug) else ""
    with engine.connect() as connection:
        row = connection.execute(query.where(tables.feed.c.slug == known)).first()
    if row is None:
        raise Unknown("there is no such feed")
    if not row.enabled:
        raise Disabled(f"'{row.slug}' is switched off")
    return row


def _secret(connection: Connection, slug: str) -> Feed:
    feed = _one(connection, slug)
    if feed.public:
        raise ValueError(f"'{slug}' is public: it has no token")
    return feed


def _one(connection: Connection, slug: str) -> Feed:
    row = connection.execute(select(tables.feed).where(tables.feed.c.slug == slug)).first()
    if row is None:
        raise Unknown(f"there is no feed called '{slug}'")
    return _feed(row)


def _feed(row: Row[Any]) -> Feed:
    also = tuple(map(CalendarRef.parse, row.also or ()))
    facts = row.id, row.slug, row.title, CalendarRef.parse(row.calendar), row.public, row.enabled, row.created_at
    return Feed(*facts, also, from_json(row.policies))


def _new_token(
    connection: Connection, feed: Feed, now: datetime, name: str = FIRST, until: datetime | None = None
) -> str:
    token = secrets.token_urlsafe(32)
    values = {"feed_id": feed.id, "hash": _hash(token), "created_at": now, "name": name, "until": until}
    connection.execute(insert(tables.feed_token).values(values))
    return token


def _hash(token: str) -> str:
    return sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
