"""The pages of subscriptions: which calendars are pulled, how each stands, and what happened to it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from flask import Blueprint, Response, redirect, render_template, request, url_for

from app.imports.pull.fetch import Credential
from app.imports.pull.subscriptions import Subscription, Wish, host_of
from app.imports.pull.wish import SETTINGS, changed, shown
from app.imports.record.batch import NOWHERE
from app.web.door import access
from app.web.language import lazy
from app.web.pages import overview
from bridges.errors import BridgeError

bp = Blueprint("subscribed", __name__, url_prefix="/subscriptions")

ONE = "/<int(max=2147483647):id>"
STANDINGS = {
    "new": lazy("not read yet"),
    "fine": lazy("fine"),
    "held": lazy("waits for your yes"),
    "left": lazy("not finished"),
    "failing": lazy("failing"),
    "parked": lazy("given up"),
    "off": lazy("switched off"),
}
SHOWN = ("every_minutes", "ahead_days", "mode", "match", "from", "to", "grace", "zone", "floating", "agent")
LISTS = ("include", "exclude", "rename", "routes")
"""Settings of the form: one value each, or a list with one on each line."""
MORE = {
    "mode": (("replace", lazy("are removed")), ("add", lazy("stay"))),
    "match": (("uid", lazy("by its UID")), ("content", lazy("by title, time and place"))),
}
FOUND = {
    "done": lazy("imported"),
    "unchanged": lazy("nothing new"),
    "held": lazy("waits for a yes"),
    "left": lazy("not finished"),
    "denied": lazy("the LMS will have none of it"),
    "missing": lazy("not there"),
    "refused": lazy("not allowed"),
    "failed": lazy("failed"),
    "busy": lazy("busy"),
}


@bp.get("")
def every_one() -> str:
    subscriptions = [one for one in access.parts().subscriptions.list() if _may_see(one)]
    return _page("subscriptions.html", subscriptions=subscriptions)


@bp.get("/new")
def new() -> str:
    """What a subscription needs."""
    _require_leave()
    config = access.parts().config
    usual: dict[str, object] = {
        "every_minutes": config.fetch.every_minutes,
        "ahead_days": config.imports.ahead_days,
        "grace": 2,
    }
    return _form(None, {**usual, **request.args.to_dict()})


@bp.post("")
def add() -> Response | tuple[str, int]:
    parts, given = access.parts(), request.form
    try:
        into = (
            parts.named(overview.calendar_called(parts, given.get("calendar", "")))
            if given.get("calendar")
            else NOWHERE
        )
        if into != NOWHERE:
            parts.sink(into.lms).check_target(into)
        every = timedelta(minutes=parts.config.fetch.every_minutes)
        wish = Wish(
            given.get("name", "").strip(), given.get("url", "").strip(), into, every, parts.config.imports.ahead_days
        )
        made = parts.subscriptions.add(changed(wish, _settings()), _credentials())
    except (ValueError, BridgeError) as error:
        return _form(None, given.to_dict(), str(error)), 422
    return _to(made.id)


@bp.get(ONE)
def one(id: int) -> str:
    """How one stands, and what happened to it."""
    subscriptions = access.parts().subscriptions
    found = _yours(id)
    return _page("subscription.html", one=found, settings=shown(found.wish), history=subscriptions.history(id, 50))


@bp.get(f"{ONE}/edit")
def edit(id: int) -> str:
    _require_leave()
    found = _yours(id)
    return _form(found, _as_form(shown(found.wish)))


@bp.post(ONE)
def change(id: int) -> Response | tuple[str, int]:
    """Other settings; an address or a sign-in that is left empty stays as it is."""
    found = _yours(id)
    try:
        access.parts().subscriptions.change(id, _settings(), _credentials())
    except ValueError as error:
        return _form(found, request.form.to_dict(), str(error)), 422
    return _to(id)


@bp.post(f"{ONE}/<any(run, approve, enable, disable):what>")
def steer(id: int, what: str) -> Response:
    """Read it now, say yes to what waits, switch it on or off."""
    subscriptions = access.parts().subscriptions
    _yours(id)
    if what in ("run", "approve"):
        subscriptions.run(id, approved=what == "approve")
    else:
        (subscriptions.enable if what == "enable" else subscriptions.disable)(id)
    return _to(id)


@bp.get(f"{ONE}/remove")
def really(id: int) -> str:
    """Whether it is meant."""
    _require_leave()
    return _page("subscription_remove.html", one=_yours(id))


@bp.post(f"{ONE}/remove")
def remove(id: int) -> Response:
    _yours(id)
    access.parts().subscriptions.remove(id)
    return _see(url_for("subscribed.every_one"))


def _settings() -> dict[str, object]:
    """The settings of the form; a list has one pattern on each line."""
    given: dict[str, object] = {name: request.form[name].strip() for name in SHOWN if name in request.form}
    for name in LISTS:
        if name in request.form:
            given[name] = [line.strip() for line in request.form[name].splitlines() if line.strip()]
    if url := request.form.get("url", "").strip():
        given["url"] = url
    return {name: value for name, value in given.items() if name in SETTINGS and not (name == "routes" and not value)}


def _credentials() -> list[Credential]:
    user, password = request.form.get("user", ""), request.form.get("password", "")
    return [Credential.basic(user, password)] if user or password else []


def _as_form(settings: dict[str, object]) -> dict[str, object]:
    return {
        name: "\n".join(map(str, value)) if isinstance(value, list) else "" if value is None else value
        for name, value in settings.items()
    }


def _form(found: Subscription | None, given: Mapping[str, object], problem: str = "") -> str:
    targets = [] if found else overview.targets(access.parts())
    return _page("subscription_form.html", one=found, given=given, problem=problem, targets=targets, more=MORE)


def _yours(id: int) -> Subscription:
    found = access.parts().subscriptions.get(id)
    if not _may_see(found):
        raise access.NotYours(f"'{access.caller().name}' may not see this subscription.")
    return found


def _may_see(one: Subscription) -> bool:
    return access.may_see(one.wish.calendar)


def _require_leave() -> None:
    if not access.may_write():
        raise access.NotYours("You may look at subscriptions, and not change them.")


def _page(template: str, **values: object) -> str:
    zone = access.parts().config.zone
    shared = {"zone": zone, "standings": STANDINGS, "found": FOUND, "host_of": host_of, "nowhere": NOWHERE}
    return render_template(template, mine=access.may_write(), **shared, **values)


def _to(id: int) -> Response:
    return _see(url_for("subscribed.one", id=id))


def _see(path: str) -> Response:
    return redirect(path, 303)  # type: ignore[return-value]
