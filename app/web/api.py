"""The API: calendars, feeds, and imports, as JSON; errors as problem+json."""

from __future__ import annotations

from flask import Blueprint, Response, request

from app.erasure import NotPurged
from app.feeds.feed import Did, Feed
from app.imports.record.batch import Batch
from app.imports.record.routed_outcome import RoutedOutcome
from app.imports.run import NoRun, NotWaiting, Outcome, Run
from app.web import access, uploads
from app.web.answers import as_json
from app.web.links import links_of
from app.web.problems import answer, problem

bp = Blueprint("api", __name__, url_prefix="/api")

STATUS = {"held": 202, "left": 202, "paused": 202, "failed": 422}
"""Held waits for a yes, left and paused wait for another run; failed: the LMS permits none of it. All else is 200."""


REFRESHED = {Did.FAILED: 502, Did.BUSY: 409}


@bp.app_errorhandler(NoRun)
def _no_run(error: NoRun) -> Response:
    return answer(409 if isinstance(error, NotWaiting) else 404, str(error))


@bp.post("/imports")
def import_calendar() -> Response:
    """Write a calendar file into an LMS calendar; `?dry_run=true` answers the plan and writes nothing.

    `?background=true` answers at once, with the number that a worker does it under. With `route` instead of
    `calendar`, as often as is liked, it goes into many.
    """
    parts = access.parts()
    if "route" in request.values:
        access.require_all("route a file into many calendars")
        job, routes = uploads.routed(request, parts)
        if uploads.flag(request.values, "background"):
            return _batch_accepted(uploads.queue_routed(job, routes, parts))
        return _outcome(parts.routed.run(job, routes))
    upload = uploads.from_request(request, parts)
    if uploads.flag(request.values, "background"):
        return _accepted(uploads.queue(upload, parts))
    return _outcome(parts.imports.do(upload))


@bp.get("/imports/batches/<int(max=2147483647):batch>")
def batch(batch: int) -> Response:
    """One routed import: its runs, and what has no place in any calendar."""
    access.require_all("see routed imports")
    return as_json(access.parts().routed.get(batch).to_json())


@bp.post("/imports/batches/<int(max=2147483647):batch>/approve")
def approve_batch(batch: int) -> Response:
    """Say yes to all of it that waits: it is planned anew from its file and carried out."""
    access.require_all("approve routed imports")
    return _outcome(access.parts().routed.approve(batch))


@bp.post("/imports/batches/<int(max=2147483647):batch>/cancel")
def cancel_batch(batch: int) -> Response:
    """Say no to all of it that waits."""
    access.require_all("cancel routed imports")
    return as_json(access.parts().routed.cancel(batch).to_json())


@bp.post("/imports/batches/<int(max=2147483647):batch>/undo")
def undo_batch(batch: int) -> Response:
    """Take back what all of its runs did; `?dry_run=true` answers the plans and touches nothing."""
    access.require_all("take routed imports back")
    outcomes = access.parts().routed.undo(batch, dry_run=uploads.flag(request.values, "dry_run"))
    status = max(STATUS.get(each.state, 200) for each in outcomes)
    return as_json({"batch": batch, "outcomes": [each.to_json() for each in outcomes]}, status)


@bp.get("/imports")
def runs() -> Response:
    """The latest runs, newest first; `?count=` says how many, at most."""
    count = min(max(request.args.get("count", 50, int), 1), 1000)
    yours = [one for one in access.parts().imports.latest(count) if access.may_see(one.calendar)]
    return as_json({"imports": [one.to_json() for one in yours]})


@bp.get("/imports/<int(max=2147483647):run>")
def run(run: int) -> Response:
    """One run: its plan, what became of it, and what it waits for."""
    return as_json(access.parts().imports.get(run).to_json())


@bp.post("/imports/<int(max=2147483647):run>/approve")
def approve(run: int) -> Response:
    """Say yes to a run that waits: it is planned anew from its file and carried out."""
    return _outcome(access.parts().imports.approve(run))


@bp.post("/imports/<int(max=2147483647):run>/cancel")
def cancel(run: int) -> Response:
    """Say no to a run that waits, or have one that goes on end; what it wrote stays."""
    return _run(access.parts().imports.cancel(run))


@bp.post("/imports/<int(max=2147483647):run>/pause")
def pause(run: int) -> Response:
    """Have a run stop between two changes, within a second or two; 202 while it has not seen that yet."""
    return _run(access.parts().imports.pause(run))


