"""What programs were answered, kept for a day: whoever asks again under the same key is answered so, and not obeyed.

Kept are answers to requests with an Idempotency-Key (draft-ietf-httpapi-idempotency-key-header-07), encrypted, for one
may hold a secret that is shown once. Of key and request there are hashes alone.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from cryptography.fernet import Fernet, InvalidToken
from sqlalchemy import Engine, delete, insert, select
from sqlalchemy.exc import IntegrityError

from app.store import tables
from app.store.engine import writing

_table = tables.kept_answer


class AnotherRequest(ValueError):
    """The key was used for another request."""


@dataclass(frozen=True, slots=True)
class Kept:
    """An answer: its status, those of its headers that belong to it, its body."""

    status: int
    headers: Sequence[tuple[str, str]]
    body: bytes


@dataclass(frozen=True, slots=True)
class Answers:
    """The answers of one store. `secret` gives 32 bytes that seal them, asked for when one is kept or found, and not
    before; its errors are the vault's. `now` gives aware times."""

    engine: Engine
    secret: Callable[[], bytes]
    now: Callable[[], datetime]

    def find(self, key: str, request: str) -> Kept | None:
        """What was answered under this key. AnotherRequest where that was to another one.

        One that was sealed under a key of the store that has gone since counts as none.
        """
        with self.engine.connect() as connection:
            row = connection.execute(select(_table).where(_table.c.key == key)).first()
        if row is None:
            return None
        if row.request != request:
            raise AnotherRequest("this Idempotency-Key was sent with another request: each request has its own key")
        try:
            status, headers, body = json.loads(self._cipher.decrypt(row.sealed))
        except InvalidToken:
            return None
        return Kept(status, [(name, value) for name, value in headers], base64.b64decode(body))

    def keep(self, key: str, request: str, answer: Kept) -> None:
        """Keep it, in place of what was kept under that key."""
        text = json.dumps([answer.status, list(answer.headers), base64.b64encode(answer.body).decode()])
        values = {"request": request, "at": self.now(), "sealed": self._cipher.encrypt(text.encode())}
        with writing(self.engine) as connection:
            connection.execute(delete(_table).where(_table.c.key == key))
            try:
                with connection.begin_nested():
                    connection.execute(insert(_table).values(key=key, **values))
            except IntegrityError:
                return  # the same was answered at the same moment, by somebody who took us for dead

    @property
    def _cipher(self) -> Fernet:
        return Fernet(base64.urlsafe_b64encode(self.secret()))


def digest(*parts: str) -> str:
    """SHA-256 over the parts, hex; where one ends and the next begins makes a difference."""
    whole = hashlib.sha256()
    for part in parts:
        whole.update(f"{len(part)}:{part}".encode(errors="surrogatepass"))
    return whole.hexdigest()
