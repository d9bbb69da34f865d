"""The address that a person from a course has of that course's feed: made once, and shown again at each launch.

The vault keeps the address itself, as the feed keeps but its hash. Whoever renews it on its page is shown the new one
from then on; whoever ended it gets another at the next launch.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

from sqlalchemy import Engine, String, cast, delete, insert, literal, select, update

from app.feeds.feed import Disabled, Feed, Unknown
from app.feeds.mint import FIRST, hashed
from app.feeds.register import LONGEST_TITLE, feed_of
from app.feeds.serve import Feeds
from app.ics.render import one_line
from app.store import tables
from app.store.engine import writing
from app.store.vault import StoreVault
from bridges.model import CalendarRef

LONGEST_NAME = 100


class NoFeed(LookupError):
    """The course has no feed, and none may be made."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a person reads a course's feed: under `token`, None where it is open to all."""

    slug: str
    token: str | None


@dataclass(frozen=True, slots=True)
class Addresses:
    """Over one store. `now` gives aware times."""

    engine: Engine
    feeds: Feeds
    vault: StoreVault
    now: Callable[[], datetime]

    def of(self, platform: str, person: str, calendar: CalendarRef, title: str, may_make: bool) -> Address:
        """The address of that person, as `platform` calls the person; made now where there is none.

        With `may_make` a course that has no secret feed gets one, called `title`. NoFeed where there is none, Disabled
        where it is switched off.
        """
        feed = self._feed(calendar, title, may_make)
        if feed.public:
            return Address(feed.slug, None)
        whose = sha256(f"{platform}\n{person}\n{feed.id}".encode()).hexdigest()
        with self.vault.alone(f"{tables.LTI_ADDRESS}{whose}"):  # two launches at once make one address
            token = self._kept(platform, person, feed) or self._made(platform, person, feed)
        return Address(feed.slug, token)

    def renewed(self, old: str, new: str) -> None:
        """The holder of an address has another in its place."""
        row, token = tables.lti_address.c, tables.feed_token.c
        with writing(self.engine) as connection:
            was = select(token.id).where(token.hash == hashed(old)).scalar_subquery()
            id = connection.execute(select(row.id).where(row.token_id == was)).scalar()
            if id is None:
                return
            now = select(token.id).where(token.hash == hashed(new)).scalar_subquery()
            connection.execute(update(tables.lti_address).where(row.id == id).values(token_id=now))
        self.vault.put(f"{tables.LTI_ADDRESS}{id}", new)

    # ------------------------------------------------------------------------------------------------- the feed

    def _feed(self, calendar: CalendarRef, title: str, may_make: bool) -> Feed:
        """The course's secret feed; a public one only where none may be made."""
        found = self._feeds_of(calendar)
        secret = [feed for feed in found if not feed.public]
        if secret:
            return next((feed for feed in secret if feed.enabled), secret[0])
        if may_make:
            return self._published(calendar, title)
        public = next((feed for feed in found if feed.enabled), None)
        if public is None:
            raise NoFeed(f"{calendar} has no feed")
        return public

    def _feeds_of(self, calendar: CalendarRef) -> list[Feed]:
        """The feeds of this calendar alone, by slug."""
        query = select(tables.feed).where(tables.feed.c.calendar == str(calendar)).order_by(tables.feed.c.slug)
        with self.engine.connect() as connection:
            feeds = [feed_of(row) for row in connection.execute(query)]
        return [feed for feed in feeds if not feed.also]

    def _published(self, calendar: CalendarRef, title: str) -> Feed:
        """A new secret feed. The token that it begins with was told to nobody, and is dead at once."""
        title = one_line(title)[:LONGEST_TITLE] or calendar.id
        slug = slug_of(calendar, title)
        try:
            self.feeds.add(slug, title, calendar, public=False)
        except ValueError:  # another launch was the faster
            return self.feeds.by_slug(slug)
        self.feeds.revoke(slug, FIRST)
        return self.feeds.by_slug(slug)

    # ---------------------------------------------------------------------------------------------- the address

    def _kept(self, platform: str, person: str, feed: Feed) -> str | None:
        """The address that the person has, if it still opens the feed."""
        id = self._row(platform, person, feed)
        token = self.vault.get(f"{tables.LTI_ADDRESS}{id}") if id is not None else None
        if token is None:
            return None
        try:
            self.feeds.require(token, feed.slug)
        except Unknown:
            return None
        return token

    def _made(self, platform: str, person: str, feed: Feed) -> str:
        if not feed.enabled:
            raise Disabled(f"'{feed.slug}' is switched off")
        name = token_name(platform, person)
        if any(one.name == name for one in self.feeds.tokens(feed.slug)):
            self.feeds.revoke(feed.slug, name)  # nobody knows it any more, or it would have been kept
        token = self.feeds.add_token(feed.slug, name)
        id = self._noted(platform, person, feed, token)
        self.vault.put(f"{tables.LTI_ADDRESS}{id}", token)
        return token

    def _row(self, platform: str, person: str, feed: Feed) -> int | None:
        row = tables.lti_address.c
        mine = (row.platform == platform, row.person == person, row.feed_id == feed.id)
        with self.engine.connect() as connection:
            return connection.execute(select(row.id).where(*mine)).scalar()

    def _noted(self, platform: str, person: str, feed: Feed, token: str) -> int:
        """The row that says whose the token is. What the vault has of rows that are gone goes, too."""
        row, secret = tables.lti_address.c, tables.secret.c.name
        mine = (row.platform == platform, row.person == person, row.feed_id == feed.id)
        of = select(tables.feed_token.c.id).where(tables.feed_token.c.hash == hashed(token)).scalar_subquery()
        known = select(literal(tables.LTI_ADDRESS) + cast(row.id, String))
        with writing(self.engine) as connection:
            if not connection.execute(update(tables.lti_address).where(*mine).values(token_id=of)).rowcount:
                values = {"platform": platform, "person": person, "feed_id": feed.id, "token_id": of}
                connection.execute(insert(tables.lti_address).values(values))
            gone = secret.startswith(tables.LTI_ADDRESS, autoescape=True) & secret.not_in(known)
            connection.execute(delete(tables.secret).where(gone))
            return int(connection.execute(select(row.id).where(*mine)).scalar_one())


def slug_of(calendar: CalendarRef, title: str) -> str:
    """A name for the feed's address: readable, and the same for the same course always."""
    readable = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")[:60].strip("-") or "course"
    return f"{readable}-{sha256(str(calendar).encode()).hexdigest()[:8]}"


def token_name(platform: str, person: str) -> str:
    """What the token is called that a person has: the LMS's own id, which is no name; a hash of it where it is long."""
    name = f"{platform} {person}"
    return name if len(name) <= LONGEST_NAME else f"{platform} {sha256(person.encode()).hexdigest()[:32]}"
