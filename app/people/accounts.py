"""Administrators who sign in here with a password, for those who have no identity provider.

Passwords are kept as Argon2id hashes. Whoever guesses is slowed down: after a few wrong passwords in a row the account
takes none for a while, the right one neither, so that guessing stays as slow from a thousand addresses as from one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import Engine, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from app.store.engine import writing
from app.store.tables import account

SHORTEST = 12
"""Letters of a password (NIST SP 800-63B asks for 8 and advises 15)."""
FREE = 5
"""Wrong passwords in a row before the account rests."""
FIRST_REST, LONGEST_REST = timedelta(minutes=1), timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class Account:
    """Who may sign in; `changed_at` is when the password was set: sessions from before are over."""

    name: str
    changed_at: datetime


class Resting(ValueError):
    """Too many wrong passwords: none is taken until `until` (aware)."""

    def __init__(self, until: datetime) -> None:
        super().__init__("There were too many wrong passwords. Wait a few minutes, and try again.")
        self.until = until


def put(engine: Engine, name: str, password: str, now: datetime) -> bool:
    """Make the account, or give it this password; whether it is new. ValueError says what is wrong with either."""
    _check(name, password)
    values = {"hash": _hasher().hash(password), "changed_at": now, "failures": 0, "rests_until": None}
    with writing(engine) as connection:
        if connection.execute(update(account).where(account.c.name == name).values(values)).rowcount:
            return False
        try:
            connection.execute(insert(account).values(name=name, **values))
        except IntegrityError:
            raise ValueError(f"somebody else is making '{name}' right now: try again") from None
    return True


def remove(engine: Engine, name: str) -> bool:
    """Whether there was such an account; its sessions are over."""
    with writing(engine) as connection:
        return bool(connection.execute(delete(account).where(account.c.name == name)).rowcount)


def every_one(engine: Engine) -> Sequence[Account]:
    """All accounts, by name."""
    with engine.connect() as connection:
        rows = connection.execute(select(account.c.name, account.c.changed_at).order_by(account.c.name))
        return [Account(row.name, row.changed_at) for row in rows]


def get(engine: Engine, name: str) -> Account | None:
    with engine.connect() as connection:
        row = connection.execute(select(account.c.name, account.c.changed_at).where(account.c.name == name)).first()
    return Account(row.name, row.changed_at) if row else None


def check(engine: Engine, name: str, password: str, now: datetime) -> Account | None:
    """The account, if the password is its own. Resting while it takes none.

    A name that is nobody's costs the same time as one that is somebody's.
    """
    with engine.connect() as connection:
        row = connection.execute(select(account).where(account.c.name == name)).first()
    if row is not None and row.rests_until is not None and row.rests_until > now:
        raise Resting(row.rests_until)
    right = _fits(row.hash if row is not None else _nobodys_hash(), password)
    if row is None:
        return None
    _note(engine, name, 0 if right else row.failures + 1, now)
    return Account(row.name, row.changed_at) if right else None


def _note(engine: Engine, name: str, failures: int, now: datetime) -> None:
    """Of two wrong passwords at once both count: the later reads more than it finds, never less."""
    rest = FIRST_REST * (1 << min(failures - FREE, 10)) if failures >= FREE else None
    values = {
        "failures": account.c.failures + 1 if failures else 0,
        "rests_until": now + min(rest, LONGEST_REST) if rest else None,
    }
    with writing(engine) as connection:
        connection.execute(update(account).where(account.c.name == name).values(values))


def _check(name: str, password: str) -> None:
    if not (0 < len(name) <= 100 and name.isprintable() and name.strip() == name):
        raise ValueError("an account needs a name, of 100 letters at most")
    if len(password) < SHORTEST:
        raise ValueError(f"a password has {SHORTEST} letters at least; several words make a good one")
    if len(password) > 1000:
        raise ValueError("a password has 1000 letters at most")


def _fits(hash: str, password: str) -> bool:
    try:
        return _hasher().verify(hash, password[:1001])
    except (VerificationError, InvalidHashError):
        return False


@lru_cache(maxsize=1)
def _hasher() -> PasswordHasher:
    return PasswordHasher()


@lru_cache(maxsize=1)
def _nobodys_hash() -> str:
    return _hasher().hash("nobody has this password")
