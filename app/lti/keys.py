"""The keys that platforms sign with: fetched from where the configuration says and from nowhere else, and remembered.

A key that is not known is looked for at most once a minute, so that nobody can make us ask a platform again and again.
"""

from __future__ import annotations

import json
import logging
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from threading import Lock
from typing import Any
from urllib.parse import urlsplit

from joserfc.errors import JoseError
from joserfc.jwk import RSAKey

from app.imports.pull.addresses import Fences
from app.imports.pull.fetch import FetchError, FetchSettings, fetch_text
from app.lti.claims import LaunchRefused
from bridges.settings import LOOPBACK

PAUSE = timedelta(minutes=1)
"""Between two looks at the same platform."""
FRESH = timedelta(hours=12)
"""How long a key is taken without asking whether the platform still stands by it."""
SECONDS = 10.0
LARGEST = 200_000
MOST_KEYS = 100
SHORTEST_KEY = 2048
"""Bits, as RFC 7518, section 3.3, wants them."""

log = logging.getLogger(__name__)

Fetch = Callable[[str], str]
"""An address that the configuration names → what is there. FetchError where nothing can be had."""


@dataclass(frozen=True, slots=True)
class _Known:
    asked_at: datetime
    keys: Mapping[str, RSAKey] = field(default_factory=dict)


class Keys:
    """The keys of all platforms, for the threads of one process. `now` gives aware times."""

    def __init__(self, fetch: Fetch, now: Callable[[], datetime]) -> None:
        self._fetch = fetch
        self._now = now
        self._known: dict[str, _Known] = {}
        self._turns: defaultdict[str, Lock] = defaultdict(Lock)

    def key(self, url: str, kid: str) -> RSAKey:
        """The key of that id among those at `url`. LaunchRefused where there is none, or where nobody answers."""
        with self._turns[url]:
            known = self._known.get(url)
            if known is None or self._is_due(known, kid):
                known = self._known[url] = self._asked(url, known)
        if not known.keys:
            raise LaunchRefused("The keys of the LMS cannot be read just now: try again in a minute.", 503)
        if kid not in known.keys:
            raise LaunchRefused("The launch is signed with a key that the LMS does not publish.")
        return known.keys[kid]

    def _is_due(self, known: _Known, kid: str) -> bool:
        age = self._now() - known.asked_at
        return age >= PAUSE and (kid not in known.keys or age >= FRESH)

    def _asked(self, url: str, known: _Known | None) -> _Known:
        """What is there now; where nobody answers, what was there before."""
        now = self._now()
        try:
            return _Known(now, keys_of(self._fetch(url)))
        except (FetchError, ValueError) as error:
            log.warning("the keys of an LMS cannot be read: %s", error)
            return replace(known, asked_at=now) if known else _Known(now)


def keys_of(text: str) -> Mapping[str, RSAKey]:
    """The keys of a JWK Set (RFC 7517) by their ids: those for RS256 alone. ValueError where it is none."""
    body = json.loads(text)
    listed = body.get("keys") if isinstance(body, dict) else None
    if not isinstance(listed, list):
        raise ValueError("what the LMS publishes is no set of keys")
    return dict(pair for each in listed[:MOST_KEYS] if (pair := _key(each)))


def _key(told: Any) -> tuple[str, RSAKey] | None:
    if not isinstance(told, dict) or told.get("kty") != "RSA" or told.get("use", "sig") != "sig":
        return None
    kid, number = told.get("kid"), told.get("n")
    if not isinstance(kid, str) or not isinstance(number, str) or len(number) * 6 < SHORTEST_KEY:
        return None
    try:
        return kid, RSAKey.import_key(told)
    except (JoseError, ValueError, TypeError):
        return None


def fetched(url: str, settings: FetchSettings, now: datetime) -> str:
    """What is at an address of the configuration: from that host and port alone, wherever it leads. FetchError."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    port = parts.port or {"https": 443, "http": 80}[parts.scheme]
    place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    fences = Fences(allow_hosts=frozenset({place}), http=host in LOOPBACK, ports=())
    settings = replace(settings, fences=fences, connect=SECONDS, read=SECONDS, total=SECONDS)
    return fetch_text(url, settings=settings, now=now, most=LARGEST)
