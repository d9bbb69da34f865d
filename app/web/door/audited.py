"""Notes who did what: every request that writes, whatever came of it, with its subject and without its secrets.

But for refusals that have no end: of those the logs tell. Whoever may do nothing here is not to fill the store.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator

from flask import Blueprint, Flask, Response, current_app, g, request
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.exceptions import HTTPException

from app.people import audit
from app.store.trouble import is_trouble, sentence
from app.web.answers import as_json
from app.web.api.calls import call
from app.web.api.once import REPLAYED
from app.web.api.paging import with_next
from app.web.api.shapes import house as shapes
from app.web.door import access
from app.web.door.callers import NOBODY, SAFE
from app.web.door.pace import Here

SUBJECTS = ("calendar", "name", "source", "url", "slug", "id", "run", "lms")
"""What of an address or a form may stand in the log; of a url only its host."""
_LONGEST = 80
MOST_REFUSED = 20
"""Refusals of one minute that are noted: of each caller who asked too often, and of all together whom nobody knows."""

logger = logging.getLogger(__name__)
bp = Blueprint("audited", __name__, url_prefix="/api/audit")


def install(app: Flask) -> None:
    """Note the deeds of this application."""
    app.extensions["calbridge.refused"] = Here()
    app.after_request(_noted)


@bp.get("")
@call("listDeeds", "House", shapes.Audit, asks=shapes.AuditAsked, pages=True)
def log(asked: shapes.AuditAsked) -> Response:
    """Who did what, the newest first. For administrators."""
    access.require_all("see who did what")
    limit = asked.count or asked.limit
    found = audit.latest(access.parts().engine, limit, asked.before)
    shown = as_json({"audit": [audit.to_json(number, deed) for number, deed in found]})
    return with_next(shown, {"before": found[-1][0]} if len(found) == limit else None)


def _noted(response: Response) -> Response:
    if request.method in SAFE or request.url_rule is None or "caller" not in g or REPLAYED in response.headers:
        return response
    if _is_one_too_many(response.status_code):
        return response
    parts = access.parts()
    what = f"{request.method} {request.url_rule.rule}"
    deed = audit.Deed(
        parts.now(), access.caller().name, what, " ".join(_subjects()), response.status_code, g.get("request_id", "")
    )
    try:
        audit.note(parts.engine, deed)
    except SQLAlchemyError as error:
        if not is_trouble(error):
            raise
        logger.warning("a deed is not in the audit log (%s): %s", sentence(error), deed)
    return response


def _is_one_too_many(status: int) -> bool:
    stranger = access.caller() is NOBODY
    if not (status >= 400 if stranger else status == 429):
        return False
    refused: Here = current_app.extensions["calbridge.refused"]
    return refused.add("" if stranger else access.caller_key()).count > MOST_REFUSED


def _subjects() -> Iterator[str]:
    given = {**request.args.to_dict(), **_form(), **(request.view_args or {})}
    for name in SUBJECTS:
        if name in given:
            value = str(given[name])
            shown = value.split("//", 1)[-1].split("/", 1)[0].rpartition("@")[2] if name == "url" else value
            yield f"{name}={shown[:_LONGEST]}"


def _form() -> dict[str, str]:
    """Nothing of a form that cannot be read, or of a body that is too large."""
    try:
        return request.form.to_dict()
    except HTTPException:
        return {}