@bp.post("/imports/<int(max=2147483647):run>/resume")
def resume(run: int) -> Response:
    """Go on with a run that was paused, left half-way or cut off; a background one in the background."""
    parts = access.parts()
    if parts.imports.get(run).background:
        return _accepted(parts.told_a_worker(parts.imports.requeue(run)))
    return _outcome(parts.imports.resume(run))


@bp.get("/imports/<int(max=2147483647):run>/refused")
def refused(run: int) -> Response:
    """What the LMS, or its rules, refused in a run: each with the reason, and the line of the file where known."""
    imports = access.parts().imports
    return as_json({"run": run, "refused": list(imports.whole(imports.get(run), "refused"))})


@bp.get("/imports/<int(max=2147483647):run>/<any(changes, done, left):what>")
def listed(run: int, what: str) -> Response:
    """What a run planned, has done, or left: `?limit=` of them (at most 1,000) from `?offset=` on; `of` counts all."""
    imports = access.parts().imports
    offset = max(request.args.get("offset", 0, int), 0)
    limit = min(max(request.args.get("limit", 1000, int), 1), 1000)
    items, of = imports.part(imports.get(run), what, offset, limit)
    return as_json({"run": run, "offset": offset, "of": of, what: items})


@bp.post("/imports/<int(max=2147483647):run>/retry")
def retry(run: int) -> Response:
    """Try again what was refused in a run, and nothing else; `?dry_run=true` answers the plan and touches nothing."""
    return _outcome(access.parts().imports.retry(run, dry_run=uploads.flag(request.values, "dry_run")))


@bp.post("/imports/<int(max=2147483647):run>/undo")
def undo(run: int) -> Response:
    """Take back what the run did; `?dry_run=true` answers the plan and touches nothing."""
    return _outcome(access.parts().imports.undo(run, dry_run=uploads.flag(request.values, "dry_run")))


@bp.post("/imports/purge")
def purge() -> Response:
    """Take away all that the import `source` ever wrote into `calendar`; `?dry_run=true` answers the plan alone."""
    calendar, source = uploads.target(request.values, access.parts())
    dry_run = uploads.flag(request.values, "dry_run")
    return _outcome(access.parts().imports.purge(calendar, source, dry_run=dry_run))


@bp.delete("/people")
def erase() -> Response:
    """Erase what is kept of `?person=LMS/person/ID`; `name` (repeatable) for what is called after the person, and
    `purge=true` for what was written into the LMS, first."""
    parts = access.parts()
    try:
        person = parts.named(request.args.get("person", ""))
        purge = uploads.flag(request.args, "purge")
        erased = parts.erasure.erase(person, names=request.args.getlist("name"), purge=purge)
    except ValueError as error:
        return problem(400, str(error))
    except NotPurged as error:
        return problem(409, str(error))
    return as_json(erased.to_json())


@bp.get("/calendars")
def calendars() -> Response:
    """The calendars of one LMS (`?lms=`), or of all."""
    parts = access.parts()
    names = [request.args["lms"]] if "lms" in request.args else sorted(parts.config.connections)
    found = [calendar for name in names for calendar in parts.calendars(name)]
    return as_json(
        {"calendars": [{"ref": str(one.ref), "name": one.name, "writable": one.writable} for one in found]},
    )


@bp.get("/feeds")
def feeds() -> Response:
    """Every feed; a public one with its links, a secret one without: its address was shown once."""
    parts = access.parts()
    return as_json({"feeds": [_feed(feed) for feed in parts.feeds.list()]})


@bp.post("/feeds/<slug>/refresh")
def refresh(slug: str) -> Response:
    """Read the feed's calendar from its LMS now."""
    outcome = access.parts().feeds.refresh(slug)
    return as_json(
        {"slug": slug, "did": outcome.did.value, "problem": outcome.problem}, REFRESHED.get(outcome.did, 200)
    )


def _feed(feed: Feed) -> dict[str, object]:
    return {**feed.to_json(), "links": dict(links_of(feed, access.base_url()))}


def _run(run: Run) -> Response:
    return as_json(run.to_json(), 200 if run.over else 202)


def _accepted(run: Run) -> Response:
    """A worker has it from here: Location is where to ask how far it is."""
    response = as_json(run.to_json(), 202)
    response.headers["Location"] = f"/api/imports/{run.id}"
    return response


def _batch_accepted(batch: Batch) -> Response:
    response = as_json(batch.to_json(), 202)
    response.headers["Location"] = f"/api/imports/batches/{batch.id}"
    return response


def _outcome(outcome: Outcome | RoutedOutcome) -> Response:
    return as_json(outcome.to_json(), STATUS.get(outcome.state, 200))
