"""Bodies of feeds between the processes: what one has built, the others find, and it itself after a restart.

The store has no bodies, since it would grow with their readers; a body is joined anew from pieces, which takes
milliseconds for a feed of a few calendars and more for large ones. What is found there is believed only where it has
the hash that the store told: neither a stale nor a forged body gets out.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Protocol

DAY = 24 * 60 * 60
"""Seconds after which a body that was not built again is forgotten."""


class Far(Protocol):
    """Where bodies lie that other processes may know. Never raises, and never takes long."""

    def get(self, etag: str) -> bytes | None: ...
    def put(self, etag: str, body: bytes) -> None: ...


class Nowhere:
    """No such place."""

    def get(self, etag: str) -> bytes | None:
        return None

    def put(self, etag: str, body: bytes) -> None:
        return


def is_it(etag: str, body: bytes) -> bool:
    return sha256(body).hexdigest() == etag
