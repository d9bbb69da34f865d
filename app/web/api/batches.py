"""The API of batches: the runs of one file that goes into many calendars, taken as one."""

from __future__ import annotations

from flask import Blueprint, Response

from app.web.answers import as_json
from app.web.api.calls import call
from app.web.api.imports import STATUS, outcome_of
from app.web.api.shapes import runs as shapes
from app.web.api.shapes.common import DryRun
from app.web.door import access

bp = Blueprint("batches", __name__, url_prefix="/api/imports/batches")

ONE = "/<int(max=2147483647):batch>"


@bp.get(ONE)
@call("showBatch", "Batches", shapes.Batch)
def batch(batch: int) -> Response:
    """One routed import: its runs, and what has no place in any calendar."""
    access.require_all("see routed imports")
    return as_json(access.parts().routed.get(batch).to_json())


@bp.post(f"{ONE}/approve")
@call(
    "approveBatch",
    "Batches",
    shapes.Routed,
    also={202: [shapes.Routed], 422: [shapes.Routed]},
)
def approve(batch: int) -> Response:
    """Say yes to all of it that waits: it is planned anew from its file and carried out."""
    access.require_all("approve routed imports")
    return outcome_of(access.parts().routed.approve(batch))


@bp.post(f"{ONE}/cancel")
@call("cancelBatch", "Batches", shapes.Batch)
def cancel(batch: int) -> Response:
    """Say no to all of it that waits."""
    access.require_all("cancel routed imports")
    return as_json(access.parts().routed.cancel(batch).to_json())


@bp.post(f"{ONE}/undo")
@call("undoBatch", "Batches", shapes.Undone, also={202: [shapes.Undone], 422: [shapes.Undone]}, asks=DryRun)
def undo(batch: int, asked: DryRun) -> Response:
    """Take back what all of its runs did; `dry_run` answers the plans and touches nothing."""
    access.require_all("take routed imports back")
    outcomes = access.parts().routed.undo(batch, dry_run=asked.dry_run)
    status = max(STATUS.get(each.state, 200) for each in outcomes)
    return as_json({"batch": batch, "outcomes": [each.to_json() for each in outcomes]}, status)
