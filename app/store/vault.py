"""The vault: secrets that an LMS hands out one by one, encrypted at rest and shared by all processes."""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from sqlalchemy import Engine, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from app.store import tables
from app.store.engine import writing
from app.store.leases import Busy, lease
from bridges.errors import Denied, Transient

PATIENCE = 60.0
"""Seconds that `alone` waits for another holder."""

LENGTH = timedelta(minutes=20)
"""How long a dead holder on another host is waited for: more than the longest call that a bridge may be set to."""

FIRST_PAUSE, LONGEST_PAUSE = 0.01, 0.25
"""Seconds between two looks at a lease that another holds; they double."""


class StoreVault:
    """The Vault of bridges.contract over the table `secret`.

    `key` gives one or more keys of 32 bytes in base64, divided by blanks: the first encrypts, each decrypts. It is
    asked whenever a secret is put or got, for another process may have put a new key in the old one's place, and not
    before. `now` gives aware times. Denied where there is no key, or where a secret was put with another one.
    """

    def __init__(
        self, engine: Engine, key: Callable[[], str], now: Callable[[], datetime], patience: float = PATIENCE
    ) -> None:
        self._engine = engine
        self._key = key
        self._now = now
        self._patience = patience

    def __repr__(self) -> str:
        return "StoreVault(…)"

    def get(self, name: str) -> str | None:
        """The secret, or None if none was put."""
        try:
            return self._got(name)
        except Denied:
            return self._got(name)  # a new key may have come between the row and the key

    def _got(self, name: str) -> str | None:
        with self._engine.connect() as connection:
            row = connection.execute(select(tables.secret.c.ciphertext).where(tables.secret.c.name == name)).first()
        return None if row is None else opened(self._cipher, name, row.ciphertext)

    def put(self, name: str, secret: str) -> None:
        """Keep the secret: it is committed when this returns. An empty one takes the earlier one away."""
        row = tables.secret.c.name == name
        with writing(self._engine) as connection:
            if not secret:
                connection.execute(delete(tables.secret).where(row))
                return
            # the key is asked inside the transaction: whoever changes it encrypts anew in one after this
            values = {"ciphertext": self._cipher.encrypt(_bound(name, secret)), "changed_at": self._now()}
            change = update(tables.secret).where(row).values(values)
            if connection.execute(change).rowcount:
                return
            try:
                with connection.begin_nested():
                    connection.execute(insert(tables.secret).values(name=name, **values))
            except IntegrityError:  # of two that put it first at once, the second changes it
                connection.execute(change)

    @contextmanager
    def alone(self, name: str) -> Iterator[None]:
        """Held by one thread of one process at a time, and not twice by the same. Transient after `patience` seconds.

        A lease, and no lock on a row: what happens meanwhile may take long, and other writers must not wait for it.
        """
        with ExitStack() as stack:
            self._wait(lambda: stack.enter_context(lease(self._engine, f"secret {name}", self._now, LENGTH)))
            yield

    def _wait(self, enter: Callable[[], object]) -> None:
        deadline, pause = time.monotonic() + self._patience, FIRST_PAUSE
        while True:
            try:
                enter()
                return
            except Busy as busy:
                if time.monotonic() + pause > deadline:
                    raise Transient(
                        "Another worker has been busy with the same thing for longer than expected.",
                        retry_after=self._patience,
                    ) from busy
            time.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    def derived(self, purpose: str) -> bytes:
        """32 bytes that only holders of the key can know, other ones for each purpose."""
        key = base64.urlsafe_b64decode(self._keys[0])
        return hmac.digest(key, f"calbridge {purpose}".encode(), hashlib.sha256)

    @property
    def _keys(self) -> list[str]:
        return self._key().split()

    @property
    def _cipher(self) -> MultiFernet:
        return cipher_of(self._keys)


def cipher_of(keys: Sequence[str]) -> MultiFernet:
    """Encrypts with the first key, decrypts with each."""
    return MultiFernet([Fernet(key) for key in keys])


def opened(cipher: MultiFernet, name: str, ciphertext: bytes) -> str:
    """The secret of that name. Denied where it is another's, or was put with a key that is not there."""
    try:
        owner, _, secret = cipher.decrypt(ciphertext).decode().partition("\0")
    except InvalidToken:
        owner, secret = "", ""
    if owner != name:
        raise Denied(
            "A secret in the database was stored with another key than the one in use: put the old key back "
            "(store.key, or the file beside the database), or sign in anew."
        )
    return secret


def _bound(name: str, secret: str) -> bytes:
    """The secret with its name inside, so that no row can be put in another's place."""
    return f"{name}\0{secret}".encode()
