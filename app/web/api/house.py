"""The API of the house itself: calendars and connections, workers and settings, tokens, administrators and links."""

from __future__ import annotations

from flask import Blueprint, Response

from app.care import connections, settings, waiting
from app.parts import Parts
from app.people import accounts, tokens
from app.store import workers as seen
from app.store.slices import part_of_all
from app.store.values import calendar_to_json
from app.web.answers import as_json
from app.web.api.calls import call, understood
from app.web.api.paging import as_part, part_of, slice_of
from app.web.api.shapes import house as shapes
from app.web.api.shapes.common import Paged
from app.web.door import access
from app.web.problems import problem
from bridges.errors import Denied
from bridges.model import Calendar, CalendarRef

bp = Blueprint("house", __name__, url_prefix="/api")

AWAY = {422: "No LMS is called so, or it can only be written to."}


@bp.get("/calendars")
@call("listCalendars", "House", shapes.Calendars, asks=shapes.CalendarsAsked, pages=True, refusals=AWAY)
def calendars(asked: shapes.CalendarsAsked) -> Response:
    """The calendars that one connection sees (`lms`), or all of them do."""
    parts = access.parts()
    names = [asked.lms] if asked.lms else sorted(parts.config.connections)
    found = [calendar for name in names for calendar in _listed(parts, name, alone=bool(asked.lms))]
    return as_part(
        "calendars", part_of_all(found, slice_of(asked), lambda one: f"{one.ref} {one.name}"), calendar_to_json
    )


def _listed(parts: Parts, lms: str, alone: bool) -> list[Calendar]:
    """One that can only be written to lists none, and hides no others."""
    try:
        return list(parts.calendars(lms))
    except Denied:
        if alone:
            raise
        return []


@bp.get("/connections")
@call("listConnections", "House", shapes.Connections, asks=Paged, pages=True)
def every_connection(asked: Paged) -> Response:
    """The configured LMSs: what each can, how its readings stand, and the weather of its quota. Asks no LMS."""
    found = part_of(connections.every_one(access.parts()), asked)
    return as_part("connections", found, lambda one: one.to_json())


@bp.post("/connections/<lms>/test")
@call("testConnection", "House", shapes.Trial)
def test(lms: str) -> Response:
    """Sign in there and have it list calendars: whether it answers, and if not, why and what to do then."""
    return as_json(connections.tried(access.parts(), lms).to_json())


@bp.get("/waiting")
@call("listWaiting", "House", shapes.Waiting)
def what_waits() -> Response:
    """What waits for somebody's word, over all calendars: plans, people's changes, subscriptions that stopped."""
    access.require_all("see what waits")
    return as_json(waiting.waiting(access.parts()).to_json())


@bp.get("/workers")
@call("listWorkers", "House", shapes.Workers, asks=Paged, pages=True)
def workers(asked: Paged) -> Response:
    """The worker processes: where each runs, when it was last heard, and what it does."""
    parts = access.parts()
    now = parts.now()
    return as_part("workers", part_of(seen.known(parts.engine), asked), lambda one: seen.to_json(one, now))


@bp.get("/settings")
@call("listSettings", "House", shapes.Settings, asks=Paged, pages=True)
def every_setting(asked: Paged) -> Response:
    """The settings that hold, each with where it came from; secrets are never among them. For administrators."""
    found = part_of(settings.effective(access.parts().config), asked)
    return as_part("settings", found, lambda one: one.to_json())


@bp.get("/tokens")
@call("listTokens", "House", shapes.ApiTokens, asks=Paged, pages=True)
def every_token(asked: Paged) -> Response:
    """The API's tokens, by name: what each may do, and when it was last used; never themselves."""
    found = part_of(tokens.every_one(access.parts().engine), asked)
    return as_part("tokens", found, lambda one: one.to_json())


@bp.post("/tokens")
@call("addToken", "House", shapes.MadeApiToken, status=201, takes=shapes.NewApiToken)
def add_token(given: shapes.NewApiToken) -> Response:
    """Make a token; it is told this once. Once there is one, all of the API needs one."""
    parts = access.parts()
    with understood():
        made = tokens.add(parts.engine, given.name, parts.now(), given.scope)
    answer = as_json({"name": given.name, "scope": given.scope.value, "token": made}, 201)
    answer.headers.update({"Location": "/api/tokens", "Cache-Control": "no-store"})
    return answer


@bp.delete("/tokens/<name>")
@call("revokeToken", "House", status=204)
def revoke_token(name: str) -> Response:
    """Kill a token."""
    return _gone(tokens.revoke(access.parts().engine, name), f"there is no token called '{name}'")


@bp.get("/admins")
@call("listAdmins", "House", shapes.Admins, asks=Paged, pages=True)
def admins(asked: Paged) -> Response:
    """Who may sign in with a password."""
    found = part_of(accounts.every_one(access.parts().engine), asked)
    return as_part("admins", found, lambda one: {"name": one.name, "changed_at": one.changed_at.isoformat()})


@bp.put("/admins/<name>")
@call("putAdmin", "House", status=204, takes=shapes.Password)
def put_admin(name: str, given: shapes.Password) -> Response:
    """Make an administrator who signs in with this password, or give one another password: older sessions are over."""
    parts = access.parts()
    with understood():
        accounts.put(parts.engine, name, given.password.get_secret_value(), parts.now())
    return Response(status=204)


@bp.delete("/admins/<name>")
@call("removeAdmin", "House", status=204)
def remove_admin(name: str) -> Response:
    """Let somebody sign in no longer."""
    return _gone(accounts.remove(access.parts().engine, name), f"there is no administrator called '{name}'")


@bp.get("/links")
@call("listLinks", "House", shapes.LinkedAccounts, asks=Paged, pages=True)
def links(asked: Paged) -> Response:
    """The personal calendars that their owners have opened to this calbridge."""
    found = part_of(connections.linked(access.parts()), asked)
    return as_part("links", found, lambda one: {"lms": one[0], "calendar": str(one[1].ref), "name": one[1].name})


@bp.delete("/links")
@call("removeLink", "House", status=204, asks=shapes.Linked, refusals={404: "Nobody has linked it."})
def remove_link(asked: shapes.Linked) -> Response:
    """Forget what a person permitted."""
    with understood():
        ref = CalendarRef.parse(asked.calendar)
    return _gone(access.parts().linkable(ref.lms).unlink(ref.id), f"nobody has linked '{asked.calendar}'")


def _gone(done: bool, otherwise: str) -> Response:
    return Response(status=204) if done else problem(404, otherwise)
