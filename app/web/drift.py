"""The API for what people made in the LMS of what imports wrote."""

from __future__ import annotations

from flask import Blueprint, Response, request

from app.imports.drift.changes import Policy
from app.imports.drift.drifts import Look, NoDrift, check_to_json, drift_to_json
from app.web import access, uploads
from app.web.answers import as_json
from app.web.problems import answer

bp = Blueprint("drift", __name__, url_prefix="/api/drift")

STATUS = {Look.FAILED: 503, Look.BUSY: 409, Look.LEFT: 202}
"""Of a check; all else is 200, and `look` says what came of it."""


@bp.app_errorhandler(NoDrift)
def _no_drift(error: NoDrift) -> Response:
    return answer(404, str(error))


@bp.get("")
def drifts() -> Response:
    """All that does not stand as written, of `?calendar=` and `?name=` if told. Reads no LMS."""
    parts = access.parts()
    calendar = parts.named(request.args["calendar"]) if request.args.get("calendar") else None
    found = parts.drifts.list(calendar, request.args.get("name"))
    return as_json({"drifts": [drift_to_json(each) for each in found]})


@bp.post("/check")
def check() -> Response:
    """Compare `calendar` with what was written, or what the import `name` wrote; `believe=true` as the command's."""
    parts = access.parts()
    calendar, _ = uploads.target(request.values, parts)
    believe = uploads.flag(request.values, "believe")
    done = parts.drifts.check(calendar, request.values.get("name"), believe=believe)
    response = as_json(check_to_json(done), STATUS.get(done.look, 200))
    if done.retry_after is not None:
        response.headers["Retry-After"] = str(round(done.retry_after))
    return response


@bp.post("/policy")
def policy() -> Response:
    """Set the `policy` (keep, ask, overwrite, usual) of the import `name` into `calendar`."""
    parts = access.parts()
    calendar, source = uploads.target(request.values, parts)
    name = request.values.get("policy", "")
    if name != "usual" and name not in set(Policy):
        raise uploads.BadUpload(f"'policy' is one of {', '.join(Policy)}, usual; not '{name}'")
    parts.drifts.policies.set(calendar, source, None if name == "usual" else Policy(name))
    return as_json({"calendar": str(calendar), "name": source, "policy": parts.drifts.policies.of(calendar)(source)})


@bp.post("/<int(max=2147483647):id>/accept")
def accept(id: int) -> Response:
    """Agree to what somebody made of it."""
    (drift,) = access.parts().drifts.accept([id])
    return as_json(drift_to_json(drift))


@bp.post("/<int(max=2147483647):id>/restore")
def restore(id: int) -> Response:
    """Write it again as its file has it; the outcome of that run."""
    (outcome,) = access.parts().drifts.restore([id])
    return as_json(outcome.to_json(), 202 if outcome.state == "left" else 422 if outcome.state == "failed" else 200)
