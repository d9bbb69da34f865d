"""Who may write: with no token made this machine's own user alone; with one, whoever brings a token."""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import urlsplit

from flask import Response, current_app, request

from app import tokens
from app.metrics import Metrics
from app.parts import Parts
from app.web.problems import answer

SAFE = {"GET", "HEAD", "OPTIONS"}
CLOSED = {"/metrics"}
"""Paths that are only read, and yet not for everybody."""
FORWARDED = ("Forwarded", "X-Forwarded-For", "X-Real-Ip", "Via")


def parts() -> Parts:
    """The parts that this application was made of."""
    joined: Parts = current_app.extensions["calbridge"]
    return joined


def metrics() -> Metrics:
    """What this application counts."""
    counted: Metrics = current_app.extensions["calbridge.metrics"]
    return counted


def base_url() -> str:
    """How the outside reaches us, without a slash at the end."""
    return parts().config.server.public_url.rstrip("/") or request.host_url.rstrip("/")


def is_loopback(host: str) -> bool:
    """Whether the address, or the host of a Host header, is this machine itself."""
    name = (urlsplit(f"//{host}").hostname or "").rstrip(".")
    try:
        return name == "localhost" or ip_address(name).is_loopback
    except ValueError:
        return False


def guard() -> Response | None:
    """Before each request: None to let it through, else the refusal.

    Whatever writes and everything under /api is for those who may write. Reading feeds has its own credential, the
    feed's address, and never asks for more: an Authorization header that a calendar client sends by itself is ignored.
    """
    if request.method in SAFE and not request.path.startswith("/api/") and request.path not in CLOSED:
        return None
    return _refusal()


def may_write() -> bool:
    """Whether this request comes from someone who may write without further ado."""
    return _refusal() is None


def _refusal() -> Response | None:
    engine = parts().engine
    token = _token()
    if tokens.any_made(engine):
        if token and tokens.holder(engine, token):
            return None
        refusal = answer(
            401, "This needs an API token: send it as 'Authorization: Bearer …', or in the form's token field."
        )
        refusal.headers["WWW-Authenticate"] = "Bearer"
        return refusal
    if not _from_here():
        return answer(403, "From elsewhere this needs an API token: make one with 'calbridge token add NAME'.")
    if not _same_site():
        return answer(403, "This was sent by a page of another site, and was refused.")
    return None


def _token() -> str:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return token.strip()
    return request.form.get("token", "").strip() if request.method == "POST" else ""


def _from_here() -> bool:
    """Straight from this machine: a proxy in front makes every stranger look local, and so does DNS rebinding."""
    return (
        is_loopback(request.remote_addr or "")
        and is_loopback(request.host)
        and not any(header in request.headers for header in FORWARDED)
    )


def _same_site() -> bool:
    """No page of another site may write with the hands of the person at this machine (CSRF)."""
    if request.headers.get("Sec-Fetch-Site", "same-origin") not in {"same-origin", "none"}:
        return False
    origin = request.headers.get("Origin")
    return origin is None or origin == request.host_url.rstrip("/")
