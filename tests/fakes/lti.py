"""An LMS that opens tools from inside its courses: an LTI 1.3 platform with keys of its own.

As LTI Core 1.3, Security Framework 1.0 and Deep Linking 2.0 say: a course page that begins a launch, an authorization
endpoint that posts an id_token back, a JWK Set, and a place that takes links. Everybody is signed in already.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from typing import Any
from urllib.parse import urlencode

import requests
from flask import Flask, Response, jsonify, request
from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey
from markupsafe import Markup

from tests.fakes.wsgi import serving

CLAIM = "https://purl.imsglobal.org/spec/lti/claim/"
DEEP = "https://purl.imsglobal.org/spec/lti-dl/claim/"
MEMBER = "http://purl.imsglobal.org/vocab/lis/v2/membership#"
PERSON = "http://purl.imsglobal.org/vocab/lis/v2/institution/person#"

Payload = dict[str, Any]
TEACHER, STUDENT = "6c1f-teacher", "b27a-student"


@cache
def new_key(kid: str = "one") -> RSAKey:
    """A key of a platform; making one takes long, so that each id has one."""
    return RSAKey.generate_key(2048, {"kid": kid, "use": "sig"})


@dataclass(slots=True)
class FakePlatform:
    """`people` are by the platform's id: a name, and roles. `tool` is the address of the tool, as registered.

    `spoil` changes the next tokens' payload, `header` their header; `key` is what is published, `signs_with` what is
    used in its place (HS256 is signed by the published key, as those do who hope that it is taken for a secret).
    `asked` counts who fetched the keys; with `away` nobody gets them.
    """

    tool: str = ""
    issuer: str = ""
    client_id: str = "calbridge-at-school"
    deployment: str = "d-1"
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    people: dict[str, tuple[str, list[str]]] = field(
        default_factory=lambda: {
            TEACHER: ("Ada Lærer", [f"{MEMBER}Instructor", f"{PERSON}Faculty"]),
            STUDENT: ("Bo Student", [f"{MEMBER}Learner", f"{PERSON}Student"]),
        }
    )
    key: RSAKey = field(default_factory=new_key)
    signs_with: RSAKey | None = None
    header: dict[str, Any] = field(default_factory=lambda: {"alg": "RS256", "kid": "one"})
    spoil: Callable[[Payload], Any] = lambda payload: None
    away: bool = False
    denies: str = ""
    asked: int = 0
    links: list[Mapping[str, Any]] = field(default_factory=list)

    def app(self) -> Flask:
        app = Flask("platform")
        app.add_url_rule("/course/<id>", view_func=self._course)
        app.add_url_rule("/auth", view_func=self._authorize)
        app.add_url_rule("/keys", view_func=self._keys)
        app.add_url_rule("/links", view_func=self._link, methods=["POST"])
        return app

    def begun(self, person: str, course: str, message: str = "LtiResourceLinkRequest") -> dict[str, str]:
        """What it says to the tool when somebody opens it in a course."""
        return {
            "iss": self.issuer,
            "login_hint": person,
            "target_link_uri": f"{self.tool}/lti/launch",
            "lti_message_hint": f"{message} {course}",
            "client_id": self.client_id,
            "lti_deployment_id": self.deployment,
        }

    def token(self, person: str, course: str, nonce: str, message: str = "LtiResourceLinkRequest") -> str:
        """The signed answer to an authentication request."""
        now, (name, roles) = int(self.now().timestamp()), self.people[person]
        payload: Payload = {
            "iss": self.issuer,
            "aud": self.client_id,
            "sub": person,
            "name": name,
            "iat": now,
            "exp": now + 300,
            "nonce": nonce,
            f"{CLAIM}version": "1.3.0",
            f"{CLAIM}message_type": message,
            f"{CLAIM}deployment_id": self.deployment,
            f"{CLAIM}target_link_uri": f"{self.tool}/lti/launch",
            f"{CLAIM}roles": roles,
            f"{CLAIM}context": {"id": course, "label": course.upper(), "title": f"Course {course}"},
            f"{CLAIM}resource_link": {"id": "link-1"},
        }
        if message == "LtiDeepLinkingRequest":
            payload[f"{DEEP}deep_linking_settings"] = {
                "deep_link_return_url": f"{self.issuer}/links",
                "accept_types": ["link", "ltiResourceLink"],
                "accept_presentation_document_targets": ["iframe", "window"],
                "data": "remember me",
            }
        self.spoil(payload)
        return self._signed(payload)

    def _signed(self, payload: Payload) -> str:
        """As `header` says; no library makes a token without a signature, or one signed by what is no secret."""
        algorithm = self.header["alg"]
        if algorithm == "RS256":
            return jwt.encode(self.header, payload, self.signs_with or self.key)
        pieces = ".".join(_packed(json.dumps(each).encode()) for each in (self.header, payload))
        secret = self.key.as_pem(private=False)
        signature = b"" if algorithm == "none" else hmac.digest(secret, pieces.encode(), hashlib.sha256)
        return f"{pieces}.{_packed(signature)}"

    def _course(self, id: str) -> str:
        """A page of the LMS with the tool in a frame."""
        begin = f"{self.tool}/lti/login?{urlencode(self.begun(request.args['as'], id))}"
        return Markup(
            '<!doctype html><html lang="en"><title>{}</title><meta name="viewport" content="width=device-width">'
            "<style>body {{ margin: 0 }} iframe {{ border: 0; width: 100%; height: 60rem }}</style>"
            '<h1>{}</h1><iframe title="calbridge" src="{}"></iframe>'
        ).format(id, id, begin)

    def _authorize(self) -> Any:
        asked = request.args
        fits = {"scope": "openid", "response_type": "id_token", "response_mode": "form_post", "prompt": "none"}
        fits |= {"client_id": self.client_id, "redirect_uri": f"{self.tool}/lti/launch"}
        for name, value in fits.items():
            if asked.get(name) != value:
                return f"{name} is {asked.get(name)} and not {value}", 400
        message, _, course = asked["lti_message_hint"].partition(" ")
        told = {"error": self.denies} if self.denies else {}
        token = "" if told else self.token(asked["login_hint"], course, asked["nonce"], message)
        fields = {"state": asked["state"], **(told or {"id_token": token})}
        inputs = Markup("").join(
            Markup('<input type="hidden" name="{}" value="{}">').format(*each) for each in fields.items()
        )
        return Markup(
            '<!doctype html><title>…</title><form method="post" action="{}">{}<button>Go on</button></form>'
            "<script>document.forms[0].submit()</script>"
        ).format(f"{self.tool}/lti/launch", inputs)

    def _keys(self) -> Response | tuple[str, int]:
        self.asked += 1
        if self.away:
            return "out of order", 503
        return jsonify(keys=[self.key.as_dict(private=False)])

    def _link(self) -> str:
        """Takes a link that a tool signed with a key that it publishes."""
        self.links.append(self.taken(request.form["JWT"], requests.get(f"{self.tool}/lti/keys", timeout=5).json()))
        return "Taken"

    def taken(self, token: str, keys: Any) -> Mapping[str, Any]:
        """The claims of a tool's answer, if it is signed by one of the keys and meant for this platform."""
        claims = jwt.decode(token, KeySet.import_key_set(keys), algorithms=["RS256"]).claims
        assert (claims["iss"], claims["aud"]) == (self.client_id, [self.issuer])
        return claims


def _packed(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@contextmanager
def platform(tool: str, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> Iterator[FakePlatform]:
    """A platform on a loopback port, where the tool at that address is registered.

    It goes by the name of localhost, so that to a tool at 127.0.0.1 it is another site.
    """
    fake = FakePlatform(tool, now=now)
    with serving(fake.app()) as url:
        fake.issuer = url.replace("127.0.0.1", "localhost")
        yield fake
