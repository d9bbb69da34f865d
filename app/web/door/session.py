"""The person who is signed in: a signed cookie, renewed at each sign-in, over after some hours or a new password.

Who comes from a course of an LMS (LTI) has a cookie of another kind, which is sent within the LMS's pages, too. A
browser holds one of the two: whichever is written ends the other.
"""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from typing import Any

from flask import Flask, Request, Response, current_app, request, session
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface, SessionInterface, SessionMixin
from flask_wtf.csrf import CSRFProtect, generate_csrf  # type: ignore[import-untyped]
from itsdangerous import URLSafeTimedSerializer
from markupsafe import Markup

from app.parts import Parts
from app.people import accounts
from app.web.door.callers import Caller, Right

WAYS_IN = ("/sign-in", "/sign-out", "/lti/")
"""Paths that prove in their own way who sends what."""
_csrf = CSRFProtect()


def install(app: Flask, parts: Parts) -> None:
    """Sessions and their forms' tokens, for this application."""
    signin, server = parts.config.signin, parts.config.server
    app.session_interface = _Sessions(parts)
    app.config.update(
        SESSION_COOKIE_NAME="calbridge_session",
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_SECURE=server.public_url.startswith("https:"),
        PERMANENT_SESSION_LIFETIME=timedelta(hours=signin.hours),
        WTF_CSRF_CHECK_DEFAULT=False,
        WTF_CSRF_TIME_LIMIT=None,
        WTF_CSRF_SSL_STRICT=False,
    )
    _csrf.init_app(app)
    app.jinja_env.globals["our_page"] = _field


def _field() -> Markup:
    """What a form of ours carries while somebody is signed in; visitors get no cookie for nothing."""
    if not session.get("name"):
        return Markup()
    return Markup('<input type="hidden" name="csrf_token" value="{}">').format(generate_csrf(_forms_key()))


def _forms_key() -> str:
    """As the sessions' own, asked for when a form is shown to somebody who is signed in, and not before."""
    if "WTF_CSRF_SECRET_KEY" not in current_app.config:
        joined: Parts = current_app.extensions["calbridge"]
        current_app.config["WTF_CSRF_SECRET_KEY"] = joined.vault.derived("forms").hex()
    return str(current_app.config["WTF_CSRF_SECRET_KEY"])


def begin(who: Caller, now: datetime, account: bool = False, lti: str = "", shown: str = "") -> None:
    """`who` is signed in from now on. What the browser brought is forgotten: nobody else can have laid it there.

    With `account` the session lasts no longer than the password it began with. With `lti` it came from that platform;
    `shown` is then what the person is called on pages.
    """
    session.clear()
    session.permanent = True
    session.update(
        name=who.name,
        right=int(who.right),
        calendars=None if who.calendars is None else list(who.calendars),
        since=now.timestamp(),
        account=account,
    )
    if lti:
        session.update(lti=lti, shown=shown)


def end() -> None:
    """Nobody is signed in any more."""
    session.clear()


def platform() -> str:
    """The platform from inside whose course this browser came, empty if it did not."""
    return str(session.get("lti", "")) if _launched_name(current_app) in request.cookies else ""


def shown_name(who: Caller) -> str:
    """What the caller is called on pages: whoever comes from a course, by the name that the LMS told."""
    return str(session.get("shown") or who.name)


def person(parts: Parts) -> Caller | None:
    """Who is signed in, if anybody is and still may be."""
    name = session.get("name")
    if not isinstance(name, str):
        return None
    began = float(session.get("since", 0))
    if parts.now().timestamp() - began > parts.config.signin.hours * 3600:
        return None
    if session.get("lti") and session["lti"] not in parts.config.lti:
        return None
    if session.get("account"):
        account = accounts.get(parts.engine, name)
        if account is None or account.changed_at.timestamp() > began:
            return None
    calendars = session.get("calendars")
    return Caller(name, Right(session["right"]), None if calendars is None else tuple(calendars), by_cookie=True)


def is_way_in(path: str) -> bool:
    """Whether the path is one by which people come in, and so open to everybody."""
    return path.startswith(WAYS_IN)


def require_our_page() -> None:
    """A 400 for whatever was not sent by a page of ours, to this very browser."""
    _forms_key()
    _csrf.protect()


class _Sessions(SessionInterface):
    """Either kind of session, by the cookie that the browser brought and by what is to be kept."""

    def __init__(self, parts: Parts) -> None:
        self._usual = _Signed(parts)
        self._launched = _Launched(parts)

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        return self._launched.open_session(app, request) or self._usual.open_session(app, request)

    def save_session(self, app: Flask, session: SessionMixin, response: Response) -> None:
        kind, other = (self._launched, self._usual) if session.get("lti") else (self._usual, self._launched)
        kind.save_session(app, session, response)
        if session.modified and other.get_cookie_name(app) in request.cookies:
            other.save_session(app, _ended(), response)


def _ended() -> SecureCookieSession:
    """An empty session that was not always so: its cookie goes."""
    gone = SecureCookieSession()
    gone.modified = True
    return gone


class _Signed(SecureCookieSessionInterface):
    """Flask's own sessions, under a key of the vault that is asked for when somebody signs in and not before."""

    digest_method = staticmethod(hashlib.sha256)

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        if not request.cookies.get(self.get_cookie_name(app)):
            return self.session_class()
        return super().open_session(app, request)

    def get_signing_serializer(self, app: Flask) -> URLSafeTimedSerializer | None:
        options: dict[str, Any] = {"key_derivation": self.key_derivation, "digest_method": self.digest_method}
        key = self._parts.vault.derived("session")
        return URLSafeTimedSerializer(key, salt=self.salt, serializer=self.serializer, signer_kwargs=options)


class _Launched(_Signed):
    """The same within a frame of the LMS: there no browser sends a cookie that is not SameSite=None, and those that
    keep none of other sites keep one that is Partitioned, for pages of this LMS alone (CHIPS)."""

    salt = "launched-session"

    def get_cookie_name(self, app: Flask) -> str:
        return _launched_name(app)

    def get_cookie_samesite(self, app: Flask) -> str:
        return "None"

    def get_cookie_secure(self, app: Flask) -> bool:
        return True

    def get_cookie_partitioned(self, app: Flask) -> bool:
        return True


def _launched_name(app: Flask) -> str:
    """With a prefix by which browsers let nobody but us set it; of http they take no such name."""
    return f"{'__Host-' if app.config['SESSION_COOKIE_SECURE'] else ''}calbridge_launched"
