"""An OpenID Connect provider: discovery, keys, authorization with PKCE, and tokens signed with RS256.

As OpenID Connect Core 1.0 and Discovery 1.0 say, for one client and one person who always agrees.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from flask import Flask, Response, jsonify, redirect, request
from joserfc import jwt
from joserfc.jwk import RSAKey

from tests.fakes.wsgi import serving


@dataclass(slots=True)
class FakeOidc:
    """`claims` go into the next id token. `spoil` changes its payload, `key` its signature."""

    issuer: str = ""
    client_id: str = "calbridge"
    client_secret: str = "a client secret"
    claims: dict[str, Any] = field(default_factory=lambda: {"sub": "u-1", "preferred_username": "ada"})
    spoil: Callable[[dict[str, Any]], Any] = lambda payload: None
    denies: bool = False
    key: RSAKey = field(default_factory=lambda: RSAKey.generate_key(2048, {"kid": "one"}))
    signs_with: RSAKey | None = None
    codes: dict[str, Mapping[str, str]] = field(default_factory=dict)

    def app(self) -> Flask:
        app = Flask("oidc")
        app.add_url_rule("/.well-known/openid-configuration", view_func=self._discovery)
        app.add_url_rule("/keys", view_func=self._keys)
        app.add_url_rule("/authorize", view_func=self._authorize)
        app.add_url_rule("/token", view_func=self._token, methods=["POST"])
        return app

    def _discovery(self) -> Response:
        return jsonify(
            issuer=self.issuer,
            authorization_endpoint=f"{self.issuer}/authorize",
            token_endpoint=f"{self.issuer}/token",
            jwks_uri=f"{self.issuer}/keys",
            response_types_supported=["code"],
            subject_types_supported=["public"],
            id_token_signing_alg_values_supported=["RS256"],
        )

    def _keys(self) -> Response:
        return jsonify(keys=[self.key.as_dict(private=False)])

    def _authorize(self) -> Any:
        asked = request.args
        back = {"state": asked["state"]}
        if self.denies:
            return redirect(f"{asked['redirect_uri']}?{urlencode(back | {'error': 'access_denied'})}")
        code = secrets.token_urlsafe(16)
        self.codes[code] = asked.to_dict()
        return redirect(f"{asked['redirect_uri']}?{urlencode(back | {'code': code})}")

    def _token(self) -> Any:
        asked = self.codes.pop(request.form.get("code", ""), None)
        given = request.authorization
        if asked is None or given is None or (given.username, given.password) != (self.client_id, self.client_secret):
            return jsonify(error="invalid_grant"), 400
        digest = hashlib.sha256(request.form.get("code_verifier", "").encode()).digest()
        if base64.urlsafe_b64encode(digest).rstrip(b"=").decode() != asked.get("code_challenge"):
            return jsonify(error="invalid_grant", error_description="PKCE"), 400
        now = int(time.time())
        payload = {"iss": self.issuer, "aud": self.client_id, "iat": now, "exp": now + 300, "nonce": asked["nonce"]}
        payload |= self.claims
        self.spoil(payload)
        token = jwt.encode({"alg": "RS256", "kid": "one"}, payload, self.signs_with or self.key)
        return jsonify(access_token="an access token", token_type="Bearer", expires_in=300, id_token=token)


@contextmanager
def provider() -> Iterator[FakeOidc]:
    """A provider on a loopback port."""
    fake = FakeOidc()
    with serving(fake.app()) as url:
        fake.issuer = url.rstrip("/")
        yield fake
