"""Our own key, and what is signed with it: the link to us that a teacher lays into a course (Deep Linking 2.0)."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from joserfc import jwt
from joserfc.jwk import RSAKey

from app.lti.claims import CLAIM, DEEP, VERSION, Launch
from app.lti.idtoken import ALGORITHM
from app.lti.platform import Platform
from app.store.vault import StoreVault

NAME = "lti/key"
"""What the vault calls it."""
BITS = 2048
GOOD_FOR = timedelta(minutes=5)


def our_key(vault: StoreVault) -> RSAKey:
    """The key of this calbridge, the same in all its processes; made when it is first asked for."""
    kept = vault.get(NAME)
    if kept is None:
        with vault.alone(NAME):
            kept = vault.get(NAME)
            if kept is None:
                made = RSAKey.generate_key(BITS, {"use": "sig", "alg": ALGORITHM, "kid": secrets.token_hex(8)})
                kept = json.dumps(made.as_dict(private=True))
                vault.put(NAME, kept)
    return RSAKey.import_key(json.loads(kept))


def published(vault: StoreVault) -> Mapping[str, Any]:
    """What everybody may know of it, as a JWK Set (RFC 7517)."""
    return {"keys": [our_key(vault).as_dict(private=False)]}


def chosen(launch: Launch, platform: Platform, url: str, title: str, key: RSAKey, now: datetime) -> str:
    """The answer to a Deep Linking request: one link, to `url`, signed."""
    moment = int(now.timestamp())
    claims: dict[str, Any] = {
        "iss": platform.client_id,
        "aud": [platform.issuer],
        "iat": moment,
        "exp": moment + int(GOOD_FOR.total_seconds()),
        "nonce": secrets.token_urlsafe(16),
        f"{CLAIM}deployment_id": launch.deployment,
        f"{CLAIM}message_type": "LtiDeepLinkingResponse",
        f"{CLAIM}version": VERSION,
        f"{DEEP}content_items": [{"type": "ltiResourceLink", "title": title, "url": url}],
    }
    if "data" in launch.wanted:
        claims[f"{DEEP}data"] = launch.wanted["data"]
    return str(jwt.encode({"alg": ALGORITHM, "kid": key.kid, "typ": "JWT"}, claims, key))
