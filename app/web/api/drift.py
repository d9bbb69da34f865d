"""The API for what people made in the LMS of what imports wrote."""

from __future__ import annotations

from flask import Blueprint, Response, request

from app.imports.drift.changes import Policy
from app.imports.drift.drifts import Look, NoDrift, check_to_json, drift_to_json
from app.web import uploads
from app.web.answers import as_json
from app.web.api.calls import call, understood
from app.web.api.paging import as_part, slice_of
from app.web.api.shapes import drift as shapes
from app.web.api.shapes.runs import Outcome
from app.web.door import access
from app.web.problems import answer

bp = Blueprint("drift", __name__, url_prefix="/api/drift")

STATUS = {Look.FAILED: 503, Look.BUSY: 409, Look.LEFT: 202}
"""Of a check; all else is 200, and `look` says what came of it."""
NOWHERE = {404: "There is no such calendar.", 422: "No LMS is called so, or it cannot be written."}


@bp.app_errorhandler(NoDrift)
def _no_drift(error: NoDrift) -> Response:
    return answer(404, str(error))


@bp.get("")
@call("listDrifts", "Drift", shapes.Drifts, asks=shapes.DriftsAsked, pages=True, refusals=NOWHERE)
def drifts(asked: shapes.DriftsAsked) -> Response:
    """What does not stand as written, of one calendar and one import, if told. Reads no LMS."""
    parts = access.parts()
    with understood():
        calendar = parts.named(asked.calendar) if asked.calendar else None
    return as_part("drifts", parts.drifts.some(slice_of(asked), calendar, asked.name or None), drift_to_json)


@bp.post("/check")
@call(
    "checkCalendar",
    "Drift",
    shapes.Check,
    also={202: [shapes.Check], 409: [shapes.Check], 503: [shapes.Check]},
    asks=shapes.Checked,
    refusals=NOWHERE,
)
def check(asked: shapes.Checked) -> Response:
    """Compare a calendar with what was written there, all of it or what one import wrote."""
    parts = access.parts()
    with understood():
        calendar = parts.named(asked.calendar)
    done = parts.drifts.check(calendar, asked.name or None, believe=asked.believe)
    response = as_json(check_to_json(done), STATUS.get(done.look, 200))
    if done.retry_after is not None:
        response.headers["Retry-After"] = str(round(done.retry_after))
    return response


@bp.post("/policy")
@call("setDriftPolicy", "Drift", shapes.Chose, asks=shapes.Chosen, refusals=NOWHERE)
def policy(asked: shapes.Chosen) -> Response:
    """Decide what becomes of people's changes to what one import writes into a calendar."""
    parts = access.parts()
    calendar, source = uploads.target(request.values, parts)
    chosen = None if asked.policy == "usual" else Policy(asked.policy)
    parts.drifts.policies.set(calendar, source, chosen)
    return as_json({"calendar": str(calendar), "name": source, "policy": parts.drifts.policies.of(calendar)(source)})


@bp.post("/rhythm")
@call("setDriftRhythm", "Drift", shapes.RhythmSet, asks=shapes.Rhythm, refusals=NOWHERE)
def rhythm(asked: shapes.Rhythm) -> Response:
    """Decide how often a calendar is compared unasked."""
    parts = access.parts()
    with understood():
        calendar = parts.named(asked.calendar)
    parts.sink(calendar.lms).check_target(calendar)
    hours = None if asked.hours < 0 else asked.hours
    parts.drifts.set_rhythm(calendar, hours)
    return as_json({"calendar": str(calendar), "hours": hours})


@bp.post("/<int(max=2147483647):id>/accept")
@call("acceptDrift", "Drift", shapes.Drift)
def accept(id: int) -> Response:
    """Agree to what somebody made of it."""
    (drift,) = access.parts().drifts.accept([id])
    return as_json(drift_to_json(drift))


@bp.post("/<int(max=2147483647):id>/restore")
@call("restoreDrift", "Drift", Outcome, also={202: [Outcome], 422: [Outcome]})
def restore(id: int) -> Response:
    """Write it again as its file has it; the outcome of that run."""
    (outcome,) = access.parts().drifts.restore([id])
    return as_json(outcome.to_json(), 202 if outcome.state == "left" else 422 if outcome.state == "failed" else 200)
