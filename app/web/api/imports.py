"""The API of imports: a file sent, the runs that come of it, what is said to them, and their way back."""

from __future__ import annotations

from flask import Blueprint, Response, request

from app.care.erasure import NotPurged
from app.imports.record.batch import Batch
from app.imports.record.routed_outcome import RoutedOutcome
from app.imports.run import NoRun, NotWaiting, Outcome, Run
from app.web import uploads
from app.web.answers import as_json
from app.web.api.calls import call
from app.web.api.paging import with_next
from app.web.api.shapes import runs as shapes
from app.web.api.shapes.common import DryRun
from app.web.door import access
from app.web.problems import answer, problem

bp = Blueprint("api", __name__, url_prefix="/api")

STATUS = {"held": 202, "left": 202, "paused": 202, "failed": 422}
"""Held waits for a yes, left and paused wait for another run; failed: the LMS permits none of it. All else is 200."""

ONE = "/imports/<int(max=2147483647):run>"
CAME = {202: [shapes.Outcome], 422: [shapes.Outcome]}
"""What a run may come to beside being done."""
UNANSWERED = {404: "There is no such run, or calendar."}


@bp.app_errorhandler(NoRun)
def _no_run(error: NoRun) -> Response:
    return answer(409 if isinstance(error, NotWaiting) else 404, str(error))


@bp.post("/imports")
@call(
    "importCalendar",
    "Imports",
    *(shapes.Outcome, shapes.Routed),
    also={
        202: [shapes.Outcome, shapes.Routed, shapes.Run, shapes.Batch],
        422: [shapes.Outcome, shapes.Routed],
    },
    asks=shapes.Upload,
    file="The calendar file, as the body or as the part `file` of a form whose other parts are fields of the query.",
    refusals=UNANSWERED,
    loose=True,
)
def import_calendar() -> Response:
    """Write a calendar file into an LMS calendar, or into many.

    With `dry_run` the plan is answered and nothing is written. With `background` it is answered at once, with the
    number that a worker does it under; with `preview` the plan is kept for a yes. With `route` instead of `calendar`,
    as often as is liked, it goes into many. 202 where it waits: for a yes (`held`), for another run (`left`, `paused`),
    or for a worker.
    """
    parts = access.parts()
    if "route" in request.values:
        access.require_all("route a file into many calendars")
        job, routes = uploads.routed(request, parts)
        if uploads.flag(request.values, "background"):
            return _batch_accepted(uploads.queue_routed(job, routes, parts))
        return outcome_of(parts.routed.run(job, routes))
    upload = uploads.from_request(request, parts)
    if uploads.flag(request.values, "preview"):
        return _accepted(uploads.preview(upload, parts))
    if uploads.flag(request.values, "background"):
        return _accepted(uploads.queue(upload, parts))
    return outcome_of(parts.imports.do(upload))


@bp.get("/imports")
@call("listRuns", "Imports", shapes.Runs, asks=shapes.RunsAsked, pages=True)
def runs(asked: shapes.RunsAsked) -> Response:
    """The latest runs, newest first; `state=held` are those that wait for a yes."""
    limit, state = asked.count or asked.limit, asked.state or None
    found = access.parts().imports.latest(limit, calendar=asked.calendar, state=state, before=asked.before)
    shown = as_json({"imports": [one.to_json() for one in found if access.may_see(one.calendar)]})
    return with_next(shown, {"before": found[-1].id} if len(found) == limit else None)


@bp.get(ONE)
@call("showRun", "Imports", shapes.Run)
def run(run: int) -> Response:
    """One run: its plan, what became of it, and what it waits for."""
    return as_json(access.parts().imports.get(run).to_json())


@bp.post(f"{ONE}/approve")
@call("approveRun", "Imports", shapes.Outcome, also={**CAME, 202: [shapes.Outcome, shapes.Run]}, asks=shapes.Approved)
def approve(run: int, asked: shapes.Approved) -> Response:
    """Say yes to a run that waits: it is planned anew from its file and carried out."""
    parts = access.parts()
    if asked.background:
        return _accepted(parts.told_a_worker(parts.imports.approve_later(run)))
    return outcome_of(parts.imports.approve(run))


