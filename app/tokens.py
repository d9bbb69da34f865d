"""API tokens: made by a command, kept as hashes, asked for by whatever writes."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Engine, delete, insert, select
from sqlalchemy.exc import IntegrityError

from app.store.engine import writing
from app.store.tables import api_token


def digest(token: str) -> str:
    """What of a token is kept: its SHA-256, hex. Enough for 256 random bits; nothing to guess, so nothing to salt."""
    return hashlib.sha256(token.encode()).hexdigest()


def add(engine: Engine, name: str, now: datetime) -> str:
    """A new token, told this once. ValueError if the name is taken."""
    token = "cb_" + secrets.token_urlsafe(32)
    try:
        with writing(engine) as connection:
            connection.execute(insert(api_token).values(name=name, hash=digest(token), created_at=now))
    except IntegrityError:
        raise ValueError(f"there is a token called '{name}' already: revoke it first, or choose another name") from None
    return token


def revoke(engine: Engine, name: str) -> bool:
    """Whether there was such a token; it is dead from now on."""
    with writing(engine) as connection:
        return bool(connection.execute(delete(api_token).where(api_token.c.name == name)).rowcount)


def names(engine: Engine) -> Sequence[tuple[str, datetime]]:
    """Each token's name and when it was made."""
    with engine.connect() as connection:
        rows = connection.execute(select(api_token.c.name, api_token.c.created_at).order_by(api_token.c.name))
        return [(row.name, row.created_at) for row in rows]


def any_made(engine: Engine) -> bool:
    """Whether any token exists: from then on, everything that writes needs one, wherever it comes from."""
    with engine.connect() as connection:
        return connection.execute(select(api_token.c.id).limit(1)).first() is not None


def holder(engine: Engine, token: str) -> str | None:
    """The name of the token, or None if it is none of ours."""
    with engine.connect() as connection:
        return connection.execute(select(api_token.c.name).where(api_token.c.hash == digest(token))).scalar()
