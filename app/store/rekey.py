"""A new key for stored secrets in place of the old one, step by step: whoever is stopped between two begins again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path

from sqlalchemy import Engine, select, update

from app.store import tables
from app.store.engine import writing
from app.store.keys import key_file, key_source, new_key, put_keys
from app.store.leases import lease
from app.store.vault import cipher_of, opened
from bridges.errors import Denied


def rotate(engine: Engine, configured: str, now: datetime) -> Iterator[str]:
    """Encrypt every secret with the first key of `configured` (store.key); without that, with a new one in the file
    beside the SQLite database, from which the old one is taken.

    What was done is told after each step. ValueError where no new key is configured, Denied where a secret opens with
    none: nothing is changed then. Busy where another does the same right now.
    """
    with lease(engine, "a new key", lambda: now):
        yield from _rotated(engine, configured, now)


def _rotated(engine: Engine, configured: str, now: datetime) -> Iterator[str]:
    if configured:
        yield from _configured(engine, configured.split(), now)
    elif (file := key_file(engine.url)) is not None:
        yield from _beside(engine, file, now)
    else:
        key_source(engine.url, configured)()  # says what is missing


def _configured(engine: Engine, keys: Sequence[str], now: datetime) -> Iterator[str]:
    if len(keys) == 1:
        raise ValueError(
            "store.key holds one key alone: put a new one and a blank before it (openssl rand -base64 32), "
            "restart every process, and say this again"
        )
    count = encrypt_anew(engine, keys, now)
    yield f"{count} secrets are encrypted with the first key of store.key: take the others out, and restart"


def _beside(engine: Engine, file: Path, now: datetime) -> Iterator[str]:
    """Other processes look into the file each time: it holds both keys until the last secret has the new one."""
    for draft in file.parent.glob(f".{file.name}.*"):
        draft.unlink(missing_ok=True)  # of one who was killed: a key must not lie about
    keys = key_source(engine.url, "")().split()
    if len(keys) == 1:
        keys = [new_key(), *keys]
        put_keys(file, *keys)
        yield f"{file} holds a new key before the old one"
    count = encrypt_anew(engine, keys, now)
    yield f"{count} secrets are encrypted with the new key"
    put_keys(file, keys[0])
    yield f"{file} holds the new key alone"


def encrypt_anew(engine: Engine, keys: Sequence[str], now: datetime) -> int:
    """Every secret with the first of the keys, in one transaction; how many there are. Denied where one opens with
    none of them: it is named, and nothing is changed."""
    secret, cipher = tables.secret.c, cipher_of(keys)
    with writing(engine) as connection:
        rows = connection.execute(select(tables.secret).order_by(secret.name).with_for_update()).all()
        for row in rows:
            try:
                opened(cipher, row.name, row.ciphertext)
            except Denied as error:
                raise Denied(f"'{row.name}' opens with none of the keys, and nothing was changed. {error}") from error
            values = {"ciphertext": cipher.rotate(row.ciphertext), "changed_at": now}
            connection.execute(update(tables.secret).where(secret.name == row.name).values(values))
    return len(rows)
