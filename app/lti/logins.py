"""A sign-in that was begun and is not yet over: what the LMS has to bring back, to the very browser that it left from.

`state` is signed and holds all that has to be remembered, so that whoever merely begins costs the store nothing. It is
bound to the browser by a cookie: else somebody could begin with an account of their own and have another's browser end
it, whose owner would then upload into the wrong course (login CSRF). What the LMS answers is good once: its nonce is
written down when the answer turned out to be true, and before anything is done.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from hmac import compare_digest

from itsdangerous import BadSignature, URLSafeSerializer
from sqlalchemy import Engine, insert
from sqlalchemy.exc import IntegrityError

from app.lti.claims import LaunchRefused
from app.store import tables
from app.store.engine import writing

PATIENCE = timedelta(minutes=10)
"""How long the LMS may take."""
BROWSER = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)
"""What the cookie of a browser holds."""
OVER = "This sign-in was begun too long ago, or not here: open calbridge again from the course."


@dataclass(frozen=True, slots=True)
class Begun:
    """What the LMS has to bring back. `platform` is the name of its settings, `until` is aware."""

    platform: str
    nonce: str
    until: datetime


@dataclass(frozen=True, slots=True)
class Logins:
    """Over one store. `key` gives the secret that signs; `now` gives aware times."""

    engine: Engine
    key: Callable[[], bytes]
    now: Callable[[], datetime]

    def begin(self, platform: str, browser: str) -> tuple[str, str]:
        """The `state` and the `nonce` to send to the LMS, for this browser."""
        nonce = secrets.token_urlsafe(32)
        until = (self.now() + PATIENCE).timestamp()
        state = self._signer().dumps([platform, nonce, hashed(browser), until])
        return str(state), nonce

    def begun(self, state: str, browser: str) -> Begun:
        """What was begun with that state, by this very browser. LaunchRefused where it was not, or too long ago."""
        try:
            platform, nonce, where, until = self._signer().loads(state)
        except (BadSignature, ValueError, TypeError) as error:
            raise LaunchRefused(OVER) from error
        if self.now().timestamp() >= until:
            raise LaunchRefused(OVER)
        if not BROWSER.fullmatch(browser) or not compare_digest(hashed(browser), where):
            raise LaunchRefused("This sign-in was begun in another browser: open calbridge again from the course.")
        return Begun(platform, nonce, datetime.fromtimestamp(until, self.now().tzinfo))

    def use_up(self, begun: Begun) -> None:
        """Its answer counts now, and never again. LaunchRefused where it did before."""
        row = {"hash": hashed(begun.nonce), "until": begun.until}
        try:
            with writing(self.engine) as connection:
                connection.execute(insert(tables.lti_nonce).values(row))
        except IntegrityError:
            raise LaunchRefused("This launch was used before: open calbridge again from the course.") from None

    def _signer(self) -> URLSafeSerializer:
        return URLSafeSerializer(self.key(), signer_kwargs={"digest_method": hashlib.sha256, "key_derivation": "hmac"})


def new_browser() -> str:
    """What tells a browser from all others."""
    return secrets.token_urlsafe(32)


def hashed(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
