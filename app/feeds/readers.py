"""Who reads a feed: the kinds of programs, and when each looked last; of secret feeds by their addresses."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from itertools import groupby
from threading import Lock
from typing import Any

from cachetools import LRUCache
from sqlalchemy import Engine, insert, select, update
from sqlalchemy.exc import IntegrityError, OperationalError

from app.feeds.behind import Later, at_once
from app.feeds.clients import OTHER, family_of
from app.feeds.feed import Feed, Token
from app.store import tables
from app.store.engine import writing

NOTED_EVERY = timedelta(minutes=10)
REMEMBERED = 20_000
"""Feeds and kinds of programs that one process knows to be noted."""


@dataclass(frozen=True, slots=True)
class Reader:
    """A kind of program that reads a feed, and when one of it looked last (aware, true to ten minutes); `addresses`
    counts those of a secret feed that it reads, and is 0 for a public one, whose readers nobody can count."""

    client: str
    used_at: datetime
    addresses: int = 0

    def to_json(self) -> dict[str, Any]:
        return {"client": self.client, "used_at": self.used_at.isoformat(), "addresses": self.addresses}


@dataclass(slots=True)
class Readers:
    """Notes the kinds of programs that read public feeds, each once in ten minutes; nothing of whose they are."""

    engine: Engine
    later: Later = at_once
    _noted: LRUCache[tuple[int, str], datetime] = field(default_factory=lambda: LRUCache(REMEMBERED), repr=False)
    _lock: Lock = field(default_factory=Lock, repr=False)

    def note(self, feed: Feed, user_agent: str, now: datetime) -> None:
        """Somebody reads this public feed with that program. A store that is busy keeps nobody from reading."""
        client = family_of(user_agent)
        with self._lock:
            last = self._noted.get((feed.id, client))
            if last is not None and now - last < NOTED_EVERY:
                return
            self._noted[feed.id, client] = now
        self.later(f"reader {feed.id} {client}", partial(self._keep, feed.id, client, now))

    def _keep(self, feed_id: int, client: str, now: datetime) -> None:
        """Of two who keep it at once either is right, and a feed may be gone meanwhile."""
        table = tables.feed_reader
        mine = (table.c.feed_id == feed_id) & (table.c.client == client)
        with suppress(OperationalError, IntegrityError), writing(self.engine) as connection:
            if not connection.execute(update(table).where(mine).values(used_at=now)).rowcount:
                connection.execute(insert(table).values(feed_id=feed_id, client=client, used_at=now))

    def of_public(self, feeds: Sequence[Feed]) -> dict[int, list[Reader]]:
        """Those of each of these feeds, by its id, who looked last first: in one look."""
        table = tables.feed_reader.c
        ids = [feed.id for feed in feeds if feed.public]
        query = select(tables.feed_reader).where(table.feed_id.in_(ids)).order_by(table.feed_id, table.used_at.desc())
        with self.engine.connect() as connection:
            rows = connection.execute(query).all() if ids else []
        return {
            id: [Reader(row.client, row.used_at) for row in mine] for id, mine in groupby(rows, lambda r: r.feed_id)
        }


def of_tokens(tokens: Sequence[Token]) -> Sequence[Reader]:
    """The kinds of programs that read a secret feed by these addresses, who looked last first."""
    found: dict[str, Reader] = {}
    for token in tokens:
        if token.used_at is not None:
            client = token.client or OTHER
            known = found.get(client, Reader(client, token.used_at))
            found[client] = Reader(client, max(known.used_at, token.used_at), known.addresses + 1)
    return sorted(found.values(), key=lambda reader: reader.used_at, reverse=True)
