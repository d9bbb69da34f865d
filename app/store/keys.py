"""Where the key of stored secrets comes from: the configuration, or a file beside a SQLite database."""

from __future__ import annotations

import base64
import os
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from uuid import uuid4

from cryptography.fernet import Fernet
from sqlalchemy import URL

from bridges.errors import Denied


def key_source(url: URL, configured: str) -> Callable[[], str]:
    """Gives the keys, divided by blanks, the one that encrypts first: what the configuration names; without that, what
    is in the file beside a SQLite database, made at the first asking.

    Asking is Denied for another database: its key has to be configured, for there is no place beside it that is ours.
    """
    if configured:
        return lambda: configured
    if (file := key_file(url)) is not None:
        return partial(_key_in, file)
    if not url.drivername.startswith("sqlite"):
        return _missing
    key = new_key()
    return lambda: key


def key_file(url: URL) -> Path | None:
    """The file beside a SQLite database; None for one in memory, and for others."""
    if not url.drivername.startswith("sqlite") or url.database in {None, "", ":memory:"}:
        return None
    return Path(f"{url.database}.key")


def new_key() -> str:
    return base64.b64encode(os.urandom(32)).decode()


def put_keys(path: Path, *keys: str) -> None:
    """Let the file hold these keys in place of what it held: the old ones or the new ones, whenever it is looked at."""
    draft = _draft(path, *keys)
    try:
        draft.replace(path)
        _settle(path.parent)
    finally:
        draft.unlink(missing_ok=True)


def _missing() -> str:
    raise Denied("This keeps secrets, and the database is not SQLite: set store.key (openssl rand -base64 32).")


def _key_in(path: Path) -> str:
    """What is in the file. Of processes that make it at once one wins, and none ever sees half of it."""
    try:
        if not path.exists():
            _make(path)
        keys = path.read_text("ascii").strip()
        if not keys:
            raise ValueError("it is empty")
        for key in keys.split():
            Fernet(key)
    except (OSError, ValueError) as error:
        raise Denied(f"{path} cannot be used as the key for stored secrets: {error}") from error
    return keys


def _make(path: Path) -> None:
    draft = _draft(path, new_key())
    try:
        with suppress(FileExistsError):
            os.link(draft, path)
        _settle(path.parent)
    finally:
        draft.unlink(missing_ok=True)


def _draft(path: Path, *keys: str) -> Path:
    """A file beside it, for its owner alone, that is on the disk."""
    draft = path.with_name(f".{path.name}.{uuid4().hex}")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
            file.write(f"{' '.join(keys)}\n")
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    return draft


def _settle(folder: Path) -> None:
    """The folder on the disk as well: secrets are encrypted anew only once their key can be found after a crash."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
