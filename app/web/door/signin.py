"""Signing in: with a password that was set by a command, or at an OpenID Connect provider; and out again."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import BoundedSemaphore
from typing import Any
from urllib.parse import urlsplit

import requests
from authlib.common.errors import AuthlibBaseError
from authlib.integrations.flask_client import OAuth
from flask import Blueprint, Flask, Response, current_app, redirect, render_template, request, session
from joserfc.errors import JoseError

from app.config import SignIn
from app.parts import Parts
from app.people import accounts
from app.web.door import access
from app.web.door import session as sessions
from app.web.door.callers import SAFE, Caller, Right
from app.web.door.pace import Pace
from app.web.language import lazy
from app.web.problems import answer
from app.web.spoken import spoken

log = logging.getLogger(__name__)

PROVIDER = "provider"
bp = Blueprint("signin", __name__, url_prefix="/sign-in")

TRIES = 20
"""Passwords a minute from one address: a hash is meant to cost much time and memory, and costs it us."""
AT_ONCE = 2
"""Passwords that are looked at at a time, from wherever they come: the other threads serve feeds."""


@dataclass(frozen=True, slots=True)
class Tries:
    """Who may have a password looked at, in this process. Safe between threads."""

    pace: Pace = field(default_factory=lambda: Pace(TRIES))
    places: BoundedSemaphore = field(default_factory=lambda: BoundedSemaphore(AT_ONCE))

    @contextmanager
    def turn(self, address: str | None) -> Iterator[bool]:
        """Whether whoever is there may within the block."""
        may = self.pace.wait(address) is None and self.places.acquire(blocking=False)
        try:
            yield may
        finally:
            if may:
                self.places.release()


def install(app: Flask, parts: Parts) -> None:
    """Count who tries passwords; make the provider known, if the configuration names one."""
    app.extensions["calbridge.tries"] = Tries()
    signin = parts.config.signin
    oauth = OAuth(app)
    app.extensions["calbridge.oauth"] = oauth
    if signin.issuer:
        oauth.register(  # type: ignore[no-untyped-call]
            PROVIDER,
            client_id=signin.client_id,
            client_secret=signin.client_secret.get_secret_value(),
            server_metadata_url=f"{signin.issuer}/.well-known/openid-configuration",
            client_kwargs={"scope": "openid profile email", "code_challenge_method": "S256", "timeout": 10},
        )


@bp.before_request
def _from_here() -> Response | None:
    """What writes is sent by a page of ours: nobody is signed in or out by another site's."""
    return None if request.method in SAFE or access.is_same_site() else access.foreign()


@bp.get("")
def form() -> str:
    """The ways in that there are."""
    onward = _ours(request.args.get("next", ""))
    return _page(onward)


@bp.post("")
def with_password() -> Response | tuple[str, int]:
    """Sign in as a local administrator."""
    parts = access.parts()
    name, onward = request.form.get("name", "").strip(), _ours(request.form.get("next", ""))
    tries: Tries = current_app.extensions["calbridge.tries"]
    with tries.turn(request.remote_addr) as may:
        if not may:
            return _page(onward, lazy("Too many sign in just now: try again in a minute.")), 429
        try:
            account = accounts.check(parts.engine, name, request.form.get("password", ""), parts.now())
        except accounts.Resting as resting:
            return _page(onward, spoken(resting)), 429
    if account is None:
        log.warning("a sign-in failed", extra={"address": request.remote_addr})
        return _page(onward, lazy("This is not the password of that name.")), 401
    sessions.begin(Caller(account.name, Right.ADMIN), parts.now(), account=True)
    return _see(onward)


@bp.post("/provider")
def to_provider() -> Any:
    """On to the provider, to come back at /sign-in/back."""
    onward = _ours(request.form.get("next", ""))
    sessions.end()
    session["next"] = onward
    try:
        sent = _provider().authorize_redirect(f"{access.base_url()}/sign-in/back")
    except (AuthlibBaseError, requests.RequestException, ValueError) as error:
        return _not_signed_in(error)
    # by a Refresh: browsers hold our form-action against wherever a form is redirected to
    page = render_template("signin.html", url=sent.location, next=onward)
    return Response(page, headers={"Refresh": f"0; url={sent.location}", "Cache-Control": "no-store"})


@bp.get("/back")
def back() -> Response:
    """Where the provider sends people back to. State, nonce, signature, issuer and audience are Authlib's to check."""
    onward = _ours(str(session.get("next", "")))
    if request.args.get("error") == "access_denied":
        return answer(403, lazy("The sign-in was cancelled there."))
    try:
        told = _provider().authorize_access_token()
    except (AuthlibBaseError, JoseError, requests.RequestException, ValueError, KeyError) as error:
        return _not_signed_in(error)
    who = caller_of(told.get("userinfo") or {}, access.parts().config.signin)
    if who is None:
        return answer(403, lazy("You are signed in there, but nobody has given you a part in this calbridge."))
    sessions.begin(who, access.parts().now())
    return _see(onward)


@bp.post("/out")
def out() -> Response:
    """Sign out."""
    sessions.end()
    return _see("/")


def caller_of(claims: Mapping[str, Any], signin: SignIn) -> Caller | None:
    """What the provider's claims make of a person; None if nothing."""
    value: Any = claims
    for step in signin.claim.split("."):
        value = value.get(step, ()) if isinstance(value, Mapping) else ()
    held = {value} if isinstance(value, str) else {each for each in value if isinstance(each, str)}
    name = str(claims.get("preferred_username") or claims.get("email") or claims.get("sub") or "")[:200]
    if name and held & set(signin.admins):
        return Caller(name, Right.ADMIN)
    if name and held & set(signin.teachers):
        return Caller(name, Right.IMPORT, tuple(signin.teachers_into))
    return None


def _page(onward: str, problem: str | lazy = "") -> str:
    parts = access.parts()
    return render_template(
        "signin.html",
        provider=urlsplit(parts.config.signin.issuer).hostname,
        passwords=bool(accounts.every_one(parts.engine)),
        problem=problem,
        next=onward,
    )


def _provider() -> Any:
    client = current_app.extensions["calbridge.oauth"].create_client(PROVIDER)
    if client is None:
        raise ValueError("no provider is configured")
    return client


def _not_signed_in(error: Exception) -> Response:
    log.warning("a sign-in at the provider failed: %s", error)
    return answer(502, lazy("The sign-in did not come to its end. Begin again; if it stays so, ask the administrator."))


def _ours(path: str) -> str:
    """A path of this server, or its start: nobody is sent elsewhere by a link that begins here."""
    parts = urlsplit(path)
    good = (
        path.startswith("/")
        and not path.startswith("//")
        and "\\" not in path
        and not parts.netloc
        and path.isprintable()
    )
    return path if good else "/"


def _see(path: str) -> Response:
    response = redirect(path, 303)
    response.headers["Cache-Control"] = "no-store"
    return response  # type: ignore[return-value]
