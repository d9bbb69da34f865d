"""API tokens: made by a command, kept as hashes, asked for by whatever writes. Each may do what its scope says."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import Engine, Row, delete, insert, select, update
from sqlalchemy.exc import IntegrityError, OperationalError

from app.store.engine import writing
from app.store.tables import api_token


def digest(token: str) -> str:
    """What of a token is kept: its SHA-256, hex. Enough for 256 random bits; nothing to guess, so nothing to salt."""
    return hashlib.sha256(token.encode()).hexdigest()


class Scope(StrEnum):
    """What a token may do; each holds those before it."""

    READ = "read"
    IMPORT = "import"
    ADMIN = "admin"


NOTED_EVERY = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Token:
    """A token, without itself. `used_at` is true to ten minutes, None if nobody ever used it."""

    name: str
    created_at: datetime
    scope: Scope
    used_at: datetime | None = None

    def to_json(self) -> dict[str, Any]:
        """All of it; times as ISO 8601 in UTC."""
        used_at = self.used_at and self.used_at.isoformat()
        return {
            "name": self.name,
            "scope": self.scope.value,
            "created_at": self.created_at.isoformat(),
            "used_at": used_at,
        }


def add(engine: Engine, name: str, now: datetime, scope: Scope = Scope.ADMIN) -> str:
    """A new token, told this once. ValueError if the name is taken."""
    token = "cb_" + secrets.token_urlsafe(32)
    try:
        with writing(engine) as connection:
            connection.execute(insert(api_token).values(name=name, hash=digest(token), created_at=now, scope=scope))
    except IntegrityError:
        raise ValueError(f"there is a token called '{name}' already: revoke it first, or choose another name") from None
    return token


def revoke(engine: Engine, name: str) -> bool:
    """Whether there was such a token; it is dead from now on."""
    with writing(engine) as connection:
        return bool(connection.execute(delete(api_token).where(api_token.c.name == name)).rowcount)


def every_one(engine: Engine) -> Sequence[Token]:
    """All tokens, by name."""
    with engine.connect() as connection:
        rows = connection.execute(select(api_token).order_by(api_token.c.name))
        return [_token(row) for row in rows]


def any_made(engine: Engine) -> bool:
    """Whether any token exists: from then on, everything that writes needs one, wherever it comes from."""
    with engine.connect() as connection:
        return connection.execute(select(api_token.c.id).limit(1)).first() is not None


def opened(engine: Engine, token: str, now: datetime | None = None) -> Token | None:
    """What this token is, or None if it is none of ours. Who tells the time `now` has it noted that it was used."""
    with engine.connect() as connection:
        row = connection.execute(select(api_token).where(api_token.c.hash == digest(token))).first()
    if row and now and (row.used_at is None or now - row.used_at >= NOTED_EVERY):
        _note(engine, row.id, now)
    return _token(row) if row else None


def _note(engine: Engine, id: int, now: datetime) -> None:
    """A store that cannot be written just now keeps no token from opening."""
    with suppress(OperationalError), writing(engine) as connection:
        connection.execute(update(api_token).where(api_token.c.id == id).values(used_at=now))


def _token(row: Row[Any]) -> Token:
    return Token(row.name, row.created_at, Scope(row.scope), row.used_at)
