"""Which feeds there are, under which names, and what each shows."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, Row, Select, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from app.feeds.feed import Disabled, Feed, Unknown
from app.feeds.mint import mint
from app.feeds.policies import USUAL, Policies, changed, from_json
from app.ics.render import one_line
from app.store import tables
from app.store.engine import writing
from app.store.slices import Part, Slice, part_of
from bridges.model import CalendarRef

SLUG = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,98}[a-z0-9])?")
LONGEST_TITLE = 255


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
            feed = named_one(connection, slug)
            return feed, None if public else mint(connection, feed.id, now)
    except IntegrityError:
        raise ValueError(f"there is a feed called '{slug}' already") from None


def every_feed(engine: Engine) -> Sequence[Feed]:
    """All feeds, by slug."""
    with engine.connect() as connection:
        return [feed_of(row) for row in connection.execute(select(tables.feed).order_by(tables.feed.c.slug))]


def some(engine: Engine, asked: Slice, *, public_alone: bool = False) -> Part[Feed]:
    """Some feeds, by slug; searched are name, title and first calendar."""
    feed = tables.feed.c
    with engine.connect() as connection:
        query = select(tables.feed).order_by(feed.slug)
        query = query.where(feed.public) if public_alone else query
        return part_of(connection, query, asked, (feed.slug, feed.title, feed.calendar)).map(feed_of)


def by_slug(engine: Engine, slug: str) -> Feed:
    """The feed of that name. Unknown if there is none."""
    with engine.connect() as connection:
        return named_one(connection, slug)


def remove(engine: Engine, slug: str) -> None:
    """Forget the feed, its tokens and its bodies. Unknown if there is none."""
    with writing(engine) as connection:
        connection.execute(delete(tables.feed).where(tables.feed.c.id == named_one(connection, slug).id))


def switch(engine: Engine, slug: str, enabled: bool) -> None:
    """Publish the feed, or do so no longer; its tokens are kept. Unknown if there is none."""
    with writing(engine) as connection:
        feed = named_one(connection, slug)
        connection.execute(update(tables.feed).where(tables.feed.c.id == feed.id).values(enabled=enabled))


def decide(engine: Engine, slug: str, settings: Sequence[str]) -> Policies:
    """Change the feed's policies by `key=value` settings. ValueError says what fits, Unknown if there is none."""
    with writing(engine) as connection:
        feed = named_one(connection, slug)
        policies = changed(feed.policies, settings)
        if policies.learningspace and not feed.public:
            raise ValueError("learningspace: its addresses hold no secret, so that the feed has to be a public one")
        values = {"policies": policies.to_json()}
        connection.execute(update(tables.feed).where(tables.feed.c.id == feed.id).values(values))
    return policies


def open_to_all(engine: Engine, slug: str) -> Feed:
    """The public feed of that name. Unknown if there is none, Disabled if it is switched off."""
    return feed_of(published(engine, select(tables.feed).where(tables.feed.c.public), slug))


def of_learningspace(engine: Engine) -> Feed:
    """The public feed that answers at LearningSpace's addresses; the first by slug of several. Unknown if none does."""
    for feed in every_feed(engine):
        if feed.policies.learningspace and feed.public and feed.enabled:
            return feed
    raise Unknown("no feed answers at LearningSpace's addresses")


def published(engine: Engine, query: Select[Any], slug: str) -> Row[Any]:
    """The row that the query finds under this slug. Unknown if none, Disabled if the feed is switched off."""
    known = slug if SLUG.fullmatch(slug) else ""
    with engine.connect() as connection:
        row = connection.execute(query.where(tables.feed.c.slug == known)).first()
    if row is None:
        raise Unknown("there is no such feed")
    if not row.enabled:
        raise Disabled(f"'{row.slug}' is switched off")
    return row


def named_one(connection: Connection, slug: str) -> Feed:
    """The feed of that name. Unknown if there is none."""
    row = connection.execute(select(tables.feed).where(tables.feed.c.slug == slug)).first()
    if row is None:
        raise Unknown(f"there is no feed called '{slug}'")
    return feed_of(row)


def feed_of(row: Row[Any]) -> Feed:
    """The feed that a row of its table tells of."""
    also = tuple(map(CalendarRef.parse, row.also or ()))
    facts = row.id, row.slug, row.title, CalendarRef.parse(row.calendar), row.public, row.enabled, row.created_at
    return Feed(*facts, also, from_json(row.policies))
