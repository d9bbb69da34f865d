"""Names for whoever is typing one: those that begin so, a few of them, each with a word on what it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Engine, Select, String, cast, select

from app.store import tables

MOST = 50
"""More than that nobody reads."""
Names = Sequence[tuple[str, str]]


def feeds(engine: Engine, begun: str) -> Names:
    """Feeds by their slug, each with its title."""
    feed = tables.feed.c
    query = select(feed.slug, feed.title).where(feed.slug.startswith(begun, autoescape=True)).order_by(feed.slug)
    return _few(engine, query)


def runs(engine: Engine, begun: str) -> Names:
    """The latest runs by number, each with what it is."""
    run = tables.import_run.c
    number = cast(run.id, String)
    what = run.state + " " + run.kind + " " + run.calendar
    return _few(engine, select(number, what).where(number.startswith(begun, autoescape=True)).order_by(run.id.desc()))


def subscriptions(engine: Engine, begun: str) -> Names:
    """Subscriptions by number, each with its name."""
    one = tables.subscription.c
    number = cast(one.id, String)
    return _few(engine, select(number, one.source).where(number.startswith(begun, autoescape=True)).order_by(one.id))


def calendars(engine: Engine, begun: str) -> Names:
    """The calendars that were read before, and are no person's own."""
    name = tables.calendar_reading.c.calendar
    nobodys = name.not_like("%/person/%")
    return _few(engine, select(name, name).where(name.startswith(begun, autoescape=True), nobodys).order_by(name))


def _few(engine: Engine, query: Select[Any]) -> Names:
    with engine.connect() as connection:
        return [(name, about) for name, about in connection.execute(query.limit(MOST))]
