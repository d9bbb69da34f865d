"""What machines ask: whether we live, whether we are ready, what we are, and our figures."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import version as installed

from flask import Blueprint, Response
from sqlalchemy.exc import SQLAlchemyError

from app.store import workers
from app.store.migrate import is_current
from app.web.answers import as_json
from app.web.door import access

bp = Blueprint("health", __name__)


@bp.get("/healthz")
def alive() -> Response:
    """This process answers; nothing else is asked."""
    return _json({"status": "alive"})


@bp.get("/readyz")
def ready() -> Response:
    """Whether requests can be served, and if not, what is in the way. 503 then. A note is no hindrance."""
    problems = list(_problems())
    if problems:
        return _json({"status": "not ready", "problems": problems}, 503)
    return _json({"status": "ready", "problems": [], "notes": list(_notes())})


@bp.get("/version")
def version() -> Response:
    return _json({"name": "calbridge", "version": installed("calbridge")})


@bp.get("/metrics")
def metrics() -> Response:
    """Prometheus's text format; for those who may see the API."""
    return Response(access.metrics().text(), content_type="text/plain; version=0.0.4; charset=utf-8")


def _problems() -> Iterator[str]:
    try:
        if not is_current(access.parts().engine):
            yield "the database is not in the shape that this calbridge needs: run 'calbridge migrate'"
    except SQLAlchemyError as error:
        yield f"the database cannot be used: {type(error.__cause__ or error).__name__}"


def _notes() -> Iterator[str]:
    parts = access.parts()
    now = parts.now()
    if all(each.is_silent(now) for each in workers.known(parts.engine)):
        yield "no worker has been heard of lately: nothing is read or pulled by itself; start 'calbridge work'"


def _json(data: object, status: int = 200) -> Response:
    response = as_json(data, status)
    response.headers["Cache-Control"] = "no-store"
    return response
