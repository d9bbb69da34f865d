"""The vault: secrets that an LMS hands out one by one, encrypted at rest and shared by all processes."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from uuid import uuid4

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from sqlalchemy import URL, Engine, delete, insert, select, update
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
    asked when a secret is first put or got, and not before. `now` gives aware times. Denied where there is no key,
    or where a secret was put with another one.
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
        with self._engine.connect() as connection:
            row = connection.execute(select(tables.secret.c.ciphertext).where(tables.secret.c.name == name)).first()
        return None if row is None else self._opened(name, row.ciphertext)

    def put(self, name: str, secret: str) -> None:
        """Keep the secret: it is committed when this returns. An empty one takes the earlier one away."""
        row = tables.secret.c.name == name
        with writing(self._engine) as connection:
            if not secret:
                connection.execute(delete(tables.secret).where(row))
                return
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

    @cached_property
    def _keys(self) -> list[str]:
        return self._key().split()

    @cached_property
    def _cipher(self) -> MultiFernet:
        return MultiFernet([Fernet(key) for key in self._keys])

    def _opened(self, name: str, ciphertext: bytes) -> str:
        try:
            owner, _, secret = self._cipher.decrypt(ciphertext).decode().partition("\0")
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


def key_for(url: URL, configured: str) -> str:
    """The key that the configuration names; without one, that of the file beside a SQLite database, made once.

    Denied for another database: its key has to be configured, for there is no place beside it that is ours.
    """
    if configured:
        return configured
    if not url.drivername.startswith("sqlite"):
        raise Denied("This keeps secrets, and the database is not SQLite: set store.key (openssl rand -base64 32).")
    memory = url.database in {None, "", ":memory:"}
    return _new_key() if memory else _key_in(Path(f"{url.database}.key"))


def _new_key() -> str:
    return base64.b64encode(os.urandom(32)).decode()


def _key_in(path: Path) -> str:
    """The key in the file. Of processes that make it at once one wins, and none ever sees half of it."""
    try:
        if not path.exists():
            _make(path)
        key = path.read_text("ascii").strip()
        Fernet(key)
    except (OSError, ValueError) as error:
        raise Denied(f"{path} cannot be used as the key for stored secrets: {error}") from error
    return key


def _make(path: Path) -> None:
    draft = path.with_name(f".{path.name}.{uuid4().hex}")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
            file.write(f"{_new_key()}\n")
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink(missing_ok=True)
