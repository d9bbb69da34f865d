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
from app.web import access, uploads
from app.web.answers import as_json
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
def every_one() -> Response:
    """All subscriptions and how each stands."""
    return as_json({"subscriptions": [to_json(one) for one in access.parts().subscriptions.list()]})


@bp.post("")
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
def one(id: int) -> Response:
    """One subscription: its settings, and how it stands."""
    return as_json(to_json(access.parts().subscriptions.get(id)))


@bp.patch(ONE)
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
def remove(id: int) -> Response:
    """Pull it no longer and forget it; what it wrote stays."""
    access.parts().subscriptions.remove(id)
    return Response(status=204)


@bp.post(f"{ONE}/run")
def run(id: int) -> Response:
    """Pull it now; `?approve=true` is a yes to the plan that is held."""
    approved = uploads.flag(request.values, "approve")
    visit = access.parts().subscriptions.run(id, approved=approved)
    return as_json(visit_to_json(visit), VISITED.get(visit.what, 200))


@bp.post(f"{ONE}/enable")
def enable(id: int) -> Response:
    """Pull it again, at once, also if it was parked."""
    access.parts().subscriptions.enable(id)
    return one(id)


@bp.post(f"{ONE}/disable")
def disable(id: int) -> Response:
    """Pull it no longer until it is enabled."""
    access.parts().subscriptions.disable(id)
    return one(id)


@bp.get(f"{ONE}/history")
def history(id: int) -> Response:
    """What happened to it, the newest first; `?count=` says how much, at most."""
    count = min(max(request.args.get("count", 50, int), 1), 500)
    return as_json({"history": [visit_to_json(visit) for visit in access.parts().subscriptions.history(id, count)]})


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
