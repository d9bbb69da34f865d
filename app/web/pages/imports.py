"""The pages of imports: a file or an address in, a plan to look at, a yes, and what became of it."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from flask import Blueprint, Response, redirect, render_template, request, url_for
from werkzeug.datastructures import MultiDict

from app.config import zone_of
from app.ics import NotACalendar
from app.ics.floating import Floating
from app.imports.pull.fetch import FetchError
from app.imports.record.outcome import Outcome
from app.imports.record.report import change_to_json
from app.imports.record.runs import Ending
from app.imports.run import NotWaiting, Run
from app.parts import Parts
from app.web import uploads
from app.web.door import access, lti
from app.web.language import lazy
from app.web.pages import asked as imports_asked
from app.web.pages import overview, plan_shown
from bridges.errors import BridgeError
from bridges.model import Calendar

bp = Blueprint("imports", __name__)

ROWS = 200
"""Changes on one page."""
RUNS = 25
NAMES = {
    "queued": lazy("Waiting for its turn"),
    "running": lazy("Importing"),
    "paused": lazy("Paused"),
    "done": lazy("Imported"),
    "held": lazy("Waiting for your yes"),
    "previewed": lazy("Preview"),
    "left": lazy("Not finished"),
    "failed": lazy("Not imported"),
    "cancelled": lazy("Cancelled"),
    "expired": lazy("Waited too long"),
    "dry": lazy("Preview"),
}
"""What a state is called where people look at it."""
KINDS = {
    "undo": lazy("Taking back"),
    "purge": lazy("Taking all away"),
    "restore": lazy("Writing again"),
    "retry": lazy("Another try"),
}
"""What a run is that is no import."""
STEPS = {
    "iana": lazy("it is the zone’s own name"),
    "vtimezone": lazy("by the rules in the file"),
    "windows": lazy("by its Windows name"),
    "x-lic-location": lazy("by the place that the file names"),
    "alias": lazy("by a name that is known to mean it"),
    "calendar": lazy("by the calendar’s own zone"),
    "source": lazy("as you said"),
    "floating": lazy("as you said"),
    "home": lazy("the zone of this calbridge"),
    "held": lazy("nobody knows this zone: its events are left out until you name one under “More”"),
}
"""What the steps of the zone ladder are called."""
ONE = "/imports/<int(max=2147483647):run>"
BATCH = "/imports/batches/<int(max=2147483647):batch>"


@bp.get("/import")
def form() -> str:
    """A file, or an address, and where to."""
    return _form(request.args)


@bp.post("/imports")
def preview() -> Response | tuple[str, int]:
    """What the file would come to. It is kept here, so that nobody has to send it twice."""
    parts = access.parts()
    try:
        if request.form.get("routes", "").strip():
            return _to_batch(parts.routed.preview(*imports_asked.routed(parts)).id)
        run = parts.imports.preview(imports_asked.wanted(parts))
    except (uploads.BadUpload, FetchError, NotACalendar, BridgeError) as error:
        return _form(request.form, str(error)), 422
    return _to(run.id)


@bp.post(f"{ONE}/zone")
def zone(run: int) -> Response:
    """What its file means by zones that nobody knows, and by times without one: the plan is made anew."""
    given, floating = request.form.get("zone", "").strip(), request.form.get("floating", "").strip()
    try:
        meant = zone_of(given) if given else None
        return _to(access.parts().imports.preview_again(run, meant, Floating(floating) if floating else None).id)
    except NotWaiting:
        raise
    except ValueError as error:
        raise uploads.BadUpload(str(error)) from error


@bp.get("/imports")
def runs() -> str:
    """The latest runs."""
    parts = access.parts()
    calendar, state = request.args.get("calendar", "").strip(), request.args.get("state", "")
    wanted = Ending(state) if state in set(Ending) else None
    before = request.args.get("before", None, int)
    found = parts.imports.latest(RUNS + 1, calendar=calendar, state=wanted, before=before)
    yours = [run for run in found[:RUNS] if access.may_see(run.calendar)]
    older = found[RUNS - 1].id if len(found) > RUNS else None
    return _page("runs.html", runs=yours, older=older, calendar=calendar, state=state)


@bp.get(ONE)
def run(run: int) -> Response:
    """One run, whatever it is at."""
    shown = access.parts().imports.get(run)
    response = Response(_run(shown))
    response.headers["Cache-Control"] = "no-store"
    return response


@bp.post(f"{ONE}/approve")
def approve(run: int) -> Response:
    """The yes to a plan: a worker carries it out."""
    parts = access.parts()
    parts.told_a_worker(parts.imports.approve_later(run))
    return _to(run)


@bp.post(f"{ONE}/<any(pause, cancel, resume):what>")
def steer(run: int, what: str) -> Response:
    """Have it stop for a while, for good, or go on."""
    imports = access.parts().imports
    if what == "pause":
        imports.pause(run)
    elif what == "cancel":
        imports.cancel(run)
    elif imports.get(run).background:
        access.parts().told_a_worker(imports.requeue(run))
    else:
        imports.resume(run)
    return _to(run)


@bp.post(f"{ONE}/retry")
def retry(run: int) -> Response:
    """Try again what was refused."""
    return _after(access.parts().imports.retry(run), run)


@bp.get(f"{ONE}/undo")
def undo_plan(run: int) -> str:
    """What taking it back would do, before it is done."""
    if not access.may_import():
        raise access.NotYours("You may look at imports, and not take them back.")
    imports = access.parts().imports
    outcome = imports.undo(run, dry_run=True)
    changes = [change_to_json(each, outcome.lines) for each in outcome.plan.changes[:ROWS]]
    days = plan_shown.days(changes, _zone())
    return _page("undo.html", run=imports.get(run), outcome=outcome, days=days)


@bp.post(f"{ONE}/undo")
def undo(run: int) -> Response:
    """Take back what it did."""
    return _after(access.parts().imports.undo(run), run)


@bp.get(BATCH)
def batch(batch: int) -> str:
    """One file that went into many calendars."""
    access.require_all("see routed imports")
    shown = access.parts().routed.get(batch)
    plans = [(plan, plan_shown.days(plan["changes"], _zone())) for plan in shown.plans]
    return _page("batch.html", batch=shown, plans=plans if shown.state is Ending.PREVIEWED else [])


@bp.post(f"{BATCH}/<any(approve, cancel, undo):what>")
def steer_batch(batch: int, what: str) -> Response:
    """Say yes or no to all of it, or take all of it back."""
    access.require_all(f"{what} routed imports")
    routed = access.parts().routed
    if what == "approve" and routed.get(batch).state is Ending.PREVIEWED:
        parts = access.parts()
        parts.told_a_worker(routed.approve_later(batch))
    elif what == "approve":
        routed.approve(batch)
    elif what == "cancel":
        routed.cancel(batch)
    else:
        routed.undo(batch)
    return _to_batch(batch)


# ------------------------------------------------------------------------------------------------------- what is shown


def _form(given: MultiDict[str, str], problem: str = "") -> str:
    if not access.may_import():
        raise access.NotYours("You may look at imports, and not make any.")
    parts = access.parts()
    return _page(
        "import.html",
        targets=_targets(parts),
        given=given,
        problem=problem,
        limit=parts.config.imports.max_bytes,
        may_subscribe=access.may_write(),
        may_route=access.caller().calendars is None,
    )


def _targets(parts: Parts) -> list[Calendar]:
    """Where the caller may import to; whoever came from a course has that one, and no LMS is asked for all others."""
    if here := lti.course():
        return [Calendar(here.calendar, here.title, writable=True)]
    return [one for one in overview.targets(parts) if access.may_write_into(one.ref)]


def _run(shown: Run) -> str:
    imports, page = access.parts().imports, max(request.args.get("page", 1, int), 1)
    changes, of = imports.part(shown, "changes", (page - 1) * ROWS, ROWS)
    days = plan_shown.days(changes, _zone())
    report = shown.report or {}
    return _page(
        "run.html",
        run=shown,
        days=days,
        months=plan_shown.months(days),
        of=of,
        page=page,
        pages=-(-of // ROWS),
        refused=(report or shown.reading or {}).get("refused" if report else "unfit", [])[:ROWS],
        spared=(report or shown.plan or {}).get("spared", [])[:ROWS],
        reading=shown.reading or {},
        steps=STEPS,
        may_import=access.may_import(),
    )


def _page(template: str, **values: object) -> str:
    return render_template(template, zone=_zone(), names=NAMES, kinds=KINDS, states=list(Ending), **values)


def _zone() -> ZoneInfo:
    return access.parts().config.zone


def _after(outcome: Outcome, about: int) -> Response:
    """On to the run that it made."""
    if outcome.run_id is None:
        raise NotWaiting(f"run {about} left nothing to do")
    return _to(outcome.run_id)


def _to_batch(batch: int) -> Response:
    return _see(url_for("imports.batch", batch=batch))


def _to(run: int) -> Response:
    return _see(url_for("imports.run", run=run))


def _see(path: str) -> Response:
    return redirect(path, 303)  # type: ignore[return-value]
