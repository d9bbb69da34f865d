"""Makes the secret of a feed's address. A token is kept as its SHA-256 alone, and looked up by it."""

from __future__ import annotations

import secrets
from datetime import datetime
from hashlib import sha256
from typing import Any

from sqlalchemy import Connection, insert

from app.store import tables

FIRST = "first"
"""What the token is called that a feed begins with."""


def mint(connection: Connection, feed_id: int, now: datetime, name: str = FIRST, **more: Any) -> str:
    """A new token of 256 random bits, told this once; `more` are further columns of its row."""
    token = secrets.token_urlsafe(32)
    values = {"feed_id": feed_id, "hash": hashed(token), "created_at": now, "name": name} | more
    connection.execute(insert(tables.feed_token).values(values))
    return token


def hashed(token: str) -> str:
    """What of a token is kept. Enough for 256 random bits; nothing to guess, so nothing to salt."""
    return sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