@bp.post(f"{ONE}/cancel")
@call("cancelRun", "Imports", shapes.Run, also={202: [shapes.Run]})
def cancel(run: int) -> Response:
    """Say no to a run that waits, or have one that goes on end; what it wrote stays."""
    return _run(access.parts().imports.cancel(run))


@bp.post(f"{ONE}/pause")
@call("pauseRun", "Imports", shapes.Run, also={202: [shapes.Run]})
def pause(run: int) -> Response:
    """Have a run stop between two changes, within a second or two; 202 while it has not seen that yet."""
    return _run(access.parts().imports.pause(run))


@bp.post(f"{ONE}/resume")
@call("resumeRun", "Imports", shapes.Outcome, also={**CAME, 202: [shapes.Outcome, shapes.Run]})
def resume(run: int) -> Response:
    """Go on with a run that was paused, left half-way or cut off; a background one in the background."""
    parts = access.parts()
    if parts.imports.get(run).background:
        return _accepted(parts.told_a_worker(parts.imports.requeue(run)))
    return outcome_of(parts.imports.resume(run))


@bp.get(f"{ONE}/<any(changes, done, left, refused):what>")
@call("listOfRun", "Imports", shapes.Listed, asks=shapes.Part, pages=True)
def listed(run: int, what: str, asked: shapes.Part) -> Response:
    """What a run planned (`changes`), has done, left, or was refused by the LMS or its rules; `of` counts all."""
    imports = access.parts().imports
    items, of = imports.part(imports.get(run), what, asked.offset, asked.limit)
    shown = as_json({"run": run, "offset": asked.offset, "of": of, what: items})
    ahead = asked.offset + len(items)
    return with_next(shown, {"offset": ahead} if items and ahead < of else None)


@bp.post(f"{ONE}/retry")
@call("retryRun", "Imports", shapes.Outcome, also=CAME, asks=DryRun)
def retry(run: int, asked: DryRun) -> Response:
    """Try again what was refused in a run, and nothing else; `dry_run` answers the plan and touches nothing."""
    return outcome_of(access.parts().imports.retry(run, dry_run=asked.dry_run))


@bp.post(f"{ONE}/undo")
@call("undoRun", "Imports", shapes.Outcome, also=CAME, asks=DryRun)
def undo(run: int, asked: DryRun) -> Response:
    """Take back what the run did; `dry_run` answers the plan and touches nothing."""
    return outcome_of(access.parts().imports.undo(run, dry_run=asked.dry_run))


@bp.post("/imports/purge")
@call("purgeImport", "Imports", shapes.Outcome, also=CAME, asks=shapes.Purged, refusals=UNANSWERED)
def purge(asked: shapes.Purged) -> Response:
    """Take away all that the import `name` ever wrote into `calendar`; `dry_run` answers the plan alone."""
    calendar, source = uploads.target(request.values, access.parts())
    return outcome_of(access.parts().imports.purge(calendar, source, dry_run=asked.dry_run))


@bp.delete("/people")
@call("erasePerson", "House", shapes.Erased, asks=shapes.Person, refusals=UNANSWERED)
def erase(asked: shapes.Person) -> Response:
    """Erase what is kept of a person; `name` for what is called after the person, and `purge` for what was written into
    the LMS, first."""
    parts = access.parts()
    try:
        erased = parts.erasure.erase(parts.named(asked.person), names=asked.name, purge=asked.purge)
    except ValueError as error:
        return problem(400, str(error))
    except NotPurged as error:
        return problem(409, str(error))
    return as_json(erased.to_json())


def outcome_of(outcome: Outcome | RoutedOutcome) -> Response:
    """What an import came to, and the status that says so."""
    return as_json(outcome.to_json(), STATUS.get(outcome.state, 200))


def _run(run: Run) -> Response:
    return as_json(run.to_json(), 200 if run.over else 202)


def _accepted(run: Run) -> Response:
    """It goes on from here: Location is where to ask how far it is."""
    response = as_json(run.to_json(), 202)
    response.headers["Location"] = f"/api/imports/{run.id}"
    return response


def _batch_accepted(batch: Batch) -> Response:
    response = as_json(batch.to_json(), 202)
    response.headers["Location"] = f"/api/imports/batches/{batch.id}"
    return response
