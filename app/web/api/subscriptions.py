"""The API of subscriptions: made, shown, changed, run, forgotten. An address is a secret, and in no answer."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from flask import Blueprint, Response, request

from app.imports.pull.fetch import Credential
from app.imports.pull.subscriptions import NoSubscription, Wish, to_json, visit_to_json
from app.imports.pull.wish import changed
from app.imports.record.batch import NOWHERE
from app.web import uploads
from app.web.answers import as_json
from app.web.api.calls import call
from app.web.api.paging import as_part, slice_of, with_next
from app.web.api.shapes import subscriptions as shapes
from app.web.api.shapes.common import Searched
from app.web.door import access
from app.web.problems import answer

bp = Blueprint("subscriptions", __name__, url_prefix="/api/subscriptions")

ONE = "/<int(max=2147483647):id>"
VISITED = {"held": 202, "left": 202, "busy": 409, "refused": 422, "denied": 422, "failed": 502, "missing": 502}
"""Held waits for a yes, left for another run; failed and missing are the other server's. All else is 200."""
OURS = {"name", "calendar", "user", "password", "headers"}
"""Fields beside the settings."""


@bp.app_errorhandler(NoSubscription)
def _none(error: NoSubscription) -> Response:
    return answer(404, str(error))


@bp.get("")
@call("listSubscriptions", "Subscriptions", shapes.Subscriptions, asks=Searched, pages=True)
def every_one(asked: Searched) -> Response:
    """Some subscriptions, by name, and how each stands."""
    return as_part("subscriptions", access.parts().subscriptions.some(slice_of(asked)), to_json)


@bp.post("")
@call(
    "addSubscription",
    "Subscriptions",
    shapes.Subscription,
    status=201,
    takes=shapes.New,
    refusals={404: "There is no such calendar."},
    loose=True,
)
def add() -> Response:
    """A new one: `url`, `name`, `calendar` or `routes`, and settings; `user`, `password`, `headers` to sign in."""
    given, parts = _given(), access.parts()
    try:
        into = parts.named(_needed(given, "calendar")) if "calendar" in given or not given.get("routes") else NOWHERE
        if into != NOWHERE:
            parts.sink(into.lms).check_target(into)
        config = parts.config
        every = timedelta(minutes=config.fetch.every_minutes)
        wish = Wish(_needed(given, "name"), _needed(given, "url"), into, every, config.imports.ahead_days)
        made = parts.subscriptions.add(changed(wish, _settings(given)), _credentials(given))
    except ValueError as error:
        raise uploads.BadUpload(str(error)) from error
    response = as_json(to_json(made), 201)
    response.headers["Location"] = f"/api/subscriptions/{made.id}"
    return response


@bp.get(ONE)
@call("showSubscription", "Subscriptions", shapes.Subscription)
def one(id: int) -> Response:
    """One subscription: its settings, and how it stands."""
    return as_json(to_json(access.parts().subscriptions.get(id)))


@bp.patch(ONE)
@call("changeSubscription", "Subscriptions", shapes.Subscription, takes=shapes.Changed, loose=True)
def change(id: int) -> Response:
    """Other settings, of those named alone; a header of null is sent no longer. The calendar is read anew then."""
    given, subscriptions = _given(), access.parts().subscriptions
    subscriptions.get(id)
    try:
        fixed = sorted({"name", "calendar"} & set(given))
        if fixed:
            raise ValueError(f"'{fixed[0]}' cannot be changed: what was written hangs on it; make a new subscription")
        without = [name for name, value in _headers(given).items() if value is None]
        told = subscriptions.change(id, _settings(given), _credentials(given), without)
    except NoSubscription:
        raise
    except ValueError as error:
        raise uploads.BadUpload(str(error)) from error
    return as_json(to_json(told))


@bp.delete(ONE)
@call("removeSubscription", "Subscriptions", status=204)
def remove(id: int) -> Response:
    """Pull it no longer and forget it; what it wrote stays."""
    access.parts().subscriptions.remove(id)
    return Response(status=204)


@bp.post(f"{ONE}/run")
@call(
    "runSubscription",
    "Subscriptions",
    shapes.Visit,
    also={status: [shapes.Visit] for status in sorted(set(VISITED.values()))},
    asks=shapes.Pulled,
)
def run(id: int, asked: shapes.Pulled) -> Response:
    """Pull it now; `approve` is a yes to the plan that is held. 202 where a plan waits or was left half-way, 409 where
    somebody else is at it, 422 where it is forbidden, 502 where the other server has none."""
    visit = access.parts().subscriptions.run(id, approved=asked.approve)
    return as_json(visit_to_json(visit), VISITED.get(visit.what, 200))


@bp.post(f"{ONE}/enable")
@call("enableSubscription", "Subscriptions", shapes.Subscription)
def enable(id: int) -> Response:
    """Pull it again, at once, also if it was parked."""
    access.parts().subscriptions.enable(id)
    return one(id=id)


@bp.post(f"{ONE}/disable")
@call("disableSubscription", "Subscriptions", shapes.Subscription)
def disable(id: int) -> Response:
    """Pull it no longer until it is enabled."""
    access.parts().subscriptions.disable(id)
    return one(id=id)


@bp.get(f"{ONE}/history")
@call("historyOfSubscription", "Subscriptions", shapes.History, asks=shapes.HistoryAsked, pages=True)
def history(id: int, asked: shapes.HistoryAsked) -> Response:
    """What happened to it, the newest first."""
    limit = asked.count or asked.limit
    ahead = asked.offset + limit
    visits = access.parts().subscriptions.history(id, ahead + 1)
    shown = as_json({"history": [visit_to_json(visit) for visit in visits[asked.offset : ahead]]})
    return with_next(shown, {"offset": ahead} if len(visits) > ahead else None)


def _given() -> dict[str, Any]:
    """The body: a JSON object."""
    given = request.get_json(silent=True)
    if not isinstance(given, dict):
        raise uploads.BadUpload("send a JSON object, as application/json")
    return given


def _needed(given: Mapping[str, Any], name: str) -> str:
    value = given.get(name)
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"'{name}' is missing: a subscription needs url, calendar and name")
    return value.strip()


def _settings(given: Mapping[str, Any]) -> dict[str, object]:
    return {name: value for name, value in given.items() if name not in OURS}


def _headers(given: Mapping[str, Any]) -> Mapping[str, str | None]:
    headers = given.get("headers") or {}
    if not isinstance(headers, dict) or not all(value is None or isinstance(value, str) for value in headers.values()):
        raise ValueError("'headers' is an object of names with their values; null takes one away")
    return headers


def _credentials(given: Mapping[str, Any]) -> list[Credential]:
    headers = [Credential(name, value) for name, value in _headers(given).items() if value is not None]
    if ("user" in given) != ("password" in given):
        raise ValueError("'user' and 'password' come together")
    if "user" not in given:
        return headers
    user, password = given["user"], given["password"]
    if not isinstance(user, str) or not isinstance(password, str):
        raise ValueError("'user' and 'password' are texts")
    return [Credential.basic(user, password), *headers]
