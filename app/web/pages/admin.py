"""The administration: what waits, the connections and their weather, linked accounts, workers, settings, the log."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from flask import Blueprint, Response, redirect, render_template, request, url_for

from app.care import connections
from app.care.connections import Trial
from app.care.settings import Setting, effective
from app.care.waiting import waiting
from app.people import audit
from app.store import workers
from app.store.slices import Slice
from app.web import uploads
from app.web.door import access
from app.web.language import gettext, lazy
from bridges.errors import BridgeError
from bridges.model import CalendarRef

bp = Blueprint("admin", __name__, url_prefix="/admin")

DEEDS = 50
"""Lines of the audit log on one page."""
JOBS = {
    "read": lazy("reading a calendar"),
    "pull": lazy("pulling a subscription"),
    "import": lazy("importing"),
    "route": lazy("importing into many calendars"),
    "check": lazy("comparing a calendar"),
    "chore": lazy("a chore"),
}


@bp.get("")
def overview() -> str:
    """What waits for somebody's word, and how all the rest stands."""
    parts = access.parts()
    seen, now = workers.known(parts.engine), parts.now()
    return page(
        "admin.html",
        waiting=waiting(parts),
        skies=connections.weathers(parts).values(),
        alive=sum(not one.is_silent(now) for one in seen),
    )


@bp.get("/connections")
def connected() -> str:
    """Each LMS: where it is, how its calendars stand, its weather. Asks none of them."""
    return _connections(None)


@bp.post("/connections/<lms>/try")
def attempt(lms: str) -> str:
    """Whether it answers, shown at once: an answer is true for the moment alone, and kept nowhere."""
    return _connections(connections.tried(access.parts(), lms))


def _connections(trial: Trial | None) -> str:
    return page("admin_connections.html", connections=connections.every_one(access.parts()), trial=trial)


@bp.get("/links")
def links() -> str:
    """Whose own calendars are open, since these people have permitted it."""
    try:
        linked, problem = connections.linked(access.parts()), ""
    except BridgeError as error:
        linked, problem = [], str(error)
    where = [one.name for one in connections.every_one(access.parts()) if one.links]
    return page("admin_links.html", linked=linked, where=where, problem=problem)


@bp.get("/links/remove")
def really_unlink() -> str:
    """Whether it is meant."""
    calendar = _person(request.args.get("calendar", ""))
    return sure(
        gettext("Forget what %(person)s has permitted?", person=calendar),
        gettext("The person's calendar is read and written no more. To open it again, the person has to sign in anew."),
        gettext("Forget it"),
        url_for("admin.unlink"),
        url_for("admin.links"),
        calendar=str(calendar),
    )


@bp.post("/links/remove")
def unlink() -> Response:
    calendar = _person(request.form.get("calendar", ""))
    access.parts().linkable(calendar.lms).unlink(calendar.id)
    return to(url_for("admin.links"))


def _person(text: str) -> CalendarRef:
    try:
        return CalendarRef.parse(text)
    except ValueError as error:
        raise uploads.BadUpload(str(error)) from error


@bp.get("/workers")
def at_work() -> str:
    """The worker processes, and what they have done so far."""
    parts = access.parts()
    counts = sorted(workers.counts(parts.engine).items())
    return page("admin_workers.html", workers=workers.known(parts.engine), counts=counts, now=parts.now(), jobs=JOBS)


@bp.get("/settings")
def settings() -> str:
    """What holds, and where each of it came from."""
    found = effective(access.parts().config)
    told = request.args.get("told") == "yes"
    shown = [one for one in found if not told or one.origin.name]
    return page("admin_settings.html", sections=_sections(shown), told=told)


def _sections(found: Sequence[Setting]) -> list[tuple[str, list[Setting]]]:
    return [(name, list(some)) for name, some in groupby(found, lambda one: one.path.rpartition(".")[0])]


@bp.get("/log")
def log() -> str:
    """Who did what, the newest first."""
    search, number = request.args.get("search", "").strip(), max(request.args.get("page", 1, int), 1)
    found = audit.some(access.parts().engine, Slice(DEEDS, (number - 1) * DEEDS, search))
    return page("admin_log.html", deeds=found.items, of=found.of, more=found.more, number=number, search=search)


def page(template: str, **values: object) -> str:
    """A page of the administration, in the home zone."""
    return render_template(template, zone=access.parts().config.zone, **values)


def sure(question: str, then: str, deed: str, action: str, back: str, **fields: str) -> str:
    """A page that asks whether it is meant: what will be `then`, and the `fields` of the form that does the `deed`."""
    return page("admin_sure.html", question=question, then=then, deed=deed, action=action, back=back, fields=fields)


def unstored(shown: str, status: int = 200) -> Response:
    """A page with a secret on it, which no cache keeps."""
    return Response(shown, status, {"Cache-Control": "no-store"})


def to(path: str) -> Response:
    """On to another page."""
    return redirect(path, 303)  # type: ignore[return-value]
