"""Who may do what: finds out who calls, and lets through what that caller may do.

With no token made, no account and no identity provider, this machine's own user may do everything; as soon as there is
one of these, everybody has to bring something.
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import cast
from urllib.parse import quote, urlsplit

from flask import Response, current_app, g, request

from app.imports.record.runs import NoRun
from app.parts import Parts
from app.people import accounts, tokens
from app.watch.metrics import Metrics
from app.web.door import session
from app.web.door.callers import AT_THE_MACHINE, NOBODY, Caller, Right, is_of_a_course, needed
from app.web.door.guesses import neighbourhood
from app.web.problems import answer
from bridges.model import CalendarRef

FORWARDED = ("Forwarded", "X-Forwarded-For", "X-Real-Ip", "Via")
_SCOPES = {tokens.Scope.READ: Right.READ, tokens.Scope.IMPORT: Right.IMPORT, tokens.Scope.ADMIN: Right.ADMIN}


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
    """Before each request: None to let it through, else the refusal."""
    need = needed(request.method, request.path)
    if need is Right.NONE or session.is_way_in(request.path):
        return None
    refusal = _refusal(need)
    if refusal is not None and refusal.status_code == 401 and _is_page():
        onward = quote(request.full_path.rstrip("?"), safe="")
        return Response(status=303, headers={"Location": f"/sign-in?next={onward}"})
    if refusal is None and caller().by_cookie and request.method not in {"GET", "HEAD", "OPTIONS"}:
        session.require_our_page()
    return refusal or _beyond_the_course() or _foreign_run()


def _is_page() -> bool:
    """Whether a person asks for a page: who is nobody is asked to sign in then."""
    return request.method == "GET" and not request.path.startswith(("/api/", "/metrics"))


def caller() -> Caller:
    """Who sent this request; found out once."""
    if "caller" not in g:
        g.caller = _found()
    return cast(Caller, g.caller)


def caller_key() -> str:
    """What tells this caller from every other: a token's name or a person's, else the address."""
    who = caller()
    if who in (NOBODY, AT_THE_MACHINE):
        return f"address {neighbourhood(request.remote_addr or '')}"
    return f"person {who.name}" if who.by_cookie else who.name


def may_write() -> bool:
    """Whether this request comes from someone who may change everything without further ado."""
    return _refusal(Right.ADMIN) is None


def may_import() -> bool:
    """Whether this request comes from someone who may import without further ado."""
    return _refusal(Right.IMPORT) is None


class NotYours(Exception):
    """Whoever calls may not write into that calendar."""


def may_write_into(calendar: CalendarRef) -> bool:
    """Whether whoever calls may import into that calendar."""
    return caller().may_write_into(calendar)


def may_see(calendar: CalendarRef) -> bool:
    """Whether whoever calls may see what was imported there: those with calendars of their own see these alone."""
    return caller().calendars is None or may_write_into(calendar)


def require_yours(calendar: CalendarRef) -> CalendarRef:
    """The calendar, if whoever calls may import into it. NotYours otherwise."""
    if not may_write_into(calendar):
        raise NotYours(f"'{caller().name}' may not write into {calendar}.")
    return calendar


def require_all(what: str) -> None:
    """NotYours for a caller who may write into some calendars only. `what` is what such a one may not do."""
    if caller().calendars is not None:
        raise NotYours(f"'{caller().name}' may not {what}: that takes leave for all of them.")


def sign_in_is_possible() -> bool:
    """Whether anybody could sign in here."""
    joined = parts()
    return bool(joined.config.signin.issuer) or bool(accounts.every_one(joined.engine))


def _found() -> Caller:
    joined = parts()
    if token := _token():
        known = tokens.opened(joined.engine, token, joined.now())
        return Caller(f"token {known.name}", _SCOPES[known.scope]) if known else NOBODY
    if person := session.person(joined):
        return person
    if not tokens.any_made(joined.engine) and not sign_in_is_possible() and _from_here() and is_same_site():
        return AT_THE_MACHINE
    return NOBODY


def _refusal(need: Right) -> Response | None:
    who = caller()
    if who.may(need):
        return None
    if who is not NOBODY:
        return answer(403, f"'{who.name}' may not do this.")
    if _token() or tokens.any_made(parts().engine) or sign_in_is_possible():
        refusal = answer(
            401,
            "This needs an API token: send it as 'Authorization: Bearer …', or in the form's token field. "
            "People sign in at /sign-in.",
        )
        refusal.headers["WWW-Authenticate"] = "Bearer"
        return refusal
    if not _from_here():
        return answer(403, "From elsewhere this needs an API token: make one with 'calbridge token add NAME'.")
    return foreign()


def _beyond_the_course() -> Response | None:
    """Whoever came from inside a course is shown nothing of other people's."""
    if not caller().by_cookie or not session.platform() or is_of_a_course(request.path):
        return None
    return answer(403, "You came from a course, and this is more than is of it.")


def _foreign_run() -> Response | None:
    """A run of a calendar that the caller may not write into is, to that caller, none."""
    number = (request.view_args or {}).get("run")
    if not isinstance(number, int) or caller().calendars is None:
        return None
    try:
        run = parts().imports.get(number)
    except NoRun:
        return None
    return None if may_see(run.calendar) else answer(404, f"there is no run {number}")


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


def foreign() -> Response:
    """The refusal of what a page of another site sent."""
    return answer(403, "This was sent by a page of another site, and was refused.")


def is_same_site() -> bool:
    """No page of another site may write with the hands of the person at this machine (CSRF)."""
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:  # which no page can make up, and which says it whatever a proxy makes of our own address
        return site in {"same-origin", "none"}
    origin = request.headers.get("Origin")
    return origin is None or origin == request.host_url.rstrip("/")
